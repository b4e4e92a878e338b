using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Wire;
using static APlusP.Tests.Forwarding.PrrScene;
using static APlusP.Tests.Forwarding.OnTheWire;

namespace APlusP.Tests.Forwarding;

/// <summary>Fragments through the PRR, inner and outer, in every order, and what hostile ones do.</summary>
public class FragmentTests
{
    const string Server = "198.51.100.7:53";

    readonly HandClock _time = new();

    PortRangeRouter Router(PrrOptions? options = null) => PrrScene.Router(options ?? Options with { TtlAlreadyTaken = true }, _time);

    public static TheoryData<int, int, int[], int[]> Vectors => new()
    {
        { 1461, 1500, [1448, 13], [1496, 61] },
        { 1500, 1500, [1448, 52], [1496, 100] },
        { 1500, 1460, [1408, 92], [1456, 140] },
        { 1500, 1280, [1232, 268], [1280, 316] },
        { 1241, 1280, [1232, 9], [1280, 57] },
        { 1240, 1280, [1240], [1280] },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public void A_packet_that_may_be_fragmented_goes_in_fragments_of_the_softwire_and_the_inner_packet_stays_whole(int inner, int pathMtu, int[] payloads, int[] totals)
    {
        byte[] packet = Packets.MayBeFragmented(Packets.Udp(Server, "192.0.2.50:10000", inner - 28));
        var binding = new APlusP.Core.Bindings.Binding(IPv4Address.Parse("192.0.2.50"), APlusP.Core.PortSets.PortSet.Parse("10000-10999"),
            IPv6Address.Parse(Anna), IPv6Address.Parse(Border), pathMtu - 40);
        var router = new PortRangeRouter(APlusP.Core.Bindings.BindingTable.Build([binding]), Options with { TtlAlreadyTaken = true }, _time);
        List<byte[]> sent = Through(router, Origin.FromInternet, packet);
        Assert.Equal(totals, sent.Select(p => p.Length));
        int header = sent.Count > 1 ? 48 : 40;
        Assert.Equal(payloads, sent.Select(p => p.Length - header));
        Assert.Equal(packet, sent.SelectMany(p => p[header..]));

        // Octet by octet, by a builder of the tests' own; the identification counts from 1.
        byte[] whole = Packets.Encapsulate(packet, Border, Anna);
        if (sent.Count > 1) Assert.Equal(OuterParts(whole, sent[0][47], payloads[0], inner), sent);
        else Assert.Equal(whole, sent[0]);
    }

    [Fact]
    public void A_packet_of_65535_octets_goes_through_a_path_of_1280()
    {
        byte[] packet = Packets.MayBeFragmented(Packets.Udp(Server, "192.0.2.1:11001", 65535 - 28));
        var batch = new PacketBatch(1, 66000);
        batch.TryAdd(packet, Origin.FromInternet);
        PortRangeRouter router = Router();
        router.Process(batch);
        var whole = new List<byte>();
        int pieces = 0;
        for (int taken = 0; batch.TryTakePiece(0, ref taken, out ReadOnlySpan<byte> piece); pieces++)
        {
            Assert.InRange(piece.Length, 49, 1280);
            whole.AddRange(piece[48..]);
        }

        Assert.Equal((65535 + 1231) / 1232, pieces);
        Assert.Equal(packet, whole);
    }

    [Fact]
    public void Who_forbids_fragments_hears_the_size_and_is_fragmented_where_the_operator_says_so()
    {
        byte[] packet = Packets.Udp(Server, "192.0.2.1:11001", 1500 - 28);
        byte[] error = Assert.Single(Through(Router(), Origin.FromInternet, packet));
        Assert.Equal([3, 4], error[20..22]);
        Assert.Equal([1240 >> 8, 1240 & 255], error[26..28]);
        Assert.Equal([1280, 316], Through(Router(Options with { IgnoreDontFragment = true, TtlAlreadyTaken = true }), Origin.FromInternet, packet).Select(p => p.Length));
    }

    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(2, 1, 0)]
    [InlineData(1, 0, 2)]
    [InlineData(2, 0, 1)]
    public void Outer_fragments_are_put_together_in_any_order(params int[] order)
    {
        byte[] inner = Packets.Udp("192.0.2.1:10000", Server, 1400);
        byte[][] parts = OuterParts(FromAnna(inner), 99, 512, 1024, inner.Length);
        PortRangeRouter router = Router();
        Assert.Equal(inner, Assert.Single(Through(router, Origin.FromSmap, order.Select(i => parts[i]))));
        AccountsBalance(router.Counters);
        Assert.Equal(2, router.Counters.Packets(Origin.FromSmap, Fate.Consumed));
        Assert.Equal(1, router.Counters.Packets(Origin.FromSmap, Fate.Forwarded));
        Assert.Equal(0, router.Counters.Packets(Origin.FromSmap, Fate.Held));
    }

