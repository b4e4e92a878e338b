namespace APlusP.Core.Forwarding.Fragments;

/// <summary>Octets that wait, in small blocks of one allocation, so that short ones cost little and long ones fit.</summary>
sealed class PacketShelf(int octets)
{
    const int BlockSize = 512;

    readonly byte[] _memory = new byte[Blocks(octets) * BlockSize];
    readonly int[] _next = new int[Blocks(octets) + 1];
    readonly EntryPool _free = new(Blocks(octets));
    readonly int _capacity = Blocks(octets);

    /// <summary>Blocks that so many octets take.</summary>
    public static int Blocks(int octets) => Math.Max(1, (octets + BlockSize - 1) / BlockSize);

    public static long Octets(int blocks) => (long)blocks * BlockSize;

    /// <summary>Blocks in all.</summary>
    public int Capacity => _capacity;

    public int BlocksUsed => _free.Used;

    public int BlocksLeft => _free.Left;

    /// <summary>Whether this many octets find room now.</summary>
    public bool HasRoom(int length) => Blocks(length) <= BlocksLeft;

    /// <summary>Whether they would if everything else were gone.</summary>
    public bool Fits(int length) => Blocks(length) <= _capacity;

    /// <summary>Puts octets down where <see cref="HasRoom"/>, and gives their place.</summary>
    public int Put(ReadOnlySpan<byte> octets)
    {
        int first = 0, last = 0;
        do
        {
            int block = _free.Take();
            _next[block] = 0;
            if (last == 0) first = block;
            else _next[last] = block;
            last = block;
            int length = Math.Min(BlockSize, octets.Length);
            octets[..length].CopyTo(Memory(block));
            octets = octets[length..];
        }
        while (!octets.IsEmpty);
        return first;
    }

    /// <summary>Copies what lies at a place, but for its first octets; <paramref name="to"/> is as long as the rest.</summary>
    public void Read(int place, Span<byte> to, int from = 0)
    {
        for (; from >= BlockSize; from -= BlockSize) place = _next[place];
        for (; !to.IsEmpty; place = _next[place])
        {
            int length = Math.Min(BlockSize - from, to.Length);
            Memory(place).Slice(from, length).CopyTo(to);
            to = to[length..];
            from = 0;
        }
    }

    public void Remove(int place)
    {
        while (place != 0)
        {
            int next = _next[place];
            _free.GiveBack(place);
            place = next;
        }
    }

    Span<byte> Memory(int block) => _memory.AsSpan((block - 1) * BlockSize, BlockSize);
}
