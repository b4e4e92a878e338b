using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace APlusP.Core.Wire;

/// <summary>Fields in network order behind a reference that a view has checked. The only unsafe code of the wire formats.</summary>
static class BigEndian
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Read16(ref readonly byte at, int offset) =>
        BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<ushort>(ref Unsafe.Add(ref Unsafe.AsRef(in at), offset)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Read32(ref readonly byte at, int offset) =>
        BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref Unsafe.AsRef(in at), offset)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt128 Read128(ref readonly byte at, int offset) => new(
        BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref Unsafe.AsRef(in at), offset))),
        BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref Unsafe.AsRef(in at), offset + 8))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write16(ref byte at, int offset, ushort value) =>
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref at, offset), BinaryPrimitives.ReverseEndianness(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write32(ref byte at, int offset, uint value) =>
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref at, offset), BinaryPrimitives.ReverseEndianness(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write128(ref byte at, int offset, UInt128 value)
    {
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref at, offset), BinaryPrimitives.ReverseEndianness((ulong)(value >> 64)));
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref at, offset + 8), BinaryPrimitives.ReverseEndianness((ulong)value));
    }
}
