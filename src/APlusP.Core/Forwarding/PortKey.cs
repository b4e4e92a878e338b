using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

/// <summary>
/// The number that stands for a port when address and port are looked up: a transport port, the identifier of an ICMP query, or, for
/// an ICMP error, that of the packet it embeds (RFC 7596 section 8.1).
/// </summary>
static class PortKey
{
    /// <summary>The port of the packet's source.</summary>
    /// <returns>
    /// <see cref="DropReason.None"/>; or why there is no port: <see cref="DropReason.ProtocolWithoutPorts"/> and
    /// <see cref="DropReason.IcmpNotTranslatable"/> leave it to whoever has the whole address, others are final.
    /// </returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DropReason OfSource(Span<byte> packet, IPv4Header header, out ushort port)
    {
        Span<byte> payload = packet[header.Size..header.TotalLength];
        if (!TransportHeader.HasPorts(header.Protocol))
        {
            DropReason portless = OfIcmp(payload, header, header.Source, isSource: true, out ushort identifier);
            port = identifier;
            return portless;
        }

        bool whole = TransportHeader.TryReadPorts(payload, out TransportHeader transport);
        port = whole ? transport.SourcePort : (ushort)0;
        return whole ? DropReason.None : DropReason.BadTransportHeader;
    }

    /// <summary>The port of the packet's destination; results as of <see cref="OfSource"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DropReason OfDestination(Span<byte> packet, IPv4Header header, out ushort port)
    {
        Span<byte> payload = packet[header.Size..header.TotalLength];
        if (!TransportHeader.HasPorts(header.Protocol))
        {
            DropReason portless = OfIcmp(payload, header, header.Destination, isSource: false, out ushort identifier);
            port = identifier;
            return portless;
        }

        bool whole = TransportHeader.TryReadPorts(payload, out TransportHeader transport);
        port = whole ? transport.DestinationPort : (ushort)0;
        return whole ? DropReason.None : DropReason.BadTransportHeader;
    }

    /// <summary>The destination port of a packet of which an ICMP error of any family holds the beginning; results as of <see cref="OfSource"/>.</summary>
    public static DropReason OfEmbeddedDestination(Span<byte> embedded, IPv4Header header, out ushort port) =>
        TryReadEmbedded(embedded, header.Destination, isSource: true, out port) ? DropReason.None : DropReason.IcmpNotTranslatable;

    /// <summary>As <see cref="OfEmbeddedDestination"/>, of the source port.</summary>
    public static DropReason OfEmbeddedSource(Span<byte> embedded, IPv4Header header, out ushort port) =>
        TryReadEmbedded(embedded, header.Source, isSource: false, out port) ? DropReason.None : DropReason.IcmpNotTranslatable;

    /// <summary>Whether there is no port but the packet is whole, so that it may still reach the holder of a whole address.</summary>
    public static bool IsPortless(DropReason reason) => reason is DropReason.ProtocolWithoutPorts or DropReason.IcmpNotTranslatable;

    static DropReason OfIcmp(Span<byte> payload, IPv4Header header, IPv4Address self, bool isSource, out ushort port)
    {
        port = 0;
        if (header.Protocol != IpProtocol.Icmp) return DropReason.ProtocolWithoutPorts;
        if (!IcmpV4Header.TryRead(payload, out IcmpV4Header icmp)) return DropReason.BadTransportHeader;
        if (icmp.IsQuery)
        {
            port = icmp.Identifier;
            return DropReason.None;
        }

        return icmp.IsError && TryReadEmbedded(payload[IcmpV4Header.Size..], self, isSource, out port)
            ? DropReason.None
            : DropReason.IcmpNotTranslatable;
    }

    /// <summary>
    /// The embedded packet travelled the other way: who sends the error was its destination, and who receives it was its source. An
    /// address that differs makes the error a lie about somebody else's packet.
    /// </summary>
    static bool TryReadEmbedded(Span<byte> bytes, IPv4Address self, bool isSource, out ushort port)
    {
        port = 0;
        if (!IPv4Header.TryReadEmbedded(bytes, out IPv4Header embedded) || embedded.IsLaterFragment) return false;
        if ((isSource ? embedded.Destination : embedded.Source) != self) return false;
        Span<byte> rest = bytes[embedded.Size..];
        if (TransportHeader.HasPorts(embedded.Protocol))
        {
            if (!TransportHeader.TryReadPorts(rest, out TransportHeader transport)) return false;
            port = isSource ? transport.DestinationPort : transport.SourcePort;
            return true;
        }

        if (embedded.Protocol != IpProtocol.Icmp || !IcmpV4Header.TryRead(rest, out IcmpV4Header icmp) || !icmp.IsQuery) return false;
        port = icmp.Identifier;
        return true;
    }
}
