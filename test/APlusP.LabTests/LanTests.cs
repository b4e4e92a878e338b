using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>A host that knows nothing gets all by DHCP and router advertisements from the SMAP.</summary>
public sealed class LanTests : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    readonly LanLab _lab = new();

    [Fact]
    public void Dhcp_gives_address_router_dns_and_the_mtu_of_the_path()
    {
        _lab.Configure();
        _lab.Start();
        LabProcess capture = _lab.Host.Start("capture", _lab.PathOf("capture.log"), "tcpdump", "-i", "eth0", "-n", "-U", "-w", _lab.PathOf("dhcp.pcap"), "udp port 67");
        capture.WaitUntil(() => capture.ReadLog().Contains("listening on", StringComparison.Ordinal), s_patience, "listen");
        Dictionary<string, string> told = _lab.Dhcp();
        Assert.Equal(("192.168.2.1", "192.168.2.1", "1460", "24"), (told["router"], told["dns"], told["mtu"], told["mask"]));
        Assert.True(Wait.Until(() => Convert.ToHexString(File.ReadAllBytes(_lab.PathOf("dhcp.pcap"))).Contains("1A0205B4", StringComparison.Ordinal), s_patience), "no option 26 of 1460 on the wire");
        _lab.Host.Require("ping", "-c", "1", "-w", "5", "192.168.2.1");
        capture.Stop();
    }

    [Fact]
    public void Router_advertisements_have_prefix_resolver_and_an_mtu_of_their_own()
    {
        _lab.Configure(pathMtu: 1280);
        _lab.Start();
        Assert.True(Wait.Until(() => _lab.Host.Run("ip", "-6", "addr", "show", "dev", "eth0", "scope", "global").Output.Contains("2001:db8:2:1:", StringComparison.Ordinal), s_patience), "no address");
        string heard = _lab.Advertisement();
        Assert.Contains(LanLab.Prefix, heard);
        Assert.Matches(@"MTU\s+:\s+1280 bytes", heard);
        Assert.Contains("Recursive DNS server", heard);
        Assert.Equal("1240", _lab.Dhcp()["mtu"]);
        Assert.True(Wait.Until(() => _lab.Host.Run("ping", "-6", "-c", "1", "-w", "2", "2001:db8:fffe::1").Succeeded, s_patience), "no native IPv6");
    }

    [Fact]
    public void A_narrower_path_and_another_prefix_are_told_at_once_and_the_old_prefix_is_deprecated()
    {
        _lab.Configure();
        _lab.Start();
        string Addresses() => _lab.Host.Run("ip", "-6", "addr", "show", "dev", "eth0", "scope", "global").Output;
        Assert.True(Wait.Until(() => Addresses().Contains("2001:db8:2:1:", StringComparison.Ordinal), s_patience), "no address");
        Assert.Equal("1460", _lab.Dhcp()["mtu"]);

        _lab.Configure(pathMtu: 1400, prefix: LanLab.OtherPrefix);
        _lab.Reload();
        Assert.True(Wait.Until(() => Addresses().Contains("2001:db8:2:2:", StringComparison.Ordinal), s_patience), "no address of the new prefix");
        Assert.True(Wait.Until(() => Addresses().Split('\n').Any(l => l.Contains("2001:db8:2:1:", StringComparison.Ordinal) && l.Contains("deprecated", StringComparison.Ordinal)), s_patience), Addresses());
        Assert.True(Wait.Until(() => _lab.Host.Require("cat", "/proc/sys/net/ipv6/conf/eth0/mtu").Trim() == "1400", s_patience), "IPv6 has the old MTU");
        Assert.True(Wait.Until(() => _lab.Dhcp()["mtu"] == "1360", s_patience), "DHCP tells the old MTU");
    }

    [Fact]
    public void A_prefix_that_changes_together_with_the_resolvers_stays_deprecated_when_dnsmasq_is_started_anew()
    {
        _lab.Configure();
        _lab.Start();
        Assert.True(Wait.Until(() => Has("2001:db8:2:1:"), s_patience), Addresses());
        int before = _lab.Dnsmasq()!.Value;

        _lab.Configure(prefix: LanLab.OtherPrefix, sections: $"[dns]\nupstream = [\"{LanLab.OtherResolver}\"]");
        _lab.Reload();
        Assert.True(Wait.Until(() => Has("2001:db8:2:2:") && IsDeprecated("2001:db8:2:1:"), s_patience), Addresses());
        Assert.True(Wait.Until(() => _lab.Dnsmasq() is { } now && now != before, s_patience), "dnsmasq is not started anew");

        // A host that slept meanwhile asks when it wakes up.
        string heard = "";
        Assert.True(Wait.Until(() => TellsDeprecated(heard = _lab.Advertisement(), LanLab.Prefix), s_patience), heard);
        Assert.True(IsPreferred("2001:db8:2:2:"), Addresses());
    }

    [Fact]
    public void The_prefix_that_hosts_had_before_a_power_cut_is_deprecated_when_there_is_another_one_after_it()
    {
        _lab.Configure();
        _lab.Start();
        Assert.True(Wait.Until(() => Has("2001:db8:2:1:"), s_patience), Addresses());
        foreach (string prefix in (string[])[LanLab.OtherPrefix, LanLab.OtherPrefix])
        {
            PowerCut();
            _lab.Configure(prefix: prefix);
            _lab.Start();
            Assert.True(Wait.Until(() => Has("2001:db8:2:2:") && IsDeprecated("2001:db8:2:1:"), s_patience), Addresses());
            string heard = "";
            Assert.True(Wait.Until(() => TellsDeprecated(heard = _lab.Advertisement(), LanLab.Prefix), s_patience), heard);
            Assert.True(IsPreferred("2001:db8:2:2:"), Addresses());
        }

        // Nothing is kept from whoever has the old prefix now.
        Assert.DoesNotContain("2001:db8:2:1:", _lab.Smap.Require("ip", "-6", "route", "show", "dev", "lan"), StringComparison.Ordinal);

        // And where the first comes back it is as it was.
        PowerCut();
        _lab.Configure();
        _lab.Start();
        Assert.True(Wait.Until(() => IsPreferred("2001:db8:2:1:") && IsDeprecated("2001:db8:2:2:"), s_patience), Addresses());
    }

    /// <summary>The SMAP and its dnsmasq are gone at once, and so is what the kernel knew of the LAN; the host does not notice.</summary>
    void PowerCut()
    {
        int dnsmasq = _lab.Dnsmasq()!.Value;
        _lab.Daemon.Signal(Signals.Kill);
        Assert.True(_lab.Daemon.WaitForExit(s_patience));
        Signals.Send(dnsmasq, Signals.Kill);
        foreach (string family in (string[])["-4", "-6"]) _lab.Smap.Require("ip", family, "addr", "flush", "dev", "lan", "scope", "global");
        foreach (string volatiles in Directory.GetDirectories(_lab.PathOf(""), "*.lan")) Directory.Delete(volatiles, recursive: true);
    }

    string Addresses() => _lab.Host.Run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "global").Output;

    bool Has(string network) => Addresses().Contains(network, StringComparison.Ordinal);

    bool IsDeprecated(string network) => Addresses().Split('\n').Any(l => l.Contains(network, StringComparison.Ordinal) && l.Contains("deprecated", StringComparison.Ordinal));

    bool IsPreferred(string network) => Addresses().Split('\n').Any(l => l.Contains(network, StringComparison.Ordinal) && !l.Contains("deprecated", StringComparison.Ordinal));

    /// <summary>Whether an advertisement, as rdisc6 prints it, has the prefix with a preferred lifetime of 0 and of another that is not 0.</summary>
    static bool TellsDeprecated(string advertisement, string prefix)
    {
        string[] prefixes = advertisement.Split(" Prefix  ")[1..];
        return prefixes.Any(p => p.Contains(prefix, StringComparison.Ordinal) && IsZero(p)) && prefixes.Any(p => !p.Contains(prefix, StringComparison.Ordinal) && !IsZero(p));

        static bool IsZero(string told) => told.Contains("(0x00000000)", StringComparison.Ordinal);
    }

    [Fact]
    public void A_web_proxy_and_the_household_s_page_run_for_the_LAN_come_back_when_they_die_and_go_with_the_SMAP()
    {
        _lab.Configure(sections: $"[dns]\nupstream = [\"{LanLab.Resolver}\"]\n[port-control]\nstate = \"{_lab.PathOf("state")}\"\n[web-proxy]\n[household]\n");
        _lab.Start();
        _lab.Resolve(LanLab.Resolver);
        _lab.Dhcp();

        // As the web proxy asks.
        Assert.True(Wait.Until(() => _lab.Smap.Run("dig", "@192.168.2.1", "+short", "+tries=1", "+time=1", "AAAA", "www.example").Output.Contains("2001:db8:6::4", StringComparison.Ordinal), s_patience), "the SMAP itself gets no names of its dnsmasq");
        bool Answers() => _lab.Host.Run("curl", "-sS", "--fail", "--max-time", "2", "-o", "/dev/null", "http://192.168.2.1/").Succeeded;
        bool Takes() => _lab.Smap.Run("nft", "list", "table", "ip", "aplusp-web").Output.Contains("\"lan\"", StringComparison.Ordinal) && _lab.Smap.Run("ss", "-Hltn", "sport", "=", ":8645").Output.Length > 0;
        foreach ((string name, Func<bool> works) in ((string, Func<bool>)[])[("household", Answers), ("web-proxy", Takes)])
        {
            Assert.True(Wait.Until(works, s_patience), $"{name} does not work");
            int before = _lab.Running(name)!.Value;
            Signals.Send(before, Signals.Kill);
            Assert.True(Wait.Until(() => works() && _lab.Running(name) is { } now && now != before, s_patience), $"{name} does not come back");
        }

        _lab.Daemon.Stop(TimeSpan.FromSeconds(20));
        Assert.False(Answers());
        Assert.Empty(_lab.Smap.Run("nft", "list", "ruleset").Output);
    }

    [Fact]
    public void Where_IPv4_is_over_hosts_get_none_and_who_has_some_is_told_so_until_it_is_back()
    {
        _lab.Configure(lan: "ipv4 = \"off\"");
        _lab.Start(hasIPv4: false);
        Assert.False(_lab.Host.Run("udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "3", "-T", "1", "-s", "/bin/true").Succeeded);
        Assert.True(Wait.Until(() => _lab.Host.Run("ping", "-6", "-c", "1", "-w", "2", "2001:db8:fffe::1").Succeeded, s_patience), "no native IPv6");
        _lab.Host.Ip("addr add 192.168.2.50/24 dev eth0", "route add default via 192.168.2.1");
        Assert.Contains("Packet filtered", _lab.Host.Run("ping", "-c", "1", "-w", "5", "203.0.113.4").Text, StringComparison.Ordinal);
        Assert.Matches("counter packets [1-9]", _lab.Smap.Require("nft", "list", "table", "ip", "aplusp-smap"));

        _lab.Configure();
        _lab.Reload();
        Assert.True(Wait.Until(() => !_lab.Smap.Run("nft", "list", "table", "ip", "aplusp-smap").Succeeded, s_patience), "it is still closed");
        Assert.Equal("192.168.2.1", _lab.Dhcp()["router"]);
    }

    [Fact]
    public void A_host_has_the_address_that_is_reserved_for_it_and_its_name()
    {
        _lab.Configure(lan: $"hosts = [{{ mac = \"{LanLab.Mac}\", address = \"192.168.2.121\", name = \"a\" }}]");
        _lab.Start();
        Assert.Equal("192.168.2.121", _lab.Dhcp()["ip"]);
        Assert.Contains("192.168.2.121", _lab.Dig("a.home.arpa").Output);

        // What it has of the ports is told by its name.
        _lab.Host.Run("ping", "-c", "1", "-w", "5", "203.0.113.4");
        JsonElement used = Assert.Single(_lab.Status().GetProperty("smap").GetProperty("hosts").EnumerateArray());
        Assert.Equal(("192.168.2.121", "a"), (used.GetProperty("host").GetString(), used.GetProperty("name").GetString()));
    }

    [Fact]
    public void Names_are_asked_for_by_ipv6_and_take_no_port_of_the_shared_address()
    {
        _lab.Configure();
        _lab.Resolve(LanLab.Resolver);
        _lab.Start();
        _lab.Dhcp();
        for (int i = 0; i < 20; i++) Assert.Contains("203.0.113.4", _lab.Dig("www.example").Output);
        Assert.Equal(0, PortsInUse());

        // Straight to a resolver by IPv4 each question takes a port.
        for (int i = 0; i < 20; i++) _lab.Host.Run("dig", "@203.0.113.53", "+tries=1", "+time=1", "-b", $"0.0.0.0#{40_000 + i}", "www.example");
        Assert.Equal(20, PortsInUse());
    }

    int PortsInUse() => _lab.Status().GetProperty("smap").GetProperty("portsInUse").EnumerateArray().Sum(p => p.GetProperty("ports").GetInt32());

    [Fact]
    public void A_dead_resolver_beside_a_living_one_costs_no_time()
    {
        _lab.Configure(sections: $"[dns]\nupstream = [\"{LanLab.Resolver}\", \"{LanLab.OtherResolver}\"]");
        _lab.Net.Shell($"ip -6 addr del {LanLab.Resolver}/128 dev lo; ip -6 route add blackhole {LanLab.Resolver}/128");
        _lab.Resolve(LanLab.OtherResolver);
        _lab.Start();
        _lab.Dhcp();
        CommandResult answer = _lab.Dig("www.example", seconds: 4);
        Assert.True(answer.Output.Contains("203.0.113.4", StringComparison.Ordinal), answer.Text);
    }

    [Fact]
    public void A_resolver_that_is_found_late_is_asked_from_then_on_and_without_any_hosts_hear_so_at_once()
    {
        _lab.Configure(sections: "");
        Directory.CreateDirectory($"/etc/netns/{_lab.Smap.Name}");
        string conf = $"/etc/netns/{_lab.Smap.Name}/resolv.conf";
        File.WriteAllText(conf, "nameserver 192.0.2.53\n");
        _lab.Start();
        _lab.Dhcp();
        Assert.Contains("status: REFUSED", _lab.Dig("www.example").Output);

        _lab.Resolve(LanLab.Resolver);
        File.WriteAllText(conf, $"nameserver {LanLab.Resolver}\n");
        Assert.True(Wait.Until(() => _lab.Dig("www.example", seconds: 1).Output.Contains("203.0.113.4", StringComparison.Ordinal), s_patience), "never asked");
    }

    [Fact]
    public void Resolvers_that_the_network_s_router_advertises_are_asked_until_it_takes_them_back()
    {
        _lab.Configure(sections: "");
        Directory.CreateDirectory($"/etc/netns/{_lab.Smap.Name}");
        File.WriteAllText($"/etc/netns/{_lab.Smap.Name}/resolv.conf", "nameserver 192.0.2.53\n");
        _lab.Smap.Shell("echo 1 > /proc/sys/net/ipv6/conf/wan/accept_ra");
        _lab.Net.Shell("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");

        // It advertises every ten minutes or so by itself: who wants to know has to ask.
        File.WriteAllText(_lab.PathOf("radvd.conf"), $"interface access {{ AdvSendAdvert on; MinRtrAdvInterval 450; MaxRtrAdvInterval 600; RDNSS fe80::1 {LanLab.Resolver} {{ AdvRDNSSLifetime 1200; FlushRDNSS on; }}; }};\n");
        LabProcess router = _lab.Net.Start("radvd", _lab.PathOf("radvd.log"), "radvd", "--nodaemon", "--config", _lab.PathOf("radvd.conf"), "--pidfile", _lab.PathOf("radvd.pid"), "--logmethod", "stderr");
        _lab.Resolve(LanLab.Resolver);
        Thread.Sleep(TimeSpan.FromSeconds(1));
        _lab.Start();
        _lab.Dhcp();
        Assert.True(Wait.Until(() => _lab.Dig("www.example", seconds: 1).Output.Contains("203.0.113.4", StringComparison.Ordinal), s_patience), "never asked");
        router.Stop();
        Assert.True(Wait.Until(() => _lab.Dig("other.example", seconds: 1).Output.Contains("status: REFUSED", StringComparison.Ordinal), s_patience), "still asked");
    }

    [Fact]
    public void A_dnsmasq_that_is_killed_comes_back_and_one_of_a_killed_smap_is_replaced()
    {
        _lab.Configure();
        _lab.Start();
        string address = _lab.Dhcp()["ip"];
        int first = _lab.Dnsmasq()!.Value;
        Signals.Send(first, Signals.Kill);
        Assert.True(Wait.Until(() => _lab.Dnsmasq() is { } now && now != first && _lab.Serves(), s_patience), "not back");
        Assert.Equal(address, _lab.Dhcp()["ip"]);

        var left = ProcessIdentity.Of(_lab.Dnsmasq()!.Value);
        _lab.Daemon.Signal(Signals.Kill);
        Assert.True(_lab.Daemon.WaitForExit(s_patience));
        Assert.True(left!.Value.IsRunning);
        _lab.Start();
        Assert.False(left.Value.IsRunning);
        Assert.Equal(address, _lab.Dhcp()["ip"]);
    }

    [Fact]
    public void What_a_killed_SMAP_keeps_away_the_next_one_lets_in_where_its_file_has_changed()
    {
        _lab.Configure();
        _lab.Start();
        Assert.Contains("chain inbound", _lab.Smap.Run("nft", "list", "table", "ip6", "aplusp-smap").Output, StringComparison.Ordinal);
        _lab.Daemon.Signal(Signals.Kill);
        Assert.True(_lab.Daemon.WaitForExit(s_patience));
        _lab.Configure(sections: "[firewall]\nenabled = false");
        _lab.Start();
        Assert.True(Wait.Until(() => !_lab.Smap.Run("nft", "list", "table", "ip6", "aplusp-smap").Succeeded, s_patience), "what the killed one kept away is still kept away");
    }

    [Fact]
    public void Nothing_of_it_stays_behind_and_what_was_there_before_does()
    {
        _lab.Configure();
        _lab.Smap.Ip("addr add 192.168.7.1/24 dev lan");
        _lab.Start();
        Assert.Contains("192.168.2.1/24", _lab.Smap.Require("ip", "addr", "show", "dev", "lan"));
        Assert.True(_lab.Daemon.Stop(TimeSpan.FromSeconds(20)));
        string after = _lab.Smap.Require("ip", "addr", "show", "dev", "lan");
        Assert.DoesNotContain("192.168.2.1/24", after);
        Assert.DoesNotContain("2001:db8:2:", after);
        Assert.Contains("192.168.7.1/24", after);
        Assert.DoesNotContain(_lab.Smap.ProcessIds(), id => File.Exists($"/proc/{id}/comm") && File.ReadAllText($"/proc/{id}/comm").Contains("dnsmasq", StringComparison.Ordinal));
    }

    [Fact]
    public void Ipv6_from_outside_is_kept_away_but_for_exceptions_and_other_tables_stay()
    {
        const string allow = "[firewall]\nallow = [{ to = \"::5054:ff:fe00:279\", port = 22 }]\n";
        _lab.Configure(sections: allow);
        _lab.Smap.Shell("nft 'table inet mine { chain forward { type filter hook forward priority 10; tcp dport 9 drop; }; }'");
        _lab.Start();
        const string host = "2001:db8:2:1:5054:ff:fe00:279";
        Assert.True(Wait.Until(() => _lab.Net.Run("ping", "-6", "-c", "1", "-w", "2", host).Succeeded, s_patience), "no echo");
        foreach (int port in (int[])[22, 23]) Listen(_lab.Host, port);
        Listen(_lab.Net, 80);
        bool Reaches(NetworkNamespace from, string to, int port) => from.Run("socat", "-u", "/dev/null", $"TCP6:[{to}]:{port},connect-timeout=2").Succeeded;
        Assert.True(Reaches(_lab.Net, host, 22));
        Assert.False(Reaches(_lab.Net, host, 23));
        Assert.True(Reaches(_lab.Host, "2001:db8:fffe::1", 80));

        // A reload opens and closes.
        _lab.Configure(sections: allow.Replace("22", "23", StringComparison.Ordinal));
        _lab.Reload();
        Assert.True(Wait.Until(() => Reaches(_lab.Net, host, 23), s_patience), "the exception is not in force");
        Assert.False(Reaches(_lab.Net, host, 22));
        Assert.True(_lab.Daemon.Stop(TimeSpan.FromSeconds(20)));
        Assert.Equal("table inet mine", _lab.Smap.Require("nft", "list", "tables").Trim());
    }

    void Listen(NetworkNamespace at, int port)
    {
        LabProcess server = at.Start($"listen {port}", _lab.PathOf($"listen-{port}.log"), "socat", $"TCP6-LISTEN:{port},fork,reuseaddr", "/dev/null");
        server.WaitUntil(() => at.Run("ss", "-Hltn", $"sport = :{port}").Output.Length > 0, s_patience, "listen");
    }

    public void Dispose() => _lab.Dispose();
}
