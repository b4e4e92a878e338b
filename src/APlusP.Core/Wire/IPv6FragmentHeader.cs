using System.Runtime.InteropServices;

namespace APlusP.Core.Wire;

/// <summary>The fragment header of IPv6, RFC 8200 section 4.5.</summary>
/// <remarks>
/// <code>
///   0                   1                   2                   3
///   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///  |  Next Header  |   Reserved    |      Fragment Offset    |Res|M|
///  |                         Identification                        |
/// </code>
/// </remarks>
public readonly ref struct IPv6FragmentHeader
{
    public const int Size = 8;

    readonly ref byte _at;

    IPv6FragmentHeader(ref byte at) => _at = ref at;

    public static bool TryRead(Span<byte> bytes, out IPv6FragmentHeader header)
    {
        header = new IPv6FragmentHeader(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= Size;
    }

    public IpProtocol NextHeader => (IpProtocol)_at;

    /// <summary>Where the fragment's octets stand in the fragmentable part of the whole packet; a multiple of 8.</summary>
    public int Offset => BigEndian.Read16(ref _at, 2) & 0xfff8;

    public bool MoreFragments => (BigEndian.Read16(ref _at, 2) & 1) != 0;

    public uint Identification => BigEndian.Read32(ref _at, 4);

    public static void Write(Span<byte> bytes, IpProtocol nextHeader, int offset, bool moreFragments, uint identification)
    {
        ref byte at = ref MemoryMarshal.GetReference(bytes[..Size]);
        BigEndian.Write32(ref at, 0, (uint)nextHeader << 24 | (uint)offset | (moreFragments ? 1u : 0));
        BigEndian.Write32(ref at, 4, identification);
    }
}
