using System.Globalization;
using APlusP.Core.Addresses;
using APlusP.Lab;
using static APlusP.LabTests.MapDomain;

namespace APlusP.LabTests;

/// <summary>PRR and SMAPs that know a mapping rule and nothing else, and Linux as a CE beside them.</summary>
public sealed class MapDomainTests : IDisposable
{
    readonly MapDomain _domain = new();

    public void Dispose() => _domain.Dispose();

    /// <summary>A host of a home sends to the server, which sees the home's address and a port that the rule gives to it.</summary>
    string Reach(UdpPlace host, MapHome home)
    {
        using UdpPlace server = _domain.Udp("internet", Server);
        (string address, int port) = UdpPlace.Split(host.Through(server));
        Assert.Equal(home.Address, address);
        Assert.True(home.Has(port), $"port {port} is not of PSID {home.Psid}");
        return $"{address}:{port}";
    }

    static long Carried(Dictionary<string, long> moved) => moved.GetValueOrDefault("from-smap-forwarded") + moved.GetValueOrDefault("from-smap-hairpinned") + moved.GetValueOrDefault("from-internet-received");

    [Fact]
    public void Homes_that_know_only_prefix_and_rule_reach_the_internet_and_each_other_through_the_prr()
    {
        _domain.StartPrr();
        _domain.StartSmap(Home1);
        _domain.StartSmap(Home2);
        using UdpPlace host1 = _domain.Udp("host1", MapDomain.Host), host2 = _domain.Udp("host2", MapDomain.Host);
        string one = Reach(host1, Home1), two = Reach(host2, Home2);

        Dictionary<string, long> moved = _domain.Moved("prr", () => Talk(host1, one, host2, two));
        Assert.Equal(2, moved["from-smap-hairpinned"]);

        // TCP by real programs; the server says whom it sees.
        _domain["internet"].Start("socat", Path.GetTempFileName(), "socat", $"TCP-LISTEN:8000,bind={Server},fork,reuseaddr", "SYSTEM:echo $SOCAT_PEERADDR $SOCAT_PEERPORT");
        string seen = "";
        Assert.True(Wait.Until(() => (seen = _domain["host1"].Run("socat", "-T", "5", "-u", $"TCP:{Server}:8000,connect-timeout=5", "-").Output.Trim()).Length > 0, TimeSpan.FromSeconds(10)));
        Assert.Equal(Home1.Address, seen.Split(' ')[0]);
        Assert.True(Home1.Has(int.Parse(seen.Split(' ')[1], CultureInfo.InvariantCulture)), seen);

        Assert.Contains("192.0.2.0/24", _domain.Ask("prr", "status").Output, StringComparison.Ordinal);
        Assert.Contains(" dev aplusp-prr ", _domain["prr"].Do("ip", "route", "show", "192.0.2.0/24") + " ", StringComparison.Ordinal);
    }

    static void Talk(UdpPlace host1, string one, UdpPlace host2, string two)
    {
        host1.Send(two);
        Assert.Equal(one, host2.Receive());
        host2.Send(one);
        Assert.Equal(two, host1.Receive());
    }

    [Fact]
    public void With_forwarding_rules_homes_talk_directly_and_the_prr_sees_nothing_of_it()
    {
        _domain.StartPrr();
        _domain.StartSmap(Home1, forwarding: true);
        _domain.StartSmap(Home2, forwarding: true);
        using UdpPlace host1 = _domain.Udp("host1", MapDomain.Host), host2 = _domain.Udp("host2", MapDomain.Host);
        string one = Reach(host1, Home1), two = Reach(host2, Home2);

        Dictionary<string, long> moved = _domain.Moved("prr", () =>
        {
            for (int i = 0; i < 20; i++) Talk(host1, one, host2, two);

            // In fragments of both kinds: of IPv4, and, as it does not fit the softwire, of IPv6.
            host1.Send(two, payload: 1999);
            Assert.Equal(one, host2.Receive());
        });
        Assert.Equal(0, Carried(moved));

        // But for what the kernel itself sends into a new device, to everybody.
        foreach (string smap in (string[])["smap1", "smap2"])
            Assert.DoesNotContain(_domain.Counters(smap), c => c.Value != 0 && c.Key.StartsWith("from-prr-drop-", StringComparison.Ordinal) && c.Key != "from-prr-drop-not-for-us");

        // The Internet is where it was.
        Reach(host1, Home1);
    }

