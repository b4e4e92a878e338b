using APlusP.Core.Addresses;
using APlusP.Core.Wire;

namespace APlusP.Tests;

/// <summary>Whole packets for tests, with every checksum right.</summary>
static partial class Packets
{
    public static byte[] Tcp(string source, int sourcePort, string destination, int destinationPort, TcpFlags flags = TcpFlags.Ack,
        int payload = 0, byte ttl = 64, byte trafficClass = 0)
    {
        byte[] segment = new byte[20 + payload];
        Ports(segment, sourcePort, destinationPort);
        segment[12] = 5 << 4;
        segment[13] = (byte)flags;
        Fill(segment.AsSpan(20));
        return IPv4(source, destination, IpProtocol.Tcp, segment, ttl, trafficClass, checksumAt: 16);
    }

    public static byte[] Udp(string source, int sourcePort, string destination, int destinationPort, int payload = 0, byte ttl = 64,
        bool checksum = true, byte trafficClass = 0)
    {
        byte[] datagram = new byte[8 + payload];
        Ports(datagram, sourcePort, destinationPort);
        Set16(datagram, 4, datagram.Length);
        Fill(datagram.AsSpan(8));
        return IPv4(source, destination, IpProtocol.Udp, datagram, ttl, trafficClass, checksum ? 6 : -1);
    }

    public static byte[] Echo(string source, string destination, int identifier, IcmpV4Type type = IcmpV4Type.Echo, int payload = 8, byte ttl = 64)
    {
        byte[] message = new byte[8 + payload];
        message[0] = (byte)type;
        Set16(message, 4, identifier);
        Set16(message, 6, 1);
        Fill(message.AsSpan(8));
        Set16(message, 2, Checksum.Of(message));
        return IPv4(source, destination, IpProtocol.Icmp, message, ttl);
    }

    /// <summary>An ICMP error about a packet, of which it embeds the first octets.</summary>
    public static byte[] IcmpError(string source, string destination, byte[] about, IcmpV4Type type = IcmpV4Type.DestinationUnreachable,
        int code = 1, int embedded = 548, int rest = 0)
    {
        byte[] message = [(byte)type, (byte)code, 0, 0, 0, 0, (byte)(rest >> 8), (byte)rest, .. about.AsSpan(0, Math.Min(embedded, about.Length))];
        Set16(message, 2, Checksum.Of(message));
        return IPv4(source, destination, IpProtocol.Icmp, message);
    }

    /// <summary>An IPv4 packet of any protocol; <paramref name="checksumAt"/> is where in the payload a checksum with pseudo header goes.</summary>
    public static byte[] IPv4(string source, string destination, IpProtocol protocol, byte[] payload, byte ttl = 64, byte trafficClass = 0,
        int checksumAt = -1)
    {
        IPv4Address from = IPv4Address.Parse(source), to = IPv4Address.Parse(destination);
        if (checksumAt >= 0)
        {
            ushort sum = Checksum.Of(payload, Checksum.PseudoHeader(from, to, protocol, payload.Length));
            Set16(payload, checksumAt, sum == 0 && protocol == IpProtocol.Udp ? 0xffff : sum);
        }

        byte[] packet = new byte[20 + payload.Length];
        IPv4Header.Write(packet, trafficClass, packet.Length, ttl, protocol, from, to, identification: 0x1234);
        payload.CopyTo(packet, 20);
        return packet;
    }

    /// <summary>The packet with these IPv4 options (a multiple of four octets).</summary>
    public static byte[] WithOptions(byte[] packet, params byte[] options)
    {
        byte[] result = [.. packet[..20], .. options, .. packet[20..]];
        result[0] = (byte)(0x40 | (20 + options.Length) / 4);
        Set16(result, 2, result.Length);
        return MendHeader(result);
    }

    /// <summary>The packet as a fragment: offset in units of eight octets.</summary>
    public static byte[] AsFragment(byte[] packet, int offset, bool more)
    {
        byte[] result = [.. packet];
        Set16(result, 6, (more ? 0x2000 : 0) | offset);
        return MendHeader(result);
    }

    /// <summary>Makes the IPv4 header's checksum right again.</summary>
    public static byte[] MendHeader(byte[] packet)
    {
        int size = (packet[0] & 15) * 4;
        Set16(packet, 10, 0);
        Set16(packet, 10, Checksum.Of(packet.AsSpan(0, size)));
        return packet;
    }

    /// <summary>Puts a packet into a softwire, behind extension headers where given (each whole, its first octet is overwritten).</summary>
    public static byte[] Softwire(string source, string destination, byte[] inner, byte trafficClass = 0, byte hopLimit = 64,
        IpProtocol next = IpProtocol.IPv4, params (IpProtocol Type, byte[] Octets)[] extensions)
    {
        byte[] chain = [];
        for (int i = 0; i < extensions.Length; i++)
        {
            byte[] header = [.. extensions[i].Octets];
            header[0] = (byte)(i + 1 < extensions.Length ? extensions[i + 1].Type : next);
            chain = [.. chain, .. header];
        }

        byte[] packet = new byte[40 + chain.Length + inner.Length];
        IPv6Header.Write(packet, trafficClass, packet.Length - 40, extensions.Length > 0 ? extensions[0].Type : next, hopLimit,
            IPv6Address.Parse(source), IPv6Address.Parse(destination));
        chain.CopyTo(packet, 40);
        inner.CopyTo(packet, 40 + chain.Length);
        return packet;
    }

    public static byte[] PingV6(string source, string destination)
    {
        byte[] message = [(byte)IcmpV6Type.EchoRequest, 0, 0, 0, 0x12, 0x34, 0, 1, 1, 2, 3, 4];
        IPv6Address from = IPv6Address.Parse(source), to = IPv6Address.Parse(destination);
        Set16(message, 2, Checksum.Of(message, Checksum.PseudoHeader(from, to, IpProtocol.IcmpV6, message.Length)));
        return Softwire(source, destination, message, next: IpProtocol.IcmpV6);
    }

    /// <summary>Whether every checksum of an IPv4 packet is right: header, and TCP, UDP or ICMP.</summary>
    public static bool HasRightChecksums(Span<byte> packet)
    {
        if (!IPv4Header.TryRead(packet, out IPv4Header header) || !header.HasValidChecksum) return false;
        Span<byte> payload = packet[header.Size..header.TotalLength];
        if (header.Protocol == IpProtocol.Icmp) return Checksum.Of(payload) == 0;
        if (header.Protocol == IpProtocol.Udp && payload[6] == 0 && payload[7] == 0) return true;
        return header.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp)
            || Checksum.Of(payload, Checksum.PseudoHeader(header.Source, header.Destination, header.Protocol, payload.Length)) == 0;
    }

    static void Ports(byte[] bytes, int source, int destination)
    {
        Set16(bytes, 0, source);
        Set16(bytes, 2, destination);
    }

    static void Set16(byte[] bytes, int at, int value)
    {
        bytes[at] = (byte)(value >> 8);
        bytes[at + 1] = (byte)value;
    }

    static void Fill(Span<byte> payload)
    {
        for (int i = 0; i < payload.Length; i++) payload[i] = (byte)(i * 7 + 1);
    }
}
