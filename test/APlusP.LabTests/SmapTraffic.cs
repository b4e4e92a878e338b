using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;
using APlusP.Tests;

namespace APlusP.LabTests;

/// <summary>Packets of a home and to it, of every class, valid and mangled: of flows that are there, of some that are not yet, and of nobody.</summary>
sealed class SmapTraffic(Random random, SmapOptions options)
{
    static readonly string[] s_remotes = ["198.51.100.7", "198.51.100.8", "203.0.113.9", "203.0.113.77", "8.8.8.8"];
    static readonly int[] s_ports = [443, 53, 21, 8080, 5060, 30000];

    // What went into the softwire lately, translated: who answers it answers a flow.
    readonly byte[][] _sent = new byte[256][];
    int _sentCount;

    string Prr { get; } = options.PrrAddress.ToString();

    string Home { get; } = options.SoftwireAddress.ToString();

    string Shared { get; } = options.SharedAddress.ToString();

    public (byte[] Packet, Origin Origin) Next()
    {
        bool isOutbound = _sentCount == 0 || random.Next(2) == 0;
        byte[] packet = isOutbound ? FromLan() : Answer(_sent[random.Next(_sentCount)]);
        Season(packet);
        if (random.Next(24) == 0) packet = Special(packet, isOutbound);
        if (random.Next(12) == 0) Mangle(packet, mend: random.Next(3) != 0);
        if (random.Next(64) == 0) packet = packet[..random.Next(packet.Length + 1)];
        if (random.Next(16) == 0) packet = [.. packet, .. new byte[random.Next(30)]];
        if (isOutbound) return (packet, Origin.FromLan);

        byte trafficClass = packet.Length > 1 && random.Next(8) != 0 ? packet[1] : (byte)random.Next(256);
        string sender = random.Next(24) == 0 ? "2001:db8:99::1" : Prr;
        if (random.Next(8) == 0 && Ce(packet) is { } ce) sender = ce;
        packet = Packets.Encapsulate(packet, sender, random.Next(48) == 0 ? "2001:db8:1::2" : Home, trafficClass);
        if (random.Next(48) == 0) packet = Packets.Softwire(Prr, Home, packet[40..], extensions: Packets.EncapsulationLimit);
        if (random.Next(24) == 0) packet[random.Next(40)] ^= (byte)(1 << random.Next(8));
        if (packet.Length > 0 && random.Next(64) == 0) packet = [.. packet, .. new byte[random.Next(30)]];
        return (packet, Origin.FromPrr);
    }

    /// <summary>Takes note of what was sent into the softwire.</summary>
    public void Learn(PacketBatch batch, Origin origin)
    {
        if (origin != Origin.FromLan || batch.Count == 0 || batch[0].Verdict != Verdict.Forward) return;
        Span<byte> bytes = batch.Bytes(0);
        byte[] inner = bytes[(bytes[0] >> 4 == 6 ? 40 : 0)..].ToArray();
        if (_sentCount < _sent.Length) _sent[_sentCount++] = inner;
        else _sent[random.Next(_sent.Length)] = inner;
    }

    byte[] FromLan()
    {
        string host = $"192.168.1.{10 + random.Next(6)}", remote = s_remotes[random.Next(s_remotes.Length)];
        int port = 40000 + random.Next(14), remotePort = s_ports[random.Next(s_ports.Length)], payload = random.Next(3) == 0 ? random.Next(40) : random.Next(1400);
        if (random.Next(64) == 0) (remote, remotePort) = (Shared, options.Ports.Ranges.First().First + random.Next(40));
        return random.Next(5) switch
        {
            0 => Packets.Echo(host, remote, port, random.Next(4) == 0 ? IcmpV4Type.EchoReply : IcmpV4Type.Echo, payload),
            1 or 2 => Packets.Udp(host, port, remote, remotePort, payload, checksum: random.Next(3) != 0),
            _ => Packets.Tcp(host, port, remote, remotePort, Flags(), payload),
        };
    }

