using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

/// <summary>Turns an undeliverable packet into the ICMP message that tells its sender, in the packet's own buffer.</summary>
public static class IcmpErrors
{
    /// <summary>As much of the offending packet as makes an ICMPv4 error of 576 octets, RFC 1812 section 4.3.2.3.</summary>
    const int MaxV4 = 576;

    /// <summary>An ICMPv6 error fits the smallest link, RFC 4443 section 2.4 (c).</summary>
    const int MaxV6 = 1280;

    const byte TimeToLive = 64;

    /// <summary>Precedence of a router's ICMPv4 errors, RFC 1812 section 4.3.2.5. A NAT's are of the class of what they are about.</summary>
    public const byte InternetworkControl = 0xc0;

    /// <summary>
    /// Whether an error about this packet may be sent at all: not about another ICMP error, not about a later fragment, and not
    /// from or to what is no single host, RFC 1122 section 3.2.2.
    /// </summary>
    public static bool MayTellSender(Span<byte> packet, in IPv4Header header)
    {
        if (!header.Source.IsUnicast || !header.Destination.IsUnicast || header.IsLaterFragment) return false;
        return header.Protocol != IpProtocol.Icmp
            || (IcmpV4Header.TryRead(packet[header.Size..Math.Min(header.TotalLength, packet.Length)], out IcmpV4Header icmp) && icmp.IsQuery);
    }

    /// <summary>
    /// Whether an ICMPv6 error about a first fragment may be sent: not about another ICMPv6 error, nor about what hides its protocol behind another header, and not to what is no single
    /// host, RFC 4443 section 2.4 (e).
    /// </summary>
    public static bool MayTellSenderV6(Span<byte> packet, in IPv6Header header)
    {
        if (!header.Source.IsUnicast || IPv6ExtensionHeaders.Skip(packet, out _, out int offset) != ExtensionHeaderWalk.IsFragment) return false;
        IPv6FragmentHeader.TryRead(packet[offset..], out IPv6FragmentHeader fragment);
        if (fragment.NextHeader == IpProtocol.IPv4) return true;
        return fragment.NextHeader == IpProtocol.IcmpV6 && IcmpV6Header.TryRead(packet[(offset + IPv6FragmentHeader.Size)..], out IcmpV6Header icmp) && !icmp.IsError;
    }

    /// <summary>Class of a NAT's error: that of the packet that it is about, RFC 5508 section 7.7, without the marks of congestion that it met.</summary>
    public static byte ClassOf(in IPv4Header header) => (byte)(header.TrafficClass & 0xfc);

    /// <summary>Puts an ICMPv4 error in front of the IPv4 packet that it is about, and cuts that to size.</summary>
    /// <param name="batch">The batch whose packet is to become the error.</param>
    /// <param name="index">The packet: a whole IPv4 packet that was checked.</param>
    /// <param name="type">Type of the error.</param>
    /// <param name="code">Code of the error.</param>
    /// <param name="source">Who says so.</param>
    /// <param name="destination">The sender of the offending packet.</param>
    /// <param name="rest">The four octets behind the checksum: the next-hop MTU, a pointer, or 0.</param>
    /// <param name="trafficClass">Of the error.</param>
    public static void WriteV4(PacketBatch batch, int index, IcmpV4Type type, byte code, IPv4Address source, IPv4Address destination,
        uint rest = 0, byte trafficClass = InternetworkControl)
    {
        const int added = IPv4Header.MinSize + IcmpV4Header.Size;
        batch.Truncate(index, Math.Min(batch.Bytes(index).Length, MaxV4 - added));
        Span<byte> packet = batch.Prepend(index, added);
        IPv4Header.Write(packet, trafficClass, packet.Length, TimeToLive, IpProtocol.Icmp, source, destination);
        Span<byte> message = packet[IPv4Header.MinSize..];
        IcmpV4Header.Write(message, type, code, rest);
        IcmpV4Header.TryRead(message, out IcmpV4Header icmp);
        icmp.Checksum = Checksum.Of(message);
    }

    /// <summary>Puts an ICMPv6 error in front of the IPv6 packet that it is about, and cuts that to size.</summary>
    public static void WriteV6(PacketBatch batch, int index, IcmpV6Type type, byte code, byte hopLimit, IPv6Address source,
        IPv6Address destination, uint rest = 0)
    {
        const int added = IPv6Header.Size + IcmpV6Header.Size;
        batch.Truncate(index, Math.Min(batch.Bytes(index).Length, MaxV6 - added));
        Span<byte> packet = batch.Prepend(index, added);
        IPv6Header.Write(packet, trafficClass: 0, packet.Length - IPv6Header.Size, IpProtocol.IcmpV6, hopLimit, source, destination);
        Span<byte> message = packet[IPv6Header.Size..];
        IcmpV6Header.Write(message, type, code, rest);
        FinishV6(message, source, destination);
    }

    /// <summary>Turns an ICMPv6 echo request in the buffer into its reply, RFC 4443 section 4.2.</summary>
    public static void AnswerEchoV6(Span<byte> packet, int icmpOffset, byte hopLimit, IPv6Address self, IPv6Address asker)
    {
        Span<byte> message = packet[icmpOffset..];
        IPv6Header.Write(packet, trafficClass: 0, packet.Length - IPv6Header.Size, IpProtocol.IcmpV6, hopLimit, self, asker);
        message[0] = (byte)IcmpV6Type.EchoReply;
        message[2..4].Clear();
        FinishV6(message, self, asker);
    }

    /// <summary>Gives an ICMPv6 message its checksum; the field must be 0.</summary>
    internal static void FinishV6(Span<byte> message, IPv6Address source, IPv6Address destination)
    {
        IcmpV6Header.TryRead(message, out IcmpV6Header icmp);
        icmp.Checksum = Checksum.Of(message, Checksum.PseudoHeader(source, destination, IpProtocol.IcmpV6, message.Length));
    }
}
