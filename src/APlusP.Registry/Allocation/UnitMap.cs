using System.Numerics;

namespace APlusP.Registry.Allocation;

/// <summary>Which units of an address are taken: a bit each. It is what storage keeps of an address, so that a choice reads one row.</summary>
public sealed class UnitMap
{
    readonly byte[] _bits;

    UnitMap(int units, byte[] bits)
    {
        Units = units;
        _bits = bits;
        int taken = 0;
        foreach (byte octet in bits) taken += BitOperations.PopCount(octet);
        Free = units - taken;
    }

    /// <summary>Units in all.</summary>
    public int Units { get; }

    /// <summary>Units that nobody has.</summary>
    public int Free { get; private set; }

    public static UnitMap Empty(int units) => new(units, new byte[(units + 7) / 8]);

    /// <summary>The map that <see cref="ToBytes"/> gave.</summary>
    public static UnitMap Of(int units, byte[] bits) => new(units, (byte[])bits.Clone());

    public byte[] ToBytes() => (byte[])_bits.Clone();

    public bool IsTaken(int unit) => (_bits[unit >> 3] & 1 << (unit & 7)) != 0;

    /// <summary>
    /// Takes so many units: where it can those right behind <paramref name="after"/>, which then are one range with it, else the first gap that holds
    /// them all, else the lowest that there are.
    /// </summary>
    /// <returns>What was taken, ascending; null, and nothing changed, where fewer are free.</returns>
    public IReadOnlyList<UnitRun>? Take(int count, int? after = null)
    {
        if (count > Free) return null;
        UnitRun? whole = after is { } unit && GapAt(unit + 1) >= count ? new UnitRun(unit + 1, count) : FirstGap(count);
        IReadOnlyList<UnitRun> runs = whole is { } one ? [one] : LowestFree(count);
        foreach (UnitRun run in runs) Set(run, true);
        return runs;
    }

    /// <summary>Takes these very units, of which none may be taken.</summary>
    public bool TryTake(UnitRun run)
    {
        if (run.First < 0 || run.End > Units || GapAt(run.First) < run.Count) return false;
        Set(run, true);
        return true;
    }

    /// <summary>The first free run of so many units, else the longest; null where none is free. Nothing is taken.</summary>
    /// <param name="most">How many at most.</param>
    /// <param name="endOf">Where the run that begins at a unit must end, whatever is free behind it.</param>
    public UnitRun? FindRun(int most, Func<int, int> endOf)
    {
        var best = new UnitRun(0, 0);
        for (int unit = 0; unit < Units && best.Count < most;)
        {
            int end = Math.Min(unit + GapAt(unit), endOf(unit)), count = Math.Min(end - unit, most);
            if (count > best.Count) best = new UnitRun(unit, count);
            unit = Math.Max(end, unit + 1);
        }

        return best.Count > 0 ? best : null;
    }

    /// <summary>Gives units back.</summary>
    public void GiveBack(UnitRun run) => Set(run, false);

    void Set(UnitRun run, bool taken)
    {
        for (int unit = run.First; unit < run.End; unit++)
        {
            if (IsTaken(unit) == taken) continue;
            _bits[unit >> 3] ^= (byte)(1 << (unit & 7));
            Free += taken ? -1 : 1;
        }
    }

    /// <summary>Free units from this one on.</summary>
    public int GapAt(int unit)
    {
        int end = unit;
        while (end < Units && !IsTaken(end)) end++;
        return end - unit;
    }

    UnitRun? FirstGap(int count)
    {
        for (int unit = 0; unit + count <= Units;)
        {
            int gap = GapAt(unit);
            if (gap >= count) return new UnitRun(unit, count);
            unit += gap + 1;
        }

        return null;
    }

    List<UnitRun> LowestFree(int count) => UnitRun.Join(Enumerable.Range(0, Units).Where(unit => !IsTaken(unit)).Take(count));
}
