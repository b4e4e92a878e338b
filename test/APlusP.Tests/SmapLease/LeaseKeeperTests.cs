using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Node.Home;

namespace APlusP.Tests.SmapLease;

/// <summary>Every turn that bringing a SMAP to its lease can take, by events and times alone.</summary>
public class LeaseKeeperTests
{
    static readonly IPv6Address s_here = IPv6Address.Parse("2001:db8:1::5"), s_there = IPv6Address.Parse("2001:db8:2::5"), s_prr = IPv6Address.Parse("2001:db8::1");
    static readonly TimeSpan s_day = TimeSpan.FromDays(1);

    readonly List<HomeAction> _done = [];
    LeaseKeeper _keeper = Make(hasKey: false);
    TimeSpan _now = TimeSpan.FromSeconds(1000);

    static LeaseKeeper Make(bool hasKey, int checkEvery = 60) => new(TimeSpan.FromSeconds(checkEvery), new SizePolicy(70, 40, TimeSpan.FromSeconds(600)), new Random(1), hasKey);

    static HeldLease Lease(string ports = "1024-1151", string id = "a", IPv6Address? softwire = null, string address = "192.0.2.1") =>
        new(id, softwire ?? s_here, IPv4Address.Parse(address), PortSet.Parse(ports), DateTimeOffset.UnixEpoch) { Prr = s_prr };

    IReadOnlyList<HomeAction> Hear(HomeEvent happened)
    {
        IReadOnlyList<HomeAction> actions = _keeper.Handle(happened, _now);
        _done.AddRange(actions);
        return actions;
    }

    Wish Pass(double seconds)
    {
        _now += TimeSpan.FromSeconds(seconds);
        return Hear(new TimePassed()).OfType<Ask>().SingleOrDefault()?.Wish ?? Wish.None;
    }

    static Wish Asked(IReadOnlyList<HomeAction> actions) => actions.OfType<Ask>().Single().Wish;

    void GoOnline(int checkEvery = 60)
    {
        _keeper = Make(hasKey: true, checkEvery);
        Hear(new AddressIs(s_here));
        Hear(new LeaseIs(Lease(), s_day));
        Assert.Equal("online", _keeper.Status.State);
        _done.Clear();
    }

    [Fact]
    public void Who_is_refused_by_the_PRR_asks_the_registry_soon_but_not_for_every_packet()
    {
        GoOnline(checkEvery: 3600);
        _now += TimeSpan.FromSeconds(1);
        Assert.Empty(Hear(new PortsUsed(1, 0, false) { Disowned = 7 }));
        Assert.Equal(Wish.Check, Pass(4));
        Hear(new LeaseIs(Lease(), s_day));
        for (int i = 0; i < 10; i++) Assert.Equal(Wish.None, Pass(60));
        Assert.Empty(Hear(new PortsUsed(1, 0, false) { Disowned = 7 }));
        Assert.Equal(Wish.Check, Asked(Hear(new PortsUsed(1, 0, false) { Disowned = 8 })));
        Hear(new Failed(Wish.Check, ErrorCodes.NotThere, "it was ended."));
        Assert.Equal("ended", _keeper.Status.State);
    }

    [Fact]
    public void Whoever_repeats_by_times_of_its_own_is_asked_when_it_says()
    {
        _keeper = Make(hasKey: true);
        Assert.Equal(Wish.Lease, Asked(Hear(new AddressIs(s_here))));
        Assert.Equal(Wish.Lease, Asked(Hear(new Failed(Wish.Lease, ErrorCodes.NoPcpAnswer, "nobody answers") { At = TimeSpan.Zero })));
        foreach (double at in (double[])[3.1, 11.5, 1012])
        {
            Hear(new Failed(Wish.Lease, ErrorCodes.NoPcpAnswer, "nobody answers") { At = TimeSpan.FromSeconds(at) });
            Assert.Equal("waiting", _keeper.Status.State);
            Assert.Equal(Wish.None, Pass(at - 0.01));
            Assert.Equal(Wish.Lease, Pass(0.01));
        }

        // Another address is news.
        Hear(new Failed(Wish.Lease, ErrorCodes.NoPcpAnswer, "nobody answers") { At = TimeSpan.FromSeconds(1000) });
        Assert.Equal(s_there, Hear(new AddressIs(s_there)).OfType<Ask>().Single().Softwire);
    }

