using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

/// <summary>A PRR and a SMAP with a path between them whose MTU changes, and which tells of it or not.</summary>
public class PathMtuTests
{
    const string Border = "2001:db8::1", Home = "2001:db8:a::1", Core = "2001:db8:c::1", Shared = "192.0.2.1", Server = "198.51.100.7", Host = "192.168.1.2";
    const ulong Secret = 0x1234_5678_9abc_def1;

    readonly HandClock _time = new();
    readonly PortRangeRouter _prr;
    readonly Smap _smap;
    readonly PathMtuTable _down, _up;
    readonly PacketBatch _batch = new(16, 9000);
    readonly List<byte[]> _toInternet = [], _toLan = [];
    readonly Queue<(byte[] Packet, DateTimeOffset Due)> _waiting = [];
    int _downMtu = 1500, _upMtu = 1500;
    bool _tells = true, _isSmapAway;
    Func<byte[], int> _delay = _ => 0;

    public PathMtuTests()
    {
        var binding = new Binding(IPv4Address.Parse(Shared), PortSet.Parse("10000-10999"), IPv6Address.Parse(Home), IPv6Address.Parse(Border));
        _down = new PathMtuTable(new DiscoveryOptions(), _time, Secret);
        _up = new PathMtuTable(new DiscoveryOptions(), _time, Secret + 2);
        var prr = new PrrOptions { SoftwireAddresses = [IPv6Address.Parse(Border)], TtlAlreadyTaken = true, Secret = Secret, IcmpErrorsPerHost = 100 };
        _prr = new PortRangeRouter(BindingTable.Build([binding]), prr, _time, _down);
        _smap = new Smap(new SmapOptions
        {
            SoftwireAddress = IPv6Address.Parse(Home),
            PrrAddress = IPv6Address.Parse(Border),
            SharedAddress = IPv4Address.Parse(Shared),
            Ports = PortSet.Parse("10000-10999"),
            Filtering = NaptFiltering.EndpointIndependent,
            TtlAlreadyTaken = true,
            Secret = Secret + 2,
        }, _time, seed: 1, _up);
        Send(_smap, Origin.FromLan, Packets.Udp(Host, 10000, Server, 53, 10));
        _toInternet.Clear();
    }

    int Down => _down.Of(IPv6Address.Parse(Home), 1500);

    int Up => _up.Of(IPv6Address.Parse(Border), 1500);

    /// <summary>Lets a packet go, and all that it causes on the way and at the other end.</summary>
    void Send(IForwarder at, Origin origin, params IEnumerable<byte[]> packets)
    {
        var queue = new Queue<(IForwarder At, Origin Origin, byte[] Packet)>(packets.Select(p => (at, origin, p)));
        while (queue.TryDequeue(out var next))
        {
            _batch.Clear();
            Assert.True(_batch.TryAdd(next.Packet, next.Origin));
            next.At.Process(_batch);
            do
            {
                for (int i = 0; i < _batch.Count; i++)
                {
                    if (!_batch[i].Verdict.Sends) continue;
                    for (int taken = 0; _batch.TryTakePiece(i, ref taken, out ReadOnlySpan<byte> piece);) Route(queue, piece.ToArray());
                }
            }
            while (next.At.Continue(_batch));
        }
    }

    void Route(Queue<(IForwarder, Origin, byte[])> queue, byte[] packet)
    {
        if (packet[0] >> 4 == 4)
        {
            (packet[16] == 192 && packet[17] == 168 ? _toLan : _toInternet).Add(packet);
            return;
        }

        bool down = IPv6Address.Read(packet.AsSpan(24)) == IPv6Address.Parse(Home);
        int mtu = down ? _downMtu : _upMtu;
        if (down && packet.Length <= mtu && (_isSmapAway || _delay(packet) > 0)) _waiting.Enqueue((packet, _isSmapAway ? DateTimeOffset.MaxValue : _time.GetUtcNow().AddMilliseconds(_delay(packet))));
        else if (packet.Length <= mtu) queue.Enqueue(down ? (_smap, Origin.FromPrr, packet) : (_prr, Origin.FromSmap, packet));
        else if (_tells)
            queue.Enqueue((down ? _prr : _smap, down ? Origin.FromSmap : Origin.FromPrr, Packets.IcmpV6Error(Core, down ? Border : Home, packet, IcmpV6Type.PacketTooBig, rest: mtu)));
    }

    static byte[] Large(bool dontFragment = true, int size = 1460)
    {
        byte[] packet = Packets.Udp(Server, 53, Shared, 10000, size - 28);
        return dontFragment ? packet : Packets.MayBeFragmented(packet);
    }

