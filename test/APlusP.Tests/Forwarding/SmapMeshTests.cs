using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using static APlusP.Tests.Forwarding.OnTheWire;

namespace APlusP.Tests.Forwarding;

/// <summary>The SMAP as a MAP CE: subscribers of RFC 7597 appendix A, example 1, to each other directly, and a home with a whole prefix.</summary>
public class SmapMeshTests
{
    const string Prr = "2001:db8:ffff::1", Server = "198.51.100.7", Host = "192.168.1.142", Shared = "192.0.2.18";

    /// <summary>Of 192.0.2.18, PSIDs 0x34 and 0x35 (ports 1232 and 1236 first), and of 192.0.2.19, PSID 0x34.</summary>
    const string Home = "2001:db8:12:3400:0:c000:212:34", Neighbour = "2001:db8:12:3500:0:c000:212:35", Peer = "2001:db8:13:3400:0:c000:213:34";

    static readonly MappingRule s_rule = new(IPv6Prefix.Parse("2001:db8::/40"), IPv4Prefix.Parse("192.0.2.0/24"), 16);
    static readonly MappingRule s_whole = new(IPv6Prefix.Parse("2001:db8:1000::/48"), IPv4Prefix.Parse("203.0.113.0/24"), 8);

    readonly HandClock _time = new();
    readonly PacketBatch _batch = new(4, 2000);

    static SmapOptions Options(string endUser = "2001:db8:12:3400::/56", MappingRule? bmr = null)
    {
        Assert.True((bmr ?? s_rule).TryMapEndUser(IPv6Prefix.Parse(endUser), out MappedSubscriber? own, out string error), error);
        return new SmapOptions
        {
            SoftwireAddress = own!.Ce,
            PrrAddress = IPv6Address.Parse(Prr),
            SharedAddress = own.Prefix.Address,
            OwnPrefix = own.Prefix.Length < 32 ? own.Prefix : null,
            Ports = own.Ports,
            ForwardingRules = [s_rule, s_whole],
            Filtering = NaptFiltering.EndpointIndependent,
            Fragments = PrrScene.Few,
        };
    }

    Smap Make(SmapOptions? options = null) => new(options ?? Options(), _time, seed: 1);

    Verdict Judge(Smap smap, byte[] packet, Origin origin)
    {
        _batch.Clear();
        Assert.True(_batch.TryAdd(packet, origin));
        smap.Process(_batch);
        Assert.Equal(smap.Counters.Received(origin), Enum.GetValues<Fate>().Where(f => f != Fate.None).Sum(f => smap.Counters.Packets(origin, f)));
        return _batch[0].Verdict;
    }

    byte[] Sent => _batch.Bytes(0).ToArray();

    /// <summary>Sends from the LAN, and gives the other end of the softwire that it went into, and the packet inside.</summary>
    (string To, byte[] Inner) Out(Smap smap, byte[] packet)
    {
        Assert.Equal(Verdict.Forward, Judge(smap, packet, Origin.FromLan));
        byte[] sent = Sent;
        Assert.Equal(smap.Options.SoftwireAddress, IPv6Address.Read(sent.AsSpan(8)));
        Assert.True(Packets.HasRightChecksums(sent.AsSpan(40)));
        return (IPv6Address.Read(sent.AsSpan(24)).ToString(), sent[40..]);
    }

    static int PortOf(byte[] inner) => inner[20] << 8 | inner[21];

    Verdict In(Smap smap, string from, byte[] inner) => Judge(smap, Packets.Softwire(from, smap.Options.SoftwireAddress.ToString(), inner), Origin.FromPrr);