    [Fact]
    public void By_PCP_a_lease_is_renewed_between_a_half_and_five_eighths_of_its_time_and_not_asked_about_before()
    {
        var renewed = new List<double>();
        for (int i = 0; i < 50; i++)
        {
            _keeper = new LeaseKeeper(TimeSpan.MaxValue, new SizePolicy(), new Random(i), hasKey: true, "the PCP server", (0.5, 0.125));
            Hear(new AddressIs(s_here));
            Hear(new LeaseIs(Lease(), TimeSpan.FromSeconds(800)));
            double passed = 0;
            while (Pass(1) is var wish && wish == Wish.None) passed++;
            Assert.Equal(Wish.Renew, _done.OfType<Ask>().Last().Wish);
            renewed.Add(passed);
        }

        Assert.All(renewed, at => Assert.InRange(at, 398, 501));
        Assert.InRange(renewed.Max() - renewed.Min(), 50, 103);
        Hear(new Failed(Wish.Renew, ErrorCodes.NoPcpAnswer, "the PCP server 2001:db8::9 does not answer") { At = TimeSpan.FromSeconds(3) });
        Assert.Equal(("online-alone", "has 128 port(s) of 192.0.2.1 through 2001:db8::1; until it runs out without the PCP server: the PCP server 2001:db8::9 does not answer"), (_keeper.Status.State, _keeper.Status.Sentence));
    }

    [Fact]
    public void Who_is_refused_by_a_PCP_server_waits_as_long_as_that_says()
    {
        _keeper = Make(hasKey: true);
        Hear(new AddressIs(s_here));
        Hear(new Failed(Wish.Lease, ErrorCodes.PcpRefused, "NOT_AUTHORIZED", TimeSpan.FromMinutes(30)));
        Assert.Equal("refused", _keeper.Status.State);
        Assert.Equal(Wish.None, Pass(1799));
        Assert.Equal(Wish.Lease, Pass(1));
        Hear(new Failed(Wish.Lease, ErrorCodes.PoolExhausted, "NO_RESOURCES", TimeSpan.FromSeconds(30)));
        Assert.Equal("waiting", _keeper.Status.State);
        Assert.Equal(Wish.None, Pass(29));
        Assert.Equal(Wish.Lease, Pass(1));
    }

    [Fact]
    public void From_nothing_to_online_it_waits_for_an_address_enrols_and_asks_for_a_lease()
    {
        Assert.Empty(Hear(new AddressIs(null, "no router")));
        Assert.Equal(("no-address", "waits for an IPv6 address: no router"), (_keeper.Status.State, _keeper.Status.Sentence));
        Assert.Equal(Wish.None, Pass(3600));
        Assert.Equal(Wish.Enrol, Asked(Hear(new AddressIs(s_here))));
        Assert.Equal("enrolling", _keeper.Status.State);
        Assert.Equal(Wish.None, Pass(3600));
        var ask = (Ask)Hear(new Enrolled()).Single();
        Assert.Equal((Wish.Lease, s_here), (ask.Wish, ask.Softwire));
        Assert.Equal("leasing", _keeper.Status.State);
        IReadOnlyList<HomeAction> online = Hear(new LeaseIs(Lease(), s_day));
        Assert.Equal([typeof(Forward), typeof(Remember)], online.Select(a => a.GetType()));
        Assert.Equal("has 128 port(s) of 192.0.2.1 through 2001:db8::1", _keeper.Status.Sentence);
    }

