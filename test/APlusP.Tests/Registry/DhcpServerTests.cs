using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Dhcpv6;
using APlusP.Registry.Leases;
using APlusP.Tests.Dhcpv6;
using CsCheck;
using static APlusP.Tests.Registry.DhcpServerScene;

namespace APlusP.Tests.Registry;

/// <summary>The registry as a DHCPv6 server, message by message.</summary>
public class DhcpServerTests
{
    static Lease LeaseOf(DhcpServerScene scene, int client = 1) => scene.Registry.Registrar.Read(s => s.One(
        $"SELECT {Lease.Columns} FROM lease WHERE subscriber = @subscriber ORDER BY valid_from DESC LIMIT 1", Lease.Read, ("subscriber", DhcpResponder.SubscriberOf(Client(client)))))!;

    [Fact]
    public void A_solicit_is_answered_by_an_offer_and_nothing_is_kept_for_it()
    {
        using var scene = new DhcpServerScene(Lightweight with { Preference = 7 });
        DhcpAnswer offer = scene.Ask(DhcpMessageType.Solicit);
        Assert.Equal(DhcpMessageType.Advertise, offer.Type);
        Assert.Equal([DhcpOption.ServerId, DhcpOption.ClientId, DhcpOption.IaPd, DhcpOption.Preference, DhcpOption.S46Lightweight], offer.Codes);
        Assert.Null(LeaseOf(scene));
        DhcpAnswer reply = scene.Request();
        Assert.Equal((DhcpMessageType.Reply, offer.Prefix), (reply.Type, reply.Prefix));
        Assert.Equal(offer.Binding, reply.Binding);
    }

    [Fact]
    public void A_request_makes_a_lease_and_the_home_makes_just_its_softwire_of_what_it_is_told()
    {
        using var scene = new DhcpServerScene();
        DhcpAnswer reply = scene.Request();
        Lease lease = LeaseOf(scene);
        SoftwireParameters home = reply.Home();
        Assert.Equal((lease.Softwire, lease.Address), (home.Softwire, home.Address));
        Assert.Equal(lease.Ports.Ranges, home.Ports.Ranges);
        Assert.Equal(IPv6Address.Parse("2001:db8:ffff::1"), home.Prr);
        Assert.Equal("duid-00030001525400000001", lease.Subscriber);

        IdentityAssociation association = Assert.Single(reply.Associations);
        Assert.Equal((7u, 1800u, 2880u), (association.Id, association.T1, association.T2));
        Assert.Equal((3600u, 3600u, 56), (association.Leases[0].Preferred, association.Leases[0].Valid, association.Leases[0].Prefix.Length));
        Assert.Equal(reply.Bytes, scene.Request().Bytes);
    }

    [Fact]
    public void Every_home_has_a_prefix_and_a_softwire_of_its_own()
    {
        using var scene = new DhcpServerScene();
        List<SoftwireParameters> homes = [.. Enumerable.Range(1, 300).Select(i => scene.Request(i).Home())];
        Assert.Equal(300, homes.Select(h => IPv6Prefix.Of(h.Softwire, 56)).Distinct().Count());
        Assert.Equal(300, homes.Select(h => (h.Address, h.Ports)).Distinct().Count());
        scene.Registry.AssertNoOverlap();
    }

    [Fact]
    public void By_a_rule_the_prefix_says_address_and_ports_and_both_mechanisms_agree()
    {
        using var scene = new DhcpServerScene(ByRule, PsidPolicy);
        DhcpAnswer reply = scene.Request();
        Assert.Equal([DhcpOption.S46MapE, DhcpOption.S46Lightweight], reply.Softwires.Priority);
        SoftwireParameters home = reply.Home();
        Assert.Equal(DhcpOption.S46MapE, home.Mechanism);
        Assert.Equal([Rule], home.ForwardingRules);
        Assert.True(Rule.TryMapEndUser(reply.Prefix, out MappedSubscriber? subscriber, out string error), error);
        Lease lease = LeaseOf(scene);
        Assert.Equal((lease.Address, lease.Ports, lease.Softwire), (subscriber!.Prefix.Address, subscriber.Ports, subscriber.Ce));
        Assert.Equal((lease.Address, lease.Softwire), (home.Address, home.Softwire));
        Assert.Equal(new Psid(6, 8, subscriber.Psid), reply.Binding.Ports);
    }

