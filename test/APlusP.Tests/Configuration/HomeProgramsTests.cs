using APlusP.Node.Configuration;
using APlusP.Node.Services;

namespace APlusP.Tests.Configuration;

/// <summary><c>[web-proxy]</c> and <c>[household]</c> of smap.toml.</summary>
public class HomeProgramsTests
{
    const string Lan = "[[lan]]\ndevice = \"br-lan\"\naddress = \"192.168.2.1/24\"\n";

    static ConfigurationCheck<SmapConfiguration> Check(string sections) => ConfigurationFile.CheckSmap("/etc/aplusp/smap.toml", $"""
        softwire-address = "2001:db8:1::1"
        prr-address = "2001:db8::1"
        shared-address = "192.0.2.1"
        ports = "10000-11000"
        control-socket = "/run/aplusp/home.sock"
        {sections}
        """);

    static string[] Commands(string sections)
    {
        SmapConfiguration configuration = Check(sections).Require("smap.toml");
        return [.. configuration.Programs.Plans(configuration, "/run/aplusp/home.lan").Select(p => string.Join(' ', p.Command.Skip(1)))];
    }

    [Fact]
    public void Without_them_nothing_runs() => Assert.Empty(Commands(Lan));

    [Fact]
    public void They_run_for_the_LANs_of_the_file() => Assert.Equal(
        [
            "web-proxy --device br-lan --port 80 --port 443 --resolver 192.168.2.1 --socket /run/aplusp/home-web.sock",
            "household --listen 192.168.2.1:8080 --name router.home.arpa --state /var/lib/aplusp/home --socket /run/aplusp/home.sock --web-proxy-socket /run/aplusp/home-web.sock",
        ],
        Commands(Lan + "[web-proxy]\n[household]\nport = 8080\nnames = [\"router.home.arpa\"]\n"));

    [Fact]
    public void What_the_proxy_may_do_beside_is_handed_on() => Assert.Contains(
        "--resolver 192.168.2.1 --connections-per-server 6 --rank-sites --socket", Assert.Single(Commands(Lan + "[web-proxy]\nconnections-per-server = 6\nrank-sites = true\n")), StringComparison.Ordinal);

    [Fact]
    public void Switched_off_they_do_not_run() => Assert.Empty(Commands(Lan + "[web-proxy]\nenabled = false\n[household]\nenabled = false\n"));

    [Theory]
    [InlineData("[web-proxy]\n", "AP1017", "no [[lan]]")]
    [InlineData("[household]\n", "AP1017", "no [[lan]]")]
    [InlineData(Lan + "[web-proxy]\nports = [\"http\"]\n", "AP1015", "'http' is not a port")]
    [InlineData(Lan + "[web-proxy]\nports = []\n", "AP1015", "empty")]
    [InlineData(Lan + "[web-proxy]\nconnections-per-server = 1001\n", "AP1014", "connections-per-server")]
    [InlineData(Lan + "[household]\nport = 0\n", "AP1014", "port")]
    [InlineData(Lan + "[household]\nprot = 80\n", "AP1012", "port")]
    public void What_cannot_be_is_refused_with_its_place(string sections, string code, string part)
    {
        Diagnostic fault = Assert.Single(Check(sections).Diagnostics, d => d.Code == code);
        Assert.Contains(part, $"{fault}", StringComparison.Ordinal);
    }
}
