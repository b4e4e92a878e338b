using System.Runtime.CompilerServices;

namespace APlusP.Core.Forwarding;

/// <summary>A short keyed mix of numbers: what it gives cannot be foretold without the key from outside, and takes two multiplications.</summary>
static class Mix
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(ulong key, ulong a, ulong b = 0)
    {
        ulong high = Math.BigMul(a ^ key, (b ^ 0x9E3779B97F4A7C15) + key, out ulong low);
        ulong mixed = (high ^ low ^ a) * (key | 1);
        return (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93;
    }
}
