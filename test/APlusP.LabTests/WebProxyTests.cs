using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

public sealed class WebProxyLab : LabFixture
{
    public const string Resolver = "2001:db8:6::5353", Deaf = "2001:db8:6::dead", SocketPort = "8080", GreetingPort = "8081";

    public WebProxyLab()
        : base(LabPlan.Smaps("tweb", 1), captures: false)
    {
        Programs.Require("nft", "dnsmasq", "socat");

        // Names in a resolver that is asked by IPv6, as a home's is.
        NetworkNamespace www6 = this["www6"];
        www6.Ip($"addr add {Resolver}/64 dev eth0 nodad");
        string own = this["smap1"].Shell("ip -6 -o addr show dev wan scope global").Split(' ', StringSplitOptions.RemoveEmptyEntries)[3].Split('/')[0];
        string configuration = Path.Combine(Lab.Directory, "names.conf");
        File.WriteAllText(configuration, $"""
            keep-in-foreground
            no-resolv
            no-hosts
            user=root
            group=root
            listen-address={Resolver}
            bind-interfaces
            pid-file={Lab.Directory}/names.pid
            host-record=www4.example,{LabTopology.Www4Address}
            host-record=www6.example,{LabTopology.Www6Address},{LabTopology.Www6AddressV6}
            host-record=deaf.example,{LabTopology.Www4Address},{Deaf}
            host-record=closed.example,{LabTopology.Www4Address},{Resolver}
            host-record=own.example,{LabTopology.Www4Address},{own}
            host-record=inside.example,{LabTopology.Www4Address},fd00::1
            local=/example/
            local-ttl=60

            """);
        Lab.Start("www6", "names", ["dnsmasq", $"--conf-file={configuration}"]);

        // One that refuses where it does not answer, and one that says nothing at all.
        www6.Require("nft", $"table ip6 closed {{ chain in {{ type filter hook input priority 0; ip6 daddr {Resolver} tcp dport 80 reject with tcp reset; ip6 daddr {Deaf} drop; }}; }}");
        www6.Ip($"addr add {Deaf}/64 dev eth0 nodad");
        Lab.Start("www6", "echo", ["/usr/bin/python3", Path.Combine(AppContext.BaseDirectory, "websocket_echo.py"), "server", LabTopology.Www6Address, SocketPort]);
        Lab.Start("www6", "echo6", ["/usr/bin/python3", Path.Combine(AppContext.BaseDirectory, "websocket_echo.py"), "server", LabTopology.Www6AddressV6, SocketPort]);
        Lab.Start("www4", "greeting", ["socat", $"TCP4-LISTEN:{GreetingPort},fork,reuseaddr", "SYSTEM:echo welcome; cat"]);
        StartProxy();
        if (!Wait.Until(() => Lab.Listens("www6", 8080) && Lab.Listens("www4", 8081) && this["smap1"].Run("dig", "+short", "+tries=1", $"@{Resolver}", "AAAA", "www6.example").Output.Length > 0, TimeSpan.FromSeconds(20)))
            throw new TimeoutException("the servers do not answer");
    }

    public LabProcess Proxy { get; private set; } = null!;

    public string Socket => Path.Combine(Lab.Directory, "web-proxy.sock");

    public void StartProxy(params string[] resolvers) => StartProxyWith([], resolvers);

    /// <summary>The same with more options.</summary>
    public void StartProxyWith(string[] options, params string[] resolvers)
    {
        Proxy = Lab.Start("smap1", "web-proxy",
            [Executable, "web-proxy", "--device", "lan", .. ((string[])["80", "443", SocketPort, GreetingPort]).SelectMany(p => (string[])["--port", p]), "--socket", Socket, .. options,
                .. (resolvers.Length > 0 ? resolvers : [Resolver]).SelectMany(r => (string[])["--resolver", r])]);
        Proxy.WaitUntil(() => Commands.Run(Executable, "status", "--socket", Socket).Succeeded, TimeSpan.FromSeconds(20), "answer");
    }

