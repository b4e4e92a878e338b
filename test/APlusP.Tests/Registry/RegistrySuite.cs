using System.Diagnostics;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry;
using APlusP.Registry.Access;
using APlusP.Registry.Allocation;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Tests.Registry;

/// <summary>What a registry does, on any of its databases: the unit tests run it on SQLite, the lab on a real PostgreSQL.</summary>
public abstract class RegistrySuite
{
    /// <summary>A database that nobody else has, empty.</summary>
    protected abstract RegistryDatabase NewDatabase();

    private protected RegistryScene Scene(LeasePolicy? policy = null) => new(NewDatabase(), policy);

    [Fact]
    public void A_subscriber_gets_ports_and_asked_again_the_same_lease()
    {
        using RegistryScene scene = Scene();
        Lease first = scene.Grant("cpe-1"), second = scene.Grant("cpe-2");
        Assert.Equal((PortSet.Parse("1024-1151"), scene.Clock.Now, scene.Clock.Now.AddHours(1)), (first.Ports, first.From, first.Until));
        scene.Pass(100);
        Assert.Equal(first, scene.Grant("cpe-1"));
        Assert.NotEqual(first.Id, second.Id);
        Assert.Equal(2, scene.Blocks().Count);
    }

    [Fact]
    public void Subscribers_are_spread_over_the_addresses_so_that_each_has_room_to_grow()
    {
        using RegistryScene scene = Scene();
        Assert.Equal(4, Enumerable.Range(1, 4).Select(i => scene.Grant($"cpe-{i}").Address).Distinct().Count());
        Assert.Equal(PortSet.Parse("1152-1279"), scene.Grant("cpe-5").Ports);
    }

    [Fact]
    public void A_renewed_lease_lives_its_whole_time_again_and_one_that_is_not_expires()
    {
        using RegistryScene scene = Scene();
        Lease kept = scene.Grant("cpe-1"), left = scene.Grant("cpe-2");
        scene.Pass(1800);
        Lease renewed = scene.Change(b => b.Renew(kept.Id));
        Assert.Equal(kept with { Until = scene.Clock.Now.AddHours(1) }, renewed);
        scene.Pass(1801);
        Assert.Equal(ErrorCodes.NotThere, scene.Refused(b => b.Renew(left.Id)));
        Assert.Equal(renewed, scene.Grant("cpe-1"));
        Assert.Null(scene.Who(left.Address, 1024).Subscriber);
        Assert.Equal("cpe-1", scene.Who(kept.Address, 1024).Subscriber);
    }

    [Fact]
    public void Ports_that_were_given_back_rest_before_another_gets_them()
    {
        // One address of two blocks.
        using RegistryScene scene = Scene(RegistryScene.Policy("192.0.2.1/32", ports: "2000-2255"));
        Lease first = scene.Grant("cpe-1");
        scene.Grant("cpe-2");
        Assert.Equal(ErrorCodes.PoolExhausted, scene.Refused(b => b.Grant("cpe-3", RegistryScene.Softwire(3), null)));
        scene.Change(b => b.Release(first.Id));
        scene.Pass(119.9);
        Assert.Equal(ErrorCodes.PoolExhausted, scene.Refused(b => b.Grant("cpe-3", RegistryScene.Softwire(3), null)));
        scene.Pass(0.1);
        Assert.Equal(first.Ports, scene.Grant("cpe-3").Ports);
        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
    }

    [Fact]
    public void Who_comes_back_while_its_ports_rest_gets_them_again()
    {
        using RegistryScene scene = Scene();
        Lease before = scene.Grant("cpe-1");
        scene.Change(b => b.Release(before.Id));
        scene.Pass(60);
        Lease after = scene.Grant("cpe-1");
        Assert.NotEqual(before.Id, after.Id);
        Assert.Equal((before.Address, before.Ports), (after.Address, after.Ports));
        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
    }

    [Fact]
    public void Who_leaves_and_comes_back_within_one_moment_has_one_lease()
    {
        using RegistryScene scene = Scene();
        for (int i = 0; i < 20; i++)
        {
            Lease lease = scene.Grant("cpe-1");
            Assert.Equal(lease, scene.Grant("cpe-1"));
            scene.Change(b => b.Release(lease.Id));
        }

        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
    }

