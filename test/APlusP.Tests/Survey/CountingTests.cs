using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using CsCheck;

namespace APlusP.Tests.Survey;

public class CountingTests
{
    const string Host = "192.168.2.9", Web = "203.0.113.7";

    static string Many(int count, Func<int, string> line) => string.Concat(Enumerable.Range(0, count).Select(line));

    [Fact]
    public void Each_port_of_a_host_counts_once_whatever_the_number_of_its_flows()
    {
        HostCounts counts = Tables.CountOne(Many(5, i => Tables.Udp(Host, 5000, $"203.0.113.{i + 1}", 53)) + Tables.Udp(Host, 5000, "203.0.113.1", 53) + Tables.Tcp(Host, 5000, Web, 443));
        Assert.Equal((2, 6, 1), (counts.Ports, counts.Flows, counts.MinimumPorts));
    }

    [Fact]
    public void A_5_tuple_NAPT_needs_as_many_ports_as_there_are_flows_to_one_remote_endpoint()
    {
        HostCounts counts = Tables.CountOne(Many(7, i => Tables.Tcp(Host, 4000 + i, Web, 443)) + Many(4, i => Tables.Tcp(Host, 5000 + i, Web, 80)) + Many(90, i => Tables.Udp(Host, 6000 + i, $"198.51.100.{i + 1}", 53)));
        Assert.Equal((101, 7), (counts.Ports, counts.MinimumPorts));

        // The same remote port of two protocols is two endpoints.
        Assert.Equal(1, Tables.CountOne(Tables.Tcp(Host, 1, Web, 443) + Tables.Udp(Host, 2, Web, 443)).MinimumPorts);
    }

    [Fact]
    public void Ports_are_told_by_application_protocol_and_state()
    {
        HostCounts counts = Tables.CountOne(Many(3, i => Tables.Udp(Host, 6000 + i, Web, 53)) + Tables.Tcp(Host, 1, Web, 80, "TIME_WAIT") + Many(2, i => Tables.Tcp(Host, 10 + i, Web, 443)) + Tables.Udp(Host, 7000, Web, 443)
            + Tables.Tcp(Host, 20, Web, 993) + Tables.Tcp(Host, 21, Web, 5222, "SYN_SENT") + Tables.Udp(Host, 51413, Web, 40000) + Tables.Udp(Host, 3074, Web, 3074) + Tables.Tcp(Host, 22, Web, 22));
        Assert.Equal(
            (3, 1, 2, 1, 1, 1, 1, 1, 1),
            (counts.Of("dns"), counts.Of("http"), counts.Of("https"), counts.Of("quic"), counts.Of("mail"), counts.Of("messaging"), counts.Of("p2p"), counts.Of("games"), counts.Of("other")));
        Assert.Equal([6, 6, 0, 0], counts.ByProtocol);
        Assert.Equal((1, 1, 4), (counts.ByState[(int)TcpState.TimeWait], counts.ByState[(int)TcpState.SynSent], counts.ByState[(int)TcpState.Established]));
    }

    [Fact]
    public void Of_several_connections_of_a_TCP_port_the_liveliest_tells_its_state()
    {
        HostCounts counts = Tables.CountOne(Tables.Tcp(Host, 1, Web, 80, "TIME_WAIT") + Tables.Tcp(Host, 1, "203.0.113.8", 80) + Tables.Tcp(Host, 1, "203.0.113.9", 80, "CLOSE"));
        Assert.Equal((1, 1), (counts.ByState.Sum(), counts.ByState[(int)TcpState.Established]));
    }

    [Fact]
    public void What_takes_no_port_of_an_address_is_left_out()
    {
        TickCounts counts = Tables.Count(Tables.Tcp("127.0.0.1", 1, "127.0.0.1", 80) + Tables.Tcp("::1", 1, "::1", 80) + Tables.Udp(Host, 5353, "224.0.0.251", 5353) + Tables.Udp("fe80::1", 546, "ff02::1:2", 547)
            + "unknown  47 500 src=192.168.2.9 dst=203.0.113.7 src=203.0.113.7 dst=192.0.2.1 mark=0 use=1\n");
        Assert.Empty(counts.Hosts);
        Assert.Equal(5, counts.LeftOut);
    }

    [Fact]
    public void A_connection_from_outside_is_that_of_the_server_inside()
    {
        const string inbound = "tcp      6 431999 ESTABLISHED src=203.0.113.7 dst=192.0.2.1 sport=50000 dport=8080 src=192.168.2.20 dst=203.0.113.7 sport=80 dport=50000 [ASSURED] mark=0 use=1\n";
        (HostAddress address, HostCounts counts) = Assert.Single(Tables.Count(inbound).Hosts);
        Assert.Equal(("192.168.2.20", 1, 1), (address.ToString(), counts.Ports, counts.Of("http")));
    }

    [Fact]
    public void Where_networks_are_given_nobody_else_is_surveyed()
    {
        InsideNetworks inside = InsideNetworks.Of(["192.168.2.0/24", "2001:db8:1::/48"]);
        TickCounts counts = Tables.Count(Tables.Tcp(Host, 1, Web, 80) + Tables.Tcp("192.168.3.1", 1, Web, 80) + Tables.Tcp("2001:db8:1::5", 1, "2001:db8:2::1", 80) + Tables.Tcp("2001:db8:2::5", 1, "2001:db8:2::1", 80), inside);
        Assert.Equal([Host, "2001:db8:1::5"], counts.Hosts.Select(h => h.Address.ToString()).Order(StringComparer.Ordinal));
        Assert.Equal(2, counts.LeftOut);
        Assert.Equal(ErrorCodes.SurveySettings, Assert.Throws<APlusPException>(() => InsideNetworks.Of(["192.168.2.0/33"])).Code);
    }