    static byte[] LargeUp(int size = 1460) => Packets.Udp(Host, 10000, Server, 53, size - 28);

    /// <summary>Sends a large packet every 20 ms until it arrives whole or the time is over; gives the milliseconds.</summary>
    int Until(Func<bool> done, int most = 5000, bool up = false)
    {
        for (int at = 0; at < most; at += 20)
        {
            if (up) Send(_smap, Origin.FromLan, LargeUp(1240 + 1));
            else Send(_prr, Origin.FromInternet, Large(size: 1240 + 1));
            if (done()) return at;
            _time.Advance(TimeSpan.FromMilliseconds(20));
            while (_waiting.TryPeek(out var next) && next.Due <= _time.GetUtcNow()) Send(_smap, Origin.FromPrr, _waiting.Dequeue().Packet);
        }

        return most;
    }

    [Fact]
    public void A_packet_too_big_lowers_the_path_mtu_and_tells_the_sender_of_the_packet_inside()
    {
        Send(_prr, Origin.FromInternet, Large());
        Assert.Equal(Large()[28..], _toLan.Single()[28..]);
        _downMtu = 1400;
        Send(_prr, Origin.FromInternet, Large());
        byte[] error = Assert.Single(_toInternet);
        Assert.Equal([3, 4, 1360 >> 8, 1360 & 255], new[] { error[20], error[21], error[26], error[27] });
        Assert.Equal(IPv4Address.Parse(Server), IPv4Address.Read(error.AsSpan(16)));
        Assert.Equal(Large()[..100], error[28..128]);
        Assert.True(Packets.HasRightChecksums(error));
        Assert.Equal(1400, Down);
        Assert.Equal(1500, Up);

        // From now on the PRR says so itself, and what may be fragmented arrives.
        Send(_prr, Origin.FromInternet, Large());
        Assert.Equal(2, _toInternet.Count);
        Assert.Equal(1, _prr.Counters.Drops(Origin.FromInternet, DropReason.TooBig));
        _toLan.Clear();
        Send(_prr, Origin.FromInternet, Large(dontFragment: false));
        Assert.Equal(1460, Assert.Single(_toLan).Length);
        Assert.Equal(1, _down.LoweredByMessage);
    }

    [Fact]
    public void The_smap_hears_of_its_own_direction_and_its_host_knows_the_packet_again()
    {
        _upMtu = 1300;
        byte[] large = LargeUp();
        Send(_smap, Origin.FromLan, large);
        byte[] error = Assert.Single(_toLan);
        Assert.Equal([3, 4, 1260 >> 8, 1260 & 255], new[] { error[20], error[21], error[26], error[27] });
        Assert.Equal(IPv4Address.Parse(Host), IPv4Address.Read(error.AsSpan(16)));
        Assert.Equal(large[12..28], error[40..56]);
        Assert.True(Packets.HasRightChecksums(error));
        Assert.Equal(1300, Up);
        Assert.Equal(1500, Down);
    }

    [Theory]
    [InlineData(1279)]
    [InlineData(0)]
    [InlineData(1500)]
    [InlineData(9000)]
    [InlineData(-1)]
    public void A_packet_too_big_that_says_nothing_possible_changes_nothing(int mtu)
    {
        byte[] sent = Sent();
        Send(_prr, Origin.FromSmap, Packets.IcmpV6Error(Core, Border, sent, IcmpV6Type.PacketTooBig, rest: mtu));
        Assert.Equal(1500, Down);
        Assert.Empty(_toInternet);
    }

    [Fact]
    public void A_packet_too_big_about_what_we_never_sent_changes_nothing()
    {
        byte[] sent = Sent();
        Hear(Packets.Encapsulate(Large(), Border, Home));
        Hear(Flip(sent, 3));
        Hear(Flip(sent, 23));
        Hear(Flip(sent, 39));
        Hear(Flip(sent, 59));
        byte[] wrong = Packets.IcmpV6Error(Core, Border, sent, IcmpV6Type.PacketTooBig, rest: 1300);
        wrong[60] ^= 1;
        Send(_prr, Origin.FromSmap, wrong);
        Assert.Equal(1500, Down);
        Assert.Empty(_toInternet);
        Hear(sent);
        Assert.Equal(1300, Down);

        void Hear(byte[] about) => Send(_prr, Origin.FromSmap, Packets.IcmpV6Error(Core, Border, about, IcmpV6Type.PacketTooBig, rest: 1300));
    }

    static byte[] Flip(byte[] packet, int at)
    {
        byte[] changed = [.. packet];
        changed[at] ^= 1;
        return changed;
    }

