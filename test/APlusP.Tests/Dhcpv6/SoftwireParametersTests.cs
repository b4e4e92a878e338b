using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Core.PortSets;

namespace APlusP.Tests.Dhcpv6;

/// <summary>From a server's options to what a SMAP does.</summary>
public class SoftwireParametersTests
{
    static readonly IPv6Address s_relay = IPv6Address.Parse("2001:db8:ffff::1");

    static LightweightSoftwire Lightweight(string prefix, Psid? ports = null) =>
        new([s_relay], new AddressBinding(IPv4Address.Parse("203.0.113.7"), IPv6Prefix.Parse(prefix), ports));

    static MapDomain Domain(params SoftwireRule[] rules) => new(rules, [s_relay]);

    static SoftwireRule Rule(string v6 = "2001:db8::/40", string v4 = "192.0.2.0/24", int ea = 16, bool forwarding = false) =>
        new(new MappingRule(IPv6Prefix.Parse(v6), IPv4Prefix.Parse(v4), ea), forwarding);

    static SoftwireOptions Options(Action<DhcpWriter> write)
    {
        var writer = new DhcpWriter();
        write(writer);
        Assert.True(DhcpOptions.TryRead(writer.ToArray(), out DhcpOptions options));
        return SoftwireOptions.Read(options);
    }

    static SoftwireParameters? Choose(SoftwireOptions options, params string[] prefixes) => SoftwireParameters.Choose(options, [.. prefixes.Select(p => IPv6Prefix.Parse(p))], out _);

    static string Why(SoftwireOptions options, params string[] prefixes)
    {
        Assert.Null(SoftwireParameters.Choose(options, [.. prefixes.Select(p => IPv6Prefix.Parse(p))], out string why));
        return why;
    }

    /// <summary>RFC 7596 section 5.1: the first subnet of the matching prefix, and an identifier of IPv4 address and PSID.</summary>
    [Theory]
    [InlineData("2001:db8:1::/48", "2001:db8:1:1::/64", "2001:db8:1:1:0:cb00:7107:a")]
    [InlineData("2001:db8:1:1::/64", "2001:db8:1::/48", "2001:db8:1:1:0:cb00:7107:a")]
    [InlineData("2001:db8:1::/56", "2001:db8:1::/56", "2001:db8:1:0:0:cb00:7107:a")]
    [InlineData("2001:db8:1::42/128", "2001:db8:1::/48", "2001:db8:1::42")]
    public void The_lightweight_softwire_comes_from_the_prefix_that_matches_longest(string binding, string own, string softwire)
    {
        SoftwireParameters chosen = Choose(Options(Lightweight(binding, new Psid(0, 6, 10)).Write), "2001:db8:77::/48", own)!;
        Assert.Equal(new SoftwireParameters(DhcpOption.S46Lightweight, IPv6Address.Parse(softwire), s_relay, IPv4Address.Parse("203.0.113.7"), PortSet.FromPsid(0, 6, 10)), chosen);
    }

    [Fact]
    public void Of_several_own_prefixes_the_longest_match_is_taken() =>
        Assert.Equal("2001:db8:1:7:0:cb00:7107:0", $"{Choose(Options(Lightweight("2001:db8::/32").Write), "2001:db8:1::/48", "2001:db8:1:7::/64", "2001:db9::/80")!.Softwire}");

    [Fact]
    public void Without_port_parameters_the_address_is_whole() => Assert.True(Choose(Options(Lightweight("2001:db8::/32").Write), "2001:db8:1::/48")!.Ports.IsWholeAddress);

    [Fact]
    public void The_basic_mapping_rule_is_the_one_whose_prefix_matches_longest_and_flags_make_forwarding_rules()
    {
        SoftwireParameters chosen = Choose(Options(Domain(Rule("2001:db8::/32", "198.51.100.0/24", 16), Rule(forwarding: true)).Write), "2001:db8:12:3400::/56")!;
        Assert.Equal((DhcpOption.S46MapE, "2001:db8:12:3400:0:c000:212:34", "192.0.2.18"), (chosen.Mechanism, $"{chosen.Softwire}", $"{chosen.Address}"));
        Assert.Equal(PortSet.FromPsid(6, 8, 0x34), chosen.Ports);
        Assert.Equal([Rule().Rule], chosen.ForwardingRules);
    }