    [Fact]
    public void Only_what_was_asked_for_is_told()
    {
        using var scene = new DhcpServerScene(ByRule, PsidPolicy);
        DhcpWriter writer = DhcpMessage.Begin(DhcpMessageType.Request, 0x123456);
        writer.Option(DhcpOption.ClientId, Client(1).Bytes);
        writer.Option(DhcpOption.ServerId, Self.Bytes);
        writer.Option(DhcpOption.Requested, [DhcpOption.S46Lightweight, DhcpOption.S46Priority]);
        new IdentityAssociation(DhcpOption.IaPd, 1, []).Write(writer);
        Assert.Equal([DhcpOption.ServerId, DhcpOption.ClientId, DhcpOption.IaPd, DhcpOption.S46Lightweight], new DhcpAnswer(scene.Send(writer.ToArray())!).Codes);
    }

    [Fact]
    public void Two_messages_are_enough_where_the_operator_and_the_client_say_so()
    {
        using var scene = new DhcpServerScene(Lightweight with { RapidCommit = true });
        DhcpAnswer reply = scene.Ask(DhcpMessageType.Solicit, more: w => w.Option(DhcpOption.RapidCommit, default(ReadOnlySpan<byte>)));
        Assert.Equal(DhcpMessageType.Reply, reply.Type);
        Assert.Contains(DhcpOption.RapidCommit, reply.Codes);
        Assert.NotNull(LeaseOf(scene));
        Assert.Equal(DhcpMessageType.Advertise, scene.Ask(DhcpMessageType.Solicit, client: 2).Type);
        using var other = new DhcpServerScene();
        Assert.Equal(DhcpMessageType.Advertise, other.Ask(DhcpMessageType.Solicit, more: w => w.Option(DhcpOption.RapidCommit, default(ReadOnlySpan<byte>))).Type);
    }

    [Fact]
    public void A_renewal_gives_the_whole_time_again_and_so_does_a_rebinding()
    {
        using var scene = new DhcpServerScene();
        IPv6Prefix prefix = scene.Request().Prefix;
        foreach ((DhcpMessageType type, Duid? server) in new[] { (DhcpMessageType.Renew, Self), (DhcpMessageType.Rebind, null) })
        {
            scene.Registry.Pass(1800);
            DhcpAnswer reply = scene.Ask(type, has: prefix, server: server);
            Assert.Equal(prefix, reply.Prefix);
            Assert.Equal(3600u, reply.Associations[0].Leases[0].Valid);
            Assert.NotNull(reply.Softwires.Lightweight);
            Assert.Equal(TimeSpan.FromHours(1), LeaseOf(scene).Until - scene.Registry.Clock.Now);
        }
    }

    [Fact]
    public void A_prefix_that_is_not_the_clients_ends_at_once()
    {
        using var scene = new DhcpServerScene();
        IPv6Prefix prefix = scene.Request().Prefix, other = IPv6Prefix.Parse("2001:db8:77::/56");
        IdentityAssociation association = Assert.Single(scene.Ask(DhcpMessageType.Renew, has: other, server: Self).Associations);
        Assert.Equal([new DhcpLease(prefix, 3600, 3600), new DhcpLease(other, 0, 0)], association.Leases);
    }

    [Fact]
    public void Whom_it_does_not_know_it_says_so_when_asked_alone_and_leaves_to_others_when_all_are_asked()
    {
        using var scene = new DhcpServerScene();
        Assert.Equal(DhcpStatusCode.NoBinding, Assert.Single(scene.Ask(DhcpMessageType.Renew, has: IPv6Prefix.Parse("2001:db8:77::/56"), server: Self).Associations).Status.Code);
        Assert.Null(scene.Send(Message(DhcpMessageType.Rebind, has: IPv6Prefix.Parse("2001:db8:77::/56"))));
        Assert.Null(LeaseOf(scene));

        using var only = new DhcpServerScene(Lightweight with { RapidCommit = true });
        Assert.NotNull(only.Ask(DhcpMessageType.Rebind, has: IPv6Prefix.Parse("2001:db8:77::/56")).Binding);
    }

    [Fact]
    public void What_is_given_back_is_free_after_the_hold_down_and_only_its_owner_can_give_it_back()
    {
        using var scene = new DhcpServerScene();
        IPv6Prefix prefix = scene.Request().Prefix;
        Assert.Equal(DhcpStatusCode.NoBinding, Assert.Single(scene.Ask(DhcpMessageType.Release, client: 2, has: prefix, server: Self).Associations).Status.Code);
        Assert.Null(LeaseOf(scene).Ended);
        DhcpAnswer reply = scene.Ask(DhcpMessageType.Release, has: prefix, server: Self);
        Assert.Equal(DhcpStatusCode.Success, reply.Status.Code);
        Assert.Contains(DhcpOption.StatusCode, reply.Codes);
        Assert.Empty(reply.Associations);
        Assert.NotNull(LeaseOf(scene).Ended);
        Assert.Equal(DhcpStatusCode.NoBinding, Assert.Single(scene.Ask(DhcpMessageType.Release, has: prefix, server: Self).Associations).Status.Code);
        Assert.Equal(DhcpStatusCode.NoBinding, Assert.Single(scene.Ask(DhcpMessageType.Decline, has: prefix, server: Self).Associations).Status.Code);
    }

