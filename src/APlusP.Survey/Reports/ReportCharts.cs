using APlusP.Core.Connections;
using APlusP.Survey.Counting;
using APlusP.Survey.Statistics;
using ScottPlot;

namespace APlusP.Survey.Reports;

/// <summary>The charts of a report, each of them where the survey has what it shows.</summary>
public static class ReportCharts
{
    /// <summary>Sizes of port sets that are marked: the report of 2010 found 10 too few, 200 enough to work, 1000 never felt.</summary>
    internal static readonly int[] Sizes = [10, 50, 200, 1000];

    // Of how long a survey the population is of interest, as it comes and goes by day.
    static readonly TimeSpan s_aDay = TimeSpan.FromHours(23);

    internal static readonly string[] Protocols = ["TCP", "UDP", "ICMP", "unknown or other"];

    public static IReadOnlyList<ReportChart> Of(SurveyFigures figures, ApplicationProfile? profile)
    {
        var charts = new List<ReportChart> { Applications(figures) };
        if (profile is not null) charts.Add(AboveBaseline(profile));
        if (figures.Last - figures.First >= s_aDay) charts.AddRange([Hosts(figures), Ports(figures)]);
        charts.Add(PortsOfHosts(figures));
        charts.Add(Families(figures));
        charts.Add(TopApplications(figures));
        if (figures.All.ByProtocol[3] < figures.All.Ports.Sum) charts.Add(ByProtocol(figures));
        if (TcpStates(figures) is { Count: > 0 } states) charts.Add(ByState(states));
        return charts;
    }

    /// <summary>Points between gaps, as lines.</summary>
    static IEnumerable<(double[] X, double[] Y)> Runs(IReadOnlyList<SurveyPoint> points, Func<SurveyPoint, double> value)
    {
        var run = new List<SurveyPoint>();
        foreach (SurveyPoint point in points)
        {
            bool known = !double.IsNaN(value(point));
            if (run.Count > 0 && (point.AfterGap || !known))
            {
                yield return Line(run, value);
                run.Clear();
            }

            if (known) run.Add(point);
        }

        if (run.Count > 0) yield return Line(run, value);
    }

    static (double[] X, double[] Y) Line(List<SurveyPoint> run, Func<SurveyPoint, double> value) => ([.. run.Select(point => ChartStyle.Seconds(point.At))], [.. run.Select(value)]);

    static Plot OverTime(IReadOnlyList<SurveyPoint> points, string y)
    {
        Plot plot = ChartStyle.Begin("time (UTC)", y);
        plot.TimeFrom(points[0].At, points[^1].At);
        return plot;
    }

    static ReportChart Applications(SurveyFigures figures)
    {
        IReadOnlyList<int> ranking = figures.Ranking;
        Plot plot = StackedApplications(figures.Points, figures.All.Applications, ranking, "ports in use, all hosts");
        string first = figures.All.Applications[ranking[0]];
        return new ReportChart("applications-over-time", "Ports in use over time, by application",
            $"Stacked lines, one for each application; the topmost is the sum. The sum goes from {figures.Points.Min(p => p.Ports):N0} to {figures.Points.Max(p => p.Ports):N0} ports; {first} has most, {figures.All.ShareOf(ranking[0]):0.00} % of all.", plot);
    }

    /// <summary>What an application took, without what the machine used anyway, as the report's charts 2 to 17 have it.</summary>
    static ReportChart AboveBaseline(ApplicationProfile profile)
    {
        int[] ranking = [.. profile.Ranking.Where(i => profile.MostOf(i) > 0)];
        Plot plot = StackedApplications(profile.Points, profile.Applications, ranking, "ports above the baseline");
        string most = ranking.Length == 0 ? "none" : string.Join(", ", ranking.Select(i => $"{profile.Applications[i]} {profile.MostOf(i):N0}"));
        return new ReportChart("profile-over-time", "Ports above the baseline, by application", $"Stacked lines, one for each application; the topmost is the sum. The most of each at a sample: {most}.", plot);
    }

