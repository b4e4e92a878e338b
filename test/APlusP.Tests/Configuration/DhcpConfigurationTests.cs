using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Node.Configuration;
using APlusP.Registry.Configuration;
using APlusP.Registry.Dhcpv6;

namespace APlusP.Tests.Configuration;

public class DhcpConfigurationTests
{
    static ConfigurationCheck<SmapConfiguration> Smap(string text) => ConfigurationFile.CheckSmap("smap.toml", text);

    static ConfigurationCheck<RegistrySettings> Registry(string text, string pool = "psid = { offset = 6, length = 8 }") =>
        RegistryConfigurationFile.Check("registry.toml", $"data = \"/tmp/r\"\n[[pool]]\nprefix = \"192.0.2.0/30\"\n{pool}\n[dhcpv6]\n{text}");

    const string Sound = "interfaces = [\"eth1\"]\nborder-relay = \"2001:db8:ffff::1\"\n";

    [Fact]
    public void A_smap_needs_nothing_but_the_link()
    {
        ConfigurationCheck<SmapConfiguration> check = Smap("[dhcpv6]\ninterface = \"wan\"");
        Assert.Empty(check.Diagnostics);
        DhcpSettings settings = check.Configuration!.Dhcpv6!;
        Assert.Equal(("wan", null, true, 0, false), (settings.Interface, settings.Duid, settings.Prefix, settings.PrefixLength, settings.RapidCommit));
        Assert.Equal([DhcpOption.S46Lightweight, DhcpOption.S46MapE], settings.Mechanisms);
        Assert.Null(Smap("softwire-address = \"2001:db8:1::1\"\nprr-address = \"2001:db8::1\"\nshared-address = \"192.0.2.1\"\nports = \"10000-11000\"").Configuration!.Dhcpv6);
    }

    [Fact]
    public void A_smap_may_say_more_and_have_a_prefix_of_its_own()
    {
        ConfigurationCheck<SmapConfiguration> check = Smap("""
            end-user-prefix = "2001:db8:12:3400::/56"
            forward = [{ port = 80, to = "192.168.1.2:80" }]
            [dhcpv6]
            interface = "wan"
            address = true
            prefix-length = 60
            rapid-commit = true
            mechanisms = ["map-e"]
            duid = "00:03:00:01:52:54:00:12:34:56"
            """);
        Assert.Empty(check.Diagnostics);
        DhcpSettings settings = check.Configuration!.Dhcpv6!;
        Assert.Equal((Duid.OfEthernet([0x52, 0x54, 0, 0x12, 0x34, 0x56]), 60, true), (settings.Duid!, settings.PrefixLength, settings.RapidCommit));
        Assert.True(settings.Address);
        Assert.Equal([DhcpOption.S46MapE], settings.Mechanisms);
        Assert.Equal(IPv6Prefix.Parse("2001:db8:12:3400::/56"), settings.EndUser);
        Assert.Single(check.Configuration.Options.Forwards);
    }

    [Fact]
    public void What_a_smap_says_beside_the_link_is_checked_and_told_at_once()
    {
        ConfigurationCheck<SmapConfiguration> check = Smap("""
            softwire-address = "2001:db8:1::1"
            prr-address = "2001:db8::1"
            shared-address = "192.0.2.1"
            ports = "10000-11000"
            [dhcpv6]
            interface = "a/b"
            prefix = false
            prefix-length = 56
            mechanisms = ["map-t"]
            duid = "00:03"
            interfce = 1
            [[rule]]
            rule-ipv6-prefix = "2001:db8::/40"
            rule-ipv4-prefix = "192.0.2.0/24"
            ea-length = 16
            """);
        Assert.Null(check.Configuration);
        foreach (string key in (string[])["softwire-address", "prr-address", "shared-address", "ports", "rule", "prefix-length"])
            Assert.Contains(check.Diagnostics, d => d.Code == ErrorCodes.ConfigurationContradiction && d.Message.StartsWith($"'{key}' is ", StringComparison.Ordinal));
        foreach (string message in (string[])["'interface' is not a name", "'map-t' is no mechanism", "'duid' is not a DUID"])
            Assert.Contains(check.Diagnostics, d => d.Code == ErrorCodes.ConfigurationBadValue && d.Message.StartsWith(message, StringComparison.Ordinal));
        Assert.Equal(("interface", 10), (check.Diagnostics.Single(d => d.Code == ErrorCodes.ConfigurationUnknownKey).Suggestion, check.Diagnostics.Count));
    }

    [Fact]
    public void A_smap_without_a_link_is_told_so() => Assert.Contains("'interface' is missing", Assert.Single(Smap("[dhcpv6]\nprefix = true").Diagnostics).Message, StringComparison.Ordinal);

