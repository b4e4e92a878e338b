using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using APlusP.Core.PortSets;
using APlusP.Lab;
using Microsoft.Playwright;

namespace APlusP.LabTests;

public sealed class HouseholdLab() : LabFixture(LabPlan.Smaps("thouse", 1), captures: false);

/// <summary>The household's page of a real SMAP, asked for by a host of the home.</summary>
public sealed partial class HouseholdTests(HouseholdLab lab) : IClassFixture<HouseholdLab>, IDisposable
{
    readonly string _state = Directory.CreateTempSubdirectory("aplusp-household-").FullName;
    LabProcess? _page;

    const string Page = "http://192.168.1.1";

    string Cookies => Path.Combine(_state, "cookies");

    public void Dispose()
    {
        _page?.Stop();
        Directory.Delete(_state, recursive: true);
    }

    void Start()
    {
        _page = lab.Lab.Start("smap1", "household", [LabFixture.Executable, "household", "--listen", "192.168.1.1", "--state", _state, "--socket", lab.Lab.ControlSocket("smap1")]);
        _page.WaitUntil(() => lab.Lab.Listens("smap1", 80), TimeSpan.FromSeconds(20), "listen");
        SignIn(File.ReadAllText(Path.Combine(_state, "household.key")).Trim());
    }

    void SignIn(string secret) => Ask("/sign-in", "--data-urlencode", $"secret={secret}");

    /// <summary>What a browser of the home is shown, after redirections.</summary>
    string Ask(string path, params string[] more) => WebUtility.HtmlDecode(Raw(path, ["-L", .. more]));

    [GeneratedRegex("""<link rel="stylesheet"[^>]*>""")]
    private static partial Regex StyleLink { get; }

    [Fact]
    public void Who_looks_when_the_line_is_dead_is_told_so_and_when_it_is_back() => lab.Test(() =>
    {
        Start();
        Assert.Contains("It works.", Ask("/"), StringComparison.Ordinal);
        LabProcess asks = lab.Lab.Start("h1", "asks", ["ping", "-i", "0.2", "-w", "120", LabTopology.Www4Address]);

        // Somewhere on the way all is lost, and nobody says so.
        lab["core"].Require("nft", "table ip6 cut { chain way { type filter hook forward priority 0; policy drop; }; }");
        try
        {
            Assert.True(Wait.Until(() => Ask("/").Contains("The line is dead", StringComparison.Ordinal), TimeSpan.FromSeconds(60)), "nobody says that the line is dead");
            Assert.Contains("the line is dead", Commands.Require(LabFixture.Executable, "status", "--socket", lab.Lab.ControlSocket("smap1")), StringComparison.Ordinal);
        }
        finally
        {
            lab["core"].Require("nft", "delete", "table", "ip6", "cut");
        }

        Assert.True(Wait.Until(() => Ask("/").Contains("It works.", StringComparison.Ordinal), TimeSpan.FromSeconds(60)), "nobody says that the line is back");
        asks.Stop();
    });

    [Fact]
    public void A_household_sees_how_it_fares_and_lets_a_port_lead_to_a_server_which_is_reached_by_it() => lab.Test(() =>
    {
        Start();
        string main = Ask("/");
        Assert.Contains("It works.", main, StringComparison.Ordinal);
        Assert.Contains(LabPlan.SharedAddress, main, StringComparison.Ordinal);
        int port = FirstPort;
        Assert.Contains("That was not done", Ask("/forwards", "-d", "port=80&host=192.168.1.10&host-port=8000&protocol=tcp"), StringComparison.Ordinal);
        Assert.Contains($"TCP {port}", Ask("/forwards", "-d", $"port={port}&host=192.168.1.10&host-port=8000&protocol=tcp"), StringComparison.Ordinal);
        LabProcess server = lab.Lab.Start("h1", "server", ["socat", "TCP4-LISTEN:8000,fork,reuseaddr", "SYSTEM:echo here"]);
        Assert.True(Wait.Until(() => lab.Lab.Listens("h1", 8000), TimeSpan.FromSeconds(10)));
        Assert.Equal("here\n", lab["www4"].Run(["socat", "-u", "-T", "20", $"TCP4:{LabPlan.SharedAddress}:{port}", "-"]).Output);
        server.Stop();

        Assert.DoesNotContain($"TCP {port}", Ask("/forwards/remove", "-d", $"port={port}&protocol=tcp"), StringComparison.Ordinal);
        Assert.Contains("All is well.", Ask("/check", "-X", "POST", "-H", "Content-Length: 0"), StringComparison.Ordinal);
    });

