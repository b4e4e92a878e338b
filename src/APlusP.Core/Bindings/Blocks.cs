using System.Numerics;

namespace APlusP.Core.Bindings;

/// <summary>
/// Blocks of 2^n places in a growing array. What is freed is used again for blocks of the same size, so an array grows to at most
/// the sum of what each size once needed.
/// </summary>
public sealed class Blocks
{
    readonly Stack<int>?[] _free = new Stack<int>?[32];

    /// <summary>Places handed out from the front of the array so far.</summary>
    public int Top { get; private set; }

    /// <summary>The n of the smallest block that holds so many.</summary>
    public static int ExponentFor(int count) => count <= 1 ? 0 : BitOperations.Log2((uint)count * 2 - 1);

    /// <summary>The first place of a block.</summary>
    public int Take(int exponent)
    {
        if (_free[exponent] is { Count: > 0 } free) return free.Pop();
        int start = Top;
        Top += 1 << exponent;
        return start;
    }

    /// <summary>Whether <see cref="Take"/> gives a block that ends within this many places.</summary>
    public bool HasRoom(int exponent, int places) => _free[exponent] is { Count: > 0 } || Top + (1 << exponent) <= places;

    public void Free(int start, int exponent) => (_free[exponent] ??= new Stack<int>()).Push(start);
}