    [Fact]
    public void Where_no_server_can_be_asked_the_file_must_say_what_the_softwire_is()
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, "[dhcpv6]\ninterface = \"wan\"");
        APlusPException refused = Assert.Throws<APlusPException>(() => ConfigurationFile.LoadWholeSmap(path));
        File.Delete(path);
        Assert.Equal(ErrorCodes.ConfigurationMissingKey, refused.Code);
        Assert.Contains("in place of [dhcpv6]", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_registry_needs_links_a_relay_and_prefixes()
    {
        ConfigurationCheck<RegistrySettings> check = Registry(Sound + "prefixes = \"2001:db8:1000::/44\"");
        Assert.Empty(check.Diagnostics);
        DhcpServerSettings settings = check.Configuration!.Dhcpv6!;
        Assert.Equal((56, 0, false, null), (settings.PrefixLength, settings.Preference, settings.RapidCommit, settings.Class));
        Assert.Equal([DhcpOption.S46Lightweight], settings.Mechanisms);
        Assert.Equal(["eth1"], settings.Interfaces);
        Assert.Contains("'interfaces' is missing", Registry("").Diagnostics.Select(d => d.Message).First(), StringComparison.Ordinal);
    }

    [Fact]
    public void Rules_take_the_place_of_prefixes_and_make_map_e()
    {
        ConfigurationCheck<RegistrySettings> check = Registry(Sound + "[[dhcpv6.rule]]\nrule-ipv6-prefix = \"2001:db8::/40\"\nrule-ipv4-prefix = \"192.0.2.0/24\"\nea-length = 16\nforwarding = true");
        Assert.Empty(check.Diagnostics);
        Assert.Equal([DhcpOption.S46Lightweight, DhcpOption.S46MapE], check.Configuration!.Dhcpv6!.Mechanisms);
        Assert.True(Assert.Single(check.Configuration.Dhcpv6.Rules).Forwarding);

        // But not of ports that the rule divides otherwise.
        const string rule = "[[dhcpv6.rule]]\nrule-ipv6-prefix = \"2001:db8::/40\"\nrule-ipv4-prefix = \"192.0.2.0/24\"\nea-length = 16";
        Assert.Contains("whose 1024-1151 of 192.0.2.0", Assert.Single(Registry(Sound + rule, pool: "").Diagnostics).Message, StringComparison.Ordinal);
        Assert.Contains("No [[dhcpv6.rule]] says", Assert.Single(Registry(Sound + "class = \"gamer\"\n" + rule).Diagnostics).Message, StringComparison.Ordinal);
        Assert.Empty(Registry(Sound + "prefixes = \"2001:db8:1000::/44\"\n" + rule, pool: "").Diagnostics);
    }

    [Theory]
    [InlineData("", ErrorCodes.ConfigurationMissingKey, "'prefixes' is missing")]
    [InlineData("prefixes = \"2001:db8:1000::/48\"", ErrorCodes.ConfigurationContradiction, "write a prefix of /46")]
    [InlineData("prefixes = \"2001:db8:1000::/44\"\nprefix-length = 40", ErrorCodes.ConfigurationContradiction, "shorter than")]
    [InlineData("prefixes = \"2001:db8:1000::/44\"\nclass = \"palace\"", ErrorCodes.ConfigurationContradiction, "no class 'palace'")]
    [InlineData("prefixes = \"2001:db8:1000::/44\"\nmechanisms = [\"map-t\"]", ErrorCodes.ConfigurationBadValue, "'map-t' is no mechanism")]
    [InlineData("prefixes = \"2001:db8:1000::/44\"\nmechanisms = [\"map-e\"]", ErrorCodes.ConfigurationContradiction, "no [[dhcpv6.rule]]")]
    [InlineData("prefixes = \"2001:db8:1000::/44\"\nmechanisms = [\"lw4o6\", \"lw4o6\"]", ErrorCodes.ConfigurationTwice, "stands twice")]
    [InlineData("prefixes = \"2001:db8:1000::/44\"\npreference = 256", ErrorCodes.ConfigurationOutOfRange, "from 0 to 255")]
    [InlineData("[[dhcpv6.rule]]\nrule-ipv6-prefix = \"2001:db8::/40\"\nrule-ipv4-prefix = \"192.0.2.0/24\"\nea-length = 16\ninterface-identifier = \"draft-03\"", ErrorCodes.ConfigurationUnknownKey, "interface-identifier")]
    [InlineData("[[dhcpv6.rule]]\nrule-ipv6-prefix = \"2001:db8::/40\"\nrule-ipv4-prefix = \"192.0.2.0/24\"\nea-length = 16\n[[dhcpv6.rule]]\nrule-ipv6-prefix = \"2001:db8::/36\"\nrule-ipv4-prefix = \"192.0.2.0/24\"\nea-length = 16", ErrorCodes.RuleConflict, "192.0.2.0/24")]
    public void What_a_registry_cannot_tell_is_refused(string more, string code, string message)
    {
        Diagnostic fault = Assert.Single(Registry(Sound + more).Diagnostics);
        Assert.Equal(code, fault.Code);
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
    }
}