    /// <summary>A large packet as the PRR sends it into the softwire.</summary>
    byte[] Sent()
    {
        _batch.Clear();
        _batch.TryAdd(Large(), Origin.FromInternet);
        _prr.Process(_batch);
        return _batch.Bytes(0).ToArray();
    }

    [Theory]
    [InlineData(IcmpV6Type.DestinationUnreachable, 0)]
    [InlineData(IcmpV6Type.DestinationUnreachable, 3)]
    [InlineData(IcmpV6Type.TimeExceeded, 0)]
    [InlineData(IcmpV6Type.ParameterProblem, 1)]
    public void Other_errors_about_the_softwire_are_host_unreachable_to_the_sender(IcmpV6Type type, byte code)
    {
        Send(_prr, Origin.FromSmap, Packets.IcmpV6Error(Core, Border, Sent(), type, code));
        byte[] error = Assert.Single(_toInternet);
        Assert.Equal([3, 1], error[20..22]);
        Assert.Equal(1, _prr.Counters.IcmpV4Sent);

        Send(_smap, Origin.FromPrr, Packets.IcmpV6Error(Core, Home, SentUp(), type, code));
        error = Assert.Single(_toLan);
        Assert.Equal([3, 1], error[20..22]);
        Assert.Equal(LargeUp()[12..28], error[40..56]);
    }

    [Fact]
    public void That_a_fragment_was_lost_is_nothing_for_the_sender_of_the_packet()
    {
        Send(_prr, Origin.FromSmap, Packets.IcmpV6Error(Home, Border, Sent(), IcmpV6Type.TimeExceeded, code: 1));
        Send(_smap, Origin.FromPrr, Packets.IcmpV6Error(Border, Home, SentUp(), IcmpV6Type.TimeExceeded, code: 1));
        Assert.Empty(_toInternet);
        Assert.Empty(_toLan);
    }

    [Fact]
    public void That_a_smap_is_refused_only_its_prr_may_say()
    {
        Send(_smap, Origin.FromPrr, Packets.IcmpV6Error(Core, Home, SentUp(), IcmpV6Type.DestinationUnreachable, code: 5));
        Assert.Empty(_toLan);
        Assert.Equal(1, _smap.Counters.Drops(Origin.FromPrr, DropReason.NotFromPrr));
        Assert.Equal(0, _smap.Refusals);
        Send(_smap, Origin.FromPrr, Packets.IcmpV6Error(Border, Home, SentUp(), IcmpV6Type.DestinationUnreachable, code: 5));
        Assert.Equal([3, 1], Assert.Single(_toLan)[20..22]);
        Assert.Equal(1, _smap.Refusals);
    }

    byte[] SentUp()
    {
        _batch.Clear();
        _batch.TryAdd(LargeUp(), Origin.FromLan);
        _smap.Process(_batch);
        return _batch.Bytes(0).ToArray();
    }

    [Theory]
    [InlineData(1280)]
    [InlineData(1400)]
    [InlineData(1460)]
    [InlineData(1492)]
    public void A_path_that_swallows_packet_too_big_is_found_out_within_a_second_and_searched_to_its_size(int mtu)
    {
        Until(() => false, 1000);
        Assert.Equal(1500, Down);
        _tells = false;
        _downMtu = mtu;
        int found = Until(() => Down <= mtu);
        Assert.InRange(found, 100, 1000);
        Assert.Equal(1, _down.LoweredByProbe);
        int searched = Until(() => Down > mtu - 16, 10_000);
        Assert.InRange(searched, 0, 6000);
        Assert.InRange(Down, Math.Max(1280, mtu - 16), mtu);
        Assert.Equal(1500, Up);
    }

    [Fact]
    public void The_way_up_is_found_out_by_itself_while_the_way_down_is_wide()
    {
        Until(() => false, 1000, up: true);
        _tells = false;
        _upMtu = 1280;
        Assert.InRange(Until(() => Up == 1280, up: true), 100, 1000);
        Assert.Equal(1500, Down);

        // The PRR probes too: the SMAP's answers fit the narrow way, so they say nothing about it.
        Until(() => false, 3000);
        Assert.Equal(1500, Down);
        Assert.Equal(0, _down.LoweredByProbe);
    }

    [Fact]
    public void The_path_mtu_rises_again_when_the_path_does()
    {
        _downMtu = 1280;
        Send(_prr, Origin.FromInternet, Large());
        Assert.Equal(1280, Down);
        _downMtu = 1500;
        Until(() => false, 2000);
        Assert.Equal(1280, Down);
        _time.Advance(TimeSpan.FromSeconds(600));
        Assert.InRange(Until(() => Down == 1500), 0, 1000);
        Assert.Equal(1, _down.Raised);
    }

