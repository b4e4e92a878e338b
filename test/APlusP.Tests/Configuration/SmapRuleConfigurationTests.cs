using APlusP.Core.Forwarding;
using APlusP.Node.Configuration;

namespace APlusP.Tests.Configuration;

public class SmapRuleConfigurationTests
{
    const string Top = "prr-address = \"2001:db8:ffff::1\"\nend-user-prefix = \"2001:db8:12:3400::/56\"\n";

    static string Rule(string rule6 = "2001:db8::/40", string rule4 = "192.0.2.0/24", int ea = 16, string more = "") =>
        $"[[rule]]\nrule-ipv6-prefix = \"{rule6}\"\nrule-ipv4-prefix = \"{rule4}\"\nea-length = {ea}\n{more}\n";

    static ConfigurationCheck<SmapConfiguration> Check(string text) => ConfigurationFile.CheckSmap("smap.toml", text);

    [Fact]
    public void End_user_prefix_and_rule_say_address_ports_and_softwire()
    {
        ConfigurationCheck<SmapConfiguration> check = Check(Top + Rule());
        Assert.Empty(check.Diagnostics);
        SmapOptions options = check.Configuration!.Options;
        Assert.Equal(("2001:db8:12:3400:0:c000:212:34", "192.0.2.18", "offset=6,length=8,psid=52", SmapOutgoing.Softwire),
            (options.SoftwireAddress.ToString(), options.SharedAddress.ToString(), options.Ports.ToString(), options.Outgoing));
        Assert.Empty(options.ForwardingRules);
        Assert.Null(options.OwnPrefix);
    }

    [Fact]
    public void The_rule_with_the_longest_prefix_is_our_own_and_only_forwarding_ones_forward()
    {
        SmapOptions options = Check(Top + "outgoing = \"plain\"\n" + Rule(more: "forwarding = true") + Rule("2001:db8:12::/48", "198.51.100.0/24", 6)).Configuration!.Options;
        Assert.Equal("198.51.100.52/30", options.OwnPrefix.ToString());
        Assert.Equal(("198.51.100.52", SmapOutgoing.Plain), (options.SharedAddress.ToString(), options.Outgoing));
        Assert.Equal("192.0.2.0/24", Assert.Single(options.ForwardingRules).IPv4.ToString());
    }

    [Fact]
    public void A_home_by_hand_may_have_forwarding_rules()
    {
        ConfigurationCheck<SmapConfiguration> check = Check(
            "softwire-address = \"2001:db8:1::1\"\nprr-address = \"2001:db8:ffff::1\"\nshared-address = \"192.0.2.1\"\nports = \"10000-11000\"\n" + Rule(more: "forwarding = true"));
        Assert.Empty(check.Diagnostics);
        Assert.Single(check.Configuration!.Options.ForwardingRules);
    }

    [Theory]
    [InlineData("AP1041", 2, "needs the [[rule]]", "")]
    [InlineData("AP1041", 2, "they have 2001:db8:8000::/40", "2001:db8:8000::/40", "192.0.2.0/24", 16)]
    [InlineData("AP1041", 2, "more than the End-user IPv6 prefix", "2001:db8::/40", "192.0.2.0/24", 17)]
    [InlineData("AP1040", 7, "must be 8, not 7", "2001:db8::/40", "192.0.2.0/24", 16, "psid-length = 7")]
    [InlineData("AP1015", 7, "it is one of", "2001:db8::/40", "192.0.2.0/24", 16, "interface-identifier = \"map\"")]
    [InlineData("AP1012", 7, "There is no key 'prr'", "2001:db8::/40", "192.0.2.0/24", 16, "prr = \"2001:db8::1\"")]
    [InlineData("AP1013", 7, "must be true or false", "2001:db8::/40", "192.0.2.0/24", 16, "forwarding = 1")]
    public void A_fault_has_its_place(string code, int line, string what, string rule6, string rule4 = "", int ea = 0, string more = "")
    {
        Diagnostic found = Assert.Single(Check(Top + (rule6.Length > 0 ? Rule(rule6, rule4, ea, more) : "")).Diagnostics);
        Assert.Equal((code, line), (found.Code, found.Line));
        Assert.Contains(what, found.Message);
    }

    [Fact]
    public void What_the_rule_says_cannot_be_said_again()
    {
        IReadOnlyList<Diagnostic> found = Check("shared-address = \"192.0.2.18\"\nports = \"all\"\nsoftwire-address = \"2001:db8:1::1\"\n" + Top + Rule()).Diagnostics;
        Assert.Equal([("AP1017", 1), ("AP1017", 2), ("AP1017", 3)], found.Select(d => (d.Code, d.Line)));
    }

    [Fact]
    public void Bits_that_no_rule_tells_are_warned_of()
    {
        ConfigurationCheck<SmapConfiguration> check = Check("prr-address = \"2001:db8:ffff::1\"\nend-user-prefix = \"2001:db8:0:1200::/56\"\n" + Rule("2001:db8::/48", "192.0.2.0/24", 6));
        Assert.NotNull(check.Configuration);
        Assert.Equal("AP1043", Assert.Single(check.Diagnostics).Code);
    }

    [Fact]
    public void Two_forwarding_rules_of_one_prefix_are_told_with_both_places()
    {
        Diagnostic found = Assert.Single(Check(Top + Rule(more: "forwarding = true") + Rule("2001:db8:8000::/40", more: "forwarding = true")).Diagnostics);
        Assert.Equal(("AP1042", 10), (found.Code, found.Line));
        Assert.Contains("smap.toml:5:20", found.Message);
    }

    [Fact]
    public void A_file_by_rule_is_known_as_a_smaps() => Assert.True(ConfigurationFile.IsSmap("smap.toml", Top + Rule()));
}
