using System.Text.Json;
using System.Text.RegularExpressions;
using APlusP.Lab;

namespace APlusP.LabTests;

public sealed class BrowserLab() : LabFixture(LabPlan.Smaps("tbrowser", 1));

/// <summary>A real page in a real browser behind a SMAP: how many ports it takes.</summary>
public sealed partial class BrowserTests(BrowserLab lab) : IClassFixture<BrowserLab>
{
    const int Sites = 20, PicturesOfEach = 3;

    [GeneratedRegex(@"\b[0-9]+\b")]
    private static partial Regex PortForm { get; }

    [Fact]
    public void A_page_with_pictures_of_many_hosts_takes_a_port_for_each_connection_and_the_survey_says_so() => lab.Test(() =>
    {
        Programs.Require("chromium");
        string pages = Path.Combine(lab.Lab.Directory, "www4", "pages");
        string pictures = string.Concat(
            from site in Enumerable.Range(0, Sites)
            from picture in Enumerable.Range(0, PicturesOfEach)
            select $"<img src=\"http://pictures{site}.{LabServers.ManyNames}/picture.jpg?{picture}\" alt=\"\">");
        File.WriteAllText(Path.Combine(pages, "many.html"), $"<!DOCTYPE html><html lang=\"en\"><title>many</title><body>{pictures}</body></html>");

        // The server sees each connection, those too that the browser opens beforehand and then has no use for.
        lab["www4"].Require("nft", "table inet seen { set ports { type inet_service; flags dynamic; size 1000; }; chain in { type filter hook input priority 0; tcp dport 80 add @ports { tcp sport }; }; }");

        Show("profile");

        // The server may write the last a moment after the browser has it.
        AccessLogEntry[] requests = [];
        int Pictures() => (requests = [.. lab.Lab.AccessLog("www4").Where(entry => entry.Agent.Contains("Chrome", StringComparison.Ordinal))]).Count(entry => entry.Request.Contains("picture.jpg", StringComparison.Ordinal));
        Wait.Until(() => Pictures() >= Sites * PicturesOfEach, TimeSpan.FromSeconds(10));
        Assert.Equal(Sites * PicturesOfEach, Pictures());
        int[] ports = [.. PortForm.Matches(lab["www4"].Do("nft", "list", "set", "inet", "seen", "ports").Split("elements", 2)[1]).Select(port => int.Parse(port.Value))];
        Assert.Empty(requests.Select(entry => entry.Port).Except(ports));
        Assert.InRange(ports.Length, Sites, 3 * Sites * PicturesOfEach);

        Dictionary<string, double> used = Survey("page.db");
        Assert.Equal(ports.Length, used["http"]);

        // Names are asked of the SMAP, and by it of others by IPv6. By a resolver that hosts ask by IPv4, each takes a port of its own.
        Assert.Equal(0, used.GetValueOrDefault("dns"));
        lab["h1"].Shell($"echo nameserver {LabTopology.DnsAddress} > /etc/resolv.conf");
        Show("other-profile");
        double dns = Survey("other.db")["dns"];
        Assert.InRange(dns, Sites, 12 * Sites);
        TestContext.Current.TestOutputHelper?.WriteLine($"{Sites * PicturesOfEach} pictures of {Sites} hosts: {ports.Length} ports of HTTP, 0 of DNS, or {dns:0} with a resolver that hosts ask by IPv4");
    });

    /// <summary>The page in a browser that has never been there, in time that is real: the browser has it when it is loaded.</summary>
    void Show(string profile)
    {
        string shown = lab["h1"].Do(
            "timeout", "60", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            $"--user-data-dir={Path.Combine(lab.Lab.Directory, profile)}", "--dump-dom", $"http://www.{LabServers.ManyNames}/many.html");
        Assert.Contains($"pictures{Sites - 1}.", shown, StringComparison.Ordinal);
    }

    /// <summary>The ports of the shared address that applications have now.</summary>
    Dictionary<string, double> Survey(string file)
    {
        string store = Path.Combine(lab.Lab.Directory, file);
        Commands.Require([LabFixture.Executable, "survey", "--store", store, "--source", "smap", "--socket", lab.Lab.ControlSocket("smap1"), "--every", "1", "--duration", "0.5"]);
        using var stats = JsonDocument.Parse(Commands.Require([LabFixture.Executable, "survey", "stats", "--store", store, "--family", "4", "--json"]));
        return stats.RootElement.GetProperty("applications").EnumerateObject().ToDictionary(a => a.Name, a => a.Value.GetProperty("mean").GetDouble());
    }
}
