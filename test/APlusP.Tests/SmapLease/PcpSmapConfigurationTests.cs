using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Linux;
using APlusP.Node.Configuration;
using APlusP.Node.Daemons;
using APlusP.Node.Home;

namespace APlusP.Tests.SmapLease;

/// <summary>A smap.toml that leaves address and ports to a PCP server, and the address from which that is asked.</summary>
public class PcpSmapConfigurationTests
{
    const string Prr = "prr-address = \"2001:db8::1\"\n", Pcp = "[pcp]\nserver = \"2001:db8:ffff::2\"\n";

    static ConfigurationCheck<SmapConfiguration> Check(string text) => ConfigurationFile.CheckSmap("/etc/aplusp/smap.toml", text);

    [Fact]
    public void Server_and_PRR_are_enough_and_nothing_is_forwarded_until_it_has_answered()
    {
        ConfigurationCheck<SmapConfiguration> check = Check(Prr + Pcp);
        Assert.Empty(check.Diagnostics);
        SmapPcp pcp = check.Configuration!.Pcp!;
        Assert.True(check.Configuration.Options.IsSuspended);
        Assert.Equal((IPv6Address.Parse("2001:db8:ffff::2"), "/var/lib/aplusp/smap", TimeSpan.FromDays(1)), (pcp.Server, pcp.State, pcp.Lifetime));
        Assert.True(ConfigurationFile.IsSmap("any.toml", Prr + Pcp));
    }

    [Fact]
    public void DHCPv6_beside_it_is_for_the_machines_own_address_alone()
    {
        ConfigurationCheck<SmapConfiguration> check = Check(Prr + "[dhcpv6]\ninterface = \"wan\"\naddress = true\n" + Pcp);
        Assert.Empty(check.Diagnostics);
        Assert.Empty(check.Configuration!.Dhcpv6!.Mechanisms);
    }

    [Fact]
    public void Where_it_is_DHCPv6_may_tell_and_then_is_asked()
    {
        ConfigurationCheck<SmapConfiguration> check = Check(Prr + "[dhcpv6]\ninterface = \"wan\"\n[pcp]\n");
        Assert.Empty(check.Diagnostics);
        Assert.Null(check.Configuration!.Pcp!.Server);
        Assert.Equal([DhcpOption.PcpServer], check.Configuration.Dhcpv6!.Places);
        Assert.Empty(Check(Prr + "[dhcpv6]\ninterface = \"wan\"\n" + Pcp).Configuration!.Dhcpv6!.Places);
    }

    [Theory]
    [InlineData(Pcp, ErrorCodes.ConfigurationMissingKey)] // PCP does not tell the PRR.
    [InlineData(Prr + "[pcp]\n", ErrorCodes.ConfigurationMissingKey)]
    [InlineData(Prr + "shared-address = \"192.0.2.1\"\n" + Pcp, ErrorCodes.ConfigurationContradiction)]
    [InlineData(Prr + Pcp + "[registry]\nurl = \"https://registry.example:8646\"\n", ErrorCodes.ConfigurationContradiction)]
    [InlineData(Prr + Pcp + "lifetime = 119\n", ErrorCodes.ConfigurationOutOfRange)]
    [InlineData(Prr + Pcp + "grow-at = 50\nshrink-at = 50\n", ErrorCodes.ConfigurationContradiction)]
    [InlineData(Prr + Pcp + "interface = \"a b\"\n", ErrorCodes.ConfigurationBadValue)]
    public void What_cannot_be_is_told(string text, string code) => Assert.Contains(code, Check(text).Diagnostics.Select(d => d.Code));

    [Fact]
    public void Another_server_takes_a_restart() =>
        Assert.Equal("[pcp]", StartValues.Of(Check(Prr + Pcp).Configuration!).FirstDifference(StartValues.Of(Check(Prr + "[pcp]\nserver = \"2001:db8:ffff::3\"\n").Configuration!))!.Value.Key);

    [Fact]
    public void It_asks_from_an_address_that_the_machine_has_the_one_of_before_while_it_is_there()
    {
        IPv6Address global = IPv6Address.Parse("2001:db8:1::5"), other = IPv6Address.Parse("2001:db8:1::6"), local = IPv6Address.Parse("fd00::5");
        OwnAddress[] own = [new("wan", local, 64), new("wan", global, 64), new("wan", other, 128), new("lan", IPv6Address.Parse("2001:db8:2::1"), 64)];
        DefaultRouter[] routers = [new("wan", 1024)];
        Assert.Equal(new SoftwireEndChoice(global, null, null), SoftwireEndChoice.OfMachine(null, own, routers, null));
        Assert.Equal(other, SoftwireEndChoice.OfMachine(null, own, routers, other).Address);
        Assert.Equal(global, SoftwireEndChoice.OfMachine(null, own, routers, IPv6Address.Parse("2001:db8:9::9")).Address);
        Assert.Equal(IPv6Address.Parse("2001:db8:2::1"), SoftwireEndChoice.OfMachine("lan", own, routers, null).Address);
        Assert.Equal(local, SoftwireEndChoice.OfMachine(null, own[..1], routers, null).Address);
        Assert.Contains("no global IPv6 address", SoftwireEndChoice.OfMachine("dsl", own, routers, null).Why, StringComparison.Ordinal);
        Assert.Contains("no IPv6 default route", SoftwireEndChoice.OfMachine(null, own, [], null).Why, StringComparison.Ordinal);
    }
}
