using System.Net;
using System.Text;
using System.Xml.Linq;
using APlusP.Survey.Statistics;

namespace APlusP.Survey.Reports;

/// <summary>A report as one page that needs nothing besides: no network, no script, no other file. It is well-formed XML too.</summary>
sealed class ReportPage
{
    const string Style = """
        body { margin: 0 auto; padding: 1rem; max-width: 62rem; color: #222; background: #fff; font: 1rem/1.5 system-ui, "DejaVu Sans", sans-serif; }
        h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
        table { border-collapse: collapse; margin: 1rem 0; } caption, time { white-space: nowrap; } caption { text-align: left; font-weight: bold; padding: .4rem 0; }
        th, td { padding: .25rem .8rem; border-bottom: 1px solid #767676; text-align: right; font-variant-numeric: tabular-nums; }
        th { background: #f2f2f2; } th[scope=row], thead th:first-child { text-align: left; } th[scope=row] { font-weight: normal; }
        figure { margin: 2rem 0; } svg { display: block; width: 100%; height: auto; } figcaption { color: #444; }
        .wide { overflow-x: auto; } .wide:focus { outline: 3px solid #0072b2; } footer { margin-top: 3rem; color: #444; }
        @media print { figure, table { break-inside: avoid; } }
        """;

    // Rows that somebody still reads.
    const int MostRows = 24;

    readonly StringBuilder _html = new();

    public static string Of(SurveyFigures figures, ApplicationProfile? profile, string name, IReadOnlyList<ReportChart> charts, DateTimeOffset now)
    {
        var page = new ReportPage();
        page.Write(figures, profile, name, charts, now);
        return page._html.ToString();
    }

    static string Text(string text) => WebUtility.HtmlEncode(text);

    void Write(SurveyFigures figures, ApplicationProfile? profile, string name, IReadOnlyList<ReportChart> charts, DateTimeOffset now)
    {
        string title = $"Ports in use: {Text(name)}";
        _html.Append($"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n<title>{title}</title>\n<style>\n{Style}\n</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n");
        Summary(figures);
        Samples(figures);
        Applications(figures);
        if (profile is not null) AboveBaseline(profile);
        Others(figures);
        _html.Append("<h2 id=\"charts\">Charts</h2>\n");
        foreach (ReportChart chart in charts)
            _html.Append($"<figure id=\"{chart.Name}\">\n{chart.Svg().ToString(SaveOptions.DisableFormatting)}\n<figcaption><strong>{Text(chart.Title)}.</strong> {Text(chart.Description)}</figcaption>\n</figure>\n");
        _html.Append($"</main>\n<footer><p>Made by aplusp on {now.UtcDateTime:yyyy-MM-dd HH:mm} UTC.</p></footer>\n</body>\n</html>\n");
    }

    void Summary(SurveyFigures figures)
    {
        SurveyStatistics all = figures.All;
        _html.Append("<h2 id=\"summary\">Summary</h2>\n");
        _html.Append($"<p>{all.Samples:N0} sample{(all.Samples == 1 ? "" : "s")} of {all.Hosts:N0} host{(all.Hosts == 1 ? "" : "s")}, from {Time(figures.First)} to {Time(figures.Last)} (UTC). A value is one host at one sample at which it had a connection; there are {all.Ports.Count:N0}.</p>\n");
        Begin("ports", "Ports that a host needs", "network address translation", "mean", "max", "p50", "p95", "p99");
        Row("endpoint-independent NAPT (ports in use)", Of(all.Ports));
        if (all.MinimumPorts.Count > 0) Row("5-tuple NAPT (least)", Of(all.MinimumPorts));
        if (all.PeakPorts.Sum > all.Ports.Sum) Row("endpoint-independent NAPT, peak between samples", Of(all.PeakPorts));
        End();
        Begin("families", "IPv4 and IPv6", "family", "hosts", "ports, mean", "max", "p95", "share of ports");
        foreach ((string family, SurveyStatistics of) in new[] { ("IPv4", figures.IPv4), ("IPv6", figures.IPv6) })
            Row(family, $"{of.Hosts:N0}", $"{of.Ports.Mean:0.00}", $"{of.Ports.Max:N0}", $"{of.Ports.Percentile(95):N0}", Percent(of.Ports.Sum, all.Ports.Sum));
        End();
        Begin("sizes", "Values that a port set holds", "ports", ["share of values, endpoint-independent", .. all.MinimumPorts.Count > 0 ? ["share of values, 5-tuple"] : Array.Empty<string>()]);
        foreach (int size in ReportCharts.Sizes)
            Row($"{size:N0}", [$"{all.Ports.PercentWithin(size):0.00} %", .. all.MinimumPorts.Count > 0 ? [$"{all.MinimumPorts.PercentWithin(size):0.00} %"] : Array.Empty<string>()]);
        End();
    }

    static string[] Of(Distribution values) => [$"{values.Mean:0.00}", $"{values.Max:N0}", $"{values.Percentile(50):N0}", $"{values.Percentile(95):N0}", $"{values.Percentile(99):N0}"];

    static string Percent(long part, long all) => all > 0 ? $"{100.0 * part / all:0.00} %" : "0.00 %";

    static string Time(DateTimeOffset at) => $"<time datetime=\"{at.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss'Z'}\">{at.UtcDateTime:yyyy-MM-dd HH:mm:ss}</time>";

