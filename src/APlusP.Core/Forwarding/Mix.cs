using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace APlusP.Core.Forwarding;

/// <summary>A short keyed mix of numbers: what it gives cannot be foretold without the key from outside, and takes two multiplications.</summary>
static class Mix
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(ulong key, ulong a, ulong b = 0)
    {
        ulong high = Multiply(a ^ key, (b ^ 0x9E3779B97F4A7C15) + key, out ulong low);
        ulong mixed = (high ^ low ^ a) * (key | 1);
        return (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93;
    }

    /// <summary>
    /// Math.BigMul, which is a call of a method of its own where the executable must run without BMI2, as ours must: homes have processors without it.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static ulong Multiply(ulong a, ulong b, out ulong low)
    {
        if (Bmi2.X64.IsSupported) return Math.BigMul(a, b, out low);
        ulong aLow = (uint)a, aHigh = a >> 32, bLow = (uint)b, bHigh = b >> 32;
        ulong middle = aHigh * bLow + (aLow * bLow >> 32), other = aLow * bHigh + (uint)middle;
        low = a * b;
        return aHigh * bHigh + (middle >> 32) + (other >> 32);
    }
}
