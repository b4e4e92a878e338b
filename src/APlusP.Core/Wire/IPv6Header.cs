using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using APlusP.Core.Addresses;

namespace APlusP.Core.Wire;

/// <summary>The IPv6 header, RFC 8200 section 3.</summary>
/// <remarks>
/// <code>
///   0                   1                   2                   3
///   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///  |Version| Traffic Class |             Flow Label                |
///  |         Payload Length        |  Next Header  |   Hop Limit   |
///  |                     Source Address (128)                      |
///  |                   Destination Address (128)                   |
/// </code>
/// </remarks>
public readonly ref struct IPv6Header
{
    public const int Size = 40;

    readonly ref byte _at;

    IPv6Header(ref byte at) => _at = ref at;

    /// <summary>Checks that the octets begin with an IPv6 header and hold as much as its payload length says.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead(Span<byte> bytes, out IPv6Header header)
    {
        header = new IPv6Header(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= Size && header.Version == 6 && Size + header.PayloadLength <= bytes.Length;
    }

    /// <summary>As <see cref="TryRead"/>, for a packet of which only the beginning is there, as in an ICMPv6 error.</summary>
    public static bool TryReadCut(Span<byte> bytes, out IPv6Header header)
    {
        header = new IPv6Header(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= Size && header.Version == 6;
    }

    public int Version => _at >> 4;

    public byte TrafficClass => (byte)(BigEndian.Read16(ref _at, 0) >> 4);

    public uint FlowLabel => BigEndian.Read32(ref _at, 0) & 0xfffff;

    public ushort PayloadLength
    {
        get => BigEndian.Read16(ref _at, 4);
        set => BigEndian.Write16(ref _at, 4, value);
    }

    public IpProtocol NextHeader
    {
        get => (IpProtocol)Unsafe.Add(ref _at, 6);
        set => Unsafe.Add(ref _at, 6) = (byte)value;
    }

    public byte HopLimit => Unsafe.Add(ref _at, 7);

    public IPv6Address Source => new(BigEndian.Read128(ref _at, 8));

    public IPv6Address Destination => new(BigEndian.Read128(ref _at, 24));

    /// <summary>Writes a header.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(Span<byte> bytes, byte trafficClass, int payloadLength, IpProtocol nextHeader, byte hopLimit,
        IPv6Address source, IPv6Address destination, uint flowLabel = 0)
    {
        ref byte at = ref MemoryMarshal.GetReference(bytes[..Size]);
        BigEndian.Write32(ref at, 0, 0x60000000u | (uint)trafficClass << 20 | flowLabel);
        BigEndian.Write32(ref at, 4, (uint)payloadLength << 16 | (uint)nextHeader << 8 | hopLimit);
        BigEndian.Write128(ref at, 8, source.Value);
        BigEndian.Write128(ref at, 24, destination.Value);
    }
}