    public JsonElement Status()
    {
        using var status = JsonDocument.Parse(Commands.Require(Executable, "status", "--json", "--socket", Socket));
        return status.RootElement.Clone();
    }

    /// <summary>How the counts of ways moved.</summary>
    public Dictionary<string, long> Ways(Action action)
    {
        JsonElement before = Status();
        action();
        string[] ways = ["overIPv6", "noName", "noAddress", "nameLate", "notAnswering", "unreachable"];
        JsonElement after = Status();
        return ways.Select(w => (Way: w, Moved: after.GetProperty(w).GetInt64() - before.GetProperty(w).GetInt64())).Where(w => w.Moved != 0).ToDictionary(w => w.Way, w => w.Moved);
    }

    /// <summary>Waits until a page goes by IPv6: its name is in the book then, and told without asking anybody.</summary>
    public void AwaitIPv6() => Assert.True(Wait.Until(() => Ways(() => Page("www6.example", LabTopology.Www6Address, "/", "http", "-o", "/dev/null")).ContainsKey("overIPv6"), TimeSpan.FromSeconds(30)), "no page goes by IPv6");

    /// <summary>Ports of the shared address that TCP has now.</summary>
    public int SharedPorts() => Lab.DaemonStatus("smap1").GetProperty("smap").GetProperty("portsInUse").EnumerateArray().Where(p => p.GetProperty("protocol").GetString() == "tcp").Sum(p => p.GetProperty("ports").GetInt32());

    /// <summary>A page by an IPv4-only host, which knows the address of the name already.</summary>
    public CommandResult Page(string host, string address, string path = "/", string scheme = "http", params string[] more)
    {
        int port = scheme == "http" ? 80 : 443;
        return this["h1"].Run(["curl", "-4sS", "--fail", "--max-time", "60", "--cacert", Lab.Certificate, "--resolve", $"{host}:{port}:{address}", "-A", "h1", .. more, $"{scheme}://{host}{path}"]);
    }
}

/// <summary>
/// IPv4 web traffic of a host goes by IPv6 where the server has it: the host speaks IPv4 alone, the SMAP both.
/// </summary>
[Collection(Alone.Name)]
public sealed class WebProxyTests(WebProxyLab lab) : IClassFixture<WebProxyLab>
{
    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    public void A_server_that_has_IPv6_sees_IPv6_and_no_shared_port_is_used(string scheme) => lab.Test(() =>
    {
        lab.AwaitIPv6();
        int before = lab.SharedPorts(), requests = lab.Lab.AccessLog("www6").Count;
        Dictionary<string, long> ways = lab.Ways(() =>
        {
            CommandResult page = lab.Page("www6.example", LabTopology.Www6Address, "/film.mp4", scheme);
            Assert.True(page.Succeeded, page.Text);
            Assert.Equal(File.ReadAllText(Path.Combine(lab.Lab.Directory, "www6", "pages", "film.mp4")), page.Output);
        });
        Assert.Equal(new Dictionary<string, long> { ["overIPv6"] = 1 }, ways);
        Assert.Equal(before, lab.SharedPorts());
        Assert.Contains(':', Assert.Single(lab.Logged("www6", requests, 1)).Address);
    });

    [Fact]
    public void A_server_that_has_IPv4_alone_is_reached_as_ever() => lab.Test(() =>
    {
        int requests = lab.Lab.AccessLog("www4").Count;
        Assert.Equal(new Dictionary<string, long> { ["noAddress"] = 2 }, lab.Ways(() =>
        {
            foreach (string scheme in (string[])["http", "https"])
            {
                CommandResult page = lab.Page("www4.example", LabTopology.Www4Address, "/picture.jpg", scheme);
                Assert.True(page.Succeeded, page.Text);
            }
        }));
        Assert.All(lab.Logged("www4", requests, 2), entry => Assert.Equal(LabPlan.SharedAddress, entry.Address));
    });

