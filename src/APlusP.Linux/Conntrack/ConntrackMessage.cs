using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;

namespace APlusP.Linux.Conntrack;

/// <summary>A connection as nfnetlink tells it (linux/netfilter/nfnetlink_conntrack.h).</summary>
/// <remarks>
/// <code>
/// CTA_TUPLE_ORIG (1), CTA_TUPLE_REPLY (2): CTA_TUPLE_IP (1): V4_SRC (1), V4_DST (2), V6_SRC (3), V6_DST (4)
///                                          CTA_TUPLE_PROTO (2): NUM (1), SRC_PORT (2), DST_PORT (3), ICMP_ID (4), ICMPV6_ID (7)
/// CTA_PROTOINFO (4): CTA_PROTOINFO_TCP (1): STATE (1)
/// </code>
/// </remarks>
static class ConntrackMessage
{
    const int TupleOriginal = 1, TupleReply = 2, ProtocolInfo = 4;
    const int TupleAddresses = 1, TupleProtocol = 2;
    const int SourceV4 = 1, DestinationV4 = 2, SourceV6 = 3, DestinationV6 = 4;
    const int Number = 1, SourcePort = 2, DestinationPort = 3, IcmpId = 4, IcmpV6Id = 7;
    const int InfoTcp = 1, InfoTcpState = 1;

    /// <summary>Reads the attributes of a message; false where one of the directions is not told.</summary>
    public static bool TryRead(ReadOnlySpan<byte> attributes, out TrackedConnection connection)
    {
        ConnectionTuple original = default, reply = default;
        IpProtocol protocol = default;
        TcpState state = TcpState.None;
        int directions = 0;
        foreach (NetlinkAttribute attribute in NetlinkAttribute.All(attributes))
        {
            switch (attribute.Type)
            {
                case TupleOriginal:
                    original = ReadTuple(attribute.Value, out protocol);
                    directions |= TupleOriginal;
                    break;
                case TupleReply:
                    reply = ReadTuple(attribute.Value, out _);
                    directions |= TupleReply;
                    break;
                case ProtocolInfo:
                    foreach (NetlinkAttribute info in NetlinkAttribute.All(attribute.Value))
                    {
                        if (info.Type != InfoTcp) continue;
                        foreach (NetlinkAttribute tcp in NetlinkAttribute.All(info.Value))
                            if (tcp is { Type: InfoTcpState, Value: [<= (byte)TcpState.SynSentTwice and var value] }) state = (TcpState)value;
                    }

                    break;
            }
        }

        connection = new TrackedConnection(protocol, original, reply, state);
        return directions == (TupleOriginal | TupleReply);
    }

    static ConnectionTuple ReadTuple(ReadOnlySpan<byte> octets, out IpProtocol protocol)
    {
        HostAddress source = default, destination = default;
        ushort from = 0, to = 0;
        protocol = default;
        foreach (NetlinkAttribute part in NetlinkAttribute.All(octets))
        {
            foreach (NetlinkAttribute attribute in NetlinkAttribute.All(part.Value))
            {
                ReadOnlySpan<byte> value = attribute.Value;
                switch (part.Type, attribute.Type, value.Length)
                {
                    case (TupleAddresses, SourceV4, IPv4Address.Size): source = HostAddress.Of(IPv4Address.Read(value)); break;
                    case (TupleAddresses, DestinationV4, IPv4Address.Size): destination = HostAddress.Of(IPv4Address.Read(value)); break;
                    case (TupleAddresses, SourceV6, IPv6Address.Size): source = HostAddress.Of(IPv6Address.Read(value)); break;
                    case (TupleAddresses, DestinationV6, IPv6Address.Size): destination = HostAddress.Of(IPv6Address.Read(value)); break;
                    case (TupleProtocol, Number, 1): protocol = (IpProtocol)value[0]; break;
                    case (TupleProtocol, SourcePort, 2): from = BinaryPrimitives.ReadUInt16BigEndian(value); break;
                    case (TupleProtocol, DestinationPort, 2): to = BinaryPrimitives.ReadUInt16BigEndian(value); break;
                    case (TupleProtocol, IcmpId or IcmpV6Id, 2): from = to = BinaryPrimitives.ReadUInt16BigEndian(value); break;
                }
            }
        }

        return new ConnectionTuple(source, destination, from, to);
    }
}
