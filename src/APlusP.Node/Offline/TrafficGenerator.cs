using System.Buffers.Binary;
using System.Globalization;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Captures;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Node.Configuration;

namespace APlusP.Node.Offline;

/// <summary>
/// Makes what <see cref="Benchmark"/> measures with: a PRR's configuration with any number of bindings, 256 subscribers to an address
/// (a = 6, k = 8, 252 ports each), and captures of UDP packets of randomly chosen subscribers. Shared addresses are of
/// 198.18.0.0/15 (RFC 2544), everything else is of documentation prefixes. One seed gives the same files every time.
/// </summary>
public sealed class TrafficGenerator
{
    const int PsidOffset = 6, PsidLength = 8, PerAddress = 1 << PsidLength;

    /// <summary>Bindings that 198.18.0.0/15 has room for.</summary>
    public const int MaxBindings = (1 << 17) * PerAddress;

    /// <summary>Octets of the smallest and the largest IPv4 packet.</summary>
    public const int MinOctets = 28, MaxOctets = 1460;

    static readonly PortSet[] s_sets = [.. Enumerable.Range(0, PerAddress).Select(i => PortSet.FromPsid(PsidOffset, PsidLength, i))];
    static readonly IPv6Address s_prr = IPv6Address.Parse("2001:db8::1");
    static readonly UInt128 s_softwires = IPv6Address.Parse("2001:db8:1000::1").Value;
    static readonly uint s_shared = IPv4Address.Parse("198.18.0.0").Value;
    static readonly uint s_remote = IPv4Address.Parse("203.0.113.0").Value;

    readonly int _bindings;
    readonly bool _unbound;
    readonly Random _random;