    int FirstPort => PortSet.Parse(lab.Lab.DaemonStatus("smap1").GetProperty("smap").GetProperty("ports").GetString()!).Ranges.First().First;

    [Fact]
    public void Nobody_reaches_it_from_outside() => lab.Test(() =>
    {
        Start();
        Assert.False(lab["core"].Run("curl", "-sS", "--max-time", "3", $"http://[{WanAddress}]/").Succeeded);
        Assert.False(lab["www4"].Run("curl", "-sS", "--max-time", "3", $"http://{LabPlan.SharedAddress}/").Succeeded);

        // By its address in the home, from the operator's side of the line, with a way back.
        string mac = lab["smap1"].Shell("cat /sys/class/net/wan/address").Trim();
        lab["core"].Ip("addr add 10.99.0.1/24 dev smap1", $"neigh replace 192.168.1.1 lladdr {mac} dev smap1 nud permanent", "route add 192.168.1.1/32 dev smap1 src 10.99.0.1");
        lab["smap1"].Ip("route add 10.99.0.0/24 dev wan src 192.168.1.1");
        CommandResult outside = lab["core"].Run("curl", "-sS", "--max-time", "5", "http://192.168.1.1/");
        lab["smap1"].Ip("route del 10.99.0.0/24 dev wan");
        lab["core"].Ip("route del 192.168.1.1/32 dev smap1", "addr del 10.99.0.1/24 dev smap1");
        Assert.False(outside.Succeeded);

        // The connection was there, and was ended without a word.
        Assert.DoesNotContain("timed out", outside.Text, StringComparison.Ordinal);
        Assert.Empty(outside.Output);
    });

    string WanAddress => lab["smap1"].Shell("ip -6 -o addr show dev wan scope global").Split(' ', StringSplitOptions.RemoveEmptyEntries)[3].Split('/')[0];

    [Theory]
    [InlineData("en", "360,800")]
    [InlineData("fr", "360,800")]
    [InlineData("fr", "1280,900")]
    public void Its_pages_break_no_rule_of_axe(string language, string size) => lab.Test(() =>
    {
        string outside, main, findings;
        Start();
        outside = lab["h1"].Require("curl", "-sS", $"{Page}/?lang={language}");
        int port = FirstPort;
        Ask("/forwards", "-d", $"port={port}&host=192.168.1.10&host-port=8000&protocol=tcp");
        main = Raw($"/?lang={language}");
        Assert.Contains($"TCP {port}", main, StringComparison.Ordinal);
        findings = Raw("/check", "-X", "POST", "-H", "Content-Length: 0");
        Ask("/forwards/remove", "-d", $"port={port}&protocol=tcp");
        string style = $"<style>{lab["h1"].Require("curl", "-sS", $"{Page}/page.css")}</style>";
        using var axe = new AxeJudge();
        foreach (string page in (string[])[outside, main, findings])
        {
            Assert.Contains($"<html lang=\"{language}\">", page, StringComparison.Ordinal);
            (IReadOnlyList<string> broken, int kept) = axe.Judge(StyleLink.Replace(page, style).Replace("<script src=\"/page.js\"></script>", "", StringComparison.Ordinal), size);
            Assert.Empty(broken);
            Assert.True(kept >= 10, $"axe had only {kept} rules to keep");
        }
    });

