using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

/// <summary>What the RFCs ask of a NAPT beside giving ports: checksums, errors, openings from both sides, port classes.</summary>
public class SmapTranslationTests
{
    const string Prr = "2001:db8::1", Home = "2001:db8:1::1", Shared = "192.0.2.1", HostB = "192.168.1.142", HostC = "192.168.1.143",
        Server = "198.51.100.7", Router = "203.0.113.9";

    readonly HandClock _time = new();
    readonly PacketBatch _batch = new(4, 2000);

    Smap Make(string ports = "10000-11000", NaptFiltering filtering = NaptFiltering.AddressDependent) => new(
        new SmapOptions
        {
            SoftwireAddress = IPv6Address.Parse(Home),
            PrrAddress = IPv6Address.Parse(Prr),
            SharedAddress = IPv4Address.Parse(Shared),
            Ports = PortSet.Parse(ports),
            PortsPerHost = 65536,
            Filtering = filtering,
            TtlAlreadyTaken = true,
        },
        _time, seed: 1);

    Verdict Judge(Smap smap, byte[] packet, Origin origin)
    {
        _batch.Clear();
        Assert.True(_batch.TryAdd(packet, origin));
        smap.Process(_batch);
        return _batch[0].Verdict;
    }

    byte[] Out(Smap smap, byte[] packet)
    {
        Assert.Equal(Verdict.Forward, Judge(smap, packet, Origin.FromLan));
        return _batch.Bytes(0)[40..].ToArray();
    }

    Verdict In(Smap smap, byte[] inner) => Judge(smap, Packets.Softwire(Prr, Home, inner), Origin.FromPrr);

    byte[] Sent => _batch.Bytes(0).ToArray();

    static int Port(byte[] packet) => packet[20] << 8 | packet[21];

    [Fact]
    public void Udp_without_a_checksum_stays_without_both_ways()
    {
        Smap smap = Make();
        int port = Port(Out(smap, Packets.Udp(HostB, 5000, Server, 53, payload: 9, checksum: false)));
        Assert.Equal(Packets.Udp(Shared, port, Server, 53, payload: 9, checksum: false), Sent[40..]);
        In(smap, Packets.Udp(Server, 53, Shared, port, payload: 9, checksum: false));
        Assert.Equal(Packets.Udp(Server, 53, HostB, 5000, payload: 9, checksum: false), Sent);
    }

    [Fact]
    public void A_udp_checksum_that_comes_to_zero_is_sent_as_ones()
    {
        // Of all payloads of two octets one makes the translated checksum come to zero; the sender's own is as good as any.
        Smap smap = Make("10000");
        int ones = 0;
        for (int word = 0; word < 65536; word++)
        {
            byte[] datagram = [0x13, 0x88, 0, 53, 0, 10, 0, 0, (byte)(word >> 8), (byte)word];
            byte[] sent = Out(smap, Packets.IPv4(HostB, Server, IpProtocol.Udp, datagram, checksumAt: 6));
            Assert.NotEqual(0, sent[26] << 8 | sent[27]);
            Assert.True(Packets.HasRightChecksums(sent));
            if ((sent[26] << 8 | sent[27]) == 0xffff) ones++;
        }

        Assert.InRange(ones, 1, 2);
    }

