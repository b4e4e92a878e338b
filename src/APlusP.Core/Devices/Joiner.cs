using System.Buffers.Binary;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;

namespace APlusP.Core.Devices;

/// <summary>
/// Finds, among packets that are to be sent, those that the kernel may have as one and cut again: TCP segments over IPv4 that follow each other, alike in everything but what the kernel
/// makes anew, octet for octet. Their checksums are verified first, since they will be made anew as well.
/// </summary>
public static class Joiner
{
    const int IPv4Size = IPv4Header.MinSize, TcpMinSize = 20, MinSize = IPv4Size + TcpMinSize;
    const int IdentificationAt = 4, FragmentAt = 6, ChecksumAt = 10, AddressesAt = 12;
    const int SequenceAt = IPv4Size + 4, AcknowledgementAt = IPv4Size + 8, DataOffsetAt = IPv4Size + 12, FlagsAt = IPv4Size + 13, WindowAt = IPv4Size + 14, TcpChecksumAt = IPv4Size + 16, UrgentAt = IPv4Size + 18;

    /// <summary>How many packets from this one on are to go as one; 1 where it goes alone.</summary>
    public static int Run(PacketBatch batch, int first)
    {
        Span<byte> head = batch.Bytes(first);
        if (batch[first].FragmentSize != 0 || !IsSegment(head) || Flags(head) != TcpFlags.Ack) return 1;
        int headers = IPv4Size + (head[DataOffsetAt] >> 4) * 4, size = head.Length - headers, total = head.Length, count = 1;
        while (first + count < batch.Count)
        {
            ref PacketSlot slot = ref batch[first + count];
            Span<byte> next = batch.Bytes(first + count);
            int payload = next.Length - headers;
            if (!slot.Verdict.Sends || slot.FragmentSize != 0 || !IsSegment(next) || payload <= 0 || payload > size || total + payload > ushort.MaxValue) break;
            if (!IsAlike(head, next, headers) || !Follows(head, next, count, total - headers)) break;
            if (count == 1 && !HasValidChecksum(head) || !HasValidChecksum(next)) break;
            total += payload;
            count++;
            if (payload < size || Flags(next) != TcpFlags.Ack) break;
        }

        return count;
    }

    /// <summary>Whole, with its payload, and nothing unusual about it.</summary>
    static bool IsSegment(ReadOnlySpan<byte> packet) =>
        packet.Length > MinSize && packet[0] == 0x45 && (IpProtocol)packet[9] == IpProtocol.Tcp
        && (BinaryPrimitives.ReadUInt16BigEndian(packet[FragmentAt..]) & 0x3fff) == 0 && BinaryPrimitives.ReadUInt16BigEndian(packet[2..]) == packet.Length
        && packet[DataOffsetAt] >> 4 is >= 5 and var words && packet.Length > IPv4Size + words * 4;

    static TcpFlags Flags(ReadOnlySpan<byte> packet) => (TcpFlags)packet[FlagsAt];

    /// <summary>Service, fragmentation, TTL, addresses, ports, acknowledgement, window and options are the same; FIN and PSH may be the last one's.</summary>
    static bool IsAlike(ReadOnlySpan<byte> head, ReadOnlySpan<byte> next, int headers) =>
        head[1] == next[1] && head[FragmentAt] == next[FragmentAt] && head[8] == next[8]
        && head[AddressesAt..SequenceAt].SequenceEqual(next[AddressesAt..SequenceAt])
        && head[AcknowledgementAt..FlagsAt].SequenceEqual(next[AcknowledgementAt..FlagsAt])
        && (Flags(next) & ~(TcpFlags.Fin | TcpFlags.Psh)) == TcpFlags.Ack
        && head[WindowAt..TcpChecksumAt].SequenceEqual(next[WindowAt..TcpChecksumAt])
        && head[UrgentAt..headers].SequenceEqual(next[UrgentAt..headers]);

    /// <summary>Its numbers are those that the kernel would give it.</summary>
    static bool Follows(ReadOnlySpan<byte> head, ReadOnlySpan<byte> next, int number, int octets) =>
        BinaryPrimitives.ReadUInt32BigEndian(next[SequenceAt..]) == BinaryPrimitives.ReadUInt32BigEndian(head[SequenceAt..]) + (uint)octets
        && BinaryPrimitives.ReadUInt16BigEndian(next[IdentificationAt..]) == (ushort)(BinaryPrimitives.ReadUInt16BigEndian(head[IdentificationAt..]) + number);

    static bool HasValidChecksum(ReadOnlySpan<byte> packet) => Checksum.Of(packet[IPv4Size..], PseudoHeader(packet, packet.Length)) == 0;

    /// <summary>Protocol and length, and the sum of both addresses.</summary>
    static uint PseudoHeader(ReadOnlySpan<byte> packet, int length) => Checksum.Sum(packet[AddressesAt..IPv4Size], (uint)IpProtocol.Tcp + (uint)(length - IPv4Size));

    /// <summary>Makes the first packet of a run the head of all; of the others, what is behind <see cref="OffloadHeader.HeadersLength"/> is to be sent behind it.</summary>
    public static OffloadHeader Join(PacketBatch batch, int first, int count)
    {
        Span<byte> head = batch.Bytes(first);
        int headers = IPv4Size + (head[DataOffsetAt] >> 4) * 4, size = head.Length - headers, length = head.Length;
        for (int i = 1; i < count; i++) length += batch[first + i].Length - headers;
        head[FlagsAt] |= batch.Bytes(first + count - 1)[FlagsAt];
        BinaryPrimitives.WriteUInt16BigEndian(head[2..], (ushort)length);
        BinaryPrimitives.WriteUInt16BigEndian(head[ChecksumAt..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(head[ChecksumAt..], Checksum.Of(head[..IPv4Size]));
        BinaryPrimitives.WriteUInt16BigEndian(head[TcpChecksumAt..], Checksum.Fold(PseudoHeader(head, length)));
        return new OffloadHeader(OffloadFlags.NeedsChecksum, OffloadType.TcpV4, (ushort)headers, (ushort)size, IPv4Size, TcpChecksumAt - IPv4Size);
    }
}
