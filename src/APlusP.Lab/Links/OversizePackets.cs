using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;

namespace APlusP.Lab.Links;

/// <summary>The addresses from which an emulated link tells that a packet is too big, as a router in its place would.</summary>
public readonly record struct HopAddresses(IPv6Address? V6, IPv4Address? V4);

/// <summary>What a router does with a packet that is larger than the MTU of the next link, done to Ethernet frames.</summary>
sealed class OversizePackets
{
    public const int EthernetHeader = 14;

    const int TypeIPv4 = 0x0800, TypeIPv6 = 0x86dd;

    // The room for one packet and the error around it; only as much of a packet is copied as an error holds.
    readonly PacketBatch _batch = new(1, 2048);
    byte[] _fragment = [];

    /// <summary>
    /// How many fragments carry the packet of a frame over a link of this MTU, or 0 where it must not be fragmented: IPv6 never is by a
    /// router (RFC 8200 section 5), IPv4 not with DF (RFC 791), and one with options is left alone, since which of them to copy depends on each.
    /// </summary>
    public int CountFragments(Span<byte> frame, int mtu)
    {
        if (!TryReadIPv4(frame, out IPv4Header header) || header.DontFragment || header.Size != IPv4Header.MinSize) return 0;
        return (header.TotalLength - header.Size + PayloadOfFragment(mtu) - 1) / PayloadOfFragment(mtu);
    }

    /// <summary>A fragment of a packet that <see cref="CountFragments"/> allowed, with its Ethernet header; valid until the next call.</summary>
    public ReadOnlySpan<byte> Fragment(Span<byte> frame, int mtu, int number)
    {
        TryReadIPv4(frame, out IPv4Header header);
        int start = number * PayloadOfFragment(mtu), payload = header.TotalLength - header.Size;
        int size = Math.Min(PayloadOfFragment(mtu), payload - start);
        const int headers = EthernetHeader + IPv4Header.MinSize;
        if (_fragment.Length < headers + size) _fragment = new byte[headers + size];
        frame[..headers].CopyTo(_fragment);
        frame.Slice(headers + start, size).CopyTo(_fragment.AsSpan(headers));

        Span<byte> ip = _fragment.AsSpan(EthernetHeader, IPv4Header.MinSize);
        int flags = BinaryPrimitives.ReadUInt16BigEndian(ip[6..]);
        bool more = (flags & 0x2000) != 0 || start + size < payload;
        BinaryPrimitives.WriteUInt16BigEndian(ip[2..], (ushort)(IPv4Header.MinSize + size));
        BinaryPrimitives.WriteUInt16BigEndian(ip[6..], (ushort)((more ? 0x2000 : 0) | ((flags & 0x1fff) + start / 8)));
        BinaryPrimitives.WriteUInt16BigEndian(ip[10..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(ip[10..], Checksum.Of(ip));
        return _fragment.AsSpan(0, headers + size);
    }

    // A fragment's payload is a multiple of 8 octets but for the last, RFC 791.
    static int PayloadOfFragment(int mtu) => (mtu - IPv4Header.MinSize) / 8 * 8;

    /// <summary>The frame that tells the sender (RFC 4443 section 3.2, RFC 1191 section 4), or nothing where none may be told; valid until the next call.</summary>
    public ReadOnlySpan<byte> Answer(Span<byte> frame, int mtu, HopAddresses hop)
    {
        Span<byte> packet = frame[EthernetHeader..];
        _batch.Clear();
        switch (EtherType(frame))
        {
            case TypeIPv6 when hop.V6 is { } self && IPv6Header.TryRead(packet, out IPv6Header v6) && MayTell(packet, v6):
                _batch.TryAdd(packet[..Math.Min(packet.Length, _batch.MaxPacket)], default);
                IcmpErrors.WriteV6(_batch, 0, IcmpV6Type.PacketTooBig, 0, hopLimit: 64, self, v6.Source, (uint)mtu);
                break;
            case TypeIPv4 when hop.V4 is { } self && IPv4Header.TryRead(packet, out IPv4Header v4) && v4.DontFragment && IcmpErrors.MayTellSender(packet, v4):
                _batch.TryAdd(packet[..Math.Min(packet.Length, _batch.MaxPacket)], default);
                IcmpErrors.WriteV4(_batch, 0, IcmpV4Type.DestinationUnreachable, IcmpV4Header.FragmentationNeeded, self, v4.Source, (uint)mtu);
                break;
            default:
                return default;
        }

        // Back to the station that sent it, from the one that it was for.
        Span<byte> answer = _batch.Prepend(0, EthernetHeader);
        frame[6..12].CopyTo(answer);
        frame[..6].CopyTo(answer[6..]);
        frame[12..14].CopyTo(answer[12..]);
        return answer;
    }

    /// <summary>Whether a frame holds a Packet Too Big or a "fragmentation needed".</summary>
    public static bool IsTooBigMessage(Span<byte> frame)
    {
        if (frame.Length < EthernetHeader) return false;
        Span<byte> packet = frame[EthernetHeader..];
        if (EtherType(frame) == TypeIPv6)
            return IPv6Header.TryRead(packet, out IPv6Header v6) && v6.NextHeader == IpProtocol.IcmpV6
                && IcmpV6Header.TryRead(packet[IPv6Header.Size..], out IcmpV6Header icmpV6) && icmpV6.Type == IcmpV6Type.PacketTooBig;
        return TryReadIPv4(frame, out IPv4Header v4) && v4.Protocol == IpProtocol.Icmp && !v4.IsLaterFragment
            && IcmpV4Header.TryRead(packet[v4.Size..v4.TotalLength], out IcmpV4Header icmp)
            && icmp.Type == IcmpV4Type.DestinationUnreachable && icmp.Code == IcmpV4Header.FragmentationNeeded;
    }

    // No error about an error, and none to whom nothing can be sent, RFC 4443 section 2.4 (e).
    static bool MayTell(Span<byte> packet, in IPv6Header header) =>
        header.Source.IsUnicast && (header.NextHeader != IpProtocol.IcmpV6
            || (IcmpV6Header.TryRead(packet[IPv6Header.Size..], out IcmpV6Header icmp) && !icmp.IsError));

    static bool TryReadIPv4(Span<byte> frame, out IPv4Header header)
    {
        header = default;
        return frame.Length > EthernetHeader && EtherType(frame) == TypeIPv4 && IPv4Header.TryRead(frame[EthernetHeader..], out header);
    }

    static int EtherType(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadUInt16BigEndian(frame[12..]);
}
