using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using static APlusP.Tests.Forwarding.GatewayScene;

namespace APlusP.Tests.Forwarding;

/// <summary>Ports that always lead to a server of the home.</summary>
public class ForwardTests
{
    const string Stranger = "203.0.113.9";

    readonly HandClock _time = new();

    static PortForward To(int port, string host, int hostPort, IpProtocol protocol = IpProtocol.Tcp) => new(protocol, (ushort)port, IPv4Address.Parse(host), (ushort)hostPort);

    public static TheoryData<NaptMode, NaptFiltering> Ways => new()
    {
        { NaptMode.EndpointIndependent, NaptFiltering.EndpointIndependent },
        { NaptMode.EndpointIndependent, NaptFiltering.AddressDependent },
        { NaptMode.EndpointIndependent, NaptFiltering.AddressAndPortDependent },
        { NaptMode.FiveTuple, NaptFiltering.AddressDependent },
    };

    [Theory]
    [MemberData(nameof(Ways))]
    public void Anybody_reaches_the_server_and_it_answers_from_the_port_that_was_called(NaptMode mode, NaptFiltering filtering)
    {
        Smap smap = Make(_time, o => o with { Mode = mode, Filtering = filtering, Forwards = [To(10080, Client, 80), To(10053, Client, 53, IpProtocol.Udp)] });
        foreach (string caller in (string[])[Stranger, Server])
        {
            Assert.True(Reaches(smap, caller, 3333, 10080, Client, 80));
            byte[] answer = Assert.Single(OnTheWire.Through(smap, Origin.FromLan, Packets.Tcp(Client, 80, caller, 3333, TcpFlags.Syn | TcpFlags.Ack)));
            Assert.Equal(10080, answer[60] << 8 | answer[61]);
            Assert.True(ReachesByUdp(smap, caller, 4444, 10053, Client, 53));
        }

        // TCP's port is not UDP's.
        Assert.False(ReachesByUdp(smap, Stranger, 4444, 10080, Client, 80));
        _time.Advance(TimeSpan.FromDays(2));
        Assert.True(Reaches(smap, Stranger, 3334, 10080, Client, 80));
    }

    [Theory]
    [InlineData(NaptMode.EndpointIndependent)]
    [InlineData(NaptMode.FiveTuple)]
    public void A_host_of_the_home_reaches_the_server_by_the_shared_address(NaptMode mode)
    {
        Smap smap = Make(_time, o => o with { Mode = mode, Forwards = [To(10080, Client, 80)] });
        byte[] call = Assert.Single(OnTheWire.Through(smap, Origin.FromLan, Packets.Tcp("192.168.1.143", 5000, Shared, 10080, TcpFlags.Syn)));
        Assert.True(IsFor(call, Client, 80));
        int caller = call[20] << 8 | call[21];
        byte[] answer = Assert.Single(OnTheWire.Through(smap, Origin.FromLan, Packets.Tcp(Client, 80, Shared, caller, TcpFlags.Syn | TcpFlags.Ack)));
        Assert.True(IsFor(answer, "192.168.1.143", 5000));
        Assert.Equal(10080, answer[20] << 8 | answer[21]);
    }

    [Fact]
    public void A_forwarded_port_is_nobody_elses_and_counts_to_no_host()
    {
        Smap smap = Make(_time, o => o with { Ports = PortSet.Parse("10000-10003"), PortsPerHost = 1, Mode = NaptMode.FiveTuple, Forwards = [To(10000, Client, 80), To(10001, Client, 81), To(10002, Client, 82)] });
        for (int remote = 1; remote < 10; remote++)
        {
            byte[] sent = Assert.Single(OnTheWire.Through(smap, Origin.FromLan, Packets.Tcp(Client, 50000 + remote, Stranger, remote, TcpFlags.Syn)));
            Assert.Equal(10003, sent[60] << 8 | sent[61]);
        }

        Assert.Equal(1, Assert.Single(smap.Use().Hosts).Ports);
        Assert.True(Reaches(smap, Stranger, 7, 10001, Client, 81));
    }

    [Fact]
    public void A_forward_of_the_very_port_that_a_server_has_already_lets_its_connections_go_on()
    {
        Smap smap = Make(_time, o => o);
        int port = PortOf(OnTheWire.Through(smap, Origin.FromLan, Packets.Udp(Client, 5000, Server, 53)));
        Assert.Equal((ushort)port, smap.PortOf(IpProtocol.Udp, IPv4Address.Parse(Client), 5000));
        Assert.False(smap.IsFree(IpProtocol.Udp, (ushort)port));
        Assert.False(ReachesByUdp(smap, Stranger, 7, port, Client, 5000));
        smap.Options = smap.Options with { Forwards = [To(port, Client, 5000, IpProtocol.Udp)] };
        Assert.Equal(1, smap.Use().Flows);
        Assert.Empty(smap.Use().Hosts);
        Assert.True(ReachesByUdp(smap, Stranger, 7, port, Client, 5000));

        // And when it is taken back, they still do.
        smap.Options = smap.Options with { Forwards = [] };
        Assert.Equal(port, PortOf(OnTheWire.Through(smap, Origin.FromLan, Packets.Udp(Client, 5000, Server, 53))));
        Assert.False(ReachesByUdp(smap, Stranger, 8, port, Client, 5000));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(0, smap.Use().Flows);
        Assert.True(smap.IsFree(IpProtocol.Udp, (ushort)port));
        Assert.Null(smap.PortOf(IpProtocol.Udp, IPv4Address.Parse(Client), 5000));
    }