    /// <param name="bindings">1 to <see cref="MaxBindings"/>.</param>
    /// <param name="seed">Of all random choices.</param>
    /// <param name="unbound">The subscribers' ports in the packets are system ports, which nobody has, and the PRR tells of it.</param>
    public TrafficGenerator(int bindings, int seed, bool unbound = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bindings, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bindings, MaxBindings);
        _bindings = bindings;
        _unbound = unbound;
        _random = new Random(seed);
    }

    /// <summary>The PRR's configuration.</summary>
    public PrrConfiguration Configuration => new()
    {
        Options = new PrrOptions { SoftwireAddresses = [s_prr], SendIcmpV4Errors = _unbound, SendIcmpV6Errors = _unbound },
        Bindings = [.. Enumerable.Range(0, _bindings).Select(i => new Binding(AddressOf(i), s_sets[i % PerAddress], SoftwireOf(i), s_prr))],
        Names = new Dictionary<IPv6Address, string>(),
    };

    /// <summary>Pairs of an IPv4 packet of so many octets from the Internet, and an IPv6 packet of 40 more from a SMAP.</summary>
    public IEnumerable<(byte[] FromInternet, byte[] FromSmap)> Packets(int packets, int octets)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(packets, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(octets, MinOctets);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(octets, MaxOctets);
        return Enumerable.Range(0, packets).Select(_ =>
        {
            (byte[] fromInternet, byte[] fromSmap) = (new byte[octets], new byte[40 + octets]);
            WriteFromInternet(fromInternet);
            WriteFromSmap(fromSmap);
            return (fromInternet, fromSmap);
        });
    }

    /// <summary>Writes prr.toml, bindings.txt, v4.pcap and v6.pcap into a directory, which is made where it is missing.</summary>
    /// <param name="directory">Where to.</param>
    /// <param name="packets">In each capture.</param>
    /// <param name="octets">Of an IPv4 packet, 28 to 1460; in v6.pcap 40 more are around it.</param>
    /// <exception cref="APlusPException">AP4001: a file cannot be written.</exception>
    public void Write(string directory, int packets, int octets)
    {
        IEnumerable<(byte[] FromInternet, byte[] FromSmap)> pairs = Packets(packets, octets);
        CaptureFile.Guarded(directory, "written", () =>
        {
            Directory.CreateDirectory(directory);
            WriteConfiguration(directory);
            using CaptureWriter ipv4 = CaptureFile.Create(Path.Combine(directory, "v4.pcap"), nanoseconds: false);
            using CaptureWriter ipv6 = CaptureFile.Create(Path.Combine(directory, "v6.pcap"), nanoseconds: false);
            long timestamp = 0;
            foreach ((byte[] fromInternet, byte[] fromSmap) in pairs)
            {
                ipv4.Write(fromInternet, timestamp);
                ipv6.Write(fromSmap, timestamp);
                timestamp += 1000;
            }

            return true;
        });
    }

    IPv4Address AddressOf(int binding) => new(s_shared + (uint)(binding / PerAddress));

    /// <summary>Every subscriber has a /64; the softwire is its address ::1.</summary>
    static IPv6Address SoftwireOf(int binding) => new(s_softwires + ((UInt128)(uint)binding << 64));

    static Psid PsidOf(int binding) => new(PsidOffset, PsidLength, binding % PerAddress);

    void WriteConfiguration(string directory)
    {
        File.WriteAllText(Path.Combine(directory, "prr.toml"), $"""
            # Written by aplusp bench generate: {_bindings.ToString(CultureInfo.InvariantCulture)} bindings.
            softwire-address = "{s_prr}"
            bindings-file = "bindings.txt"

            """);
        using var file = new StreamWriter(Path.Combine(directory, "bindings.txt"));
        for (int binding = 0; binding < _bindings; binding++) file.WriteLine($"{AddressOf(binding)} {PsidOf(binding)} {SoftwireOf(binding)}");
    }

    void WriteFromInternet(Span<byte> packet)
    {
        int binding = _random.Next(_bindings);
        WriteUdp(packet, Remote(), RemotePort(), AddressOf(binding), PortOf(binding));
    }

    void WriteFromSmap(Span<byte> packet)
    {
        int binding = _random.Next(_bindings);
        packet[..40].Clear();
        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(packet.Length - 40));
        packet[6] = 4; // IPv4 in IPv6
        packet[7] = 64;
        SoftwireOf(binding).Write(packet[8..]);
        s_prr.Write(packet[24..]);
        WriteUdp(packet[40..], AddressOf(binding), PortOf(binding), Remote(), RemotePort());
    }

    IPv4Address Remote() => new(s_remote + (uint)_random.Next(1, 255));

    ushort RemotePort() => (ushort)_random.Next(1024, 65536);

    ushort PortOf(int binding)
    {
        if (_unbound) return (ushort)_random.Next(1, 1024);
        int contiguous = 16 - PsidOffset - PsidLength;
        int block = _random.Next(1, 1 << PsidOffset);
        return (ushort)(block << (16 - PsidOffset) | binding % PerAddress << contiguous | _random.Next(1 << contiguous));
    }

    void WriteUdp(Span<byte> packet, IPv4Address source, ushort sourcePort, IPv4Address destination, ushort destinationPort)
    {
        packet[..20].Clear();
        packet[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
        packet[6] = 0x40; // do not fragment
        packet[8] = 64;
        packet[9] = 17;
        source.Write(packet[12..]);
        destination.Write(packet[16..]);
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], Checksum.Of(packet[..20]));

        Span<byte> udp = packet[20..];
        BinaryPrimitives.WriteUInt16BigEndian(udp, sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(udp[2..], destinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(udp[4..], (ushort)udp.Length);
        udp[6..8].Clear();
        _random.NextBytes(udp[8..]);
        ushort checksum = Checksum.Of(udp, Checksum.PseudoHeader(source, destination, (IpProtocol)17, udp.Length));
        BinaryPrimitives.WriteUInt16BigEndian(udp[6..], checksum == 0 ? ushort.MaxValue : checksum);
    }
}