    [Fact]
    public void On_a_telephone_a_household_signs_in_watches_its_ports_and_lets_one_lead_to_a_server() => lab.Test(() => TelephoneAsync().GetAwaiter().GetResult());

    // Everything is found by what it is called, as a screen reader finds it.
    async Task TelephoneAsync()
    {
        Start();
        await using Browser browser = await Browser.StartAsync(lab["h1"]);
        IPage page = await browser.PageAsync(360, 800, "fr-FR");
        await page.GotoAsync(Page);
        await page.GetByLabel("Mot de passe ou clé").FillAsync((await File.ReadAllTextAsync(Path.Combine(_state, "household.key"))).Trim());
        await page.GetByRole(AriaRole.Button, new() { Name = "Se connecter" }).ClickAsync();
        await page.GetByText("Tout fonctionne.").WaitForAsync();
        Assert.Equal(360, await page.EvaluateAsync<int>("document.documentElement.scrollWidth"));
        (IReadOnlyList<string> broken, int kept) = await Browser.JudgeAsync(page);
        Assert.Empty(broken);
        Assert.True(kept >= 10, $"axe had only {kept} rules to keep");

        // What changes is seen without a reload.
        await page.EvaluateAsync("window.sameDocument = true");
        ILocator tcp = page.GetByRole(AriaRole.Meter, new() { Name = "TCP" });
        int before = int.Parse((await tcp.GetAttributeAsync("value"))!);
        TcpClient[] held = [.. Enumerable.Range(0, 5).Select(_ => lab["h1"].Call(() => new TcpClient(LabTopology.Www4Address, 80)))];
        await Until(async () => int.Parse((await tcp.GetAttributeAsync("value"))!) >= before + held.Length);
        await page.GetByRole(AriaRole.Row, new() { NameRegex = HostRow }).WaitForAsync();
        Assert.True(await page.EvaluateAsync<bool>("window.sameDocument === true"));
        foreach (TcpClient connection in held) connection.Dispose();

        async Task Add(string port)
        {
            await page.GetByLabel("Port extérieur").FillAsync(port);
            await page.GetByLabel("Adresse de l’appareil").FillAsync("192.168.1.10");
            await page.GetByLabel("Port de l’appareil").FillAsync("8000");
            await page.GetByRole(AriaRole.Button, new() { Name = "Ajouter" }).ClickAsync();
        }

        string ours = $"{FirstPort}";
        await Add("80");
        await page.GetByText("Cela n’a pas été fait : Le port 80 n’est pas à vous.").WaitForAsync();
        await page.GotoAsync(Page);
        await Add(ours);
        LabProcess server = lab.Lab.Start("h1", "server", ["socat", "TCP4-LISTEN:8000,fork,reuseaddr", "SYSTEM:echo here"]);
        Assert.True(Wait.Until(() => lab.Lab.Listens("h1", 8000), TimeSpan.FromSeconds(10)));
        ILocator remove = page.GetByRole(AriaRole.Button, new() { Name = $"Enlever: TCP {ours}" });
        await remove.WaitForAsync();
        Assert.Equal("here\n", lab["www4"].Run(["socat", "-u", "-T", "20", $"TCP4:{LabPlan.SharedAddress}:{ours}", "-"]).Output);
        server.Stop();
        await remove.ClickAsync();
        await Until(async () => await remove.CountAsync() == 0);

        await page.GetByRole(AriaRole.Link, new() { Name = "English" }).ClickAsync();
        await page.GetByText("It works.").WaitForAsync();
    }

    static async Task Until(Func<Task<bool>> condition)
    {
        long start = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30), "the page did not come to show it within 30 s");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    [GeneratedRegex(@"192\.168\.1\.10.* [0-9]+")]
    private static partial Regex HostRow { get; }

    string Raw(string path, params string[] more) => lab["h1"].Require(["curl", "-sS", "--max-time", "60", "-b", Cookies, "-c", Cookies, .. more, $"{Page}{path}"]);
}