    [Fact]
    public void Who_is_refused_since_the_softwire_that_follows_is_anothers_has_taken_no_port()
    {
        using RegistryScene scene = Scene();
        scene.Grant("cpe-1", softwire: 1);
        scene.Change(b => b.Reserve("cpe-3", IPv4Address.Parse("192.0.2.3"), PortSet.Parse("2048-2175")));
        foreach (string subscriber in (string[])["cpe-2", "cpe-3"])
            Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.Grant(subscriber, (_, _) => RegistryScene.Softwire(1), null)));
        scene.AssertRoomIsCounted();
        Assert.Equal("192.0.2.3", $"{scene.Change(b => b.Grant("cpe-3", (_, _) => RegistryScene.Softwire(3), null)).Lease.Address}");
        scene.AssertRoomIsCounted();
    }

    [Fact]
    public void After_a_lease_expired_its_ports_rest_and_are_free_then()
    {
        using RegistryScene scene = Scene(RegistryScene.Policy("192.0.2.1/32", ports: "2000-2127"));
        scene.Grant("cpe-1");
        scene.Pass(3600);
        scene.Upkeep();
        Assert.Equal(ErrorCodes.PoolExhausted, scene.Refused(b => b.Grant("cpe-2", RegistryScene.Softwire(2), null)));
        scene.Pass(120);
        scene.Upkeep();
        Assert.Equal("2000-2127", scene.Grant("cpe-2").Ports.ToString());
        scene.AssertNoOverlap();
    }

    [Fact]
    public void A_softwire_has_one_subscriber_and_a_subscriber_may_move_to_another_softwire()
    {
        using RegistryScene scene = Scene();
        Lease lease = scene.Grant("cpe-1", softwire: 1);
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.Grant("cpe-2", RegistryScene.Softwire(1), null)));
        Assert.Equal(lease with { Softwire = RegistryScene.Softwire(9) }, scene.Grant("cpe-1", softwire: 9));
        scene.Grant("cpe-2", softwire: 1);

        // The softwire of a lease that is over is nobody's, whether anybody noticed or not.
        scene.Pass(3600);
        scene.Grant("cpe-3", softwire: 9);
    }

    [Fact]
    public void A_lease_of_one_range_grows_behind_it_shrinks_and_is_entrusted_to_a_nonce()
    {
        using RegistryScene scene = Scene();
        (Lease Lease, PortRange Range) Ask(int most) => scene.Change(b => b.GrantRange("home", RegistryScene.Softwire(1), null, new RangeTerms(most, TimeSpan.FromMinutes(30), null)));
        (Lease first, PortRange range) = Ask(65535);
        Assert.Equal((new PortRange(1024, 1151), 30), (range, (first.Until - first.From).TotalMinutes));
        scene.Change(b =>
        {
            b.Entrust(first, "0102");
            return true;
        });
        Assert.Equal((first.Id, "0102"), scene.Change(b => (b.Held("home")!.Value.Lease.Id, b.Held("home")!.Value.Nonce)));
        Assert.Null(scene.Change(b => b.Held("another")));
        Assert.Equal(new PortRange(1024, 1279), Ask(65535).Range);
        scene.Pass(61);
        Assert.Equal(new PortRange(1024, 1151), Ask(200).Range);
        scene.Pass(61);
        Assert.Equal(ErrorCodes.LeaseLimit, scene.Refused(b => b.GrantRange("other", RegistryScene.Softwire(2), null, new RangeTerms(100, TimeSpan.FromHours(1), null))));
        Assert.Equal((first.Id, "0102"), scene.Change(b => (b.Held("home")!.Value.Lease.Id, b.Held("home")!.Value.Nonce)));
        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
    }

    [Fact]
    public void A_lease_grows_by_blocks_of_its_address_once_a_minute_to_the_limit_of_its_class()
    {
        using RegistryScene scene = Scene();
        Lease lease = scene.Grant("cpe-1");
        for (int ports = 256; ports <= 1024; ports += 128)
        {
            Lease grown = scene.Change(b => b.Grow(lease.Id, null));
            Assert.Equal((lease.Address, ports), (grown.Address, grown.Ports.Count));
            Assert.Single(grown.Ports.Ranges);
            Assert.Equal(ErrorCodes.TooSoon, scene.Refused(b => b.Grow(lease.Id, null)));
            Assert.Equal(ErrorCodes.TooSoon, scene.Refused(b => b.Shrink(lease.Id, null)));
            scene.Pass(60);
        }

        Assert.Equal(ErrorCodes.LeaseLimit, scene.Refused(b => b.Grow(lease.Id, null)));
        Assert.Equal(1024, scene.Grant("cpe-1").Ports.Count);
        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
    }

    [Fact]
    public void A_lease_gives_back_what_came_last_and_keeps_what_it_began_with()
    {
        using RegistryScene scene = Scene();
        Lease lease = scene.Grant("cpe-1");
        scene.Change(b => b.Grow(lease.Id, 256));
        scene.Pass(60);
        Assert.Equal("1024-1407", scene.Grant("cpe-1").Ports.ToString());
        Assert.Equal(lease.Ports, scene.Change(b => b.Shrink(lease.Id, 256)).Ports);
        Assert.Null(scene.Who(lease.Address, 1300).Subscriber);
        Assert.Equal("cpe-1", scene.Who(lease.Address, 1300, scene.Clock.Now.AddSeconds(-1)).Subscriber);
        scene.Pass(60);
        Assert.Equal(ErrorCodes.LeaseLimit, scene.Refused(b => b.Shrink(lease.Id, null)));
        scene.Change(b => b.Renew(lease.Id));
        Assert.Null(scene.Who(lease.Address, 1300).Subscriber);
        scene.Pass(61);
        scene.Upkeep();
        scene.AssertRoomIsCounted();
        scene.AssertNoOverlap();
    }

    [Fact]
    public void One_subscriber_cannot_take_the_ports_of_all()
    {
        using RegistryScene scene = Scene(RegistryScene.Policy("192.0.2.1/32"));
        Lease greedy = scene.Grant("cpe-1");
        for (int i = 0; i < 600; i++)
        {
            scene.Pass(60);
            try
            {
                scene.Change(b => b.Grow(greedy.Id, 65536));
            }
            catch (Refusal)
            {
                scene.Change(b => b.Renew(greedy.Id));
            }
        }

        Assert.Equal(1024, scene.Grant("cpe-1").Ports.Count);
        Assert.Equal(496, scene.Registrar.Read(s => s.One("SELECT free FROM address", r => r.GetInt64(0))));
    }

    [Fact]
    public void Who_gives_back_and_asks_again_in_turn_has_twice_its_limit_at_most_with_what_rests()
    {
        using RegistryScene scene = Scene(RegistryScene.Policy("192.0.2.0/31") with { ChangeInterval = TimeSpan.Zero });
        int most = 0;
        for (int i = 0; i < 400; i++)
        {
            try
            {
                Lease lease = scene.Grant("cpe-1", className: i % 2 == 0 ? "home" : "gamer");
                if (i % 3 == 0) scene.Change(b => b.Grow(lease.Id, 65536));
                scene.Change(b => b.Release(lease.Id));
            }
            catch (Refusal refusal)
            {
                Assert.Equal((ErrorCodes.TooSoon, scene.Registrar.Policy.HoldDown), (refusal.Code, refusal.RetryAfter));
                if (scene.Registrar.Read(s => s.One("SELECT id FROM lease WHERE ended IS NULL", r => r.GetString(0))) is { } id) scene.Change(b => b.Release(id));
            }

            most = Math.Max(most, 1008 - (int)scene.Registrar.Read(s => s.One("SELECT CAST(SUM(free) AS BIGINT) FROM address", r => r.GetInt64(0))));
        }

        Assert.InRange(most, 16, 32);
        Assert.Equal(128, scene.Grant("cpe-2").Ports.Count);
        scene.Pass(121);
        scene.Upkeep();
        Assert.Equal(128, scene.Grant("cpe-1", className: "home").Ports.Count);
        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
    }

    static readonly IPv4Address s_shared = IPv4Address.Parse("192.0.2.1");

    (Lease Lease, bool New) Exactly(RegistryScene scene, string subscriber, int softwire, string ports, string? className = null) =>
        scene.Change(b => b.Grant(subscriber, RegistryScene.Softwire(softwire), className, (s_shared, PortSet.Parse(ports))));

    [Fact]
    public void Ports_that_are_named_are_given_as_they_are_to_whoever_asked_first()
    {
        using RegistryScene scene = Scene(RegistryScene.Policy("192.0.2.1/32", block: 1, classes: [new SubscriberClass("home", 128, 128, 2000), new SubscriberClass("villa", 1, 1, 10)]));
        (Lease first, bool isNew) = Exactly(scene, "cpe-1", 1, "10000-11000");
        Assert.Equal((true, "10000-11000"), (isNew, first.Ports.ToString()));
        Assert.Equal((first, false), Exactly(scene, "cpe-1", 1, "10000-11000"));
        string Refused(string subscriber, int softwire, string ports, string? className = null) => scene.Refused(b => b.Grant(subscriber, RegistryScene.Softwire(softwire), className, (s_shared, PortSet.Parse(ports))));
        Assert.Equal(ErrorCodes.LeaseConflict, Refused("cpe-1", 1, "12000-12010"));
        Assert.Equal(ErrorCodes.LeaseConflict, Refused("cpe-2", 2, "11000-12000"));
        Assert.Equal(ErrorCodes.LeaseLimit, Refused("cpe-2", 2, "20000-22000"));
        Assert.Equal(ErrorCodes.LeaseLimit, Refused("cpe-2", 2, "20000-20010", "villa"));
        Assert.Equal(ErrorCodes.BadRequest, Refused("cpe-2", 2, "1000-1100"));
        Assert.Equal("11001-12000", Exactly(scene, "cpe-2", 2, "11001-12000").Lease.Ports.ToString());

        // While they rest they are its own, for others not before the hold-down is over.
        scene.Change(b => b.Release(first.Id));
        Assert.Equal(ErrorCodes.LeaseConflict, Refused("cpe-3", 3, "10000-10100"));
        Lease again = Exactly(scene, "cpe-1", 1, "10000-11000").Lease;
        Assert.Equal(first.Ports, again.Ports);
        scene.Change(b => b.Release(again.Id));
        scene.Pass(120);
        Assert.Equal("10000-10100", Exactly(scene, "cpe-3", 3, "10000-10100").Lease.Ports.ToString());
        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
        Assert.Empty(scene.Registrar.Verify().Faults);
    }

    [Fact]
    public void Ports_that_are_named_may_be_a_set_of_rfc_7597_said_by_its_ranges()
    {
        using RegistryScene scene = Scene(new LeasePolicy { Pools = [new Pool(IPv4Prefix.Parse("192.0.2.1/32"), PoolLayout.Psids(6, 8, systemPorts: false))], Classes = SubscriberClass.Standard(252) });
        string ranges = string.Join(',', PortSet.FromPsid(6, 8, 52).Ranges);
        (Lease lease, bool isNew) = Exactly(scene, "cpe-1", 1, ranges);
        Assert.Equal((PortSet.FromPsid(6, 8, 52), true), (lease.Ports, isNew));
        Assert.Equal((lease, false), Exactly(scene, "cpe-1", 1, ranges));
    }

    [Fact]
    public void Ports_that_are_named_may_be_those_that_are_reserved_for_the_subscriber_and_not_for_another()
    {
        using RegistryScene scene = Scene(RegistryScene.Policy("192.0.2.1/32"));
        scene.Change(b => b.Reserve("vip", s_shared, PortSet.Parse("1024-1279")));
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.Grant("cpe-1", RegistryScene.Softwire(1), null, (s_shared, PortSet.Parse("1024-1279")))));
        Assert.Equal("1024-1279", Exactly(scene, "vip", 2, "1024-1279").Lease.Ports.ToString());
        scene.AssertRoomIsCounted();
    }

    [Fact]
    public void A_service_port_is_in_the_lease_beside_the_set_and_rests_after_it()
    {
        using RegistryScene scene = Scene();
        Lease lease = scene.Grant("cpe-1");
        scene.Change(b => b.GivePort("cpe-1", lease.Address, 25));
        Assert.Equal("25,1024-1151", $"{scene.Grant("cpe-1").Ports}");
        Assert.Equal("cpe-1", scene.Who(lease.Address, 25).Subscriber);
        scene.Pass(100);
        Assert.Equal("25,1024-1279", $"{scene.Change(b => b.Grow(lease.Id, null)).Ports}");
        scene.Pass(100);
        Assert.Equal("25,1024-1151", $"{scene.Change(b => b.Shrink(lease.Id, null)).Ports}");
        Assert.Equal("25,1024-1151", $"{scene.Change(b => b.Renew(lease.Id)).Ports}");

        // It is the subscriber's while it has no lease too, and its next lease there has it again.
        scene.Change(b => b.Release(lease.Id));
        Assert.Null(scene.Who(lease.Address, 25).Subscriber);
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.GivePort("cpe-2", lease.Address, 25)));
        Assert.Equal("25,1024-1151", $"{scene.Grant("cpe-1").Ports}");
        Assert.Equal("cpe-1", scene.Who(lease.Address, 25).Subscriber);

        scene.Change(b => b.TakePort(lease.Address, 25));
        Assert.Equal("1024-1151", $"{scene.Grant("cpe-1").Ports}");
        Assert.Null(scene.Who(lease.Address, 25).Subscriber);
        Assert.Equal(ErrorCodes.NotThere, scene.Refused(b => b.TakePort(lease.Address, 25)));
        Lease other = scene.Change(b => b.Grant("cpe-8", RegistryScene.Softwire(8), null, (lease.Address, PortSet.Parse("2048-2175")))).Lease;
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.GivePort("cpe-8", lease.Address, 25)));
        scene.Change(b => b.GivePort("cpe-1", lease.Address, 25));
        scene.Change(b => b.TakePort(lease.Address, 25));
        scene.Pass(scene.Registrar.Policy.HoldDown.TotalSeconds + 1);
        scene.Change(b => b.Renew(other.Id));
        scene.Change(b => b.GivePort("cpe-8", lease.Address, 25));
        Assert.Equal("cpe-8", scene.Who(lease.Address, 25).Subscriber);
        scene.Upkeep();
        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
        Assert.Empty(scene.Registrar.Verify().Faults);
    }

    [Fact]
    public void A_service_port_waits_for_the_lease_and_is_refused_where_it_could_not_be()
    {
        using RegistryScene scene = Scene();
        Lease elsewhere = scene.Grant("cpe-1");
        var address = IPv4Address.Parse(elsewhere.Address == s_shared ? "192.0.2.2" : $"{s_shared}");
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.GivePort("cpe-1", address, 80)));
        Assert.Equal(ErrorCodes.BadRequest, scene.Refused(b => b.GivePort("cpe-2", address, 1024)));
        Assert.Equal(ErrorCodes.BadRequest, scene.Refused(b => b.GivePort("cpe-2", IPv4Address.Parse("198.51.100.1"), 80)));
        scene.Change(b => b.Reserve("cpe-2", address, PortSet.Parse("1024-1151")));
        scene.Change(b => b.GivePort("cpe-2", address, 80));
        scene.Change(b => b.GivePort("cpe-2", address, 443));
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.GivePort("cpe-3", address, 443)));
        Assert.Equal((address, "80,443,1024-1151"), (scene.Grant("cpe-2").Address, $"{scene.Grant("cpe-2").Ports}"));
        Assert.Empty(scene.Registrar.Verify().Faults);
    }

    static ServerName Name(string name, string subscriber, ushort? http, params NamedService[] services) => new(name, subscriber, http, null, IsProxied: false, services);

    [Fact]
    public void A_name_is_its_subscriber_s_and_leads_to_ports_of_its_set()
    {
        using RegistryScene scene = Scene();
        Lease lease = scene.Grant("cpe-1");
        Assert.Equal(ErrorCodes.BadRequest, scene.Refused(b => b.GiveName(Name("www.example.org", "cpe-1", 80))));
        Assert.Equal(ErrorCodes.BadRequest, scene.Refused(b => b.GiveName(Name("www.example.org", "cpe-1", 1024, new NamedService("_sip._udp", 1152)))));
        ServerName www = Name("www.example.org", "cpe-1", 1024, new NamedService("_sip._udp", 1025), new NamedService("_sip._tcp", 1025));
        Assert.True(scene.Change(b => b.GiveName(www)) is ({ Http: 1024 }, { } stands, true) && stands.Id == lease.Id);
        Assert.False(scene.Change(b => b.GiveName(www with { Http = 1030 })).New);
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.GiveName(Name("www.example.org", "cpe-2", 1024))));

        // Who has no lease yet may have one; it is judged when it has.
        Assert.Null(scene.Change(b => b.GiveName(Name("later.example.org", "cpe-2", 80))).Lease);
        ServerName stored = scene.Registrar.Read(s => s.One($"SELECT {ServerName.Columns} FROM server_name WHERE subscriber = 'cpe-1'", ServerName.Read))!;
        Assert.Equal(("www.example.org", (ushort?)1030, "_sip._udp:1025 _sip._tcp:1025"), (stored.Name, stored.Http, string.Join(' ', stored.Services)));
        Assert.Equal("www.example.org", scene.Change(b => b.TakeName("www.example.org")).Name);
        Assert.Equal(ErrorCodes.NotThere, scene.Refused(b => b.TakeName("www.example.org")));
        for (int i = 0; i < ServerName.Most; i++) scene.Change(b => b.GiveName(Name($"n{i}.example.org", "cpe-1", 1024)));
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.GiveName(Name("more.example.org", "cpe-1", 1024))));
        Assert.False(scene.Change(b => b.GiveName(Name("n0.example.org", "cpe-1", 1025))).New);
        Assert.Empty(scene.Registrar.Verify().Faults);
    }

    [Fact]
    public void Reserved_ports_are_for_their_subscriber_alone()
    {
        using RegistryScene scene = Scene(RegistryScene.Policy("192.0.2.1/32", ports: "2000-2255"));
        PortSet ports = PortSet.Parse("2000-2127");
        scene.Change(b => b.Reserve("vip", IPv4Address.Parse("192.0.2.1"), ports));
        Assert.Equal("2128-2255", scene.Grant("cpe-1").Ports.ToString());
        Assert.Equal(ErrorCodes.PoolExhausted, scene.Refused(b => b.Grant("cpe-2", RegistryScene.Softwire(2), null)));
        Lease lease = scene.Grant("vip", softwire: 7);
        Assert.Equal(ports, lease.Ports);
        scene.Change(b => b.Release(lease.Id));
        scene.Pass(1000);
        scene.Upkeep();
        Assert.Equal(ErrorCodes.PoolExhausted, scene.Refused(b => b.Grant("cpe-2", RegistryScene.Softwire(2), null)));
        Assert.Equal(ports, scene.Grant("vip", softwire: 7).Ports);
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.Reserve("other", IPv4Address.Parse("192.0.2.1"), PortSet.Parse("2128-2255"))));
        scene.AssertRoomIsCounted();
        scene.Change(b => b.Unreserve("vip"));
        scene.AssertRoomIsCounted();
        scene.Change(b => b.Release(scene.Registrar.Read(s => s.One("SELECT id FROM lease WHERE subscriber = 'vip' AND ended IS NULL", r => r.GetString(0)))!));
        scene.Pass(120);
        Assert.Equal(ports, scene.Grant("cpe-2").Ports);
        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
    }

    [Theory]
    [InlineData("198.51.100.1", "2000-2127", ErrorCodes.BadRequest)]
    [InlineData("192.0.2.1", "2001-2127", ErrorCodes.BadRequest)]
    [InlineData("192.0.2.1", "1-2", ErrorCodes.BadRequest)]
    public void A_reservation_is_of_whole_blocks_of_a_pool(string address, string ports, string code)
    {
        using RegistryScene scene = Scene(RegistryScene.Policy("192.0.2.1/32", ports: "2000-2255"));
        Assert.Equal(code, scene.Refused(b => b.Reserve("vip", IPv4Address.Parse(address), PortSet.Parse(ports))));
    }

    [Fact]
    public void Classes_have_their_sizes_and_a_lease_keeps_its_class()
    {
        using RegistryScene scene = Scene();
        Assert.Equal(1024, scene.Grant("cpe-1", className: "server").Ports.Count);
        Assert.Equal(ErrorCodes.LeaseConflict, scene.Refused(b => b.Grant("cpe-1", RegistryScene.Softwire(1), "home")));
        Assert.Equal("server", scene.Grant("cpe-1").Class);
        Assert.Equal(ErrorCodes.BadRequest, scene.Refused(b => b.Grant("cpe-2", RegistryScene.Softwire(2), "palace")));
    }

    [Fact]
    public void By_psid_a_lease_is_a_set_of_rfc_7597_and_its_history_knows_every_piece()
    {
        var policy = new LeasePolicy
        {
            Pools = [new Pool(IPv4Prefix.Parse("192.0.2.0/31"), PoolLayout.Psids(6, 8, systemPorts: false))],
            Classes = SubscriberClass.Standard(252),
        };
        using RegistryScene scene = Scene(policy);
        Lease first = scene.Grant("cpe-1");
        scene.Grant("cpe-2");
        Lease third = scene.Grant("cpe-3");
        Assert.Equal((PortSet.FromPsid(6, 8, 0), PortSet.FromPsid(6, 8, 1), first.Address), (first.Ports, third.Ports, third.Address));
        Assert.Equal("cpe-3", scene.Who(third.Address, 65535 - 1019).Subscriber);
        Assert.Equal("cpe-1", scene.Who(first.Address, 1024).Subscriber);
        Assert.Null(scene.Who(first.Address, 1023).Subscriber);
        scene.AssertNoOverlap();
    }

    [Fact]
    public void Who_had_a_port_is_told_for_every_moment()
    {
        using RegistryScene scene = Scene(RegistryScene.Policy("192.0.2.1/32", ports: "2000-2127"));
        DateTimeOffset start = scene.Clock.Now;
        Lease first = scene.Grant("cpe-1");
        scene.Pass(600);
        scene.Change(b => b.Release(first.Id));
        scene.Pass(600);
        Lease second = scene.Grant("cpe-2");
        IPv4Address address = first.Address;
        Assert.Null(scene.Who(address, 2000, start.AddMilliseconds(-1)).Subscriber);
        Assert.Equal(new WhoAnswer("cpe-1", first.Id, start, start.AddSeconds(600), null), scene.Who(address, 2000, start));
        Assert.Equal("cpe-1", scene.Who(address, 2127, start.AddSeconds(599.999)).Subscriber);
        Assert.Null(scene.Who(address, 2000, start.AddSeconds(600)).Subscriber);
        Assert.Equal("cpe-2", scene.Who(address, 2000, start.AddSeconds(1200)).Subscriber);
        Assert.Equal(second.Until, scene.Who(address, 2000).Until);
        Assert.Null(scene.Who(address, 2128, start).Subscriber);
    }

    [Fact]
    public void A_clock_that_goes_back_ends_no_lease_early_and_leaves_history_in_order()
    {
        using RegistryScene scene = Scene();
        Lease lease = scene.Grant("cpe-1");
        scene.Clock.Now = new DateTimeOffset(1970, 1, 1, 0, 0, 0, TimeSpan.Zero);
        Assert.Equal(lease.From, scene.Grant("cpe-2").From);
        scene.Change(b => b.Release(lease.Id));
        Assert.All(scene.Blocks(), block => Assert.True(block.From <= block.Until && block.Until <= block.FreeAt));
        Assert.Empty(scene.Registrar.Verify().Faults);
        scene.AssertNoOverlap();
    }

    [Fact]
    public void What_a_registry_answered_the_next_one_on_its_database_knows()
    {
        RegistryDatabase database = NewDatabase();
        Lease lease;
        using (var scene = new RegistryScene(database, ownsDatabase: false)) lease = scene.Grant("cpe-1");
        using (var scene = new RegistryScene(database, clock: new Clock { Now = lease.From.AddSeconds(7) }))
        {
            Assert.Equal(lease, scene.Grant("cpe-1"));
            Assert.Empty(scene.Registrar.Verify().Faults);
        }
    }

    [Fact]
    public void A_pool_may_become_larger_but_not_be_divided_anew_while_it_is_in_use()
    {
        RegistryDatabase database = NewDatabase();
        Lease lease;
        using (var scene = new RegistryScene(database, ownsDatabase: false)) lease = scene.Grant("cpe-1");
        using (var scene = new RegistryScene(database, RegistryScene.Policy("192.0.2.0/28"), ownsDatabase: false))
        {
            scene.Change(b => b.Grow(lease.Id, null));
            Assert.Equal(16, scene.Registrar.Read(s => s.One("SELECT COUNT(*) FROM address WHERE pool = '192.0.2.0/28'", r => r.GetInt64(0))));
        }

        Assert.Equal(ErrorCodes.PoolContradicts, Assert.Throws<APlusPException>(() => new RegistryScene(database, RegistryScene.Policy("192.0.2.0/28", block: 256), ownsDatabase: false)).Code);
        using (var scene = new RegistryScene(database, RegistryScene.Policy("192.0.2.8/29", block: 256))) Assert.Equal(256, scene.Grant("cpe-2").Ports.Count);
    }

    [Fact]
    public async Task The_same_request_id_gives_the_same_answer_and_changes_nothing()
    {
        using RegistryScene scene = Scene();
        int made = 0;
        StoredAnswer Make(Transaction transaction) => new(201, $"{++made} {new LeaseBook(transaction, scene.Registrar.Policy, "t").Grant("cpe-1", RegistryScene.Softwire(1), null).Lease.Id}");
        StoredAnswer first = await scene.Registrar.Once("a/1", "POST x", Make);
        Assert.Equal(first, await scene.Registrar.Once("a/1", "POST x", Make));
        Assert.Equal(1, made);
        Assert.Equal(ErrorCodes.RequestIdUsed, (await Assert.ThrowsAsync<Refusal>(() => scene.Registrar.Once("a/1", "POST y", Make))).Code);
        scene.Clock.Now += TimeSpan.FromDays(2);
        scene.Upkeep();
        await scene.Registrar.Once("a/1", "POST y", Make);
        Assert.Equal(2, made);
    }

    [Theory]
    [InlineData("UPDATE event SET subscriber = 'somebody' WHERE seq = 2", "event 2")]
    [InlineData("UPDATE event SET at = at + 1 WHERE seq = 3", "event 3")]
    [InlineData("DELETE FROM event WHERE seq = 2", "event 2 is missing")]
    [InlineData("DELETE FROM event WHERE seq = 4", "taken from its end")]
    [InlineData("UPDATE lease SET subscriber = 'somebody' WHERE subscriber = 'cpe-1'", "is not as event 1 says")]
    [InlineData("UPDATE block SET valid_from = valid_from + 1 WHERE opened = 2", "is not as event 2 says")]
    [InlineData("UPDATE block SET until = until - 1 WHERE opened = 2", "does not end as event 2 says")]
    [InlineData("DELETE FROM lease WHERE subscriber = 'cpe-2'", "has no lease")]
    public void Verification_finds_what_was_changed_behind_the_registrys_back(string sql, string told)
    {
        using RegistryScene scene = Scene();
        Lease lease = scene.Grant("cpe-1");
        scene.Grant("cpe-2");
        scene.Pass(10);
        scene.Change(b => b.Renew(lease.Id));
        scene.Change(b => b.Grow(lease.Id, null));
        Verification sound = scene.Registrar.Verify();
        Assert.Equal((4, 3, 0), (sound.Events, sound.Blocks, sound.Faults.Count));
        using (var session = new Session(scene.Database, scene.Database.Connect())) Assert.Equal(1, session.Execute(sql));
        Assert.Contains(told, string.Join('\n', scene.Registrar.Verify().Faults), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verification_finds_nothing_while_leases_come_and_go_and_keeps_nobody_waiting()
    {
        using RegistryScene scene = Scene();
        for (int i = 0; i < 200; i++) scene.Grant($"cpe-{i}");
        using var stop = new CancellationTokenSource();
        int changes = 0;

        // A thread of its own, which waits for nobody of the pool. On a busy machine it may begin late all the same.
        Task going = Task.Factory.StartNew(
            () =>
            {
                for (int i = 200; i < 1900 && !stop.IsCancellationRequested; i++, Interlocked.Increment(ref changes)) scene.Grant($"cpe-{i}");
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < 20 || (Volatile.Read(ref changes) == 0 && Stopwatch.GetElapsedTime(start) < TimeSpan.FromMinutes(1)); i++) Assert.Empty(scene.Registrar.Verify().Faults);
        await stop.CancelAsync();
        await going;
        Assert.True(changes > 0);
    }

    [Fact]
    public async Task What_is_older_than_is_kept_is_forgotten_and_the_rest_can_be_verified()
    {
        using RegistryScene scene = Scene();
        Lease old = scene.Grant("cpe-1"), lasting = scene.Grant("cpe-2");
        DateTimeOffset then = scene.Clock.Now;
        scene.Change(b => b.Release(old.Id));
        for (int day = 0; day < 30; day++)
        {
            for (int hour = 0; hour < 24; hour++)
            {
                scene.Pass(3599);
                scene.Change(b => b.Renew(lasting.Id));
            }

            await scene.Registrar.Upkeep(TimeSpan.FromDays(7));
        }

        Verification kept = scene.Registrar.Verify();
        Assert.Empty(kept.Faults);
        Assert.InRange(kept.Events, 24 * 7, 24 * 10);
        WhoAnswer forgotten = scene.Who(old.Address, 1024, then);
        Assert.Null(forgotten.Subscriber);
        Assert.Contains("the memory reaches back to", forgotten.Sentence(old.Address, 1024, then), StringComparison.Ordinal);
        Assert.Equal("cpe-2", scene.Who(lasting.Address, 1024, then.AddSeconds(1)).Subscriber);
        Assert.Single(scene.Blocks());
    }

    [Fact]
    public async Task Credentials_are_known_by_their_secret_until_they_are_revoked_or_over()
    {
        using RegistryScene scene = Scene();
        string secret = Secret.New();
        Credential issued = await scene.Registrar.Change(t => new CredentialBook(t, "t").Issue(secret, Credential.Operator, "ops", Credential.Read, lifetime: TimeSpan.FromHours(1)));
        Credential? Find(string tried) => scene.Registrar.Read(s => CredentialBook.Find(s, tried, scene.Clock.Now));
        Assert.Equal(issued, Find(secret));
        Assert.Null(Find(secret + "x"));
        Assert.DoesNotContain(secret, string.Join('\n', scene.Registrar.Read(s => s.All("SELECT id || name || role FROM credential", r => r.GetString(0)))), StringComparison.Ordinal);
        scene.Pass(3600);
        Assert.Null(Find(secret));
    }

    [Fact]
    public async Task An_enrolment_token_gives_so_many_subscribers_a_key_each_and_none_that_of_another()
    {
        using RegistryScene scene = Scene();
        Task<T> Change<T>(Func<CredentialBook, T> what) => scene.Registrar.Change(t => what(new CredentialBook(t, "t")));
        Credential token = await Change(b => b.Issue("token", Credential.Enrolment, "box 7", className: "home", uses: 3));
        Credential key = await Change(b => b.Enrol(token, "cpe-1", "key-1"));
        Assert.Equal(("cpe-1", "home"), (key.Name, key.Class));
        Assert.Equal(ErrorCodes.LeaseConflict, (await Assert.ThrowsAsync<Refusal>(() => Change(b => b.Enrol(token, "cpe-1", "key-2")))).Code);
        Assert.NotEqual((await Change(b => b.Enrol(token, null, "key-3"))).Name, (await Change(b => b.Enrol(token, null, "key-4"))).Name);
        Assert.Equal(ErrorCodes.NotAllowed, (await Assert.ThrowsAsync<Refusal>(() => Change(b => b.Enrol(token, "cpe-5", "key-5")))).Code);

        // A new key ends the old one when it is first used.
        Credential next = await Change(b => b.Rotate(key, "key-6"));
        Credential? Find(string secret) => scene.Registrar.Read(s => CredentialBook.Find(s, secret, scene.Clock.Now));
        Assert.NotNull(Find("key-1"));
        await Change(b =>
        {
            b.Settle(next);
            return 0;
        });
        Assert.Null(Find("key-1"));
        Assert.NotNull(Find("key-6"));
        Assert.Empty(scene.Registrar.Verify().Faults);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Whatever_subscribers_do_no_port_has_two_owners(int seed)
    {
        using RegistryScene scene = Scene(LeaseModel.Tight);
        LeaseModel.Run(scene, new Random(seed), steps: 300);
    }
}
