using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using static APlusP.Tests.Dhcpv6.DhcpClientScene;

namespace APlusP.Tests.Dhcpv6;

/// <summary>The client of RFC 8415, message by message.</summary>
public class DhcpClientTests
{
    readonly DhcpClientScene _scene = new();

    DhcpClient Client => _scene.Client;

    [Fact]
    public void A_solicit_says_who_asks_for_what_and_for_how_long()
    {
        Assert.True(_scene.UntilSent() <= TimeSpan.FromSeconds(1.1));
        Assert.Equal(DhcpMessageType.Solicit, _scene.LastType);
        Assert.Equal("0001000a00030001525400123456" + "000800020000" + "000600080060005e006f0052" + "0019000c000000010000000000000000", Convert.ToHexStringLower(_scene.Last.AsSpan(4)));
        string first = Convert.ToHexStringLower(_scene.Last.AsSpan(0, 4));
        _scene.UntilSent();
        Assert.Equal(first, Convert.ToHexStringLower(_scene.Last.AsSpan(0, 4)));
        Assert.True(_scene.Options.TryFind(DhcpOption.ElapsedTime, out ReadOnlySpan<byte> elapsed));
        Assert.InRange(elapsed[0] << 8 | elapsed[1], 100, 110);
    }

    [Fact]
    public void Nobody_waits_for_less_than_nothing_whenever_the_clock_goes_on()
    {
        for (int step = 1; step <= 50; step++)
        {
            var client = new DhcpClient(new DhcpClientOptions { Duid = Ours }, new RestlessClock(TimeSpan.FromMilliseconds(step)), new Random(step));
            for (int i = 0; i < 2000 / step; i++) Assert.True(client.Due >= TimeSpan.Zero);
        }
    }

    /// <summary>Later at every look.</summary>
    sealed class RestlessClock(TimeSpan step) : TimeProvider
    {
        long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now += step.Ticks;
    }

    /// <summary>RFC 8415 section 15: about twice as long each time, and never longer than 3600 s and a tenth.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Without_an_answer_each_solicit_waits_about_twice_as_long_as_the_one_before(int seed)
    {
        var scene = new DhcpClientScene(seed: seed);
        scene.UntilSent();
        TimeSpan before = scene.UntilSent();
        Assert.InRange(before.TotalSeconds, 1.0009, 1.1001);
        for (int i = 0; i < 15; i++)
        {
            TimeSpan next = scene.UntilSent();
            if (before < TimeSpan.FromSeconds(1700)) Assert.InRange(next / before, 1.899, 2.101);
            else Assert.InRange(next.TotalSeconds, 3239, 3961);
            before = next;
        }
    }

