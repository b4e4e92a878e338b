using System.Net;
using APlusP.Core.Addresses;
using APlusP.Node.Configuration;
using APlusP.Node.Lan;
using APlusP.Tests.Configuration;

namespace APlusP.Tests.Lan;

public class DnsmasqConfigurationTests
{
    const string TwoLans = """
        [[lan]]
        device = "br-lan"
        address = "192.168.2.1/24"
        hosts = [{ mac = "52:54:00:00:02:79", address = "192.168.2.121", name = "A" }, { mac = "52:54:00:00:02:80", address = "192.168.2.122" }]
        [[lan]]
        device = "guests"
        address = "10.0.0.1/30"
        range = "10.0.0.2-10.0.0.2"
        lease-time = 600
        """;

    [Fact]
    public void Hosts_are_known_by_what_they_call_themselves() => Assert.Equal(
        [new("192.168.2.121", "A")],
        LeaseNames.Read(["1795000000 52:54:00:00:02:79 192.168.2.121 A 01:52:54:00:00:02:79", "1795000000 52:54:00:00:02:80 192.168.2.122 * *", "duid 00:01:00:01", "", "rubbish"]));

    [Fact]
    public void A_LAN_without_IPv4_has_names_and_advertisements_alone()
    {
        SmapConfiguration configuration = LanConfigurationTests.Check(TwoLans.Replace("hosts = ", "ipv4 = \"off\"\nhosts = ", StringComparison.Ordinal)).Configuration!;
        string text = DnsmasqConfiguration.Text(new LanState(configuration.Lans, 1280), "/var/lib/aplusp/smap.dhcp");
        Assert.Contains("""
            interface=br-lan
            dhcp-range=::,constructor:br-lan,ra-stateless,ra-names,64,2700
            ra-param=br-lan,mtu:1280,200,1800

            interface=guests
            dhcp-range=set:lan1,10.0.0.2,10.0.0.2,255.255.255.252,600
            """, text, StringComparison.Ordinal);
        Assert.DoesNotContain("192.168.2.", text, StringComparison.Ordinal);
        Assert.Contains("iifname { \"br-lan\" } oifname \"aplusp-smap\" counter reject", ForwardedIPv4.Chains(configuration), StringComparison.Ordinal);
        Assert.Empty(ForwardedIPv4.Chains(LanConfigurationTests.Check(TwoLans).Configuration!));
    }

    [Fact]
    public void The_text_has_each_lan_with_its_mtus_and_hosts()
    {
        IReadOnlyList<SmapLan> lans = LanConfigurationTests.Check(TwoLans).Configuration!.Lans;
        string text = DnsmasqConfiguration.Text(new LanState(lans, 1280) { Resolvers = [IPv6Address.Parse("2001:db8::53")] }, "/var/lib/aplusp/smap.dhcp");
        Assert.Equal("""
            # Made by the SMAP, which makes it anew when something changes.
            keep-in-foreground
            log-facility=-
            quiet-dhcp
            quiet-dhcp6
            quiet-ra
            pid-file=
            bind-dynamic
            except-interface=lo
            no-hosts
            dhcp-authoritative
            dhcp-leasefile=/var/lib/aplusp/smap.dhcp
            domain=home.arpa
            local=/home.arpa/
            domain-needed
            bogus-priv
            no-resolv
            all-servers
            edns-packet-max=1232
            cache-size=1000
            enable-ra
            server=2001:db8::53

            interface=br-lan
            dhcp-range=set:lan0,192.168.2.64,192.168.2.254,255.255.255.0,3600
            dhcp-option-force=tag:lan0,option:mtu,1240
            dhcp-host=52:54:00:00:02:79,192.168.2.121,A
            dhcp-host=52:54:00:00:02:80,192.168.2.122
            dhcp-range=::,constructor:br-lan,ra-stateless,ra-names,64,2700
            ra-param=br-lan,mtu:1280,200,1800

            interface=guests
            dhcp-range=set:lan1,10.0.0.2,10.0.0.2,255.255.255.252,600
            dhcp-option-force=tag:lan1,option:mtu,1240
            dhcp-range=::,constructor:guests,ra-stateless,ra-names,64,2700
            ra-param=guests,mtu:1280,200,1800

            """, text);
    }

