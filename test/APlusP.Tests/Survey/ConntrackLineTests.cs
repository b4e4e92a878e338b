using APlusP.Core.Connections;
using APlusP.Core.Wire;
using APlusP.Survey.Flows;

namespace APlusP.Tests.Survey;

/// <summary>Lines as kernel 6.18, conntrack 1.4.7 and the report of 2010 (table V) have them.</summary>
public class ConntrackLineTests
{
    [Theory]
    [InlineData("ipv4     2 tcp      6 119 TIME_WAIT src=192.168.2.9 dst=203.0.113.7 sport=35724 dport=443 src=203.0.113.7 dst=192.0.2.1 sport=443 dport=35724 [ASSURED] mark=0 zone=0 use=2", "192.168.2.9", 35724, "203.0.113.7", 443, IpProtocol.Tcp, TcpState.TimeWait)]
    [InlineData("tcp 6 5 CLOSE src=172.23.42.42 dst=217.70.191.14 sport=4000 dport=22 packets=2 bytes=84 src=217.70.191.14 dst=192.44.77.81 sport=22 dport=4000 packets=1 bytes=44 mark=0 use=1", "172.23.42.42", 4000, "217.70.191.14", 22, IpProtocol.Tcp, TcpState.Close)]
    [InlineData("ipv4     2 udp      17 29 src=192.168.2.9 dst=203.0.113.53 sport=42218 dport=53 [UNREPLIED] src=203.0.113.53 dst=192.0.2.1 sport=53 dport=42218 mark=0 zone=0 use=2", "192.168.2.9", 42218, "203.0.113.53", 53, IpProtocol.Udp, TcpState.None)]
    [InlineData("icmp     1 29 src=192.168.2.9 dst=203.0.113.7 type=8 code=0 id=15642 src=203.0.113.7 dst=192.0.2.1 type=0 code=0 id=15642 mark=0 use=1", "192.168.2.9", 15642, "203.0.113.7", 0, IpProtocol.Icmp, TcpState.None)]
    [InlineData("ipv6     10 tcp      6 9 SYN_SENT2 src=2001:0db8:0000:0000:0000:0000:0000:0001 dst=2001:0db8:0000:0000:0000:0000:0000:0002 sport=32988 dport=7777 src=2001:0db8:0000:0000:0000:0000:0000:0002 dst=2001:0db8:0000:0000:0000:0000:0000:0001 sport=7777 dport=32988 [ASSURED] mark=0 zone=0 use=2", "2001:db8::1", 32988, "2001:db8::2", 7777, IpProtocol.Tcp, TcpState.SynSentTwice)]
    [InlineData("ipv6     10 tcp      6 9 CLOSE src=2001:db8::1 dst=2001:db8::2 sport=32988 dport=7777 src=2001:db8::2 dst=2001:db8::1 sport=7777 dport=32988 [ASSURED] mark=0 use=1 id=782914885", "2001:db8::1", 32988, "2001:db8::2", 7777, IpProtocol.Tcp, TcpState.Close)]
    [InlineData("tcp      6 src=192.168.2.9 dst=203.0.113.7 sport=1 dport=2 src=203.0.113.7 dst=192.0.2.1 sport=2 dport=1 [HW_OFFLOAD] mark=0 use=2", "192.168.2.9", 1, "203.0.113.7", 2, IpProtocol.Tcp, TcpState.None)]
    public void A_connection_is_read(string line, string host, int port, string remote, int remotePort, IpProtocol protocol, TcpState state)
    {
        (bool read, TrackedConnection connection, string fault) = Tables.Line(line);
        Assert.True(read, fault);
        Assert.True(Flow.TryOf(connection, InsideNetworks.Private, out Flow flow));
        Assert.Equal((host, port, remote, remotePort, protocol, state), (flow.Host.ToString(), flow.Port, flow.Remote.ToString(), flow.RemotePort, flow.Protocol, flow.State));
    }

    [Theory]
    [InlineData("<flow><meta direction=\"original\">", "does not begin")]
    [InlineData("src=192.168.2.9 dst=203.0.113.7", "does not begin")]
    [InlineData("tcp      6 119 DREAMING src=192.168.2.9 dst=203.0.113.7 sport=1 dport=2 src=203.0.113.7 dst=192.0.2.1 sport=2 dport=1", "TCP state")]
    [InlineData("tcp      6 119 CLOSE src=192.168.2.999 dst=203.0.113.7 sport=1 dport=2 src=203.0.113.7 dst=192.0.2.1 sport=2 dport=1", "address")]
    [InlineData("udp      17 119 src=192.168.2.9 dst=203.0.113.7 sport=65536 dport=2 src=203.0.113.7 dst=192.0.2.1 sport=2 dport=1", "port")]
    [InlineData("tcp      6 119 CLOSE src=192.168.2.9 dst=203.0.113.7 sport=1 dport=2 src=203.0.113.7 dst=192.", "address")]
    [InlineData("tcp      6 119 CLOSE src=192.168.2.9 dst=203.0.113.7 sport=1 dport=2", "both directions")]
    public void A_line_that_is_none_is_refused_with_the_reason(string line, string reason) => Assert.Contains(reason, Tables.Line(line).Fault, StringComparison.Ordinal);

    [Fact]
    public void Every_beginning_of_a_line_is_refused_or_read_and_nothing_is_thrown()
    {
        string line = Tables.Tcp("192.168.2.9", 40000, "203.0.113.7", 443).TrimEnd();
        int complete = line.IndexOf(" [ASSURED]", StringComparison.Ordinal);
        for (int length = 0; length < complete; length++)
            if (Tables.Line(line[..length]).Read) Assert.Matches("dport=[0-9]+$", line[..length]);
        Assert.True(Tables.Line(line[..complete]).Read);
    }
}
