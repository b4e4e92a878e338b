using System.Buffers.Binary;

namespace APlusP.Tests.Captures;

/// <summary>Puts capture files together octet by octet, in either byte order, apart from the code under test.</summary>
sealed class CaptureBytes(bool bigEndian)
{
    readonly List<byte> _bytes = [];

    public CaptureBytes U16(int value)
    {
        Span<byte> bytes = stackalloc byte[2];
        if (bigEndian) BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)value);
        else BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)value);
        return Raw(bytes);
    }

    public CaptureBytes U32(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        if (bigEndian) BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        else BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return Raw(bytes);
    }

    public CaptureBytes Raw(ReadOnlySpan<byte> bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    public CaptureBytes PcapHeader(uint magic, int linkType) => U32(magic).U16(2).U16(4).U32(0).U32(0).U32(65535).U32((uint)linkType);

    public CaptureBytes PcapRecord(uint seconds, uint fraction, ReadOnlySpan<byte> frame, int original = -1) =>
        U32(seconds).U32(fraction).U32((uint)frame.Length).U32((uint)(original < 0 ? frame.Length : original)).Raw(frame);

    public CaptureBytes Section() => Block(0x0a0d0d0a, new CaptureBytes(bigEndian).U32(0x1a2b3c4d).U16(1).U16(0).U32(uint.MaxValue).U32(uint.MaxValue));

    public CaptureBytes Interface(int linkType, byte? resolution = null, uint snapLength = 0)
    {
        CaptureBytes body = new CaptureBytes(bigEndian).U16(linkType).U16(0).U32(snapLength);
        if (resolution is { } power) body.U16(2).U16(3).Raw("lo0\0"u8).U16(9).U16(1).Raw([power, 0, 0, 0]).U16(0).U16(0);
        return Block(1, body);
    }

    public CaptureBytes Enhanced(uint device, ulong ticks, ReadOnlySpan<byte> frame, int original = -1)
    {
        CaptureBytes body = new CaptureBytes(bigEndian).U32(device).U32((uint)(ticks >> 32)).U32((uint)ticks)
            .U32((uint)frame.Length).U32((uint)(original < 0 ? frame.Length : original)).Raw(frame);
        return Block(6, body.Pad());
    }

    public CaptureBytes Simple(ReadOnlySpan<byte> frame, int original) => Block(3, new CaptureBytes(bigEndian).U32((uint)original).Raw(frame).Pad());

    public CaptureBytes Block(uint type, CaptureBytes body)
    {
        uint length = (uint)body._bytes.Count + 12;
        return U32(type).U32(length).Raw(body.ToArray()).U32(length);
    }

    public CaptureBytes Pad()
    {
        while (_bytes.Count % 4 != 0) _bytes.Add(0);
        return this;
    }

    public byte[] ToArray() => [.. _bytes];
}