    [Theory]
    [InlineData(1280)]
    [InlineData(1400)]
    public void It_rises_under_steady_traffic_too(int narrow)
    {
        _downMtu = narrow;
        Send(_prr, Origin.FromInternet, Large());
        _downMtu = 1500;
        _down.Options = new DiscoveryOptions { RaiseAfter = 10 };
        int took = Until(() => Down == 1500, 620_000);
        Assert.InRange(took, 599_000, 601_000);
        _downMtu = narrow;
        Send(_prr, Origin.FromInternet, Large());
        Assert.Equal(narrow, Down);
        _downMtu = 1500;
        Assert.InRange(Until(() => Down == 1500, 20_000), 9_000, 11_000);
    }

    [Fact]
    public void A_path_that_is_still_narrow_when_it_is_tried_again_keeps_its_size()
    {
        _tells = false;
        _downMtu = 1400;
        Until(() => false, 8000);
        int before = Down;
        Assert.InRange(before, 1385, 1400);
        _time.Advance(TimeSpan.FromSeconds(600));
        for (int i = 0; i < 400; i++)
        {
            Until(() => false, 20);
            Assert.InRange(Down, before, 1400);
        }
    }

    [Fact]
    public void A_peer_that_answers_no_probe_proves_nothing()
    {
        _tells = false;
        _downMtu = 0;
        Until(() => false, 5000);
        Assert.Equal(1500, Down);
        Assert.True(_down.ProbesSent < 20);
    }

    [Fact]
    public void A_peer_that_was_away_for_a_while_and_then_answers_all_proves_nothing()
    {
        Until(() => false, 1000);
        for (int away = 20; away <= 3000; away += 20)
        {
            _isSmapAway = true;
            Until(() => false, away);
            _isSmapAway = false;
            while (_waiting.TryDequeue(out var late)) Send(_smap, Origin.FromPrr, late.Packet);
            Until(() => false, 3000);
            Assert.Equal((1500, 0), (Down, _down.LoweredByProbe));
        }
    }

    [Theory]
    [InlineData(140, 160)]
    [InlineData(200, 220)]
    [InlineData(100, 400)]
    [InlineData(400, 440)]
    [InlineData(1000, 1000)]
    public void A_queue_that_fills_makes_the_path_slow_and_not_narrow(int small, int large)
    {
        Until(() => false, 1000);
        _delay = packet => packet.Length <= 1280 ? small : large;
        Until(() => false, 60_000);
        Assert.Equal((1500, 0), (Down, _down.LoweredByProbe));

        // And when it becomes narrow, that is found out still.
        _tells = false;
        _downMtu = 1400;
        Until(() => Down <= 1400, 20_000);
        Until(() => false, 20_000);
        Assert.InRange(Down, 1384, 1400);
    }

    [Fact]
    public void After_a_pause_of_its_peer_a_narrow_path_is_found_out_within_a_second_still()
    {
        _delay = _ => 20;
        Until(() => false, 1000);
        _isSmapAway = true;
        Until(() => false, 1500);
        _isSmapAway = false;
        while (_waiting.TryDequeue(out var late)) Send(_smap, Origin.FromPrr, late.Packet);
        _tells = false;
        _downMtu = 1400;
        Assert.InRange(Until(() => Down <= 1400), 100, 1000);
    }

    [Fact]
    public void A_path_without_large_packets_is_not_probed()
    {
        for (int i = 0; i < 100; i++)
        {
            Send(_prr, Origin.FromInternet, Large(size: 1240));
            _time.Advance(TimeSpan.FromMilliseconds(100));
        }

        Assert.Equal(0, _down.ProbesSent);
        Until(() => false, 1000);
        long probes = _down.ProbesSent;
        Assert.InRange(probes, 3, 6);
        _time.Advance(TimeSpan.FromSeconds(10));
        for (int i = 0; i < 100; i++)
        {
            Send(_prr, Origin.FromInternet, Large(size: 100));
            _time.Advance(TimeSpan.FromMilliseconds(100));
        }

        Assert.InRange(_down.ProbesSent - probes, 0, 1);
    }

