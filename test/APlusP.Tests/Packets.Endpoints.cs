using APlusP.Core.Wire;

namespace APlusP.Tests;

/// <summary>The same packets with endpoints as text, <c>Packets.Udp("198.51.100.7:53", "192.0.2.1:1000")</c>, and the rarer ones.</summary>
static partial class Packets
{
    public const byte NotEct = 0, Ect1 = 1, Ect0 = 2, Ce = 3;

    public static byte[] Tcp(string source, string destination, int payload = 0, TcpFlags flags = TcpFlags.Ack, byte ttl = 64,
        byte trafficClass = 0) =>
        Tcp(Host(source), Port(source), Host(destination), Port(destination), flags, payload, ttl, trafficClass);

    /// <summary>TCP with options, padded to whole words.</summary>
    public static byte[] TcpWithOptions(string source, string destination, TcpFlags flags, byte[] options, int payload = 0)
    {
        int size = 20 + (options.Length + 3) / 4 * 4;
        byte[] segment = new byte[size + payload];
        Ports(segment, Port(source), Port(destination));
        segment[12] = (byte)(size / 4 << 4);
        segment[13] = (byte)flags;
        options.CopyTo(segment, 20);
        Fill(segment.AsSpan(size));
        return IPv4(Host(source), Host(destination), IpProtocol.Tcp, segment, checksumAt: 16);
    }

    /// <summary>An ICMPv6 error about a packet, of which it embeds as much as fits 1280 octets.</summary>
    public static byte[] IcmpV6Error(string source, string destination, byte[] about, IcmpV6Type type, byte code = 0, int rest = 0)
    {
        byte[] message = [(byte)type, code, 0, 0, (byte)(rest >> 24), (byte)(rest >> 16), (byte)(rest >> 8), (byte)rest, .. about.AsSpan(0, Math.Min(about.Length, 1280 - 48))];
        Set16(message, 2, IcmpV6Checksum(message, source, destination));
        return Softwire(source, destination, message, next: IpProtocol.IcmpV6);
    }

    public static byte[] Udp(string source, string destination, int payload = 12, byte ttl = 64, byte trafficClass = 0, bool withChecksum = true) =>
        Udp(Host(source), Port(source), Host(destination), Port(destination), payload, ttl, withChecksum, trafficClass);

    /// <summary>SCTP, DCCP or UDP-Lite: ports, and behind them nothing that a router reads.</summary>
    public static byte[] Ported(IpProtocol protocol, string source, string destination)
    {
        byte[] octets = new byte[24];
        Ports(octets, Port(source), Port(destination));
        return IPv4(Host(source), Host(destination), protocol, octets);
    }

    /// <summary>A true part of an IPv4 packet without options. Offset and length are octets of its payload, the offset a multiple of 8.</summary>
    public static byte[] Fragment(byte[] packet, int offset, int length)
    {
        length = Math.Min(length, packet.Length - 20 - offset);
        byte[] part = [.. packet.AsSpan(0, 20), .. packet.AsSpan(20 + offset, length)];
        Set16(part, 2, part.Length);
        return AsFragment(part, offset / 8, more: offset + length < packet.Length - 20);
    }

    /// <summary>The same packet with a changed octet of its IPv4 header, and the header checksum right again.</summary>
    public static byte[] With(byte[] packet, int offset, byte value)
    {
        byte[] changed = [.. packet];
        changed[offset] = value;
        return MendHeader(changed);
    }

    public static byte[] Ttl(byte[] packet, byte ttl) => With(packet, 8, ttl);

    public static byte[] MayBeFragmented(byte[] packet) => With(packet, 6, 0);

    public static byte[] Encapsulate(byte[] inner, string source, string destination, byte trafficClass = 0,
        params (IpProtocol Type, byte[] Octets)[] extensionHeaders) =>
        Softwire(source, destination, inner, trafficClass, extensions: extensionHeaders);

    /// <summary>The destination options header that Linux's ip6tnl puts into every packet: tunnel encapsulation limit 4, PadN.</summary>
    public static (IpProtocol, byte[]) EncapsulationLimit => (IpProtocol.DestinationOptions, [0, 0, 4, 1, 4, 1, 1, 0]);

    /// <summary>An options header of one option of this type.</summary>
    public static (IpProtocol, byte[]) Option(byte type, IpProtocol header = IpProtocol.DestinationOptions) =>
        (header, [0, 0, type, 2, 0, 0, 1, 0]);

    public static (IpProtocol, byte[]) RoutingHeader(byte segmentsLeft) =>
        (IpProtocol.Routing, [0, 2, 4, segmentsLeft, 0, 0, 0, 0, .. new byte[16]]);

    public static (IpProtocol, byte[]) FragmentHeader(int offset, bool more) =>
        (IpProtocol.Fragment, [0, 0, (byte)(offset >> 8), (byte)(offset & 0xf8 | (more ? 1 : 0)), 0, 0, 0, 7]);

    public static byte[] IcmpV6(string source, string destination, IcmpV6Type type, byte code = 0, int payload = 16,
        params (IpProtocol Type, byte[] Octets)[] extensionHeaders)
    {
        byte[] message = [(byte)type, code, 0, 0, 0, 0x77, 0, 1, .. new byte[payload]];
        Fill(message.AsSpan(8));
        Set16(message, 2, IcmpV6Checksum(message, source, destination));
        return Softwire(source, destination, message, next: IpProtocol.IcmpV6, extensions: extensionHeaders);
    }

    /// <summary>The checksum of an ICMPv6 message, RFC 8200 section 8.1, made slowly; 0 where it carries the right one.</summary>
    public static ushort IcmpV6Checksum(ReadOnlySpan<byte> message, string source, string destination)
    {
        byte[] pseudo = new byte[40];
        Core.Addresses.IPv6Address.Parse(source).Write(pseudo);
        Core.Addresses.IPv6Address.Parse(destination).Write(pseudo.AsSpan(16));
        Set16(pseudo, 34, message.Length);
        pseudo[39] = (byte)IpProtocol.IcmpV6;
        return InternetChecksum([.. pseudo, .. message]);
    }

    /// <summary>RFC 1071 by the letter, slowly: what the fast one is tested against.</summary>
    public static ushort InternetChecksum(ReadOnlySpan<byte> octets)
    {
        long sum = 0;
        for (int i = 0; i < octets.Length; i++) sum += i % 2 == 0 ? octets[i] << 8 : octets[i];
        while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)~sum;
    }

    static string Host(string endpoint) => endpoint[..endpoint.IndexOf(':')];

    static int Port(string endpoint) => int.Parse(endpoint.AsSpan(endpoint.IndexOf(':') + 1));
}