    /// <summary>Table I: the ports of all hosts at each sample, or in the mean of some that follow each other.</summary>
    void Samples(SurveyFigures figures)
    {
        int together = (figures.Points.Count + MostRows - 1) / MostRows;
        bool exact = figures.Points.Count == figures.All.Samples && together == 1;
        _html.Append("<h2 id=\"counting\">Table I: ports over time</h2>\n");
        Begin("table-1", exact ? "Ports in use at each sample, all hosts" : "Ports in use, all hosts, mean of the samples from each time on", "date (UTC)", ["ports", .. figures.Ranking.Select(i => figures.All.Applications[i])]);
        foreach (SurveyPoint[] points in figures.Points.Chunk(together))
        {
            // Points are of as many samples each, but for those before gaps; the mean is of samples.
            double samples = points.Sum(point => point.Samples);
            string Mean(Func<SurveyPoint, double> value) => (points.Sum(point => value(point) * point.Samples) / samples).ToString(exact ? "N0" : "N2");
            TimedRow(points[0].From, [Mean(point => point.Ports), .. figures.Ranking.Select(i => Mean(point => point.PortsOf(i)))]);
        }

        End();
    }

    /// <summary>Table II: averages and shares.</summary>
    void Applications(SurveyFigures figures)
    {
        SurveyStatistics all = figures.All;
        _html.Append("<h2 id=\"statistics\">Table II: ports by application</h2>\n");
        Begin("table-2", "Average of a host, share of all ports, and how each application divides into families", "application", "average", "share", "IPv4 average", "IPv4 share", "IPv6 average", "IPv6 share", "of it IPv6");
        Row("all ports", [$"{all.Ports.Mean:0.00}", "100.00 %", $"{figures.IPv4.Ports.Mean:0.00}", Percent(figures.IPv4.Ports.Sum, figures.IPv4.Ports.Sum), $"{figures.IPv6.Ports.Mean:0.00}", Percent(figures.IPv6.Ports.Sum, figures.IPv6.Ports.Sum), Percent(figures.IPv6.Ports.Sum, all.Ports.Sum)]);
        foreach (int i in figures.Ranking)
            Row(all.Applications[i], [.. new[] { all, figures.IPv4, figures.IPv6 }.SelectMany(of => new[] { $"{of.MeanOf(i):0.00}", $"{of.ShareOf(i):0.00} %" }), Percent(figures.IPv6.ByApplication[i], all.ByApplication[i])]);
        End();
    }

    void AboveBaseline(ApplicationProfile profile)
    {
        _html.Append("<h2 id=\"profile\">Above the baseline</h2>\n");
        _html.Append($"<p>The baseline is the median of {profile.BaselineSamples:N0} sample{(profile.BaselineSamples == 1 ? "" : "s")} from {Time(profile.Time.From)} to {Time(profile.Time.Until)} (UTC), of each host and application by itself. It is taken off the {profile.Samples:N0} after it, down to zero.</p>\n");
        Begin("table-profile", "Ports of all hosts above the baseline, by application", "application", "baseline", "most", "mean", "at the end");
        foreach (int i in profile.Ranking) Row(profile.Applications[i], $"{profile.BaselineOf(i):N0}", $"{profile.MostOf(i):N0}", $"{profile.MeanOf(i):0.00}", $"{profile.LastOf(i):N0}");
        End();
    }

    void Others(SurveyFigures figures)
    {
        _html.Append("<h2 id=\"protocols-and-states\">Protocols and TCP states</h2>\n");
        Begin("table-protocols", "Ports by protocol", "protocol", "share");
        foreach ((string protocol, long count) in ReportCharts.Protocols.Zip(figures.All.ByProtocol))
            if (count > 0) Row(protocol, Percent(count, figures.All.Ports.Sum));
        End();
        if (ReportCharts.TcpStates(figures) is not { Count: > 0 } states) return;
        Begin("table-states", "TCP ports by state of their liveliest connection", "state", "share");
        foreach ((string state, long count) in states) Row(state, Percent(count, states.Sum(s => s.Count)));
        End();
    }

    void Begin(string id, string caption, string first, params IReadOnlyList<string> others)
    {
        // What may be wider than a screen is reached by the keyboard as well.
        _html.Append($"<div class=\"wide\" role=\"region\" aria-labelledby=\"{id}-caption\" tabindex=\"0\">\n<table id=\"{id}\">\n<caption id=\"{id}-caption\">{Text(caption)}</caption>\n<thead><tr>");
        foreach (string heading in others.Prepend(first)) _html.Append($"<th scope=\"col\">{Text(heading)}</th>");
        _html.Append("</tr></thead>\n<tbody>\n");
    }

    void Row(string what, params IReadOnlyList<string> cells) => HtmlRow(Text(what), cells);

    void TimedRow(DateTimeOffset at, IReadOnlyList<string> cells) => HtmlRow(Time(at), cells);

    void HtmlRow(string heading, IReadOnlyList<string> cells)
    {
        _html.Append($"<tr><th scope=\"row\">{heading}</th>");
        foreach (string cell in cells) _html.Append($"<td>{Text(cell)}</td>");
        _html.Append("</tr>\n");
    }

    void End() => _html.Append("</tbody>\n</table>\n</div>\n");
}
