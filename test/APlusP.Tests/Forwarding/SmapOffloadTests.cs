using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

/// <summary>Flows of a SMAP that another forwards in its place: when it gets them, what it has seen of them, and what a next SMAP makes of them.</summary>
public class SmapOffloadTests
{
    const string Prr = "2001:db8::1", Home = "2001:db8:1::1", Shared = "192.0.2.1", Host = "192.168.1.142", OtherHost = "192.168.1.143", Server = "198.51.100.7";

    readonly HandClock _time = new();
    readonly PacketBatch _batch = new(1, 2000);
    readonly FakeOffload _offload = new();

    static SmapOptions Options { get; } = new()
    {
        SoftwireAddress = IPv6Address.Parse(Home),
        PrrAddress = IPv6Address.Parse(Prr),
        SharedAddress = IPv4Address.Parse(Shared),
        Ports = PortSet.Parse("10000-10063"),
        MaxFlows = 64,
        Fragments = PrrScene.Few,
    };

    Smap Make(SmapOptions? options = null, int seed = 1)
    {
        var smap = new Smap(options ?? Options, _time, seed);
        smap.Entrust(_offload);
        return smap;
    }

    Verdict Judge(Smap smap, byte[] packet, Origin origin)
    {
        _batch.Clear();
        Assert.True(_batch.TryAdd(packet, origin));
        smap.Process(_batch);
        return _batch[0].Verdict;
    }

    /// <summary>Sends from the home, and gives the external port.</summary>
    int Out(Smap smap, byte[] packet)
    {
        Assert.Equal(Verdict.Forward, Judge(smap, packet, Origin.FromLan));
        Span<byte> inner = _batch.Bytes(0)[40..];
        return inner[9] == 1 ? inner[24] << 8 | inner[25] : inner[20] << 8 | inner[21];
    }

    Verdict In(Smap smap, byte[] inner) => Judge(smap, Packets.Softwire(Prr, Home, inner), Origin.FromPrr);

    void Pass(Smap smap, int seconds)
    {
        _time.Advance(TimeSpan.FromSeconds(seconds));
        smap.Continue(_batch);
    }

