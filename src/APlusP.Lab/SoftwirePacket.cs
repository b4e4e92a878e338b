using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using APlusP.Core.Addresses;

namespace APlusP.Lab;

/// <summary>
/// A softwire packet with any addresses that one likes, true or false: UDP in IPv4 in IPv6. The lab sends these to see that the PRR
/// refuses what is not the sender's.
/// </summary>
public sealed record SoftwirePacket
{
    const int IPv6Header = 40, IPv4Header = 20, UdpHeader = 8;

    public required IPv6Address OuterSource { get; init; }

    public required IPv6Address OuterDestination { get; init; }

    public required IPv4Address Source { get; init; }

    public required ushort SourcePort { get; init; }

    public required IPv4Address Destination { get; init; }

    public required ushort DestinationPort { get; init; }

    public byte[] Payload { get; init; } = [];

    /// <summary>The octets from the outer header on, lengths and checksums right.</summary>
    public byte[] ToBytes()
    {
        byte[] packet = new byte[IPv6Header + IPv4Header + UdpHeader + Payload.Length];
        Span<byte> outer = packet, inner = outer[IPv6Header..], udp = inner[IPv4Header..];

        outer[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(outer[4..], (ushort)inner.Length);
        outer[6] = 4; // IPv4, RFC 2473
        outer[7] = 64;
        OuterSource.Write(outer[8..]);
        OuterDestination.Write(outer[24..]);

        inner[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(inner[2..], (ushort)inner.Length);
        inner[8] = 64;
        inner[9] = 17;
        Source.Write(inner[12..]);
        Destination.Write(inner[16..]);
        BinaryPrimitives.WriteUInt16BigEndian(inner[10..], Checksum(inner[..IPv4Header], 0));

        BinaryPrimitives.WriteUInt16BigEndian(udp, SourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(udp[2..], DestinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(udp[4..], (ushort)udp.Length);
        Payload.CopyTo(udp[UdpHeader..]);
        ushort checksum = Checksum(udp, Sum(inner[12..20], 17u + (uint)udp.Length));
        BinaryPrimitives.WriteUInt16BigEndian(udp[6..], checksum == 0 ? (ushort)0xffff : checksum);
        return packet;
    }

    /// <summary>Sends it as it is from a host of a lab. Root.</summary>
    public void Send(NetworkNamespace from) => from.Call(() =>
    {
        // Protocol 255, IPPROTO_RAW: the header is ours, its source too (raw(7), ipv6(7)).
        using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Raw, (ProtocolType)255);
        Span<byte> destination = stackalloc byte[IPv6Address.Size];
        OuterDestination.Write(destination);
        socket.SendTo(ToBytes(), new IPEndPoint(new IPAddress(destination), 0));
    });

    // RFC 1071.
    static ushort Checksum(ReadOnlySpan<byte> bytes, uint sum)
    {
        sum = Sum(bytes, sum);
        while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)~sum;
    }

    static uint Sum(ReadOnlySpan<byte> bytes, uint sum)
    {
        for (int i = 0; i < bytes.Length; i += 2) sum += (uint)(bytes[i] << 8 | (i + 1 < bytes.Length ? bytes[i + 1] : 0));
        return sum;
    }
}