    [Fact]
    public async Task Reloads_that_move_a_home_between_the_rule_and_a_binding_lose_no_packet()
    {
        _domain.StartPrr();
        _domain.StartSmap(Home1);
        using UdpPlace host1 = _domain.Udp("host1", MapDomain.Host);
        Reach(host1, Home1);
        Dictionary<string, long> before = _domain.Counters("prr");
        Task<CommandResult> ping = Task.Run(() => _domain["host1"].Run(["ping", "-c", "2000", "-i", "0.002", "-q", "-W", "2", Server], timeout: TimeSpan.FromSeconds(60)));
        int reloads = 0;
        for (; !ping.IsCompleted; reloads++) _domain.ReloadPrr(reloads % 2 == 0 ? Home1 : null);
        CommandResult result = await ping;
        Dictionary<string, long> after = _domain.Counters("prr");
        Assert.True(result.Output.Contains(" 0% packet loss", StringComparison.Ordinal), result.Text + string.Join(", ", after.Where(c => c.Value != before[c.Key])));
        Assert.True(reloads >= 10, $"only {reloads} reloads");
    }

    [Fact]
    public void A_ce_that_lies_about_its_port_is_not_heard_by_another()
    {
        _domain.StartPrr();
        _domain.StartSmap(Home1, forwarding: true);
        using UdpPlace host1 = _domain.Udp("host1", MapDomain.Host);
        (_, int port) = UdpPlace.Split(Reach(host1, Home1));

        foreach ((string reason, ushort source, string outer) in new (string, ushort, string)[]
                 { ("source-not-by-rule", 1232, Home2.Ce), ("not-from-prr", 1236, "2001:db8:13:3500:0:c000:213:36") })
        {
            Dictionary<string, long> moved = _domain.Moved("smap1", () =>
            {
                Packet(source, outer, port).Send(_domain["core"]);
                Assert.Null(host1.Receive(seconds: 2));
            });
            Assert.Equal(1, moved[$"from-prr-drop-{reason}"]);
        }

        // The same truly.
        Packet(1236, Home2.Ce, port).Send(_domain["core"]);
        Assert.Equal($"{Home2.Address}:1236", host1.Receive());
    }

    static SoftwirePacket Packet(ushort source, string outer, int port) => new()
    {
        OuterSource = IPv6Address.Parse(outer),
        OuterDestination = IPv6Address.Parse(Home1.Ce),
        Source = IPv4Address.Parse(Home2.Address),
        SourcePort = source,
        Destination = IPv4Address.Parse(Home1.Address),
        DestinationPort = (ushort)port,
    };

    /// <summary>Linux does IPv4 in IPv6 by code that nobody of this project wrote; the rule's arithmetic in its routes is done by hand.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Linux_as_a_ce_of_the_domain_reaches_the_internet_and_our_smap(bool mesh)
    {
        _domain.StartPrr();
        _domain.StartSmap(Home1, forwarding: mesh);
        if (mesh) _domain.StartLinux(Home1);
        else _domain.StartLinux();
        const int port = 0x2c00 | 0x36 << 2;
        using UdpPlace linux = _domain.Udp("linux", LinuxCe.Address, port), host1 = _domain.Udp("host1", MapDomain.Host);
        Assert.Equal($"{LinuxCe.Address}:{port}", Reach(linux, LinuxCe));
        string one = Reach(host1, Home1);

        Dictionary<string, long> moved = _domain.Moved("prr", () => Talk(host1, one, linux, $"{LinuxCe.Address}:{port}"));
        Assert.Equal(mesh ? 0 : 2, Carried(moved));

        // A port of another subscriber does not get out.
        using UdpPlace liar = _domain.Udp("linux", LinuxCe.Address, port + 4), server = _domain.Udp("internet", Server);
        moved = _domain.Moved("prr", () =>
        {
            liar.Send(server.Local);
            Assert.Null(server.Receive(seconds: 2));
        });
        Assert.Equal(1, moved["from-smap-drop-source-port-not-bound"]);
    }

    /// <summary>The report's other mode: the SMAP for incoming traffic only. The way out is plain IPv4, past the PRR.</summary>
    [Fact]
    public void With_plain_outgoing_only_what_comes_in_is_in_the_softwire()
    {
        _domain["smap1"].Ip("addr add 10.1.0.2/30 dev wan", "route add default via 10.1.0.1");
        _domain["core"].Ip("addr add 10.1.0.1/30 dev smap1");
        string rules = _domain["smap1"].Do("ip", "rule"), routes = _domain["smap1"].Do("ip", "route", "show", "table", "all");
        _domain.StartPrr();
        _domain.StartSmap(Home1, more: "outgoing = \"plain\"");
        using UdpPlace host1 = _domain.Udp("host1", MapDomain.Host);
        Dictionary<string, long> moved = _domain.Moved("prr", () => Reach(host1, Home1));
        Assert.Equal((0, 1), (moved.GetValueOrDefault("from-smap-received"), moved["from-internet-forwarded"]));
        _domain["host1"].Ping("-c", "2", "-i", "0.2", "-W", "2", Server);
        Assert.Contains("plain IPv4", _domain.Ask("smap1", "status").Output, StringComparison.Ordinal);

        _domain.StopSmap(Home1);
        Assert.Equal((rules, routes), (_domain["smap1"].Do("ip", "rule"), _domain["smap1"].Do("ip", "route", "show", "table", "all")));
    }
}