    /// <summary>A TCP connection, open.</summary>
    int Connect(Smap smap, string host = Host, int port = 50000, int remotePort = 443)
    {
        int external = Out(smap, Packets.Tcp(host, port, Server, remotePort, TcpFlags.Syn));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Tcp(Server, remotePort, Shared, external, TcpFlags.Syn | TcpFlags.Ack)));
        Out(smap, Packets.Tcp(host, port, Server, remotePort));
        return external;
    }

    [Fact]
    public void Udp_and_ping_are_handed_over_with_their_first_packet()
    {
        Smap smap = Make();
        int port = Out(smap, Packets.Udp(Host, 50000, Server, 53));
        Assert.Equal(new OffloadedFlow(IpProtocol.Udp, IPv4Address.Parse(Host), 50000, IPv4Address.Parse(Server), 53, (ushort)port, 0), Assert.Single(_offload.Installed));
        int identifier = Out(smap, Packets.Echo(Host, Server, 77));
        Assert.Contains(new OffloadedFlow(IpProtocol.Icmp, IPv4Address.Parse(Host), 77, IPv4Address.Parse(Server), 0, (ushort)identifier, 0), _offload.Installed);
        Assert.All(_offload.FarEnds, end => Assert.Equal(IPv6Address.Parse(Prr), end));
    }

    [Fact]
    public void Tcp_is_handed_over_when_both_sides_have_spoken()
    {
        Smap smap = Make();
        int external = Out(smap, Packets.Tcp(Host, 50000, Server, 443, TcpFlags.Syn));
        In(smap, Packets.Tcp(Server, 443, Shared, external, TcpFlags.Syn | TcpFlags.Ack));
        Assert.Empty(_offload.Installed);
        Assert.Single(_offload.Kept);
        Out(smap, Packets.Tcp(Host, 50000, Server, 443));
        Assert.Single(_offload.Installed);
    }

    [Fact]
    public void What_went_out_elsewhere_refreshes_a_flow_and_what_came_in_does_not()
    {
        Smap smap = Make();
        Out(smap, Packets.Udp(Host, 50000, Server, 53));
        Out(smap, Packets.Udp(Host, 50001, Server, 53));
        Pass(smap, 200);
        _offload.Act(0, new FlowActivity(200, false, false, null));
        Pass(smap, 101);
        Assert.Equal(1, smap.Use().Flows);
        Pass(smap, 198);
        Assert.Equal(1, smap.Use().Flows);
        Pass(smap, 2);
        Assert.Equal(0, smap.Use().Flows);
        Assert.Equal((0, 0), (_offload.Installed.Count(), smap.Use().Ports[1].Used));
    }

    [Fact]
    public void A_connection_that_both_sides_finished_elsewhere_gives_its_port_back_after_the_closing_time()
    {
        Smap smap = Make();
        Connect(smap);
        _offload.Act(0, new FlowActivity(null, FinOutbound: true, FinInbound: false, null));
        Pass(smap, 1);
        Pass(smap, 300);
        Assert.Equal(1, smap.Use().Flows);
        _offload.Act(0, new FlowActivity(null, FinOutbound: false, FinInbound: true, null));
        Pass(smap, 1);
        Assert.Equal((byte)(1 | 2 | 4 | 8), _offload.Installed.Single().Seen);
        Pass(smap, 239);
        Assert.Equal(1, smap.Use().Flows);
        Pass(smap, 2);
        Assert.Equal((0, 0), (smap.Use().Flows, smap.Use().Ports[0].Used));
    }

    [Fact]
    public void A_reset_elsewhere_shortens_a_connections_life_unless_it_is_not_believed()
    {
        Smap smap = Make();
        Connect(smap);
        Connect(smap, port: 50001);
        _offload.Act(0, new FlowActivity(null, false, false, Reset: true));
        _offload.Act(1, new FlowActivity(null, false, false, Reset: true));
        Pass(smap, 1);
        _offload.Act(1, new FlowActivity(2, false, false, Reset: false));
        Pass(smap, 1);
        Pass(smap, 250);
        Assert.Equal(1, smap.Use().Flows);
        Assert.Equal(50001, _offload.Installed.Single().InsidePort);
        Pass(smap, 7200);
        Assert.Equal(0, smap.Use().Flows);
    }

    [Fact]
    public void A_syn_takes_a_finished_connection_back_until_it_is_open_again()
    {
        Smap smap = Make();
        int port = Connect(smap);
        _offload.Act(0, new FlowActivity(null, FinOutbound: true, FinInbound: true, null));
        Assert.Equal(port, Out(smap, Packets.Tcp(Host, 50000, Server, 443, TcpFlags.Syn)));
        Assert.Empty(_offload.Installed);
        In(smap, Packets.Tcp(Server, 443, Shared, port, TcpFlags.Syn | TcpFlags.Ack));
        Out(smap, Packets.Tcp(Host, 50000, Server, 443));
        Assert.Single(_offload.Installed);
        Pass(smap, 7000);
        Assert.Equal(1, smap.Use().Flows);
    }

    [Fact]
    public void What_a_gateway_reads_and_what_calls_the_home_itself_stays()
    {
        Smap smap = Make();
        Connect(smap, remotePort: 21);
        int called = Out(smap, Packets.Udp(OtherHost, 6000, Server, 53));
        int before = _offload.Installed.Count();
        Assert.Equal(Verdict.Drop(DropReason.Filtered), Judge(smap, Packets.Udp(Host, 50000, Shared, called), Origin.FromLan));
        Assert.Equal((1, before), (before, _offload.Installed.Count()));
    }

    [Fact]
    public void What_has_no_room_stays_and_is_asked_for_once()
    {
        Smap smap = Make();
        _offload.IsFull = true;
        int port = Out(smap, Packets.Udp(Host, 50000, Server, 53));
        Assert.Equal(port, Out(smap, Packets.Udp(Host, 50000, Server, 53)));
        Assert.Equal((1, 0), (_offload.Refused, _offload.Installed.Count()));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Udp(Server, 53, Shared, port)));
    }

    [Theory]
    [InlineData(NaptMode.EndpointIndependent)]
    [InlineData(NaptMode.FiveTuple)]
    public void The_next_smap_goes_on_with_flows_their_ports_and_their_lives(NaptMode mode)
    {
        SmapOptions options = Options with { Mode = mode };
        Smap first = Make(options);
        int udp = Out(first, Packets.Udp(Host, 7000, Server, 53)), other = Out(first, Packets.Udp(Host, 7000, Server, 54)), tcp = Connect(first), ftp = Connect(first, OtherHost, 50000, remotePort: 21);
        NaptUse before = first.Use();
        _time.Advance(TimeSpan.FromSeconds(100));

        Smap next = new(options, _time, seed: 2);
        Assert.Equal(4, next.Entrust(_offload));
        NaptUse after = next.Use();
        Assert.Equal(before.Flows, after.Flows);
        Assert.Equal(before.Hosts, after.Hosts);
        Assert.Equal(before.Ports.Select(p => p.Used), after.Ports.Select(p => p.Used));
        Assert.Equal(Verdict.Forward, In(next, Packets.Udp(Server, 53, Shared, udp)));
        Assert.Equal((udp, other), (Out(next, Packets.Udp(Host, 7000, Server, 53)), Out(next, Packets.Udp(Host, 7000, Server, 54))));
        Assert.Equal((tcp, ftp), (Out(next, Packets.Tcp(Host, 50000, Server, 443)), Out(next, Packets.Tcp(OtherHost, 50000, Server, 21))));
        Out(next, Packets.Udp(OtherHost, 7001, Server, 53));
        Assert.Equal(before.Flows + 1, next.Use().Flows);
    }

    [Fact]
    public void A_flow_that_is_over_or_whose_port_is_not_in_the_set_is_not_gone_on_with()
    {
        Smap first = Make();
        Out(first, Packets.Udp(Host, 10001, Server, 53));
        Out(first, Packets.Udp(Host, 10002, Server, 53));
        _offload.Act(0, new FlowActivity(200, false, false, null));
        _offload.Act(1, new FlowActivity(10, false, false, null));
        _time.Advance(TimeSpan.FromSeconds(400));
        Assert.Equal(1, Make(seed: 2).Use().Flows);
        Assert.Equal(10001, _offload.Installed.Single().InsidePort);
        Assert.Equal(0, Make(Options with { Ports = PortSet.Parse("20000-20063") }).Use().Flows);
        Assert.Empty(_offload.Installed);
    }

    [Fact]
    public void A_change_of_the_port_set_takes_flows_whose_ports_went_from_the_offload_and_one_of_the_gateways_takes_flows_back()
    {
        Smap smap = Make();
        Connect(smap, remotePort: 80);
        smap.Options = Options with { FtpGateway = false };
        Assert.Empty(_offload.Installed);
        Out(smap, Packets.Tcp(Host, 50000, Server, 80));
        Assert.Single(_offload.Installed);
        smap.Options = Options with { FtpGateway = false, IcmpErrorsPerSecond = 7 };
        Assert.Single(_offload.Installed);
        smap.Options = Options with { Ports = PortSet.Parse("20000-20063") };
        Assert.Equal((0, 0), (_offload.Installed.Count(), _offload.Kept.Count()));
        Assert.InRange(Out(smap, Packets.Udp(Host, 50000, Server, 53)), 20000, 20063);
        Assert.Single(_offload.Installed);
    }

    /// <summary>Forwards nothing, and says what it is told to have seen.</summary>
    sealed class FakeOffload : IFlowOffload
    {
        const int Room = 64;

        readonly (OffloadedFlow Flow, bool IsThere, bool IsInstalled)[] _flows = new (OffloadedFlow, bool, bool)[Room + 1];
        readonly FlowActivity[] _activity = new FlowActivity[Room + 1];
        readonly Queue<int> _ended = [];

        public bool IsFull { get; set; }

        public int Refused { get; private set; }

        public List<IPv6Address> FarEnds { get; } = [];

        public IEnumerable<OffloadedFlow> Installed => _flows.Where(f => f.IsInstalled).Select(f => f.Flow);

        public IEnumerable<OffloadedFlow> Kept => _flows.Where(f => f.IsThere && !f.IsInstalled).Select(f => f.Flow);

        public int Capacity => Room;

        /// <summary>Has this happened to the flow that was installed so many after the first.</summary>
        public void Act(int which, FlowActivity activity)
        {
            int index = Enumerable.Range(1, Room).Where(i => _flows[i].IsInstalled).OrderBy(i => _flows[i].Flow.InsidePort).ElementAt(which);
            _activity[index] = activity;
            if (activity.FinOutbound || activity.FinInbound || activity.Reset is not null) _ended.Enqueue(index);
        }

        public void Keep(int index, in OffloadedFlow flow) => _flows[index] = (flow, true, false);

        public bool Install(int index, in OffloadedFlow flow, IPv6Address farEnd)
        {
            if (IsFull)
            {
                Refused++;
                return false;
            }

            FarEnds.Add(farEnd);
            _flows[index] = (flow, true, true);
            return true;
        }

        public void Note(int index, byte seen) => _flows[index].Flow = _flows[index].Flow with { Seen = seen };

        public void Remove(int index) => _flows[index] = default;

        public void Clear() => Array.Clear(_flows);

        public FlowActivity Look(int index)
        {
            FlowActivity activity = _activity[index];
            _activity[index] = activity with { FinOutbound = false, FinInbound = false, Reset = null };
            return activity;
        }

        public int TakeEnded(Span<int> indexes) => _ended.TryDequeue(out indexes[0]) ? 1 : 0;

        public bool TryRecall(int index, out OffloadedFlow flow, out bool isInstalled)
        {
            (flow, bool isThere, isInstalled) = _flows[index];
            return isThere;
        }
    }
}