    [Fact]
    public void A_reload_adds_and_takes_forwards_and_touches_nothing_else()
    {
        PortForward web = To(10080, Client, 80), mail = To(10025, Client, 25);
        Smap smap = Make(_time, o => o with { Forwards = [web] });
        int other = PortOf(OnTheWire.Through(smap, Origin.FromLan, Packets.Tcp("192.168.1.143", 5000, Server, 443, TcpFlags.Syn)));
        smap.Options = Options(o => o with { Forwards = [web, mail] });
        Assert.True(Reaches(smap, Stranger, 1, 10080, Client, 80));
        Assert.True(Reaches(smap, Stranger, 1, 10025, Client, 25));
        smap.Options = Options(o => o with { Forwards = [mail] });
        Assert.False(Reaches(smap, Stranger, 2, 10080, Client, 80));
        Assert.True(Reaches(smap, Stranger, 2, 10025, Client, 25));
        smap.Options = Options(o => o with { Forwards = [mail with { Host = IPv4Address.Parse("192.168.1.143") }] });
        Assert.True(Reaches(smap, Stranger, 3, 10025, "192.168.1.143", 25));
        Assert.True(Reaches(smap, Server, 443, other, "192.168.1.143", 5000));
        Assert.Equal(1, smap.Use().Flows);
        smap.Options = Options();
        Assert.False(Reaches(smap, Stranger, 4, 10025, "192.168.1.143", 25));
    }

    static int PortOf(List<byte[]> sent) => sent.Single()[60] << 8 | sent.Single()[61];

    [Theory]
    [InlineData(NaptMode.EndpointIndependent)]
    [InlineData(NaptMode.FiveTuple)]
    public void A_new_forward_takes_its_port_from_whoever_has_it_and_its_server_from_another_port(NaptMode mode)
    {
        Smap smap = Make(_time, o => o with { Mode = mode, Ports = PortSet.Parse("10000-10009") });
        int taken = PortOf(OnTheWire.Through(smap, Origin.FromLan, Packets.Tcp("192.168.1.143", 5000, Server, 443, TcpFlags.Syn)));
        int before = PortOf(OnTheWire.Through(smap, Origin.FromLan, Packets.Tcp(Client, 80, Server, 443, TcpFlags.Syn)));
        Assert.Equal(2, smap.Use().Flows);
        smap.Options = Options(o => o with { Mode = mode, Ports = PortSet.Parse("10000-10009"), Forwards = [To(taken, Client, 80)] });
        Assert.Equal(0, smap.Use().Flows);
        Assert.True(Reaches(smap, Stranger, 1, taken, Client, 80));
        Assert.False(Reaches(smap, Server, 443, before, Client, 80));
        Assert.NotEqual(taken, PortOf(OnTheWire.Through(smap, Origin.FromLan, Packets.Tcp("192.168.1.143", 5000, Server, 443, TcpFlags.Syn))));
    }

    [Fact]
    public void Forwards_are_there_again_when_the_port_set_has_changed()
    {
        Smap smap = Make(_time, o => o with { Forwards = [To(10080, Client, 80)] });
        smap.Options = Options(o => o with { Ports = PortSet.Parse("10000-10100"), Forwards = [To(10080, Client, 80)] });
        Assert.True(Reaches(smap, Stranger, 1, 10080, Client, 80));
    }

    [Fact]
    public void An_error_of_the_server_about_a_packet_that_was_let_in_reaches_its_sender()
    {
        Smap smap = Make(_time, o => o with { Mode = NaptMode.FiveTuple, Forwards = [To(10053, Client, 53, IpProtocol.Udp)] });
        byte[] about = Packets.Udp(Stranger, 4444, Client, 53);
        byte[] error = Assert.Single(OnTheWire.Through(smap, Origin.FromLan, Packets.IcmpError(Client, Stranger, about, code: 3)))[40..];
        Assert.True(Packets.HasRightChecksums(error));
        Assert.Equal(10053, error[20 + 8 + 20 + 2] << 8 | error[20 + 8 + 20 + 3]);
    }

    [Fact]
    public void An_ftp_server_behind_a_forward_names_ports_of_ours()
    {
        Smap smap = Make(_time, o => o with { Forwards = [To(10021, Client, 21)] });
        Assert.True(Reaches(smap, Stranger, 3333, 10021, Client, 21));
        OnTheWire.Through(smap, Origin.FromLan, Segment(Client, 21, Stranger, 3333, ServerStart - 1, ClientStart, "", TcpFlags.Syn | TcpFlags.Ack));
        byte[] reply = Assert.Single(OnTheWire.Through(smap, Origin.FromLan, Segment(Client, 21, Stranger, 3333, ServerStart, ClientStart, "229 Entering Extended Passive Mode (|||40000|)\r\n")))[40..];
        int data = int.Parse(Text(reply).Split('|')[3]);
        Assert.InRange(data, 10000, 10999);
        Assert.True(Reaches(smap, Stranger, 3334, data, Client, 40000));
        Assert.False(Reaches(smap, Server, 3334, data, Client, 40000));
    }
}
