namespace APlusP.Core.PortSets;

/// <summary>
/// A port set told by its identifier, RFC 7597 section 5.1: ports whose bits a to a+k are the PSID, in every block but the first
/// where a is above 0.
/// </summary>
/// <remarks>
/// <code>
///   0                   1
///   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
///  +-----------+-----------+-------+
///  |     A     |    PSID   |   j   |
///  +-----------+-----------+-------+
///  |  a bits   |  k bits   |m bits |      A > 0 where a > 0
/// </code>
/// </remarks>
/// <param name="Offset">a, the PSID offset, 0 to 15.</param>
/// <param name="Length">k, the PSID length, 0 to 16 - a. At 0 the set is the whole address, whatever the offset.</param>
/// <param name="Value">The PSID, 0 to 2^k - 1.</param>
public readonly record struct Psid(int Offset, int Length, int Value)
{
    /// <summary>Contiguous bits, m.</summary>
    public int ContiguousLength => 16 - Offset - Length;

    /// <summary>What is wrong with these numbers, or null.</summary>
    public string? Fault =>
        Offset is < 0 or > 15 ? $"the PSID offset {Offset} is not from 0 to 15"
        : Length < 0 || Length > 16 - Offset ? $"the PSID length {Length} is not from 0 to {16 - Offset} (16 less the offset {Offset})"
        : Value < 0 || Value >= 1 << Length ? $"the PSID {Value} is not from 0 to {(1 << Length) - 1}, which is what {Length} bits can say"
        : null;

    public bool Contains(ushort port) =>
        Length == 0 || ((port >> ContiguousLength & (1 << Length) - 1) == Value && (Offset == 0 || port >> (16 - Offset) != 0));

    /// <summary>Whether a port of the range is in the set.</summary>
    public bool Overlaps(PortRange range)
    {
        if (Length == 0) return true;
        int blockSize = 1 << (16 - Offset);
        int block = Math.Max(range.First / blockSize, Offset == 0 ? 0 : 1);
        // The set has one piece in each block: if the range misses that of its first block and begins before that of the next, it
        // ends before it too, or overlaps it.
        for (int last = Math.Min(block + 1, (1 << Offset) - 1); block <= last; block++)
        {
            int first = block * blockSize + (Value << ContiguousLength);
            if (first <= range.Last && range.First < first + (1 << ContiguousLength)) return true;
        }

        return false;
    }

    /// <summary>Ports in the set.</summary>
    public int Count => Length == 0 ? 65536 : (Offset == 0 ? 1 : (1 << Offset) - 1) << ContiguousLength;

    public override string ToString() => $"offset={Offset},length={Length},psid={Value}";
}