    [Fact]
    public void A_registry_that_is_away_is_asked_less_and_less_often_and_at_different_times_and_at_once_from_another_address()
    {
        Hear(new AddressIs(s_here));
        var pauses = new List<double>();
        for (int i = 0; i < 9; i++)
        {
            Hear(new Failed(Wish.Enrol, ErrorCodes.NoRegistry, "it does not answer."));
            Assert.Equal(("waiting", "waits for the registry: it does not answer"), (_keeper.Status.State, _keeper.Status.Sentence));
            double pause = 0;
            for (; Pass(0.25) == Wish.None; pause += 0.25) Assert.True(pause < 61);
            pauses.Add(pause);
        }

        Assert.InRange(pauses[0], 0.25, 1);
        Assert.InRange(pauses[3], 3.75, 8);
        Assert.All(pauses[6..], p => Assert.InRange(p, 29, 60));
        Assert.Equal(pauses[6..].Count, pauses[6..].Distinct().Count());
        Hear(new Failed(Wish.Enrol, ErrorCodes.NoRegistry, "it does not answer."));
        Assert.Equal(Wish.Enrol, Asked(Hear(new AddressIs(s_there))));
    }

    [Fact]
    public void It_waits_as_long_as_the_registry_says()
    {
        Hear(new AddressIs(s_here));
        Hear(new Failed(Wish.Enrol, ErrorCodes.StorageAway, "away", TimeSpan.FromSeconds(40)));
        Assert.Equal(Wish.None, Pass(39));
        Assert.Equal(Wish.Enrol, Pass(1));
    }

    [Fact]
    public void A_lease_is_renewed_at_half_of_its_time_checked_meanwhile_and_worked_by_until_it_runs_out()
    {
        GoOnline();
        Assert.Equal(Wish.None, Pass(40));
        Assert.Equal(Wish.Check, Pass(20));
        Assert.Equal([typeof(Remember)], Hear(new LeaseIs(Lease(), s_day - TimeSpan.FromMinutes(1))).Select(a => a.GetType()));
        Assert.Equal(Wish.Renew, Pass(12 * 3600));
        Hear(new Failed(Wish.Renew, ErrorCodes.NoRegistry, "away"));
        Assert.Equal("online-alone", _keeper.Status.State);
        Assert.Contains("has 128 port(s) of 192.0.2.1 through 2001:db8::1; until it runs out without the registry: away", _keeper.Status.Sentence, StringComparison.Ordinal);
        Assert.DoesNotContain(_done, a => a is Stop);
        Assert.Equal(Wish.Renew, Pass(60));
        Hear(new LeaseIs(Lease(), s_day));
        Assert.Equal("online", _keeper.Status.State);
        Pass(12 * 3600);
        Hear(new Failed(Wish.Renew, ErrorCodes.NoRegistry, "away"));
        _now += TimeSpan.FromHours(12);
        Assert.Contains(Hear(new TimePassed()), a => a is Stop);
        Assert.Equal("expired", _keeper.Status.State);
        Assert.Null(_keeper.Lease);
    }

    [Fact]
    public void Another_address_moves_the_lease_and_one_that_is_lost_ends_nothing()
    {
        GoOnline();
        Hear(new AddressIs(null, "no router"));
        Assert.Equal("online-alone", _keeper.Status.State);
        Assert.Empty(_done);
        var ask = (Ask)Hear(new AddressIs(s_there)).Single();
        Assert.Equal((Wish.Lease, s_there), (ask.Wish, ask.Softwire));
        Assert.Equal(s_there, Hear(new LeaseIs(Lease(softwire: s_there), s_day)).OfType<Forward>().Single().Lease.Softwire);
        Assert.Equal("online", _keeper.Status.State);
    }

    [Fact]
    public void An_answer_for_the_address_of_before_leads_to_another_request_and_not_to_a_stop()
    {
        GoOnline();
        Assert.Equal(Wish.Check, Pass(60));
        Hear(new AddressIs(s_there));
        Assert.Equal(Wish.Lease, Asked(Hear(new LeaseIs(Lease(), s_day))));
        Assert.DoesNotContain(_done, a => a is Stop);
    }

