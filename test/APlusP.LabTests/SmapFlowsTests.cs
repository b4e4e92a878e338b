using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;
using APlusP.Linux.Bpf;
using APlusP.Linux.FastPath;
using APlusP.Tests;

namespace APlusP.LabTests;

/// <summary>Flows in the SMAP's maps where things meet: too many, twice, in their last moment, left half done.</summary>
public sealed class SmapFlowsTests : IDisposable
{
    const string Host = "192.168.1.10", Server = "198.51.100.7";

    static readonly SmapOptions s_options = SmapPrograms.Options with { MaxFlows = 16 };

    SmapPrograms _programs = new(s_options);

    public void Dispose() => _programs.Dispose();

    static OffloadedFlow Flow(int port, int external = 10000) =>
        new(IpProtocol.Udp, IPv4Address.Parse(Host), (ushort)port, IPv4Address.Parse(Server), 53, (ushort)external, 0);

    bool Install(int index, OffloadedFlow flow)
    {
        bool done = _programs.Flows.Install(index, flow, s_options.PrrAddress);
        _programs.KnowAll();
        return done;
    }

    /// <summary>Whether a packet of the home is sent by the program, and from which port.</summary>
    int? Out(int port)
    {
        int answer = _programs.Run(Packets.Udp(Host, port, Server, 53, payload: 40), Origin.FromLan, out ReadOnlySpan<byte> after);
        return answer == SmapPrograms.Redirect ? after[60] << 8 | after[61] : null;
    }

    bool In(int external) =>
        _programs.Run(Packets.Encapsulate(Packets.Udp(Server, 53, "192.0.2.1", external, payload: 40), "2001:db8::1", "2001:db8:1::1"), Origin.FromPrr, out _) == SmapPrograms.Redirect;

    [Fact]
    public void A_flow_that_has_no_room_stays_with_the_daemon_and_harms_no_other()
    {
        _programs.Dispose();
        _programs = new SmapPrograms(s_options, keys: 5);
        Assert.True(Install(1, Flow(40001, 10001)));
        Assert.True(Install(2, Flow(40002, 10002)));
        Assert.False(Install(3, Flow(40003, 10003)));
        _programs.Flows.Keep(3, Flow(40003, 10003));
        Assert.Equal((10001, 10002, null), (Out(40001), Out(40002), Out(40003)));
        Assert.False(In(10003));
        Assert.Equal((2, 1), (_programs.Flows.Count, (int)_programs.Flows.LeftOut));

        // Where another has gone there is room again.
        _programs.Flows.Remove(1);
        Assert.True(Install(3, Flow(40003, 10003)));
        Assert.Equal((null, 10002, 10003), (Out(40001), Out(40002), Out(40003)));
        Assert.True(In(10003));
        Assert.False(Install(17, Flow(40017)));
    }

    [Fact]
    public void A_flow_that_is_installed_twice_is_there_once()
    {
        Assert.True(Install(1, Flow(40001)));
        Assert.Equal(10000, Out(40001));
        Assert.True(Install(1, Flow(40001)));
        Assert.Equal(1, _programs.Flows.Count);
        Assert.Equal(10000, Out(40001));
        Assert.True(In(10000));

        // The same endpoints by another slot: the newer has the keys, and the older takes nothing of it along.
        Assert.True(Install(2, Flow(40001, 10002)));
        _programs.Flows.Remove(1);
        Assert.Equal(10002, Out(40001));
        Assert.True(In(10002));
        Assert.False(In(10000));
    }

    [Fact]
    public void A_key_that_was_left_behind_leads_to_nobody_elses_flow()
    {
        Install(1, Flow(40001));
        using MappedArray<FlowEntry> states = _programs.Map("states").Share<FlowEntry>();
        FlowKey outwards = states[1].Outwards, inwards = states[1].Inwards;
        _programs.Flows.Remove(1);
        Install(1, Flow(40007, 10007));
        _programs.Map("flows").Set(outwards, 1u);
        _programs.Map("flows").Set(inwards, 1u);
        Assert.Null(Out(40001));
        Assert.False(In(10000));
        Assert.Equal(10007, Out(40007));
        Assert.Equal((1ul, 1ul), (_programs.PassedUp(false, PassUpReason.NoFlow), _programs.PassedUp(true, PassUpReason.NoFlow)));
    }

    [Fact]
    public void A_packet_that_meets_a_flow_in_its_last_moment_or_while_it_changes_goes_up()
    {
        Install(1, Flow(40001));
        using MappedArray<FlowEntry> states = _programs.Map("states").Share<FlowEntry>();
        states[1].Sequence |= 1;
        Assert.Null(Out(40001));
        Assert.False(In(10000));
        Assert.Equal((1ul, 1ul), (_programs.PassedUp(false, PassUpReason.Changing), _programs.PassedUp(true, PassUpReason.Changing)));
        states[1].Sequence++;
        Assert.Equal(10000, Out(40001));

        // Cleared, while its keys are still there.
        states[1].Protocol = 0;
        Assert.Null(Out(40001));
        states[1].Protocol = 17;
        states[1].Seen = 0;
        Assert.Null(Out(40001));
    }

