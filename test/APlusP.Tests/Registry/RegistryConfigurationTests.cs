using System.Net;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Configuration;
using APlusP.Registry.Pcp;

namespace APlusP.Tests.Registry;

public class RegistryConfigurationTests
{
    static ConfigurationCheck<RegistrySettings> Check(string text) => RegistryConfigurationFile.Check("registry.toml", text);

    [Fact]
    public void A_directory_and_a_pool_are_enough()
    {
        RegistrySettings settings = Check("data = \"/tmp/r\"\n[[pool]]\nprefix = \"192.0.2.0/24\"").Configuration!;
        Assert.Equal(("127.0.0.1:8646", LoopbackAccess.Operate, 504), (settings.Listen.Single().ToString(), settings.Loopback, settings.Policy.Pools[0].Layout.UnitCount));
        Assert.Equal([("home", 128, 1024), ("gamer", 256, 2048), ("business", 512, 4096), ("server", 1024, 8192)], settings.Policy.Classes.Select(c => (c.Name, c.Start, c.Limit)));
        Assert.Equal((86400, 120, 60), (settings.Policy.LeaseTime.TotalSeconds, settings.Policy.HoldDown.TotalSeconds, settings.Policy.ChangeInterval.TotalSeconds));
    }

    [Theory]
    [InlineData("[[pool]]\nprefix = 1", true)]
    [InlineData("data = 1", true)]
    [InlineData("softwire-address = \"2001:db8::1\"", false)]
    [InlineData("", false)]
    public void A_registrys_file_is_known_by_its_keys(string text, bool isRegistry) => Assert.Equal(isRegistry, RegistryConfigurationFile.IsRegistry("x.toml", text));

    const string Least = "data = \"/tmp/r\"\n[[pool]]\nprefix = \"192.0.2.0/24\"\n";

    [Fact]
    public void Certificates_of_clients_and_a_collector_are_read()
    {
        RegistrySettings settings = Check(Least + """
            [tls]
            certificate = "/a"
            key = "/b"
            client-ca = "/c"
            client-crl = "/d"
            [ipfix]
            collector = "[2001:db8::9]:4739"
            transport = "udp"
            observation-domain = 6346
            """).Configuration!;
        Assert.Equal(("/c", "/d", new IpfixSettings(IPEndPoint.Parse("[2001:db8::9]:4739"), Tcp: false, 6346)), (settings.ClientAuthority, settings.Revoked, settings.Ipfix));
        Assert.Equal(new IpfixSettings(IPEndPoint.Parse("192.0.2.9:4739"), Tcp: true, 1), Check(Least + "[ipfix]\ncollector = \"192.0.2.9:4739\"").Configuration!.Ipfix);
    }

    [Theory]
    [InlineData("[ipfix]\ntransport = \"tcp\"", ErrorCodes.ConfigurationMissingKey)]
    [InlineData("[ipfix]\ncollector = \"192.0.2.9\"", ErrorCodes.ConfigurationBadValue)]
    [InlineData("[ipfix]\ncollector = \"192.0.2.9:1\"\ntransport = \"sctp\"", ErrorCodes.ConfigurationBadValue)]
    [InlineData("[tls]\ncertificate = \"/a\"\nkey = \"/b\"\nclient-crl = \"/d\"", ErrorCodes.ConfigurationContradiction)]
    public void What_is_wrong_with_them_is_told(string text, string code) => Assert.Equal(code, Assert.Single(Check(Least + text).Diagnostics).Code);

    [Fact]
    public void Whom_it_answers_by_PCP_is_read()
    {
        PcpServerSettings pcp = Check(Least + "[pcp]\nlisten = [\"2001:db8::2\", \"2001:db8::3\"]\nclients = [\"2001:db8:1::/48\", \"2001:db8:2::/48\"]\nhome-prefix-length = 56").Configuration!.Pcp!;
        Assert.Equal(["[2001:db8::2]:5351", "[2001:db8::3]:5351"], pcp.Listen.Select(a => a.ToString()));
        Assert.Equal("2001:db8:2:ff00::/56", $"{pcp.HomeOf(IPv6Address.Parse("2001:db8:2:ff12::5"))}");
        Assert.Null(pcp.HomeOf(IPv6Address.Parse("2001:db8:3::5")));
        Assert.Equal((1000, 10, null), (pcp.RequestsPerSecond, pcp.RequestsPerHome, pcp.Class));
    }

