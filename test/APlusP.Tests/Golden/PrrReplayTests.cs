using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Node.Configuration;

namespace APlusP.Tests.Golden;

/// <summary>Captures in, captures and counters out, through a PRR with two subscribers of 192.0.2.1 and one of the whole 192.0.2.9.</summary>
public class PrrReplayTests
{
    const string Prr = "2001:db8::1", HomeA = "2001:db8:a::1", HomeB = "2001:db8:b::1", HomeC = "2001:db8:c::1";
    const string Shared = "192.0.2.1", Whole = "192.0.2.9", Remote = "198.51.100.7";

    static PrrConfiguration Configuration(Func<PrrOptions, PrrOptions>? change = null)
    {
        Binding Bind(string address, string ports, string home) =>
            new(IPv4Address.Parse(address), PortSet.Parse(ports), IPv6Address.Parse(home), IPv6Address.Parse(Prr));
        var options = new PrrOptions { SoftwireAddresses = [IPv6Address.Parse(Prr)], IcmpErrorsPerSecond = 1000, IcmpErrorsPerHost = 1000 };
        return new PrrConfiguration
        {
            Options = change?.Invoke(options) ?? options,
            Bindings = [Bind(Shared, "10000-11000", HomeA), Bind(Shared, "11001-12000", HomeB), Bind(Whole, "all", HomeC)],
            Names = new Dictionary<IPv6Address, string>(),
        };
    }

    [Fact]
    public void Tcp_from_internet_to_a_bound_port_goes_to_its_smap()
    {
        using var run = CaptureRun.OfPrr(Configuration(), fromInternet: Timed.Each(
            Packets.Tcp(Remote, 443, Shared, 10000, TcpFlags.Syn), Packets.Tcp(Remote, 443, Shared, 11001, TcpFlags.Syn)));
        run.Sent(ipv6: Timed.Each(
                Packets.Softwire(Prr, HomeA, Packets.Tcp(Remote, 443, Shared, 10000, TcpFlags.Syn, ttl: 63)),
                Packets.Softwire(Prr, HomeB, Packets.Tcp(Remote, 443, Shared, 11001, TcpFlags.Syn, ttl: 63))))
            .Counted(("from-internet-captured", 2), ("from-internet-received", 2), ("from-internet-forwarded", 2), ("to-smap-sent", 2));
    }

    [Fact]
    public void Udp_from_a_smap_leaves_its_softwire_for_the_internet()
    {
        using var run = CaptureRun.OfPrr(Configuration(), fromSmap: Timed.Each(
            Packets.Softwire(HomeA, Prr, Packets.Udp(Shared, 10500, Remote, 53, payload: 30))));
        run.Sent(ipv4: Timed.Each(Packets.Udp(Shared, 10500, Remote, 53, payload: 30, ttl: 63)))
            .Counted(("from-smap-captured", 1), ("from-smap-received", 1), ("from-smap-forwarded", 1), ("to-internet-sent", 1));
    }

    [Fact]
    public void A_question_and_its_answer_cross_the_prr_in_the_order_of_their_times()
    {
        byte[] query = Packets.Udp(Shared, 11500, Remote, 53, payload: 20), answer = Packets.Udp(Remote, 53, Shared, 11500, payload: 90);
        using var run = CaptureRun.OfPrr(Configuration(),
            fromInternet: [new Timed(Timed.Start + 30_000_000, answer)],
            fromSmap: [new Timed(Timed.Start, Packets.Softwire(HomeB, Prr, query))]);
        run.Sent(
            ipv4: [new Timed(Timed.Start, Packets.Udp(Shared, 11500, Remote, 53, payload: 20, ttl: 63))],
            ipv6: [new Timed(Timed.Start + 30_000_000, Packets.Softwire(Prr, HomeB, Packets.Udp(Remote, 53, Shared, 11500, payload: 90, ttl: 63)))]);
    }

    [Fact]
    public void A_ping_goes_by_its_identifier_and_an_icmp_error_by_the_packet_it_is_about()
    {
        byte[] about = Packets.Udp(Shared, 11500, Remote, 33434, ttl: 1);
        byte[] error = Packets.IcmpError("203.0.113.9", Shared, about, IcmpV4Type.TimeExceeded, code: 0);
        byte[] forwarded = [.. error];
        forwarded[8] = 63;
        using var run = CaptureRun.OfPrr(Configuration(), fromInternet: Timed.Each(Packets.Echo(Remote, Shared, 10001), error));
        run.Sent(ipv6: Timed.Each(Packets.Softwire(Prr, HomeA, Packets.Echo(Remote, Shared, 10001, ttl: 63)),
            Packets.Softwire(Prr, HomeB, Packets.MendHeader(forwarded))));
    }