    [Fact]
    public void Counts_are_those_of_sets_whatever_the_flows() =>
        Gen.Select(Gen.Int[0, 3], Gen.Int[1, 6], Gen.Int[0, 4], Gen.Int[1, 3], Gen.Bool).Array[0, 200].Sample(drawn =>
        {
            var flows = drawn.Select(d => new Flow(
                HostAddress.Of(new IPv4Address(0xc0a80200u + (uint)d.Item1)), (ushort)d.Item2, HostAddress.Of(new IPv4Address(0xcb007100u + (uint)d.Item3)), (ushort)d.Item4, (ushort)d.Item4,
                d.Item5 ? IpProtocol.Tcp : IpProtocol.Udp, d.Item5 ? TcpState.Established : TcpState.None)).ToArray();
            var counter = new TickCounter(ApplicationRules.Standard, InsideNetworks.Private);
            foreach (Flow flow in flows) counter.Add(flow);
            TickCounts counts = counter.Finish();
            Assert.Equal(flows.Select(f => f.Host).Distinct().Order(), counts.Hosts.Select(h => h.Address));
            foreach ((HostAddress address, HostCounts host) in counts.Hosts)
            {
                Flow[] own = [.. flows.Where(f => f.Host == address).Distinct()];
                Assert.Equal(own.Select(f => (f.Protocol, f.Port)).Distinct().Count(), host.Ports);
                Assert.Equal(own.GroupBy(f => (f.Protocol, f.Remote, f.RemotePort)).Max(g => g.Select(f => f.Port).Distinct().Count()), host.MinimumPorts);
                Assert.Equal(own.Length, host.Flows);
                Assert.Equal((host.Ports, host.Ports, host.ByProtocol[0]), (host.ByApplication.Sum(), host.ByProtocol.Sum(), host.ByState.Sum()));
            }
        });

    [Fact]
    public void Flows_beyond_the_bound_are_counted_as_such()
    {
        var counter = new TickCounter(ApplicationRules.Standard, InsideNetworks.Private, limit: 3);
        for (int i = 0; i < 5; i++) counter.Add(new Flow(HostAddress.Of(new IPv4Address(0xc0a80201)), (ushort)i, default, 1, 1, IpProtocol.Udp, TcpState.None));
        TickCounts counts = counter.Finish();
        Assert.Equal((3, 2), (Assert.Single(counts.Hosts).Counts.Ports, counts.Beyond));
        Assert.Empty(counter.Finish().Hosts);
    }

    [Fact]
    public void The_protocol_that_needs_most_ports_says_how_large_a_set_must_be()
    {
        HostCounts counts = Tables.CountOne(Many(30, i => Tables.Udp(Host, 6000 + i, Web, 53)) + Many(10, i => Tables.Tcp(Host, 6000 + i, Web, 443)));
        Assert.Equal((40, 30), (counts.Ports, counts.Demand));
        counts.PeakPorts = 80;
        Assert.Equal(60, counts.Demand);
    }

    [Fact]
    public void Rules_of_a_file_take_the_place_of_the_standard_ones()
    {
        ApplicationRules rules = ApplicationRules.Check("rules.toml", "[[application]]\nname = \"backup\"\ntcp = \"873,9000-9010\"\n[[application]]\nname = \"rest\"\ntcp = \"1-65535\"\n").Configuration!;
        Assert.Equal(["backup", "rest", "other"], rules.Names);
        Flow flow = new(default, 1, default, 9003, 9003, IpProtocol.Tcp, TcpState.None);
        Assert.Equal([0, 1, 2], new[] { rules.Classify(flow), rules.Classify(flow with { ServicePort = 80 }), rules.Classify(flow with { Protocol = IpProtocol.Udp }) }.Select(i => (int)i));
    }

    [Theory]
    [InlineData("", ErrorCodes.ConfigurationMissingKey, 1)]
    [InlineData("[[application]]\ntcp = \"80\"\n", ErrorCodes.ConfigurationMissingKey, 1)]
    [InlineData("[[application]]\nname = \"web\"\ntcp = \"80000\"\n", ErrorCodes.NotAPortSet, 3)]
    [InlineData("[[application]]\nname = \"other\"\n", ErrorCodes.ConfigurationTwice, 2)]
    [InlineData("[[application]]\nname = \"web\"\nport = \"80\"\n", ErrorCodes.ConfigurationUnknownKey, 3)]
    public void Faults_of_a_rules_file_are_told_with_their_place(string text, string code, int line)
    {
        ConfigurationCheck<ApplicationRules> check = ApplicationRules.Check("rules.toml", text);
        Assert.Null(check.Configuration);
        Assert.Contains(check.Diagnostics, d => d.Code == code && d.Line == line);
    }

    [Fact]
    public void Names_of_a_capture_go_before_ports()
    {
        ApplicationRules rules = ApplicationRules.Check("rules.toml", "[[application]]\nname = \"video\"\nserver-names = [\"*.video.example\"]\n[[application]]\nname = \"h3\"\nalpn = [\"h3\"]\n").Configuration!;
        Assert.Equal([1, 2, 0], new[] { rules.ByName("cdn.video.example", []), rules.ByName("www.example", ["h2", "h3"]), rules.ByName(null, []) }.Select(i => (int)i));
        Assert.Equal(0, rules.Classify(new Flow(default, 1, default, 443, 443, IpProtocol.Tcp, TcpState.None) { Named = 1 }));
    }
}
