using APlusP.Node.Configuration;
using APlusP.Node.PortControl;

namespace APlusP.Tests.Configuration;

/// <summary><c>[port-control]</c>, and where mappings are kept.</summary>
public class PortControlConfigurationTests
{
    static PortControlSettings Read(string more = "", string top = "") => ConfigurationFile.CheckSmap("/etc/aplusp/smap.toml", $"""
        softwire-address = "2001:db8:1::1"
        prr-address = "2001:db8::1"
        shared-address = "192.0.2.1"
        ports = "10000-11000"
        {top}

        {more}
        """).Require("smap.toml").PortControl;

    [Fact]
    public void Without_a_word_PCP_is_on_and_UPnP_off()
    {
        PortControlSettings settings = Read();
        Assert.Equal((true, false, 0, 86_400u, "/var/lib/aplusp/smap"), (settings.Pcp, settings.Upnp, settings.Limits.PerHost, settings.Limits.LongestSeconds, settings.State));
        Assert.Equal("/var/lib/aplusp/room1", Read(top: "control-socket = \"/run/aplusp/room1.sock\"").State);
    }

    [Fact]
    public void Each_key_says_what_it_is_for()
    {
        PortControlSettings settings = Read("[port-control]\npcp = false\nupnp = true\nmax-per-host = 6\nmax-lifetime = 7200\nstate = \"kept\"");
        Assert.Equal((false, true, 6, 7200u, "/etc/aplusp/kept"), (settings.Pcp, settings.Upnp, settings.Limits.PerHost, settings.Limits.LongestSeconds, settings.State));
    }

    [Fact]
    public void With_a_registry_mappings_are_kept_where_the_lease_is()
    {
        PortControlSettings settings = ConfigurationFile.CheckSmap("/etc/aplusp/smap.toml", "[registry]\nurl = \"https://registry.example:8646\"\nstate = \"/var/lib/home\"").Require("smap.toml").PortControl;
        Assert.Equal("/var/lib/home", settings.State);
    }

    [Theory]
    [InlineData("max-lifetime = 60", "AP1014")]
    [InlineData("max-per-host = 513", "AP1014")]
    [InlineData("state = \"\"", "AP1015")]
    [InlineData("upnpp = true", "AP1012")]
    public void What_cannot_be_is_refused(string line, string code) => Assert.Equal(code, Assert.Single(ConfigurationFile.CheckSmap("smap.toml", $"""
        softwire-address = "2001:db8:1::1"
        prr-address = "2001:db8::1"
        shared-address = "192.0.2.1"
        ports = "10000-11000"

        [port-control]
        {line}
        """).Diagnostics).Code);
}
