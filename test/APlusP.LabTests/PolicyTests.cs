using System.Diagnostics;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Text.Json;
using APlusP.Lab;
using APlusP.Lab.Links;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>A room of two hosts under the rules of a residence: no UDP but DNS, our resolver, and 6 MB a day, which take 12 s of its line.</summary>
public sealed class PolicyLab : LabFixture
{
    const string Rules = "device = \"lan\"\nudp = \"dns-only\"\nresolver = \"ours\"\ndaily-volume = \"6 MB\"";

    public PolicyLab()
        : base(new LabPlan("tpolicy", [RoomPlan.Of(1, "10000-11000", [new("h1", "192.168.1.10"), new("h2", "192.168.1.11")])]).With(RoomServices.Page | RoomServices.WebProxy).WithLink("room1", new LinkSettings { RateMbit = 4, Queue = 50 }) with { FastPath = "off" }, captures: false)
    {
        string path = Lab.ConfigurationPath("smap1");
        File.WriteAllText(path, File.ReadAllText(path).Replace("device = \"lan\"", Rules, StringComparison.Ordinal));
        Commands.Require(Executable, "reload", "--socket", Lab.ControlSocket("smap1"));
        if (!Wait.Until(() => this["smap1"].Run("nft", "list", "table", "inet", "aplusp-smap").Output.Contains("th dport", StringComparison.Ordinal), TimeSpan.FromSeconds(20))) throw new TimeoutException("the rules are not in force");
    }

    public JsonElement Policy() => Lab.DaemonStatus("smap1").GetProperty("smap").GetProperty("policies")[0];
}

