using APlusP.Node.Configuration;
using APlusP.Node.Daemons;

namespace APlusP.Tests.Configuration;

/// <summary>What a reload cannot change is refused by its key, and the rest is not.</summary>
public class StartValuesTests
{
    const string Binding = "[[binding]]\naddress = \"192.0.2.1\"\nports = \"10000-11000\"\nsoftwire = \"2001:db8:1::1\"\n";

    [Theory]
    [InlineData("device", "device = \"other\"", "", "aplusp-prr", "other")]
    [InlineData("control-socket", "control-socket = \"/run/other.sock\"", "", "/run/aplusp/prr.sock", "/run/other.sock")]
    [InlineData("workers", "workers = 7", "", "1", "7")]
    [InlineData("icmp-source", "icmp-source = \"198.51.100.1\"", "", "", "198.51.100.1")]
    [InlineData("max-paths", "", "[discovery]\nmax-paths = 77\n", "16384", "77")]
    [InlineData("[registry]", "", "[registry]\nurl = \"https://registry.example:8646\"\n", null, null)]
    [InlineData("[fragments]", "", "[fragments]\nmax-packets = 77\n", null, null)]
    [InlineData(null, "path-mtu = 1400\nhop-limit = 9\nhairpinning = false\nclamp-mss = false", "[icmp]\nerrors-per-second = 1\n", null, null)]
    public void A_prr(string? key, string top, string sections, string? now, string? wanted)
    {
        string softwire = "softwire-address = \"2001:db8::1\"\n";
        (string, string, string)? found = Prr($"{softwire}{Binding}").FirstDifference(Prr($"{softwire}{top}\n{sections}{Binding}"));
        Assert.Equal(key, found?.Item1);
        if (wanted is not null) Assert.Equal((now, wanted), (found?.Item2, found?.Item3));
    }

    [Fact]
    public void The_ends_of_softwires()
    {
        string other = "softwire-address = [\"2001:db8::1\", \"2001:db8::2\"]\n";
        Assert.Equal(("softwire-address", "2001:db8::1", "2001:db8::1, 2001:db8::2"), Prr($"softwire-address = \"2001:db8::1\"\n{Binding}").FirstDifference(Prr(other + Binding)));
        const string smap = "shared-address = \"192.0.2.1\"\nprr-address = \"2001:db8::1\"\n";
        StartValues before = Smap($"{smap}softwire-address = \"2001:db8:1::1\"\nports = \"10000-11000\"\n");
        Assert.Equal(("softwire-address", "2001:db8:1::1", "2001:db8:1::2"), before.FirstDifference(Smap($"{smap}softwire-address = \"2001:db8:1::2\"\nports = \"10000-11000\"\n")));
        Assert.Null(before.FirstDifference(Smap($"{smap}softwire-address = \"2001:db8:1::1\"\nports = \"12000\"\n[napt]\nmode = \"five-tuple\"\n")));
    }

    [Fact]
    public void Whom_a_smap_asks()
    {
        StartValues before = Smap("[dhcpv6]\ninterface = \"wan\"\n");
        Assert.Null(before.FirstDifference(Smap("[dhcpv6]\ninterface = \"wan\"\nprefix = true\n[napt]\nmode = \"five-tuple\"\n")));
        foreach (string other in (string[])["interface = \"lan\"", "interface = \"wan\"\nmechanisms = [\"map-e\"]", "interface = \"wan\"\nprefix-length = 56", "interface = \"wan\"\naddress = true"])
            Assert.Equal("[dhcpv6]", before.FirstDifference(Smap($"[dhcpv6]\n{other}\n"))?.Key);
    }

    static StartValues Prr(string text) => StartValues.Of(ConfigurationFile.CheckPrr("prr.toml", text).Configuration!);

    static StartValues Smap(string text) => StartValues.Of(ConfigurationFile.CheckSmap("smap.toml", text).Configuration!);
}