    [Fact]
    public void A_lease_that_another_machine_moved_away_stops_this_one()
    {
        GoOnline();
        Assert.Equal(Wish.Check, Pass(60));
        Assert.Contains(Hear(new LeaseIs(Lease(softwire: s_there), s_day)), a => a is Stop);
        Assert.Equal("duplicate", _keeper.Status.State);
        Assert.Equal(Wish.None, Pass(100));
        Assert.Equal(Wish.Lease, Pass(200));
    }

    [Fact]
    public void A_lease_that_our_own_request_moved_unheard_is_moved_back_and_not_another_machine_s()
    {
        GoOnline();
        Assert.Equal(Wish.Lease, Asked(Hear(new AddressIs(s_there))));
        Hear(new AddressIs(s_here));
        Hear(new Failed(Wish.Lease, ErrorCodes.NoRegistry, "away"));
        Assert.Equal(Wish.Check, Pass(70));
        IReadOnlyList<HomeAction> actions = Hear(new LeaseIs(Lease(softwire: s_there), s_day));
        Assert.DoesNotContain(actions, a => a is Stop);
        Ask back = actions.OfType<Ask>().Single();
        Assert.Equal((Wish.Lease, s_here), (back.Wish, back.Softwire));
        Hear(new LeaseIs(Lease(), s_day));

        // Not for ever: what moves it away after that is somebody else.
        Assert.Equal(Wish.Check, Pass(60));
        Assert.Contains(Hear(new LeaseIs(Lease(softwire: s_there), s_day)), a => a is Stop);
        Assert.Equal("duplicate", _keeper.Status.State);
    }

    [Theory]
    [InlineData(ErrorCodes.NotAuthenticated, "revoked", 59, 62)]
    [InlineData(ErrorCodes.NotThere, "ended", 29, 32)]
    public void A_key_or_a_lease_that_is_gone_stops_it_at_once_and_it_keeps_trying_slowly(string code, string state, int silent, int more)
    {
        GoOnline();
        Assert.Equal(Wish.Check, Pass(60));
        IReadOnlyList<HomeAction> actions = Hear(new Failed(Wish.Check, code, "no."));
        Assert.Equal([typeof(Stop), typeof(Remember)], actions.Select(a => a.GetType()));
        Assert.Null(((Remember)actions[1]).Lease);
        Assert.Equal(state, _keeper.Status.State);
        Assert.Equal(Wish.None, Pass(silent));
        Assert.Equal(Wish.Lease, Pass(more));
        Hear(new LeaseIs(Lease(id: "b"), s_day));
        Assert.Equal("online", _keeper.Status.State);
    }

    [Fact]
    public void A_revoked_one_enrols_again_by_another_token_only()
    {
        GoOnline();
        Pass(60);
        Hear(new Failed(Wish.Check, ErrorCodes.NotAuthenticated, "no."));
        Assert.Equal(Wish.Lease, Pass(130));
        Hear(new Failed(Wish.Lease, ErrorCodes.NotAuthenticated, "no."));
        Assert.Equal(Wish.Enrol, Asked(Hear(new TokenIsNew())));
    }

    [Fact]
    public void A_name_that_is_taken_is_given_up_and_a_token_that_is_used_up_is_tried_slowly()
    {
        Hear(new AddressIs(s_here));
        Assert.Contains(Hear(new Failed(Wish.Enrol, ErrorCodes.LeaseConflict, "enrolled already.")), a => a is BecomeAnother);
        Assert.Equal(Wish.Enrol, Pass(1));
        Hear(new Failed(Wish.Enrol, ErrorCodes.NotAllowed, "used up."));
        Assert.Equal(("refused", "forwards nothing: used up"), (_keeper.Status.State, _keeper.Status.Sentence));
        Assert.Equal(Wish.None, Pass(59));
        Assert.Equal(Wish.Enrol, Pass(62));
    }

