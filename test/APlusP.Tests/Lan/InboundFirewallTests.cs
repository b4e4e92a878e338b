using APlusP.Core.Addresses;
using APlusP.Node.Lan;
using APlusP.Tests.Configuration;

namespace APlusP.Tests.Lan;

public class InboundFirewallTests
{
    const string Lan = "[[lan]]\ndevice = \"br-lan\"\naddress = \"192.168.2.1/24\"\n";

    [Fact]
    public void What_is_allowed_stands_before_the_drop()
    {
        string chains = InboundFirewall.Chains(LanConfigurationTests.Check(
            "[firewall]\nallow = [{ to = \"::10\", port = 22 }, { to = \"2001:db8:1::9\", port = 53, protocol = \"udp\" }]\n" + Lan).Configuration!, IPv6Address.Parse("2001:db8:1::1"));
        Assert.Contains("iifname != { \"br-lan\" } oifname { \"br-lan\" } jump inbound", chains);
        Assert.Contains("ip6 daddr 2001:db8:1::1 notrack", chains);
        Assert.Contains("ip6 daddr & ::ffff:ffff:ffff:ffff == ::10 tcp dport 22 accept", chains);
        Assert.Contains("ip6 daddr 2001:db8:1::9 udp dport 53 accept", chains);
        Assert.True(chains.IndexOf("udp dport 53 accept", StringComparison.Ordinal) < chains.IndexOf("counter drop", StringComparison.Ordinal));
    }

    [Fact]
    public void It_is_on_unless_the_file_says_otherwise()
    {
        Assert.True(LanConfigurationTests.Check(Lan).Configuration!.KeepsOutIPv6);
        Assert.False(LanConfigurationTests.Check($"[firewall]\nenabled = false\n{Lan}").Configuration!.KeepsOutIPv6);
    }

    [Fact]
    public void Hosts_of_an_isolated_LAN_and_of_others_do_not_reach_each_other_whether_what_comes_from_outside_is_let_in_or_not()
    {
        const string guests = "[[lan]]\ndevice = \"guests\"\naddress = \"192.168.3.1/24\"\nisolated = true\n";
        foreach (string firewall in (string[])["", "[firewall]\nenabled = false\n"])
        {
            var configuration = LanConfigurationTests.Check(firewall + Lan + guests).Configuration!;
            foreach (string chains in (string[])[InboundFirewall.Chains(configuration, null), ForwardedIPv4.Chains(configuration)])
            {
                Assert.Contains("iifname \"guests\" oifname { \"br-lan\" } counter reject with icmp", chains, StringComparison.Ordinal);
                Assert.Contains("iifname { \"br-lan\" } oifname \"guests\" counter reject with icmp", chains, StringComparison.Ordinal);
            }
        }

        // With one LAN there is nobody to keep it from.
        Assert.Equal("", ForwardedIPv4.Chains(LanConfigurationTests.Check(guests).Configuration!));
    }

    [Theory]
    [InlineData("{ port = 22 }", "AP1016", "'to' is missing")]
    [InlineData("{ to = \"::10\" }", "AP1016", "'port' is missing")]
    [InlineData("{ to = \"::10\", port = 0 }", "AP1014", "'port' is 0")]
    [InlineData("{ to = \"192.168.2.10\", port = 22 }", "AP1015", "not an IPv6 address")]
    [InlineData("{ to = \"::10\", port = 22, protocol = \"icmp\" }", "AP1015", "it is one of")]
    public void A_faulty_exception_is_refused(string allow, string code, string says) => LanConfigurationTests.Refused($"[firewall]\nallow = [{allow}]\n{Lan}", code, says);
}
