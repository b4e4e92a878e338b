using APlusP.Core;
using APlusP.Survey.Counting;
using APlusP.Survey.Reports;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Statistics;

/// <summary>From when until when hosts did nothing of what is looked at: the samples of this time are the baseline.</summary>
public readonly record struct BaselineTime(DateTimeOffset From, DateTimeOffset Until)
{
    /// <summary>So long from a survey's beginning on.</summary>
    /// <exception cref="APlusPException">AP7009: the survey has no sample.</exception>
    public static BaselineTime First(SurveyStore store, TimeSpan length) =>
        store.Times() is [var first, ..] ? new BaselineTime(first, first + length) : throw new APlusPException(ErrorCodes.NothingToReport, $"the survey {store.Path} has no sample yet, so it has no baseline.");
}

/// <summary>
/// What an application took, without what the machine used anyway: of each host and application the median of the baseline's samples is taken off every sample after it, down
/// to zero. A host that had no connection at a sample counts as zero there.
/// </summary>
public sealed class ApplicationProfile
{
    readonly int[] _baseline, _most, _last;
    readonly long[] _sums;

    ApplicationProfile(IReadOnlyList<string> applications, BaselineTime time)
    {
        Applications = applications;
        Time = time;
        (_baseline, _most, _last, _sums) = (new int[applications.Count], new int[applications.Count], new int[applications.Count], new long[applications.Count]);
    }

    public IReadOnlyList<string> Applications { get; }

    public BaselineTime Time { get; }

    /// <summary>How many samples the baseline has, and how many came after it.</summary>
    public int BaselineSamples { get; private set; }

    /// <inheritdoc cref="BaselineSamples"/>
    public int Samples { get; private set; }

    /// <summary>The samples after the baseline, as points of a chart.</summary>
    public IReadOnlyList<SurveyPoint> Points { get; private set; } = [];

    /// <summary>Ports of all hosts in the baseline.</summary>
    public int BaselineOf(int application) => _baseline[application];

    /// <summary>Ports of all hosts above it: the most at a sample, in the mean of samples, and at the last one.</summary>
    public int MostOf(int application) => _most[application];

    /// <inheritdoc cref="MostOf"/>
    public double MeanOf(int application) => (double)_sums[application] / Samples;

    /// <inheritdoc cref="MostOf"/>
    public int LastOf(int application) => _last[application];

    /// <summary>Applications that had ports in the baseline or above it, those with most above it first.</summary>
    public IReadOnlyList<int> Ranking => [.. Enumerable.Range(0, Applications.Count).Where(i => _most[i] > 0 || _baseline[i] > 0).OrderByDescending(i => _sums[i])];

    /// <exception cref="APlusPException">AP7009: no sample is in the baseline, or none after it. AP7004: the store is damaged.</exception>
    public static ApplicationProfile Of(SurveyStore store, SurveyPart part, BaselineTime time)
    {
        var profile = new ApplicationProfile(store.Applications, time);
        DateTimeOffset[] after = [.. store.Times().Where(at => at > time.Until)];
        int[] pointOf = new int[after.Length];
        SurveyPoint[] points = [.. SurveyFigures.Group(after, pointOf).Select(point => new SurveyPoint(point.From, point.To, point.AfterGap, store.Applications.Count))];
        bool[] wanted = part.Numbers(store);
        var idle = new List<int>[wanted.Length, store.Applications.Count];
        int[,]? baseline = null;
        store.Read((sample, hosts) =>
        {
            if (sample.At < time.From) return;
            if (sample.At <= time.Until)
            {
                profile.BaselineSamples++;
                Keep(idle, hosts, wanted);
                return;
            }

            baseline ??= profile.Medians(idle);
            profile.Add(points[pointOf[profile.Samples++]], hosts, wanted, baseline);
        });
        profile.Points = points;
        if (profile.BaselineSamples == 0) throw Nothing(store, time, "in the baseline");
        return profile.Samples > 0 ? profile : throw Nothing(store, time, "after the baseline");
    }

    static APlusPException Nothing(SurveyStore store, BaselineTime time, string where) => new(ErrorCodes.NothingToReport,
        $"the survey {store.Path} has no sample {where}, which is from {time.From.UtcDateTime:yyyy-MM-dd HH:mm:ss} to {time.Until.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC. 'aplusp survey export' tells when its samples were.");

    static void Keep(List<int>[,] idle, IReadOnlyList<(int Host, HostCounts Counts)> hosts, bool[] wanted)
    {
        foreach ((int host, HostCounts counts) in hosts)
        {
            if (!wanted[host]) continue;
            for (int i = 0; i < counts.ByApplication.Length; i++)
                if (counts.ByApplication[i] > 0) (idle[host, i] ??= []).Add(counts.ByApplication[i]);
        }
    }

    /// <summary>By host and application. Samples at which a host was not there, or had no port, are zeros; of an even number the lower middle is the median.</summary>
    int[,] Medians(List<int>[,] idle)
    {
        var medians = new int[idle.GetLength(0), idle.GetLength(1)];
        for (int host = 0; host < idle.GetLength(0); host++)
        {
            for (int i = 0; i < idle.GetLength(1); i++)
            {
                if (idle[host, i] is not { } counts) continue;
                counts.Sort();
                int middle = (BaselineSamples - 1) / 2 - (BaselineSamples - counts.Count);
                medians[host, i] = middle >= 0 ? counts[middle] : 0;
                _baseline[i] += medians[host, i];
            }
        }

        return medians;
    }

    void Add(SurveyPoint point, IReadOnlyList<(int Host, HostCounts Counts)> hosts, bool[] wanted, int[,] baseline)
    {
        Array.Clear(_last);
        foreach ((int host, HostCounts counts) in hosts)
        {
            if (!wanted[host]) continue;
            for (int i = 0; i < counts.ByApplication.Length; i++) _last[i] += Math.Max(0, counts.ByApplication[i] - baseline[host, i]);
        }

        point.Begin();
        point.Add(new HostCounts { Ports = _last.Sum(), ByApplication = _last }, isIPv6: false);
        point.End();
        for (int i = 0; i < _last.Length; i++)
        {
            _sums[i] += _last[i];
            _most[i] = Math.Max(_most[i], _last[i]);
        }
    }
}