    [Fact]
    public void Prefixes_that_hosts_had_are_deprecated_and_who_has_no_other_is_no_router_to_the_outside()
    {
        IReadOnlyList<SmapLan> lans = LanConfigurationTests.Check(TwoLans).Configuration!.Lans;
        LanPrefix Of(string device, int number) => new(device, IPv6Prefix.Parse($"2001:db8:2:{number}::/64"));
        var state = new LanState(lans, 1280) { Prefixes = [Of("br-lan", 3)], OldPrefixes = [Of("br-lan", 1), Of("br-lan", 2), Of("guests", 4)] };
        string text = DnsmasqConfiguration.Text(state, "/var/lib/aplusp/smap.dhcp");
        Assert.Contains("""
            dhcp-range=::,constructor:br-lan,ra-stateless,ra-names,64,2700
            dhcp-range=2001:db8:2:1::,ra-only,64,deprecated
            dhcp-range=2001:db8:2:1::,ra-only,64,600
            dhcp-range=2001:db8:2:2::,ra-only,64,deprecated
            dhcp-range=2001:db8:2:2::,ra-only,64,600
            ra-param=br-lan,mtu:1280,200,1800

            """, text, StringComparison.Ordinal);
        Assert.EndsWith("""
            dhcp-range=::,constructor:guests,ra-stateless,ra-names,64,2700
            dhcp-range=2001:db8:2:4::,ra-only,64,deprecated
            dhcp-range=2001:db8:2:4::,ra-only,64,600
            ra-param=guests,mtu:1280,200,0

            """, text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("range = \"192.168.2.1\"", "AP1015", "two addresses")]
    [InlineData("range = \"192.168.3.1-192.168.3.9\"", "AP1014", "192.168.2.254")]
    [InlineData("range = \"192.168.2.9-192.168.2.3\"", "AP1014", "goes from")]
    [InlineData("lease-time = 60", "AP1014", "120")]
    [InlineData("prefix = \"2001:db8::/56\"", "AP1015", "64 bits")]
    [InlineData("hosts = [{ mac = \"52:54\", address = \"192.168.2.10\" }]", "AP1015", "Ethernet address")]
    [InlineData("hosts = [{ mac = \"52:54:00:00:00:01\", address = \"192.168.2.1\" }]", "AP1014", "beside the SMAP's")]
    [InlineData("hosts = [{ mac = \"52:54:00:00:00:01\", address = \"192.168.3.1\" }]", "AP1014", "host of 192.168.2.0/24")]
    [InlineData("hosts = [{ mac = \"52:54:00:00:00:01\", address = \"192.168.2.9\", name = \"a b\" }]", "AP1015", "'name'")]
    [InlineData("hosts = [{ mac = \"52:54:00:00:00:01\", address = \"192.168.2.9\" }, { mac = \"52:54:00:00:00:01\", address = \"192.168.2.8\" }]", "AP1018", "twice")]
    [InlineData("hosts = [{ address = \"192.168.2.9\" }]", "AP1016", "'mac' is missing")]
    public void What_cannot_be_served_is_refused(string key, string code, string says) =>
        LanConfigurationTests.Refused($"[[lan]]\ndevice = \"br-lan\"\naddress = \"192.168.2.1/24\"\n{key}", code, says);

    [Theory]
    [InlineData("lan-leases = \"\"", "AP1015", "'lan-leases'")]
    [InlineData("[dns]\nupstream = [\"192.0.2.53\"]", "AP1015", "not an IPv6 address")]
    [InlineData("[dns]\nupstream = [\"ff02::1\"]", "AP1019", "unicast")]
    [InlineData("[dns]\nupstreams = []", "AP1012", "upstreams")]
    public void So_is_what_names_cannot_be_asked_by(string text, string code, string says) => LanConfigurationTests.Refused(text, code, says);

    [Fact]
    public void Two_lans_have_two_prefixes() => LanConfigurationTests.Refused(
        "[[lan]]\ndevice = \"a\"\naddress = \"192.168.2.1/24\"\nprefix = \"2001:db8:2::/64\"\n[[lan]]\ndevice = \"b\"\naddress = \"192.168.3.1/24\"\nprefix = \"2001:db8:2::/64\"", "AP1018", "its own");

    [Theory]
    [InlineData("2001:db8:12:3400::/56", 2, "2001:db8:12:3401::/64 2001:db8:12:3402::/64")] // The first is the softwire's.
    [InlineData("2001:db8:12:34::/64", 2, "2001:db8:12:34::/64 -")]
    [InlineData("2001:db8:12:34::/63", 2, "2001:db8:12:34::/64 2001:db8:12:35::/64")]
    [InlineData("2001:db8:12:34::/80", 1, "-")] // Too long for hosts.
    [InlineData("", 1, "-")]
    public void Each_lan_has_a_piece_of_what_is_delegated(string delegated, int lans, string expected) =>
        Assert.Equal(expected, string.Join(' ', LanPrefixes.Choose(new IPv6Prefix?[lans], delegated.Length == 0 ? [] : [IPv6Prefix.Parse(delegated)]).Select(p => p?.ToString() ?? "-")));

    [Theory]
    [InlineData("2001:db8:12:34::/64", "no prefix is left for guests: 2001:db8:12:34::/64 has not")]
    [InlineData("2001:db8:12:34::/80", "no prefix is left for br-lan, guests: 2001:db8:12:34::/80 has not")]
    [InlineData("2001:db8:12:34::/63", "")]
    [InlineData("", "")] // Nobody has one: there is nothing to ask for.
    public void Who_gets_no_piece_is_named(string delegated, string says)
    {
        IReadOnlyList<SmapLan> lans = LanConfigurationTests.Check(TwoLans).Configuration!.Lans;
        IPv6Prefix[] had = delegated.Length == 0 ? [] : [IPv6Prefix.Parse(delegated)];
        string told = LanPrefixes.Missing(lans, LanPrefixes.Choose(new IPv6Prefix?[2], had), had);
        Assert.True(says.Length == 0 ? told.Length == 0 : told.StartsWith(says, StringComparison.Ordinal), told);
    }

    [Fact]
    public void A_prefix_that_is_written_stays_and_is_given_to_nobody_else()
    {
        var written = IPv6Prefix.Parse("2001:db8:12:3401::/64");
        Assert.Equal([written, IPv6Prefix.Parse("2001:db8:12:3402::/64")], LanPrefixes.Choose([written, null], [IPv6Prefix.Parse("2001:db8:12:3400::/56")]));
        Assert.Equal("2001:db8:12:3401::1", LanPrefixes.RouterOf(written).ToString());
    }

    [Fact]
    public void Resolvers_are_those_of_the_file_or_of_the_network_or_the_machines()
    {
        IReadOnlyList<IPAddress> own = [.. ((string[])["192.0.2.53", "::1", "2001:db8::3", "fe80::1%1", "2001:db8::4"]).Select(IPAddress.Parse)];
        IReadOnlyList<IPv6Address> written = [IPv6Address.Parse("2001:db8::1")], told = [IPv6Address.Parse("2001:db8::2")], advertised = [IPv6Address.Parse("2001:db8::5")];
        Assert.Equal(written, LanResolvers.Choose(written, told, advertised, own));
        Assert.Equal(told, LanResolvers.Choose([], told, advertised, own));
        Assert.Equal(advertised, LanResolvers.Choose([], [], advertised, own));
        Assert.Equal(["2001:db8::3", "2001:db8::4"], LanResolvers.Choose([], [], [], own).Select(r => $"{r}"));
    }
}