    [Theory]
    [InlineData(Server, 443, Prr)]
    [InlineData("192.0.2.19", 1232, Peer)]
    [InlineData("192.0.2.19", 1236, "2001:db8:13:3500:0:c000:213:35")]
    [InlineData("192.0.2.19", 80, Prr)]
    [InlineData("192.0.2.18", 1236, Neighbour)]
    [InlineData("203.0.113.18", 80, "2001:db8:1000:1200:0:cb00:7112:0")]
    public void What_a_forwarding_rule_has_goes_to_the_ce_and_all_else_to_the_prr(string destination, int port, string to)
    {
        Assert.Equal(to, Out(Make(), Packets.Udp(Host, 5000, destination, port)).To);
        Assert.Equal(Prr, Out(Make(Options() with { ForwardingRules = [] }), Packets.Udp(Host, 5000, destination, port)).To);
    }

    [Fact]
    public void Two_homes_talk_without_the_prr()
    {
        Smap here = Make(), there = Make(Options("2001:db8:13:3400::/56"));
        // A host there has opened a port, as a server does.
        (_, byte[] opening) = Out(there, Packets.Udp("192.168.7.9", 7000, Server, 53));
        int port = PortOf(opening);

        (string to, byte[] question) = Out(here, Packets.Udp(Host, 5000, "192.0.2.19", port));
        Assert.Equal(Peer, to);
        Assert.Equal(Verdict.Forward, In(there, Home, question));
        Assert.Equal("192.168.7.9", IPv4Address.Read(Sent.AsSpan(16)).ToString());

        (to, byte[] answer) = Out(there, Packets.Udp("192.168.7.9", 7000, Shared, PortOf(question)));
        Assert.Equal(Home, to);
        Assert.Equal(Verdict.Forward, In(here, Peer, answer));
        Assert.Equal(Packets.Udp("192.0.2.19", port, Host, 5000, ttl: 62), Sent);
    }

    [Theory]
    [InlineData(DropReason.SourceNotByRule, Peer, "192.0.2.19", 1236)]
    [InlineData(DropReason.SourceNotByRule, Peer, "192.0.2.20", 1232)]
    [InlineData(DropReason.SourceNotByRule, Peer, Server, 1232)]
    [InlineData(DropReason.SourceNotByRule, Peer, "192.0.2.19", 1023)]
    [InlineData(DropReason.NotFromPrr, "2001:db8:13:3400:0:c000:213:35", "192.0.2.19", 1232)]
    [InlineData(DropReason.NotFromPrr, "2001:db8:bad::1", "192.0.2.19", 1232)]
    [InlineData(DropReason.None, Peer, "192.0.2.19", 1232)]
    [InlineData(DropReason.None, Prr, "192.0.2.19", 1232)]
    [InlineData(DropReason.None, Prr, Server, 53)]
    public void Another_ce_may_send_only_from_its_own_address_and_ports(DropReason reason, string from, string source, int port)
    {
        Smap smap = Make();
        int own = PortOf(Out(smap, Packets.Udp(Host, 5000, Server, 53)).Inner);
        Assert.Equal(reason == DropReason.None ? Verdict.Forward : Verdict.Drop(reason), In(smap, from, Packets.Udp(source, port, Shared, own)));
    }

    [Fact]
    public void Without_forwarding_rules_no_ce_is_heard()
    {
        Smap smap = Make(Options() with { ForwardingRules = [] });
        int own = PortOf(Out(smap, Packets.Udp(Host, 5000, Server, 53)).Inner);
        Assert.Equal(Verdict.Drop(DropReason.NotFromPrr), In(smap, Peer, Packets.Udp("192.0.2.19", 1232, Shared, own)));
    }

    [Fact]
    public void What_the_smap_itself_says_goes_back_where_the_packet_came_from()
    {
        foreach ((string from, string source) in new[] { (Peer, "192.0.2.19"), (Prr, Server) })
        {
            Smap smap = Make();
            Assert.Equal(Verdict.Answer, In(smap, from, Packets.Echo(source, Shared, 1232)));
            Assert.Equal(Packets.Softwire(Home, from, Sent[40..]), Sent);
            int own = PortOf(Out(smap, Packets.Udp(Host, 5000, Server, 53)).Inner);
            Assert.Equal(DropReason.TtlExpired, In(smap, from, Packets.Udp(source, 1232, Shared, own, ttl: 1)).Reason);
            Assert.Equal(from, IPv6Address.Read(Sent.AsSpan(24)).ToString());
        }
    }

