using System.Buffers.Binary;
using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using APlusP.Core;
using APlusP.Survey;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Readers;
using APlusP.Survey.Reports;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Tests.Survey;

/// <summary>What <c>aplusp survey report</c> writes of surveys whose figures are known.</summary>
public sealed partial class ReportTests : IDisposable
{
    static readonly XNamespace s_svg = "http://www.w3.org/2000/svg";

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    string Store => Path.Combine(_directory, "survey.db");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>A sample of each table.</summary>
    void Import(TimeSpan every, params string[] tables)
    {
        string[] files = [.. tables.Select((table, i) =>
        {
            string path = Path.Combine(_directory, $"{i}.txt");
            File.WriteAllText(path, table);
            return path;
        })];
        using SurveyStore store = SurveyStore.OpenToAdd(Store, ApplicationRules.Standard, byAddress: false);
        Importer.Import(store, files, DateTimeOffset.FromUnixTimeSeconds(1_267_551_614), new SurveyReading(ApplicationRules.Standard, InsideNetworks.Private, every), (_, _) => { });
    }

    XDocument Report(SurveyPart? part = null, string? svgDirectory = null, string? pngDirectory = null)
    {
        string page = Path.Combine(_directory, "report.html");
        using SurveyStore store = SurveyStore.Open(Store);
        SurveyReport.Write(store, part ?? new SurveyPart(), page, svgDirectory, pngDirectory, DateTimeOffset.UnixEpoch);
        return XDocument.Load(page);
    }

    /// <summary>A table's rows, each with its heading first.</summary>
    static string[][] Rows(XDocument page, string table) => [.. page.Descendants("table").Single(t => (string?)t.Attribute("id") == table).Descendants("tr").Select(row => row.Elements().Select(cell => cell.Value).ToArray())];

    static XElement Chart(XDocument page, string name) => page.Descendants("figure").Single(figure => (string?)figure.Attribute("id") == name).Element(s_svg + "svg")!;

    static string[] Charts(XDocument page) => [.. page.Descendants("figure").Select(figure => (string)figure.Attribute("id")!)];

    static string[] Texts(XElement chart) => [.. chart.Descendants(s_svg + "text").Select(text => text.Value)];

    static void Has(string[] texts, string[] wanted) => Assert.All(wanted, text => Assert.Contains(text, texts));

    /// <summary>Where a text's anchor or first letter is drawn.</summary>
    static double Left(XElement text)
    {
        double moved = text.Attribute("transform") is { } transform ? double.Parse(Translated().Match(transform.Value).Groups[1].Value, CultureInfo.InvariantCulture) : 0;
        return moved + double.Parse(((string)text.Attribute("x")!).Split(',')[0], CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"translate\(([-\d.]+)")]
    private static partial Regex Translated();

    static string Dns(string host, int ports, string resolver = "203.0.113.53") => string.Concat(Enumerable.Range(0, ports).Select(i => Tables.Udp(host, 50000 + i, resolver, 53)));

    static string Web(string host, int ports, string state = "ESTABLISHED", string server = "203.0.113.7") => string.Concat(Enumerable.Range(0, ports).Select(i => Tables.Tcp(host, 40000 + i, server, 443, state)));

    /// <summary>30 and 10 ports of an IPv4 host, 20 of an IPv6 one.</summary>
    void ImportTwoHosts() => Import(
        TimeSpan.FromSeconds(10),
        Dns("192.168.2.1", 12) + Web("192.168.2.1", 18, "TIME_WAIT") + Web("fd00::1", 20, server: "2001:db8::7"),
        Web("192.168.2.1", 10));

