using APlusP.Core;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;
using APlusP.Node.Configuration;

namespace APlusP.Tests.Configuration;

public class ForwardConfigurationTests
{
    const string Head = "softwire-address = \"2001:db8:1::1\"\nprr-address = \"2001:db8::1\"\nshared-address = \"192.0.2.1\"\n";

    static ConfigurationCheck<SmapConfiguration> Check(string rest, string ports = "ports = \"10000-11000\"") => ConfigurationFile.CheckSmap("smap.toml", $"{Head}{ports}\n{rest}");

    [Theory]
    [InlineData("forward = [{ port = 10080, to = \"192.168.2.10:80\" }, { port = 10053, to = \"192.168.2.10:53\", protocol = \"both\" }]")]
    [InlineData("[[forward]]\nport = 10080\nto = \"192.168.2.10:80\"\nprotocol = \"tcp\"\n[[forward]]\nport = 10053\nto = \"192.168.2.10:53\"\nprotocol = \"both\"")]
    public void Forwards_are_read_in_both_forms(string text)
    {
        SmapConfiguration configuration = Check(text).Configuration!;
        Assert.Equal(
            [(IpProtocol.Tcp, 10080, "192.168.2.10", 80), (IpProtocol.Tcp, 10053, "192.168.2.10", 53), (IpProtocol.Udp, 10053, "192.168.2.10", 53)],
            configuration.Options.Forwards.Select(f => (f.Protocol, (int)f.Port, f.Host.ToString(), (int)f.HostPort)));
    }

    [Theory]
    [InlineData("{ port = 9999, to = \"192.168.2.10:80\" }", ErrorCodes.ConfigurationForwardNotOurs, "10000-11000")]
    [InlineData("{ port = 10080 }", ErrorCodes.ConfigurationMissingKey, "to = ")]
    [InlineData("{ to = \"192.168.2.10:80\" }", ErrorCodes.ConfigurationMissingKey, "port = ")]
    [InlineData("{ port = 0, to = \"192.168.2.10:80\" }", ErrorCodes.ConfigurationOutOfRange, "1 to 65535")]
    [InlineData("{ port = 10080, to = \"192.168.2.10\" }", ErrorCodes.ConfigurationBadValue, "192.168.2.10:80")]
    [InlineData("{ port = 10080, to = \"192.168.2.10:0\" }", ErrorCodes.ConfigurationBadValue, "192.168.2.10:80")]
    [InlineData("{ port = 10080, to = \"224.0.0.1:80\" }", ErrorCodes.ConfigurationNotUnicast, "224.0.0.1")]
    [InlineData("{ port = 10080, to = \"192.0.2.1:80\" }", ErrorCodes.ConfigurationContradiction, "shared address")]
    [InlineData("{ port = 10080, to = \"192.168.2.10:80\", protocol = \"sctp\" }", ErrorCodes.ConfigurationBadValue, "\"both\"")]
    [InlineData("{ port = 10080, to = \"192.168.2.10:80\" }, { port = 10080, to = \"192.168.2.11:80\", protocol = \"both\" }", ErrorCodes.ConfigurationTwice, "TCP port 10080")]
    [InlineData("{ port = 10080, to = \"192.168.2.10:80\" }, { port = 10081, to = \"192.168.2.10:80\" }", ErrorCodes.ConfigurationTwice, "second port")]
    [InlineData("{ port = 10080, to = \"192.168.2.10:80\", host = 1 }", ErrorCodes.ConfigurationUnknownKey, "host")]
    public void What_cannot_be_forwarded_is_refused_with_what_to_write(string forwards, string code, string says)
    {
        Diagnostic found = Assert.Single(Check($"forward = [{forwards}]").Diagnostics);
        Assert.Equal(code, found.Code);
        Assert.Contains(says, found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_a_set_by_psid_the_message_names_a_range()
    {
        Diagnostic found = Assert.Single(Check("forward = [{ port = 1024, to = \"192.168.2.10:80\" }]", "psid = { offset = 6, length = 8, psid = 52 }").Diagnostics);
        Assert.Contains("such as 1232-1235", found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void More_forwards_than_there_is_room_for_are_refused()
    {
        string many = string.Join(", ", Enumerable.Range(1, 1025).Select(i => $"{{ port = {i + 20000}, to = \"192.168.2.10:{i}\", protocol = \"both\" }}"));
        Diagnostic found = Assert.Single(Check($"forward = [{many}]", "ports = \"20000-30000\"").Diagnostics);
        Assert.Equal(ErrorCodes.ConfigurationOutOfRange, found.Code);
    }

    [Fact]
    public void The_sip_gateway_is_off_unless_the_file_says_so()
    {
        Assert.False(Check("").Configuration!.Options.SipGateway);
        SmapOptions options = Check("[gateways]\nsip = true\nsip-port = 5070\nsip-callers = \"anyone\"").Configuration!.Options;
        Assert.True(options.SipGateway);
        Assert.Equal(5070, options.SipPort);
        Assert.Equal(SipCallers.Anyone, options.SipCallers);
    }
}
