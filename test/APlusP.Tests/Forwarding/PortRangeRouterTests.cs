using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;
using CsCheck;
using static APlusP.Tests.Forwarding.PrrScene;

namespace APlusP.Tests.Forwarding;

public class PortRangeRouterTests
{
    const string Server = "198.51.100.7:443";

    static readonly DropReason[] s_onlySmap =
    [
        DropReason.None, DropReason.NotFromPrr, DropReason.SourceNotByRule, DropReason.NotOurPort, DropReason.NoMapping, DropReason.Filtered, DropReason.PortsExhausted,
        DropReason.HostLimit, DropReason.FlowTableFull, DropReason.SourceNotLan, DropReason.NoSoftwire,
    ];

    /// <summary>What one packet alone cannot meet; <see cref="FragmentTests"/> shows these.</summary>
    static readonly DropReason[] s_ofSeveralPackets =
        [DropReason.DuplicateFragment, DropReason.FragmentOverlap, DropReason.FragmentTimeout, DropReason.FragmentsExceeded];

    public static TheoryData<string> Classes => PrrPacketClasses.Names;

    [Theory]
    [MemberData(nameof(Classes))]
    public void Every_class_of_packet_meets_its_fate(string name)
    {
        PacketClass packet = PrrPacketClasses.Named(name);
        Result result = Router(packet.Options).Send(packet.Origin, packet.Octets);
        result.Is(packet.Expected);
        Assert.Equal(packet.Expected.Sends, result.Sent.Length > 0);
        if (packet.Sent is not null) Assert.Equal(packet.Sent, result.Sent);
    }