    [Theory]
    [InlineData("", "", ErrorCodes.ConfigurationMissingKey)]
    [InlineData("listen = \"::\"\nclients = [\"2001:db8::/32\"]", "", ErrorCodes.ConfigurationNotUnicast)] // An answer comes from the address that was asked.
    [InlineData("listen = \"2001:db8::3\"\nclients = [\"2001:db8::\"]", "", ErrorCodes.ConfigurationBadValue)]
    [InlineData("listen = \"2001:db8::3\"\nclients = [\"2001:db8::/96\"]", "", ErrorCodes.ConfigurationContradiction)]
    [InlineData("listen = \"2001:db8::3\"\nclients = [\"2001:db8::/32\"]\nclass = \"none\"", "", ErrorCodes.ConfigurationContradiction)]
    [InlineData("listen = \"2001:db8::3\"\nclients = [\"2001:db8::/32\"]", "psid = { offset = 6, length = 8 }\n[[class]]\nname = \"home\"\nstart = 252\n", ErrorCodes.ConfigurationContradiction)] // No range.
    public void What_cannot_be_answered_by_PCP_is_told(string pcp, string pool, string code) => Assert.Contains(code, Check($"{Least}{pool}[pcp]\n{pcp}").Diagnostics.Select(d => d.Code));

    [Fact]
    public void All_faults_are_told_at_once()
    {
        ConfigurationCheck<RegistrySettings> check = Check("""
            listen = ["127.0.0.1", "[2001:db8::1]:8646"]
            loopback = "operat"
            lease-time = 5
            leasetime = 5
            [[pool]]
            prefix = "10.0.0.0/8"
            [[pool]]
            prefix = "192.0.2.0/24"
            block = 65000
            [[pool]]
            prefix = "192.0.2.0/24"
            classes = ["palace"]
            [[pool]]
            prefix = "192.0.2.128/25"
            [[pool]]
            prefix = "198.51.100.0/24"
            ports = "80-2000"
            [[pool]]
            prefix = "203.0.113.0/24"
            psid = { offset = 8, length = 4 }
            block = 3
            [[class]]
            name = "home"
            start = 200
            limit = 100
            [[class]]
            name = "home"
            """);
        Assert.Null(check.Configuration);
        string[] expected =
        [
            ErrorCodes.ConfigurationMissingKey, ErrorCodes.ConfigurationBadValue, ErrorCodes.ConfigurationBadValue, ErrorCodes.ConfigurationOutOfRange, ErrorCodes.ConfigurationUnknownKey, ErrorCodes.ConfigurationBadValue,
            ErrorCodes.ConfigurationBadValue, ErrorCodes.ConfigurationBadValue, ErrorCodes.ConfigurationSystemPorts, ErrorCodes.ConfigurationBadValue, ErrorCodes.ConfigurationContradiction, ErrorCodes.ConfigurationContradiction,
            ErrorCodes.ConfigurationContradiction, ErrorCodes.ConfigurationTwice,
        ];
        Assert.Equal(expected.Order(), check.Diagnostics.Select(d => d.Code).Order());
        Assert.Equal("operate", check.Diagnostics.Single(d => d.Message.Contains("'loopback'", StringComparison.Ordinal)).Suggestion);
        Assert.Equal("lease-time", check.Diagnostics.Single(d => d.Code == ErrorCodes.ConfigurationUnknownKey).Suggestion);
    }

    [Fact]
    public void A_short_hold_down_and_no_class_home_are_warned_of()
    {
        ConfigurationCheck<RegistrySettings> check = Check("data = \"/tmp/r\"\nhold-down = 10\n[[pool]]\nprefix = \"192.0.2.0/24\"\n[[class]]\nname = \"villa\"");
        Assert.NotNull(check.Configuration);
        Assert.Equal([ErrorCodes.ConfigurationShortTimer, ErrorCodes.ConfigurationContradiction], check.Diagnostics.Select(d => d.Code));
    }
}
