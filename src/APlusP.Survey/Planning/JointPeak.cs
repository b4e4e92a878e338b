using System.Numerics;

namespace APlusP.Survey.Planning;

/// <summary>The most ports that so many users had at once, and between which bounds that lies for 95 of 100 draws of users.</summary>
public sealed record JointPeakLine(int Users, double Mean, int Low, int High);

/// <summary>
/// Peaks of many users together, by the bootstrap: users are drawn from the survey's hosts with replacement, and the largest sum of their demand at one tick is taken, many times
/// over. Ports are given in blocks, the first of which everybody keeps.
/// </summary>
/// <remarks>Only the busiest ticks of all hosts together are looked at: where many users are drawn, theirs are among them.</remarks>
sealed class JointPeak
{
    const int Draws = 200, BusiestTicks = 1024;

    readonly int[][] _byHost;
    readonly int _ticks;
    readonly int _seed;

    public JointPeak(DemandSeries series, int block, int seed = 1)
    {
        _seed = seed;
        long[] sums = new long[series.Ticks];
        for (int host = 0; host < series.Hosts; host++)
        {
            ReadOnlySpan<ushort> demand = series.Of(host);
            for (int tick = 0; tick < sums.Length; tick++) sums[tick] += demand[tick];
        }

        int[] busiest = [.. Enumerable.Range(0, series.Ticks).OrderByDescending(tick => sums[tick]).Take(BusiestTicks)];
        _ticks = (busiest.Length + Vector<int>.Count - 1) / Vector<int>.Count * Vector<int>.Count;
        _byHost = new int[series.Hosts][];
        for (int host = 0; host < series.Hosts; host++)
        {
            _byHost[host] = new int[_ticks];
            ReadOnlySpan<ushort> demand = series.Of(host);
            for (int i = 0; i < busiest.Length; i++) _byHost[host][i] = Math.Max(1, (demand[busiest[i]] + block - 1) / block) * block;
        }
    }

    public JointPeakLine Of(int users)
    {
        var random = new Random(_seed);
        int[] peaks = new int[Draws], times = new int[_byHost.Length], sum = new int[_ticks];
        for (int draw = 0; draw < Draws; draw++)
        {
            Array.Clear(times);
            for (int user = 0; user < users; user++) times[random.Next(times.Length)]++;
            Array.Clear(sum);
            for (int host = 0; host < times.Length; host++)
                if (times[host] > 0) AddTo(sum, _byHost[host], times[host]);
            peaks[draw] = sum.Max();
        }

        Array.Sort(peaks);
        return new JointPeakLine(users, peaks.Average(), peaks[(int)(Draws * 0.025)], peaks[(int)(Draws * 0.975)]);
    }

    static void AddTo(int[] sum, int[] demand, int times)
    {
        for (int i = 0; i < sum.Length; i += Vector<int>.Count) (new Vector<int>(sum, i) + new Vector<int>(demand, i) * times).CopyTo(sum, i);
    }

    /// <summary>The most users whose peak fits into so many ports in 97 of 100 draws, by the upper bound.</summary>
    public int UsersOf(int ports)
    {
        int low = 0, high = 1;
        while (Of(high).High <= ports) (low, high) = (high, high * 2);
        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            if (Of(middle).High <= ports) low = middle;
            else high = middle;
        }

        return low;
    }
}
