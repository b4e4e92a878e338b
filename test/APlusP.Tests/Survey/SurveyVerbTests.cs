using System.Text.Json;
using APlusP.Tests.Cli;

namespace APlusP.Tests.Survey;

/// <summary><c>aplusp survey</c> and <c>aplusp plan</c> as a shell sees them.</summary>
public sealed class SurveyVerbTests : IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    (int Exit, string Output, string Error) Run(params string[] arguments) => Executable.Run(_directory, arguments);

    void Put(string name, string text) => File.WriteAllText(Path.Combine(_directory, name), text);

    [Fact]
    public void Saved_tables_become_figures()
    {
        Put("1.txt", string.Concat(Enumerable.Range(0, 30).Select(i => Tables.Udp("192.168.2.9", 50000 + i, $"203.0.113.{i + 1}", 53))) + string.Concat(Enumerable.Range(0, 10).Select(i => Tables.Tcp("192.168.2.9", 40000 + i, "203.0.113.7", 443))));
        Put("2.txt", Tables.Tcp("192.168.2.9", 1, "203.0.113.7", 80) + "rubbish\n");
        (int exit, string output, string error) = Run("survey", "import", "--store", "s.db", "1.txt", "2.txt", "--at", "1267551614", "--every", "11");
        Assert.Equal((0, ""), (exit, output));
        Assert.Equal("2.txt:2: warning AP7003: it does not begin as a line of a connection table: 'tcp      6 431999 ESTABLISHED src=...'\ns.db: 2 sample(s) of 1 host(s)\n", error);

        (exit, output, error) = Run("survey", "stats", "--store", "s.db", "--host", "192.168.2.9", "--family", "4", "--json");
        Assert.Equal((0, ""), (exit, error));
        JsonElement stats = JsonDocument.Parse(output).RootElement;
        Assert.Equal(["samples", "hosts", "ports", "minimumPorts", "applications"], stats.EnumerateObject().Select(p => p.Name));
        Assert.Equal(["mean", "max", "p50", "p95", "p99"], stats.GetProperty("minimumPorts").EnumerateObject().Select(p => p.Name));
        Assert.Equal((2, 1, 20.5, 40, 10), (stats.GetProperty("samples").GetInt32(), stats.GetProperty("hosts").GetInt32(), stats.GetProperty("ports").GetProperty("mean").GetDouble(), stats.GetProperty("ports").GetProperty("max").GetInt32(), stats.GetProperty("minimumPorts").GetProperty("max").GetInt32()));
        Assert.Equal(15, stats.GetProperty("applications").GetProperty("dns").GetProperty("mean").GetDouble());
        Assert.Equal(100.0 * 30 / 41, stats.GetProperty("applications").GetProperty("dns").GetProperty("share").GetDouble(), 1e-9);
        Assert.Contains("73.17 %", Run("survey", "stats", "--store", "s.db").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Who_still_needs_IPv4_is_told_by_host_and_for_what()
    {
        Put("1.txt", Tables.Udp("192.168.2.9", 50000, "203.0.113.1", 53) + Tables.Tcp("192.168.2.10", 40000, "203.0.113.7", 443) + Tables.Tcp("192.168.2.10", 40001, "203.0.113.7", 443) + Tables.Udp("192.168.2.10", 50001, "203.0.113.2", 53));
        Put("2.txt", Tables.Tcp("192.168.2.10", 40002, "203.0.113.7", 443));
        Assert.Equal(0, Run("survey", "import", "--store", "s.db", "--addresses", "1.txt", "2.txt", "--at", "1267551614").Exit);
        JsonElement[] hosts = [.. JsonDocument.Parse(Run("survey", "stats", "--store", "s.db", "--family", "4", "--by-host", "--json").Output).RootElement.GetProperty("byHost").EnumerateArray()];
        Assert.Equal([("192.168.2.10", 2, 2.0, 3), ("192.168.2.9", 1, 1.0, 1)], hosts.Select(h => (h.GetProperty("host").GetString()!, h.GetProperty("samples").GetInt32(), h.GetProperty("mean").GetDouble(), h.GetProperty("max").GetInt32())));
        Assert.Equal([("https", 1.5), ("dns", 0.5)], hosts[0].GetProperty("applications").EnumerateObject().Select(a => (a.Name, a.Value.GetDouble())));
        Assert.Contains("https 1.50, dns 0.50", Run("survey", "stats", "--store", "s.db", "--by-host").Output, StringComparison.Ordinal);
        Assert.DoesNotContain("byHost", Run("survey", "stats", "--store", "s.db", "--json").Output, StringComparison.Ordinal);
        Assert.Equal("[]", JsonDocument.Parse(Run("survey", "stats", "--store", "s.db", "--family", "6", "--by-host", "--json").Output).RootElement.GetProperty("byHost").GetRawText());
    }

    [Fact]
    public void A_report_is_a_page_and_its_charts()
    {
        Put("1.txt", Tables.Udp("192.168.2.9", 1, "203.0.113.7", 53));
        Assert.Equal(0, Run("survey", "import", "--store", "s.db", "1.txt").Exit);
        (int exit, string output, string error) = Run("survey", "report", "--store", "s.db", "--out", "r.html", "--svg-dir", "charts", "--png");
        Assert.Equal((0, ""), (exit, output));
        string[] charts = ["applications-over-time", "ports-of-hosts", "families-over-time", "top-applications", "protocols"];
        Assert.Equal(["r.html", .. charts.SelectMany(chart => new[] { $"charts/{chart}.svg", $"charts/{chart}.png" })], error.TrimEnd().Split('\n').Select(line => line.Replace(" written", "", StringComparison.Ordinal)));
        Assert.Equal(charts.Length * 2, Directory.GetFiles(Path.Combine(_directory, "charts")).Length);
        Assert.Equal(0, Run("survey", "report", "--store", "s.db", "--out", "r.html", "--png").Exit);
        Assert.True(File.Exists(Path.Combine(_directory, "protocols.png")));
    }

    [Fact]
    public void The_rules_that_are_printed_are_rules()
    {
        (int exit, string rules, _) = Run("survey", "rules");
        Assert.Equal(0, exit);
        Put("rules.toml", rules.Replace("\"dns\"", "\"names\"", StringComparison.Ordinal));
        Put("1.txt", Tables.Udp("192.168.2.9", 1, "203.0.113.7", 53));
        Assert.Equal(0, Run("survey", "import", "--store", "s.db", "1.txt", "--rules", "rules.toml").Exit);
        Assert.Contains("\"names\":{\"mean\":1,", Run("survey", "stats", "--store", "s.db", "--json").Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("AP7001", "survey", "import", "--store", "s.db", "none.txt")]
    [InlineData("AP7004", "survey", "stats", "--store", "none.db")]
    [InlineData("AP7005", "survey", "import", "--store", "s.db", "none.txt", "--every", "never")]
    [InlineData("AP7005", "survey", "import", "--store", "s.db", "none.txt", "--at", "yesterday")]
    [InlineData("AP7005", "survey", "import", "--store", "s.db", "none.txt", "--inside", "home")]
    [InlineData("AP7004", "survey", "report", "--store", "none.db", "--out", "r.html")]
    [InlineData("AP7004", "plan", "--survey", "none.db")]
    [InlineData("AP7020", "plan", "--assume", "nothing")]
    [InlineData("AP7020", "plan", "--assume", "ports=500", "--refusal", "2")]
    public void An_error_goes_to_standard_error_with_its_code(string code, params string[] arguments)
    {
        (int exit, string output, string error) = Run(arguments);
        Assert.Equal((1, ""), (exit, output));
        Assert.StartsWith($"aplusp: {code}: ", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_plan_without_a_survey_is_of_assumptions()
    {
        JsonElement erlangs = JsonDocument.Parse(Run("plan", "--assume", "erlangs=100", "--refusal", "0.001", "--json").Output).RootElement;
        Assert.Equal(128, erlangs.GetProperty("portsPerSubscriber").GetInt32());
        JsonElement ports = JsonDocument.Parse(Run("plan", "--assume", "ports=500", "--json").Output).RootElement;
        Assert.Equal(129, ports.GetProperty("subscribersPerAddress").GetInt32());
        (int exit, string output, _) = Run("plan", "--assume", "ports=500", "--population", "1000", "--write", "registry.toml", "--pool", "192.0.2.0/28");
        Assert.Equal(0, exit);
        Assert.Contains("500 ports for each subscriber, 129 subscribers an address", output, StringComparison.Ordinal);
        Assert.Equal(0, Run("config", "check", "registry.toml").Exit);
        Assert.Contains("--pool", Run("plan", "--assume", "ports=500", "--write", "registry.toml").Error, StringComparison.Ordinal);
        Assert.NotEqual(0, Run("plan").Exit);
    }

    [Fact]
    public void A_plan_of_a_survey_tells_each_size_and_why()
    {
        for (int file = 0; file < 5; file++) Put($"{file}.txt", string.Concat(Enumerable.Range(0, 60 + file * 40).Select(i => Tables.Tcp("192.168.2.9", 40000 + i, $"203.0.113.{i % 20 + 1}", 443))));
        Assert.Equal(0, Run("survey", "import", "--store", "s.db", "0.txt", "1.txt", "2.txt", "3.txt", "4.txt").Exit);
        string output = Run("plan", "--survey", "s.db", "--population", "500").Output;
        foreach (string part in new[] { "endpoint-independent NAPT: ", "5-tuple NAPT: ", "Recommended: ", "DS-Lite", "say little of many subscribers" }) Assert.Contains(part, output, StringComparison.Ordinal);
        JsonElement plan = JsonDocument.Parse(Run("plan", "--survey", "s.db", "--json", "--ports", "100,220").Output).RootElement;
        JsonElement sizes = plan.GetProperty("endpointIndependent").GetProperty("sizes");
        Assert.Equal((0.6, 0.0), (sizes[0].GetProperty("time").GetProperty("p50").GetDouble(), sizes[1].GetProperty("time").GetProperty("p50").GetDouble()));
        Assert.Equal(240.0 / 700, sizes[0].GetProperty("flows").GetProperty("worst").GetDouble(), 1e-9);
        Assert.Equal(11, plan.GetProperty("fiveTuple").GetProperty("most").GetInt32());
    }
}