    [Fact]
    public void Every_drop_reason_that_a_prr_knows_is_met_by_some_class()
    {
        DropReason[] met = [.. PrrPacketClasses.All.Select(c => c.Expected.Reason).Distinct()];
        Assert.Empty(Enum.GetValues<DropReason>().Except(s_onlySmap).Except(s_ofSeveralPackets).Except(met));
        Assert.Empty(met.Intersect(s_onlySmap.Except([DropReason.None])));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(256)]
    public void A_burst_of_one_class_is_treated_packet_by_packet(int burst)
    {
        foreach (PacketClass packet in PrrPacketClasses.Stateless)
        {
            Result[] results = Router(packet.Options).Run([.. Enumerable.Repeat((packet.Origin, packet.Octets), burst)]);
            Result alone = Router(packet.Options).Send(packet.Origin, packet.Octets);
            foreach (Result result in results) Same(alone, result, packet.Name);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(256)]
    public void A_mixed_burst_is_treated_packet_by_packet(int burst)
    {
        var random = new Random(burst);
        PrrOptions[] allOptions = [Options, Telling, .. PrrPacketClasses.All.Select(c => c.Options).OfType<PrrOptions>().Distinct()];
        foreach (PrrOptions options in allOptions)
        {
            for (int round = 0; round < 4096 / burst / 8 + 1; round++)
            {
                (Origin, byte[])[] packets = [.. random.GetItems(PrrPacketClasses.Stateless, burst).Select(c => (c.Origin, c.Octets))];
                Result[] together = Router(options).Run(packets);
                PortRangeRouter single = Router(options);
                for (int i = 0; i < burst; i++) Same(single.Send(packets[i].Item1, packets[i].Item2), together[i], $"packet {i} of {burst}");
            }
        }
    }

    static void Same(Result expected, Result actual, string what)
    {
        Assert.True(expected.Verdict == actual.Verdict, $"{what}: {expected.Verdict} alone, {actual.Verdict} in a burst");
        Assert.True(expected.Sent.AsSpan().SequenceEqual(actual.Sent), $"{what}: other octets in a burst");
    }

    [Fact]
    public void What_is_encapsulated_and_decapsulated_is_what_it_was_but_for_its_ttl() =>
        Gen.Select(Gen.UShort[10000, 11000], Gen.UShort, Gen.Int[0, 1400], Gen.Byte[3, 255], Gen.Byte).Sample((port, remote, size, ttl, trafficClass) =>
        {
            // What comes in for Anna is put into her softwire; turned round at the other end, the same way out again.
            byte[] packet = Packets.Udp($"198.51.100.7:{remote}", $"192.0.2.1:{port}", size, ttl, trafficClass);
            Result inside = Router().FromInternet(packet);
            inside.IsForwardedAs(Packets.Encapsulate(Packets.Ttl(packet, (byte)(ttl - 1)), Border, Anna, trafficClass));
            Assert.Equal(Packets.Ttl(packet, (byte)(ttl - 1)), inside.Sent[40..]);

            byte[] reply = Packets.Udp($"192.0.2.1:{port}", $"198.51.100.7:{remote}", size, ttl, trafficClass);
            Router().FromSmap(FromAnna(reply, trafficClass)).IsForwardedAs(Packets.Ttl(reply, (byte)(ttl - 1)));
        }, iter: 300);

    /// <summary>RFC 6040 figure 4, by rows of the inner field: what the packet carries on; null is dropped.</summary>
    [Theory]
    [InlineData(Packets.NotEct, new[] { 0, 0, 0, -1 })]
    [InlineData(Packets.Ect0, new[] { 2, 2, 1, 3 })]
    [InlineData(Packets.Ect1, new[] { 1, 1, 1, 3 })]
    [InlineData(Packets.Ce, new[] { 3, 3, 3, 3 })]
    public void Congestion_marks_of_outside_and_inside_are_joined_as_rfc_6040_says(byte inner, int[] results)
    {
        byte[] outers = [Packets.NotEct, Packets.Ect0, Packets.Ect1, Packets.Ce];
        const byte dscp = 0xb8;
        for (int i = 0; i < 4; i++)
        {
            byte[] packet = Packets.Tcp("192.0.2.1:10000", Server, trafficClass: (byte)(dscp | inner));
            Result result = Router().FromSmap(FromAnna(packet, trafficClass: (byte)(0x28 | outers[i])));
            if (results[i] < 0) result.IsDropped(DropReason.CongestionExperienced);
            else result.IsForwardedAs(Packets.Tcp("192.0.2.1:10000", Server, ttl: 63, trafficClass: (byte)(dscp | results[i])));
        }
    }

    [Theory]
    [InlineData(false, 0xb8)]
    [InlineData(true, 0x28)]
    public void What_leaves_the_softwire_has_its_own_dscp_or_that_of_the_softwire_packet_as_configured(bool uniform, byte dscp)
    {
        byte[] packet = Packets.Tcp("192.0.2.1:10000", Server, trafficClass: 0xb8 | Packets.Ect0);
        Router(Options with { UniformServices = uniform }).FromSmap(FromAnna(packet, trafficClass: 0x28 | Packets.Ce))
            .IsForwardedAs(Packets.Tcp("192.0.2.1:10000", Server, ttl: 63, trafficClass: (byte)(dscp | Packets.Ce)));

        // Hairpinned, the receiver's softwire packet has what its inner packet has.
        byte[] sent = Router(Options with { UniformServices = uniform }).FromSmap(FromAnna(Packets.Udp("192.0.2.1:10000", "192.0.2.1:11001", 20, 64, 0xb8), trafficClass: 0x28)).Sent;
        Assert.Equal((dscp, dscp), ((byte)(sent[0] << 4 | sent[1] >> 4), sent[41]));
    }

    [Fact]
    public void No_cell_of_the_spoof_matrix_lets_anybody_send_what_is_not_his()
    {
        (string Softwire, string Prr, string Address, Func<int, bool> Has)[] homes =
        [
            (Anna, Border, Shared, p => p is >= 10000 and <= 11000),
            (Berta, Border, Shared, p => p is (>= 11001 and <= 12000) or (>= 20000 and <= 20099)),
            (Carla, OtherBorder, Shared, p => p is >= 13000 and <= 13999),
            (Dora, Border, SharedBy6, p => p >> 10 != 0 && (p >> 2 & 255) == 52),
            (Emma, Border, SharedBy4, p => p >> 12 != 0 && (p >> 4 & 255) == 52),
            (Frida, Border, SharedBy0, p => p < 1024),
            (Gerda, Border, Whole, _ => true),
        ];
        string[] sources = [.. homes.Select(h => h.Softwire), Stranger];
        string[] addresses = [Shared, SharedBy6, SharedBy4, SharedBy0, Whole, "203.0.113.1"];
        int[] ports = [0, 52, 1023, 1024, 1231, 1232, 1235, 1236, 4927, 4928, 4943, 4944, 9999, 10000, 11000, 11001, 12000, 12001, 13000, 20000, 20100, 65535];
        PortRangeRouter router = Router();
        int allowed = 0;
        foreach (string source in sources)
            foreach (string prr in (string[])[Border, OtherBorder, "2001:db8::99"])
                foreach (string address in addresses)
                    foreach (int port in ports)
                        foreach (int kind in (int[])[0, 1, 2, 3])
                        {
                            byte[] inner = kind switch
                            {
                                0 => Packets.Tcp($"{address}:{port}", Server),
                                1 => Packets.Udp($"{address}:{port}", Server),
                                2 => Packets.Echo(address, "198.51.100.7", port),
                                _ => Packets.IcmpError(address, "203.0.113.77", Packets.Udp(Server, $"{address}:{port}")),
                            };
                            var home = homes.SingleOrDefault(h => h.Softwire == source);
                            Verdict expected = prr == "2001:db8::99" ? Verdict.Drop(DropReason.NotForUs)
                                : home.Softwire is null ? Verdict.Drop(DropReason.UnknownSoftwire)
                                : home.Prr != prr ? Verdict.Drop(DropReason.WrongPrrAddress)
                                : home.Address != address ? Verdict.Drop(DropReason.SourceAddressNotBound)
                                : !home.Has(port) ? Verdict.Drop(DropReason.SourcePortNotBound)
                                : Verdict.Forward;
                            Result result = router.FromSmap(Packets.Encapsulate(inner, source, prr));
                            Assert.True(expected == result.Verdict, $"{source} > {prr}, {address}:{port}, kind {kind}: {result.Verdict} and not {expected}");
                            if (expected == Verdict.Forward) allowed++;
                        }

        Assert.True(allowed > 100);
    }

    [Fact]
    public void Errors_stop_at_the_rate_limit_and_each_one_kept_back_is_counted()
    {
        var clock = new HandClock();
        PortRangeRouter router = Router(Telling with { IcmpErrorsPerSecond = 10 }, clock);
        byte[] unbound = Packets.Tcp(Server, "192.0.2.1:1");
        byte[] spoofed = FromAnna(Packets.Tcp("192.0.2.1:1", Server));
        (Origin, byte[])[] flood = [.. Enumerable.Repeat((Origin.FromInternet, unbound), 50), .. Enumerable.Repeat((Origin.FromSmap, spoofed), 50)];
        Assert.Equal(10, router.Run(flood).Count(r => r.Verdict.Sends));
        Assert.Equal(90, router.Counters.IcmpSuppressed);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(10, router.Run([.. flood.Reverse()]).Count(r => r.Verdict.Sends));
        Assert.Equal(10, router.Counters.IcmpV4Sent);
        Assert.Equal(10, router.Counters.IcmpV6Sent);
        Assert.Equal(180, router.Counters.IcmpSuppressed);
        Assert.Equal(100, router.Counters.Drops(DropReason.NoBinding));
        Assert.Equal(100, router.Counters.Drops(DropReason.SourcePortNotBound));
    }

    [Fact]
    public void Errors_come_from_the_configured_address_where_there_is_one()
    {
        PortRangeRouter router = Router(Telling with { IcmpSource = IPv4Address.Parse("203.0.113.200") });
        byte[] error = router.FromInternet(Packets.Tcp(Server, "192.0.2.1:1")).Sent;
        Assert.Equal("203.0.113.200", IPv4Address.Read(error.AsSpan(12)).ToString());
        Assert.True(Packets.HasRightChecksums(error));
    }

    [Fact]
    public void Options_change_between_batches()
    {
        PortRangeRouter router = Router();
        byte[] hairpin = FromAnna(Packets.Tcp("192.0.2.1:10000", "192.0.2.1:11001"));
        router.FromSmap(hairpin).Is(Verdict.Hairpin);
        router.Options = Options with { Hairpinning = false };
        router.FromSmap(hairpin).IsDropped(DropReason.HairpinDisabled);
        router.Options = Options with { SoftwireAddresses = [IPv6Address.Parse(OtherBorder)] };
        router.FromSmap(hairpin).IsDropped(DropReason.NotForUs);
    }

    [Fact]
    public void Visitors_of_a_named_port_that_nobody_is_bound_to_are_given_back_as_they_came()
    {
        byte[] visit = Packets.Tcp(Server, "192.0.2.1:80"), narrow = Packets.IcmpError("198.51.100.7", Shared, Packets.Tcp("192.0.2.1:443", Server), code: 4, rest: 1300);
        Router().FromInternet(visit).IsDropped(DropReason.NoBinding);
        PortRangeRouter router = Router(Options with { NamedPorts = [80, 443] });
        router.FromInternet(visit).IsForwardedAs(visit);
        router.FromInternet(narrow).IsForwardedAs(narrow);
        byte[] neighbour = Packets.Tcp("192.0.2.1:10000", "192.0.2.18:443");
        router.FromSmap(FromAnna(neighbour)).IsForwardedAs(neighbour);

        // Whoever is bound to the port has it: the set by a = 0 has ports below 1024, a whole address all.
        Assert.Equal(Verdict.Forward, router.FromInternet(Packets.Tcp(Server, $"{SharedBy0}:80")).Verdict);
        Assert.NotEqual(Packets.Tcp(Server, $"{SharedBy0}:80"), router.FromInternet(Packets.Tcp(Server, $"{SharedBy0}:80")).Sent);
        Assert.NotEqual(Packets.Tcp(Server, $"{Whole}:80"), router.FromInternet(Packets.Tcp(Server, $"{Whole}:80")).Sent);

        // Nothing else is: another port, another protocol, another word of ICMP, part of a packet, an address that is not shared; nor where subscribers may not reach each other.
        foreach (byte[] other in (byte[][])[
            Packets.Tcp(Server, "192.0.2.1:81"), Packets.Udp(Server, "192.0.2.1:80"), Packets.Echo("198.51.100.7", Shared, 80), Packets.IcmpError("198.51.100.7", Shared, Packets.Tcp("192.0.2.1:80", Server)),
            Packets.IcmpError("198.51.100.7", Shared, Packets.Udp("192.0.2.1:80", Server), code: 4)])
            Assert.Equal(DropReason.NoBinding, router.FromInternet(other).Verdict.Reason);
        router.FromInternet(Packets.Tcp(Server, "203.0.113.1:80")).IsDropped(DropReason.NotSharedAddress);
        Assert.Equal(DropReason.NoBinding, router.FromInternet(Packets.AsFragment(Packets.Tcp(Server, "192.0.2.1:80", payload: 44), 0, more: true)).Verdict.Reason);
        router.Options = router.Options with { Hairpinning = false };
        router.FromSmap(FromAnna(neighbour)).IsDropped(DropReason.HairpinDisabled);
    }

    [Fact]
    public void No_packet_of_any_class_costs_an_allocation()
    {
        foreach (PrrOptions options in (PrrOptions[])[Options, Telling])
        {
            PortRangeRouter router = Router(options);
            var batch = new PacketBatch(256, 2300);
            Fill(batch);
            for (int i = 0; i < 50; i++) Round(router, batch);
            Allocations.None(() => Round(router, batch));
        }

        static void Round(PortRangeRouter router, PacketBatch batch)
        {
            router.Process(batch);
            Fill(batch);
        }

        static void Fill(PacketBatch batch)
        {
            batch.Clear();
            PacketClass[] all = PrrPacketClasses.All;
            for (int i = 0; i < batch.Capacity; i++) batch.TryAdd(all[i % all.Length].Octets, all[i % all.Length].Origin);
        }
    }

    [Fact]
    public void Explain_says_the_steps_the_row_and_the_verdict_of_the_data_plane()
    {
        foreach (PacketClass packet in PrrPacketClasses.All)
        {
            PacketJourney journey = PortRangeRouter.Explain(BindingTable.Build(PrrScene.Bindings), packet.Options ?? Options, packet.Origin, packet.Octets);
            Assert.Equal(packet.Expected, journey.Verdict);
            if (packet.Sent is not null) Assert.Equal(packet.Sent, journey.Sent.ToArray());
            Assert.Equal("verdict", journey.Steps[^1].Name);
        }

        PacketJourney hairpin = PortRangeRouter.Explain(BindingTable.Build(PrrScene.Bindings), Options, Origin.FromSmap,
            FromAnna(Packets.Tcp("192.0.2.1:10000", "192.0.2.18:1232")));
        Assert.Equal(["outer", "inner", "lookup", "source check", "hairpin lookup", "verdict"], hairpin.Steps.Select(s => s.Name));
        Assert.Contains("10000-11000", hairpin.Steps[2].Text);
        Assert.Contains("offset=6,length=8,psid=52", hairpin.Steps[4].Text);
        Assert.StartsWith("hairpinned", hairpin.Steps[5].Text);
    }
}