    [Fact]
    public void A_home_may_have_a_whole_ipv4_prefix_by_a_rule()
    {
        SoftwireParameters chosen = Choose(Options(Domain(Rule(ea: 4)).Write), "2001:db8:10::/44")!;
        Assert.Equal((IPv4Prefix.Parse("192.0.2.16/28"), true), (chosen.OwnPrefix!.Value, chosen.Ports.IsWholeAddress));
    }

    [Fact]
    public void The_servers_order_decides_and_what_it_names_that_is_not_there_is_skipped()
    {
        void Both(DhcpWriter w)
        {
            Domain(Rule()).Write(w);
            Lightweight("2001:db8::/32").Write(w);
        }

        Assert.Equal(DhcpOption.S46Lightweight, Choose(Options(Both), "2001:db8:12:3400::/56")!.Mechanism);
        Assert.Equal(DhcpOption.S46MapE, Choose(Options(w =>
        {
            Both(w);
            w.Option(DhcpOption.S46Priority, [(DhcpOption)999, DhcpOption.AftrName, DhcpOption.S46MapT, DhcpOption.S46MapE, DhcpOption.S46Lightweight]);
        }), "2001:db8:12:3400::/56")!.Mechanism);

        // First, but not usable: the next.
        Assert.Equal(DhcpOption.S46Lightweight, Choose(Options(w =>
        {
            Both(w);
            w.Option(DhcpOption.S46Priority, [DhcpOption.S46MapE, DhcpOption.S46Lightweight]);
        }), "2001:db8:a000::/56")!.Mechanism);
    }

    [Fact]
    public void What_is_missing_is_said_in_words()
    {
        Assert.Contains("nothing about a softwire", Why(Options(_ => { }), "2001:db8::/56"), StringComparison.Ordinal);
        Assert.Contains("MAP-T only", Why(Options(new MapTDomain([Rule()], IPv6Prefix.Parse("2001:db8:ffff::/64")).Write), "2001:db8::/56"), StringComparison.Ordinal);
        Assert.Contains("there is none", Why(Options(Lightweight("2001:db8::/32").Write)), StringComparison.Ordinal);
        Assert.Contains("2001:db9::/56", Why(Options(Lightweight("2001:db8::/32").Write), "2001:db9::/56"), StringComparison.Ordinal);
        Assert.Contains("and no address", Why(Options(new LightweightSoftwire([s_relay], null).Write), "2001:db9::/56"), StringComparison.Ordinal);
        Assert.Contains("2001:db8::/40", Why(Options(Domain(Rule()).Write), "2001:db9::/56"), StringComparison.Ordinal);
        Assert.Contains("more than the End-user", Why(Options(Domain(Rule()).Write), "2001:db8::/48"), StringComparison.Ordinal);
        Assert.Contains("both ends", Why(Options(new MapDomain([Rule()], [IPv6Address.Parse("2001:db8:12:3400:0:c000:212:34")]).Write), "2001:db8:12:3400::/56"), StringComparison.Ordinal);
        Assert.Contains("without S46_BR", Why(Options(new LightweightSoftwire([], null).Write), "2001:db8::/56"), StringComparison.Ordinal);
    }

    [Fact]
    public void Parameters_are_equal_when_they_say_the_same()
    {
        SoftwireOptions options = Options(Domain(Rule(forwarding: true)).Write);
        Assert.Equal(Choose(options, "2001:db8:12:3400::/56"), Choose(options, "2001:db8:12:3400::/56"));
        Assert.NotEqual(Choose(options, "2001:db8:12:3400::/56"), Choose(options, "2001:db8:12:3500::/56"));
        Assert.NotEqual(Choose(options, "2001:db8:12:3400::/56"), Choose(Options(Domain(Rule()).Write), "2001:db8:12:3400::/56"));
    }
}
