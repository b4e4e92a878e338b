using APlusP.Core.Bindings;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;

namespace APlusP.Tests.Configuration;

public class RuleConfigurationTests
{
    const string Top = "softwire-address = [\"2001:db8:ffff::1\", \"2001:db8:ffff::2\"]\n";

    const string Domain = """
        [[rule]]
        name = "domain 1"
        rule-ipv6-prefix = "2001:db8::/40"
        rule-ipv4-prefix = "192.0.2.0/24"
        ea-length = 16

        """;

    static ConfigurationCheck<PrrConfiguration> Check(string text) => ConfigurationFile.CheckPrr("prr.toml", Top + text);

    static string Rule(string rule6, string rule4, int ea, string more = "") =>
        $"[[rule]]\nrule-ipv6-prefix = \"{rule6}\"\nrule-ipv4-prefix = \"{rule4}\"\nea-length = {ea}\n{more}\n";

    static string Binding(string address, string ports, string softwire) => $"[[binding]]\naddress = \"{address}\"\nports = \"{ports}\"\nsoftwire = \"{softwire}\"\n";

    [Fact]
    public void A_rule_has_the_defaults_of_the_rfc_and_of_the_file()
    {
        ConfigurationCheck<PrrConfiguration> check = Check(Domain);
        Assert.Empty(check.Diagnostics);
        RuleBinding rule = Assert.Single(check.Configuration!.Rules);
        Assert.Equal(("domain 1", 6, 8, InterfaceIdentifierForm.Rfc7597, "2001:db8:ffff::1", 1460),
            (rule.Name, rule.Rule.PsidOffset, rule.Rule.PsidLength, rule.Rule.Form, rule.Prr.ToString(), rule.PayloadMtu));
    }

    [Fact]
    public void Every_key_is_heard()
    {
        ConfigurationCheck<PrrConfiguration> check = Check(Rule("240b:10::/31", "106.72.0.0/15", 25,
            "psid-offset = 4\npsid-length = 8\ninterface-identifier = \"draft-03\"\nprr = \"2001:db8:ffff::2\"\npath-mtu = 1280"));
        RuleBinding rule = Assert.Single(check.Configuration!.Rules);
        Assert.Equal((4, 8, InterfaceIdentifierForm.Draft03, "2001:db8:ffff::2", 1240),
            (rule.Rule.PsidOffset, rule.Rule.PsidLength, rule.Rule.Form, rule.Prr.ToString(), rule.PayloadMtu));
        Assert.Equal("240b:10:2a40:9600:6a:482a:4000:9600", BindingTable.Build([], check.Configuration.Rules).Find(
            Core.Addresses.IPv4Address.Parse("106.72.42.64"), 6496, out BindingHit hit) == BindingLookup.Found ? hit.Softwire.ToString() : "");
    }

    [Fact]
    public void A_rule_for_one_subscriber_is_a_binding()
    {
        PrrConfiguration configuration = Check(Rule("2001:db8:12:3400::/56", "192.0.2.18/32", 0, "psid-length = 8\npsid = 52\nname = \"Miller\"")).Configuration!;
        Assert.Empty(configuration.Rules);
        Binding binding = Assert.Single(configuration.Bindings);
        Assert.Equal("192.0.2.18 offset=6,length=8,psid=52 2001:db8:12:3400:0:c000:212:34 Miller", $"{binding.Address} {binding.Ports} {binding.Softwire} {configuration.Names[binding.Softwire]}");
    }

    [Theory]
    [InlineData("AP1040", 5, "must be 4, not 8")]
    [InlineData("AP1015", 3, "write 192.0.0.0/16")]
    [InlineData("AP1015", 2, "is not an IPv6 prefix")]
    [InlineData("AP1016", 1, "ea-length = 16")]
    [InlineData("AP1012", 5, "no key 'psid-len'")]
    [InlineData("AP1021", 5, "2001:db8:ffff::3 is not among")]
    [InlineData("AP1017", 3, "whole Internet")]
    [InlineData("AP1017", 2, "is a subscriber's by this rule")]
    public void A_fault_has_its_place(string code, int line, string what)
    {
        string text = what switch
        {
            "must be 4, not 8" => Rule("2001:db8::/32", "192.0.0.0/16", 20, "psid-length = 8"),
            "write 192.0.0.0/16" => Rule("2001:db8::/32", "192.0.2.0/16", 20),
            "is not an IPv6 prefix" => Rule("2001:db8::", "192.0.0.0/16", 20),
            "ea-length = 16" => Rule("2001:db8::/32", "192.0.0.0/16", 20).Replace("ea-length = 20\n", ""),
            "no key 'psid-len'" => Rule("2001:db8::/32", "192.0.0.0/16", 20, "psid-len = 8"),
            "2001:db8:ffff::3 is not among" => Rule("2001:db8::/40", "192.0.2.0/24", 16, "prr = \"2001:db8:ffff::3\""),
            "whole Internet" => Rule("2001:db8::/32", "0.0.0.0/0", 32),
            _ => Rule("2001:db8:ffff::/127", "192.0.2.0/31", 1),
        };
        Diagnostic found = Assert.Single(Check(text).Diagnostics, d => d.Severity == DiagnosticSeverity.Error);
        Assert.Equal((code, line + 1), (found.Code, found.Line));
        Assert.Contains(what, $"{found.Message} {found.Suggestion}");
    }

    [Fact]
    public void All_contradictions_are_told_at_once_with_both_places()
    {
        IReadOnlyList<Diagnostic> found = Check(Domain + Rule("2001:db8::/40", "198.51.100.0/24", 16) + Rule("2001:db8:2000::/40", "192.0.2.0/24", 10)
            + Domain.Replace("db8::/40", "db8:3000::/40").Replace("192.0.2.0", "203.0.113.0")).Diagnostics;
        Assert.Equal([("AP1042", 9), ("AP1042", 14), ("AP1018", 20)], found.Select(d => (d.Code, d.Line)));
        Assert.Contains("same Rule IPv6 prefix 2001:db8::/40", found[0].Message);
        Assert.All(found, d => Assert.Contains("prr.toml:5:", d.Message));
    }

    [Fact]
    public void A_binding_that_cuts_across_a_rule_is_told_at_the_binding()
    {
        string bindings = Binding("192.0.2.18", "10000-11000", "2001:db8:aaaa::1") + Binding("192.0.2.19", "offset=6,length=8,psid=1", "2001:db8:aaaa::2");
        Diagnostic found = Assert.Single(Check(bindings + Domain).Diagnostics);
        Assert.Equal(("AP1042", 4), (found.Code, found.Line));
        Assert.Contains("cut across the port sets that the rule for 192.0.2.0/24 gives out", found.Message);
    }

    [Fact]
    public void System_ports_are_only_a_warning()
    {
        ConfigurationCheck<PrrConfiguration> check = Check(Rule("2001:db8::/40", "192.0.2.0/24", 16, "psid-offset = 0"));
        Assert.NotNull(check.Configuration);
        Assert.Equal("AP1022", Assert.Single(check.Diagnostics).Code);
    }
}