/// <summary>The rules of a residence, as its hosts meet them.</summary>
[Collection(Alone.Name)]
public sealed class PolicyTests(PolicyLab lab) : IClassFixture<PolicyLab>
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(LabTopology.Www4Address)]
    [InlineData(LabTopology.Www6AddressV6)]
    public void UDP_that_is_not_DNS_is_refused_at_once_and_counted(string server) => lab.Test(() =>
    {
        long before = lab.Lab.Counters("smap1")["lan-refused-udp"];
        using Socket socket = lab["h2"].Call(() => new Socket(server.Contains(':') ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 5000 });
        socket.Connect(server, 4433);
        socket.Send([1]);
        SocketException refused = Assert.Throws<SocketException>(() => socket.Receive(new byte[10]));
        Assert.True(refused.SocketErrorCode is SocketError.HostUnreachable or SocketError.AccessDenied, $"{refused.SocketErrorCode}");
        Assert.True(Wait.Until(() => lab.Lab.Counters("smap1")["lan-refused-udp"] > before, s_patience));
        Assert.True(lab["h2"].Run("curl", "-sS", "--fail", "--max-time", "10", "-o", "/dev/null", "http://www4.example/").Succeeded);
    });

    [Theory]
    [InlineData("+notcp")]
    [InlineData("+tcp")]
    public void Names_are_told_by_the_SMAP_and_by_nobody_else(string how) => lab.Test(() =>
    {
        long before = lab.Lab.Counters("smap1")["lan-refused-resolver"];
        Assert.Equal(LabTopology.Www4Address, lab["h2"].Do("dig", "+short", how, "+tries=1", "+time=5", "www4.example"));
        foreach (string other in (string[])[LabTopology.DnsAddress, LabTopology.DnsAddressV6])
        {
            long begun = Stopwatch.GetTimestamp();
            Assert.DoesNotContain(LabTopology.Www4Address, lab["h2"].Run("dig", $"@{other}", "+short", how, "+tries=1", "+time=9", "www4.example").Output, StringComparison.Ordinal);
            Assert.InRange(Stopwatch.GetElapsedTime(begun), TimeSpan.Zero, TimeSpan.FromSeconds(6));
        }

        Assert.True(Wait.Until(() => lab.Lab.Counters("smap1")["lan-refused-resolver"] >= before + 2, s_patience));
    });

    [Fact]
    public void Who_has_used_its_day_up_is_stopped_and_told_why_and_stays_so_when_the_SMAP_is_killed_and_others_go_on() => lab.Test(() =>
    {
        // Who sends it UDP unasked needs no word of it to go on: it comes until the volume is used up.
        IPAddress host = lab["h1"].Call(() => NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address).First(a => a is { AddressFamily: AddressFamily.InterNetworkV6, IsIPv6LinkLocal: false } && !IPAddress.IsLoopback(a)));
        using Socket heard = lab["h1"].Call(() => new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 1000 });
        heard.Bind(new IPEndPoint(host, 5053));
        using Socket stranger = lab["smap1"].Call(() => new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp));
        stranger.Bind(new IPEndPoint(lab["smap1"].Call(() => NetworkInterface.GetAllNetworkInterfaces().Single(i => i.Name == "wan").GetIPProperties().UnicastAddresses.Select(a => a.Address).First(a => a is { AddressFamily: AddressFamily.InterNetworkV6, IsIPv6LinkLocal: false })), 53));
        bool Comes()
        {
            stranger.SendTo(new byte[100], heard.LocalEndPoint!);
            return heard.Poll(TimeSpan.FromSeconds(1), SelectMode.SelectRead) && heard.Receive(new byte[200]) == 100;
        }

        Assert.True(Wait.Until(Comes, s_patience), "what nobody refuses does not come");

        // Four megabytes by IPv6, and of the next four, by IPv4, about the half.
        CommandResult first = Get("h1", "-6", "https://www6.example/film.mp4");
        Assert.True(first.Succeeded, first.Text);
        long begun = Stopwatch.GetTimestamp();
        CommandResult cut = Get("h1", "-4", "https://www4.example/film.mp4");
        Assert.False(cut.Succeeded);
        Assert.InRange(Stopwatch.GetElapsedTime(begun).TotalSeconds, 1, 8);

        Assert.True(Wait.Until(() => !Comes(), s_patience), "UDP still comes to who is over");
        Assert.False(Comes());

        // By any way that a page comes.
        foreach ((string language, string part) in ((string, string)[])[("en", "Today’s volume is used up"), ("fr", "Le volume du jour est épuisé")])
            foreach (string server in (string[])["www4", "www6"]) AssertTold(server, language, part);
        foreach (string refused in (string[])["https://www4.example/", "https://www6.example/", $"http://[{LabTopology.Www6AddressV6}]/"])
        {
            begun = Stopwatch.GetTimestamp();
            Assert.False(Get("h1", "", refused).Succeeded);
            Assert.InRange(Stopwatch.GetElapsedTime(begun).TotalSeconds, 0, 4);
        }

        Assert.True(Wait.Until(() => lab.Lab.Counters("smap1")["lan-refused-volume"] > 0, s_patience), "what was refused is not counted");
        JsonElement used = lab.Policy().GetProperty("hosts")[0];
        Assert.Equal(("h1", "192.168.1.10", true), (used.GetProperty("name").GetString(), used.GetProperty("addresses")[0].GetString(), used.GetProperty("isOver").GetBoolean()));
        Assert.InRange(used.GetProperty("octets").GetInt64(), 6_000_000, 9_000_000);
        foreach (string page in (string[])["https://www4.example/", "http://www6.example/"])
        {
            CommandResult other = Get("h2", "-4", page);
            Assert.True(other.Succeeded, other.Text);
        }

        // What it has of the router goes on: names, and the page.
        Assert.Equal(LabTopology.Www4Address, lab["h1"].Do("dig", "+short", "+tries=1", "+time=5", "www4.example"));
        Assert.Equal("200", lab["h1"].Do("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://192.168.1.1/"));

        string kept = Path.Combine(lab.Lab.Directory, "smap1.state", "volumes.json");
        Assert.True(Wait.Until(() => File.Exists(kept) && JsonDocument.Parse(File.ReadAllText(kept)).RootElement.GetProperty("hosts").EnumerateObject().Any(h => h.Value.GetInt64() >= 6_000_000), s_patience), "nothing is kept");
        LabProcess daemon = lab.Lab.Process("smap1", "aplusp")!;
        daemon.Signal(Signals.Kill);
        Assert.True(daemon.WaitForExit(s_patience));
        lab.Lab.StartDaemon("smap1");
        Assert.True(Wait.Until(() => Told("www4", "en").Contains("Today’s volume is used up", StringComparison.Ordinal), s_patience), "it goes on after a kill");
        Assert.False(Get("h1", "-4", "https://www4.example/").Succeeded);
        Assert.True(Wait.Until(() => Get("h2", "-4", "https://www4.example/").Succeeded, s_patience));

        // The page is the next SMAP's soon.
        string Of(string path) => lab["h1"].Run("curl", "-4sS", "--max-time", "10", $"http://www4.example{path}").Output;
        string notice = "", style = "";
        Assert.True(Wait.Until(() => (notice = Of("/")).Length > 0 && (style = Of("/page.css")).Contains("font", StringComparison.Ordinal), s_patience), "the notice has no style");
        using var axe = new AxeJudge();
        foreach (string size in (string[])["360,800", "1280,900"])
        {
            (IReadOnlyList<string> broken, int rules) = axe.Judge(notice.Replace("</head>", $"<style>{style}</style></head>", StringComparison.Ordinal), size);
            Assert.Empty(broken);
            Assert.True(rules >= 10, $"axe had only {rules} rules to keep");
        }
    });

    void AssertTold(string server, string language, string part) => Assert.Contains(part, Told(server, language), StringComparison.Ordinal);

    string Told(string server, string language) => WebUtility.HtmlDecode(lab["h1"].Run("curl", "-4sS", "--max-time", "10", "-H", $"Accept-Language: {language}", $"http://{server}.example/").Output);

    CommandResult Get(string host, string family, string url, params string[] more) =>
        lab[host].Run(["curl", .. family.Length > 0 ? [family] : (string[])[], "-sS", "--fail", "--max-time", "60", "--cacert", lab.Lab.Certificate, "-o", "/dev/null", .. more, url]);
}
