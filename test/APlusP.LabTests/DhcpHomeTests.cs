using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>A SMAP that learns its softwire from Kea.</summary>
public sealed class DhcpHomeTests : IDisposable
{
    /// <summary>192.0.2.1, binding prefix 2001:db8:1::/48, PSID 10 of 6 bits without an offset: ports 10240 to 11263.</summary>
    const string Lightweight = """
        { "name": "s46-cont-lw" },
        { "space": "s46-cont-lw-options", "name": "s46-br", "data": "2001:db8:ffff::1" },
        { "space": "s46-cont-lw-options", "name": "s46-v4v6bind", "data": "192.0.2.1, 2001:db8:1::/48" },
        { "space": "s46-v4v6bind-options", "name": "s46-portparams", "data": "0, 10/6" }
        """;

    /// <summary>A rule for 2001:db8:1::/48: 8 EA bits make a PSID of 192.0.2.2.</summary>
    const string MapE = """
        { "name": "s46-cont-mape" },
        { "space": "s46-cont-mape-options", "name": "s46-rule", "data": "1, 8, 32, 192.0.2.2, 2001:db8:1::/48" },
        { "space": "s46-cont-mape-options", "name": "s46-br", "data": "2001:db8:ffff::1" }
        """;

    /// <summary>By 2001:db8:1::/56, which Kea keeps for this home, and whose EA bits are 0.</summary>
    const string LightweightEnd = "2001:db8:1::c000:201:a", MapEnd = "2001:db8:1::c000:202:0";

    const string Bindings = $"""
        [[binding]]
        address = "192.0.2.1"
        ports = "10240-11263"
        softwire = "{LightweightEnd}"

        [[binding]]
        address = "192.0.2.1"
        ports = "20480-21503"
        softwire = "2001:db8:1::c000:201:14"

        [[rule]]
        rule-ipv6-prefix = "2001:db8:1::/48"
        rule-ipv4-prefix = "192.0.2.2/32"
        ea-length = 8
        """;

    readonly DhcpLab _lab = new();

    public void Dispose() => _lab.Dispose();

    JsonElement Status()
    {
        using var status = JsonDocument.Parse(_lab.Ask("smap", "status", "--json").Output);
        return status.RootElement.Clone();
    }

    static bool IsOfTen(int port) => port is >= 10240 and <= 11263;

    [Fact]
    public void Kea_tells_of_lightweight_4over6_and_the_home_is_on_the_internet()
    {
        _lab.StartPrr(Bindings);
        _lab.StartKea(Lightweight);
        _lab.StartSmap();
        _lab.ReachAs("192.0.2.1", IsOfTen);
        JsonElement status = Status();
        Assert.Equal(LightweightEnd, status.GetProperty("softwireAddresses")[0].GetString());
        JsonElement dhcp = status.GetProperty("smap").GetProperty("dhcpv6");
        Assert.Equal(("bound", "lw4o6", "2001:db8:1::/56"), (dhcp.GetProperty("state").GetString(), dhcp.GetProperty("mechanism").GetString(), dhcp.GetProperty("leases")[0].GetString()));
        Assert.Contains("DHCPv6 on wan: bound, lw4o6", _lab.Ask("smap", "status").Output, StringComparison.Ordinal);
        Assert.Contains("default dev aplusp-smap", _lab.Smap.Do("ip", "route"), StringComparison.Ordinal);

        // A reload of the file changes nothing of it.
        Assert.True(_lab.Ask("smap", "reload").Succeeded);
        _lab.ReachAs("192.0.2.1", IsOfTen);
    }