    [Fact]
    public void Home_a_reaches_home_b_behind_the_same_address_through_the_prr()
    {
        using var run = CaptureRun.OfPrr(Configuration(), fromSmap: Timed.Each(
            Packets.Softwire(HomeA, Prr, Packets.Tcp(Shared, 10100, Shared, 11100, TcpFlags.Syn))));
        run.Sent(ipv6: Timed.Each(Packets.Softwire(Prr, HomeB, Packets.Tcp(Shared, 10100, Shared, 11100, TcpFlags.Syn, ttl: 63))))
            .Counted(("from-smap-captured", 1), ("from-smap-received", 1), ("from-smap-hairpinned", 1), ("to-smap-sent", 1));
    }

    [Fact]
    public void Nothing_that_pretends_to_be_somebody_else_comes_through_and_each_lie_has_its_counter()
    {
        using var run = CaptureRun.OfPrr(Configuration(), fromSmap: Timed.Each(
            Packets.Softwire("2001:db8:bad::1", Prr, Packets.Udp(Shared, 10100, Remote, 53)),
            Packets.Softwire(HomeA, Prr, Packets.Udp(Whole, 10100, Remote, 53)),
            Packets.Softwire(HomeA, Prr, Packets.Udp(Shared, 11100, Remote, 53)),
            Packets.Softwire(HomeA, "2001:db8::2", Packets.Udp(Shared, 10100, Remote, 53))));
        run.Sent().Counted(("from-smap-captured", 4), ("from-smap-received", 4), ("from-smap-dropped", 4), ("from-smap-drop-unknown-softwire", 1),
            ("from-smap-drop-source-address-not-bound", 1), ("from-smap-drop-source-port-not-bound", 1), ("from-smap-drop-not-for-us", 1));
    }

    [Fact]
    public void A_smap_that_fails_the_source_check_is_told_where_configured()
    {
        using var run = CaptureRun.OfPrr(Configuration(o => o with { SendIcmpV6Errors = true }), fromSmap: Timed.Each(
            Packets.Softwire(HomeA, Prr, Packets.Udp(Shared, 11100, Remote, 53))));
        run.Counted(("from-smap-captured", 1), ("from-smap-received", 1), ("from-smap-dropped", 1), ("from-smap-drop-source-port-not-bound", 1),
            ("icmpv6-sent", 1), ("to-smap-sent", 1));
        byte[] error = Assert.Single(run.IPv6).Packet;
        Assert.Equal([1, 5], error[40..42]);
        Assert.Equal(IPv6Address.Parse(HomeA), IPv6Address.Read(error.AsSpan(24)));
    }

    [Fact]
    public void The_softwire_end_answers_a_ping()
    {
        using var run = CaptureRun.OfPrr(Configuration(), fromSmap: Timed.Each(Packets.PingV6(HomeA, Prr)));
        run.Counted(("from-smap-captured", 1), ("from-smap-received", 1), ("from-smap-answered", 1), ("icmpv6-sent", 1), ("to-smap-sent", 1));
        Assert.Equal(129, Assert.Single(run.IPv6).Packet[40]);
    }

    [Fact]
    public void The_rate_limit_of_errors_follows_the_time_of_the_capture()
    {
        // The bucket holds 50, is full again after a second and half full after half of one.
        byte[] expiring = Packets.Udp(Remote, 53, Shared, 10100, ttl: 1);
        Timed[] packets = [.. At(0, 100), .. At(1_000_000_000, 100), .. At(1_500_000_000, 100)];
        using var run = CaptureRun.OfPrr(Configuration(o => o with { SendIcmpV4Errors = true, IcmpErrorsPerSecond = 50, IcmpErrorsPerHost = 50 }), fromInternet: packets);
        run.Counted(("from-internet-captured", 300), ("from-internet-received", 300), ("from-internet-dropped", 300), ("from-internet-drop-ttl-expired", 300),
            ("icmpv4-sent", 125), ("icmp-suppressed", 175), ("to-internet-sent", 125));
        Assert.Equal([50, 50, 25], run.IPv4.GroupBy(p => p.Timestamp).Select(g => g.Count()));

        IEnumerable<Timed> At(long offset, int count) => Enumerable.Range(0, count).Select(_ => new Timed(Timed.Start + offset, expiring));
    }

    [Fact]
    public void A_capture_gives_the_same_octets_every_time()
    {
        Timed[] internet = Timed.Each(PacketClasses().Where(c => !c.FromSmap).Select(c => c.Packet));
        Timed[] smap = Timed.Each(PacketClasses().Where(c => c.FromSmap).Select(c => c.Packet));
        using var once = CaptureRun.OfPrr(Configuration(), internet, smap);
        using var again = CaptureRun.OfPrr(Configuration(), internet, smap);
        foreach (string output in (string[])["ipv4.pcap", "ipv6.pcap"])
            Assert.Equal(File.ReadAllBytes(once.PathOf(output)), File.ReadAllBytes(again.PathOf(output)));
        Assert.Equal(once.Result.Named(), again.Result.Named());
    }

