using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Configuration.Formats;
using CsCheck;

namespace APlusP.Tests.Configuration;

public class UciFormatTests
{
    static readonly IPv6Address s_prr = IPv6Address.Parse("2001:db8::1");

    static SmapConfiguration Smap(string toml) => ConfigurationFile.CheckSmap("smap.toml", toml).Configuration!;

    static Dictionary<string, string> Options(string text) =>
        Regex.Matches(text, "^\toption (?<name>[a-z0-9]+) '(?<value>[^']*)'$", RegexOptions.Multiline | RegexOptions.ExplicitCapture).ToDictionary(m => m.Groups["name"].Value, m => m.Groups["value"].Value);

    static PrrConfiguration Prr(params Binding[] bindings) => new()
    {
        Bindings = bindings,
        Names = bindings.Select((b, i) => (b, i)).ToDictionary(b => b.b.Softwire, b => $"home {b.i}"),
        Options = new PrrOptions { SoftwireAddresses = [s_prr] },
    };

    /// <summary>What OpenWrt's mapcalc makes of the options and a delegated prefix (package/network/ipv6/map/src/mapcalc.c): its softwire address and port ranges.</summary>
    static (IPv6Address Address, string Ranges) MapCalc(Dictionary<string, string> options, IPv6Address delegated, int delegatedLength)
    {
        int Number(string name) => int.Parse(options[name], CultureInfo.InvariantCulture);
        int prefixLength = Number("ip6prefixlen"), psidLength = Number("psidlen"), offset = Number("offset"), psid = options.ContainsKey("psid") ? Number("psid") : 0;
        IPv6Address prefix = IPv6Address.Parse(options["ip6prefix"]);
        Assert.True(delegatedLength >= prefixLength && (prefixLength == 0 || (delegated.Value ^ prefix.Value) >> (128 - prefixLength) == 0), "no delegated prefix lies in ip6prefix");
        Assert.True(Number("ealen") >= psidLength);

        byte[] made = new byte[16];
        int at = options.GetValueOrDefault("legacymap") == "1" ? 9 : 10;
        IPAddress.Parse(options["ipaddr"]).GetAddressBytes().CopyTo(made, at);
        int right = psid >> (16 - psidLength);
        (made[at + 4], made[at + 5]) = ((byte)(right >> 8), (byte)right);
        UInt128 mask = UInt128.MaxValue << (128 - delegatedLength);
        var address = new IPv6Address(IPv6Address.Read(made).Value & ~mask | delegated.Value & mask);
        if (psidLength == 0) return (address, "0-65535");

        var ranges = new List<string>();
        for (int k = offset > 0 ? 1 : 0; k < 1 << offset; k++)
        {
            int start = k << (16 - offset) | psid >> offset;
            ranges.Add($"{start}-{start + (1 << (16 - offset - psidLength)) - 1}");
        }

        return (address, string.Join(' ', ranges));
    }

    [Fact]
    public void A_smap_becomes_an_interface_of_lw4o6()
    {
        (string text, IReadOnlyList<string> unsaid) = UciFormat.Write(Smap("""
            softwire-address = "2001:db8:1:100:0:c000:201:34"
            prr-address = "2001:db8::1"
            shared-address = "192.0.2.1"
            psid = { offset = 6, length = 8, psid = 52 }
            path-mtu = 1280
            hop-limit = 30
            """));
        Assert.Equal("""
            config interface 'map'
            	option proto 'map'
            	option type 'lw4o6'
            	option peeraddr '2001:db8::1'
            	option ipaddr '192.0.2.1'
            	option ip4prefixlen '32'
            	option ip6prefix '2001:db8:1:100::'
            	option ip6prefixlen '56'
            	option ealen '8'
            	option psidlen '8'
            	option psid '13312'
            	option offset '6'
            	option mtu '1240'
            	option ttl '30'
            	option encaplimit 'ignore'

            """, text);
        Assert.Empty(unsaid);
    }

