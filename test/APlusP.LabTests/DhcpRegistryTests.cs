using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using APlusP.Core.Addresses;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>The registry as a DHCPv6 server: to our SMAP, to ISC's dhclient, through ISC's relay agent, and in Kea's place.</summary>
public sealed class DhcpRegistryTests : IDisposable
{
    /// <summary>Blocks of 128 ports of four addresses, each with a /56 of 2001:db8:1::/45.</summary>
    const string Configuration = """

        [[pool]]
        prefix = "192.0.2.0/30"

        [dhcpv6]
        interfaces = ["access"]
        border-relay = "2001:db8:ffff::1"
        prefixes = "2001:db8::/45"
        """;

    const string ByRule = """

        [[pool]]
        prefix = "192.0.2.0/24"
        psid = { offset = 6, length = 8 }

        [[class]]
        name = "home"
        start = 252

        [dhcpv6]
        interfaces = ["access"]
        border-relay = "2001:db8:ffff::1"
        mechanisms = ["map-e", "lw4o6"]

        [[dhcpv6.rule]]
        rule-ipv6-prefix = "2001:db8::/40"
        rule-ipv4-prefix = "192.0.2.0/24"
        ea-length = 16
        """;

    readonly DhcpLab _lab = new();

    public void Dispose() => _lab.Dispose();

    JsonElement TheLease()
    {
        using var leases = JsonDocument.Parse(_lab.Leases());
        return Assert.Single(leases.RootElement.GetProperty("leases").EnumerateArray()).Clone();
    }

    [Fact]
    public void A_home_plugged_in_has_a_lease_and_is_on_the_internet()
    {
        _lab.StartRegistry(Configuration);
        _lab.StartSmap();
        JsonElement lease = TheLease();
        Assert.Equal("duid-00030001525400000001", lease.GetProperty("subscriber").GetString());
        string address = lease.GetProperty("address").GetString()!, softwire = lease.GetProperty("softwire").GetString()!;
        int first = lease.GetProperty("ranges")[0][0].GetInt32(), last = lease.GetProperty("ranges")[0][1].GetInt32();
        _lab.StartPrr($"""
            [[binding]]
            address = "{address}"
            ports = "{first}-{last}"
            softwire = "{softwire}"
            """);
        _lab.ReachAs(address, port => port >= first && port <= last);
    }

    [Fact]
    public void By_a_rule_the_prr_need_know_nothing_of_the_home()
    {
        _lab.StartPrr("""
            [[rule]]
            rule-ipv6-prefix = "2001:db8::/40"
            rule-ipv4-prefix = "192.0.2.0/24"
            ea-length = 16
            """);
        _lab.StartRegistry(ByRule);
        _lab.StartSmap("rapid-commit = true");
        JsonElement lease = TheLease();
        int psid = lease.GetProperty("psid").GetProperty("psid").GetInt32();
        _lab.ReachAs(lease.GetProperty("address").GetString()!, port => port >= 1024 && (port >> 2 & 0xff) == psid);
        using var status = JsonDocument.Parse(_lab.Ask("smap", "status", "--json").Output);
        Assert.Equal("map-e", status.RootElement.GetProperty("smap").GetProperty("dhcpv6").GetProperty("mechanism").GetString());
    }

    const string DhclientConfiguration = """
        option dhcp6.s46-cont-mape code 94 = string;
        option dhcp6.s46-cont-lw code 96 = string;
        option dhcp6.s46-priority code 111 = string;
        also request dhcp6.s46-cont-mape, dhcp6.s46-cont-lw, dhcp6.s46-priority;
        """;

    /// <summary>Runs ISC's dhclient once; gives what it would tell its script about a lease.</summary>
    Dictionary<string, string> Dhclient()
    {
        File.WriteAllText(_lab.PathOf("dhclient.conf"), DhclientConfiguration);
        File.WriteAllText(_lab.PathOf("script"), $"#!/bin/sh\nenv >> {_lab.PathOf("environment")}\n");
        File.SetUnixFileMode(_lab.PathOf("script"), (UnixFileMode)0x1ed);
        foreach (string file in (string[])["environment", "dhclient.leases"]) File.Delete(_lab.PathOf(file));
        LabProcess client = _lab.Smap.Start("dhclient", _lab.PathOf("dhclient.log"), "dhclient", "-6", "-P", "-d", "-v", "-D", "LL", "-cf", _lab.PathOf("dhclient.conf"), "-lf", _lab.PathOf("dhclient.leases"), "-pf", _lab.PathOf("dhclient.pid"), "-sf", _lab.PathOf("script"), "wan");
        client.WaitUntil(() => Environment().Contains("BOUND6", StringComparison.Ordinal), TimeSpan.FromSeconds(60), "have a lease");
        client.Stop();
        return Environment().Split('\n').Select(l => l.Split('=', 2)).Where(p => p.Length == 2).GroupBy(p => p[0]).ToDictionary(g => g.Key, g => g.Last()[1]);

        string Environment() => File.Exists(_lab.PathOf("environment")) ? File.ReadAllText(_lab.PathOf("environment")) : "";
    }