    [Fact]
    public void An_IPv6_address_that_does_not_answer_costs_a_moment_once_and_then_nothing() => lab.Test(() =>
    {
        TimeSpan first = default, then = default;
        Assert.Equal(new Dictionary<string, long> { ["notAnswering"] = 1 + Often }, lab.Ways(() =>
        {
            first = Timed("deaf.example");
            then = Best("deaf.example");
        }));
        TestContext.Current.TestOutputHelper?.WriteLine($"first {first.TotalMilliseconds:0} ms, then {then.TotalMilliseconds:0} ms");
        Assert.InRange(first.TotalMilliseconds, 240, 1500);
        Assert.True(then < TimeSpan.FromMilliseconds(240), $"the pages after the first took {then.TotalMilliseconds} ms at best");
    });

    const int Often = 5;

    /// <summary>What a page takes where the machine is not elsewhere meanwhile.</summary>
    TimeSpan Best(string host) => Enumerable.Range(0, Often).Min(_ => Timed(host));

    /// <summary>What curl took for a page, without its own start.</summary>
    TimeSpan Timed(string host)
    {
        CommandResult page = lab.Page(host, LabTopology.Www4Address, more: ["-o", "/dev/null", "-w", "%{time_total}"]);
        Assert.True(page.Succeeded, page.Text);
        return TimeSpan.FromSeconds(double.Parse(page.Output, System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public void An_IPv6_address_that_refuses_costs_nothing() => lab.Test(() => Assert.Equal(new Dictionary<string, long> { ["notAnswering"] = Often }, lab.Ways(() =>
    {
        TimeSpan took = Best("closed.example");
        Assert.True(took < TimeSpan.FromMilliseconds(240), $"the page took {took.TotalMilliseconds} ms at best");
    })));

    [Theory]
    [InlineData("own.example")]
    [InlineData("inside.example")]
    public void A_name_leads_nobody_to_this_machine_nor_inside(string host) => lab.Test(() => Assert.Equal(new Dictionary<string, long> { ["noAddress"] = 1 }, lab.Ways(() => Assert.True(lab.Page(host, LabTopology.Www4Address).Succeeded))));

    [Fact]
    public void Who_names_nobody_is_led_where_he_goes() => lab.Test(() => Assert.Equal(new Dictionary<string, long> { ["noName"] = 2 }, lab.Ways(() =>
    {
        // By its address there is no name in TLS, nor one in HTTP.
        Assert.True(lab["h1"].Run("curl", "-4ksS", "--fail", "--max-time", "20", $"https://{LabTopology.Www6Address}/").Succeeded);
        Assert.True(lab["h1"].Run("curl", "-4sS", "--fail", "--max-time", "20", $"http://{LabTopology.Www6Address}/").Succeeded);
    })));

    [Fact]
    public void A_server_that_speaks_first_is_heard() => lab.Test(() => Assert.Equal(new Dictionary<string, long> { ["noName"] = 1 }, lab.Ways(() =>
    {
        CommandResult greeting = lab["h1"].Run(["socat", "-t", "10", "-T", "10", "-", $"TCP4:{LabTopology.Www4Address}:{WebProxyLab.GreetingPort}"], input: "hello\n");
        Assert.Equal("welcome\nhello\n", greeting.Output);
    })));

    [Fact]
    public void One_connection_carries_many_requests() => lab.Test(() =>
    {
        lab.AwaitIPv6();
        int requests = lab.Lab.AccessLog("www6").Count;
        Assert.Equal(new Dictionary<string, long> { ["overIPv6"] = 1 }, lab.Ways(() => Assert.True(
            lab.Page("www6.example", LabTopology.Www6Address, "/", "http", "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null", "http://www6.example/picture.jpg", "http://www6.example/film.mp4").Succeeded)));
        IReadOnlyList<AccessLogEntry> seen = lab.Logged("www6", requests, 3);
        Assert.Equal(3, seen.Count);
        Assert.Single(seen.Select(entry => entry.Port).Distinct());
    });

    [Fact]
    public void A_web_socket_goes_by_IPv6_both_ways_and_an_end_of_one_side_is_one_of_the_other() => lab.Test(() =>
    {
        lab.AwaitIPv6();
        Assert.Equal(new Dictionary<string, long> { ["overIPv6"] = 1 }, lab.Ways(() =>
        {
            string said = lab["h1"].Require("/usr/bin/python3", Path.Combine(AppContext.BaseDirectory, "websocket_echo.py"), "client", "www6.example", LabTopology.Www6Address, WebProxyLab.SocketPort);
            Assert.Equal("1000 messages came back, closed by 1000\n", said);
        }));
    });

    [Fact]
    public void A_gigabyte_arrives_whole() => lab.Test(() =>
    {
        const long size = 1 << 30;
        using (var film = new FileStream(Path.Combine(lab.Lab.Directory, "www6", "pages", "long.bin"), FileMode.Create)) film.SetLength(size);
        lab.AwaitIPv6();
        Assert.Equal(new Dictionary<string, long> { ["overIPv6"] = 1 }, lab.Ways(() =>
        {
            CommandResult film = lab.Page("www6.example", LabTopology.Www6Address, "/long.bin", "http", "-o", "/dev/null", "-w", "%{size_download} %{time_total}");
            Assert.True(film.Succeeded, film.Text);
            Assert.Equal($"{size}", film.Output.Split(' ')[0]);
            TestContext.Current.TestOutputHelper?.WriteLine($"1 GiB in {film.Output.Split(' ')[1]} s");
        }));
    });

    [Fact]
    public void Five_hundred_at_once_are_served_and_save_as_many_ports() => lab.Test(() =>
    {
        const int many = 500;
        lab.AwaitIPv6();
        int before = lab.SharedPorts();
        byte[] request = Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: www6.example\r\n\r\n");
        Socket[] clients = lab["h1"].Call(() => Enumerable.Range(0, many).Select(_ =>
        {
            var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 30_000 };
            client.Connect(IPAddress.Parse(LabTopology.Www6Address), 80);
            return client;
        }).ToArray());
        foreach (Socket client in clients) client.Send(request);
        byte[] answer = new byte[64];
        Assert.All(clients, client => Assert.StartsWith("HTTP/1.1 200", Encoding.ASCII.GetString(answer, 0, client.Receive(answer)), StringComparison.Ordinal));
        Assert.True(lab.Status().GetProperty("portsSaved").GetInt32() >= many, lab.Status().ToString());
        Assert.Equal(before, lab.SharedPorts());
        foreach (Socket client in clients) client.Dispose();
        Assert.True(Wait.Until(() => lab.Status().GetProperty("open").GetInt32() == 0, TimeSpan.FromSeconds(20)), lab.Status().ToString());
        Assert.True(lab.Status().GetProperty("mostPortsSaved").GetInt32() >= many);
    });

    [Fact]
    public void With_a_name_server_that_is_dead_beside_one_that_lives_it_goes_by_IPv6_and_with_none_at_all_as_ever() => lab.Test(() =>
    {
        Restart(WebProxyLab.Deaf, WebProxyLab.Resolver);
        lab.AwaitIPv6();
        Restart(WebProxyLab.Deaf);
        Assert.Equal(new Dictionary<string, long> { ["nameLate"] = Often }, lab.Ways(() =>
        {
            TimeSpan took = Best("www4.example");
            Assert.True(took < TimeSpan.FromSeconds(1), $"the page took {took.TotalMilliseconds} ms at best");
        }));
        Restart();
    });

    void Restart(params string[] resolvers)
    {
        Assert.True(lab.Proxy.Stop(TimeSpan.FromSeconds(10)));
        lab.StartProxy(resolvers);
    }

    [Fact]
    public void A_port_of_a_bridge_is_refused_with_the_name_of_the_bridge()
    {
        CommandResult refused = lab["smap1"].Run(LabFixture.Executable, "web-proxy", "--device", "lan-h1", "--socket", $"{lab.Socket}.2", "--listen", "8644");
        Assert.False(refused.Succeeded);
        Assert.Contains("AP3030: 'lan-h1' is a port of the bridge 'lan'", refused.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Killed_it_stands_in_nobodys_way_and_ended_it_leaves_nothing_behind_nor_ever_a_name_in_its_log() => lab.Test(() =>
    {
        Assert.True(lab.Page("www6.example", LabTopology.Www6Address).Succeeded);
        lab.Proxy.Signal(Signals.Kill);
        Assert.True(lab.Proxy.WaitForExit(TimeSpan.FromSeconds(10)));
        int requests = lab.Lab.AccessLog("www6").Count;
        Assert.True(lab.Page("www6.example", LabTopology.Www6Address).Succeeded);
        Assert.Equal(LabPlan.SharedAddress, Assert.Single(lab.Logged("www6", requests, 1)).Address);

        lab.StartProxy();
        Assert.True(lab.Page("www6.example", LabTopology.Www6Address).Succeeded);
        Assert.True(lab.Proxy.Stop(TimeSpan.FromSeconds(10)));
        Assert.Equal("1\n", lab["smap1"].Shell("cat /proc/sys/net/bridge/bridge-nf-call-iptables"));
        Assert.DoesNotContain("aplusp-web", lab["smap1"].Require("nft", "list", "ruleset"), StringComparison.Ordinal);
        Assert.DoesNotContain("6345", lab["smap1"].Shell("ip rule; ip route show table all"), StringComparison.Ordinal);
        string log = lab.Proxy.ReadLog();
        Assert.DoesNotContain("example", log, StringComparison.Ordinal);
        Assert.DoesNotContain(LabTopology.Www6Address, log, StringComparison.Ordinal);
        lab.StartProxy();
    });

    [Fact]
    public void Fifty_clients_at_once_share_six_ports_to_a_server_that_has_IPv4_alone_and_the_most_visited_site_is_known() => lab.Test(() =>
    {
        Assert.True(lab.Proxy.Stop(TimeSpan.FromSeconds(10)));
        lab.StartProxyWith(["--connections-per-server", "6", "--rank-sites"]);
        try
        {
            int requests = lab.Lab.AccessLog("www4").Count;
            byte[] picture = File.ReadAllBytes(Path.Combine(lab.Lab.Directory, "www4", "pages", "picture.jpg"));
            string file = Path.Combine(lab.Lab.Directory, "pooled");
            Task<CommandResult>[] pages = [.. Enumerable.Range(0, 50).Select(i => Task.Run(() => lab.Page("www4.example", LabTopology.Www4Address, "/picture.jpg", "http", "-o", $"{file}-{i}")))];
            Task.WaitAll(pages, TestContext.Current.CancellationToken);
            Assert.All(pages, page => Assert.True(page.Result.Succeeded, page.Result.Text));
            for (int i = 0; i < pages.Length; i++) Assert.Equal(picture, File.ReadAllBytes($"{file}-{i}"));
            IReadOnlyList<AccessLogEntry> seen = lab.Logged("www4", requests, 50);
            Assert.Equal(50, seen.Count);
            Assert.InRange(seen.Select(entry => entry.Port).Distinct().Count(), 1, 6);

            // TLS is nobody's to share, and a site with IPv6 goes by that.
            Assert.True(lab.Page("www4.example", LabTopology.Www4Address, scheme: "https").Succeeded);
            for (int i = 0; i < 3; i++) Assert.True(lab.Page("www6.example", LabTopology.Www6Address).Succeeded);
            JsonElement status = lab.Status();
            Assert.Equal((50, 3), (status.GetProperty("pooled").GetInt32(), status.GetProperty("overIPv6").GetInt32()));
            Assert.Equal([("www4.example", 51), ("www6.example", 3)], status.GetProperty("sites").EnumerateArray().Select(s => (s.GetProperty("name").GetString()!, s.GetProperty("connections").GetInt32())));
        }
        finally
        {
            lab.Proxy.Stop(TimeSpan.FromSeconds(10));
            lab.StartProxy();
        }
    });
}