    [Fact]
    public void OpenWrt_makes_of_it_the_same_address_and_ports() =>
        Gen.Select(Gen.Int[0, 8], Gen.Int[0, 8], Gen.UInt, Gen.Int[48, 64], Gen.Bool).Sample(drawn =>
        {
            (int offset, int length, uint random, int delegatedLength, bool legacy) = drawn;
            var address = IPv4Address.Parse("192.0.2.1");
            PortSet ports = length == 0 ? PortSet.WholeAddress : PortSet.FromPsid(offset, length, (int)(random % (1u << length)));
            UInt128 delegated = (IPv6Address.Parse("2001:db8::").Value | (UInt128)random << 64) >> (128 - delegatedLength) << (128 - delegatedLength);
            UInt128 identifier = (UInt128)address.Value << 16 | (uint)(ports.Psid?.Value ?? 0);
            var softwire = new IPv6Address(delegated | (legacy ? identifier << 8 : identifier));
            (string text, IReadOnlyList<string> unsaid) = UciFormat.Write(Prr(new Binding(address, ports, softwire, s_prr)), softwire.ToString());
            (IPv6Address made, string ranges) = MapCalc(Options(text), new IPv6Address(delegated), delegatedLength);
            Assert.Equal(softwire, made);
            Assert.Equal(string.Join(' ', ports.Ranges.Select(r => $"{r.First}-{r.Last}")), ranges);
            Assert.Empty(unsaid);
        }, iter: 1000);

