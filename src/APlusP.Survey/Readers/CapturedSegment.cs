using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;

namespace APlusP.Survey.Readers;

/// <summary>What the survey takes out of a packet.</summary>
/// <param name="Protocol">Its protocol.</param>
/// <param name="Tuple">Its ends; a ping has its identifier as both ports.</param>
/// <param name="Flags">Of TCP.</param>
/// <param name="IsReply">Whether it says itself that it answers: SYN and ACK, an echo reply.</param>
readonly ref struct CapturedSegment(IpProtocol protocol, ConnectionTuple tuple, TcpFlags flags, bool isReply, ReadOnlySpan<byte> payload)
{
    public IpProtocol Protocol { get; } = protocol;

    public ConnectionTuple Tuple { get; } = tuple;

    public TcpFlags Flags { get; } = flags;

    public bool IsReply { get; } = isReply;

    /// <summary>Of TCP, as far as it was captured.</summary>
    public ReadOnlySpan<byte> Payload { get; } = payload;

    /// <summary>Reads a packet; false where it has no ports: later fragments, other protocols, headers that were not captured.</summary>
    public static bool TryRead(Span<byte> packet, out CapturedSegment segment)
    {
        segment = default;
        if (packet.IsEmpty) return false;
        HostAddress source, destination;
        IpProtocol protocol;
        int offset;
        if (packet[0] >> 4 == 4)
        {
            // As that of a packet inside an ICMP error, whose end may be missing as well.
            if (!IPv4Header.TryReadEmbedded(packet, out IPv4Header header) || header.IsLaterFragment) return false;
            (source, destination, protocol, offset) = (HostAddress.Of(header.Source), HostAddress.Of(header.Destination), header.Protocol, header.Size);
        }
        else
        {
            if (!IPv6Header.TryReadCut(packet, out IPv6Header header) || IPv6ExtensionHeaders.Skip(packet, out protocol, out offset) != ExtensionHeaderWalk.Found) return false;
            (source, destination) = (HostAddress.Of(header.Source), HostAddress.Of(header.Destination));
        }

        Span<byte> transport = packet[offset..];
        if (protocol == IpProtocol.Tcp && TransportHeader.TryReadTcp(transport, out TransportHeader tcp))
        {
            const TcpFlags synAck = TcpFlags.Syn | TcpFlags.Ack;
            segment = new CapturedSegment(protocol, new ConnectionTuple(source, destination, tcp.SourcePort, tcp.DestinationPort), tcp.TcpFlags, (tcp.TcpFlags & synAck) == synAck, transport[((transport[12] >> 4) * 4)..]);
            return true;
        }

        if (TransportHeader.HasPorts(protocol) && TransportHeader.TryReadPorts(transport, out TransportHeader ports))
        {
            segment = new CapturedSegment(protocol, new ConnectionTuple(source, destination, ports.SourcePort, ports.DestinationPort), TcpFlags.None, isReply: false, []);
            return true;
        }

        // Echo and its reply: types 8 and 0 of ICMP, 128 and 129 of ICMPv6; the identifier stands at the same place.
        if (protocol is not (IpProtocol.Icmp or IpProtocol.IcmpV6) || transport.Length < 8 || (protocol, transport[0]) is not ((IpProtocol.Icmp, 8 or 0) or (IpProtocol.IcmpV6, 128 or 129))) return false;
        ushort identifier = (ushort)(transport[4] << 8 | transport[5]);
        segment = new CapturedSegment(protocol, new ConnectionTuple(source, destination, identifier, identifier), TcpFlags.None, transport[0] is 0 or 129, []);
        return true;
    }
}
