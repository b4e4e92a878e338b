using System.Numerics;

namespace APlusP.Core.Forwarding;

/// <summary>The heads of hash chains whose links lie in the entries themselves. Hashes are keyed, so that nobody outside can aim at one chain.</summary>
sealed class ChainTable(int entries, ulong key)
{
    readonly int[] _heads = new int[(int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, entries * 2))];

    /// <summary>Where the chain of these numbers begins.</summary>
    public ref int Head(ulong a, ulong b) => ref Head(HashOf(a, b));

    /// <summary>Where the chain of numbers with this hash begins.</summary>
    public ref int Head(uint hash) => ref _heads[(int)hash & (_heads.Length - 1)];

    /// <summary>A number of these that nobody foresees who does not know the key.</summary>
    public uint HashOf(ulong a, ulong b)
    {
        ulong high = Math.BigMul(a ^ key, b ^ 0x9E3779B97F4A7C15, out ulong low);
        return (uint)(((high ^ low) * 0xD6E8FEB86659FD93) >> 32);
    }

    public void Clear() => Array.Clear(_heads);
}

/// <summary>A fixed number of entries, numbered from 1, taken and given back.</summary>
sealed class EntryPool
{
    readonly int[] _free;
    int _count;

    public EntryPool(int capacity)
    {
        _free = new int[capacity];
        Reset();
    }

    public int Used => _free.Length - _count;

    public int Left => _count;

    public bool IsEmpty => _count == 0;

    public int Take() => _free[--_count];

    public void GiveBack(int entry) => _free[_count++] = entry;

    /// <summary>Has all entries free but these.</summary>
    public void Leave(ReadOnlySpan<bool> used)
    {
        _count = 0;
        for (int entry = _free.Length; entry > 0; entry--)
            if (!used[entry]) GiveBack(entry);
    }

    public void Reset()
    {
        _count = _free.Length;
        for (int i = 0; i < _count; i++) _free[i] = _count - i;
    }
}