    [Theory]
    [InlineData("rfc7597", "2001:db8:f012:3400:0:c000:212:34")]
    [InlineData("draft-03", "2001:db8:f012:3400:c0:2:1200:3400")]
    public void A_mapping_rule_becomes_an_interface_of_map_e_for_all_its_homes(string form, string address)
    {
        PrrConfiguration prr = ConfigurationFile.CheckPrr("prr.toml", $"""
            softwire-address = "2001:db8::1"
            [[rule]]
            name = "east"
            rule-ipv6-prefix = "2001:db8:f000::/40"
            rule-ipv4-prefix = "192.0.2.0/24"
            ea-length = 16
            interface-identifier = "{form}"
            """).Configuration!;
        string text = UciFormat.WriteRule(prr, "east").Text;
        Assert.Equal(text, UciFormat.WriteRule(prr, "192.0.2.0/24").Text);
        Dictionary<string, string> options = Options(text);
        Assert.Equal(("map-e", "2001:db8::1", "192.0.2.0", "24"), (options["type"], options["peeraddr"], options["ipaddr"], options["ip4prefixlen"]));
        Assert.Equal(("2001:db8:f000::", "40", "16", "6"), (options["ip6prefix"], options["ip6prefixlen"], options["ealen"], options["offset"]));

        // mapcalc takes IPv4 suffix and PSID out of the delegated prefix: 18 and 52 of 2001:db8:f012:3400::/56.
        (options["ipaddr"], options["psidlen"], options["psid"]) = ("192.0.2.18", "8", $"{52 << 8}");
        (IPv6Address made, string ranges) = MapCalc(options, IPv6Address.Parse("2001:db8:f012:3400::"), 56);
        Assert.Equal(address, made.ToString());
        Assert.True(prr.Rules[0].Rule.TryReadCe(made, out IPv4Prefix of, out int psid));
        Assert.Equal(("192.0.2.18/32", 52), (of.ToString(), psid));
        Assert.StartsWith("1232-1235 ", ranges, StringComparison.Ordinal);
        Assert.Contains("Did you mean 'east'", Assert.Throws<APlusPException>(() => UciFormat.WriteRule(prr, "esat")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rule_by_which_OpenWrt_does_not_reckon_is_refused()
    {
        PrrConfiguration prr = ConfigurationFile.CheckPrr("prr.toml", """
            softwire-address = "2001:db8::1"
            [[rule]]
            name = "prefixes"
            rule-ipv6-prefix = "2001:db8:f000::/40"
            rule-ipv4-prefix = "192.0.2.0/24"
            ea-length = 4
            """).Configuration!;
        Assert.Contains("an IPv4 prefix of 28 bits", Assert.Throws<APlusPException>(() => UciFormat.WriteRule(prr, "prefixes")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_that_OpenWrt_does_not_make_is_told_with_the_one_that_it_makes()
    {
        (string text, IReadOnlyList<string> unsaid) = UciFormat.Write(Prr(new Binding(IPv4Address.Parse("192.0.2.1"), PortSet.FromPsid(6, 8, 52), IPv6Address.Parse("2001:db8:1:2::1"), s_prr)), "home 0");
        Assert.Contains("softwire = \"2001:db8:1:2:0:c000:201:34\"", Assert.Single(unsaid), StringComparison.Ordinal);
        Assert.Equal("2001:db8:1:2:0:c000:201:34", MapCalc(Options(text), IPv6Address.Parse("2001:db8:1:2::"), 64).Address.ToString());
    }

    [Fact]
    public void What_OpenWrt_leaves_to_its_kernel_is_told()
    {
        IReadOnlyList<string> unsaid = UciFormat.Write(Smap("""
            softwire-address = "2001:db8:1::c000:201:0"
            prr-address = "2001:db8::1"
            shared-address = "192.0.2.1"
            ports = "all"
            default-route = false
            [napt]
            mode = "five-tuple"
            """)).Unsaid;
        Assert.Equal(2, unsaid.Count);
        Assert.Contains("[napt]", unsaid[0], StringComparison.Ordinal);
        Assert.Contains("default-route", unsaid[1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_smap_by_a_mapping_rule_goes_out_with_what_the_rule_gives_it()
    {
        const string smap = """
            end-user-prefix = "2001:db8:f012:3400::/56"
            prr-address = "2001:db8::1"
            [[rule]]
            rule-ipv6-prefix = "2001:db8:f000::/40"
            rule-ipv4-prefix = "192.0.2.0/24"
            ea-length = 16
            forwarding = true
            """;
        (string text, IReadOnlyList<string> unsaid) = UciFormat.Write(Smap(smap));
        Assert.Contains("through the PRR", Assert.Single(unsaid), StringComparison.Ordinal);
        Assert.Equal("2001:db8:f012:3400:0:c000:212:34", MapCalc(Options(text), IPv6Address.Parse("2001:db8:f012:3400::"), 56).Address.ToString());

        // Of a whole prefix the first address: what the PRR's rule sends it.
        (text, unsaid) = UciFormat.Write(Smap(smap.Replace("ea-length = 16", "ea-length = 4", StringComparison.Ordinal).Replace("f012:3400::/56", "f010::/44", StringComparison.Ordinal)));
        Assert.Contains("whole IPv4 prefix", Assert.Single(unsaid), StringComparison.Ordinal);
        Assert.Equal("2001:db8:f010::c000:210:0", MapCalc(Options(text), IPv6Address.Parse("2001:db8:f010::"), 44).Address.ToString());
    }

    [Fact]
    public void Plain_ranges_go_out_where_a_psid_says_them_and_are_refused_elsewhere()
    {
        PrrConfiguration prr = Prr(
            new Binding(IPv4Address.Parse("192.0.2.1"), PortSet.Parse("4096-8191"), IPv6Address.Parse("2001:db8:1::c000:201:1"), s_prr),
            new Binding(IPv4Address.Parse("192.0.2.1"), PortSet.Parse("10000-11000"), IPv6Address.Parse("2001:db8:2::1"), s_prr));
        Assert.Equal("4096", Options(UciFormat.Write(prr, "home 0").Text)["psid"]);
        APlusPException refused = Assert.Throws<APlusPException>(() => UciFormat.Write(prr, "home 1"));
        Assert.Equal(ErrorCodes.NotExportable, refused.Code);
        Assert.Contains("10000-11000 of 192.0.2.1", refused.Message, StringComparison.Ordinal);
        Assert.Contains("Did you mean 'home", Assert.Throws<APlusPException>(() => UciFormat.Write(prr, "hme 1")).Message, StringComparison.Ordinal);
    }
}
