using APlusP.Core.Addresses;
using APlusP.Core.Pcp;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Leases;
using APlusP.Registry.Pcp;

namespace APlusP.Tests.Registry;

/// <summary>The registry as a PCP server, by messages alone: RFC 6887 with the port sets of RFC 7753, and leases as all others.</summary>
public sealed class PcpServerTests : IDisposable
{
    PcpServerScene _scene = new();

    public void Dispose() => _scene.Dispose();

    void Begin(PcpServerSettings? settings = null, LeasePolicy? policy = null)
    {
        _scene.Dispose();
        _scene = new PcpServerScene(settings, policy);
    }

    static byte[] Hex(string octets) => Convert.FromHexString(octets.Replace(" ", "", StringComparison.Ordinal));

    [Fact]
    public void A_request_becomes_a_lease_of_all_protocols_that_everybody_knows_of()
    {
        PcpSaid said = _scene.Ask(home: 1);
        Assert.Equal((PcpResult.Success, PcpOpcode.Map, 3600u, true), (said.Result, said.Opcode, said.Lifetime, said.HasSet));
        Lease lease = Assert.Single(_scene.Leases());
        Assert.Equal(("pcp-2001:db8:0:1::/64", PcpServerScene.Client(1), said.Address), (lease.Subscriber, lease.Softwire, lease.Address));
        Assert.Equal([said.Ports], lease.Ports.Ranges);
        Assert.Equal(128, said.Size);
        Assert.Equal("pcp-2001:db8:0:1::/64", _scene.Registry.Who(said.Address, said.Ports.First).Subscriber);
        Assert.Equal((PcpServerScene.Nonce(1), 0, 0), (said.Map.Nonce, said.Map.Protocol, said.Map.InternalPort));
        Assert.Equal("pcp", _scene.Registry.Registrar.Read(s => s.One("SELECT actor FROM event WHERE kind = 'granted'", r => r.GetString(0))));
    }

    [Fact]
    public void By_octets_that_nobody_here_wrote_the_answer_is_as_the_RFCs_draw_it()
    {
        // RFC 6887 sections 7.1 and 11.1, RFC 7753 section 4.1, by hand: a day, all protocols, as many ports as there are.
        byte[] request = Hex("02 01 0000" + "00015180" + "20010db8000000010000000000000005" + "a1a2a3a4a5a6a7a8a9aaabac" + "00 000000" + "0000 0000" + "00000000000000000000ffff00000000" + "82 00 0005" + "ffff 0000 00 000000");
        byte[] answer = _scene.Send(request, IPv6Address.Parse("2001:db8:0:1::5"))!;
        uint epoch = new PcpSaid(answer).Epoch;
        Assert.Equal(
            Convert.ToHexStringLower(Hex("02 81 00 00" + "00000e10" + $"{epoch:x8}" + "000000000000000000000000" + "a1a2a3a4a5a6a7a8a9aaabac" + "00 000000" + "0000 0400" + "00000000000000000000ffffc0000200" + "82 00 0005" + "0080 0000 00 000000")),
            Convert.ToHexStringLower(answer));
    }