    /// <summary>One packet of every class and the counter beside received and captured that it moves.</summary>
    static (string Name, bool FromSmap, byte[] Packet, string Counter, bool Sends)[] PacketClasses() =>
    [
        ("bound", false, Packets.Udp(Remote, 53, Shared, 10100), "forwarded", true),
        ("bound to a whole address", false, Packets.IPv4(Remote, Whole, (IpProtocol)47, new byte[20]), "forwarded", true),
        ("unbound port", false, Packets.Udp(Remote, 53, Shared, 9999), "drop-no-binding", false),
        ("not shared", false, Packets.Udp(Remote, 53, "192.0.2.77", 9999), "drop-not-shared-address", false),
        ("without ports", false, Packets.IPv4(Remote, Shared, (IpProtocol)47, new byte[20]), "drop-protocol-without-ports", false),
        ("first fragment", false, Packets.Fragment(Packets.Udp(Remote, 53, Shared, 10100, payload: 64), 0, 64), "forwarded", true),
        ("later fragment", false, Packets.Fragment(Packets.Echo(Remote, Shared, 10100, payload: 64), 64, 8), "held", false),
        ("empty fragment", false, Packets.AsFragment(Packets.IPv4(Remote, Shared, IpProtocol.Udp, []), 8, more: false), "drop-bad-fragment", false),
        ("too big", false, Packets.Udp(Remote, 53, Shared, 10100, payload: 1433), "drop-too-big", true),
        ("expiring", false, Packets.Udp(Remote, 53, Shared, 10100, ttl: 1), "drop-ttl-expired", true),
        ("cut", false, Packets.Udp(Remote, 53, Shared, 10100)[..12], "drop-bad-ipv4-header", false),
        ("subscriber's", true, Packets.Softwire(HomeA, Prr, Packets.Tcp(Shared, 10100, Remote, 443)), "forwarded", true),
        ("to a neighbour", true, Packets.Softwire(HomeA, Prr, Packets.Tcp(Shared, 10100, Whole, 443)), "hairpinned", true),
        ("spoofed", true, Packets.Softwire(HomeB, Prr, Packets.Tcp(Shared, 10100, Remote, 443)), "drop-source-port-not-bound", false),
        ("ping", true, Packets.PingV6(HomeA, Prr), "answered", true),
        ("not IPv4", true, Packets.Softwire(HomeA, Prr, new byte[20], next: (IpProtocol)59), "drop-not-ipv4-in-ipv6", false),
    ];

    /// <summary>Fragments of one packet that wait; more come from nobody.</summary>
    const int MaxParts = 64;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(256)]
    public void A_burst_of_any_class_alone_meets_one_fate(int burst)
    {
        foreach ((string name, bool fromSmap, byte[] packet, string counter, bool sends) in PacketClasses())
        {
            if (counter == "held" && burst > MaxParts) continue;
            Timed[] packets = Timed.Each(Enumerable.Repeat(packet, burst));
            using var run = CaptureRun.OfPrr(Configuration(), fromSmap ? null : packets, fromSmap ? packets : null);
            Assert.True(burst == Counter(run, fromSmap, counter), $"{name}: {string.Join('\n', run.Result.Summary())}");
            Assert.Equal(sends ? burst : 0, run.IPv4.Count + run.IPv6.Count);
            Assert.Equal(packets.Where(_ => sends).Select(p => p.Timestamp), run.IPv4.Concat(run.IPv6).Select(p => p.Timestamp));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(256)]
    public void Bursts_of_all_classes_mixed_meet_the_same_fates_as_alone(int burst)
    {
        var classes = PacketClasses().Where(c => c.Counter != "held").ToArray();
        using var run = CaptureRun.OfPrr(Configuration(), Mixed(fromSmap: false), Mixed(fromSmap: true));
        foreach (var fates in classes.GroupBy(c => (c.FromSmap, c.Counter)))
            Assert.Equal(burst * fates.Count(), Counter(run, fates.Key.FromSmap, fates.Key.Counter));
        Assert.Equal(burst * classes.Count(c => c.Sends), run.IPv4.Count + run.IPv6.Count);

        Timed[] Mixed(bool fromSmap) => Timed.Each(Enumerable.Range(0, burst).SelectMany(_ => classes.Where(c => c.FromSmap == fromSmap).Select(c => c.Packet)));
    }

    static long Counter(CaptureRun run, bool fromSmap, string name) =>
        run.Result.Named().Single(c => c.Key == $"{(fromSmap ? "from-smap" : "from-internet")}-{name}").Value;
}