    /// <summary>Octets as dhclient writes them: "0:5a:0:10".</summary>
    static string Hex(string octets) => string.Concat(octets.Split(':').Select(o => int.Parse(o, NumberStyles.HexNumber, CultureInfo.InvariantCulture).ToString("x2", CultureInfo.InvariantCulture)));

    [Fact]
    public void A_client_that_nobody_here_wrote_hears_these_very_octets_and_tshark_reads_them()
    {
        _lab.Capture();
        _lab.StartRegistry(ByRule);
        Dictionary<string, string> heard = Dhclient();
        JsonElement lease = TheLease();
        int psid = lease.GetProperty("psid").GetProperty("psid").GetInt32(), host = (int)IPv4Address.Parse(lease.GetProperty("address").GetString()!).Value & 0xff;

        // By hand: /40 and 16 EA bits, the address's last octet and the PSID, make the /56.
        string prefix = $"20010db800{host:x2}{psid:x2}";
        Assert.Equal("005e0060", Hex(heard["new_dhcp6_s46_priority"]));
        Assert.Equal("0059000d001018c00002002820010db800" + "005a001020010db8ffff00000000000000000001", Hex(heard["new_dhcp6_s46_cont_mape"]));
        Assert.Equal("005a001020010db8ffff00000000000000000001" + $"005c0014c00002{host:x2}38{prefix}" + $"005d00040608{psid:x2}00", Hex(heard["new_dhcp6_s46_cont_lw"]));
        Assert.Equal(IPv6Prefix.Of(IPv6Address.Parse(lease.GetProperty("softwire").GetString()!), 56), IPv6Prefix.Parse(heard["new_ip6_prefix"]));
        Assert.InRange(int.Parse(heard["new_max_life"], CultureInfo.InvariantCulture), 86_300, 86_400);

        Assert.True(Wait.Until(() => _lab.Decode("dhcpv6.msgtype == 7", "dhcpv6.option.type").Length > 0, TimeSpan.FromSeconds(20)));
        Assert.Empty(_lab.Decode("_ws.malformed", "frame.number"));
        string[] types = _lab.Decode("dhcpv6.msgtype == 7", "dhcpv6.option.type")[0].Split(',');
        Assert.All((string[])["25", "94", "96", "111"], t => Assert.Contains(t, types));
    }

    [Fact]
    public void Through_a_relay_agent_that_nobody_here_wrote_a_home_gets_the_same()
    {
        // The registry beyond a router: in the Internet's place, by IPv6.
        _lab.Edge.Ip("addr add 2001:db8:5::1/64 dev uplink nodad");
        _lab.Internet.Ip("addr add 2001:db8:5::2/64 dev eth0 nodad", "route add 2001:db8:fffe::/64 via 2001:db8:5::1");
        _lab.Edge.Shell("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        _lab.StartRegistry(Configuration.Replace("\"access\"", "\"eth0\"", StringComparison.Ordinal), _lab.Internet);
        _lab.Edge.Start("dhcrelay", _lab.PathOf("dhcrelay.log"), "dhcrelay", "-6", "-d", "--no-pid", "-I", "-l", "access", "-u", "2001:db8:5::2%uplink");
        _lab.StartSmap();
        using var status = JsonDocument.Parse(_lab.Ask("smap", "status", "--json").Output);
        Assert.Equal("bound", status.RootElement.GetProperty("smap").GetProperty("dhcpv6").GetProperty("state").GetString());
        using var leases = JsonDocument.Parse(_lab.Internet.Require("curl", "-sS", "http://127.0.0.1:8646/v1/leases"));
        Assert.Equal(status.RootElement.GetProperty("softwireAddresses")[0].GetString(), Assert.Single(leases.RootElement.GetProperty("leases").EnumerateArray()).GetProperty("softwire").GetString());
    }

    [Fact]
    public void Kea_with_exported_reservations_tells_a_home_what_the_registry_told_it()
    {
        LabProcess registry = _lab.StartRegistry(ByRule);
        _lab.Edge.Require("curl", "-sS", "http://127.0.0.1:8646/v1/leases", "-d", """{"subscriber": "a name", "softwire": "2001:db8:abcd::1"}""");
        Dictionary<string, string> fromUs = Dhclient();
        registry.Stop(TimeSpan.FromSeconds(20));
        CommandResult export = Commands.Run([LabFixture.Executable, "registry", "export", "--to", "kea", "--config", _lab.PathOf("registry.toml")]);
        Assert.True(export.Succeeded, export.Text);
        Assert.Contains("1 subscriber(s) are not known by a DUID and left out, such as a name.", export.Error, StringComparison.Ordinal);
        Assert.Equal(DhcpLab.HomeDuid, Assert.Single(JsonNode.Parse(export.Output)!.AsArray())!["duid"]!.GetValue<string>());

        _lab.StartKea("", reservations: export.Output);
        Dictionary<string, string> fromKea = Dhclient();
        foreach (string name in (string[])["new_dhcp6_s46_cont_mape", "new_dhcp6_s46_cont_lw", "new_dhcp6_s46_priority", "new_ip6_prefix"]) Assert.Equal(fromUs[name], fromKea[name]);
    }
}