    [Fact]
    public void Asked_again_it_says_the_same_and_the_lease_runs_on()
    {
        PcpSaid first = _scene.Ask(home: 1, size: 128);
        _scene.Registry.Pass(1800);
        PcpSaid again = _scene.Ask(home: 1, size: 128);
        Assert.Equal((first.Address, first.Ports, 3600u), (again.Address, again.Ports, again.Lifetime));
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(_scene.Registry.Clock.Now.ToUnixTimeMilliseconds()) + TimeSpan.FromHours(1), Assert.Single(_scene.Leases()).Until);
        _scene.Registry.Pass(3601);
        _scene.Registry.Upkeep();
        Assert.Empty(_scene.Leases());
        Assert.Equal(first.Ports, _scene.Ask(home: 1).Ports); // They rest, for others.
    }

    [Theory]
    [InlineData(1, 120)] // No shorter (section 15),
    [InlineData(600, 600)]
    [InlineData(uint.MaxValue, 3600)] // nor longer than a lease.
    public void A_mapping_stands_for_as_long_as_is_asked_within_bounds(uint asked, uint given) => Assert.Equal(given, _scene.Ask(home: 1, lifetime: asked).Lifetime);

    [Fact]
    public void Lifetime_0_deletes_it_and_so_does_it_again()
    {
        PcpSaid had = _scene.Ask(home: 1);
        PcpSaid gone = _scene.Ask(home: 1, lifetime: 0, suggested: ("192.0.2.9", 77));
        Assert.Equal((PcpResult.Success, 0u, 77), (gone.Result, gone.Lifetime, gone.Map.ExternalPort));
        Assert.Empty(_scene.Leases());
        Assert.Equal(PcpResult.Success, _scene.Ask(home: 1, lifetime: 0).Result);

        // Another home does not get what rests.
        Assert.NotEqual((had.Address, had.Ports), (_scene.Ask(home: 2).Address, _scene.Ask(home: 2).Ports));

        // Without the option, and of one protocol: that there is none is no fault.
        Assert.Equal(PcpResult.Success, _scene.Ask(PcpServerScene.Map(PcpServerScene.Client(2), PcpServerScene.Nonce(1), lifetime: 0, size: null, protocol: 17), PcpServerScene.Client(2)).Result);
        Assert.Single(_scene.Leases());
        Assert.Equal(PcpResult.Success, _scene.Ask(PcpServerScene.Map(PcpServerScene.Client(2), PcpServerScene.Nonce(1), lifetime: 0, size: null), PcpServerScene.Client(2)).Result);
        Assert.Empty(_scene.Leases());
    }

    [Fact]
    public void Who_has_another_nonce_can_neither_change_nor_delete_nor_learn_it()
    {
        _scene.Ask(home: 1, nonce: 1);
        _scene.Registry.Pass(600);
        foreach (uint lifetime in (uint[])[0, 3600])
        {
            PcpSaid refused = _scene.Ask(home: 1, nonce: 2, lifetime: lifetime);
            Assert.Equal((PcpResult.NotAuthorized, 3000u), (refused.Result, refused.Lifetime)); // For as long as the mapping stands (section 11.3).
            Assert.Equal(0, refused.Map.ExternalPort);
        }

        Assert.Single(_scene.Leases());
        Assert.Equal(2, _scene.Counted(PcpResult.NotAuthorized));
        Assert.Equal(PcpResult.Success, _scene.Ask(home: 1, nonce: 1, lifetime: 0).Result);
        Assert.Equal(PcpResult.Success, _scene.Ask(home: 1, nonce: 2).Result);
        Assert.Equal(PcpResult.NotAuthorized, _scene.Ask(home: 1, nonce: 1).Result);
    }

    [Fact]
    public void A_home_has_one_mapping_from_whichever_of_its_addresses()
    {
        PcpSaid first = _scene.Ask(home: 1, size: 128, host: 5, nonce: 1);
        Assert.Equal((PcpResult.UserExceedsQuota, 30u), (_scene.Ask(home: 1, host: 6, nonce: 2).Result, _scene.Ask(home: 1, host: 6, nonce: 2).Lifetime));

        // The same client at another address takes its mapping along.
        Assert.Equal(first.Ports, _scene.Ask(home: 1, size: 128, host: 7, nonce: 1).Ports);
        Assert.Equal(PcpServerScene.Client(1, 7), Assert.Single(_scene.Leases()).Softwire);
        Assert.Equal(PcpResult.Success, _scene.Ask(home: 2, nonce: 2).Result);
        Begin(PcpServerScene.Open with { HomeLength = 48 });
        Assert.Equal(PcpResult.Success, _scene.Ask(home: 1, nonce: 1).Result);
        Assert.Equal(PcpResult.UserExceedsQuota, _scene.Ask(home: 2, nonce: 2).Result);
    }

    [Fact]
    public void It_grows_behind_its_ports_a_step_and_once_a_minute_up_to_its_limit()
    {
        PcpSaid said = _scene.Ask(home: 1);
        Assert.Equal(256, _scene.Ask(home: 1).Size); // As many as there are: a step more.
        Assert.Equal(256, _scene.Ask(home: 1).Size); // Too soon.
        for (int size = 384; size <= 1024; size += 128)
        {
            _scene.Registry.Pass(61);
            PcpSaid grown = _scene.Ask(home: 1);
            Assert.Equal((said.Address, said.Ports.First, size), (grown.Address, grown.Ports.First, grown.Size));
        }

        _scene.Registry.Pass(61);
        Assert.Equal(1024, _scene.Ask(home: 1).Size);
        Assert.Equal(1024, Assert.Single(_scene.Leases()).Ports.Count);
        _scene.Registry.AssertRoomIsCounted();
    }

    [Fact]
    public void It_never_gets_more_than_it_asks_for()
    {
        Assert.Equal(128, _scene.Ask(home: 1, size: 200).Size);
        _scene.Registry.Pass(61);
        Assert.Equal(128, _scene.Ask(home: 1, size: 255).Size); // Half a block is none.
        Assert.Equal(256, _scene.Ask(home: 1, size: 256).Size);
        _scene.Registry.Pass(61);
        Assert.Equal(256, _scene.Ask(home: 1, size: 256).Size);
    }

    [Fact]
    public void It_gives_back_what_came_last_when_it_asks_for_less()
    {
        _scene.Ask(home: 1);
        _scene.Ask(home: 1);
        PcpSaid soon = _scene.Ask(home: 1, size: 128);
        Assert.Equal((PcpResult.NoResources, 60u), (soon.Result, soon.Lifetime)); // A lease changes once a minute; nothing was changed.
        Assert.Equal(256, Assert.Single(_scene.Leases()).Ports.Count);
        _scene.Registry.Pass(61);
        Assert.Equal(128, _scene.Ask(home: 1, size: 200).Size);
        Assert.Equal(128, Assert.Single(_scene.Leases()).Ports.Count);
        _scene.Registry.Pass(61);
        Assert.Equal(PcpResult.NotAuthorized, _scene.Ask(home: 1, size: 127).Result); // What a class begins with it keeps.
        Assert.Equal(128, Assert.Single(_scene.Leases()).Ports.Count);
        _scene.Registry.AssertRoomIsCounted();
    }

    [Fact]
    public void Ports_behind_that_another_has_end_its_growth()
    {
        Begin(policy: RegistryScene.Policy("192.0.2.0/32", ports: "1024-1663")); // Five blocks.
        Assert.Equal(1024, _scene.Ask(home: 1).Ports.First);
        Assert.Equal(1152, _scene.Ask(home: 2).Ports.First);
        _scene.Registry.Pass(61);
        Assert.Equal(128, _scene.Ask(home: 1).Size);
        Assert.Equal(256, _scene.Ask(home: 2).Size);
        _scene.Registry.Pass(61);
        Assert.Equal(384, _scene.Ask(home: 2).Size);
        Assert.Equal(new PortRange(1536, 1663), _scene.Ask(home: 3).Ports);
        PcpSaid none = _scene.Ask(home: 4);
        Assert.Equal((PcpResult.NoResources, 120u), (none.Result, none.Lifetime)); // When ports have rested.
        Assert.Equal(3, _scene.Leases().Count);
    }

    [Fact]
    public void Where_no_gap_is_long_enough_it_gets_the_longest_that_there_is()
    {
        Begin(policy: RegistryScene.Policy("192.0.2.0/32", ports: "1024-1663", classes: new SubscriberClass("home", 256, 128, 1024)));
        _scene.Ask(home: 1, size: 128);
        _scene.Ask(home: 2, size: 128);
        _scene.Ask(home: 3, size: 128);
        _scene.Ask(home: 2, size: 128, lifetime: 0);
        _scene.Registry.Pass(130);
        Assert.Equal(new PortRange(1408, 1663), _scene.Ask(home: 4).Ports);
        Assert.Equal(new PortRange(1152, 1279), _scene.Ask(home: 5).Ports);
        _scene.Registry.AssertNoOverlap();
    }

    [Fact]
    public void A_range_never_crosses_ports_that_are_not_to_be_had()
    {
        Begin(policy: RegistryScene.Policy("192.0.2.0/32", ports: "1024-1279,2048-2303", classes: new SubscriberClass("home", 384, 128, 1024)));
        Assert.Equal(new PortRange(1024, 1279), _scene.Ask(home: 1).Ports);
        _scene.Registry.Pass(61);
        Assert.Equal(256, _scene.Ask(home: 1).Size);
        Assert.Equal(new PortRange(2048, 2303), _scene.Ask(home: 2).Ports);
    }

    [Fact]
    public void Fewer_ports_than_a_block_cannot_be_had()
    {
        foreach (ushort size in (ushort[])[127, 2, 1]) Assert.Equal((PcpResult.NotAuthorized, 1800u), (_scene.Ask(home: 1, size).Result, _scene.Ask(home: 1, size).Lifetime));
        Assert.Empty(_scene.Leases());
        Begin(policy: RegistryScene.Policy("192.0.2.0/32", block: 1, ports: "1024-1027"));
        PcpSaid one = _scene.Ask(home: 1, size: 2);
        Assert.Equal((PcpResult.Success, 1, false), (one.Result, one.Size, one.HasSet)); // One port goes without the option (RFC 7753 section 4.2).
    }

    [Fact]
    public void Who_lost_nothing_when_the_registry_did_gets_the_same_again_if_it_is_free()
    {
        PcpSaid said = _scene.Ask(home: 1, suggested: ("192.0.2.2", 4096));
        Assert.Equal((IPv4Address.Parse("192.0.2.2"), new PortRange(4096, 4223)), (said.Address, said.Ports));
        Assert.NotEqual(4096, _scene.Ask(home: 2, suggested: ("192.0.2.2", 4096)).Ports.First);
        Assert.Equal(PcpResult.Success, _scene.Ask(home: 3, suggested: ("198.51.100.1", 4096)).Result); // Of no pool.
        Assert.Equal(PcpResult.Success, _scene.Ask(home: 4, suggested: ("192.0.2.2", 80)).Result); // Nobody's ports.
        _scene.Registry.AssertNoOverlap();
        _scene.Registry.AssertRoomIsCounted();
    }

    [Fact]
    public void A_reservation_is_for_its_home_and_a_lease_of_another_kind_is_let_alone()
    {
        _scene.Registry.Change(book => book.Reserve("pcp-2001:db8:0:1::/64", IPv4Address.Parse("192.0.2.3"), PortSet.Parse("2048-2175")));
        Assert.Equal(new PortRange(2048, 2175), _scene.Ask(home: 1).Ports);
        _scene.Registry.Change(book => book.Grant("cpe-7", PcpServerScene.Client(7), null));
        Assert.Equal(PcpResult.NotAuthorized, _scene.Ask(home: 7).Result);
    }

    [Fact]
    public void A_lease_that_an_operator_made_for_a_home_keeps_its_class_and_is_that_of_who_asks_first()
    {
        Begin(PcpServerScene.Open with { Class = "home" });
        Lease made = _scene.Registry.Change(book => book.Grant("pcp-2001:db8:0:1::/64", PcpServerScene.Client(1), "gamer")).Lease;
        Assert.Equal((made.Address, 256), (_scene.Ask(home: 1, size: 256).Address, _scene.Ask(home: 1, size: 256).Size));
        Assert.Equal((made.Id, "gamer"), (Assert.Single(_scene.Leases()).Id, Assert.Single(_scene.Leases()).Class));
        Assert.Equal(PcpResult.NotAuthorized, _scene.Ask(home: 1, size: 256, nonce: 2).Result);
    }

    [Fact]
    public void Nobody_else_may_ask()
    {
        IPv6Address stranger = IPv6Address.Parse("2001:db9::5");
        Assert.Equal(PcpResult.NotAuthorized, _scene.Ask(PcpServerScene.Map(stranger, PcpServerScene.Nonce(1)), stranger).Result);
        PcpSaid translated = _scene.Ask(PcpServerScene.Map(PcpServerScene.Client(1), PcpServerScene.Nonce(1)), PcpServerScene.Client(2));
        Assert.Equal((PcpResult.AddressMismatch, 1800u), (translated.Result, translated.Lifetime));
        Assert.Empty(_scene.Leases());
        Assert.Equal((1, 1), (_scene.Counted(PcpResult.NotAuthorized), _scene.Counted(PcpResult.AddressMismatch)));
    }

    [Fact]
    public void What_a_lease_cannot_be_is_refused_by_its_name()
    {
        IPv6Address client = PcpServerScene.Client(1);
        PcpNonce nonce = PcpServerScene.Nonce(1);
        Assert.Equal(PcpResult.UnsupportedProtocol, _scene.Ask(PcpServerScene.Map(client, nonce, protocol: 17, internalPort: 5000), client).Result);
        Assert.Equal(PcpResult.NotAuthorized, _scene.Ask(PcpServerScene.Map(client, nonce, size: null), client).Result);
        Assert.Equal(PcpResult.MalformedOption, _scene.Ask(PcpServerScene.Map(client, nonce, size: 0), client).Result);
        Assert.Equal(PcpResult.MalformedOption, _scene.Ask(PcpServerScene.Map(client, nonce, more: Hex("02 00 0000")), client).Result);
        Assert.Equal(PcpResult.UnsupportedOption, _scene.Ask(PcpServerScene.Map(client, nonce, more: Hex("01 00 0010 20010db8000000010000000000000007")), client).Result);
        byte[] peer = PcpServerScene.Map(client, nonce);
        peer[1] = (byte)PcpOpcode.Peer;
        Assert.Equal(PcpResult.UnsupportedOpcode, _scene.Ask(peer, client).Result);
        peer[0] = 1;
        Assert.Equal(PcpResult.UnsupportedVersion, _scene.Ask(peer, client).Result);
        Assert.Empty(_scene.Leases());
        foreach (PcpResult result in (PcpResult[])[PcpResult.UnsupportedProtocol, PcpResult.NotAuthorized, PcpResult.UnsupportedOption, PcpResult.UnsupportedOpcode, PcpResult.UnsupportedVersion]) Assert.Equal(1, _scene.Counted(result));
        Assert.Equal(2, _scene.Counted(PcpResult.MalformedOption));
    }

    [Fact]
    public void The_epoch_goes_on_over_restarts_and_begins_anew_with_the_database()
    {
        byte[] announce = Hex("02 00 0000" + "00000000" + "20010db8000000010000000000000005");
        PcpSaid Announced() => _scene.Ask(announce, PcpServerScene.Client(1));
        Assert.Equal((PcpOpcode.Announce, PcpResult.Success, 0u, 24), (Announced().Opcode, Announced().Result, Announced().Lifetime, Announced().Bytes.Length));
        Assert.InRange(Announced().Epoch, 0u, 100u);
        _scene.Registry.Pass(100_000);
        _scene.Restart();
        Assert.InRange(Announced().Epoch, 100_000u, 100_100u);
        Begin();
        Assert.InRange(Announced().Epoch, 0u, 100u);
    }

    [Fact]
    public void A_flood_of_one_home_is_left_unanswered_and_takes_nothing_from_another()
    {
        Begin(PcpServerScene.Open with { RequestsPerHome = 10 });
        byte[] request = PcpServerScene.Map(PcpServerScene.Client(1), PcpServerScene.Nonce(1), size: 128);
        int answered = Enumerable.Range(0, 1000).Count(i => _scene.Send(request, PcpServerScene.Client(1)) is not null);
        Assert.InRange(answered, 10, 400);
        Assert.Equal(1000 - answered, _scene.Counters.Document.Limited);
        Assert.Equal(PcpResult.Success, _scene.Ask(home: 2).Result);
    }

    [Fact]
    public void Who_deletes_and_asks_again_does_not_empty_the_pool()
    {
        for (int i = 0; i < 50; i++)
        {
            _scene.Ask(home: 1, nonce: i, suggested: ("192.0.2.1", (ushort)(1024 + 128 * i)));
            _scene.Ask(home: 1, nonce: i, lifetime: 0);
        }

        // Twice what the class allows, of four addresses with 504 blocks each.
        Assert.InRange(_scene.Registry.Blocks().Where(b => b.FreeAt > _scene.Registry.Clock.Now.ToUnixTimeMilliseconds()).Select(b => (b.Address, b.Ports.Ranges.First())).Distinct().Count(), 8, 16);
    }

    [Fact]
    public void Whatever_octets_come_nothing_is_thrown_and_what_is_refused_stores_nothing()
    {
        var random = new Random(5351);
        byte[] good = PcpServerScene.Map(PcpServerScene.Client(1), PcpServerScene.Nonce(1), size: 128);
        for (int i = 0; i < 4_000; i++)
        {
            byte[] bytes = i % 4 == 0 ? good[..random.Next(good.Length)] : [.. good];
            for (int hits = random.Next(1, 4); hits > 0 && bytes.Length > 0; hits--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            long events = Events();
            if (_scene.Send(bytes, PcpServerScene.Client(1)) is not { } answer || new PcpSaid(answer).Result != PcpResult.Success) Assert.Equal(events, Events());
        }

        Assert.InRange(_scene.Leases().Count, 0, 1);
        _scene.Registry.AssertRoomIsCounted();
        _scene.Registry.AssertNoOverlap();
        Assert.Empty(_scene.Registry.Registrar.Verify().Faults);

        long Events() => _scene.Registry.Registrar.Read(s => s.One("SELECT seq FROM chain WHERE one = 1", r => r.GetInt64(0)));
    }

    [Fact]
    public async Task Many_homes_at_once_have_no_port_in_common()
    {
        byte[]?[] answers = await Task.WhenAll(Enumerable.Range(1, 199).Select(home => Task.Run(async () =>
            await _scene.Responder.Answer(PcpServerScene.Map(PcpServerScene.Client(home), PcpServerScene.Nonce(1)), PcpServerScene.Client(home)))));
        Assert.All(answers, answer => Assert.Equal(PcpResult.Success, new PcpSaid(answer!).Result));
        Assert.Equal(199, _scene.Leases().Count);
        _scene.Registry.AssertNoOverlap();
        _scene.Registry.AssertRoomIsCounted();
    }
}
