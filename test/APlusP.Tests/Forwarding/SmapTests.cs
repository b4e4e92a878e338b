using System.Buffers;
using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Node.Control;
using APlusP.Survey.Readers;

namespace APlusP.Tests.Forwarding;

public class SmapTests
{
    const string Prr = "2001:db8::1", Home = "2001:db8:1::1", Shared = "192.0.2.1", HostB = "192.168.1.142", HostC = "192.168.1.143",
        Server = "198.51.100.7", Other = "203.0.113.9";

    readonly HandClock _time = new();
    readonly PacketBatch _batch = new(4, 2000);

    static SmapOptions Options(string ports = "10000-11000") => new()
    {
        SoftwireAddress = IPv6Address.Parse(Home),
        PrrAddress = IPv6Address.Parse(Prr),
        SharedAddress = IPv4Address.Parse(Shared),
        Ports = PortSet.Parse(ports),
        PortsPerHost = 65536,
        FlowsPerHost = 65536,
        Fragments = PrrScene.Few,
    };

    Smap Make(SmapOptions options) => new(options, _time, seed: 1);

    Verdict Judge(Smap smap, byte[] packet, Origin origin)
    {
        _batch.Clear();
        Assert.True(_batch.TryAdd(packet, origin));
        smap.Process(_batch);
        Verdict verdict = _batch[0].Verdict;
        Assert.Equal(
            smap.Counters.Received(origin),
            Enum.GetValues<Fate>().Where(f => f != Fate.None).Sum(f => smap.Counters.Packets(origin, f)));
        return verdict;
    }

    byte[] Sent => _batch.Bytes(0).ToArray();

    /// <summary>Sends from the LAN, expects it in the softwire, and gives the external port or identifier.</summary>
    int Out(Smap smap, byte[] packet)
    {
        Assert.Equal(Verdict.Forward, Judge(smap, packet, Origin.FromLan));
        byte[] sent = Sent;
        Assert.Equal(IPv6Address.Parse(Home), IPv6Address.Read(sent.AsSpan(8)));
        Assert.Equal(IPv6Address.Parse(Prr), IPv6Address.Read(sent.AsSpan(24)));
        byte[] inner = sent[40..];
        Assert.True(Packets.HasRightChecksums(inner));
        Assert.Equal(IPv4Address.Parse(Shared), IPv4Address.Read(inner.AsSpan(12)));
        return inner[9] == 1 ? inner[24] << 8 | inner[25] : inner[20] << 8 | inner[21];
    }

    Verdict In(Smap smap, byte[] inner) => Judge(smap, Packets.Softwire(Prr, Home, inner), Origin.FromPrr);

    [Fact]
    public void A_flow_goes_out_by_a_port_of_the_set_and_its_answer_comes_home()
    {
        Smap smap = Make(Options());
        int port = Out(smap, Packets.Tcp(HostB, 50000, Server, 443, TcpFlags.Syn));
        Assert.InRange(port, 10000, 11000);
        Assert.Equal(Verdict.Forward, In(smap, Packets.Tcp(Server, 443, Shared, port, TcpFlags.Syn | TcpFlags.Ack)));
        Assert.Equal(Packets.Tcp(Server, 443, HostB, 50000, TcpFlags.Syn | TcpFlags.Ack, ttl: 63), Sent);
    }

    [Fact]
    public void A_port_of_the_set_is_kept_and_parity_otherwise()
    {
        Smap smap = Make(Options());
        Assert.Equal(10444, Out(smap, Packets.Udp(HostB, 10444, Server, 53, payload: 5)));
        for (int i = 0; i < 50; i++) Assert.Equal(i & 1, Out(smap, Packets.Udp(HostC, 40000 + i, Server, 53)) & 1);
    }

    [Fact]
    public void One_inner_endpoint_has_one_port_whatever_it_talks_to()
    {
        Smap smap = Make(Options());
        int port = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        Assert.Equal(port, Out(smap, Packets.Udp(HostB, 5000, Other, 9999)));
        Assert.NotEqual(port, Out(smap, Packets.Udp(HostC, 5000, Server, 53)));
    }