    [Fact]
    public void A_lease_without_a_PRR_forwards_nothing_and_says_where_to_name_one()
    {
        _keeper = Make(hasKey: true);
        Hear(new AddressIs(s_here));
        Assert.DoesNotContain(Hear(new LeaseIs(Lease() with { Prr = null }, s_day)), a => a is Forward);
        Assert.Contains("`prr`", _keeper.Status.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_lease_of_before_is_confirmed_as_soon_as_it_can_be_and_worked_by_meanwhile()
    {
        _keeper = Make(hasKey: true);
        _keeper.Resume(Lease(), TimeSpan.FromHours(1), _now);
        Assert.StartsWith("has 128 port(s)", _keeper.Status.Sentence, StringComparison.Ordinal);
        Assert.Equal(Wish.Lease, Asked(Hear(new AddressIs(s_here))));
        Hear(new Failed(Wish.Lease, ErrorCodes.NoRegistry, "away"));
        Assert.Equal("online-alone", _keeper.Status.State);
        Assert.Equal(Wish.Lease, Pass(1));
        Assert.Equal([typeof(Remember)], Hear(new LeaseIs(Lease(), s_day)).Select(a => a.GetType()));
    }

    // ---- Size

    [Fact]
    public void Ports_that_run_short_grow_the_lease_and_the_growth_is_known()
    {
        GoOnline(checkEvery: 86400);
        Assert.Empty(Hear(new PortsUsed(89, 0, false)));
        Assert.Equal(Wish.Grow, Asked(Hear(new PortsUsed(90, 0, false))));
        IReadOnlyList<HomeAction> answered = Hear(new LeaseIs(Lease("1024-1279"), s_day));
        Assert.DoesNotContain(answered, a => a is Ask);
        Forward grown = answered.OfType<Forward>().Single();
        Assert.Equal(["1152-1279"], grown.Lease.Growths.Select(g => $"{g}"));
        Assert.Empty(Hear(new PortsUsed(90, 0, false)));
    }

    [Fact]
    public void A_flow_that_was_refused_is_reason_enough_and_a_refused_growth_waits()
    {
        GoOnline(checkEvery: 86400);
        Assert.Equal(Wish.Grow, Asked(Hear(new PortsUsed(10, 3, false))));
        Hear(new Failed(Wish.Grow, ErrorCodes.TooSoon, "too soon", TimeSpan.FromSeconds(50)));
        Assert.Equal("online", _keeper.Status.State);
        Assert.Empty(Hear(new PortsUsed(100, 3, false)));
        _now += TimeSpan.FromSeconds(50);
        Assert.Contains(Hear(new PortsUsed(100, 3, false)), a => a is Ask { Wish: Wish.Grow });
    }

    [Fact]
    public void What_is_idle_for_long_rests_first_and_goes_when_no_flow_has_it()
    {
        GoOnline(checkEvery: 86400);
        Hear(new PortsUsed(100, 0, false));
        Hear(new LeaseIs(Lease("1024-1279"), s_day));
        Assert.Empty(Hear(new PortsUsed(52, 0, false)));
        Idle(50, 599);
        _now += TimeSpan.FromSeconds(2);
        Assert.Equal("1152-1279", $"{Hear(new PortsUsed(50, 0, false)).OfType<Forward>().Single().Resting}");
        Assert.DoesNotContain(Hear(new PortsUsed(50, 0, false)), a => a is Ask { Wish: Wish.Shrink });
        var shrink = Hear(new PortsUsed(50, 0, true)).OfType<Ask>().Single();
        Assert.Equal((Wish.Shrink, 128), (shrink.Wish, shrink.Ports));
        Forward shrunk = Hear(new LeaseIs(Lease(), s_day)).OfType<Forward>().Single();
        Assert.Equal(("1024-1151", null), ($"{shrunk.Lease.Ports}", shrunk.Resting));
        Assert.Empty(shrunk.Lease.Growths);
    }

    [Fact]
    public void Ports_that_rest_are_used_again_before_more_are_asked_for()
    {
        GoOnline(checkEvery: 86400);
        Hear(new PortsUsed(100, 0, false));
        Hear(new LeaseIs(Lease("1024-1279"), s_day));
        Hear(new PortsUsed(10, 0, false));
        Idle(10, 601);
        Assert.Contains(_done, a => a is Forward { Resting: not null });
        IReadOnlyList<HomeAction> actions = Hear(new PortsUsed(100, 0, false));
        Assert.Null(actions.OfType<Forward>().Single().Resting);
        Assert.DoesNotContain(actions, a => a is Ask);
    }

    [Fact]
    public void Ports_that_the_registry_is_taking_back_are_not_used_again()
    {
        GoOnline(checkEvery: 86400);
        Hear(new PortsUsed(100, 0, false));
        Hear(new LeaseIs(Lease("1024-1279"), s_day));
        Idle(10, 602);
        Assert.Equal(Wish.Shrink, Asked(Hear(new PortsUsed(10, 0, true))));
        Assert.Empty(Hear(new PortsUsed(100, 7, true)));
        Assert.Null(Hear(new LeaseIs(Lease(), s_day)).OfType<Forward>().Single().Resting);
        Assert.Equal(Wish.Grow, Asked(Hear(new PortsUsed(100, 7, false))));
    }

    [Fact]
    public void Ports_that_the_registry_did_not_take_back_are_used_again()
    {
        GoOnline(checkEvery: 86400);
        Hear(new PortsUsed(100, 0, false));
        Hear(new LeaseIs(Lease("1024-1279"), s_day));
        Idle(10, 602);
        Assert.Equal(Wish.Shrink, Asked(Hear(new PortsUsed(10, 0, true))));
        Hear(new PortsUsed(100, 0, true));
        Assert.DoesNotContain(Hear(new Failed(Wish.Shrink, ErrorCodes.NoRegistry, "away")), a => a is Ask);
        Assert.Null(Hear(new PortsUsed(100, 0, true)).OfType<Forward>().Single().Resting);
    }

    [Fact]
    public void What_it_began_with_it_never_gives_back()
    {
        GoOnline(checkEvery: 86400);
        Idle(0, 3600);
        Assert.DoesNotContain(_done, a => a is Forward or Ask { Wish: Wish.Shrink });
    }

    /// <summary>Few ports in use for so long.</summary>
    void Idle(int used, int seconds)
    {
        TimeSpan until = _now + TimeSpan.FromSeconds(seconds);
        for (; _now < until; _now += TimeSpan.FromSeconds(1)) Hear(new PortsUsed(used, 0, false));
    }

    [Fact]
    public void What_was_released_is_not_asked_for_again()
    {
        GoOnline();
        Assert.Contains(Hear(new Released()), a => a is Stop);
        Assert.Equal("released", _keeper.Status.State);
        Assert.Equal(Wish.None, Pass(86400));
        Assert.Empty(Hear(new AddressIs(s_there)));
        Assert.Equal("released", _keeper.Status.State);
    }

    [Fact]
    public void An_answer_that_comes_after_the_release_brings_nothing_back()
    {
        foreach (HomeEvent late in (HomeEvent[])[new LeaseIs(Lease(), s_day), new Failed(Wish.Check, ErrorCodes.NoRegistry, "away"), new Failed(Wish.Check, ErrorCodes.NotThere, "it was ended.")])
        {
            GoOnline();
            Assert.Equal(Wish.Check, Pass(61));
            Hear(new Released());
            Assert.Empty(Hear(late));
            Assert.Equal("released", _keeper.Status.State);
            Assert.Null(_keeper.Lease);
            Assert.Equal(Wish.None, Pass(86400));
        }
    }

    [Fact]
    public void A_new_shared_address_is_taken_and_forgets_the_growths_of_the_other()
    {
        GoOnline();
        Hear(new PortsUsed(100, 0, false));
        Hear(new LeaseIs(Lease("1024-1279"), s_day));
        Assert.Equal(Wish.Check, Pass(60));
        Forward other = Hear(new LeaseIs(Lease("2048-2175", id: "b", address: "192.0.2.9"), s_day)).OfType<Forward>().Single();
        Assert.Empty(other.Lease.Growths);
        Assert.Equal("192.0.2.9", $"{other.Lease.Address}");
    }
}