    [Fact]
    public void Fragments_of_two_subscribers_with_one_identification_are_kept_apart()
    {
        byte[] a = Packets.Udp("192.0.2.1:10000", Server, 1400), b = Packets.Udp("192.0.2.1:11001", Server, 1400);
        byte[][] ofAnna = OuterParts(FromAnna(a), 5, 800, a.Length), ofBerta = OuterParts(Packets.Encapsulate(b, Berta, Border), 5, 800, b.Length);
        Assert.Equal([a, b], Through(Router(), Origin.FromSmap, ofAnna[0], ofBerta[0], ofAnna[1], ofBerta[1]));
    }

    [Fact]
    public void Congestion_met_by_one_fragment_is_met_by_the_packet()
    {
        byte[] inner = Packets.Udp("192.0.2.1:10000", Server, 1400, trafficClass: Packets.Ect0);
        byte[][] parts = OuterParts(FromAnna(inner, Packets.Ect0), 5, 800, inner.Length);
        parts[1][1] |= Packets.Ce << 4;
        Assert.Equal(Packets.Ce, Assert.Single(Through(Router(), Origin.FromSmap, parts))[1] & 3);
    }

    [Fact]
    public void Fragments_that_overlap_condemn_their_packet_and_no_other()
    {
        byte[] inner = Packets.Udp("192.0.2.1:10000", Server, 1400);
        byte[] whole = FromAnna(inner);
        PortRangeRouter router = Router();
        Assert.Empty(Through(router, Origin.FromSmap, OuterPart(whole, 0, 512, true), OuterPart(whole, 504, 1000, true), OuterPart(whole, 512, inner.Length, false)));
        Assert.Equal(3, router.Counters.Drops(Origin.FromSmap, DropReason.FragmentOverlap));
        Assert.Single(Through(router, Origin.FromSmap, OuterParts(whole, 8, 512, inner.Length)));
        AccountsBalance(router.Counters);
    }

    [Fact]
    public void Fragments_that_contradict_each_other_about_the_end_condemn_their_packet()
    {
        byte[] whole = FromAnna(Packets.Udp("192.0.2.1:10000", Server, 1400));
        PortRangeRouter router = Router();
        Assert.Empty(Through(router, Origin.FromSmap, OuterPart(whole, 800, 1000, false), OuterPart(whole, 1000, 1200, true)));
        Assert.Equal(2, router.Counters.Drops(Origin.FromSmap, DropReason.FragmentOverlap));
        Assert.Empty(Through(router, Origin.FromSmap, OuterPart(whole, 1000, 1200, true, 9), OuterPart(whole, 8, 1000, false, 9)));
        Assert.Equal(4, router.Counters.Drops(Origin.FromSmap, DropReason.FragmentOverlap));
    }

    [Fact]
    public void A_duplicate_outer_fragment_does_no_harm()
    {
        byte[] inner = Packets.Udp("192.0.2.1:10000", Server, 1400);
        byte[][] parts = OuterParts(FromAnna(inner), 99, 512, inner.Length);
        PortRangeRouter router = Router();
        Assert.Single(Through(router, Origin.FromSmap, parts[1], parts[1], parts[0]));
        Assert.Equal(1, router.Counters.Drops(Origin.FromSmap, DropReason.DuplicateFragment));
        AccountsBalance(router.Counters);
    }