    [Fact]
    public void Each_direction_counts_and_only_packets_from_inside_say_that_a_flow_lives()
    {
        Install(1, Flow(40001));
        Assert.True(In(10000));
        Assert.Null(_programs.Flows.Look(1).LastOutbound);
        Out(40001);
        Out(40001);
        Assert.NotNull(_programs.Flows.Look(1).LastOutbound);
        using MappedArray<FlowEntry> states = _programs.Map("states").Share<FlowEntry>();
        Assert.Equal((2ul, 136ul, 1ul, 68ul), (states[1].OutPackets, states[1].OutOctets, states[1].InPackets, states[1].InOctets));
        Assert.NotEqual(0u, states[1].LastIn);
    }

    [Fact]
    public void The_ends_of_connections_are_told_once()
    {
        var connection = Flow(40001) with { Protocol = IpProtocol.Tcp };
        Install(1, connection);
        Install(2, Flow(40002, 10002));
        Assert.Empty(Ended());
        Tcp(TcpFlags.Ack);
        Assert.Empty(Ended());
        Tcp(TcpFlags.Fin | TcpFlags.Ack);
        Assert.Equal([1], Ended());
        Assert.Equal((true, false, null), Seen());
        Assert.Empty(Ended());
        Tcp(TcpFlags.Rst);
        Tcp(TcpFlags.Ack);
        Assert.Equal([1], Ended());
        Assert.Equal((false, false, false), Seen());

        // What was heard of before is not believed now.
        _programs.Flows.Note(1, 16);
        Tcp(TcpFlags.Ack);
        Assert.Equal([1], Ended());
        Assert.Equal((false, false, false), Seen());
        Tcp(TcpFlags.Rst);
        Assert.Equal((false, false, true), Seen());

        void Tcp(TcpFlags flags) => Assert.Equal(SmapPrograms.Redirect, _programs.Run(Packets.Tcp(Host, 40001, Server, 53, flags, payload: 20), Origin.FromLan, out _));

        (bool, bool, bool?) Seen()
        {
            FlowActivity activity = _programs.Flows.Look(1);
            return (activity.FinOutbound, activity.FinInbound, activity.Reset);
        }

        List<int> Ended()
        {
            var all = new List<int>();
            Span<int> some = stackalloc int[64];
            for (int count = _programs.Flows.TakeEnded(some); count > 0; count = _programs.Flows.TakeEnded(some)) all.AddRange(some[..count]);
            return all;
        }
    }

    [Fact]
    public void What_a_killed_daemon_left_half_done_is_put_in_order()
    {
        Install(1, Flow(40001, 10001));
        Install(2, Flow(40002, 10002));
        Install(3, Flow(40003, 10003));
        using MappedArray<FlowEntry> states = _programs.Map("states").Share<FlowEntry>();
        BpfMap keys = _programs.Map("flows");

        // One whole, one half written, one whose keys outlived it.
        states[2].Sequence |= 1;
        states[3].Protocol = states[3].Seen = 0;
        using var adopted = new SmapFlows(_programs.Object, _programs.Ends);
        adopted.Adopt();
        Assert.Equal(1, adopted.Count);
        Assert.Equal(2, keys.Keys<FlowKey>().Count);
        Assert.True(adopted.TryRecall(1, out OffloadedFlow flow, out bool isInstalled) && isInstalled);
        Assert.Equal(Flow(40001, 10001), flow);
        Assert.False(adopted.TryRecall(2, out _, out _) || adopted.TryRecall(3, out _, out _));
        Assert.True(adopted.Install(2, Flow(40002, 10005), s_options.PrrAddress));
        Assert.Equal((10001, 10005, null), (Out(40001), Out(40002), Out(40003)));
    }

    [Fact]
    public void Flows_that_come_and_go_allocate_nothing()
    {
        OffloadedFlow flow = Flow(40001);
        Allocations.None(() =>
        {
            Span<int> ended = stackalloc int[64];
            for (int index = 1; index <= s_options.MaxFlows; index++)
            {
                OffloadedFlow one = flow with { InsidePort = (ushort)(40000 + index), External = (ushort)(10000 + index) };
                _programs.Flows.Keep(index, one);
                _programs.Flows.Install(index, one, s_options.PrrAddress);
                _programs.Flows.Note(index, 3);
                _programs.Flows.Look(index);
                _programs.Flows.TakeEnded(ended);
            }

            _programs.Flows.Clear();
        });
    }

    [Fact]
    public void Other_subscribers_ends_are_given_out_as_long_as_flows_go_there()
    {
        FarEnds ends = _programs.Ends;
        Assert.Equal(0, ends.Take(s_options.PrrAddress));
        for (int i = 1; i < 256; i++) Assert.Equal(i, ends.Take(IPv6Address.Parse($"2001:db8:7::{i:x}")));
        Assert.Equal(5, ends.Take(IPv6Address.Parse("2001:db8:7::5")));
        Assert.Equal(-1, ends.Take(IPv6Address.Parse("2001:db8:8::1")));
        ends.GiveBack(5);
        Assert.Equal(-1, ends.Take(IPv6Address.Parse("2001:db8:8::1")));
        ends.GiveBack(5);
        Assert.Equal(5, ends.Take(IPv6Address.Parse("2001:db8:8::1")));
    }
}