    [Theory]
    [InlineData(28)]
    [InlineData(36)]
    [InlineData(38)]
    [InlineData(60)]
    public void Of_the_packet_that_an_icmp_error_embeds_what_is_there_is_translated(int embedded)
    {
        Smap smap = Make();
        byte[] original = Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Syn, payload: 30);
        byte[] outside = Out(smap, original);
        Assert.Equal(Verdict.Forward, In(smap, Packets.IcmpError(Router, Shared, outside, embedded: embedded)));
        Assert.Equal(Packets.IcmpError(Router, HostB, original, embedded: embedded), Sent);
    }

    [Fact]
    public void The_ports_of_a_packet_with_options_are_found_in_an_icmp_error()
    {
        Smap smap = Make();
        byte[] original = Packets.WithOptions(Packets.Udp(HostB, 5000, Server, 53, payload: 9), 0x94, 4, 0, 0);
        byte[] outside = Out(smap, original);
        Assert.Equal(Verdict.Forward, In(smap, Packets.IcmpError(Router, Shared, outside)));
        Assert.Equal(Packets.IcmpError(Router, HostB, original), Sent);
    }

    [Fact]
    public void An_icmp_error_about_a_ping_bears_the_identifier_of_its_sender()
    {
        Smap smap = Make();
        byte[] original = Packets.Echo(HostB, Server, 7);
        byte[] outside = Out(smap, original);
        Assert.Equal(Verdict.Forward, In(smap, Packets.IcmpError(Router, Shared, outside, IcmpV4Type.TimeExceeded, code: 0)));
        Assert.Equal(Packets.IcmpError(Router, HostB, original, IcmpV4Type.TimeExceeded, code: 0), Sent);
    }

    [Fact]
    public void An_icmp_error_about_what_nobody_sent_or_with_a_wrong_checksum_does_not_come_in()
    {
        Smap smap = Make();
        byte[] outside = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        int port = Port(outside);
        byte[] damaged = Packets.IcmpError(Router, Shared, outside);
        damaged[^1] ^= 1;
        Assert.Equal(DropReason.BadTransportHeader, In(smap, damaged).Reason);
        Assert.Equal(DropReason.NoMapping, In(smap, Packets.IcmpError(Router, Shared, Packets.Udp(Shared, port, Router, 53))).Reason);
        Assert.Equal(DropReason.NotOurPort, In(smap, Packets.IcmpError(Router, Shared, Packets.Udp(Shared, 9, Server, 53))).Reason);
        Assert.Equal(DropReason.IcmpNotTranslatable, In(smap, Packets.IcmpError(Router, Shared, Packets.Udp("192.0.2.2", port, Server, 53))).Reason);
    }

    [Fact]
    public void An_icmp_error_neither_ends_nor_prolongs_a_mapping()
    {
        Smap smap = Make();
        byte[] outside = Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        byte[] error = Packets.IcmpError(Server, Shared, outside, code: 3);
        Assert.Equal(Verdict.Forward, In(smap, error));
        _time.Advance(TimeSpan.FromSeconds(299));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Udp(Server, 53, Shared, Port(outside))));
        Assert.Equal(Verdict.Forward, In(smap, error));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(DropReason.NoMapping, In(smap, error).Reason);
    }

    [Fact]
    public void Tcp_may_be_opened_by_both_ends_at_once()
    {
        Smap smap = Make();
        int port = Port(Out(smap, Packets.Tcp(HostB, 5000, Server, 6000, TcpFlags.Syn)));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Tcp(Server, 6000, Shared, port, TcpFlags.Syn)));
        Out(smap, Packets.Tcp(HostB, 5000, Server, 6000, TcpFlags.Syn | TcpFlags.Ack));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Tcp(Server, 6000, Shared, port, TcpFlags.Syn | TcpFlags.Ack)));
        Out(smap, Packets.Tcp(HostB, 5000, Server, 6000));
        _time.Advance(TimeSpan.FromSeconds(7000));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Tcp(Server, 6000, Shared, port)));
    }

    [Fact]
    public void A_tcp_opening_that_nobody_asked_for_meets_silence()
    {
        Smap smap = Make();
        int port = Port(Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Syn)));
        Assert.Equal(Verdict.Drop(DropReason.Filtered), In(smap, Packets.Tcp(Router, 4000, Shared, port, TcpFlags.Syn)));
        Assert.Equal(Verdict.Drop(DropReason.NoMapping), In(smap, Packets.Tcp(Router, 4000, Shared, port == 10500 ? 10501 : 10500, TcpFlags.Syn)));
    }

    [Fact]
    public void A_connection_from_outside_is_established_before_either_side_has_anything_to_say()
    {
        Smap smap = Make(filtering: NaptFiltering.EndpointIndependent);
        int port = Port(Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Syn)));
        In(smap, Packets.Tcp(Router, 4000, Shared, port, TcpFlags.Syn));
        Out(smap, Packets.Tcp(HostB, 5000, Router, 4000, TcpFlags.Syn | TcpFlags.Ack));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Tcp(Router, 4000, Shared, port)));
        Assert.Equal(2, FlowsAfter(smap, 239));
        Assert.Equal(1, FlowsAfter(smap, 7440 - 240));

        // Once, and not for what the outside says later.
        In(smap, Packets.Tcp(Router, 4000, Shared, port));
        Assert.Equal(0, FlowsAfter(smap, 1));
    }

    [Fact]
    public void An_opening_that_no_host_accepted_lives_no_longer_for_what_the_outside_says()
    {
        Smap smap = Make();
        int port = Port(Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Syn)));
        Assert.Equal(1, FlowsAfter(smap, 200));
        In(smap, Packets.Tcp(Server, 80, Shared, port));
        Assert.Equal(0, FlowsAfter(smap, 40));
    }

    [Fact]
    public void A_host_that_refuses_by_reset_keeps_nothing_alive()
    {
        Smap smap = Make(filtering: NaptFiltering.EndpointIndependent);
        int port = Port(Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Syn)));
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal(Verdict.Forward, In(smap, Packets.Tcp(Router, 4000 + i, Shared, port, TcpFlags.Syn)));
            byte[] refused = Out(smap, Packets.Tcp(HostB, 5000, Router, 4000 + i, TcpFlags.Rst | TcpFlags.Ack));
            Assert.Equal(Packets.Tcp(Shared, port, Router, 4000 + i, TcpFlags.Rst | TcpFlags.Ack)[20..], refused[20..]);
            Assert.Equal(1, FlowsAfter(smap, 50));
        }

        Assert.Equal(0, FlowsAfter(smap, 40));
        Assert.Equal(DropReason.NoMapping, In(smap, Packets.Tcp(Router, 4004, Shared, port, TcpFlags.Syn)).Reason);
    }

    [Fact]
    public void Resets_from_inside_end_a_connection_once_however_many_there_are()
    {
        Smap smap = Make();
        int port = Port(Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Syn)));
        In(smap, Packets.Tcp(Server, 80, Shared, port, TcpFlags.Syn | TcpFlags.Ack));
        Out(smap, Packets.Tcp(HostB, 5000, Server, 80));
        Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Rst));
        Assert.Equal(1, FlowsAfter(smap, 200));
        Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Rst));
        Assert.Equal(0, FlowsAfter(smap, 40));
    }

    [Fact]
    public void A_connection_that_takes_the_place_of_a_half_closed_one_is_a_new_one()
    {
        Smap smap = Make();
        int port = 0;
        for (int i = 0; i < 2; i++)
        {
            // The first time the server's end is left open, as by a host that crashed; the second time ours is.
            port = Port(Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Syn)));
            In(smap, Packets.Tcp(Server, 80, Shared, port, TcpFlags.Syn | TcpFlags.Ack));
            Out(smap, Packets.Tcp(HostB, 5000, Server, 80));
            if (i == 0) Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Fin | TcpFlags.Ack));
        }

        In(smap, Packets.Tcp(Server, 80, Shared, port, TcpFlags.Fin | TcpFlags.Ack));
        Out(smap, Packets.Tcp(HostB, 5000, Server, 80));
        Assert.Equal(1, FlowsAfter(smap, 7439));
        Assert.Equal(0, FlowsAfter(smap, 1));
    }

    [Fact]
    public void A_query_lives_for_a_minute_after_the_last_of_its_host()
    {
        Smap smap = Make();
        int identifier = Identifier(Out(smap, Packets.Echo(HostB, Server, 7)));
        Assert.Equal(1, FlowsAfter(smap, 59));
        Assert.Equal(identifier, Identifier(Out(smap, Packets.Echo(HostB, Server, 7))));
        Assert.Equal(1, FlowsAfter(smap, 59));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Echo(Server, Shared, identifier, IcmpV4Type.EchoReply)));
        Assert.Equal(0, FlowsAfter(smap, 1));
    }

    [Fact]
    public void One_identifier_serves_a_query_of_a_host_whoever_it_asks()
    {
        Smap smap = Make();
        int identifier = Identifier(Out(smap, Packets.Echo(HostB, Server, 7)));
        Assert.Equal(identifier, Identifier(Out(smap, Packets.Echo(HostB, Router, 7))));
        Assert.NotEqual(identifier, Identifier(Out(smap, Packets.Echo(HostC, Server, 7))));
    }

    [Fact]
    public void Mappings_and_filters_of_one_protocol_say_nothing_about_another()
    {
        Smap smap = Make(filtering: NaptFiltering.EndpointIndependent);
        int udp = Port(Out(smap, Packets.Udp(HostB, 5000, Server, 53)));
        Assert.Equal(Verdict.Drop(DropReason.NoMapping), In(smap, Packets.Tcp(Router, 80, Shared, udp, TcpFlags.Syn)));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Udp(Router, 80, Shared, udp)));
        Assert.Equal(udp, Port(Out(smap, Packets.Tcp(HostC, udp, Server, 80, TcpFlags.Syn))));
    }

    [Fact]
    public void A_port_that_must_change_is_chosen_at_random()
    {
        Smap smap = Make();
        int[] ports = [.. Enumerable.Range(0, 100).Select(i => Port(Out(smap, Packets.Udp(HostB, 2 * i + 2, Server, 53))))];
        Assert.Equal(100, ports.Distinct().Count());
        Assert.All(ports, p => Assert.Equal(0, p % 2));

        // Of 500 even ports neither the first nor ascending ones; a hundred in order by chance is one in 100!.
        Assert.NotEqual(ports.Order(), ports);
        Assert.True(ports.Max() - ports.Min() > 800);
        Assert.InRange(Enumerable.Range(1, 99).Count(i => ports[i] - ports[i - 1] == 2), 0, 5);
    }

    [Fact]
    public void What_the_nat_says_itself_is_of_the_class_of_the_packet_that_it_is_about()
    {
        Smap smap = Make();
        Assert.Equal(Verdict.DropAndTell(DropReason.TooBig), Judge(smap, Packets.Udp(HostB, 5000, Server, 53, 1472, trafficClass: 0xb9), Origin.FromLan));
        Assert.Equal(0xb8, Sent[1]);
        Smap whole = new(smap.Options with { TtlAlreadyTaken = false }, _time, seed: 1);
        Assert.Equal(Verdict.DropAndTell(DropReason.TtlExpired), In(whole, Packets.Udp(Server, 53, Shared, 10000, ttl: 1, trafficClass: 0x28)));
        Assert.Equal((0x28, 0x02, 0x80), (Sent[41], Sent[0] & 15, Sent[1] & 0xf0));
    }

    [Theory]
    [InlineData(true, 131, 7, 4, 192, 168, 1, 9, 0)]
    [InlineData(true, 1, 137, 7, 4, 192, 168, 1, 9)]
    [InlineData(false, 148, 4, 0, 0)]
    [InlineData(false, 7, 7, 4, 0, 0, 0, 0, 0)]
    [InlineData(false, 0, 131, 7, 4)]
    [InlineData(false, 7, 0, 131, 131)]
    public void Icmp_with_a_source_route_does_not_leave_the_home(bool refused, params int[] octets)
    {
        byte[] options = [.. octets.Select(o => (byte)o)];
        Smap smap = Make();
        Out(smap, Packets.Udp(HostB, 5000, Server, 53));
        byte[] about = Packets.Udp(Server, 53, HostB, 5000);
        byte[][] messages =
        [
            Packets.WithOptions(Packets.Echo(HostB, Server, 7), options),
            Packets.WithOptions(Packets.IcmpError(HostB, Server, about, code: 3), options),
            Packets.IcmpError(HostB, Server, Packets.WithOptions(about, options), code: 3),
        ];
        Assert.All(messages, m => Assert.Equal(refused ? Verdict.Drop(DropReason.IcmpNotTranslatable) : Verdict.Forward, Judge(smap, m, Origin.FromLan)));
    }

    [Fact]
    public void Opening_and_closing_have_timers_of_their_own()
    {
        Smap smap = Make();
        smap.Options = smap.Options with { Timers = new NaptTimers { TcpOpening = 30, TcpClosing = 10 } };
        int port = Port(Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Syn)));
        Assert.Equal(1, FlowsAfter(smap, 29));
        In(smap, Packets.Tcp(Server, 80, Shared, port, TcpFlags.Syn | TcpFlags.Ack));
        Out(smap, Packets.Tcp(HostB, 5000, Server, 80));
        Assert.Equal(1, FlowsAfter(smap, 1000));
        Out(smap, Packets.Tcp(HostB, 5000, Server, 80, TcpFlags.Fin | TcpFlags.Ack));
        In(smap, Packets.Tcp(Server, 80, Shared, port, TcpFlags.Fin | TcpFlags.Ack));
        Assert.Equal(1, FlowsAfter(smap, 9));
        Assert.Equal(0, FlowsAfter(smap, 1));
        Out(smap, Packets.Tcp(HostB, 5001, Server, 80, TcpFlags.Syn));
        Assert.Equal(1, FlowsAfter(smap, 29));
        Assert.Equal(0, FlowsAfter(smap, 1));
    }

    static int Identifier(byte[] packet) => packet[24] << 8 | packet[25];

    int FlowsAfter(Smap smap, int seconds)
    {
        _time.Advance(TimeSpan.FromSeconds(seconds));
        smap.Process(new PacketBatch(1, 2000));
        return smap.Use().Flows;
    }

    [Fact]
    public void Ports_below_1024_and_others_are_kept_apart_while_there_are_both()
    {
        Smap smap = Make("1000-1047");
        for (int i = 0; i < 24; i++) Assert.InRange(Port(Out(smap, Packets.Udp(HostB, 200 + i, Server, 53))), 1000, 1023);
        for (int i = 0; i < 24; i++) Assert.InRange(Port(Out(smap, Packets.Udp(HostB, 40000 + i, Server, 53))), 1024, 1047);
        Assert.Equal(DropReason.PortsExhausted, Judge(smap, Packets.Udp(HostB, 300, Server, 53), Origin.FromLan).Reason);
    }

    [Fact]
    public void Hosts_of_one_home_who_both_send_first_meet_through_the_strictest_filter()
    {
        Smap smap = Make(filtering: NaptFiltering.AddressAndPortDependent);
        Out(smap, Packets.Udp(HostB, 10001, Server, 53));
        Out(smap, Packets.Udp(HostC, 10003, Server, 53));
        Assert.Equal(DropReason.Filtered, Judge(smap, Packets.Udp(HostB, 10001, Shared, 10003), Origin.FromLan).Reason);
        Assert.Equal(Verdict.Hairpin, Judge(smap, Packets.Udp(HostC, 10003, Shared, 10001, payload: 5), Origin.FromLan));
        Assert.Equal(Packets.Udp(Shared, 10003, HostB, 10001, payload: 5), Sent);
        Assert.Equal(Verdict.Hairpin, Judge(smap, Packets.Udp(HostB, 10001, Shared, 10003, payload: 5), Origin.FromLan));
        Assert.Equal(Packets.Udp(Shared, 10001, HostC, 10003, payload: 5), Sent);
    }

    [Fact]
    public void A_host_may_refuse_by_icmp_what_an_open_filter_let_in()
    {
        Smap smap = Make(filtering: NaptFiltering.EndpointIndependent);
        int port = Port(Out(smap, Packets.Udp(HostB, 5000, Server, 53)));
        Assert.Equal(Verdict.Forward, In(smap, Packets.Udp(Router, 99, Shared, port)));
        byte[] error = Out(smap, Packets.IcmpError(HostB, Router, Sent, code: 3));
        Assert.Equal(Packets.IcmpError(Shared, Router, Packets.Udp(Router, 99, Shared, port), code: 3), error);
    }

    [Fact]
    public void An_icmp_error_about_a_hairpinned_packet_reaches_who_sent_it()
    {
        Smap smap = Make(filtering: NaptFiltering.EndpointIndependent);
        Out(smap, Packets.Udp(HostB, 10001, Server, 53));
        Assert.Equal(Verdict.Hairpin, Judge(smap, Packets.Udp(HostC, 10003, Shared, 10001), Origin.FromLan));
        byte[] received = Sent;
        Assert.Equal(Verdict.Hairpin, Judge(smap, Packets.IcmpError(HostB, Shared, received, code: 3), Origin.FromLan));
        Assert.Equal(Packets.IcmpError(Shared, HostC, Packets.Udp(HostC, 10003, Shared, 10001), code: 3), Sent);
    }
}