    [Fact]
    public void Filtering_is_address_dependent_unless_said_otherwise()
    {
        Smap smap = Make(Options());
        int port = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Udp(Server, 999, Shared, port)));
        Assert.Equal(Verdict.Drop(DropReason.Filtered), In(smap, Packets.Udp(Other, 53, Shared, port)));

        Smap open = Make(Options() with { Filtering = NaptFiltering.EndpointIndependent });
        port = Out(open, Packets.Udp(HostB, 5000, Server, 53));
        Assert.Equal(Verdict.Forward, In(open, Packets.Udp(Other, 53, Shared, port)));

        Smap strict = Make(Options() with { Filtering = NaptFiltering.AddressAndPortDependent });
        port = Out(strict, Packets.Udp(HostB, 5000, Server, 53));
        Assert.Equal(Verdict.Drop(DropReason.Filtered), In(strict, Packets.Udp(Server, 999, Shared, port)));
    }

    [Fact]
    public void All_252_ports_of_a_psid_set_are_usable_and_the_253rd_flow_hears_that_none_is_left()
    {
        Smap smap = Make(Options("offset=6,length=8,psid=52"));
        var set = PortSet.Parse("offset=6,length=8,psid=52");
        var seen = new HashSet<int>();
        for (int i = 0; i < 252; i++)
        {
            int port = Out(smap, Packets.Tcp(HostB, 30000 + i, Server, 80, TcpFlags.Syn));
            Assert.True(set.Contains((ushort)port));
            Assert.True(seen.Add(port));
        }

        Assert.Equal(Verdict.DropAndTell(DropReason.PortsExhausted), Judge(smap, Packets.Tcp(HostB, 40000, Server, 80, TcpFlags.Syn), Origin.FromLan));
        Assert.True(Packets.HasRightChecksums(_batch.Bytes(0)));
        Assert.Equal([3, 13], Sent[20..22]);
        Assert.Equal(252, seen.Count);
        Assert.Equal(1, smap.Use().Exhausted);

        // Another protocol has the whole set to itself.
        Assert.True(set.Contains((ushort)Out(smap, Packets.Udp(HostB, 40000, Server, 80))));
    }

    [Fact]
    public void Two_ranges_are_one_set()
    {
        Smap smap = Make(Options("2000-2003,3000-3003"));
        var seen = new HashSet<int>();
        for (int i = 0; i < 8; i++) Assert.True(seen.Add(Out(smap, Packets.Udp(HostB, 40000 + i, Server, 53))));
        Assert.Equal([2000, 2001, 2002, 2003, 3000, 3001, 3002, 3003], seen.Order());
    }

    [Fact]
    public void In_5_tuple_mode_a_port_serves_many_remote_endpoints_but_never_one_twice()
    {
        Smap smap = Make(Options("2000-2003") with { Mode = NaptMode.FiveTuple });
        var seen = new HashSet<(int Port, int Remote)>();
        for (int remote = 1; remote <= 100; remote++)
            for (int flow = 0; flow < 4; flow++)
                Assert.True(seen.Add((Out(smap, Packets.Udp(HostB, 40000 + flow, $"198.51.100.{remote}", 53)), remote)));
        Assert.Equal(DropReason.PortsExhausted, Judge(smap, Packets.Udp(HostB, 50000, "198.51.100.1", 53), Origin.FromLan).Reason);
        Assert.Equal(400, smap.Use().Flows);
    }

    [Fact]
    public void One_host_cannot_take_the_whole_set()
    {
        Smap smap = Make(Options("2000-2007") with { PortsPerHost = 0 });
        for (int i = 0; i < 6; i++) Out(smap, Packets.Udp(HostB, 40000 + i, Server, 53));
        Assert.Equal(DropReason.HostLimit, Judge(smap, Packets.Udp(HostB, 40006, Server, 53), Origin.FromLan).Reason);
        Out(smap, Packets.Udp(HostC, 40000, Server, 53));
    }

    [Fact]
    public void A_full_flow_table_refuses_new_flows_and_keeps_the_old()
    {
        Smap smap = Make(Options() with { MaxFlows = 3 });
        for (int i = 0; i < 3; i++) Out(smap, Packets.Udp(HostB, 40000 + i, Server, 53));
        Assert.Equal(DropReason.FlowTableFull, Judge(smap, Packets.Udp(HostB, 40003, Server, 53), Origin.FromLan).Reason);
        Out(smap, Packets.Udp(HostB, 40000, Server, 53));
    }

    [Fact]
    public void A_udp_mapping_ends_after_its_time_and_only_traffic_from_inside_prolongs_it()
    {
        Smap smap = Make(Options());
        int port = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        for (int i = 0; i < 29; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(10));
            Assert.Equal(Verdict.Forward, In(smap, Packets.Udp(Server, 53, Shared, port)));
        }

        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(Verdict.Drop(DropReason.NoMapping), In(smap, Packets.Udp(Server, 53, Shared, port)));
        Assert.Equal(0, smap.Use().Flows);

        port = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        _time.Advance(TimeSpan.FromSeconds(299));
        Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        _time.Advance(TimeSpan.FromSeconds(299));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Udp(Server, 53, Shared, port)));
    }

    [Theory]
    [InlineData("established", 7440)]
    [InlineData("half open", 240)]
    [InlineData("closed by both", 240)]
    [InlineData("reset from outside", 240)]
    [InlineData("reset, but not believed", 7440)]
    public void A_tcp_connection_lives_as_long_as_its_state_says(string state, int seconds)
    {
        Smap smap = Make(Options());
        int port = Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Syn));
        if (state != "half open")
        {
            In(smap, Packets.Tcp(Server, 80, Shared, port, TcpFlags.Syn | TcpFlags.Ack));
            Out(smap, Packets.Tcp(HostB, 5000, Server, 80));
        }

        if (state == "closed by both")
        {
            Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Fin | TcpFlags.Ack));
            In(smap, Packets.Tcp(Server, 80, Shared, port, TcpFlags.Fin | TcpFlags.Ack));
        }

        if (state.StartsWith("reset", StringComparison.Ordinal)) In(smap, Packets.Tcp(Server, 80, Shared, port, TcpFlags.Rst));
        if (state.EndsWith("believed", StringComparison.Ordinal)) Out(smap, Packets.Tcp(HostB, 5000, Server, 80));

        _time.Advance(TimeSpan.FromSeconds(seconds - 1));
        smap.Process(new PacketBatch(1, 2000));
        Assert.Equal(1, smap.Use().Flows);
        _time.Advance(TimeSpan.FromSeconds(1));
        smap.Process(new PacketBatch(1, 2000));
        Assert.Equal(0, smap.Use().Flows);
    }

    [Fact]
    public void Ping_goes_out_by_an_identifier_of_the_set_and_comes_back()
    {
        Smap smap = Make(Options());
        int identifier = Out(smap, Packets.Echo(HostB, Server, 7));
        Assert.InRange(identifier, 10000, 11000);
        Assert.Equal(Verdict.Forward, In(smap, Packets.Echo(Server, Shared, identifier, IcmpV4Type.EchoReply)));
        Assert.Equal(Packets.Echo(Server, HostB, 7, IcmpV4Type.EchoReply, ttl: 63), Sent);
    }

    [Fact]
    public void A_ping_from_outside_to_an_identifier_that_no_host_uses_is_answered()
    {
        Smap smap = Make(Options());
        Assert.Equal(Verdict.Answer, In(smap, Packets.Echo(Server, Shared, 10010)));
        Assert.Equal(Packets.Softwire(Home, Prr, Packets.Echo(Shared, Server, 10010, IcmpV4Type.EchoReply)), Sent);
        Assert.Equal(Verdict.Drop(DropReason.NotOurPort), In(smap, Packets.Echo(Server, Shared, 9999)));
    }

    [Fact]
    public void An_icmp_error_finds_the_host_whose_packet_it_is_about_and_embeds_it_as_that_host_knows_it()
    {
        Smap smap = Make(Options());
        int port = Out(smap, Packets.Udp(HostB, 5000, Server, 33434, payload: 40));
        byte[] about = Packets.Udp(Shared, port, Server, 33434, payload: 40);
        Assert.Equal(Verdict.Forward, In(smap, Packets.IcmpError(Other, Shared, about, IcmpV4Type.TimeExceeded, code: 0)));
        byte[] expected = Packets.IcmpError(Other, HostB, Packets.Udp(HostB, 5000, Server, 33434, payload: 40), IcmpV4Type.TimeExceeded, code: 0);
        expected[8] = 63;
        Assert.Equal(Packets.MendHeader(expected), Sent);
    }

    [Fact]
    public void An_icmp_error_of_a_host_leaves_as_the_outside_knows_its_packet()
    {
        Smap smap = Make(Options());
        int port = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        byte[] error = Packets.IcmpError(HostB, Server, Packets.Udp(Server, 53, HostB, 5000, payload: 9), code: 3);
        Assert.Equal(Verdict.Forward, Judge(smap, error, Origin.FromLan));
        byte[] expected = Packets.IcmpError(Shared, Server, Packets.Udp(Server, 53, Shared, port, payload: 9), code: 3);
        expected[8] = 63;
        Assert.Equal(Packets.MendHeader(expected), Sent[40..]);
    }

    [Fact]
    public void Hosts_of_one_home_reach_each_other_by_the_shared_address()
    {
        Smap smap = Make(Options() with { Filtering = NaptFiltering.EndpointIndependent });
        int server = Out(smap, Packets.Tcp(HostB, 10080, Server, 80, TcpFlags.Syn));
        Assert.Equal(Verdict.Hairpin, Judge(smap, Packets.Tcp(HostC, 5000, Shared, server, TcpFlags.Syn), Origin.FromLan));
        Assert.True(Packets.HasRightChecksums(_batch.Bytes(0)));
        Assert.Equal(IPv4Address.Parse(Shared), IPv4Address.Read(Sent.AsSpan(12)));
        Assert.Equal(IPv4Address.Parse(HostB), IPv4Address.Read(Sent.AsSpan(16)));
        Assert.Equal(10080, Sent[22] << 8 | Sent[23]);
        Assert.Equal(DropReason.NoMapping, Judge(smap, Packets.Tcp(HostC, 5000, Shared, 10999), Origin.FromLan).Reason);
        smap.Options = smap.Options with { Hairpinning = false };
        Assert.Equal(DropReason.HairpinDisabled, Judge(smap, Packets.Tcp(HostC, 5000, Shared, server), Origin.FromLan).Reason);
    }

    [Fact]
    public void Only_our_prr_and_only_our_ports_come_in()
    {
        Smap smap = Make(Options());
        byte[] inner = Packets.Udp(Server, 53, Shared, 10500);
        Assert.Equal(Verdict.Drop(DropReason.NotFromPrr), Judge(smap, Packets.Softwire("2001:db8:bad::1", Home, inner), Origin.FromPrr));
        Assert.Equal(Verdict.Drop(DropReason.NotForUs), Judge(smap, Packets.Softwire(Prr, "2001:db8:1::2", inner), Origin.FromPrr));
        Assert.Equal(Verdict.Drop(DropReason.NotOurPort), In(smap, Packets.Udp(Server, 53, Shared, 12000)));
        Assert.Equal(Verdict.Drop(DropReason.NotOurPort), In(smap, Packets.Udp(Server, 53, "192.0.2.2", 10500)));
        Assert.Equal(Verdict.Drop(DropReason.NoMapping), In(smap, inner));
    }

    [Theory]
    [InlineData(false, 0xb8)]
    [InlineData(true, 0x28)]
    public void What_comes_out_of_the_softwire_has_its_own_dscp_or_that_of_the_softwire_packet_as_configured(bool uniform, byte dscp)
    {
        Smap smap = Make(Options() with { UniformServices = uniform });
        int port = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        Assert.Equal(Verdict.Forward, Judge(smap, Packets.Softwire(Prr, Home, Packets.Udp(Server, 53, Shared, port, trafficClass: 0xb8 | Packets.Ect0), 0x28 | Packets.Ce), Origin.FromPrr));
        Assert.Equal(Packets.Udp(Server, 53, HostB, 5000, ttl: 63, trafficClass: (byte)(dscp | Packets.Ce)), Sent);
    }

    [Fact]
    public void A_change_of_the_port_set_ends_the_mappings_that_it_has_no_ports_for_and_a_change_of_timers_none()
    {
        Smap smap = Make(Options());
        int port = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        smap.Options = smap.Options with { Timers = new NaptTimers { Udp = 150 } };
        Assert.Equal(Verdict.Forward, In(smap, Packets.Udp(Server, 53, Shared, port)));
        smap.Options = smap.Options with { Ports = PortSet.Parse($"{port}-{port},40000-40010") };
        Assert.Equal(Verdict.Forward, In(smap, Packets.Udp(Server, 53, Shared, port)));
        Assert.Equal(port, Out(smap, Packets.Udp(HostB, 5000, Server, 53)));
        Assert.Equal((1, 1), (smap.Use().Flows, smap.Use().Ports.Single(p => p.Protocol == "udp").Used));
        smap.Options = smap.Options with { Ports = PortSet.Parse("40000-40010") };
        Assert.Equal(Verdict.Drop(DropReason.NotOurPort), In(smap, Packets.Udp(Server, 53, Shared, port)));
        Assert.InRange(Out(smap, Packets.Udp(HostB, 5000, Server, 53)), 40000, 40010);
        Assert.Equal((1, 1), (smap.Use().Flows, smap.Use().Ports.Single(p => p.Protocol == "udp").Used));
    }

    [Theory]
    [InlineData(NaptMode.EndpointIndependent)]
    [InlineData(NaptMode.FiveTuple)]
    public void Ports_that_rest_serve_who_has_them_and_nobody_new(NaptMode mode)
    {
        PortSet kept = PortSet.Parse("10000-10003"), last = PortSet.Parse("20000-20003"), both = PortSet.Parse("10000-10003,20000-20003");
        var time = new HandClock();
        var smap = new Smap(Options() with { Ports = both, Mode = mode, PortsPerHost = 8 }, time, seed: 1);
        int[] ports = [.. Enumerable.Range(0, 8).Select(i => Out(smap, Packets.Udp(HostB, 5000 + i, Server, 53)))];
        int resting = Array.FindIndex(ports, p => p >= 20000);
        smap.Options = smap.Options with { RestingPorts = last };
        Assert.False(smap.IsIdle(last));
        Assert.Equal(ports[resting], Out(smap, Packets.Udp(HostB, 5000 + resting, Server, 53)));
        Assert.Equal(8, smap.Use().Ports.Single(p => p.Protocol == "udp").Used);

        time.Advance(TimeSpan.FromSeconds(301));
        Assert.Equal(0, smap.Use().Flows);
        Assert.True(smap.IsIdle(both));
        for (int i = 0; i < 4; i++) Assert.InRange(Out(smap, Packets.Udp(HostB, 6000 + i, Server, 53)), 10000, 10003);
        Assert.True(smap.IsIdle(last));
        Assert.Equal(DropReason.PortsExhausted, Judge(smap, Packets.Udp(HostB, 6004, Server, 53), Origin.FromLan).Reason);
        smap.Options = smap.Options with { RestingPorts = null };
        Assert.InRange(Out(smap, Packets.Udp(HostB, 6004, Server, 53)), 20000, 20003);
        smap.Options = smap.Options with { Ports = kept };
        Assert.Equal(4, smap.Use().Flows);
    }

    [Fact]
    public void Without_a_lease_everything_is_dropped_and_all_mappings_end()
    {
        Smap smap = Make(Options());
        int port = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        smap.Options = smap.Options with { IsSuspended = true };
        Assert.Equal(Verdict.Drop(DropReason.NoSoftwire), Judge(smap, Packets.Udp(HostB, 5000, Server, 53), Origin.FromLan));
        Assert.Equal(Verdict.Drop(DropReason.NoSoftwire), In(smap, Packets.Udp(Server, 53, Shared, port)));
        Assert.Equal(0, smap.Use().Flows);
        smap.Options = Options();
        Out(smap, Packets.Udp(HostB, 5000, Server, 53));
    }

    [Fact]
    public void What_cannot_be_translated_is_dropped_by_its_reason()
    {
        Smap smap = Make(Options());
        Assert.Equal(DropReason.BadFragment, Judge(smap, Packets.AsFragment(Packets.Udp(HostB, 1, Server, 2, 81), 0, more: true), Origin.FromLan).Reason);
        Assert.Equal(DropReason.TooBig, Judge(smap, Packets.Udp(HostB, 1, Server, 2, payload: 1433), Origin.FromLan).Reason);
        Assert.Equal(DropReason.ProtocolWithoutPorts, Judge(smap, Packets.IPv4(HostB, Server, (IpProtocol)47, new byte[20]), Origin.FromLan).Reason);
        Assert.Equal(DropReason.SourceNotLan, Judge(smap, Packets.Udp(Shared, 10001, Server, 2), Origin.FromLan).Reason);
        Assert.Equal(DropReason.MartianDestination, Judge(smap, Packets.Udp(HostB, 1, "239.1.1.1", 2), Origin.FromLan).Reason);
        Assert.Equal(DropReason.TtlExpired, Judge(smap, Packets.Udp(HostB, 1, Server, 2, ttl: 1), Origin.FromLan).Reason);
        Assert.Equal(DropReason.IcmpNotTranslatable, Judge(smap, Packets.Echo(HostB, Server, 1, IcmpV4Type.Redirect), Origin.FromLan).Reason);
        Assert.Equal(DropReason.BadTransportHeader, Judge(smap, Packets.IPv4(HostB, Server, IpProtocol.Tcp, new byte[12]), Origin.FromLan).Reason);
        Assert.Equal(DropReason.BadIPv4Header, Judge(smap, Packets.PingV6(Home, Prr), Origin.FromLan).Reason);
    }

    [Theory]
    [InlineData(NaptMode.EndpointIndependent)]
    [InlineData(NaptMode.FiveTuple)]
    public void Whatever_hosts_do_the_napt_stays_in_its_set_and_gives_nothing_twice(NaptMode mode)
    {
        int seed = Environment.TickCount;
        var random = new Random(seed);
        var set = PortSet.Parse("offset=4,length=8,psid=7");
        Smap smap = Make(Options("offset=4,length=8,psid=7") with { Mode = mode, MaxFlows = 2000 });
        var ports = new Dictionary<(string Host, int Port), int>();
        var owners = new Dictionary<int, (string Host, int Port)>();
        var flows = new Dictionary<(int External, string Remote, int RemotePort), (string Host, int Port)>();
        int refused = 0;
        for (int i = 0; i < 20_000; i++)
        {
            (string Host, int Port) inside = ($"192.168.1.{random.Next(2, 6)}", random.Next(40_000, 40_200));
            (string Remote, int RemotePort) to = ($"198.51.100.{random.Next(1, 4)}", random.Next(1, 4));
            Verdict verdict = Judge(smap, Packets.Udp(inside.Host, inside.Port, to.Remote, to.RemotePort), Origin.FromLan);
            if (verdict.Fate == Fate.Dropped)
            {
                refused++;
                Assert.True(verdict.Reason is DropReason.PortsExhausted or DropReason.FlowTableFull, $"seed {seed}: {verdict}");
                continue;
            }

            byte[] sent = Sent;
            int external = sent[60] << 8 | sent[61];
            Assert.True(set.Contains((ushort)external), $"seed {seed}: {external} is not in the set");
            Assert.True(!flows.TryGetValue((external, to.Remote, to.RemotePort), out (string, int) other) || other == inside, $"seed {seed}: {external} twice towards {to}");
            flows[(external, to.Remote, to.RemotePort)] = inside;
            if (mode == NaptMode.FiveTuple) continue;
            Assert.True(!ports.TryGetValue(inside, out int before) || before == external, $"seed {seed}: {inside} has {before} and {external}");
            Assert.True(!owners.TryGetValue(external, out (string, int) owner) || owner == inside, $"seed {seed}: {external} is of {owner} and {inside}");
            ports[inside] = external;
            owners[external] = inside;
        }

        Assert.True(refused > 0, $"seed {seed}: the set was never full, so nothing was shown");
        Assert.InRange(flows.Count, mode == NaptMode.FiveTuple ? set.Count + 1 : 1, 2000);
    }

    [Fact]
    public void The_kernels_own_mld_on_the_device_is_no_drop()
    {
        byte[] report = Packets.IcmpV6("fe80::1", "ff02::16", (IcmpV6Type)143, extensionHeaders: Packets.Option(5, IpProtocol.HopByHopOptions));
        Assert.Equal(Verdict.Consume, Judge(Make(Options()), report, Origin.FromPrr));
        Assert.Equal(Verdict.Drop(DropReason.NotForUs), Judge(Make(Options()), Packets.Softwire(Prr, "2001:db8:1::2", Packets.Udp(Server, 53, Shared, 10001)), Origin.FromPrr));
    }

    [Fact]
    public void A_packet_has_the_same_fate_alone_and_in_bursts_of_any_size()
    {
        byte[] answer = Packets.Softwire(Prr, Home, Packets.Udp(Server, 53, Shared, 10001));
        (byte[] Packet, Origin Origin)[] classes =
        [
            (Packets.Udp(HostB, 10001, Server, 53, payload: 9), Origin.FromLan), (answer, Origin.FromPrr), (Packets.Tcp(HostB, 10003, Server, 80), Origin.FromLan),
            (Packets.Echo(HostB, Server, 10005), Origin.FromLan), (Packets.PingV6(Prr, Home), Origin.FromPrr), (Packets.Softwire(Prr, Home, Packets.Echo(Server, Shared, 10009)), Origin.FromPrr),
            (Packets.Softwire(Prr, Home, Packets.Udp(Server, 53, Shared, 9)), Origin.FromPrr), (Packets.AsFragment(Packets.Udp(HostB, 1, Server, 2, 64), 0, true), Origin.FromLan),
            (Packets.Softwire(Prr, Home, Packets.IcmpError(Other, Shared, Packets.Udp(Shared, 10001, Server, 53))), Origin.FromPrr),
        ];
        foreach (int burst in new[] { 1, 2, 3, 4, 8, 256 })
        {
            Smap alone = Make(Options()), together = Make(Options());
            var batch = new PacketBatch(burst, 2000);
            for (int i = 0; i < burst; i++) Assert.True(batch.TryAdd(classes[i % classes.Length].Packet, classes[i % classes.Length].Origin));
            together.Process(batch);
            for (int i = 0; i < burst; i++)
            {
                Verdict verdict = Judge(alone, classes[i % classes.Length].Packet, classes[i % classes.Length].Origin);
                Assert.Equal(verdict, batch[i].Verdict);
                if (verdict.Sends) Assert.Equal(Sent, batch.Bytes(i).ToArray());
            }

            Assert.Equal(alone.Counters.Named(Origin.FromLan, Origin.FromPrr), together.Counters.Named(Origin.FromLan, Origin.FromPrr));
        }
    }

    [Fact]
    public void What_a_smap_sends_the_prr_lets_through_and_the_answer_finds_its_way_home()
    {
        SmapOptions options = Options();
        Smap smap = Make(options);
        var prr = new PortRangeRouter(
            APlusP.Core.Bindings.BindingTable.Build([new(options.SharedAddress, options.Ports, options.SoftwireAddress, options.PrrAddress)]),
            new PrrOptions { SoftwireAddresses = [options.PrrAddress] }, _time);

        Judge(smap, Packets.Udp(HostB, 5000, Server, 53, payload: 77), Origin.FromLan);
        _batch[0].Origin = Origin.FromSmap;
        prr.Process(_batch);
        Assert.Equal(Verdict.Forward, _batch[0].Verdict);
        int port = Sent[20] << 8 | Sent[21];
        Assert.Equal(Packets.Udp(Shared, port, Server, 53, payload: 77, ttl: 62), Sent);

        _batch.Clear();
        _batch.TryAdd(Packets.Udp(Server, 53, Shared, port, payload: 200), Origin.FromInternet);
        prr.Process(_batch);
        _batch[0].Origin = Origin.FromPrr;
        smap.Process(_batch);
        Assert.Equal(Packets.Udp(Server, 53, HostB, 5000, payload: 200, ttl: 62), Sent);
    }

    [Fact]
    public void Random_octets_and_damaged_packets_meet_a_verdict_and_cost_no_memory()
    {
        int rounds = int.TryParse(Environment.GetEnvironmentVariable("APLUSP_FUZZ"), out int n) ? n : 200_000;
        int seed = Environment.TickCount;
        var random = new Random(seed);
        Smap smap = Make(Options("2000-2063") with { MaxFlows = 100 });
        byte[][] sources =
        [
            Packets.Tcp(HostB, 1000, Server, 80, TcpFlags.Syn), Packets.Udp(HostB, 1000, Server, 53, 20), Packets.Echo(HostB, Server, 77),
            Packets.IcmpError(HostB, Server, Packets.Udp(Server, 53, HostB, 1000)), Packets.WithOptions(Packets.Udp(HostC, 1, Server, 2), 1, 1, 1, 1),
            Packets.Softwire(Prr, Home, Packets.Tcp(Server, 80, Shared, 2001)), Packets.Softwire(Prr, Home, Packets.Udp(Server, 53, Shared, 2010, 9)),
            Packets.Softwire(Prr, Home, Packets.IcmpError(Other, Shared, Packets.Udp(Shared, 2020, Server, 53))), Packets.PingV6(Prr, Home),
            Packets.Fragment(Packets.Udp(HostB, 1000, Server, 53, 600), 0, 304), Packets.Fragment(Packets.Udp(HostB, 1000, Server, 53, 600), 304, 304),
            Packets.Softwire(Prr, Home, Packets.Fragment(Packets.Udp(Server, 53, Shared, 2010, 600), 0, 304)),
            Packets.Softwire(Prr, Home, Packets.Fragment(Packets.Udp(Server, 53, Shared, 2010, 600), 304, 304)),
            OnTheWire.OuterPart(Packets.Softwire(Prr, Home, Packets.Udp(Server, 53, Shared, 2010, 600)), 0, 304, true),
            OnTheWire.OuterPart(Packets.Softwire(Prr, Home, Packets.Udp(Server, 53, Shared, 2010, 600)), 304, 628, false),
            Packets.IcmpV6Error(Prr, Home, Packets.Softwire(Home, Prr, Packets.Udp(Shared, 2010, Server, 53, 1200)), IcmpV6Type.PacketTooBig, rest: 1280),
            Packets.MayBeFragmented(Packets.Udp(HostB, 1000, Server, 53, 1500)),
        ];
        byte[] packet = new byte[1600];
        var allocations = new Allocations();
        for (int i = 0; i < rounds; i++)
        {
            if (i % (rounds / 20) == 0) allocations.Read();
            byte[] source = sources[random.Next(sources.Length)];
            source.CopyTo(packet, 0);
            int length = random.Next(4) == 0 ? random.Next(source.Length + 1) : source.Length;
            for (int flips = random.Next(4); flips > 0; flips--) packet[random.Next(source.Length)] = (byte)random.Next(256);
            if (random.Next(2) == 0 && packet[0] >> 4 == 4) MendQuietly(packet);
            _batch.Clear();
            _batch.TryAdd(packet.AsSpan(0, length), (Origin)random.Next(4));
            if (random.Next(50) == 0) _time.Advance(TimeSpan.FromSeconds(random.Next(100)));
            try
            {
                smap.Process(_batch);
            }
            catch (Exception error)
            {
                Assert.Fail($"seed {seed}, round {i}: {error}");
            }

            if (_batch[0].Verdict.Fate == Fate.None) Assert.Fail($"seed {seed}, round {i}: no verdict");
            while (smap.Continue(_batch))
            {
            }
        }

        allocations.WereNone();
    }

    static void MendQuietly(byte[] packet)
    {
        int size = (packet[0] & 15) * 4;
        packet[10] = packet[11] = 0;
        ushort sum = Checksum.Of(packet.AsSpan(0, size));
        packet[10] = (byte)(sum >> 8);
        packet[11] = (byte)sum;
    }

    static List<TrackedFlow> Listed(Smap smap)
    {
        var flows = new List<TrackedFlow>();
        for (int next = smap.ListFlows(0, flows); next > 0; next = smap.ListFlows(next, flows))
        {
        }

        return flows;
    }

    [Fact]
    public void Flows_are_listed_each_once_however_many_and_those_that_ended_are_not()
    {
        Smap smap = Make(Options("10000-20000"));
        var told = new HashSet<(int Inside, int External)>();
        for (int port = 30000; port < 39000; port++) told.Add((port, Out(smap, Packets.Udp(HostB, port, Server, 53))));
        List<TrackedFlow> flows = Listed(smap);
        Assert.Equal(told.Count, flows.Count);
        Assert.Equal(told, [.. flows.Select(f => ((int)f.Connection.Original.SourcePort, (int)f.Connection.Reply.DestinationPort))]);
        Assert.All(flows, f => Assert.Equal(
            (IpProtocol.Udp, $"{HostB} {Server} 53", $"{Server} {Shared} 53", 300),
            (f.Connection.Protocol, $"{f.Connection.Original.Source} {f.Connection.Original.Destination} {f.Connection.Original.DestinationPort}",
                $"{f.Connection.Reply.Source} {f.Connection.Reply.Destination} {f.Connection.Reply.SourcePort}", f.Seconds)));

        _time.Advance(TimeSpan.FromSeconds(299));
        Out(smap, Packets.Udp(HostB, 30000, Server, 53));
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(30000, Assert.Single(Listed(smap)).Connection.Original.SourcePort);
    }

    [Fact]
    public void A_tcp_flow_is_listed_by_the_state_of_its_connection()
    {
        Smap smap = Make(Options());
        TcpState State() => Assert.Single(Listed(smap)).Connection.State;
        int port = Out(smap, Packets.Tcp(HostB, 50000, Server, 443, TcpFlags.Syn));
        Assert.Equal(TcpState.SynSent, State());
        In(smap, Packets.Tcp(Server, 443, Shared, port, TcpFlags.Syn | TcpFlags.Ack));
        Assert.Equal(TcpState.Established, State());
        Out(smap, Packets.Tcp(HostB, 50000, Server, 443, TcpFlags.Fin | TcpFlags.Ack));
        Assert.Equal(TcpState.FinWait, State());
        In(smap, Packets.Tcp(Server, 443, Shared, port, TcpFlags.Fin | TcpFlags.Ack));
        Assert.Equal(TcpState.TimeWait, State());
        In(smap, Packets.Tcp(Server, 443, Shared, port, TcpFlags.Rst));
        Assert.Equal(TcpState.Close, State());
    }

    [Fact]
    public void Listed_flows_are_lines_of_a_connection_table()
    {
        Smap smap = Make(Options());
        Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        Out(smap, Packets.Tcp(HostC, 50000, Server, 443, TcpFlags.Syn));
        Out(smap, Packets.Echo(HostB, Server, 77));
        var lines = new ArrayBufferWriter<byte>();
        new FlowStream(smap.ListFlows).Answer("all"u8, lines);
        string text = Encoding.ASCII.GetString(lines.WrittenSpan);
        TrackedConnection[] read = [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
        {
            Assert.True(ConntrackLine.TryRead(Encoding.ASCII.GetBytes(line), out TrackedConnection connection, out string fault), $"{line}: {fault}");
            return connection;
        })];
        Assert.Equal(Listed(smap).Select(f => f.Connection), read);
        Assert.Contains($"tcp      6 ", text, StringComparison.Ordinal);
        Assert.Contains($" SYN_SENT src={HostC} dst={Server} sport=50000 dport=443 src={Server} dst={Shared} sport=443 dport=", text, StringComparison.Ordinal);
    }
}
