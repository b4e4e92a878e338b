using APlusP.Core.PortSets;

namespace APlusP.Registry.Allocation;

/// <summary>
/// How the ports of each address of a pool are divided into units, the least that a lease can be: blocks of so many ports, or the PSID sets of
/// one offset and length (RFC 7597 section 5.1). Units are counted from 0; no two have a port in common.
/// </summary>
public sealed class PoolLayout
{
    /// <summary>Ports that are given out unless the operator says otherwise: system ports are not (RFC 7596 section 5.1).</summary>
    public static PortSet WithoutSystemPorts { get; } = PortSet.FromRanges(new PortRange(1024, 65535));

    readonly PortRange[]? _blocks;
    readonly Psid _firstPsid;
    readonly string _text;

    PoolLayout(PortRange[] blocks, string text)
    {
        _blocks = blocks;
        _text = text;
        UnitCount = blocks.Length;
        UnitSize = blocks[0].Count;
    }

    PoolLayout(Psid first, string text)
    {
        _firstPsid = first;
        _text = text;
        UnitCount = (1 << first.Length) - first.Value;
        UnitSize = first.Count;
    }

    /// <summary>Units of each address.</summary>
    public int UnitCount { get; }

    /// <summary>Ports of a unit.</summary>
    public int UnitSize { get; }

    /// <summary>Blocks of <paramref name="size"/> ports out of those that are usable; what is left of a range at its end belongs to nobody.</summary>
    /// <exception cref="ArgumentException">Not one block fits; the message says why.</exception>
    public static PoolLayout Blocks(int size, PortSet usable)
    {
        if (size is < 1 or > 65536) throw new ArgumentException($"a block of {size} ports is not from 1 to 65536");
        var blocks = new List<PortRange>();
        foreach (PortRange range in usable.Ranges)
            for (int first = range.First; first + size - 1 <= range.Last; first += size) blocks.Add(new PortRange((ushort)first, (ushort)(first + size - 1)));
        if (blocks.Count == 0) throw new ArgumentException($"not one block of {size} ports fits into {usable}; write fewer ports");
        return new PoolLayout([.. blocks], $"blocks of {size} in {usable}");
    }

    /// <summary>All PSID sets of an offset and length. Without an offset, those that reach the system ports are left out.</summary>
    /// <exception cref="ArgumentException">No such PSIDs, or all reach the system ports; the message says why.</exception>
    public static PoolLayout Psids(int offset, int length, bool systemPorts)
    {
        var first = new Psid(offset, length, 0);
        if (first.Fault is { } fault) throw new ArgumentException(fault);
        if (!systemPorts && offset == 0) first = first with { Value = (1024 + (1 << first.ContiguousLength) - 1) >> first.ContiguousLength };
        if (!systemPorts && (offset > 6 || first.Value >= 1 << length))
            throw new ArgumentException($"with a PSID offset of {offset} and length of {length} every set reaches the system ports 0-1023; take an offset of 6, or allow system ports");
        return new PoolLayout(first, $"PSIDs of offset {offset} and length {length} from {first.Value}");
    }

    /// <summary>The PSID that a unit is, where units are PSIDs.</summary>
    public Psid? PsidOf(int unit) => _blocks is null ? _firstPsid with { Value = _firstPsid.Value + unit } : null;

    /// <summary>The ports of consecutive units, ascending and joined.</summary>
    public PortSet PortsOf(UnitRun run) => PortSet.FromRanges(Enumerable.Range(run.First, run.Count).SelectMany(RangesOf));

    /// <summary>The port set of one subscriber; a PSID where it is one.</summary>
    public PortSet PortsOf(IReadOnlyList<UnitRun> runs) =>
        _blocks is null && runs is [{ Count: 1 } only] && PsidOf(only.First) is { } psid
            ? PortSet.FromPsid(psid.Offset, psid.Length, psid.Value)
            : PortSet.FromRanges(runs.SelectMany(r => Enumerable.Range(r.First, r.Count)).SelectMany(RangesOf));

    IEnumerable<PortRange> RangesOf(int unit) =>
        PsidOf(unit) is { } psid ? PortSet.FromPsid(psid.Offset, psid.Length, psid.Value).Ranges : [_blocks![unit]];

    /// <summary>Units that have a port of the set, ascending.</summary>
    public IEnumerable<int> UnitsOf(PortSet ports)
    {
        for (int unit = 0; unit < UnitCount; unit++)
            if (RangesOf(unit).Any(range => ports.Ranges.Any(range.Overlaps))) yield return unit;
    }

    /// <summary>The end of the longest run of units from this one on whose ports are one range; the unit itself where its own ports are not.</summary>
    public int RangeEnd(int unit)
    {
        if (_blocks is null) return _firstPsid.Offset == 0 ? UnitCount : unit;
        int end = unit + 1;
        while (end < UnitCount && _blocks[end].First == _blocks[end - 1].Last + 1) end++;
        return end;
    }

    /// <summary>Units that a lease of so many ports takes.</summary>
    public int UnitsFor(int ports) => (ports + UnitSize - 1) / UnitSize;

    /// <summary>What tells one layout from another, in words.</summary>
    public override string ToString() => _text;
}

/// <summary>Consecutive units.</summary>
public readonly record struct UnitRun(int First, int Count)
{
    public int End => First + Count;

    /// <summary>Runs of ascending unit numbers.</summary>
    public static List<UnitRun> Join(IEnumerable<int> units)
    {
        var runs = new List<UnitRun>();
        foreach (int unit in units)
        {
            if (runs.Count > 0 && runs[^1].End == unit) runs[^1] = runs[^1] with { Count = runs[^1].Count + 1 };
            else runs.Add(new UnitRun(unit, 1));
        }

        return runs;
    }
}