    static Plot StackedApplications(IReadOnlyList<SurveyPoint> points, IReadOnlyList<string> applications, IReadOnlyList<int> ranking, string y)
    {
        Plot plot = OverTime(points, y);

        // Where there are more applications than a reader can tell apart, the least are one.
        int alone = ranking.Count > SeriesStyle.Count ? SeriesStyle.Count - 1 : ranking.Count;
        List<(string Name, int[] Members)> layers = [.. ranking.Take(alone).Select(i => (applications[i], new[] { i }))];
        if (ranking.Count > alone) layers.Add(($"{ranking.Count - alone} more", [.. ranking.Skip(alone)]));
        Stack(plot, points, [.. layers.Select(layer => (layer.Name, (Func<SurveyPoint, double>)(point => layer.Members.Sum(point.PortsOf))))]);
        plot.CountUpTo(points.Max(point => point.Ports));
        return plot;
    }

    /// <summary>Series on top of each other, the first below.</summary>
    static void Stack(Plot plot, IReadOnlyList<SurveyPoint> points, IReadOnlyList<(string Name, Func<SurveyPoint, double> Value)> layers)
    {
        (double[] X, double[] Y)[] Top(int layer) => [.. Runs(points, point => layers.Take(layer + 1).Sum(l => l.Value(point)))];

        // All bands before any line, which would be dimmed by what lies over it.
        for (int layer = 0; layer < layers.Count; layer++)
            foreach (((double[] x, double[] top), (_, double[] height)) in Top(layer).Zip(Runs(points, layers[layer].Value)))
                if (x.Length > 1) plot.AddBand(SeriesStyle.Of(layer), x, [.. top.Zip(height, (t, h) => t - h)], top);

        // From the top, as the legend's lines then stand as the bands do.
        for (int layer = layers.Count - 1; layer >= 0; layer--) plot.AddLine(layers[layer].Name, SeriesStyle.Of(layer), Top(layer));
        plot.ShowLegend(Edge.Right);
    }

    static ReportChart Hosts(SurveyFigures figures)
    {
        Plot plot = OverTime(figures.Points, "hosts with a connection");
        return WithMost(figures, plot, "hosts-over-time", "Hosts active over time", "hosts", point => point.Hosts, point => point.MostHosts);
    }

    static ReportChart Ports(SurveyFigures figures)
    {
        Plot plot = OverTime(figures.Points, "ports in use, all hosts");
        return WithMost(figures, plot, "ports-over-time", "Ports of all hosts over time", "ports", point => point.Ports, point => point.MostPorts);
    }

    static ReportChart WithMost(SurveyFigures figures, Plot plot, string name, string title, string unit, Func<SurveyPoint, double> mean, Func<SurveyPoint, double> most)
    {
        bool grouped = figures.Points.Count < figures.All.Samples;
        if (grouped) plot.AddLine("most at a sample", SeriesStyle.Of(1), Runs(figures.Points, most));
        plot.AddLine(grouped ? "mean" : unit, SeriesStyle.Of(0), Runs(figures.Points, mean));
        plot.CountUpTo(figures.Points.Max(most));
        plot.ShowLegend(Edge.Right);
        SurveyPoint busiest = figures.Points.MaxBy(most)!;
        return new ReportChart(name, title, $"{(grouped ? "Two lines, the mean and the most of samples that follow each other" : "A line through the samples")}. The most are {most(busiest):N0} {unit}, about {busiest.At:yyyy-MM-dd HH:mm} UTC; the line of {(grouped ? "the mean" : unit)} goes from {figures.Points.Min(mean):N0} to {figures.Points.Max(mean):N0}.", plot);
    }

