using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>SMAPs that know nothing but where the registry is, and a token; with a PRR that knows nothing but the registry.</summary>
public class ZeroTouchTests
{
    static ZeroTouchLab Lab(int homes) => new(LabFixture.NameHere("zt"), LabFixture.Executable, homes, LabFixture.FastPathLine);

    /// <summary>How a home looks to the web server, once it does.</summary>
    static IPEndPoint SeenOf(ZeroTouchLab lab, int home)
    {
        IPEndPoint? seen = null;
        lab.Await(home, () => (seen = lab.Seen(home)) is not null, "reach the web server");
        return seen!;
    }

    [Fact]
    public void Clones_of_one_image_come_up_by_themselves_each_as_itself_and_carry_traffic()
    {
        using ZeroTouchLab lab = Lab(3);
        lab.Advertise();
        lab.StartRegistry();
        lab.StartPrr();
        for (int i = 0; i < 3; i++) lab.BeginSmap(i);
        var known = new HashSet<string>();
        for (int i = 0; i < 3; i++)
        {
            lab.Await(i, () => lab.Query(i).Succeeded && lab.State(i) == "online", "be online");
            JsonElement smap = lab.Status(i), lease = lab.LeaseOf(i);
            Assert.Equal(ZeroTouchLab.Block, smap.GetProperty("portCount").GetInt32());
            Assert.Equal(ZeroTouchLab.PrrEnd, smap.GetProperty("prrAddress").GetString());
            Assert.True(known.Add(lease.GetProperty("subscriber").GetString()!));
            Assert.True(known.Add(lease.GetProperty("softwire").GetString()!));
            Assert.True(known.Add($"{smap.GetProperty("sharedAddress").GetString()}:{smap.GetProperty("ports").GetString()}"));

            IPEndPoint seen = SeenOf(lab, i);
            Assert.Equal(smap.GetProperty("sharedAddress").GetString(), $"{seen.Address}");
            Assert.Contains(lease.GetProperty("ranges").EnumerateArray(), r => seen.Port >= r[0].GetInt32() && seen.Port <= r[1].GetInt32());
            Assert.Contains(lease.GetProperty("subscriber").GetString()!, lab.Who($"{seen}").Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Whatever_it_needs_may_come_late_vanish_and_return()
    {
        using ZeroTouchLab lab = Lab(1);
        LabProcess daemon = lab.StartSmap(0, "check-every = 1");
        lab.Await(0, () => lab.State(0) == "no-address" && lab.Sentence(0).Contains("no router has advertised itself", StringComparison.Ordinal), "say that there is no router");
        Assert.Contains("no softwire: nothing is forwarded", lab.Query(0, "status").Output, StringComparison.Ordinal);
        lab.Advertise();
        lab.Await(0, "waiting");
        Assert.Null(lab.Seen(0));
        lab.StartRegistry();
        lab.Await(0, "online");
        Assert.Null(lab.Seen(0));
        lab.StartPrr();
        SeenOf(lab, 0);
        string lease = lab.LeaseOf(0).GetProperty("id").GetString()!;

        // Without the registry, and killed: by what it has kept.
        lab.StopRegistry();
        lab.Await(0, "online-alone");
        daemon.Signal(Signals.Kill);
        Assert.True(daemon.WaitForExit(TimeSpan.FromSeconds(10)));
        lab.StartSmap(0, "check-every = 1");
        lab.Await(0, "online-alone");
        SeenOf(lab, 0);
        lab.StartRegistry();
        lab.Await(0, "online");
        Assert.Equal(lease, lab.LeaseOf(0).GetProperty("id").GetString());

        // The PRR comes back with its bindings, and the router with its prefix; what runs meanwhile runs on.
        using TcpClient connection = lab.Connect(0);
        lab.StopPrr();
        Assert.Null(lab.Seen(0));
        lab.StartPrr();
        SeenOf(lab, 0);
        lab.StopAdvertising();
        lab.Await(0, () => lab.Sentence(0).Contains("lost its IPv6 address", StringComparison.Ordinal), "say that its router is gone");
        lab.Advertise();
        lab.Await(0, "online");
        Assert.True(ZeroTouchLab.Echoes(connection));

        // Another prefix: the lease moves, and connections live on.
        string before = lab.LeaseOf(0).GetProperty("softwire").GetString()!;
        lab.Advertise("2001:db8:2::", gone: ZeroTouchLab.FirstPrefix);
        lab.Await(0, () => lab.LeaseOf(0).GetProperty("softwire").GetString() != before, "move its lease");
        Assert.StartsWith("2001:db8:2:", lab.LeaseOf(0).GetProperty("softwire").GetString(), StringComparison.Ordinal);
        Assert.Equal(lease, lab.LeaseOf(0).GetProperty("id").GetString());
        lab.Await(0, "online");
        Assert.True(ZeroTouchLab.Echoes(connection));
    }

    [Theory]
    [InlineData("off")]
    [InlineData("tc")]
    public void One_that_runs_out_of_ports_gets_more_and_gives_them_back_when_it_is_idle_and_loses_no_connection(string fastPath)
    {
        using ZeroTouchLab lab = Lab(1);
        lab.Advertise();
        lab.StartRegistry();
        lab.StartPrr();
        lab.StartSmap(0, "check-every = 1\nshrink-after = 2", $"fast-path = \"{fastPath}\"", leavesMounts: fastPath != "off");
        SeenOf(lab, 0);
        using TcpClient connection = lab.Connect(0);
        Assert.True(ZeroTouchLab.Echoes(connection));

        // As many connections as it has ports, from two hosts; those that find none wait for the growth.
        TcpClient[] flows = [.. Enumerable.Range(0, ZeroTouchLab.Block).Select(i => lab.Connect(0, i % 2 == 0 ? ZeroTouchLab.Host : ZeroTouchLab.OtherHost))];
        lab.Await(0, () => lab.PortCount(0) >= 2 * ZeroTouchLab.Block, "get more ports");
        Assert.All(flows, flow => Assert.True(ZeroTouchLab.Echoes(flow)));
        Assert.True(ZeroTouchLab.Echoes(connection));

        // Reset, so that their ports are free soon.
        foreach (TcpClient flow in flows) flow.Client.Close(0);

        lab.Await(0, () => lab.PortCount(0) == ZeroTouchLab.Block, "give ports back");
        Assert.Equal(ZeroTouchLab.Block, lab.LeaseOf(0).GetProperty("ports").GetInt32());
        Assert.True(ZeroTouchLab.Echoes(connection));
    }

    [Fact]
    public void Rules_of_the_pool_come_with_the_lease_and_bind_the_LANs_also_while_the_registry_is_away_and_go_when_it_has_none()
    {
        using ZeroTouchLab lab = Lab(1);
        lab.Advertise();
        lab.StartRegistry(pool: "udp = \"dns-only\"\nresolver = \"ours\"");
        lab.StartPrr();
        lab.Homes[0].Ip("link add lan type bridge", "link set lan up");
        const string keys = "check-every = 1\n[[lan]]\ndevice = \"lan\"\naddress = \"192.168.9.1/24\"\nprefix = \"2001:db8:77::/64\"\n[port-control]\npcp = false";
        LabProcess smap = lab.StartSmap(0, keys);
        bool Binds() => lab.Homes[0].Run("nft", "list", "table", "inet", "aplusp-smap").Output is var table && table.Contains("udp dport != 53", StringComparison.Ordinal) && table.Contains("th dport { 53, 853 }", StringComparison.Ordinal);
        lab.Await(0, () => Binds() && lab.Status(0).GetProperty("policies").GetArrayLength() > 0, "keep the pool's rules");
        JsonElement policy = lab.Status(0).GetProperty("policies")[0];
        Assert.True(policy.GetProperty("dnsAlone").GetBoolean() && policy.GetProperty("ownResolver").GetBoolean() && policy.GetProperty("isInForce").GetBoolean());

        lab.StopRegistry();
        Assert.True(smap.Stop(TimeSpan.FromSeconds(20)));
        Assert.False(Binds());
        lab.StartSmap(0, keys);
        lab.Await(0, Binds, "keep the rules of the lease that it remembers");
        lab.StartRegistry();
        lab.Await(0, () => !Binds(), "hear that there are no rules any more");
    }

    [Fact]
    public void A_port_that_everybody_knows_is_leased_to_one_home_and_leads_to_its_server_and_is_taken_back()
    {
        using ZeroTouchLab lab = Lab(2);
        lab.Advertise();
        lab.StartRegistry();
        lab.StartPrr();
        lab.StartSmap(0, $"check-every = 1\n[[forward]]\nport = 80\nto = \"{ZeroTouchLab.Host}:8080\"\nprotocol = \"tcp\"");
        lab.StartSmap(1, "check-every = 1");
        for (int home = 0; home < 2; home++) SeenOf(lab, home);
        string address = lab.Status(0).GetProperty("sharedAddress").GetString()!;
        LabProcess server = lab.Serve(0, 8080, "here");
        string Page() => lab.Internet.Run("curl", "-sS", "--max-time", "3", $"http://{address}/").Output;
        Assert.Equal("", Page());
        bool IsInForce() => lab.Status(0).GetProperty("forwards").EnumerateArray().Single().GetProperty("isInForce").GetBoolean();
        Assert.False(IsInForce());

        CommandResult given = lab.Operate("registry", "service-port", "add", $"{address}:80", "--subscriber", lab.Subscriber(0));
        Assert.Equal($"{address}:80: {lab.Subscriber(0)}", given.Output.TrimEnd());
        Assert.Equal(given.Output, lab.Operate("registry", "service-port", "list").Output);
        lab.Await(0, () => lab.PortCount(0) == ZeroTouchLab.Block + 1, "have the port");
        Assert.True(Wait.Until(() => Page() == "here", TimeSpan.FromSeconds(30)), "the server is not reached by port 80");
        Assert.True(IsInForce());
        Assert.Contains(lab.Subscriber(0), lab.Ask("GET", $"who?address={address}&port=80").GetRawText(), StringComparison.Ordinal);

        // What the home begins itself goes by its set as before.
        Assert.NotEqual(80, SeenOf(lab, 0).Port);
        Assert.Equal($"{lab.Subscriber(0)} no longer has {address}:80.", lab.Operate("registry", "service-port", "remove", $"{address}:80").Output.TrimEnd());
        lab.Await(0, () => lab.PortCount(0) == ZeroTouchLab.Block, "give the port back");
        Assert.Equal("", Page());
        server.Stop();
    }

    [Fact]
    public void Without_a_router_that_says_so_the_line_is_set_by_hand_and_taken_back()
    {
        using ZeroTouchLab lab = Lab(1);
        lab.StartRegistry();
        lab.StartPrr();
        lab.StartSmap(0, "check-every = 1");
        lab.Await(0, "no-address");
        string[] line = ["--ipv6", $"{ZeroTouchLab.FirstPrefix}77/64", "--gateway", $"{ZeroTouchLab.FirstPrefix}1"];
        CommandResult wrong = lab.Rescue(0, "--ipv6", "192.0.2.1", "--gateway", $"{ZeroTouchLab.FirstPrefix}1");
        Assert.False(wrong.Succeeded);
        Assert.Contains("AP3017: '192.0.2.1' is no IPv6 address of a host", wrong.Text, StringComparison.Ordinal);

        CommandResult up = lab.Rescue(0, line);
        Assert.True(up.Succeeded, up.Text);
        Assert.Contains($"wan has {ZeroTouchLab.FirstPrefix}77/64 by {ZeroTouchLab.FirstPrefix}1", up.Output, StringComparison.Ordinal);
        Assert.Contains("online", up.Output, StringComparison.Ordinal);
        SeenOf(lab, 0);

        Assert.True(lab.Rescue(0, [.. line, "--undo"]).Succeeded);
        Assert.DoesNotContain("default", lab.Homes[0].Shell("ip -6 route show"), StringComparison.Ordinal);
        Assert.DoesNotContain($"{ZeroTouchLab.FirstPrefix}77", lab.Homes[0].Shell("ip -6 addr show"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_revoked_one_stops_says_why_and_comes_back_by_another_token_and_a_released_one_stays_away()
    {
        using ZeroTouchLab lab = Lab(1);
        lab.Advertise();
        lab.StartRegistry();
        lab.StartPrr();
        lab.StartSmap(0, "check-every = 1");
        IPEndPoint seen = SeenOf(lab, 0);
        string subscriber = lab.Subscriber(0);
        DateTimeOffset then = TimeProvider.System.GetUtcNow();
        Assert.Contains("dev aplusp-smap", lab.Homes[0].Shell("ip route show default"), StringComparison.Ordinal);
        lab.Revoke(0);
        lab.Await(0, "revoked");
        Assert.DoesNotContain("dev aplusp-smap", lab.Homes[0].Shell("ip route show default"), StringComparison.Ordinal);
        Assert.Contains("does not know our key any more", lab.Sentence(0), StringComparison.Ordinal);
        Assert.Null(lab.Seen(0));
        Assert.Contains(subscriber, lab.Who($"{seen}", then).Output, StringComparison.Ordinal);
        Assert.DoesNotContain(subscriber, lab.Who($"{seen}").Text, StringComparison.Ordinal);

        // Its name is free for it, since nobody holds anything by it any more.
        lab.NewToken(1);
        lab.Await(0, "online");
        Assert.Equal(subscriber, lab.Subscriber(0));
        SeenOf(lab, 0);

        CommandResult released = lab.Query(0, "smap", "release");
        Assert.True(released.Succeeded, released.Error);
        Assert.Equal("released", lab.State(0));
        Assert.Empty(lab.Ask("GET", $"leases?subscriber={subscriber}").GetProperty("leases").EnumerateArray());
        Assert.DoesNotContain("dev aplusp-smap", lab.Homes[0].Shell("ip route show default"), StringComparison.Ordinal);
    }

    [Fact]
    public void With_a_prefix_by_DHCPv6_the_end_of_the_softwire_is_in_that()
    {
        using ZeroTouchLab lab = Lab(1);
        string kea = Directory.CreateTempSubdirectory("aplusp-kea-").FullName, configuration = Path.Combine(kea, "kea.conf");
        lab.Advertise();
        lab.StartRegistry();
        lab.StartPrr();
        File.WriteAllText(configuration, """
            { "Dhcp6": {
              "interfaces-config": { "interfaces": [ "access" ] },
              "server-id": { "type": "EN", "enterprise-id": 2495, "identifier": "0102030405", "persist": false },
              "lease-database": { "type": "memfile", "persist": false },
              "subnet6": [ { "subnet": "2001:db8:1::/64", "interface": "access", "pd-pools": [ { "prefix": "2001:db8:100::", "prefix-len": 56, "delegated-len": 56 } ] } ]
            } }
            """);

        // What a relay agent does: the way to the prefix is by the home that has it.
        string linkLocal = lab.Homes[0].Shell("ip -6 -o addr show dev wan scope link").Split(' ', StringSplitOptions.RemoveEmptyEntries)[3].Split('/')[0];
        lab.Prr.Ip($"route add 2001:db8:100::/56 via {linkLocal} dev access");
        lab.Prr.Start("kea-dhcp6", Path.Combine(kea, "log"), "env", $"KEA_PIDFILE_DIR={kea}", $"KEA_LOCKFILE_DIR={kea}", "kea-dhcp6", "-c", configuration);
        lab.StartSmap(0, "check-every = 1\n[dhcpv6]\ninterface = \"wan\"");
        lab.Await(0, () => lab.State(0) == "online" && lab.LeaseOf(0).GetProperty("softwire").GetString()!.StartsWith("2001:db8:100:", StringComparison.Ordinal), "have its lease in the delegated prefix");
        SeenOf(lab, 0);
        Assert.Empty(lab.Homes[0].Shell("ip -6 neigh show proxy"));
        Assert.Contains("DHCPv6 on wan: bound", lab.Query(0, "status").Output, StringComparison.Ordinal);
        Directory.Delete(kea, recursive: true);
    }

    [Fact]
    public void A_hundred_of_one_image_are_online_within_a_minute()
    {
        // The build beside the tests compiles itself at each start, for a second of a processor; only what is shipped can be a hundred at once.
        bool isShipped = Environment.GetEnvironmentVariable("APLUSP_EXECUTABLE") is { Length: > 0 };
        int homes = isShipped ? 100 : 10;
        using ZeroTouchLab lab = Lab(homes);
        lab.Advertise();
        lab.StartRegistry();
        lab.StartPrr();
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < homes; i++) lab.BeginSmap(i);

        // By what the registry says, which disturbs less than a question to each.
        Assert.True(Wait.Until(() => lab.Ask("GET", $"leases?limit={homes + 1}").GetProperty("leases").GetArrayLength() == homes, TimeSpan.FromMinutes(5)));
        TimeSpan leased = Stopwatch.GetElapsedTime(start);
        for (int i = 0; i < homes; i++) lab.Await(i, () => lab.Query(i).Succeeded && lab.State(i) == "online", "be online");
        TimeSpan online = Stopwatch.GetElapsedTime(start);
        TestContext.Current.TestOutputHelper?.WriteLine($"{homes} SMAPs: the last lease after {leased.TotalSeconds:F1} s, all found online after {online.TotalSeconds:F1} s");
        if (isShipped) Assert.True(online < TimeSpan.FromMinutes(1), $"{online.TotalSeconds:F1} s");
        JsonElement[] leases = [.. lab.Ask("GET", $"leases?limit={homes + 1}").GetProperty("leases").EnumerateArray()];
        Assert.All((string[])["id", "subscriber", "softwire"], part => Assert.Equal(homes, leases.Select(l => l.GetProperty(part).GetString()).Distinct().Count()));
        Assert.Equal(homes, leases.Select(l => $"{l.GetProperty("address")} {l.GetProperty("ranges")}").Distinct().Count());
        Assert.Equal(homes, Enumerable.Range(0, homes).Select(i => $"{SeenOf(lab, i)}").Distinct().Count());
    }
}