    [Fact]
    public void A_home_has_one_prefix_and_no_addresses()
    {
        using var scene = new DhcpServerScene();
        DhcpAnswer reply = scene.Request(more: w =>
        {
            new IdentityAssociation(DhcpOption.IaNa, 1, []).Write(w);
            new IdentityAssociation(DhcpOption.IaPd, 8, []).Write(w);
        });
        Assert.Equal([(7u, DhcpStatusCode.Success), (1u, DhcpStatusCode.NoAddrsAvail), (8u, DhcpStatusCode.NoPrefixAvail)], reply.Associations.Select(a => (a.Id, a.Status.Code)));
        Assert.Single(reply.Associations[0].Leases);
    }

    [Fact]
    public void When_nothing_is_left_it_says_so_in_words()
    {
        using var scene = new DhcpServerScene(policy: RegistryScene.Policy(pool: "192.0.2.1/32", block: 32768, ports: "0-65535"));
        Assert.Equal(56, scene.Request(1).Prefix.Length);
        Assert.Equal(56, scene.Request(2).Prefix.Length);
        foreach (DhcpAnswer answer in (DhcpAnswer[])[scene.Request(3), scene.Ask(DhcpMessageType.Solicit, client: 3)])
        {
            Assert.Equal(DhcpStatusCode.NoPrefixAvail, Assert.Single(answer.Associations).Status.Code);
            Assert.Contains("ports left", answer.Associations[0].Status.Message, StringComparison.Ordinal);
            Assert.Null(answer.Softwires.Lightweight);
        }
    }

    [Fact]
    public void Information_alone_makes_no_lease_but_tells_of_one()
    {
        using var scene = new DhcpServerScene(ByRule, PsidPolicy);
        DhcpAnswer information = scene.Ask(DhcpMessageType.InformationRequest, association: false);
        Assert.Equal([DhcpOption.ServerId, DhcpOption.ClientId, DhcpOption.S46MapE, DhcpOption.InformationRefreshTime], information.Codes);
        Assert.Equal(86_400u, information.RefreshTime);
        Assert.Null(LeaseOf(scene));
        scene.Request();
        information = scene.Ask(DhcpMessageType.InformationRequest, association: false);
        Assert.Equal(LeaseOf(scene).Address, information.Binding.Address);
        Assert.Equal(1800u, information.RefreshTime);

        // Anonymous: only what is the same for all.
        DhcpWriter writer = DhcpMessage.Begin(DhcpMessageType.InformationRequest, 0x123456);
        writer.Option(DhcpOption.Requested, [DhcpOption.S46Lightweight, DhcpOption.S46MapE]);
        Assert.Equal([DhcpOption.ServerId, DhcpOption.S46MapE], new DhcpAnswer(scene.Send(writer.ToArray())!).Codes);
    }

    [Fact]
    public void A_lease_that_was_made_otherwise_is_told_with_the_softwire_that_it_has()
    {
        using var scene = new DhcpServerScene();
        var softwire = IPv6Address.Parse("2001:db8:abcd::5");
        scene.Registry.Change(book => book.Grant(DhcpResponder.SubscriberOf(Client(1)), softwire, null));
        DhcpAnswer information = scene.Ask(DhcpMessageType.InformationRequest, association: false);
        Assert.Equal(IPv6Prefix.Of(softwire, 128), information.Binding.Prefix);
        Assert.Equal(softwire, SoftwireParameters.Choose(information.Softwires, [IPv6Prefix.Parse("2001:db8:abcd::/64")], out _)!.Softwire);
        Assert.Equal(DhcpStatusCode.NoPrefixAvail, Assert.Single(scene.Request().Associations).Status.Code);
    }