    [Fact]
    public void What_never_becomes_whole_is_given_up_after_its_time()
    {
        byte[] inner = Packets.Udp("192.0.2.1:10000", Server, 1400);
        PortRangeRouter router = Router();
        byte[][] parts = OuterParts(FromAnna(inner), 99, 512, inner.Length);
        Assert.Empty(Through(router, Origin.FromSmap, parts[0]));
        Assert.Empty(Through(router, Origin.FromInternet, Packets.Fragment(Packets.Udp(Server, "192.0.2.1:10000", 100), 64, 64)));
        Assert.Equal(1, router.Counters.Packets(Origin.FromSmap, Fate.Held));
        _time.Advance(TimeSpan.FromSeconds(10));
        router.MillisecondsUntilDue(1000);
        Assert.Equal(1, router.Counters.Drops(Origin.FromInternet, DropReason.FragmentTimeout));
        Assert.Equal(0, router.Counters.Drops(Origin.FromSmap, DropReason.FragmentTimeout));
        _time.Advance(TimeSpan.FromSeconds(50));
        router.MillisecondsUntilDue(1000);
        Assert.Equal(1, router.Counters.Drops(Origin.FromSmap, DropReason.FragmentTimeout));
        AccountsBalance(router.Counters);

        // The rest alone makes no packet any more; what is sent tells of the first.
        Assert.Equal([Border, Anna], Through(router, Origin.FromSmap, parts[1]).SelectMany(p => new[] { $"{IPv6Address.Read(p.AsSpan(8))}", $"{IPv6Address.Read(p.AsSpan(24))}" }));
        Assert.Equal(1, router.Counters.Packets(Origin.FromSmap, Fate.Held));
    }

    [Fact]
    public void Who_sent_the_first_fragment_hears_that_the_rest_did_not_come()
    {
        byte[] inner = Packets.Udp("192.0.2.1:10000", Server, 1400);
        byte[] labelled = FromAnna(inner, trafficClass: 0x28);
        (labelled[2], labelled[3]) = (0xab, 0xcd);
        byte[][] parts = OuterParts(labelled, 99, 512, 1024, inner.Length), lone = OuterParts(FromAnna(inner), 100, 512, inner.Length);
        PortRangeRouter router = Router();
        Assert.Empty(Through(router, Origin.FromSmap, parts[1], parts[0], lone[1]));
        byte[] error = Assert.Single(AfterTheTimeout(router));
        Assert.Equal(Packets.IcmpV6Error(Border, Anna, parts[0], IcmpV6Type.TimeExceeded, code: 1), error);
        Assert.Equal(1, router.Counters.IcmpV6Sent);
        Assert.Equal(3, router.Counters.Drops(Origin.FromSmap, DropReason.FragmentTimeout));
        AccountsBalance(router.Counters);
        Assert.Empty(AfterTheTimeout(router));

        // A packet that became whole, and one of which the first came twice.
        Assert.Single(Through(router, Origin.FromSmap, parts));
        Assert.Empty(Through(router, Origin.FromSmap, lone[0], lone[0]));
        Assert.Single(AfterTheTimeout(router));
        AccountsBalance(router.Counters);
    }

    [Fact]
    public void The_lost_fragment_is_told_of_with_the_extension_headers_of_the_first_and_never_about_an_error()
    {
        byte[] whole = Packets.Encapsulate(Packets.Udp("192.0.2.1:10000", Server, 1400), Anna, Border, 0, Packets.EncapsulationLimit);
        byte[] first = [.. whole[..48], (byte)IpProtocol.IPv4, 0, 0, 1, 0, 0, 0, 9, .. whole[48..1048]];
        first[40] = (byte)IpProtocol.Fragment;
        (first[4], first[5]) = ((byte)((first.Length - 40) >> 8), (byte)(first.Length - 40));
        PortRangeRouter router = Router();
        Assert.Empty(Through(router, Origin.FromSmap, first));
        Assert.Equal(Packets.IcmpV6Error(Border, Anna, first, IcmpV6Type.TimeExceeded, code: 1), Assert.Single(AfterTheTimeout(router)));

        byte[] ping = Packets.IcmpV6(Anna, Border, IcmpV6Type.EchoRequest, payload: 2000), told = Packets.IcmpV6(Anna, Border, IcmpV6Type.PacketTooBig, payload: 2000);
        Assert.Empty(Through(router, Origin.FromSmap, OuterPart(ping, 0, 1000, true, 1), OuterPart(told, 0, 1000, true, 2)));
        Assert.Equal(OuterPart(ping, 0, 1000, true, 1), Assert.Single(AfterTheTimeout(router))[48..]);
        AccountsBalance(router.Counters);
    }

