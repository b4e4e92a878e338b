using System.Buffers.Binary;
using APlusP.Core.Wire;

namespace APlusP.Core.Devices;

/// <summary>
/// Takes what the kernel hands over under segmentation offload, and cuts it into the packets that it stands for: those that the kernel would have sent without, octet for octet. A data plane
/// sees each of them, so that one that is too large for its path is found out.
/// </summary>
public sealed class Segmenter
{
    const int TcpMinSize = 20, SequenceAt = 4, DataOffsetAt = 12, FlagsAt = 13, TcpChecksumAt = 16;
    const byte Cwr = 0x80, OnlyLast = (byte)(TcpFlags.Fin | TcpFlags.Psh);

    readonly byte[] _memory = GC.AllocateArray<byte>(OffloadHeader.Size + ushort.MaxValue, pinned: true);

    // Octets of the packet, of its headers and of the payload of a part; a packet that is not cut has no parts.
    int _length, _headers, _segment, _taken;

    /// <summary>Where the kernel writes the next packet, its <see cref="OffloadHeader"/> first.</summary>
    public Span<byte> Room => _memory;

    /// <summary>Whether there is something to take.</summary>
    public bool HasMore => _length > 0;

    Span<byte> Packet => _memory.AsSpan(OffloadHeader.Size, _length);

    /// <summary>Says that so many octets have been written into <see cref="Room"/>.</summary>
    public void Received(int octets)
    {
        _length = octets - OffloadHeader.Size;
        (_segment, _taken) = (0, 0);
        if (_length <= 0)
        {
            _length = 0;
            return;
        }

        var header = OffloadHeader.Read(_memory);
        if (header.IsTcpV4 && FindPayload(Packet, header.SegmentSize)) return;
        if (header.NeedsChecksum) Complete(Packet, header.ChecksumStart, header.ChecksumOffset);
    }

    /// <summary>Where the payload of a packet that is to be cut begins; false where one part holds all of it.</summary>
    bool FindPayload(Span<byte> packet, int segment)
    {
        if (segment == 0 || !IPv4Header.TryRead(packet, out IPv4Header ip) || ip.Protocol != IpProtocol.Tcp || packet.Length < ip.Size + TcpMinSize) return false;
        _headers = ip.Size + (packet[ip.Size + DataOffsetAt] >> 4) * 4;
        if (_headers < ip.Size + TcpMinSize || packet.Length - _headers <= segment) return false;
        _segment = segment;
        return true;
    }

    /// <summary>Makes the checksum of a packet whose sender left it to the device.</summary>
    static void Complete(Span<byte> packet, int start, int offset)
    {
        if (start + offset + sizeof(ushort) > packet.Length) return;
        ushort checksum = Checksum.Of(packet[start..]);

        // Of UDP, 0 would say that there is none (RFC 768); to all others both are the same.
        BinaryPrimitives.WriteUInt16BigEndian(packet[(start + offset)..], checksum == 0 ? ushort.MaxValue : checksum);
    }

    /// <summary>Adds the next packet to a batch that has room.</summary>
    public void TakeNext(PacketBatch batch, Origin ipv4, Origin ipv6)
    {
        Origin origin = Packet[0] >> 4 == 4 ? ipv4 : ipv6;
        if (_segment == 0)
        {
            batch.TryAdd(Packet, origin);
            _length = 0;
            return;
        }

        int payload = Math.Min(_segment, _length - _headers - _taken);
        Span<byte> part = batch.Receive(batch.Count)[..(_headers + payload)];
        Packet[.._headers].CopyTo(part);
        Packet.Slice(_headers + _taken, payload).CopyTo(part[_headers..]);
        bool isLast = _headers + _taken + payload == _length;
        WriteHeaders(part, _taken / _segment, isLast);
        batch.Received(batch.Count, part.Length, origin);
        batch.Count++;
        _taken += payload;
        if (isLast) _length = 0;
    }

    /// <summary>As RFC 9293 and the kernel have it: identification and sequence number go on, FIN and PSH are the last part's, CWR the first's.</summary>
    void WriteHeaders(Span<byte> part, int number, bool isLast)
    {
        IPv4Header.TryReadEmbedded(part, out IPv4Header ip);
        ip.TotalLength = (ushort)part.Length;
        ip.Identification += (ushort)number;
        Span<byte> tcp = part[ip.Size..];
        uint sequence = BinaryPrimitives.ReadUInt32BigEndian(tcp[SequenceAt..]);
        BinaryPrimitives.WriteUInt32BigEndian(tcp[SequenceAt..], sequence + (uint)_taken);
        if (!isLast) tcp[FlagsAt] &= unchecked((byte)~OnlyLast);
        if (number > 0) tcp[FlagsAt] &= unchecked((byte)~Cwr);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[TcpChecksumAt..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[TcpChecksumAt..], Checksum.Of(tcp, Checksum.PseudoHeader(ip.Source, ip.Destination, IpProtocol.Tcp, tcp.Length)));
    }
}
