namespace APlusP.Survey.Statistics;

/// <summary>How often each number came. All figures are exact.</summary>
public sealed class Distribution
{
    long[] _counts = new long[64];

    /// <summary>How many numbers there were.</summary>
    public long Count => _counts.Sum();

    public long Sum => _counts.Select((times, value) => times * value).Sum();

    public int Max => Math.Max(0, _counts.AsSpan().LastIndexOfAnyExcept(0));

    public double Mean => Count is > 0 and var count ? (double)Sum / count : 0;

    /// <summary>The numbers that came, rising, and how often.</summary>
    public IEnumerable<(int Value, long Times)> Values => _counts.Select((times, value) => (value, times)).Where(v => v.times > 0);

    /// <summary>How many per cent do not exceed this.</summary>
    public double PercentWithin(int value) => Count is > 0 and var count ? 100.0 * Values.TakeWhile(v => v.Value <= value).Sum(v => v.Times) / count : 0;

    public void Add(int value)
    {
        if (value >= _counts.Length) Array.Resize(ref _counts, Math.Max(value + 1, _counts.Length * 2));
        _counts[value]++;
    }

    /// <summary>Adds all numbers of another.</summary>
    public void Add(Distribution other)
    {
        if (other._counts.Length > _counts.Length) Array.Resize(ref _counts, other._counts.Length);
        for (int value = 0; value < other._counts.Length; value++) _counts[value] += other._counts[value];
    }

    /// <summary>The smallest number that as many per cent do not exceed (nearest rank): always one that was there.</summary>
    public int Percentile(double percent)
    {
        long rank = Math.Max(1, (long)Math.Ceiling(percent / 100 * Count)), seen = 0;
        for (int value = 0; value < _counts.Length; value++)
        {
            seen += _counts[value];
            if (seen >= rank) return value;
        }

        return 0;
    }
}