    [Fact]
    public void A_lease_that_has_grown_is_told_as_the_part_that_one_psid_can_say()
    {
        using var scene = new DhcpServerScene();
        scene.Request();
        scene.Registry.Pass(61);
        Lease grown = scene.Registry.Change(book => book.Grow(LeaseOf(scene).Id, 256));
        Assert.Equal(384, grown.Ports.Count);
        SoftwireParameters home = scene.Ask(DhcpMessageType.Renew, server: Self).Home();
        Assert.Equal(grown.Softwire, home.Softwire);
        Assert.All(home.Ports.Ranges.SelectMany(r => Enumerable.Range(r.First, r.Count)), p => Assert.True(grown.Ports.Contains((ushort)p)));
        Assert.InRange(home.Ports.Count, 128, 384);
    }

    [Fact]
    public void Messages_through_relay_agents_go_back_the_same_way()
    {
        using var scene = new DhcpServerScene();
        IPv6Address link = IPv6Address.Parse("2001:db8:7::1"), client = IPv6Address.Parse("fe80::9"), relay = IPv6Address.Parse("2001:db8:8::1");
        byte[] first = RelayMessage.Write(DhcpMessageType.RelayForward, 0, link, client, "port 5"u8, Message(DhcpMessageType.Solicit));
        byte[] second = RelayMessage.Write(DhcpMessageType.RelayForward, 1, default, relay, default, first);
        byte[] answer = scene.Send(second, toAll: false)!;

        Assert.True(RelayMessage.TryRead(answer, out RelayMessage outer));
        Assert.Equal((DhcpMessageType.RelayReply, 1, default, relay), (outer.Type, outer.HopCount, outer.LinkAddress, outer.PeerAddress));
        Assert.False(outer.Options.Has(DhcpOption.InterfaceId));
        Assert.True(outer.Options.TryFind(DhcpOption.RelayMessage, out ReadOnlySpan<byte> content));
        Assert.True(RelayMessage.TryRead(content, out RelayMessage inner));
        Assert.Equal((DhcpMessageType.RelayReply, 0, link, client), (inner.Type, inner.HopCount, inner.LinkAddress, inner.PeerAddress));
        Assert.True(inner.Options.TryFind(DhcpOption.InterfaceId, out ReadOnlySpan<byte> port));
        Assert.Equal("port 5"u8.ToArray(), port.ToArray());
        Assert.True(inner.Options.TryFind(DhcpOption.RelayMessage, out ReadOnlySpan<byte> message));
        Assert.Equal(DhcpMessageType.Advertise, new DhcpAnswer(message.ToArray()).Type);
    }

    [Fact]
    public void Relay_agents_around_each_other_without_end_are_not_followed()
    {
        using var scene = new DhcpServerScene();
        byte[] message = Message(DhcpMessageType.Solicit);
        for (int i = 0; i < 9; i++) message = RelayMessage.Write(DhcpMessageType.RelayForward, (byte)i, default, default, default, message);
        Assert.NotNull(scene.Send(message));
        Assert.Null(scene.Send(RelayMessage.Write(DhcpMessageType.RelayForward, 9, default, default, default, message)));
        Assert.Null(scene.Send(RelayMessage.Write(DhcpMessageType.RelayReply, 0, default, default, default, Message(DhcpMessageType.Solicit))));
    }

    [Fact]
    public void What_was_sent_to_it_alone_without_leave_is_discarded_or_told_to_ask_all()
    {
        using var scene = new DhcpServerScene();
        Assert.Null(scene.Send(Message(DhcpMessageType.Solicit), toAll: false));
        Assert.Null(scene.Send(Message(DhcpMessageType.Rebind), toAll: false));
        Assert.Null(scene.Send(Message(DhcpMessageType.InformationRequest, association: false), toAll: false));
        var answer = new DhcpAnswer(scene.Send(Message(DhcpMessageType.Request, server: Self), toAll: false)!);
        Assert.Equal((DhcpMessageType.Reply, DhcpStatusCode.UseMulticast), (answer.Type, answer.Status.Code));
        Assert.Null(LeaseOf(scene));
    }

