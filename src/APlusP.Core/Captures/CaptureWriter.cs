using System.Buffers.Binary;

namespace APlusP.Core.Captures;

/// <summary>Writes IP packets as a pcap file of link type 101 (raw IP), little endian.</summary>
public sealed class CaptureWriter : IDisposable
{
    const int RawIP = 101;

    readonly Stream _stream;
    readonly bool _nanoseconds;

    /// <summary>Writes the header. The writer owns the stream from here on.</summary>
    /// <param name="stream">Buffered by its maker.</param>
    /// <param name="nanoseconds">Whether timestamps are kept to the nanosecond; else they are cut to the microsecond.</param>
    public CaptureWriter(Stream stream, bool nanoseconds)
    {
        _stream = stream;
        _nanoseconds = nanoseconds;
        Span<byte> header = stackalloc byte[24];
        BinaryPrimitives.WriteUInt32LittleEndian(header, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], 4);
        header[8..16].Clear();
        BinaryPrimitives.WriteInt32LittleEndian(header[16..], PcapFormat.MaxFrame);
        BinaryPrimitives.WriteInt32LittleEndian(header[20..], RawIP);
        _stream.Write(header);
    }

    /// <summary>Packets written.</summary>
    public long Packets { get; private set; }

    /// <param name="packet">From the IP header on, at most 262144 octets.</param>
    /// <param name="timestamp">Nanoseconds since 1970-01-01 UTC; the format's seconds end in 2106.</param>
    public void Write(ReadOnlySpan<byte> packet, long timestamp)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(packet.Length, PcapFormat.MaxFrame);
        ArgumentOutOfRangeException.ThrowIfNegative(timestamp);
        (long seconds, long fraction) = Math.DivRem(timestamp, 1_000_000_000);
        Span<byte> header = stackalloc byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)Math.Min(seconds, uint.MaxValue));
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], (uint)(_nanoseconds ? fraction : fraction / 1000));
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], packet.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], packet.Length);
        _stream.Write(header);
        _stream.Write(packet);
        Packets++;
    }

    public void Dispose() => _stream.Dispose();
}
