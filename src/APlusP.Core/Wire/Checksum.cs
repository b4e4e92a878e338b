using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using APlusP.Core.Addresses;

namespace APlusP.Core.Wire;

/// <summary>The Internet checksum: the ones' complement of the ones' complement sum of 16-bit words, RFC 1071.</summary>
public static class Checksum
{
    /// <summary>The checksum of these octets; 0 where they contain their own right checksum.</summary>
    public static ushort Of(ReadOnlySpan<byte> bytes, uint sum = 0) => (ushort)~Fold(Sum(bytes, sum));

    /// <summary>Adds octets to a running sum. Every part but the last must have an even length.</summary>
    public static uint Sum(ReadOnlySpan<byte> bytes, uint sum = 0)
    {
        ulong wide = sum;
        if (bytes.Length >= LongEnough)
        {
            wide += SumOfVectors(bytes[..(bytes.Length / Vector128<byte>.Count * Vector128<byte>.Count)]);
            bytes = bytes[(bytes.Length / Vector128<byte>.Count * Vector128<byte>.Count)..];
        }

        while (bytes.Length >= 4)
        {
            wide += BinaryPrimitives.ReadUInt32BigEndian(bytes);
            bytes = bytes[4..];
        }

        if (bytes.Length >= 2)
        {
            wide += BinaryPrimitives.ReadUInt16BigEndian(bytes);
            bytes = bytes[2..];
        }

        if (bytes.Length == 1) wide += (uint)bytes[0] << 8;
        wide = (wide & 0xffffffff) + (wide >> 32);
        wide = (wide & 0xffffffff) + (wide >> 32);
        return Fold((uint)wide);
    }

    /// <summary>Where vectors begin to pay.</summary>
    const int LongEnough = 64;

    /// <summary>The sum does not depend on the order of octets, as long as it is the same throughout (RFC 1071 section 2 (B)): here it is the machine's.</summary>
    static ushort SumOfVectors(ReadOnlySpan<byte> bytes)
    {
        Vector128<ulong> even = default, odd = default;
        foreach (Vector128<uint> words in MemoryMarshal.Cast<byte, Vector128<uint>>(bytes))
        {
            (Vector128<ulong> low, Vector128<ulong> high) = Vector128.Widen(words);
            even += low;
            odd += high;
        }

        ulong sum = Vector128.Sum(even + odd);
        sum = (sum & 0xffffffff) + (sum >> 32);
        return BinaryPrimitives.ReverseEndianness(Fold((uint)((sum & 0xffff) + (sum >> 16))));
    }

    /// <summary>Folds a running sum into 16 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Fold(uint sum)
    {
        sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)(sum + (sum >> 16));
    }

    /// <summary>The running sum of the pseudo header of TCP and UDP over IPv4, RFC 9293 section 3.1.</summary>
    public static uint PseudoHeader(IPv4Address source, IPv4Address destination, IpProtocol protocol, int length) =>
        Fold(source.Value) + (uint)Fold(destination.Value) + (uint)protocol + (uint)length;

    /// <summary>The running sum of the pseudo header over IPv6, RFC 8200 section 8.1.</summary>
    public static uint PseudoHeader(IPv6Address source, IPv6Address destination, IpProtocol protocol, int length) =>
        SumOf(source.Value) + SumOf(destination.Value) + (uint)protocol + (uint)length;

    static uint SumOf(UInt128 value) =>
        Fold((uint)value) + (uint)Fold((uint)(value >> 32)) + Fold((uint)(value >> 64)) + Fold((uint)(value >> 96));

    /// <summary>The checksum after a 16-bit word changed, RFC 1624 equation 3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Update(ushort checksum, ushort old, ushort now) =>
        (ushort)~Fold((uint)(ushort)~checksum + (ushort)~old + now);

    /// <summary>The checksum after a 32-bit word changed.</summary>
    public static ushort Update(ushort checksum, uint old, uint now) =>
        Update(Update(checksum, (ushort)(old >> 16), (ushort)(now >> 16)), (ushort)old, (ushort)now);
}