    [Fact]
    public void Kea_tells_of_map_e_and_its_order_decides()
    {
        _lab.StartPrr(Bindings);
        _lab.StartKea($$"""{{Lightweight}}, {{MapE}}, { "name": "s46-priority", "code": 111, "space": "dhcp6", "csv-format": false, "data": "005e0060" }""");
        _lab.Capture();
        _lab.StartSmap();

        // PSID 0 with an offset of 6.
        _lab.ReachAs("192.0.2.2", port => port >= 1024 && (port >> 2 & 0xff) == 0);
        Assert.Equal(MapEnd, Status().GetProperty("softwireAddresses")[0].GetString());

        // And somebody else's eyes see the same on the wire.
        Assert.True(Wait.Until(() => _lab.Decode("dhcpv6.msgtype == 7", "dhcpv6.option.type").Length > 0, TimeSpan.FromSeconds(20)));
        Assert.Empty(_lab.Decode("_ws.malformed", "frame.number"));
        Assert.Equal(["96,94,111,82"], _lab.Decode("dhcpv6.msgtype == 3", "dhcpv6.requested_option_code").Distinct());
        Assert.Contains("94", _lab.Decode("dhcpv6.msgtype == 7", "dhcpv6.option.type")[0].Split(','));
    }

    [Fact]
    public void An_end_of_the_softwire_that_is_an_address_of_this_machine_is_heard_though_it_is_told_after_the_start()
    {
        // Checksums are made before the softwire: what a raw socket gives does not say that the rest of the way would make them.
        _lab.Internet.Shell("ethtool -K eth0 tx off");
        _lab.Smap.Ip($"addr add {LightweightEnd}/128 dev lo nodad");
        _lab.StartPrr(Bindings);
        LabProcess smap = _lab.BeginSmap();
        smap.WaitUntil(() => _lab.Ask("smap", "status").Succeeded, TimeSpan.FromSeconds(40), "answer");
        _lab.StartKea(Lightweight);
        smap.WaitUntil(() => smap.ReadLog().Contains($"softwire {LightweightEnd} to", StringComparison.Ordinal), TimeSpan.FromSeconds(60), "have a softwire");
        _lab.ReachAs("192.0.2.1", IsOfTen);
        Assert.Contains($"{LightweightEnd} is an address of this machine: its packets come by a raw socket", smap.ReadLog(), StringComparison.Ordinal);
    }

    [Fact]
    public void Of_the_prefix_and_the_resolvers_that_Kea_tells_a_host_of_the_home_has_IPv6_and_names()
    {
        const string resolver = "2001:db8:fffe::53";
        _lab.StartPrr(Bindings);
        _lab.StartKea($$"""{{Lightweight}}, { "name": "dns-servers", "data": "{{resolver}}" }""", "500, 800, 1000, 2000");
        _lab.Edge.Ip($"addr add {resolver}/128 dev lo nodad");
        _lab.Edge.StartResolver(resolver, _lab.PathOf("resolver.log"), DhcpLab.Server);
        _lab.HomeHost.Shell("ip addr flush dev eth0; echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_ra; echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6");
        _lab.Smap.Ip("addr del 192.168.1.1/24 dev lan");
        LabProcess smap = _lab.OnceItHasASoftwire(_lab.BeginSmapBy($"lan-leases = \"{_lab.PathOf("leases")}\"", $$"""
            [dhcpv6]
            interface = "wan"

            [[lan]]
            device = "lan"
            address = "192.168.1.1/24"
            hosts = [{ mac = "{{_lab.HomeHost.Do("cat", "/sys/class/net/eth0/address")}}", address = "{{DhcpLab.Host}}" }]
            """));
        DhcpAnswer.Of(_lab.HomeHost, _lab.PathOf(""), tries: 20);

        // A /64 of 2001:db8:1::/56, from which it reaches what is behind the edge.
        Assert.True(Wait.Until(() => _lab.HomeHost.Run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "global").Output.Contains("2001:db8:1:", StringComparison.Ordinal), TimeSpan.FromSeconds(30)), smap.ReadLog());

        // No longer than Kea gave it for, though hosts are told 45 minutes otherwise.
        string heard = "";
        Assert.True(Wait.Until(() => Regex.Match(heard = _lab.HomeHost.Run("rdisc6", "-1", "-w", "3000", "eth0").Output, @"Pref\. time +: +(\d+)") is { Success: true } told && int.Parse(told.Groups[1].Value, CultureInfo.InvariantCulture) is > 400 and <= 1000, TimeSpan.FromSeconds(30)), heard);

