using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

/// <summary>Packets for both sides of the PRR of <see cref="PrrScene"/>, as nobody would think of them.</summary>
static class PrrRandomPackets
{
    static readonly (string Address, int First, int Last, string Softwire)[] s_homes =
    [
        (PrrScene.Shared, 9990, 11010, PrrScene.Anna), (PrrScene.Shared, 10990, 12010, PrrScene.Berta), (PrrScene.Shared, 19990, 20110, PrrScene.Berta),
        (PrrScene.Shared, 12990, 14010, PrrScene.Carla), (PrrScene.SharedBy6, 1228, 1240, PrrScene.Dora), (PrrScene.SharedBy4, 4920, 4940, PrrScene.Emma),
        (PrrScene.SharedBy0, 0, 1030, PrrScene.Frida), (PrrScene.Whole, 0, 65535, PrrScene.Gerda),
    ];

    /// <summary>A whole packet of a home or to one, of any port near its own, of any size, TTL and traffic class; most have nothing special.</summary>
    public static byte[] Plain(Random random)
    {
        (string address, int first, int last, string softwire) = s_homes[random.Next(s_homes.Length)];
        (string other, int otherFirst, int otherLast, _) = random.Next(4) == 0 ? s_homes[random.Next(s_homes.Length)] : ("198.51.100.7", 0, 65535, "");
        int port = random.Next(first, last + 1), otherPort = random.Next(otherFirst, otherLast + 1), payload = random.Next(3) == 0 ? random.Next(40) : random.Next(1460);
        bool outgoing = random.Next(2) == 0;
        (string from, string to) = outgoing ? ($"{address}:{port}", $"{other}:{otherPort}") : ($"{other}:{otherPort}", $"{address}:{port}");
        byte[] packet = random.Next(4) switch
        {
            0 => Packets.Echo(outgoing ? address : other, outgoing ? other : address, (ushort)port, random.Next(2) == 0 ? IcmpV4Type.Echo : IcmpV4Type.EchoReply),
            1 => Packets.Udp(from, to, payload, withChecksum: random.Next(2) == 0),
            _ => Packets.Tcp(from, to, payload),
        };
        packet[1] = (byte)(random.Next(2) == 0 ? 0 : random.Next(256));
        packet[8] = (byte)(random.Next(16) == 0 ? random.Next(3) : random.Next(256));
        if (random.Next(32) == 0 && packet[9] == (byte)IpProtocol.Tcp) packet[33] |= 2;
        Packets.MendHeader(packet);
        if (outgoing)
        {
            string border = softwire == PrrScene.Carla ^ random.Next(32) == 0 ? PrrScene.OtherBorder : PrrScene.Border;
            packet = Packets.Encapsulate(packet, random.Next(32) == 0 ? PrrScene.Anna : softwire, border, random.Next(4) == 0 ? (byte)random.Next(256) : packet[1]);
        }

        return random.Next(8) == 0 ? [.. packet, .. new byte[random.Next(30)]] : packet;
    }

    /// <summary>Now and then noise; mostly a packet of a known class with some octets changed, cut or added, and its header checksums often right again.</summary>
    public static byte[] Next(Random random)
    {
        if (random.Next(16) == 0)
        {
            byte[] noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            if (noise.Length > 0 && random.Next(2) == 0) noise[0] = (byte)(random.Next(2) == 0 ? 0x45 : 0x60);
            return noise;
        }

        byte[] packet = random.Next(4) == 0 ? Part(random) : [.. PrrPacketClasses.All[random.Next(PrrPacketClasses.All.Length)].Octets];
        for (int i = random.Next(4); i > 0 && packet.Length > 0; i--)
        {
            int at = random.Next(Math.Min(packet.Length, random.Next(2) == 0 ? 48 : 2300));
            packet[at] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)(packet[at] ^ 1 << random.Next(8));
        }

        if (random.Next(8) == 0) packet = packet[..random.Next(packet.Length + 1)];
        if (random.Next(8) == 0) packet = [.. packet, .. new byte[random.Next(64)]];
        if (random.Next(4) != 0) Mend(packet);
        return packet;
    }

    /// <summary>A part of one of a few packets, inner or outer, or an ICMPv6 error about a packet that a PRR sent.</summary>
    static byte[] Part(Random random)
    {
        byte[] inner = Packets.Udp("192.0.2.1:10000", "198.51.100.7:443", 1000), incoming = Packets.Udp("198.51.100.7:443", "192.0.2.1:10000", 1400);
        int start = random.Next(20) * 8, end = start + (random.Next(60) + 1) * 8;
        return random.Next(5) switch
        {
            0 => Packets.Fragment(incoming, start, end - start),
            1 => PrrScene.FromAnna(Packets.Fragment(inner, start, end - start)),
            2 => OnTheWire.OuterPart(PrrScene.FromAnna(inner), start, end, random.Next(4) != 0, (uint)random.Next(4)),
            3 => Packets.MayBeFragmented(Packets.Udp("198.51.100.7:443", "192.0.2.1:11001", 1200 + random.Next(300))),
            _ => Packets.IcmpV6Error("2001:db8:c::1", PrrScene.Border, Packets.Encapsulate(incoming, PrrScene.Border, PrrScene.Anna),
                (IcmpV6Type)random.Next(1, 5), rest: random.Next(1200, 1600)),
        };
    }

    static void Mend(Span<byte> packet)
    {
        if (packet.Length > 40 && packet[0] >> 4 == 6) packet = packet[40..];
        if (packet.Length < 20 || packet[0] >> 4 != 4) return;
        int size = Math.Min((packet[0] & 15) * 4, packet.Length);
        if (size < 20) return;
        packet[10..12].Clear();
        ushort sum = Packets.InternetChecksum(packet[..size]);
        packet[10] = (byte)(sum >> 8);
        packet[11] = (byte)sum;
    }
}