    static ReportChart PortsOfHosts(SurveyFigures figures)
    {
        Plot plot = ChartStyle.Begin("ports of a host (logarithmic)", "share of values with no more, %");
        Distribution ports = figures.All.Ports, minimum = figures.All.MinimumPorts;
        plot.PercentUpTo(110);
        plot.LogarithmsUpTo(Math.Max(Sizes[^1], ports.Max));
        foreach (int size in Sizes)
        {
            plot.AddMark(Math.Log10(size), 101);
            plot.AddNote($"{size}: {ports.PercentWithin(size):0.0} %", Math.Log10(size), 102);
        }

        if (minimum.Count > 0) plot.AddLine("least (5-tuple NAPT)", SeriesStyle.Of(1), [Cumulative(minimum)]);
        plot.AddLine("in use (endpoint-independent NAPT)", SeriesStyle.Of(0), [Cumulative(ports)]);
        plot.ShowLegend(Edge.Bottom);
        return new ReportChart("ports-of-hosts", "How many ports a host has in use",
            $"A cumulative distribution. Of all values, {string.Join(", ", Sizes.Select(size => $"{ports.PercentWithin(size):0.0} % are of no more than {size} ports"))}.", plot, Height: 460);
    }

    /// <summary>Steps, one up at each number that came.</summary>
    static (double[] X, double[] Y) Cumulative(Distribution values)
    {
        var x = new List<double> { 0 };
        var y = new List<double> { 0 };
        long all = values.Count, seen = 0;
        foreach ((int value, long times) in values.Values)
        {
            double at = Math.Log10(Math.Max(1, value));
            x.AddRange([at, at]);
            y.AddRange([100.0 * seen / all, 100.0 * (seen += times) / all]);
        }

        return ([.. x], [.. y]);
    }

    static ReportChart Families(SurveyFigures figures)
    {
        Plot plot = OverTime(figures.Points, "share of ports, %");
        Stack(plot, figures.Points, [("IPv6", point => point.IPv6Share), ("IPv4", point => 100 - point.IPv6Share)]);
        plot.PercentUpTo(105);
        return new ReportChart("families-over-time", "IPv4 and IPv6 over time",
            $"Two stacked shares that make 100 %. Of all ports, {100.0 * figures.IPv6.Ports.Sum / figures.All.Ports.Sum:0.00} % are IPv6's and {100.0 * figures.IPv4.Ports.Sum / figures.All.Ports.Sum:0.00} % are IPv4's.", plot);
    }

    static ReportChart TopApplications(SurveyFigures figures)
    {
        const int most = 10;
        (string Name, double Value, string Label)[] bars = [.. figures.Ranking.Take(most).Select(i => (figures.All.Applications[i], figures.All.MeanOf(i), $"{figures.All.MeanOf(i):0.00} ({figures.All.ShareOf(i):0.00} %)"))];
        return Bars("top-applications", "Applications with most ports", "ports of a host, mean", bars);
    }

    static ReportChart ByProtocol(SurveyFigures figures) => Bars("protocols", "Ports by protocol", "share of ports, %",
        Shares(Protocols.Zip(figures.All.ByProtocol).Where(p => p.Second > 0)));

    internal static IReadOnlyList<(string Name, long Count)> TcpStates(SurveyFigures figures) =>
        [.. Enum.GetValues<TcpState>().Where(state => state != TcpState.None && figures.All.ByState[(int)state] > 0).Select(state => (NameOf(state), figures.All.ByState[(int)state])).OrderByDescending(s => s.Item2)];

    static ReportChart ByState(IReadOnlyList<(string Name, long Count)> states) => Bars("tcp-states", "TCP ports by state", "share of TCP ports, %", Shares(states));

    /// <summary>As the standard writes it: TIME-WAIT.</summary>
    static string NameOf(TcpState state) => string.Concat(state.ToString().Select((letter, i) => char.IsUpper(letter) && i > 0 ? $"-{letter}" : $"{char.ToUpperInvariant(letter)}"));

    static (string, double, string)[] Shares(IEnumerable<(string Name, long Count)> counts)
    {
        (string Name, long Count)[] all = [.. counts];
        double sum = all.Sum(c => c.Count);
        return [.. all.Select(c => (c.Name, 100 * c.Count / sum, $"{100 * c.Count / sum:0.00} %"))];
    }

    static ReportChart Bars(string name, string title, string x, (string Name, double Value, string Label)[] bars)
    {
        Plot plot = ChartStyle.Begin(x, "");
        plot.AddBars(bars);
        return new ReportChart(name, title, $"A bar for each: {string.Join(", ", bars.Select(bar => $"{bar.Name} {bar.Label}"))}.", plot, Height: 100 + 36 * bars.Length);
    }
}
