using APlusP.Core;
using APlusP.Node.Configuration;

namespace APlusP.Tests.Configuration;

public class LanConfigurationTests
{
    internal const string Softwire = "softwire-address = \"2001:db8:1::1\"\nprr-address = \"2001:db8::1\"\nshared-address = \"192.0.2.1\"\nports = \"10000-11000\"\n";

    internal static ConfigurationCheck<SmapConfiguration> Check(string text) => ConfigurationFile.CheckSmap("smap.toml", Softwire + text);

    [Fact]
    public void Lans_are_read_in_order()
    {
        ConfigurationCheck<SmapConfiguration> check = Check("[[lan]]\ndevice = \"br-lan\"\naddress = \"192.168.2.1/24\"\n[[lan]]\ndevice = \"guests\"\naddress = \"10.0.0.254/16\"");
        Assert.Empty(check.Diagnostics);
        Assert.Equal([("br-lan", "192.168.2.1", "192.168.2.0/24"), ("guests", "10.0.0.254", "10.0.0.0/16")],
            check.Configuration!.Lans.Select(l => (l.Device, l.Address.ToString(), l.Network.ToString())));
    }

    [Fact]
    public void A_file_without_one_has_none() => Assert.Empty(Check("").Configuration!.Lans);

    [Theory]
    [InlineData("address = \"192.168.2.1/24\"", ErrorCodes.ConfigurationMissingKey, "'device' is missing")]
    [InlineData("device = \"lan\"", ErrorCodes.ConfigurationMissingKey, "'address' is missing")]
    [InlineData("device = \"a b\"\naddress = \"192.168.2.1/24\"", ErrorCodes.ConfigurationBadValue, "not a name")]
    [InlineData("device = \"lan\"\naddress = 3", ErrorCodes.ConfigurationWrongType, "'address' is")]
    [InlineData("device = \"aplusp-smap\"\naddress = \"192.168.2.1/24\"", ErrorCodes.ConfigurationContradiction, "the SMAP's own device")]
    [InlineData("device = \"lan\"\naddress = \"192.168.2.1\"", ErrorCodes.ConfigurationBadValue, "192.168.2.1/24")]
    [InlineData("device = \"lan\"\naddress = \"fe80::1/64\"", ErrorCodes.ConfigurationBadValue, "not an IPv4 address")]
    [InlineData("device = \"lan\"\naddress = \"192.168.2.1/31\"", ErrorCodes.ConfigurationOutOfRange, "8 to 30")]
    [InlineData("device = \"lan\"\naddress = \"192.168.2.0/24\"", ErrorCodes.ConfigurationNotUnicast, "192.168.2.0/24")]
    [InlineData("device = \"lan\"\naddress = \"192.168.2.255/24\"", ErrorCodes.ConfigurationNotUnicast, "can have")]
    [InlineData("device = \"lan\"\naddress = \"224.0.0.1/24\"", ErrorCodes.ConfigurationNotUnicast, "can have")]
    [InlineData("device = \"lan\"\naddress = \"192.168.2.1/24\"\ndhpc = true", ErrorCodes.ConfigurationUnknownKey, "dhpc")]
    public void A_faulty_lan_is_refused_with_what_to_write(string lan, string code, string says) => Refused($"[[lan]]\n{lan}", code, says);

    [Theory]
    [InlineData("", "", "", true, true)]
    [InlineData("", "ipv4 = \"off\"", "", false, true)]
    [InlineData("ipv4 = \"off\"", "", "", false, false)]
    [InlineData("ipv4 = \"off\"", "", "ipv4 = \"on\"", false, true)]
    public void IPv4_ends_in_one_lan_or_in_all_that_do_not_say_otherwise(string top, string first, string second, bool firstHas, bool secondHas) => Assert.Equal(
        [firstHas, secondHas],
        Check($"{top}\n[[lan]]\ndevice = \"lan\"\naddress = \"192.168.2.1/24\"\n{first}\n[[lan]]\ndevice = \"guests\"\naddress = \"192.168.3.1/24\"\n{second}").Require("smap.toml").Lans.Select(l => l.HasIPv4));

    [Fact]
    public void Who_serves_no_lan_cannot_end_their_IPv4() => Refused("ipv4 = \"off\"", ErrorCodes.ConfigurationContradiction, "the file has no [[lan]]");

    [Theory]
    [InlineData("lan", "192.168.3.1/24", ErrorCodes.ConfigurationTwice, "a device of its own")]
    [InlineData("other", "192.168.2.129/25", ErrorCodes.ConfigurationTwice, "overlap")]
    [InlineData("other", "192.168.0.1/16", ErrorCodes.ConfigurationTwice, "overlap")]
    public void Two_lans_are_two_networks(string device, string address, string code, string says) =>
        Refused($"[[lan]]\ndevice = \"lan\"\naddress = \"192.168.2.1/24\"\n[[lan]]\ndevice = \"{device}\"\naddress = \"{address}\"", code, says);

    internal static void Refused(string text, string code, string says)
    {
        Diagnostic found = Assert.Single(Check(text).Diagnostics);
        Assert.Equal(code, found.Code);
        Assert.Contains(says, found.Message);
    }
}