    [Fact]
    public void An_error_about_a_packet_of_another_ce_goes_to_that_ce()
    {
        Smap smap = Make();
        int own = PortOf(Out(smap, Packets.Udp(Host, 5000, Server, 53)).Inner);
        Assert.Equal(Verdict.Forward, In(smap, Peer, Packets.Udp("192.0.2.19", 1232, Shared, own)));
        byte[] heard = Sent;
        (string to, byte[] error) = Out(smap, Packets.IcmpError(Host, "192.0.2.19", heard, code: 3));
        Assert.Equal(Peer, to);
        Assert.Equal(Verdict.Forward, In(Opened(), Home, error));

        // The other home, whose host sent what the error is about.
        Smap Opened()
        {
            Smap there = Make(Options("2001:db8:13:3400::/56"));
            Assert.Equal(1232, PortOf(Out(there, Packets.Udp("192.168.7.9", 1232, Shared, own)).Inner));
            return there;
        }
    }

    [Fact]
    public void Fragments_follow_their_first_to_the_ce()
    {
        Smap here = Make(Options() with { TtlAlreadyTaken = true }), there = Make(Options("2001:db8:13:3400::/56") with { TtlAlreadyTaken = true });
        int port = PortOf(Out(there, Packets.Udp("192.168.7.9", 7000, Server, 53)).Inner);
        byte[][] parts = Parts(Packets.Udp(Host, 5000, "192.0.2.19", port, 1200), 400, 800, 1208);
        foreach (int[] order in (int[][])[[0, 1, 2], [2, 0, 1]])
        {
            List<byte[]> sent = Through(here, Origin.FromLan, order.Select(i => parts[i]));
            Assert.Equal(3, sent.Count);
            Assert.All(sent, p => Assert.Equal(Packets.Softwire(Home, Peer, p[40..]), p));
            Assert.Equal(3, Through(there, Origin.FromPrr, sent).Count);
        }

        // A later fragment that says it is another's.
        Assert.Equal(Verdict.Drop(DropReason.SourceNotByRule), In(there, Home, Packets.AsFragment(Packets.Udp("192.0.2.20", 1, "192.0.2.19", port, 64), 100, more: false)));
    }

    [Fact]
    public void An_icmpv6_error_about_what_went_to_another_ce_is_heard()
    {
        Smap smap = Make();
        Out(smap, Packets.Udp(Host, 5000, "192.0.2.19", 1232, payload: 100));
        byte[] sent = Sent;
        byte[] error = Packets.IcmpV6Error("2001:db8:77::1", Home, sent, IcmpV6Type.DestinationUnreachable);
        Assert.Equal(Verdict.Answer, Judge(smap, error, Origin.FromPrr));
        Assert.Equal(Host, IPv4Address.Read(Sent.AsSpan(16)).ToString());
    }