    [Fact]
    public void Answers_that_did_not_see_the_probe_are_not_believed()
    {
        _tells = false;
        Until(() => false, 1000);
        _downMtu = 1280;
        Until(() => Down == 1280);
        for (int sequence = 0; sequence < 65536; sequence++)
        {
            byte[] reply = Packets.IcmpV6(Home, Border, IcmpV6Type.EchoReply, payload: 1452 - 8);
            reply[44] = 0x0a;
            reply[45] = 0x99;
            reply[46] = (byte)(sequence >> 8);
            reply[47] = (byte)sequence;
            reply[42] = reply[43] = 0;
            ushort sum = Packets.IcmpV6Checksum(reply.AsSpan(40), Home, Border);
            reply[42] = (byte)(sum >> 8);
            reply[43] = (byte)sum;
            Send(_prr, Origin.FromSmap, reply);
        }

        Assert.Equal(1280, Down);
    }

    [Fact]
    public void Without_discovery_the_configuration_alone_counts()
    {
        _down.Options = new DiscoveryOptions { IsOn = false };
        _downMtu = 1400;
        Send(_prr, Origin.FromInternet, Large());

        // The sender hears all the same.
        Assert.Equal([3, 4], Assert.Single(_toInternet)[20..22]);
        Assert.Equal(1500, Down);
        Until(() => false, 2000);
        Assert.Equal(0, _down.ProbesSent);
    }

    [Fact]
    public void The_segment_size_follows_the_path()
    {
        _downMtu = 1280;
        Send(_prr, Origin.FromInternet, Large());
        _toInternet.Clear();
        byte[] syn = Packets.TcpWithOptions($"{Shared}:10000", $"{Server}:80", TcpFlags.Syn, [2, 4, 0x05, 0xb4]);
        Send(_prr, Origin.FromSmap, Packets.Encapsulate(syn, Home, Border));
        byte[] sent = Assert.Single(_toInternet);
        Assert.Equal(1200, sent[42] << 8 | sent[43]);
        Assert.True(Packets.HasRightChecksums(sent));
    }

    [Theory]
    [InlineData(1400)]
    [InlineData(1500)]
    public void A_path_that_a_process_before_used_goes_on_at_its_size_and_is_probed_for_more(int carries)
    {
        _down.TakeOver(IPv6Address.Parse(Border), new KnownPathMtu(IPv6Address.Parse(Home), carries, 1500));
        Assert.Equal([new KnownPathMtu(IPv6Address.Parse(Home), carries, 1500)], _down.Active());

        Assert.InRange(Until(() => Down == 1500 && _down.ProbesSent > 0), 0, 1000);
    }

    [Fact]
    public void What_a_process_before_knew_does_not_take_the_place_of_what_was_found_out_since()
    {
        _downMtu = 1400;
        Send(_prr, Origin.FromInternet, Large());
        Assert.Equal(1400, Down);
        _down.TakeOver(IPv6Address.Parse(Border), new KnownPathMtu(IPv6Address.Parse(Home), 1300, 1500));
        Assert.Equal(1400, Down);
    }

    [Fact]
    public void Without_probes_the_size_of_before_stands_until_it_is_time_to_try_another()
    {
        _down.Options = new DiscoveryOptions { Probes = false, RaiseAfter = 2 };
        _down.TakeOver(IPv6Address.Parse(Border), new KnownPathMtu(IPv6Address.Parse(Home), 1400, 1500));
        Assert.InRange(Until(() => Down == 1500), 1900, 2500);
    }

    [Fact]
    public void More_paths_than_there_is_room_for_forget_the_idle_ones()
    {
        var table = new PathMtuTable(new DiscoveryOptions { MaxPaths = 64, Probes = false }, _time, Secret);
        Binding[] bindings = [.. Enumerable.Range(1, 250).Select(i => new Binding(IPv4Address.Parse($"192.0.2.{i}"), PortSet.WholeAddress,
            IPv6Address.Parse($"2001:db8:5::{i}"), IPv6Address.Parse(Border)))];
        var router = new PortRangeRouter(BindingTable.Build(bindings), new PrrOptions { SoftwireAddresses = [IPv6Address.Parse(Border)] }, _time, table);
        for (int round = 0; round < 3; round++)
        {
            for (int i = 1; i <= 250; i++)
            {
                byte[] packet = Packets.Udp(Server, 53, $"192.0.2.{i}", 10000, 1400);
                byte[] sent = Assert.Single(OnTheWire.Through(router, Origin.FromInternet, packet));
                OnTheWire.Through(router, Origin.FromSmap, Packets.IcmpV6Error(Core, Border, sent, IcmpV6Type.PacketTooBig, rest: 1400));
                Assert.Equal(4, Assert.Single(OnTheWire.Through(router, Origin.FromInternet, packet))[21]);
                _time.Advance(TimeSpan.FromMilliseconds(100));
            }
        }

        Assert.InRange(table.Narrowed().Count, 60, 64);
    }
}