    [Fact]
    public void The_summary_has_the_figures_of_both_ways_to_translate()
    {
        ImportTwoHosts();
        XDocument page = Report();
        Assert.Equal(["network address translation", "mean", "max", "p50", "p95", "p99"], Rows(page, "ports")[0]);
        Assert.Equal(["endpoint-independent NAPT (ports in use)", "20.00", "30", "20", "30", "30"], Rows(page, "ports")[1]);
        Assert.Equal(["5-tuple NAPT (least)", "16.00", "20", "18", "20", "20"], Rows(page, "ports")[2]);
        Assert.Equal(["IPv4", "1", "20.00", "30", "30", "66.67 %"], Rows(page, "families")[1]);
        Assert.Equal(["IPv6", "1", "20.00", "20", "20", "33.33 %"], Rows(page, "families")[2]);
        Assert.Equal(["10", "33.33 %", "33.33 %"], Rows(page, "sizes")[1]);
        Assert.Equal(["50", "100.00 %", "100.00 %"], Rows(page, "sizes")[2]);
        Assert.Contains("2 samples of 2 hosts, from 2010-03-02 17:40:14 to 2010-03-02 17:40:24 (UTC)", page.Root!.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Tables_one_and_two_are_those_of_the_report()
    {
        Import(TimeSpan.FromSeconds(11), "Date Ports DNS HTTP HTTPS\n\n1267551614 5 0 1 4\n1267551625 14 8 1 4\n1267551636 47 40 2 4\n1267551647 47 40 2 4\n");
        XDocument page = Report();
        string[][] counting = Rows(page, "table-1");
        Assert.Equal(["date (UTC)", "ports", "dns", "https", "http", "other"], counting[0]);
        Assert.Equal(["2010-03-02 17:40:14", "5", "0", "4", "1", "0"], counting[1]);
        Assert.Equal(["2010-03-02 17:40:36", "47", "40", "4", "2", "1"], counting[3]);
        string[][] statistics = Rows(page, "table-2");
        Assert.Equal(["all ports", "28.25", "100.00 %", "28.25", "100.00 %", "0.00", "0.00 %", "0.00 %"], statistics[1]);
        Assert.Equal(["dns", "22.00", "77.88 %", "22.00", "77.88 %", "0.00", "0.00 %", "0.00 %"], statistics[2]);
        Assert.Equal(["other", "0.75", "2.65 %"], statistics[5][..3]);
        Assert.Equal(2, Rows(page, "ports").Length);
        // Where only counts were imported, neither protocols nor states are known.
        Assert.Equal(["applications-over-time", "ports-of-hosts", "families-over-time", "top-applications"], Charts(page));
    }

    [Fact]
    public void Long_surveys_have_a_table_of_means_that_keeps_every_sample()
    {
        Import(TimeSpan.FromMinutes(10), [.. Enumerable.Range(0, 300).Select(i => Web("192.168.2.1", 1 + i % 2))]);
        XDocument page = Report();
        string[][] counting = Rows(page, "table-1");
        Assert.InRange(counting.Length, 10, 25);
        Assert.Equal(["2010-03-02 17:40:14", "1.50", "1.50"], counting[1]);
        Assert.Equal(["applications-over-time", "hosts-over-time", "ports-over-time", "ports-of-hosts", "families-over-time", "top-applications", "protocols", "tcp-states"], Charts(page));
        Assert.Contains("most at a sample", Texts(Chart(page, "ports-over-time")));
        Assert.Contains("The most are 2 ports", Chart(page, "ports-over-time").Element(s_svg + "desc")!.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Time_goes_along_the_axis_and_ports_go_up_to_their_most()
    {
        Import(TimeSpan.FromSeconds(60), [.. Enumerable.Range(0, 40).Select(i => Dns("192.168.2.1", i * 10) + Web("192.168.2.1", 10))]);
        XElement chart = Chart(Report(), "applications-over-time");
        string[] texts = Texts(chart);
        Assert.Contains("17:45", texts);
        Assert.Contains("18:15", texts);
        Assert.Contains("2010-03-02", texts);
        Assert.Contains("time (UTC)", texts);
        Assert.Contains("ports in use, all hosts", texts);
        Has(texts, ["0", "100", "200", "300", "400", "dns", "https"]);
        Assert.DoesNotContain("500", texts);
        Assert.Contains("The sum goes from 10 to 400 ports; dns has most, 95.12 % of all.", chart.Element(s_svg + "desc")!.Value, StringComparison.Ordinal);
        XElement[] clocks = [.. chart.Descendants(s_svg + "text").Where(text => text.Value is "17:45" or "17:50" or "18:15")];
        Assert.Equal(["17:45", "17:50", "18:15"], clocks.OrderBy(Left).Select(text => text.Value));
        Assert.Equal(6, (Left(clocks[2]) - Left(clocks[0])) / (Left(clocks[1]) - Left(clocks[0])), 0.05);
    }

    [Fact]
    public void Lines_end_where_nobody_looked()
    {
        static double[] Widths(XElement chart) => [.. chart.Descendants(s_svg + "path").Where(path => (string?)path.Attribute("stroke") == "#0072B2" && (string?)path.Attribute("fill") == "none").Select(path =>
        {
            double[] x = [.. Points().Matches((string)path.Attribute("d")!).Select(m => double.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture))];
            return x.Max() - x.Min();
        }).Order()];

        Import(TimeSpan.FromSeconds(10), [.. Enumerable.Range(0, 10).Select(_ => Web("192.168.2.1", 5))]);
        double whole = Widths(Chart(Report(), "applications-over-time"))[^1];
        using (SurveyStore store = SurveyStore.OpenToAdd(Store, ApplicationRules.Standard, byAddress: false))
            Importer.Import(store, [Path.Combine(_directory, "0.txt"), Path.Combine(_directory, "1.txt")], DateTimeOffset.FromUnixTimeSeconds(1_267_551_614 + 900), new SurveyReading(ApplicationRules.Standard, InsideNetworks.Private, TimeSpan.FromSeconds(10)), (_, _) => { });
        Assert.InRange(Widths(Chart(Report(), "applications-over-time"))[^1], 1, whole / 5);
    }

    [GeneratedRegex(@"[ML]([-\d.]+) ")]
    private static partial Regex Points();

    [Fact]
    public void Sizes_of_port_sets_are_marked_with_the_share_that_they_hold()
    {
        Import(TimeSpan.FromSeconds(10), Web("192.168.2.1", 8), Web("192.168.2.1", 40), Web("192.168.2.1", 150), Web("192.168.2.1", 300));
        XElement chart = Chart(Report(), "ports-of-hosts");
        string[] texts = Texts(chart);
        Has(texts, ["10: 25.0 %", "50: 50.0 %", "200: 75.0 %", "1000: 100.0 %", "1,000", "ports of a host (logarithmic)", "in use (endpoint-independent NAPT)", "least (5-tuple NAPT)"]);
        double[] marks = [.. new[] { "10: ", "50: ", "200: ", "1000: " }.Select(size => Left(chart.Descendants(s_svg + "text").Single(text => text.Value.StartsWith(size, StringComparison.Ordinal))))];
        Assert.Equal(marks.Order(), marks);
    }

    [Fact]
    public void Shares_stand_at_their_bars()
    {
        ImportTwoHosts();
        XDocument page = Report();
        Has(Texts(Chart(page, "protocols")), ["TCP", "UDP", "80.00 %", "20.00 %"]);
        Has(Texts(Chart(page, "tcp-states")), ["ESTABLISHED", "TIME-WAIT", "62.50 %", "37.50 %"]);
        Has(Texts(Chart(page, "top-applications")), ["https", "dns", "16.00 (80.00 %)", "4.00 (20.00 %)"]);
        Assert.Equal([["TCP", "80.00 %"], ["UDP", "20.00 %"]], Rows(page, "table-protocols")[1..]);
        Assert.Contains("33.33 % are IPv6's and 66.67 % are IPv4's", Chart(page, "families-over-time").Value, StringComparison.Ordinal);
        // Bars are as long as their shares.
        double[] bars = [.. Chart(page, "protocols").Descendants(s_svg + "rect").Where(rect => (string?)rect.Attribute("fill") == "#0072B2").Select(rect => double.Parse((string)rect.Attribute("width")!, CultureInfo.InvariantCulture))];
        Assert.Equal(4, bars[0] / bars[1], 0.02);
    }

    [Fact]
    public void One_family_or_host_can_be_shown_alone()
    {
        ImportTwoHosts();
        XDocument page = Report(new SurveyPart(IsIPv6: true));
        Assert.Equal("Ports in use: survey.db, IPv6", page.Descendants("h1").Single().Value);
        Assert.Equal(["IPv4", "0", "0.00", "0", "0", "0.00 %"], Rows(page, "families")[1]);
        Assert.Equal(["IPv6", "1", "20.00", "20", "20", "100.00 %"], Rows(page, "families")[2]);
    }

    [Fact]
    public void The_page_needs_nothing_besides_and_can_be_read_aloud()
    {
        ImportTwoHosts();
        XElement html = Report().Root!;
        Assert.Equal("en", (string?)html.Attribute("lang"));
        Assert.NotEmpty(html.Descendants("title").First().Value);
        Assert.DoesNotContain(html.Descendants(), e => e.Name.LocalName is "script" or "link" or "img" or "iframe" or "image");
        Assert.DoesNotContain("http", string.Concat(html.Descendants().Attributes().Where(a => !a.IsNamespaceDeclaration).Select(a => a.Value)), StringComparison.Ordinal);
        Assert.DoesNotContain("url(h", html.ToString(), StringComparison.Ordinal);
        Assert.Equal(["h1", "h2", "h2", "h2", "h2", "h2"], html.Descendants().Where(e => e.Name.LocalName is ['h', >= '1' and <= '6']).Select(e => e.Name.LocalName));
        string[] ids = [.. html.Descendants().Attributes("id").Select(id => id.Value)];
        Assert.Equal(ids.Distinct(), ids);
        Assert.All(html.Descendants("th"), th => Assert.NotNull(th.Attribute("scope")));
        Assert.All(html.Descendants("table"), table => Assert.NotNull(table.Element("caption")));
        Assert.All(html.Descendants("tbody").Elements("tr"), row => Assert.Equal("row", (string?)row.Elements().First().Attribute("scope")));
        Assert.All(html.Descendants("figure"), figure =>
        {
            XElement svg = figure.Element(s_svg + "svg")!;
            Assert.NotNull(figure.Element("figcaption"));
            Assert.Equal("img", (string?)svg.Attribute("role"));
            foreach (string id in ((string)svg.Attribute("aria-labelledby")!).Split(' ')) Assert.NotEmpty(svg.Elements().Single(e => (string?)e.Attribute("id") == id).Value);
            foreach (string clip in svg.Descendants().Attributes("clip-path").Select(c => c.Value[5..^1])) Assert.Contains(clip, ids);
        });
    }

    [Fact]
    public void Charts_go_into_files_where_that_is_asked_for()
    {
        ImportTwoHosts();
        string charts = Path.Combine(_directory, "charts");
        XDocument page = Report(svgDirectory: charts, pngDirectory: charts);
        foreach (string name in Charts(page))
        {
            Assert.Equal(Texts(Chart(page, name)), Texts(XDocument.Load(Path.Combine(charts, $"{name}.svg")).Root!));
            byte[] png = File.ReadAllBytes(Path.Combine(charts, $"{name}.png"));
            Assert.Equal([0x89, .. "PNG\r\n\x1a\n"u8], png[..8]);
            Assert.Equal(1920, BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16)));
        }
    }

    [Fact]
    public void Nothing_to_show_is_an_error_and_no_file()
    {
        using (SurveyStore.OpenToAdd(Store, ApplicationRules.Standard, byAddress: false)) { }
        APlusPException none = Assert.Throws<APlusPException>(() => Report());
        Assert.Equal(ErrorCodes.NothingToReport, none.Code);
        Assert.Contains("has no sample yet", none.Message, StringComparison.Ordinal);
        Import(TimeSpan.FromSeconds(10), Web("192.168.2.1", 1));
        Assert.Contains("at none of them", Assert.Throws<APlusPException>(() => Report(new SurveyPart(IsIPv6: true))).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_directory, "report.html")));
    }

    [Fact]
    public void A_report_that_cannot_be_written_says_so()
    {
        ImportTwoHosts();
        Directory.CreateDirectory(Path.Combine(_directory, "report.html"));
        APlusPException refused = Assert.Throws<APlusPException>(() => Report());
        Assert.Equal(ErrorCodes.ReportNotWritten, refused.Code);
        Assert.Contains("report.html cannot be written", refused.Message, StringComparison.Ordinal);
    }
}