    [Fact]
    public void A_home_with_a_prefix_keeps_its_addresses_and_protocols_without_ports_too()
    {
        var rule = new MappingRule(IPv6Prefix.Parse("2001:db8:2000::/48"), IPv4Prefix.Parse("203.0.113.0/24"), 6);
        Smap smap = Make(Options("2001:db8:2000:1000::/56", rule) with { ForwardingRules = [s_rule] });
        Assert.Equal("203.0.113.16/30", smap.Options.OwnPrefix.ToString());
        string home = smap.Options.SoftwireAddress.ToString();

        byte[] packet = Packets.IPv4("203.0.113.18", Server, (IpProtocol)47, new byte[12]);
        Assert.Equal(Verdict.Forward, Judge(smap, packet, Origin.FromLan));
        Assert.Equal(Packets.Softwire(home, Prr, Packets.Ttl(packet, 63)), Sent);
        byte[] answer = Packets.IPv4(Server, "203.0.113.18", (IpProtocol)47, new byte[12]);
        Assert.Equal(Verdict.Forward, In(smap, Prr, answer));
        Assert.Equal(Packets.Ttl(answer, 63), Sent);

        byte[] fragment = Packets.AsFragment(Packets.Udp(Server, 53, "203.0.113.18", 53, 64), 100, more: false);
        Assert.Equal(Verdict.Forward, In(smap, Prr, fragment));
        Assert.Equal(Packets.Ttl(fragment, 63), Sent);

        // To another subscriber directly; fragments of one packet take one way.
        byte[] direct = Packets.Udp("203.0.113.18", 99, "192.0.2.19", 1232, 64);
        Assert.Equal(Verdict.Forward, Judge(smap, direct, Origin.FromLan));
        Assert.Equal(Packets.Softwire(home, Peer, Packets.Ttl(direct, 63)), Sent);
        Assert.Equal(Verdict.Forward, Judge(smap, Packets.AsFragment(direct, 0, more: true), Origin.FromLan));
        Assert.Equal(Prr, IPv6Address.Read(Sent.AsSpan(24)).ToString());

        // Other hosts of the home are behind the first address.
        (_, byte[] translated) = Out(smap, Packets.Udp(Host, 5000, Server, 53));
        Assert.Equal("203.0.113.16", IPv4Address.Read(translated.AsSpan(12)).ToString());

        Assert.Equal(Verdict.Drop(DropReason.NoMapping), Judge(smap, Packets.Udp("203.0.113.18", 1, "203.0.113.19", 2), Origin.FromLan));
        Assert.Equal(Verdict.Drop(DropReason.NotOurPort), In(smap, Prr, Packets.Udp(Server, 1, "203.0.113.20", 2)));
        Assert.Equal(DropReason.TtlExpired, Judge(smap, Packets.Udp("203.0.113.18", 1, Server, 2, ttl: 1), Origin.FromLan).Reason);
        Assert.Equal(DropReason.TtlExpired, In(smap, Prr, Packets.Udp(Server, 1, "203.0.113.18", 2, ttl: 1)).Reason);
        Assert.Equal(DropReason.TooBig, Judge(smap, Packets.With(Packets.Udp("203.0.113.18", 1, Server, 2, 1500), 6, 0x40), Origin.FromLan).Reason);
    }

    [Theory]
    [InlineData(IcmpV6Type.PacketTooBig, 1400, 3, 4, 1360)]
    [InlineData(IcmpV6Type.DestinationUnreachable, 0, 3, 1, 0)]
    [InlineData(IcmpV6Type.TimeExceeded, 0, 3, 1, 0)]
    public void An_icmpv6_error_about_a_packet_of_the_homes_own_prefix_reaches_its_host(IcmpV6Type type, int rest, byte v4Type, byte code, int mtu)
    {
        var rule = new MappingRule(IPv6Prefix.Parse("2001:db8:2000::/48"), IPv4Prefix.Parse("203.0.113.0/24"), 6);
        SmapOptions options = Options("2001:db8:2000:1000::/56", rule) with { ForwardingRules = [s_rule], Secret = 5 };
        var paths = new PathMtuTable(new DiscoveryOptions(), _time, 5);
        var smap = new Smap(options, _time, seed: 1, paths);
        string home = options.SoftwireAddress.ToString();
        byte[] packet = Packets.Udp("203.0.113.18", 5000, Server, 53, 1400, trafficClass: 0xb9);
        Assert.Equal(Verdict.Forward, Judge(smap, packet, Origin.FromLan));
        byte[] sent = Sent;
        Assert.Equal(Verdict.Answer, Judge(smap, Packets.IcmpV6Error("2001:db8:77::1", home, sent, type, rest: rest), Origin.FromPrr));
        byte[] error = Sent;
        Assert.Equal(("203.0.113.16", "203.0.113.18"), (IPv4Address.Read(error.AsSpan(12)).ToString(), IPv4Address.Read(error.AsSpan(16)).ToString()));
        Assert.Equal([(int)v4Type, code, mtu >> 8, mtu & 255], [error[20], error[21], error[26], error[27]]);
        Assert.Equal(0xb8, error[1]);
        Assert.Equal(Packets.Ttl(packet, 63).AsSpan(0, 200), error.AsSpan(28, 200));
        Assert.True(Packets.HasRightChecksums(error));
        Assert.Equal(mtu == 0 ? 1500 : 1400, paths.Of(IPv6Address.Parse(Prr), 1500));
        if (mtu != 0) Assert.Equal(DropReason.TooBig, Judge(smap, packet, Origin.FromLan).Reason);

        // Of a packet that no host of ours can have sent nobody is told.
        sent[40 + 15] = 99;
        Packets.MendHeader(sent[40..60]).CopyTo(sent, 40);
        Assert.Equal(Verdict.Consume, Judge(smap, Packets.IcmpV6Error("2001:db8:77::1", home, sent, type, rest: rest), Origin.FromPrr));
    }

