using APlusP.Core;
using APlusP.Survey.Counting;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Reports;

/// <summary>What a report shows: statistics by family, and how they went over time. The store is read once.</summary>
public sealed class SurveyFigures
{
    // As many as a chart has room for.
    const int MostPoints = 240;

    // Longer than so many usual periods nobody looked, and a line through it would be a guess.
    const int PeriodsOfGap = 5;

    SurveyFigures(SurveyStore store, IReadOnlyList<(DateTimeOffset From, DateTimeOffset To, bool AfterGap)> points)
    {
        IPv4 = new SurveyStatistics(store);
        IPv6 = new SurveyStatistics(store);
        All = new SurveyStatistics(store);
        Points = [.. points.Select(point => new SurveyPoint(point.From, point.To, point.AfterGap, store.Applications.Count))];
    }

    public SurveyStatistics IPv4 { get; }

    public SurveyStatistics IPv6 { get; }

    public SurveyStatistics All { get; }

    public IReadOnlyList<SurveyPoint> Points { get; }

    public DateTimeOffset First { get; private init; }

    public DateTimeOffset Last { get; private init; }

    /// <summary>Applications that used ports, those with most of them first.</summary>
    public IReadOnlyList<int> Ranking => [.. Enumerable.Range(0, All.Applications.Count).Where(i => All.ByApplication[i] > 0).OrderByDescending(i => All.ByApplication[i])];

    /// <exception cref="APlusPException">AP7009: there is nothing to show. AP7004: the store is damaged.</exception>
    public static SurveyFigures Of(SurveyStore store, SurveyPart part)
    {
        IReadOnlyList<DateTimeOffset> times = store.Times();
        if (times.Count == 0) throw new APlusPException(ErrorCodes.NothingToReport, $"the survey {store.Path} has no sample yet. 'aplusp survey --store {store.Path}' takes some, 'aplusp survey import' adds saved ones.");
        int[] pointOf = new int[times.Count];
        List<(DateTimeOffset From, DateTimeOffset To, bool AfterGap)> points = Group(times, pointOf);
        SurveyFigures Begin() => new(store, points) { First = times[0], Last = times[^1] };

        bool[] wanted = part.Numbers(store);
        bool[] isIPv6 = [false, .. store.Hosts.Select(host => host.IsIPv6)];
        SurveyFigures figures = Begin();
        foreach (SurveyFigures share in store.ReadShares(Begin, (share, index, hosts) => share.Add(pointOf[index], hosts, wanted, isIPv6))) figures.Add(share);
        figures.All.Add(figures.IPv4);
        figures.All.AddHosts(figures.IPv6);
        return figures.All.Ports.Sum > 0 ? figures
            : throw new APlusPException(ErrorCodes.NothingToReport, $"the survey {store.Path} has {times.Count:N0} sample(s), and at none of them did a host that was asked for have a port in use.");
    }

    /// <summary>Samples that follow each other become one point, so that there are no more points than a chart has room for.</summary>
    internal static List<(DateTimeOffset From, DateTimeOffset To, bool AfterGap)> Group(IReadOnlyList<DateTimeOffset> times, int[] pointOf)
    {
        TimeSpan[] distances = [.. times.Zip(times.Skip(1), (a, b) => b - a).Order()];
        TimeSpan gap = distances.Length == 0 ? TimeSpan.Zero : PeriodsOfGap * distances[distances.Length / 2];
        int together = (times.Count + MostPoints - 1) / MostPoints, begin = 0;
        var points = new List<(DateTimeOffset From, DateTimeOffset To, bool AfterGap)>();
        for (int i = 0; i < times.Count; i++)
        {
            bool afterGap = i > 0 && times[i] - times[i - 1] > gap;
            if (i == 0 || afterGap || i - begin == together)
            {
                begin = i;
                points.Add((times[i], times[i], afterGap));
            }

            points[^1] = points[^1] with { To = times[i] };
            pointOf[i] = points.Count - 1;
        }

        return points;
    }

    void Add(int point, IReadOnlyList<(int Host, HostCounts Counts)> hosts, bool[] wanted, bool[] isIPv6)
    {
        IPv4.AddSample();
        IPv6.AddSample();
        SurveyPoint at = Points[point];
        at.Begin();
        foreach ((int host, HostCounts counts) in hosts)
        {
            if (!wanted[host]) continue;
            (isIPv6[host] ? IPv6 : IPv4).Add(host, counts);
            at.Add(counts, isIPv6[host]);
        }

        at.End();
    }

    void Add(SurveyFigures share)
    {
        IPv4.Add(share.IPv4);
        IPv6.Add(share.IPv6);
        for (int i = 0; i < Points.Count; i++) Points[i].Add(share.Points[i]);
    }
}