    [Fact]
    public void It_collects_offers_for_the_first_timeout_and_asks_the_server_that_is_preferred()
    {
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Advertise, Server, Give);
        Assert.Null(Client.Next());
        _scene.Hear(DhcpMessageType.Advertise, Other, w =>
        {
            w.Option(DhcpOption.Preference, [5]);
            Give(w);
        });
        Assert.InRange(_scene.UntilSent().TotalSeconds, 1, 1.11);
        Assert.Equal(DhcpMessageType.Request, _scene.LastType);
        Assert.True(Duid.TryRead(_scene.Options, DhcpOption.ServerId, out Duid? asked));
        Assert.Equal(Other, asked);
        Assert.Equal(new DhcpLease(Prefix, 0, 0), Assert.Single(_scene.Association.Leases));
        Assert.Equal([DhcpOption.S46Lightweight, DhcpOption.S46MapE, DhcpOption.S46Priority, DhcpOption.SolMaxRt], _scene.Options.Codes(DhcpOption.Requested));
    }

    [Fact]
    public void Of_equal_servers_the_one_with_softwires_is_asked_and_preference_255_decides_at_once()
    {
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Advertise, Server, w => new IdentityAssociation(DhcpOption.IaPd, 1, [new DhcpLease(Prefix, 10, 20)]).Write(w));
        _scene.Hear(DhcpMessageType.Advertise, Other, Give);
        _scene.UntilSent();
        Assert.True(Duid.TryRead(_scene.Options, DhcpOption.ServerId, out Duid? asked));
        Assert.Equal(Other, asked);

        var scene = new DhcpClientScene();
        scene.UntilSent();
        scene.Hear(DhcpMessageType.Advertise, Server, w =>
        {
            Give(w);
            w.Option(DhcpOption.Preference, [255]);
        });
        Assert.Equal(TimeSpan.Zero, scene.UntilSent());
        Assert.Equal(DhcpMessageType.Request, scene.LastType);
    }

    [Fact]
    public void After_the_first_timeout_the_first_offer_is_taken()
    {
        _scene.UntilSent();
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Advertise, more: Give);
        Assert.Equal(TimeSpan.Zero, _scene.UntilSent());
        Assert.Equal(DhcpMessageType.Request, _scene.LastType);
    }

    [Fact]
    public void An_offer_of_nothing_is_none_but_its_longest_timeout_counts()
    {
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Advertise, more: w =>
        {
            w.Status(DhcpStatusCode.NoPrefixAvail, "none left");
            w.Option(DhcpOption.SolMaxRt, 60u);
        });
        for (int i = 0; i < 10; i++) _scene.UntilSent();
        Assert.Equal(DhcpMessageType.Solicit, _scene.LastType);
        Assert.InRange(_scene.UntilSent().TotalSeconds, 54, 66);
        Assert.Contains(Client.TakeNotes(), n => n.Contains("NoPrefixAvail: none left", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(59u)]
    [InlineData(86_401u)]
    public void A_longest_timeout_that_is_out_of_range_does_not_count(uint seconds)
    {
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Advertise, more: w => w.Option(DhcpOption.SolMaxRt, seconds));
        for (int i = 0; i < 9; i++) _scene.UntilSent();
        Assert.InRange(_scene.UntilSent().TotalSeconds, 300, 900);
    }

    [Fact]
    public void Two_messages_are_enough_where_both_sides_want_it()
    {
        var scene = new DhcpClientScene(new DhcpClientOptions { Duid = Ours, RapidCommit = true });
        scene.UntilSent();
        Assert.True(scene.Options.Has(DhcpOption.RapidCommit));
        scene.Hear(DhcpMessageType.Reply, more: Give);
        Assert.Null(scene.Client.Binding);
        scene.Hear(DhcpMessageType.Reply, more: w =>
        {
            Give(w);
            w.Option(DhcpOption.RapidCommit, default(ReadOnlySpan<byte>));
        });
        Assert.NotNull(scene.Client.Binding);

        // Not asked for, not taken.
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Reply, more: w =>
        {
            Give(w);
            w.Option(DhcpOption.RapidCommit, default(ReadOnlySpan<byte>));
        });
        Assert.Null(Client.Binding);
    }

    [Fact]
    public void What_the_server_gives_is_there_with_its_softwire()
    {
        DhcpBinding binding = _scene.Bound().Client.Binding!;
        HeldLease lease = Assert.Single(binding.Leases);
        Assert.Equal((DhcpOption.IaPd, Prefix), (lease.Kind, lease.Prefix));
        Assert.Equal(TimeSpan.FromSeconds(3000), lease.ValidUntil - Client.Now);
        Assert.Equal("192.0.2.1", $"{binding.Softwires.Lightweight!.Binding!.Address}");
        Assert.Equal(Server, binding.Server);
    }

    [Fact]
    public void A_request_is_sent_ten_times_and_then_the_next_server_is_asked()
    {
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Advertise, Server, Give);
        _scene.Hear(DhcpMessageType.Advertise, Other, Give);
        TimeSpan longest = default;
        for (int i = 0; i < 10; i++)
        {
            TimeSpan waited = _scene.UntilSent();
            if (waited > longest) longest = waited;
            Assert.True(Duid.TryRead(_scene.Options, DhcpOption.ServerId, out Duid? asked));
            Assert.Equal(Server, asked);
        }

        Assert.InRange(longest.TotalSeconds, 27, 33);
        _scene.UntilSent();
        Assert.True(Duid.TryRead(_scene.Options, DhcpOption.ServerId, out Duid? next));
        Assert.Equal((DhcpMessageType.Request, Other), (_scene.LastType, next!));
        for (int i = 0; i < 9; i++) _scene.UntilSent();
        _scene.UntilSent();
        Assert.Equal(DhcpMessageType.Solicit, _scene.LastType);
    }

    [Fact]
    public void At_t1_the_server_is_asked_for_more_time_and_at_t2_any_server()
    {
        _scene.Bound();
        _scene.Quiet(999);
        Assert.InRange(_scene.UntilSent().TotalSeconds, 0.9, 1.1);
        Assert.Equal(DhcpMessageType.Renew, _scene.LastType);
        Assert.True(_scene.Options.Has(DhcpOption.ServerId));
        Assert.Equal(new DhcpLease(Prefix, 0, 0), Assert.Single(_scene.Association.Leases));
        TimeSpan first = _scene.UntilSent();
        Assert.InRange(first.TotalSeconds, 9, 11);
        TimeSpan since = first;
        while (_scene.LastType == DhcpMessageType.Renew) since += _scene.UntilSent();
        Assert.Equal(DhcpMessageType.Rebind, _scene.LastType);
        Assert.InRange(since.TotalSeconds, 599, 601);
        Assert.False(_scene.Options.Has(DhcpOption.ServerId));
        Assert.NotNull(Client.Binding);

        _scene.Hear(DhcpMessageType.Reply, Other, Give);
        Assert.Equal((DhcpClientState.Bound, Other), (Client.State, Client.Binding!.Server));
        Assert.Equal(TimeSpan.FromSeconds(3000), Client.Binding.Leases[0].ValidUntil - Client.Now);
    }

    [Fact]
    public void When_the_time_is_over_nothing_is_left_and_a_server_is_searched()
    {
        _scene.Bound();
        DhcpBinding? last = Client.Binding;
        TimeSpan end = last!.Leases[0].ValidUntil;
        while (_scene.LastType != DhcpMessageType.Solicit)
        {
            Assert.Equal(Client.Now < end, Client.Binding is not null);
            _scene.UntilSent();
        }

        Assert.Null(Client.Binding);
        Assert.InRange((Client.Now - end).TotalSeconds, 0, 3);
    }

    [Fact]
    public void A_server_that_knows_us_no_more_is_asked_anew_and_what_it_gives_then_counts()
    {
        _scene.Bound();
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Reply, more: w => new IdentityAssociation(DhcpOption.IaPd, 1, []) { Status = new DhcpStatus(DhcpStatusCode.NoBinding, null) }.Write(w));
        Assert.Equal(TimeSpan.Zero, _scene.UntilSent());
        Assert.Equal(DhcpMessageType.Request, _scene.LastType);
        Assert.NotNull(Client.Binding);
        _scene.Hear(DhcpMessageType.Reply, more: w => Give(w, IPv6Prefix.Parse("2001:db8:99::/56")));
        Assert.Equal(IPv6Prefix.Parse("2001:db8:99::/56"), Assert.Single(Client.Binding!.Leases).Prefix);
    }

    [Fact]
    public void A_renewal_that_ends_a_prefix_and_gives_another_moves_us()
    {
        _scene.Bound();
        _scene.UntilSent();
        var next = IPv6Prefix.Parse("2001:db8:99::/56");
        _scene.Hear(DhcpMessageType.Reply, more: w =>
        {
            new IdentityAssociation(DhcpOption.IaPd, 1, [new DhcpLease(Prefix, 0, 0), new DhcpLease(next, 2000, 3000)]) { T1 = 100, T2 = 200 }.Write(w);
            Softwire(w);
        });
        Assert.Equal(next, Assert.Single(Client.Binding!.Leases).Prefix);
    }

    [Fact]
    public void A_reply_without_softwires_ends_the_ones_that_were_there()
    {
        _scene.Bound();
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Reply, more: w => new IdentityAssociation(DhcpOption.IaPd, 1, [new DhcpLease(Prefix, 2000, 3000)]).Write(w));
        Assert.Null(Client.Binding!.Softwires.Lightweight);
        Assert.NotNull(Client.Binding.Leases);
    }

    [Fact]
    public void A_reply_about_nothing_of_ours_is_as_if_it_had_not_come()
    {
        _scene.Bound();
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Reply, more: Softwire);
        Assert.Equal(DhcpClientState.Renewing, Client.State);
        Assert.InRange(_scene.UntilSent().TotalSeconds, 9, 11);
    }

    [Fact]
    public void A_server_that_fails_is_asked_again_no_faster()
    {
        _scene.Bound();
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Reply, more: w => w.Status(DhcpStatusCode.UnspecFail, "disk full"));
        Assert.InRange(_scene.UntilSent().TotalSeconds, 9, 11);
        Assert.Equal(DhcpMessageType.Renew, _scene.LastType);
        Assert.Contains(Client.TakeNotes(), n => n.Contains("UnspecFail: disk full", StringComparison.Ordinal));
    }

    /// <summary>A server that offers and does not give must not be asked all the time, RFC 8415 section 14.1.</summary>
    [Fact]
    public void A_server_that_offers_and_does_not_give_is_asked_less_and_less_often()
    {
        int sent = 0;
        while (Client.Now < TimeSpan.FromMinutes(10))
        {
            _scene.UntilSent();
            sent++;
            if (_scene.LastType == DhcpMessageType.Solicit) _scene.Hear(DhcpMessageType.Advertise, more: w =>
            {
                w.Option(DhcpOption.Preference, [255]);
                Give(w);
            });
            else _scene.Hear(DhcpMessageType.Reply, more: w => new IdentityAssociation(DhcpOption.IaPd, 1, []) { Status = new DhcpStatus(DhcpStatusCode.NoPrefixAvail, null) }.Write(w));
        }

        Assert.InRange(sent, 20, 40);
    }

    [Fact]
    public void Times_that_the_server_leaves_to_us_are_half_and_four_fifths_of_what_is_preferred()
    {
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Advertise, more: Give);
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Reply, more: w => Give(w, Prefix, t1: 0, t2: 0, preferred: 1000, valid: 3000));
        Assert.InRange(_scene.UntilSent().TotalSeconds, 499, 501);
        Assert.Equal(DhcpMessageType.Renew, _scene.LastType);
        TimeSpan since = TimeSpan.FromSeconds(500);
        while (_scene.LastType == DhcpMessageType.Renew) since += _scene.UntilSent();
        Assert.InRange(since.TotalSeconds, 799, 801);
    }

    [Fact]
    public void What_is_given_for_ever_is_never_asked_for_again()
    {
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Advertise, more: Give);
        _scene.UntilSent();
        const uint ever = IdentityAssociation.Infinity;
        _scene.Hear(DhcpMessageType.Reply, more: w => Give(w, Prefix, ever, ever, ever, ever));
        Assert.Null(Client.Due);
        _scene.Quiet(1e9);
        Assert.NotNull(Client.Binding);
    }

    [Fact]
    public void Associations_and_lifetimes_that_contradict_themselves_are_not_taken()
    {
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Advertise, more: w => Give(w, Prefix, t1: 200, t2: 100));
        _scene.Hear(DhcpMessageType.Advertise, more: w => Give(w, Prefix, preferred: 200, valid: 100));
        _scene.Hear(DhcpMessageType.Advertise, more: w => new IdentityAssociation(DhcpOption.IaPd, 2, [new DhcpLease(Prefix, 100, 100)]).Write(w));
        _scene.Hear(DhcpMessageType.Advertise, more: w => new IdentityAssociation(DhcpOption.IaNa, 1, [new DhcpLease(IPv6Prefix.Parse("2001:db8::1/128"), 100, 100)]).Write(w));
        _scene.UntilSent();
        Assert.Equal(DhcpMessageType.Solicit, _scene.LastType);
    }

    [Fact]
    public void What_answers_no_message_of_ours_is_discarded()
    {
        _scene.Bound();
        _scene.UntilSent();
        _scene.Hear(DhcpMessageType.Reply, more: Give, transaction: 0xabcdef);
        _scene.Hear(DhcpMessageType.Reply, more: Give, client: Other);
        _scene.Hear(DhcpMessageType.Advertise, more: Give);
        _scene.Hear(DhcpMessageType.Solicit, more: Give);
        _scene.Hear(DhcpMessageType.Reconfigure, more: Give);
        DhcpWriter writer = DhcpMessage.Begin(DhcpMessageType.Reply, (uint)(_scene.Last[1] << 16 | _scene.Last[2] << 8 | _scene.Last[3]));
        writer.Option(DhcpOption.ClientId, Ours.Bytes);
        Give(writer);
        Client.Receive(writer.ToArray());
        Client.Receive([7]);
        Assert.Equal((DhcpClientState.Renewing, 7), (Client.State, Client.Discarded));
    }

    [Fact]
    public void What_is_given_back_is_named_and_four_times_is_enough()
    {
        _scene.Bound();
        Client.Release();
        Assert.Null(Client.Binding);
        _scene.UntilSent();
        Assert.Equal(DhcpMessageType.Release, _scene.LastType);
        Assert.Equal(Prefix, Assert.Single(_scene.Association.Leases).Prefix);
        Assert.True(_scene.Options.Has(DhcpOption.ServerId));
        for (int i = 0; i < 3; i++) _scene.UntilSent();
        _scene.Clock.Advance(TimeSpan.FromSeconds(100));
        Assert.Null(Client.Next());
        Assert.Equal((DhcpClientState.Gone, null), (Client.State, Client.Due));

        var scene = new DhcpClientScene().Bound();
        scene.Client.Release();
        scene.UntilSent();
        scene.Hear(DhcpMessageType.Reply, more: w => w.Status(DhcpStatusCode.NoBinding, ""));
        Assert.Equal(DhcpClientState.Gone, scene.Client.State);
        new DhcpClientScene().Client.Release();
    }

    [Fact]
    public void An_address_that_another_has_is_declined_and_the_prefix_stays()
    {
        var scene = new DhcpClientScene(new DhcpClientOptions { Duid = Ours, Address = true });
        var address = IPv6Address.Parse("2001:db8:77::5");
        void Both(DhcpWriter w)
        {
            new IdentityAssociation(DhcpOption.IaNa, 1, [new DhcpLease(IPv6Prefix.Of(address, 128), 2000, 3000)]).Write(w);
            Give(w);
        }

        scene.UntilSent();
        Assert.Equal([DhcpOption.IaNa, DhcpOption.IaPd], IdentityAssociation.ReadAll(scene.Options).Select(a => a.Kind));
        scene.Hear(DhcpMessageType.Advertise, more: Both);
        scene.UntilSent();
        scene.Hear(DhcpMessageType.Reply, more: Both);
        Assert.Equal(2, scene.Client.Binding!.Leases.Count);
        scene.Client.Decline(address);
        scene.UntilSent();
        Assert.Equal(DhcpMessageType.Decline, scene.LastType);
        IdentityAssociation declined = scene.Association;
        Assert.Equal((DhcpOption.IaNa, address), (declined.Kind, Assert.Single(declined.Leases).Prefix.Address));
        scene.Hear(DhcpMessageType.Reply, more: w => w.Status(DhcpStatusCode.Success, ""));
        Assert.Equal((DhcpClientState.Bound, Prefix), (scene.Client.State, Assert.Single(scene.Client.Binding!.Leases).Prefix));

        // Soon it asks for another, beside the prefix that it has.
        Assert.InRange(scene.UntilSent().TotalSeconds, 9.9, 10.1);
        Assert.Equal(DhcpMessageType.Renew, scene.LastType);
        Assert.Equal([0, 1], IdentityAssociation.ReadAll(scene.Options).Select(a => a.Leases.Count));
    }

    [Fact]
    public void On_a_link_that_may_be_another_prefixes_are_verified_for_ten_seconds_and_then_kept()
    {
        _scene.Bound();
        Client.Recheck();
        _scene.UntilSent();
        Assert.Equal(DhcpMessageType.Rebind, _scene.LastType);
        TimeSpan begin = Client.Now;
        while (Client.Next() is null && Client.State == DhcpClientState.Rebinding) _scene.Clock.Advance(Client.Due!.Value + TimeSpan.FromMicroseconds(1));
        while (Client.State == DhcpClientState.Rebinding)
        {
            _scene.Clock.Advance(Client.Due!.Value + TimeSpan.FromMicroseconds(1));
            Client.Next();
        }

        Assert.InRange((Client.Now - begin).TotalSeconds, 9.9, 10.1);
        Assert.Equal(DhcpClientState.Bound, Client.State);
        Assert.NotNull(Client.Binding);

        // However often it flaps, once in 30 s.
        Client.Recheck();
        Client.Recheck();
        Assert.InRange(_scene.UntilSent().TotalSeconds, 15, 31);
        Assert.Equal(DhcpMessageType.Rebind, _scene.LastType);
        _scene.Hear(DhcpMessageType.Reply, more: w => Give(w, Prefix, preferred: 0, valid: 0));
        Assert.Null(Client.Binding);
        Assert.Equal(DhcpClientState.Searching, Client.State);
    }

    [Fact]
    public void On_a_link_that_may_be_another_an_address_alone_is_confirmed()
    {
        var scene = new DhcpClientScene(new DhcpClientOptions { Duid = Ours, Address = true, Prefix = false });
        void Address(DhcpWriter w) => new IdentityAssociation(DhcpOption.IaNa, 1, [new DhcpLease(IPv6Prefix.Parse("2001:db8:77::5/128"), 2000, 3000)]).Write(w);
        scene.UntilSent();
        scene.Hear(DhcpMessageType.Advertise, more: Address);
        scene.UntilSent();
        scene.Hear(DhcpMessageType.Reply, more: Address);
        scene.Client.Recheck();
        scene.UntilSent();
        Assert.Equal(DhcpMessageType.Confirm, scene.LastType);
        scene.Hear(DhcpMessageType.Reply, more: w => w.Status(DhcpStatusCode.Success, ""));
        Assert.NotNull(scene.Client.Binding);
        scene.Client.Recheck();
        scene.UntilSent();
        scene.Hear(DhcpMessageType.Reply, more: w => w.Status(DhcpStatusCode.NotOnLink, ""));
        Assert.Null(scene.Client.Binding);
    }

    [Fact]
    public void Softwires_alone_take_one_question_and_again_when_the_refresh_time_is_over()
    {
        var scene = new DhcpClientScene(new DhcpClientOptions { Duid = Ours, Prefix = false });
        scene.UntilSent();
        Assert.Equal(DhcpMessageType.InformationRequest, scene.LastType);
        Assert.Equal([DhcpOption.S46Lightweight, DhcpOption.S46MapE, DhcpOption.S46Priority, DhcpOption.InfMaxRt, DhcpOption.InformationRefreshTime], scene.Options.Codes(DhcpOption.Requested));
        Assert.Empty(IdentityAssociation.ReadAll(scene.Options));
        scene.Hear(DhcpMessageType.Reply, more: Softwire);
        Assert.Empty(scene.Client.Binding!.Leases);
        Assert.NotNull(scene.Client.Binding.Softwires.Lightweight);
        Assert.InRange(scene.UntilSent().TotalSeconds, 86_400, 86_402);

        scene.Hear(DhcpMessageType.Reply, more: w => w.Option(DhcpOption.InformationRefreshTime, 1u));
        Assert.Null(scene.Client.Binding.Softwires.Lightweight);
        Assert.InRange(scene.UntilSent().TotalSeconds, 600, 602);
        scene.Hear(DhcpMessageType.Reply, more: w => w.Option(DhcpOption.InformationRefreshTime, IdentityAssociation.Infinity));
        Assert.Null(scene.Client.Due);
    }

    [Fact]
    public void Whatever_comes_nothing_is_thrown_and_no_more_than_a_message_a_second_is_sent_for_long()
    {
        for (int seed = 0; seed < 40; seed++)
        {
            var random = new Random(seed);
            var scene = new DhcpClientScene(new DhcpClientOptions { Duid = Ours, Address = seed % 2 == 0, Prefix = seed % 3 != 0, RapidCommit = seed % 5 == 0 }, seed);
            int sent = 0;
            for (int step = 0; step < 2000; step++)
            {
                if (scene.Client.Next() is { } message)
                {
                    sent++;
                    DhcpWriter writer = DhcpMessage.Begin((DhcpMessageType)random.Next(1, 12), (uint)(message[1] << 16 | message[2] << 8 | message[3]));
                    writer.Option(DhcpOption.ServerId, (random.Next(2) == 0 ? Server : Other).Bytes);
                    writer.Option(DhcpOption.ClientId, Ours.Bytes);
                    if (random.Next(3) > 0) writer.Number32(0x000e0000);
                    if (random.Next(3) == 0) writer.Status((DhcpStatusCode)random.Next(8), "x");
                    if (random.Next(3) > 0) new IdentityAssociation(random.Next(2) == 0 ? DhcpOption.IaNa : DhcpOption.IaPd, 1, [new DhcpLease(IPv6Prefix.Of(Prefix.Address, random.Next(129)), (uint)random.Next(400), (uint)random.Next(400))])
                    { T1 = (uint)random.Next(200), T2 = (uint)random.Next(300), Status = new DhcpStatus((DhcpStatusCode)random.Next(10), null) }.Write(writer);
                    byte[] answer = writer.ToArray();
                    if (random.Next(4) == 0) answer[random.Next(answer.Length)] ^= (byte)random.Next(256);
                    scene.Client.Receive(answer);
                }
                else if (scene.Client.Due is { } due)
                {
                    scene.Clock.Advance(due + TimeSpan.FromMicroseconds(1));
                }
                else
                {
                    scene.Client.Recheck();
                    scene.Clock.Advance(TimeSpan.FromSeconds(100));
                }
            }

            Assert.True(sent <= 21 + scene.Client.Now.TotalSeconds, $"{sent} messages in {scene.Client.Now}, seed {seed}");
        }
    }
}
