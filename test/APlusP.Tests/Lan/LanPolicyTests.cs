using APlusP.Node.Configuration;
using APlusP.Node.Lan;

namespace APlusP.Tests.Lan;

/// <summary>What hosts of a LAN may not do: as it is written, and as nftables is told.</summary>
public class LanPolicyTests
{
    const string Lan = "[[lan]]\ndevice = \"br-lan\"\naddress = \"192.168.2.1/24\"\n";

    static ConfigurationCheck<SmapConfiguration> Check(string lan, string top = "", string end = "[household]\n") => ConfigurationFile.CheckSmap("/etc/aplusp/smap.toml", $"""
        softwire-address = "2001:db8:1::1"
        prr-address = "2001:db8::1"
        shared-address = "192.0.2.1"
        ports = "10000-11000"
        {top}
        {Lan}{lan}
        {end}
        """);

    static LanPolicy Read(string lan) => Check(lan).Require("smap.toml").Lans[0].Policy;

    [Fact]
    public void Nothing_is_forbidden_unless_the_file_says_so()
    {
        Assert.Equal(LanPolicy.None, Read(""));
        Assert.Equal("", PolicyTables.Refusing(Check("").Require("x").Lans, [[]], 80, ""));
        Assert.Equal("", PolicyTables.Counting(Check("").Require("x").Lans));
    }

    [Theory]
    [InlineData("1.5 GB", 1_500_000_000)]
    [InlineData("500MB", 500_000_000)]
    [InlineData("2 tb", 2_000_000_000_000)]
    [InlineData("1000 kB", 1_000_000)]
    public void A_volume_has_a_unit(string text, long octets)
    {
        Assert.Equal(octets, Read($"daily-volume = \"{text}\"").DailyVolume);
        Assert.True(LanPolicy.TryParseVolume(LanPolicy.Write(octets), out long again));
        Assert.Equal(octets, again);
    }

    [Fact]
    public void The_residence_of_the_report_is_three_lines() =>
        Assert.Equal(new LanPolicy(DnsAlone: true, OwnResolver: true, 1_500_000_000), Read("udp = \"dns-only\"\nresolver = \"ours\"\ndaily-volume = \"1.5 GB\"\n"));

    [Theory]
    [InlineData("daily-volume = \"lots\"\n", "", "[household]\n", "AP1015", "\"1.5 GB\"")]
    [InlineData("daily-volume = \"1.5\"\n", "", "[household]\n", "AP1015", "its unit")]
    [InlineData("daily-volume = \"-1 GB\"\n", "", "[household]\n", "AP1015", "its unit")]
    [InlineData("daily-volume = \"99999999999 TB\"\n", "", "[household]\n", "AP1015", "its unit")]
    [InlineData("daily-volume = \"10 kB\"\n", "", "[household]\n", "AP1014", "1 MB at least")]
    [InlineData("udp = \"off\"\n", "", "", "AP1015", "dns-only")]
    [InlineData("resolver = \"mine\"\n", "", "", "AP1015", "ours")]
    [InlineData("udp = \"dns-only\"\n", "fast-path = \"tc\"", "", "AP1017", "past nftables")]
    [InlineData("daily-volume = \"1 GB\"\n", "", "", "AP1017", "[household]")]
    public void What_cannot_be_is_refused_with_its_remedy(string lan, string top, string end, string code, string part)
    {
        Diagnostic fault = Assert.Single(Check(lan, top, end).Diagnostics, d => d.Code == code);
        Assert.Contains(part, $"{fault}", StringComparison.Ordinal);
    }

    [Fact]
    public void Of_two_policies_the_stricter_holds_in_each_thing()
    {
        Assert.Equal(new LanPolicy(true, true, 1000), new LanPolicy(true, false, 2000).And(new LanPolicy(false, true, 1000)));
        Assert.Equal(new LanPolicy(false, false, 2000), LanPolicy.None.And(new LanPolicy(false, false, 2000)));
        Assert.Equal(LanPolicy.None, LanPolicy.None.And(LanPolicy.None));
    }

    [Fact]
    public void Only_what_is_forbidden_is_in_the_tables()
    {
        string udp = PolicyTables.Refusing(Check("udp = \"dns-only\"\n").Require("x").Lans, [[]], 80, "");
        Assert.Contains("udp dport != 53", udp, StringComparison.Ordinal);
        Assert.DoesNotContain("853", udp, StringComparison.Ordinal);
        Assert.DoesNotContain("over0", udp, StringComparison.Ordinal);
        Assert.DoesNotContain("nat", udp, StringComparison.Ordinal);
        string names = PolicyTables.Refusing(Check("resolver = \"ours\"\n").Require("x").Lans, [[]], 80, "");
        Assert.Contains("th dport { 53, 853 }", names, StringComparison.Ordinal);
        Assert.DoesNotContain("udp dport", names, StringComparison.Ordinal);
        string volume = PolicyTables.Refusing(Check("daily-volume = \"1 GB\"\n").Require("x").Lans, [["52:54:00:00:00:02", "52:54:00:00:00:01"]], 8080, "");
        Assert.Contains("elements = { 52:54:00:00:00:01, 52:54:00:00:00:02 }", volume, StringComparison.Ordinal);
        Assert.Contains("redirect to :8080", volume, StringComparison.Ordinal);
        Assert.Equal("", PolicyTables.Stopping(Check("daily-volume = \"1 GB\"\n").Require("x").Lans, [[]]));
        Assert.Contains("ether daddr { 52:54:00:00:00:01 } meta protocol { ip, ip6 } meta l4proto udp counter name refused-volume drop", PolicyTables.Stopping(Check("daily-volume = \"1 GB\"\n").Require("x").Lans, [["52:54:00:00:00:01"]]), StringComparison.Ordinal);
    }
}