    [Fact]
    public void Who_loses_many_fragments_hears_of_as_many_as_the_rate_limit_lets_through()
    {
        byte[] inner = Packets.Udp("192.0.2.1:10000", Server, 1400);
        PortRangeRouter router = Router(Options with { TtlAlreadyTaken = true, IcmpErrorsPerSecond = 100, IcmpErrorsPerHost = 5 });
        Assert.Empty(Through(router, Origin.FromSmap, Enumerable.Range(0, 40).Select(i => OuterParts(FromAnna(inner), (uint)i, 8, inner.Length)[0])));
        Assert.Equal(5, AfterTheTimeout(router).Count);
        Assert.Equal(5, router.Counters.IcmpV6Sent);
        Assert.Equal(35, router.Counters.IcmpSuppressed);
        Assert.Equal(40, router.Counters.Drops(Origin.FromSmap, DropReason.FragmentTimeout));
        Assert.Equal(1000, router.MillisecondsUntilDue(1000));
    }

    /// <summary>A minute later: what is sent to tell of what did not come.</summary>
    List<byte[]> AfterTheTimeout(PortRangeRouter router)
    {
        _time.Advance(TimeSpan.FromSeconds(60));
        router.MillisecondsUntilDue(1000);
        return Through(router, Origin.FromSmap, Packets.IcmpV6(Anna, Border, IcmpV6Type.EchoReply));
    }

    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(2, 1, 0)]
    [InlineData(1, 2, 0)]
    [InlineData(1, 0, 2)]
    public void Fragments_from_the_internet_follow_the_first_to_its_subscriber_in_any_order(params int[] order)
    {
        byte[] packet = Packets.Udp(Server, "192.0.2.1:11500", 1200);
        byte[][] parts = Parts(packet, 400, 800, 1208);
        PortRangeRouter router = Router();
        List<byte[]> sent = Through(router, Origin.FromInternet, order.Select(i => parts[i]));
        Assert.Equal(parts.Select(p => Packets.Encapsulate(p, Border, Berta)).Select(Convert.ToHexString).Order(), sent.Select(Convert.ToHexString).Order());
        AccountsBalance(router.Counters);
        Assert.Equal(3, router.Counters.Packets(Origin.FromInternet, Fate.Forwarded));
    }

    [Fact]
    public void Fragments_of_a_large_ping_follow_its_identifier()
    {
        byte[][] parts = Parts(Packets.Echo("198.51.100.7", Shared, 11007, payload: 1600), 800, 1608);
        Assert.Equal(parts.Select(p => Packets.Encapsulate(p, Border, Berta)), Through(Router(), Origin.FromInternet, parts));
    }

    [Theory]
    [InlineData(Origin.FromInternet)]
    [InlineData(Origin.FromSmap)]
    public void The_segment_size_is_lowered_in_a_first_fragment_and_never_in_a_later_one(Origin origin)
    {
        // A SYN with data, of which the later fragment begins with what would be a SYN itself; the option stands at an odd place.
        byte[] syn = new byte[28], segment = new byte[704];
        (syn[12], syn[13]) = (28 / 4 << 4, (byte)TcpFlags.Syn);
        ((byte[])[1, 2, 4, 0x05, 0xb4]).CopyTo(syn, 20);
        (string source, string destination) = origin == Origin.FromInternet ? ("198.51.100.7", Shared) : (Shared, "198.51.100.7");
        syn.CopyTo(segment, 0);
        (segment[0], segment[1], segment[2], segment[3]) = (11500 >> 8, 11500 & 255, 11500 >> 8, 11500 & 255);
        segment.AsSpan(0, 28).CopyTo(segment.AsSpan(304));
        byte[] packet = Packets.IPv4(source, destination, IpProtocol.Tcp, segment, checksumAt: 16);
        byte[][] parts = Parts(packet, 304, 704);
        int outer = origin == Origin.FromInternet ? 40 : 0;
        IEnumerable<byte[]> sent = Through(Router(), origin, origin == Origin.FromInternet ? parts : parts.Select(p => Packets.Encapsulate(p, Berta, Border)));
        byte[] whole = Join(sent.Select(p => p[outer..]));
        Assert.Equal(1200, whole[20 + 23] << 8 | whole[20 + 24]);
        Assert.Equal(packet[(20 + 304)..], whole[(20 + 304)..]);
        Assert.True(Packets.HasRightChecksums(whole));
    }

    [Fact]
    public void Fragments_to_a_port_that_nobody_has_are_dropped_like_the_first()
    {
        PortRangeRouter router = Router();
        Assert.Empty(Through(router, Origin.FromInternet, Parts(Packets.Udp(Server, "192.0.2.1:9999", 1200), 400, 800, 1208)));
        Assert.Equal(3, router.Counters.Drops(Origin.FromInternet, DropReason.NoBinding));
    }

    [Fact]
    public void Fragments_from_a_subscriber_pass_the_source_check_by_the_ports_of_the_first()
    {
        byte[][] parts = Parts(Packets.Udp("192.0.2.1:10000", Server, 1200), 400, 800, 1208);
        PortRangeRouter router = Router();
        List<byte[]> sent = Through(router, Origin.FromSmap, FromAnna(parts[2]), FromAnna(parts[1]), FromAnna(parts[0]));
        Assert.Equal(parts[0], sent[0]);
        Assert.Equal(parts.Select(Convert.ToHexString).Order(), sent.Select(Convert.ToHexString).Order());

        // Berta sends later fragments of Anna's packet: they are hers, and wait for a first of hers.
        Assert.Empty(Through(router, Origin.FromSmap, Packets.Encapsulate(parts[1], Berta, Border)));
        AccountsBalance(router.Counters);
    }

    [Fact]
    public void Fragments_hairpin_by_the_ports_of_the_first()
    {
        byte[] packet = Packets.Udp("192.0.2.1:10000", "192.0.2.18:1232", 1200, ttl: 64);
        byte[][] parts = Parts(packet, 400, 1208);
        PortRangeRouter router = Router();
        List<byte[]> sent = Through(router, Origin.FromSmap, FromAnna(parts[1]), FromAnna(parts[0]));
        Assert.Equal([Packets.Encapsulate(Packets.Ttl(parts[0], 63), Border, Dora), Packets.Encapsulate(Packets.Ttl(parts[1], 63), Border, Dora)], sent);
        Assert.Equal(2, router.Counters.Packets(Origin.FromSmap, Fate.Hairpinned));
    }

    [Fact]
    public void A_flood_of_fragments_is_bounded_and_costs_the_newest_nothing()
    {
        var options = new FragmentOptions { MaxPackets = 64, MaxOctets = 64 * 512 };
        PortRangeRouter router = Router(Options with { TtlAlreadyTaken = true, Fragments = options });
        var random = new Random(1);
        byte[] packet = Packets.Udp(Server, "192.0.2.1:11500", 1200);
        for (int i = 0; i < 5000; i++)
        {
            byte[] junk = Packets.Fragment(Packets.Udp($"203.0.113.{random.Next(256)}:53", "192.0.2.1:11500", 500), random.Next(2) * 256, 256);
            junk[4] = (byte)random.Next(256);
            junk[5] = (byte)i;
            Through(router, Origin.FromInternet, Packets.MendHeader(junk));
        }

        Assert.True(router.Counters.Drops(Origin.FromInternet, DropReason.FragmentsExceeded) > 1000);
        Assert.InRange(router.Counters.Packets(Origin.FromInternet, Fate.Held), 1, 64);
        Assert.Equal(2, Through(router, Origin.FromInternet, Parts(packet, 800, 1208).Reverse()).Count);
        AccountsBalance(router.Counters);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_flood_of_one_sender_pushes_out_its_own_fragments_and_nobody_elses(bool first)
    {
        PortRangeRouter router = Router(Options with { TtlAlreadyTaken = true, Fragments = new FragmentOptions { MaxPackets = 1024, MaxOctets = 1024 * 512 } });
        byte[] packet = Packets.Udp(Server, "192.0.2.1:11500", 1200), ofAnna = Packets.Udp("192.0.2.1:10000", Server, 1200), alsoOfAnna = Packets.Udp("192.0.2.1:10000", Server, 1400);
        byte[][] parts = Parts(packet, 400, 808, 1208), annas = Parts(ofAnna, 400, 1208), outer = OuterParts(FromAnna(alsoOfAnna), 5, 800, alsoOfAnna.Length);
        Assert.Empty(Through(router, Origin.FromInternet, parts[2]));
        Assert.Empty(Through(router, Origin.FromSmap, FromAnna(annas[1]), outer[1]));
        for (int i = 0; i < 20_000; i++)
        {
            byte[] junk = Packets.Fragment(Packets.Udp("203.0.113.9:53", "192.0.2.1:11500", 500), first ? 0 : 256, 256), spoilt = FromBerta(i);
            (junk[4], junk[5]) = ((byte)(i >> 8), (byte)i);
            Through(router, Origin.FromInternet, Packets.MendHeader(junk));
            Through(router, Origin.FromSmap, spoilt);
        }

        Assert.True(router.Counters.Drops(Origin.FromSmap, DropReason.FragmentsExceeded) > 10_000);
        if (!first) Assert.True(router.Counters.Drops(Origin.FromInternet, DropReason.FragmentsExceeded) > 10_000);
        Assert.Equal(3, Through(router, Origin.FromInternet, parts[..2]).Count);
        Assert.Equal(2, Through(router, Origin.FromSmap, FromAnna(annas[0])).Count);
        Assert.Equal(alsoOfAnna, Assert.Single(Through(router, Origin.FromSmap, outer[0])));
        AccountsBalance(router.Counters);

        // Of the flood itself the newest are there still.
        byte[] rest = OuterPart(Packets.Encapsulate(Packets.Udp("192.0.2.1:11001", Server, 1400), Berta, Border), 800, 1428, false, 19_999);
        Assert.Single(Through(router, Origin.FromSmap, rest));

        static byte[] FromBerta(int i) => OuterPart(Packets.Encapsulate(Packets.Udp("192.0.2.1:11001", Server, 1400), Berta, Border), 0, 800, true, (uint)i);
    }

    [Fact]
    public void Who_has_flooded_may_hold_as_much_again_when_that_is_gone()
    {
        PortRangeRouter router = Router(Options with { TtlAlreadyTaken = true, Fragments = new FragmentOptions { MaxPackets = 1024, MaxOctets = 4096 * 512 } });
        // Three quarters, and the one that makes it more than three times the rest.
        Assert.Equal((769, 769), (Flood(), Flood()));

        int Flood()
        {
            for (int i = 0; i < 3000; i++)
            {
                // Later ones, of which some are followed by their first and go on.
                byte[] packet = Packets.Udp("203.0.113.9:53", "192.0.2.1:11500", 1200), junk = Packets.Fragment(packet, 600, 600), first = Packets.Fragment(packet, 0, 600);
                (junk[4], junk[5], first[4], first[5]) = ((byte)(i >> 8), (byte)i, (byte)(i >> 8), (byte)i);
                Assert.Equal(i % 3 == 0 ? 2 : 0, Through(router, Origin.FromInternet, [Packets.MendHeader(junk), .. i % 3 == 0 ? (byte[][])[Packets.MendHeader(first)] : []]).Count);
            }

            int held = router.FragmentUse.Inner.Packets;
            _time.Advance(TimeSpan.FromSeconds(10));
            for (int i = 0; i < 8; i++) router.MillisecondsUntilDue(1000);
            Assert.Equal((0, 0L), (router.FragmentUse.Inner.Packets, router.FragmentUse.Inner.Octets));
            AccountsBalance(router.Counters);
            return held;
        }
    }

    [Fact]
    public void Many_senders_together_leave_room_for_another()
    {
        PortRangeRouter router = Router(Options with { TtlAlreadyTaken = true, Fragments = new FragmentOptions { MaxPackets = 1024, MaxOctets = 1024 * 512 } });
        byte[][] parts = Parts(Packets.Udp(Server, "192.0.2.1:11500", 1200), 400, 1208);
        Assert.Empty(Through(router, Origin.FromInternet, parts[1]));
        for (int i = 0; i < 20_000; i++)
        {
            byte[] junk = Packets.Fragment(Packets.Udp($"203.0.113.{i % 20}:53", "192.0.2.1:11500", 500), 256, 256);
            (junk[4], junk[5]) = ((byte)(i >> 8), (byte)i);
            Through(router, Origin.FromInternet, Packets.MendHeader(junk));
        }

        Assert.True(router.Counters.Packets(Origin.FromInternet, Fate.Held) < 1024);
        Assert.Equal(2, Through(router, Origin.FromInternet, parts[0]).Count);
        AccountsBalance(router.Counters);
    }

    [Fact]
    public void What_fragments_hold_and_the_most_that_they_held_is_known()
    {
        var options = new FragmentOptions { MaxPackets = 64, MaxOctets = 64 * 512 };
        PortRangeRouter router = Router(Options with { TtlAlreadyTaken = true, Fragments = options });
        byte[] inner = Packets.Udp("192.0.2.1:10000", Server, 1400);
        byte[][] outer = OuterParts(FromAnna(inner), 99, 1200, inner.Length);
        Assert.Equal(new FragmentUse(0, 64, 0, 64 * 512), router.FragmentUse.Outer);
        Through(router, Origin.FromSmap, outer[0]);
        Assert.Equal(new FragmentUse(1, 64, 3 * 512, 64 * 512), router.FragmentUse.Outer);
        Through(router, Origin.FromSmap, outer[1]);
        Through(router, Origin.FromInternet, Enumerable.Range(1, 32).Select(i => Packets.Fragment(Packets.Udp($"198.51.100.{i}:53", "192.0.2.1:11500", 1200), 400, 400)));
        Assert.Equal(50, router.FragmentUse.Inner.Percent);
        Assert.Equal((6, 50), (router.TakeFragmentPeak() is var peak ? peak.Outer.Percent : 0, peak.Inner.Percent));
        Assert.Equal((0, 50), (router.TakeFragmentPeak() is var later ? later.Outer.Percent : 0, later.Inner.Percent));
    }

    [Fact]
    public void A_packet_in_more_parts_than_anybody_sends_is_not_kept()
    {
        byte[] packet = Packets.Udp(Server, "192.0.2.1:11500", 1200);
        PortRangeRouter router = Router();
        Through(router, Origin.FromInternet, Enumerable.Range(1, 100).Select(i => Packets.Fragment(packet, i * 8, 8)));
        Assert.Equal(64, router.Counters.Packets(Origin.FromInternet, Fate.Held));
        Assert.Equal(36, router.Counters.Drops(Origin.FromInternet, DropReason.FragmentsExceeded));
    }

    [Fact]
    public void Fragments_allocate_nothing()
    {
        byte[][] outer = OuterParts(FromAnna(Packets.Udp("192.0.2.1:10000", Server, 1400)), 99, 512, 1428);
        byte[][] inner = Parts(Packets.Udp(Server, "192.0.2.1:11500", 1200), 400, 1208);
        PortRangeRouter router = Router();
        var batch = new PacketBatch(8, 9000);
        var allocations = new Allocations();
        for (int round = 0; round < 20; round++)
        {
            allocations.Forget();
            batch.Clear();
            foreach (byte[] part in outer) batch.TryAdd(part, Origin.FromSmap);
            batch.TryAdd(outer[0], Origin.FromSmap);
            batch.TryAdd(inner[1], Origin.FromInternet);
            batch.TryAdd(inner[0], Origin.FromInternet);
            router.Process(batch);
            while (router.Continue(batch))
            {
            }

            _time.Advance(TimeSpan.FromSeconds(61));
            allocations.Read();
        }

        allocations.WereNone();
    }
}