        // Written down beside the leases, should the power go.
        Assert.Contains("lan 2001:db8:1:", File.ReadAllText(_lab.PathOf("leases.prefixes")), StringComparison.Ordinal);
        Assert.True(Wait.Until(() => _lab.HomeHost.Run("ping", "-6", "-c", "1", "-w", "2", resolver).Succeeded, TimeSpan.FromSeconds(30)), "no IPv6 to the edge");
        Assert.True(Wait.Until(() => _lab.HomeHost.Run("dig", "@192.168.1.1", "+short", "+tries=1", "+time=1", "www.example").Output.Trim() == DhcpLab.Server, TimeSpan.FromSeconds(30)), smap.ReadLog());
        _lab.ReachAs("192.0.2.1", IsOfTen);
    }

    [Fact]
    public void Softwires_alone_are_asked_for_where_the_prefix_is_written()
    {
        _lab.StartPrr(Bindings);
        _lab.StartKea(Lightweight);
        LabProcess smap = _lab.BeginSmap("prefix = false");
        Assert.True(Wait.Until(() => smap.ReadLog().Contains("gives no softwire: lw4o6: no prefix of ours", StringComparison.Ordinal), TimeSpan.FromSeconds(40)), smap.ReadLog());
        Assert.Contains("no softwire: nothing is forwarded", _lab.Ask("smap", "status").Output, StringComparison.Ordinal);

        // An address of the link is as good as a prefix of it.
        _lab.Smap.Ip("addr add 2001:db8:1::7/56 dev wan nodad");
        smap.WaitUntil(_lab.HasSoftwire, TimeSpan.FromSeconds(40), "have a softwire");
        _lab.ReachAs("192.0.2.1", IsOfTen);
    }

    const string WithAddress = $$"""[ { "duid": "{{DhcpLab.HomeDuid}}", "prefixes": [ "2001:db8:1::/56" ], "ip-addresses": [ "2001:db8:fffe::100" ] } ]""";

    string Addresses() => _lab.Smap.Do("ip", "-6", "addr", "show", "dev", "wan");

    [Fact]
    public void An_address_of_the_link_is_borne_as_long_as_the_daemon_runs()
    {
        _lab.StartKea(Lightweight, reservations: WithAddress);
        LabProcess smap = _lab.StartSmap("address = true");
        Assert.True(Wait.Until(() => Addresses() is var now && now.Contains("2001:db8:fffe::100/128", StringComparison.Ordinal) && now.Contains("preferred_lft 19", StringComparison.Ordinal), TimeSpan.FromSeconds(60)), Addresses());
        smap.Signal(Signals.Terminate);
        Assert.True(smap.WaitForExit(TimeSpan.FromSeconds(20)), smap.ReadLog());
        Assert.DoesNotContain("2001:db8:fffe", Addresses(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_that_another_has_is_declined_and_the_softwire_stays()
    {
        _lab.Edge.Ip("addr add 2001:db8:fffe::100/128 dev access nodad");
        _lab.Smap.Shell("cd /proc/sys/net/ipv6/conf; echo 1 > all/accept_dad; echo 1 > wan/accept_dad");
        LabProcess kea = _lab.StartKea(Lightweight, reservations: WithAddress);
        LabProcess smap = _lab.StartSmap("address = true");
        Assert.True(Wait.Until(() => smap.ReadLog().Contains("2001:db8:fffe::100 is in use by another", StringComparison.Ordinal), TimeSpan.FromSeconds(60)), smap.ReadLog() + Addresses());
        Assert.True(Wait.Until(() => kea.ReadLog().Contains("DECLINE", StringComparison.Ordinal) && !Addresses().Contains("2001:db8:fffe::100/", StringComparison.Ordinal), TimeSpan.FromSeconds(60)), kea.ReadLog() + Addresses());
        Assert.Equal("lw4o6", Status().GetProperty("smap").GetProperty("dhcpv6").GetProperty("mechanism").GetString());
    }

    [Fact]
    public void When_the_server_says_otherwise_the_home_follows_and_when_nobody_says_anything_it_stops()
    {
        _lab.StartPrr(Bindings);
        LabProcess kea = _lab.StartKea(Lightweight, "2, 4, 1000, 3000");
        LabProcess smap = _lab.StartSmap();
        _lab.ReachAs("192.0.2.1", IsOfTen);

        Assert.True(kea.Stop(TimeSpan.FromSeconds(20)));
        kea = _lab.StartKea(Lightweight.Replace("10/6", "20/6", StringComparison.Ordinal), "2, 4, 6, 8");
        _lab.ReachAs("192.0.2.1", port => port is >= 20480 and <= 21503);

        // The line is written after the first packets may go by it.
        Assert.True(Wait.Until(() => smap.ReadLog().Contains("2001:db8:1::c000:201:14", StringComparison.Ordinal), TimeSpan.FromSeconds(20)), smap.ReadLog());

        Assert.True(kea.Stop(TimeSpan.FromSeconds(20)));
        Assert.True(Wait.Until(() => smap.ReadLog().Contains("the softwire is over", StringComparison.Ordinal), TimeSpan.FromSeconds(60)), smap.ReadLog());
        Assert.True(Wait.Until(() => !_lab.Smap.Do("ip", "route").Contains("default", StringComparison.Ordinal), TimeSpan.FromSeconds(20)));
        Assert.Null(_lab.Reach());
        Assert.Contains("searching", _lab.Ask("smap", "status").Output, StringComparison.Ordinal);

        _lab.StartKea(Lightweight);
        _lab.ReachAs("192.0.2.1", IsOfTen, seconds: 120);
    }

    [Fact]
    public void A_link_that_is_late_is_waited_for_and_a_start_that_waits_can_be_stopped()
    {
        _lab.StartPrr(Bindings);
        _lab.Smap.Ip("link set wan down");
        LabProcess smap = _lab.BeginSmap();
        Assert.True(Wait.Until(() => smap.ReadLog().Contains("DHCPv6 on wan waits", StringComparison.Ordinal), TimeSpan.FromSeconds(40)), smap.ReadLog());
        smap.Signal(Signals.Terminate);
        Assert.True(smap.WaitForExit(TimeSpan.FromSeconds(20)), smap.ReadLog());
        Assert.DoesNotContain("xception", smap.ReadLog(), StringComparison.Ordinal);

        // Kea does not listen either where nobody is at the other end.
        smap = _lab.BeginSmap();
        _lab.Smap.Ip("link set wan up", "route add default via fe80::1 dev wan");
        _lab.StartKea(Lightweight);
        smap.WaitUntil(_lab.HasSoftwire, TimeSpan.FromSeconds(60), "have a softwire");
        _lab.ReachAs("192.0.2.1", IsOfTen);
    }

    [Fact]
    public void A_stop_keeps_the_lease_for_the_next_start_and_an_interrupt_gives_it_back()
    {
        LabProcess kea = _lab.StartKea(Lightweight);
        LabProcess smap = _lab.StartSmap();
        smap.Signal(Signals.Terminate);
        Assert.True(smap.WaitForExit(TimeSpan.FromSeconds(20)), smap.ReadLog());
        Assert.DoesNotContain("RELEASE_PD", kea.ReadLog(), StringComparison.Ordinal);

        smap = _lab.StartSmap();
        smap.Signal(Signals.Interrupt);
        Assert.True(smap.WaitForExit(TimeSpan.FromSeconds(20)), smap.ReadLog());
        Assert.True(Wait.Until(() => kea.ReadLog().Contains("RELEASE_PD", StringComparison.Ordinal), TimeSpan.FromSeconds(20)), kea.ReadLog());
    }
}
