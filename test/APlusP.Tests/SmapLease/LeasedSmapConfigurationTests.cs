using APlusP.Core;
using APlusP.Core.Dhcpv6;
using APlusP.Core.Forwarding;
using APlusP.Node.Configuration;
using APlusP.Node.Daemons;

namespace APlusP.Tests.SmapLease;

/// <summary>A smap.toml that leaves address and ports to a registry.</summary>
public class LeasedSmapConfigurationTests
{
    const string Registry = "[registry]\nurl = \"https://registry.example:8646\"\n";

    static ConfigurationCheck<SmapConfiguration> Check(string text) => ConfigurationFile.CheckSmap("/etc/aplusp/smap.toml", text);

    [Fact]
    public void Where_the_registry_is_is_enough_and_nothing_is_forwarded_until_it_has_answered()
    {
        ConfigurationCheck<SmapConfiguration> check = Check(Registry + "token-file = \"token\"\n");
        Assert.Empty(check.Diagnostics);
        SmapConfiguration configuration = check.Configuration!;
        SmapOptions options = configuration.Options;
        Assert.True(options.IsSuspended);
        Assert.Equal(("https://registry.example:8646/", "/etc/aplusp/token", "/var/lib/aplusp/smap"), (configuration.Registry!.Address.Url.ToString(), configuration.Registry.Address.TokenFile, configuration.Registry.State));
        Assert.Empty(StartValues.Of(configuration).SoftwireEnds);
    }

    [Fact]
    public void DHCPv6_beside_it_is_for_the_machines_own_prefix_alone()
    {
        ConfigurationCheck<SmapConfiguration> check = Check("[dhcpv6]\ninterface = \"wan\"\n" + Registry);
        Assert.Empty(check.Diagnostics);
        Assert.Empty(check.Configuration!.Dhcpv6!.Mechanisms);
        Assert.NotNull(check.Configuration.Registry);
        Assert.Equal([ErrorCodes.ConfigurationContradiction], Check("[dhcpv6]\ninterface = \"wan\"\nmechanisms = [\"lw4o6\"]\n" + Registry).Diagnostics.Select(d => d.Code));
    }

    [Theory]
    [InlineData(Registry, true)]
    [InlineData("control-socket = \"/run/s\"\n" + Registry, true)]
    [InlineData("softwire-address = \"2001:db8::1\"\n" + Registry, false)]
    public void A_file_with_a_registry_is_a_smaps_unless_it_has_a_softwire_end_of_many(string text, bool isSmap) => Assert.Equal(isSmap, ConfigurationFile.IsSmap("any.toml", text));

    [Theory]
    [InlineData("", "srv:///")]
    [InlineData("url = \"srv://example.net\"", "srv://example.net/")]
    public void It_may_be_found_by_the_DNS(string url, string found) => Assert.Equal(found, Check($"[registry]\n{url}\n").Configuration!.Registry!.Address.Url.ToString());

    [Fact]
    public void In_which_domain_DHCPv6_is_asked_where_nobody_has_said()
    {
        const string dhcp = "[dhcpv6]\ninterface = \"wan\"\n";
        Assert.Equal([DhcpOption.DomainList], Check(dhcp + "[registry]\n").Configuration!.Dhcpv6!.Places);
        foreach (string registry in (string[])[Registry, "[registry]\nurl = \"srv://example.net\"\n"]) Assert.Empty(Check(dhcp + registry).Configuration!.Dhcpv6!.Places);
        Assert.Null(Check("[registry]\n").Configuration!.Dhcpv6);
    }

    [Theory]
    [InlineData("shared-address = \"192.0.2.1\"\n", "", ErrorCodes.ConfigurationContradiction)]
    [InlineData("ports = \"10000-11000\"\n", "", ErrorCodes.ConfigurationContradiction)]
    [InlineData("", "grow-at = 50\nshrink-at = 50\n", ErrorCodes.ConfigurationContradiction)]
    [InlineData("", "state = \"\"\n", ErrorCodes.ConfigurationBadValue)]
    [InlineData("", "check-every = 0\n", ErrorCodes.ConfigurationOutOfRange)]
    public void What_cannot_be_is_told(string top, string more, string code) => Assert.Equal([code], Check(top + Registry + more).Diagnostics.Select(d => d.Code));

    [Fact]
    public void Another_registry_takes_a_restart() =>
        Assert.Equal("[registry]", StartValues.Of(Check(Registry).Configuration!).FirstDifference(StartValues.Of(Check("[registry]\nurl = \"https://other.example\"\n").Configuration!))!.Value.Key);
}
