namespace APlusP.Survey.Statistics;

/// <summary>How often each number came. All figures are exact.</summary>
public sealed class Distribution
{
    long[] _counts = new long[64];

    /// <summary>How many numbers there were.</summary>
    public long Count { get; private set; }

    public long Sum { get; private set; }

    public int Max { get; private set; }

    public double Mean => Count == 0 ? 0 : (double)Sum / Count;

    public void Add(int value)
    {
        if (value >= _counts.Length) Array.Resize(ref _counts, Math.Max(value + 1, _counts.Length * 2));
        _counts[value]++;
        Count++;
        Sum += value;
        Max = Math.Max(Max, value);
    }

    /// <summary>How often the number came.</summary>
    public long this[int value] => value < _counts.Length ? _counts[value] : 0;

    /// <summary>The smallest number that as many per cent do not exceed (nearest rank): always one that was there.</summary>
    public int Percentile(double percent)
    {
        long rank = Math.Max(1, (long)Math.Ceiling(percent / 100 * Count)), seen = 0;
        for (int value = 0; value <= Max; value++)
        {
            seen += _counts[value];
            if (seen >= rank) return value;
        }

        return 0;
    }
}
