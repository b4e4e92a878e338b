using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

/// <summary>
/// What both ends of a softwire do alike: IPv4 into IPv6 and out again, RFC 2473 with the congestion rules of RFC 6040.
/// </summary>
static class Softwire
{
    // The two low bits of the traffic class, RFC 3168 section 5.
    const int EcnMask = 3, NotEct = 0, Ect0 = 2, Ect1 = 1, Ce = 3;

    /// <summary>The ends of a softwire, as a packet travels it.</summary>
    public readonly record struct Path(IPv6Address From, IPv6Address To)
    {
        // By hand, since the compiler's way goes through comparers that are allocated at their first use.
        public bool Equals(Path other) => From.Value == other.From.Value && To.Value == other.To.Value;

        public override int GetHashCode() => HashCode.Combine(From, To);
    }

    /// <summary>
    /// Finds the IPv4 packet in a softwire packet that has arrived, and cuts trailing octets off. The buffer still begins with the
    /// outer header.
    /// </summary>
    /// <returns><see cref="DropReason.None"/>, or why there is none; <see cref="DropReason.NotIPv4InIPv6"/> leaves
    /// <paramref name="offset"/> and <paramref name="protocol"/> at what is there instead, <see cref="IpProtocol.Fragment"/> for a part of a packet.</returns>
    public static DropReason FindInner(PacketBatch batch, int index, IPv6Header outer, out IpProtocol protocol, out int offset)
    {
        Span<byte> packet = batch.Truncate(index, IPv6Header.Size + outer.PayloadLength);
        protocol = outer.NextHeader;
        offset = IPv6Header.Size;
        if (protocol != IpProtocol.IPv4)
        {
            switch (IPv6ExtensionHeaders.Skip(packet, out protocol, out offset))
            {
                case ExtensionHeaderWalk.Truncated: return DropReason.Truncated;
                case ExtensionHeaderWalk.Refused: return DropReason.BadExtensionHeader;
            }

            if (protocol != IpProtocol.IPv4) return DropReason.NotIPv4InIPv6;
        }

        return DropReason.None;
    }

    /// <summary>Nothing of ours, except that the kernel itself speaks MLD and router solicitation on the device.</summary>
    public static Verdict RefuseDestination(PacketBatch batch, int index, IPv6Header outer) =>
        outer.Destination.IsMulticast && FindInner(batch, index, outer, out IpProtocol protocol, out _) == DropReason.NotIPv4InIPv6
            && protocol == IpProtocol.IcmpV6
            ? Verdict.Consume
            : Verdict.Drop(DropReason.NotForUs);

    /// <summary>What is wrong with an IPv4 header that begins the octets, apart from its addresses.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DropReason Check(Span<byte> bytes, out IPv4Header header) =>
        !IPv4Header.TryRead(bytes, out header) ? DropReason.BadIPv4Header
        : !header.HasValidChecksum ? DropReason.BadIPv4Checksum
        : DropReason.None;

    /// <summary>
    /// Joins the congestion marks of outer and inner header on the way out of the softwire, RFC 6040 section 4.2, figure 4. The
    /// inner differentiated services stay as they are (RFC 2983 section 3.1: pipe), but for <see cref="TakeServices"/>.
    /// </summary>
    /// <returns>False where the packet must be dropped: congestion on the way, and an inner transport that cannot hear of it.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool JoinCongestion(byte outerTrafficClass, ref IPv4Header inner)
    {
        int outer = outerTrafficClass & EcnMask, now = inner.TrafficClass & EcnMask;
        if (outer == now || outer is NotEct or Ect0) return true;
        if (now == NotEct) return outer != Ce;
        if (outer == Ce || now == Ect0) inner.TrafficClass = (byte)(inner.TrafficClass & ~EcnMask | outer);
        return true;
    }

    /// <summary>Gives the inner packet the differentiated services that the outer has now (RFC 2983 section 3.1: uniform), as RFC 6333 section 7.1 asks; after <see cref="JoinCongestion"/>.</summary>
    public static void TakeServices(byte outerTrafficClass, ref IPv4Header inner)
    {
        byte joined = (byte)(outerTrafficClass & ~EcnMask | inner.TrafficClass & EcnMask);
        if (joined != inner.TrafficClass) inner.TrafficClass = joined;
    }
}