    /// <summary>RFC 8415 section 16.</summary>
    [Fact]
    public void Messages_that_are_not_valid_are_discarded()
    {
        using var scene = new DhcpServerScene();
        Duid other = Client(99);
        Assert.Null(scene.Send(Message(DhcpMessageType.Solicit, server: Self)));
        Assert.Null(scene.Send(Message(DhcpMessageType.Rebind, server: Self)));
        foreach (DhcpMessageType type in (DhcpMessageType[])[DhcpMessageType.Request, DhcpMessageType.Renew, DhcpMessageType.Release, DhcpMessageType.Decline])
        {
            Assert.Null(scene.Send(Message(type)));
            Assert.Null(scene.Send(Message(type, server: other)));
        }

        foreach (DhcpMessageType type in (DhcpMessageType[])[DhcpMessageType.Advertise, DhcpMessageType.Reply, DhcpMessageType.Reconfigure, DhcpMessageType.Confirm]) Assert.Null(scene.Send(Message(type)));
        Assert.Null(scene.Send(Message(DhcpMessageType.InformationRequest)));
        Assert.Null(scene.Send(Message(DhcpMessageType.InformationRequest, server: other, association: false)));
        DhcpWriter anonymous = DhcpMessage.Begin(DhcpMessageType.Solicit, 1);
        Assert.Null(scene.Send(anonymous.ToArray()));
        Assert.Null(scene.Send([]));
    }

    [Fact]
    public void Mangled_messages_never_throw_and_store_nothing_that_overlaps()
    {
        using var scene = new DhcpServerScene(ByRule with { RapidCommit = true }, PsidPolicy);
        byte[] request = Message(DhcpMessageType.Request, server: Self);
        byte[] relayed = RelayMessage.Write(DhcpMessageType.RelayForward, 0, default, default, [1], Message(DhcpMessageType.Solicit, more: w => w.Option(DhcpOption.RapidCommit, default(ReadOnlySpan<byte>))));
        var random = new Random(5);
        for (int i = 0; i < 3000; i++)
        {
            byte[] mangled = [.. i % 2 == 0 ? request : relayed];
            for (int changes = random.Next(5); changes > 0; changes--) mangled[random.Next(mangled.Length)] = (byte)random.Next(256);
            scene.Send(mangled[..(random.Next(3) == 0 ? random.Next(mangled.Length + 1) : mangled.Length)], toAll: random.Next(4) > 0);
        }

        scene.Registry.AssertNoOverlap();
        scene.Registry.AssertRoomIsCounted();
    }

    /// <summary>Our client and our server, without a link between them.</summary>
    [Fact]
    public void The_client_and_the_server_understand_each_other()
    {
        using var scene = new DhcpServerScene(ByRule, PsidPolicy);
        var client = new DhcpClientScene(new DhcpClientOptions { Duid = Client(1) });
        for (int i = 0; i < 2; i++)
        {
            client.UntilSent();
            client.Client.Receive(scene.Send(client.Last)!);
        }

        DhcpBinding binding = client.Client.Binding!;
        SoftwireParameters home = SoftwireParameters.Choose(binding.Softwires, [binding.Leases[0].Prefix], out string why)!;
        Assert.Equal("", why);
        Assert.Equal(LeaseOf(scene).Softwire, home.Softwire);
        client.UntilSent();
        Assert.Equal(DhcpMessageType.Renew, client.LastType);
        client.Client.Receive(scene.Send(client.Last)!);
        Assert.Equal(DhcpClientState.Bound, client.Client.State);
        client.Client.Release();
        client.UntilSent();
        client.Client.Receive(scene.Send(client.Last)!);
        Assert.Equal(DhcpClientState.Gone, client.Client.State);
        Assert.NotNull(LeaseOf(scene).Ended);
    }

    [Fact]
    public void A_long_duid_is_a_subscriber_by_its_hash()
    {
        Assert.True(Duid.TryRead(Enumerable.Repeat((byte)7, 130).ToArray(), out Duid? longest));
        Assert.StartsWith("duid-sha256-", DhcpResponder.SubscriberOf(longest!), StringComparison.Ordinal);
        Assert.InRange(DhcpResponder.SubscriberOf(longest!).Length, 1, 128);
        Assert.True(Duid.TryRead(Enumerable.Repeat((byte)7, 58).ToArray(), out Duid? shorter));
        Assert.InRange(DhcpResponder.SubscriberOf(shorter!).Length, 1, 128);
    }

    [Fact]
    public void Prefixes_must_be_enough_for_every_block_of_the_pools()
    {
        LeasePolicy policy = RegistryScene.Policy();
        Assert.Null(HomePrefixes.Fault(IPv6Prefix.Parse("2001:db8:1000::/44"), 56, policy));
        Assert.Contains("/45", HomePrefixes.Fault(IPv6Prefix.Parse("2001:db8:1000::/48"), 56, policy), StringComparison.Ordinal);
        Assert.Null(HomePrefixes.Fault(IPv6Prefix.Parse("2001:db8:1000::/45"), 56, policy));
        Assert.Contains("shorter than", HomePrefixes.Fault(IPv6Prefix.Parse("2001:db8:1000::/48"), 40, policy), StringComparison.Ordinal);
    }
}