    [Fact]
    public void With_plain_outgoing_packets_leave_translated_and_outside_the_softwire()
    {
        Smap smap = Make(Options() with { Outgoing = SmapOutgoing.Plain, ForwardingRules = [] });
        Assert.Equal(Verdict.Forward, Judge(smap, Packets.Udp(Host, 5000, Server, 53), Origin.FromLan));
        int port = PortOf(Sent);
        Assert.True(smap.Options.Ports.Contains((ushort)port));
        Assert.Equal(Packets.Udp(Shared, port, Server, 53, ttl: 63), Sent);
        Assert.Equal(Verdict.Forward, In(smap, Prr, Packets.Udp(Server, 53, Shared, port)));
        Assert.Equal(Packets.Udp(Server, 53, Host, 5000, ttl: 63), Sent);

        // What is too large for the softwire is no matter on the way out, and a SYN asks for segments that fit the way in.
        Assert.Equal(Verdict.Forward, Judge(smap, Packets.With(Packets.Udp(Host, 5000, Server, 53, 1472), 6, 0x40), Origin.FromLan));
        Assert.Equal(1500, Sent.Length);
        Assert.Equal(Verdict.Answer, In(smap, Prr, Packets.Echo(Server, Shared, 1233)));
        Assert.Equal(Server, IPv4Address.Read(Sent.AsSpan(16)).ToString());
        Assert.Equal(DropReason.TtlExpired, In(smap, Prr, Packets.Udp(Server, 53, Shared, port, ttl: 1)).Reason);
        Assert.Equal((0x45, Server), (Sent[0], IPv4Address.Read(Sent.AsSpan(16)).ToString()));
    }

    [Fact]
    public void Meshing_allocates_nothing()
    {
        Smap smap = Make();
        var batch = new PacketBatch(1, 2000);
        byte[] packet = Packets.Udp(Host, 5000, "192.0.2.19", 1232), answer = [];
        for (int i = 0; i < 100; i++) Work();
        answer = Packets.Softwire(Peer, Home, Packets.Udp("192.0.2.19", 1232, Shared, batch.Bytes(0)[60] << 8 | batch.Bytes(0)[61]));
        for (int i = 0; i < 100; i++) Work();
        Allocations.None(Work);

        void Work()
        {
            batch.Clear();
            batch.TryAdd(packet, Origin.FromLan);
            smap.Process(batch);
            if (answer.Length == 0) return;
            batch.Clear();
            batch.TryAdd(answer, Origin.FromPrr);
            smap.Process(batch);
            if (batch[0].Verdict != Verdict.Forward) throw new InvalidOperationException($"{batch[0].Verdict}");
        }
    }
}