    TcpFlags Flags() => random.Next(40) switch
    {
        0 => TcpFlags.Syn,
        1 => TcpFlags.Syn | TcpFlags.Ack,
        2 or 3 => TcpFlags.Fin | TcpFlags.Ack,
        4 => TcpFlags.Rst,
        5 => TcpFlags.Rst | TcpFlags.Ack,
        _ => TcpFlags.Ack | (random.Next(2) == 0 ? TcpFlags.Psh : 0),
    };

    /// <summary>What the other end says to a packet of ours; now and then another port of it.</summary>
    byte[] Answer(byte[] sent)
    {
        if (!IPv4Header.TryRead(sent, out IPv4Header header) || header.Size + 8 > sent.Length) return Packets.Udp("8.8.8.8", 53, Shared, 10000);
        string remote = header.Destination.ToString();
        int own = sent[header.Size] << 8 | sent[header.Size + 1], theirs = sent[header.Size + 2] << 8 | sent[header.Size + 3], payload = random.Next(3) == 0 ? random.Next(40) : random.Next(1400);
        if (random.Next(32) == 0) theirs++;
        if (random.Next(32) == 0) own += random.Next(3) - 1;
        return header.Protocol switch
        {
            IpProtocol.Tcp => Packets.Tcp(remote, theirs & 0xffff, Shared, own & 0xffff, Flags(), payload),
            IpProtocol.Udp => Packets.Udp(remote, theirs & 0xffff, Shared, own & 0xffff, payload, checksum: random.Next(3) != 0),
            _ => Packets.Echo(remote, Shared, sent[header.Size + 4] << 8 | sent[header.Size + 5], random.Next(8) == 0 ? IcmpV4Type.Echo : IcmpV4Type.EchoReply, payload),
        };
    }

    /// <summary>TTL, class, identification, and the mark that forbids fragments.</summary>
    void Season(byte[] packet)
    {
        packet[1] = (byte)(random.Next(2) == 0 ? 0 : random.Next(256));
        packet[8] = (byte)(random.Next(16) == 0 ? random.Next(3) : random.Next(3, 256));
        (packet[4], packet[5]) = ((byte)random.Next(256), (byte)random.Next(256));
        packet[6] = (byte)(random.Next(3) == 0 ? 0 : 0x40);
        Packets.MendHeader(packet);
    }

    /// <summary>The packet as a fragment, with options, or an error about another.</summary>
    byte[] Special(byte[] packet, bool isOutbound) => random.Next(5) switch
    {
        0 => Packets.AsFragment(packet, 0, more: true),
        1 => Packets.AsFragment(packet, random.Next(1, 100), more: random.Next(2) == 0),
        2 => Packets.WithOptions(packet, 1, 1, 1, 0),
        3 when !isOutbound => Packets.IcmpError("8.8.8.8", Shared, _sent[random.Next(_sentCount)]),
        3 => Packets.IcmpError("192.168.1.10", "8.8.8.8", packet),
        _ => Packets.IPv4("198.51.100.7", Shared, IpProtocol.Sctp, new byte[40]),
    };

    void Mangle(byte[] packet, bool mend)
    {
        for (int i = random.Next(3); i >= 0; i--)
        {
            int at = random.Next(Math.Min(packet.Length, random.Next(2) == 0 ? 44 : 1500));
            packet[at] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)(packet[at] ^ 1 << random.Next(8));
        }

        if (mend && (packet[0] & 15) * 4 is >= 20 and var size && size <= packet.Length) Packets.MendHeader(packet);
    }

    /// <summary>The subscriber whose packet it could be by a rule.</summary>
    string? Ce(byte[] packet)
    {
        if (options.ForwardingRules.Count == 0 || !IPv4Header.TryRead(packet, out IPv4Header header) || header.Size + 8 > packet.Length) return null;
        int port = header.Protocol == IpProtocol.Icmp ? packet[header.Size + 4] << 8 | packet[header.Size + 5] : packet[header.Size] << 8 | packet[header.Size + 1];
        return options.ForwardingRules[0].TryFindCe(header.Source, (ushort)port, out var ce) ? ce.ToString() : null;
    }
}
