using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

/// <summary>A SMAP whose home does its worst: many hosts, many remote endpoints, tables full to the last entry.</summary>
public class SmapLoadTests
{
    const string Prr = "2001:db8::1", Home = "2001:db8:1::1", Shared = "192.0.2.1", HostB = "192.168.1.142", Server = "198.51.100.7";

    readonly HandClock _time = new();
    readonly PacketBatch _batch = new(4, 2000);

    Smap Make(string ports, NaptMode mode, int maxFlows = 65536, int portsPerHost = 65536, int flowsPerHost = 16_777_216) => new(
        new SmapOptions
        {
            SoftwireAddress = IPv6Address.Parse(Home),
            PrrAddress = IPv6Address.Parse(Prr),
            SharedAddress = IPv4Address.Parse(Shared),
            Ports = PortSet.Parse(ports),
            PortsPerHost = portsPerHost,
            FlowsPerHost = flowsPerHost,
            Mode = mode,
            MaxFlows = maxFlows,
            TtlAlreadyTaken = true,
        },
        _time, seed: 1);

    Verdict Judge(Smap smap, byte[] packet, Origin origin = Origin.FromLan)
    {
        _batch.Clear();
        Assert.True(_batch.TryAdd(packet, origin));
        smap.Process(_batch);
        return _batch[0].Verdict;
    }

    static string Address(int number) => new IPv4Address(0x0a000001u + (uint)number).ToString();

    void Idle(Smap smap, int seconds)
    {
        _time.Advance(TimeSpan.FromSeconds(seconds));
        _batch.Clear();
        smap.Process(_batch);
    }

    [Theory]
    [InlineData(NaptMode.EndpointIndependent)]
    [InlineData(NaptMode.FiveTuple)]
    public void A_host_that_scans_fills_its_own_share_of_flows_and_leaves_the_others_theirs(NaptMode mode)
    {
        Smap smap = Make("2000-2999", mode, maxFlows: 1000, flowsPerHost: 0);
        for (int round = 0; round < 3; round++)
        {
            Verdict[] scan = [.. Enumerable.Range(0, 2000).Select(i => Judge(smap, Packets.Udp(HostB, 5000, $"203.0.{i / 250}.{1 + i % 250}", 80)))];
            Assert.Equal(750, scan.Count(v => v == Verdict.Forward));
            Assert.Equal(1250, scan.Count(v => v.Reason == DropReason.HostLimit));
            for (int i = 0; i < 250; i++) Assert.Equal(Verdict.Forward, Judge(smap, Packets.Udp(Address(i), 5000, Server, 53)));
            Assert.Equal(DropReason.FlowTableFull, Judge(smap, Packets.Udp(Address(250), 5000, Server, 53)).Reason);
            Idle(smap, 400);
            Assert.Equal(0, smap.Use().Flows);
        }
    }

    [Fact]
    public void In_5_tuple_mode_more_hosts_than_the_set_has_ports_share_them()
    {
        Smap smap = Make("2000-2003", NaptMode.FiveTuple);
        for (int round = 0; round < 3; round++)
        {
            for (int i = 0; i < 4; i++) Assert.Equal(Verdict.Forward, Judge(smap, Packets.Udp(HostB, 40000 + i, Server, 53)));
            for (int i = 0; i < 500; i++) Assert.Equal(Verdict.Forward, Judge(smap, Packets.Udp(Address(i), 5000, $"203.0.113.{1 + i % 250}", 1000 + i)));
            Assert.Equal([4], smap.Use().Hosts.Select(h => h.Ports));
            Idle(smap, 400);
            Assert.Equal(0, smap.Use().Flows);
            Assert.Empty(smap.Use().Hosts);
        }
    }

    [Fact]
    public void In_5_tuple_mode_a_host_at_its_limit_shares_ports_in_use_and_takes_no_free_one()
    {
        Smap smap = Make("2000-2007", NaptMode.FiveTuple, portsPerHost: 2);
        for (int round = 0; round < 5; round++)
        {
            for (int i = 0; i < 2; i++) Assert.Equal(Verdict.Forward, Judge(smap, Packets.Udp(HostB, 40000 + i, Server, 53)));
            for (int i = 2; i < 20; i++) Assert.Equal(DropReason.HostLimit, Judge(smap, Packets.Udp(HostB, 40000 + i, Server, 53)).Reason);
            for (int i = 0; i < 2; i++) Assert.Equal(Verdict.Forward, Judge(smap, Packets.Udp(HostB, 40000 + i, Server, 54)));
            Assert.Equal(2, smap.Use().Ports[1].Used);
            Idle(smap, 400);
            Assert.Equal(0, smap.Use().Ports[1].Used);
        }
    }

    [Fact]
    public void A_port_that_more_flows_share_than_there_are_ports_is_still_one_port()
    {
        Smap smap = Make("2000", NaptMode.FiveTuple, maxFlows: 70_000);
        for (int i = 0; i < 70_000; i++) Assert.Equal(Verdict.Forward, Judge(smap, Packets.Udp(HostB, 5000, Address(i), 53)));
        Assert.Equal(1, smap.Use().Ports[1].Used);
        for (int i = 0; i < 2; i++)
        {
            Idle(smap, 290);
            for (int live = 0; live < 100; live++) Judge(smap, Packets.Udp(HostB, 5000, Address(live), 53));
        }

        Assert.Equal(100, smap.Use().Flows);
        Assert.Equal(1, smap.Use().Ports[1].Used);
        Idle(smap, 400);
        Assert.Equal(0, smap.Use().Ports[1].Used);
    }

    [Theory]
    [InlineData(NaptMode.EndpointIndependent)]
    [InlineData(NaptMode.FiveTuple)]
    public void A_host_that_scans_every_port_of_a_server_holds_nobody_up(NaptMode mode)
    {
        // Were all flows of a port and a remote address in one chain, each answer would walk half of them: 20 s here, in a debug build.
        Smap smap = Make("2000", mode);
        TimeSpan took = Timing.Least(3, _ =>
        {
            for (int port = 1; port <= 65535; port++) Assert.Equal(Verdict.Forward, Judge(smap, Packets.Tcp(HostB, 5000, Server, port, TcpFlags.Syn)));
            for (int port = 1; port <= 65535; port++)
                Assert.Equal(Verdict.Forward, Judge(smap, Packets.Softwire(Prr, Home, Packets.Tcp(Server, port, Shared, 2000, TcpFlags.Rst)), Origin.FromPrr));
            Idle(smap, 300);
            Assert.Equal(0, smap.Use().Flows);
        });
        Assert.True(took < TimeSpan.FromSeconds(8), $"{took}");
    }

    [Fact]
    public void A_refused_flow_costs_by_the_size_of_the_set_and_not_of_all_ports()
    {
        Smap smap = Make("2000-2003", NaptMode.FiveTuple);
        for (int i = 0; i < 4; i++) Judge(smap, Packets.Udp(HostB, 40000 + i, Server, 53));
        byte[] packet = Packets.Udp(HostB, 50000, Server, 53);
        TimeSpan took = Timing.Least(10, _ =>
        {
            for (int i = 0; i < 2000; i++) Assert.Equal(DropReason.PortsExhausted, Judge(smap, packet).Reason);
        });
        Assert.True(took < TimeSpan.FromMilliseconds(200), $"{took}");
    }

    [Fact]
    public void Who_asks_after_a_pause_hears_of_no_flow_that_is_over()
    {
        Smap smap = Make("2000-2003", NaptMode.EndpointIndependent);
        Judge(smap, Packets.Udp(HostB, 5000, Server, 53));
        Assert.Equal(1, smap.Use().Flows);
        _time.Advance(TimeSpan.FromSeconds(400));
        Assert.Equal(0, smap.Use().Flows);
    }

    [Fact]
    public void Port_0_is_given_to_no_flow_that_did_not_come_from_it()
    {
        Smap smap = Make("0-3", NaptMode.EndpointIndependent);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(Verdict.Forward, Judge(smap, Packets.Udp(HostB, 40000 + i, Server, 53)));
            Assert.NotEqual(0, _batch.Bytes(0)[60] << 8 | _batch.Bytes(0)[61]);
        }

        Assert.Equal(DropReason.PortsExhausted, Judge(smap, Packets.Udp(HostB, 40003, Server, 53)).Reason);
    }
}
