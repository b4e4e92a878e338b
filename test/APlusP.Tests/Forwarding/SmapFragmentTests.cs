using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using static APlusP.Tests.Forwarding.OnTheWire;

namespace APlusP.Tests.Forwarding;

/// <summary>Fragments through the SMAP's NAPT, and identifications.</summary>
public class SmapFragmentTests
{
    const string Prr = "2001:db8::1", Home = "2001:db8:1::1", Shared = "192.0.2.1", Host = "192.168.1.142", Server = "198.51.100.7";

    readonly HandClock _time = new();

    Smap Make(Func<SmapOptions, SmapOptions>? change = null)
    {
        var options = new SmapOptions
        {
            SoftwireAddress = IPv6Address.Parse(Home),
            PrrAddress = IPv6Address.Parse(Prr),
            SharedAddress = IPv4Address.Parse(Shared),
            Ports = PortSet.Parse("10000-10999"),
            TtlAlreadyTaken = true,
        };
        return new Smap(change?.Invoke(options) ?? options, _time, seed: 1);
    }

    static byte[][] Balanced(Smap smap, List<byte[]> sent)
    {
        foreach (Origin origin in (Origin[])[Origin.FromLan, Origin.FromPrr])
            Assert.Equal(smap.Counters.Received(origin), Enum.GetValues<Fate>().Where(f => f != Fate.None).Sum(f => smap.Counters.Packets(origin, f)));
        return [.. sent];
    }

    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(2, 1, 0)]
    [InlineData(1, 0, 2)]
    public void Fragments_go_out_by_the_port_of_the_first_in_any_order_and_the_answers_come_home(params int[] order)
    {
        Smap smap = Make();
        byte[][] parts = Parts(Packets.Udp(Host, 5000, Server, 53, 1200), 400, 800, 1208);
        byte[][] sent = Balanced(smap, Through(smap, Origin.FromLan, order.Select(i => parts[i])));
        Assert.Equal(3, sent.Length);
        Assert.All(sent, p => Assert.Equal(Packets.Softwire(Home, Prr, p[40..]), p));
        byte[] whole = Join(sent.Select(p => p[40..]));
        Assert.True(Packets.HasRightChecksums(whole));
        Assert.Equal(IPv4Address.Parse(Shared), IPv4Address.Read(whole.AsSpan(12)));
        int port = whole[20] << 8 | whole[21];
        Assert.InRange(port, 10000, 10999);

        byte[][] answer = Parts(Packets.Udp(Server, 53, Shared, port, 1200), 400, 800, 1208);
        byte[][] home = Balanced(smap, Through(smap, Origin.FromPrr, order.Select(i => Packets.Softwire(Prr, Home, answer[i]))));
        whole = Join(home);
        Assert.True(Packets.HasRightChecksums(whole));
        Assert.Equal(Packets.MayBeFragmented(Packets.Udp(Server, 53, Host, 5000, 1200)), whole);
    }

    [Fact]
    public void A_large_ping_goes_and_comes_in_fragments()
    {
        Smap smap = Make();
        byte[] whole = Join(Through(smap, Origin.FromLan, Parts(Packets.Echo(Host, Server, 77, payload: 2000), 1400, 2008)).Select(p => p[40..]));
        Assert.True(Packets.HasRightChecksums(whole));
        int identifier = whole[24] << 8 | whole[25];
        byte[][] answer = Parts(Packets.Echo(Server, Shared, identifier, IcmpV4Type.EchoReply, payload: 2000), 1400, 2008);
        whole = Join(Through(smap, Origin.FromPrr, answer.Select(p => Packets.Softwire(Prr, Home, p))));
        Assert.Equal(Packets.MayBeFragmented(Packets.Echo(Server, Host, 77, IcmpV4Type.EchoReply, payload: 2000)), whole);
    }

    [Fact]
    public void Outer_fragments_are_put_together_before_the_softwire_is_opened()
    {
        Smap smap = Make();
        byte[] outgoing = Through(smap, Origin.FromLan, Packets.Udp(Host, 5000, Server, 53, 12))[0];
        int port = outgoing[60] << 8 | outgoing[61];
        byte[] answer = Packets.Udp(Server, 53, Shared, port, 1400);
        byte[][] parts = OuterParts(Packets.Softwire(Prr, Home, answer), 3, 1232, answer.Length);
        Assert.Equal(Packets.Udp(Server, 53, Host, 5000, 1400), Assert.Single(Through(smap, Origin.FromPrr, parts[1], parts[0])));
        Assert.Empty(Through(smap, Origin.FromPrr, OuterParts(Packets.Softwire("2001:db8::bad", Home, answer), 3, 1232, answer.Length)));
        Assert.Equal(2, smap.Counters.Drops(Origin.FromPrr, DropReason.NotFromPrr));
    }

    [Fact]
    public void Who_sent_the_first_outer_fragment_hears_that_the_rest_did_not_come()
    {
        Smap smap = Make();
        byte[] inner = Packets.Udp(Server, 53, Shared, 10000, 1400);
        byte[][] parts = OuterParts(Packets.Softwire(Prr, Home, inner), 5, 800, inner.Length);
        Assert.Empty(Through(smap, Origin.FromPrr, parts[0]));
        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(0, smap.MillisecondsUntilDue(1000));
        byte[] error = Assert.Single(Through(smap, Origin.FromLan, new byte[20]));
        Assert.Equal(Packets.IcmpV6Error(Home, Prr, parts[0], IcmpV6Type.TimeExceeded, code: 1), error);
        Assert.Equal(1, smap.Counters.IcmpV6Sent);
        Balanced(smap, []);
    }

    [Fact]
    public void A_packet_that_is_too_large_goes_in_fragments_of_the_softwire_or_its_sender_hears_of_it()
    {
        Smap smap = Make(o => o with { PayloadMtu = 1240 });
        List<byte[]> sent = Through(smap, Origin.FromLan, Packets.MayBeFragmented(Packets.Udp(Host, 5000, Server, 53, 1472)));
        Assert.Equal([1280, 316], sent.Select(p => p.Length));
        Assert.True(Packets.HasRightChecksums(sent.SelectMany(p => p[48..]).ToArray()));

        byte[] large = Packets.Udp(Host, 5000, Server, 53, 1472);
        byte[] error = Assert.Single(Through(smap, Origin.FromLan, large));
        Assert.Equal([3, 4, 1240 >> 8, 1240 & 255], new[] { error[20], error[21], error[26], error[27] });
        Assert.Equal(large[..100], error[28..128]);
        Assert.True(Packets.HasRightChecksums(error));

        Smap ignoring = Make(o => o with { PayloadMtu = 1240, IgnoreDontFragment = true });
        Assert.Equal([1280, 316], Through(ignoring, Origin.FromLan, large).Select(p => p.Length));
    }

    [Fact]
    public void Fragments_between_two_hosts_of_one_home_hairpin_together()
    {
        Smap open = Make(o => o with { Filtering = NaptFiltering.EndpointIndependent });
        byte[] outgoing = Through(open, Origin.FromLan, Packets.Udp(Host, 5000, Server, 53, 12))[0];
        int port = outgoing[60] << 8 | outgoing[61];
        byte[][] parts = Parts(Packets.Udp("192.168.1.143", 6000, Shared, port, 1200), 400, 1208);
        byte[][] sent = Balanced(open, Through(open, Origin.FromLan, parts[1], parts[0]));
        Assert.All(sent, p => Assert.Equal(IPv4Address.Parse(Host), IPv4Address.Read(p.AsSpan(16))));
        Assert.True(Packets.HasRightChecksums(Join(sent)));
        Assert.Equal(2, open.Counters.Packets(Origin.FromLan, Fate.Hairpinned));
    }

    [Fact]
    public void A_flood_of_one_host_leaves_the_fragments_of_others()
    {
        Smap smap = Make(o => o with { Fragments = new() { MaxPackets = 256, MaxOctets = 256 * 512 }, Filtering = NaptFiltering.EndpointIndependent });
        byte[] outgoing = Through(smap, Origin.FromLan, Packets.Udp(Host, 5000, Server, 53, 12))[0];
        int port = outgoing[60] << 8 | outgoing[61];
        byte[][] ofHost = Parts(Packets.Udp(Host, 5001, Server, 53, 1200), 400, 1208), fromServer = Parts(Packets.Udp(Server, 53, Shared, port, 1200), 400, 1208);
        Assert.Empty(Through(smap, Origin.FromLan, ofHost[1]));
        Assert.Empty(Through(smap, Origin.FromPrr, Packets.Softwire(Prr, Home, fromServer[1])));
        for (int i = 0; i < 5000; i++)
        {
            byte[] ofScanner = Packets.Fragment(Packets.Udp("192.168.1.99", 1, Server, 53, 1200), 400, 400), ofAttacker = Packets.Fragment(Packets.Udp("203.0.113.9", 1, Shared, port, 1200), 400, 400);
            (ofScanner[4], ofScanner[5], ofAttacker[4], ofAttacker[5]) = ((byte)(i >> 8), (byte)i, (byte)(i >> 8), (byte)i);
            Through(smap, Origin.FromLan, Packets.MendHeader(ofScanner));
            Through(smap, Origin.FromPrr, Packets.Softwire(Prr, Home, Packets.MendHeader(ofAttacker)));
        }

        Assert.True(smap.Counters.Drops(Origin.FromLan, DropReason.FragmentsExceeded) > 4000);
        Assert.True(smap.Counters.Drops(Origin.FromPrr, DropReason.FragmentsExceeded) > 4000);
        Assert.Equal(2, Balanced(smap, Through(smap, Origin.FromLan, ofHost[0])).Length);
        Assert.Equal(2, Balanced(smap, Through(smap, Origin.FromPrr, Packets.Softwire(Prr, Home, fromServer[0]))).Length);
    }

    [Fact]
    public void Fragments_of_a_refused_packet_are_refused_with_it()
    {
        Smap smap = Make(o => o with { Ports = PortSet.Parse("10000-10000"), SendIcmpErrors = false, PortsPerHost = 1 });
        Through(smap, Origin.FromLan, Packets.Udp(Host, 1, Server, 53, 1));
        Assert.Empty(Through(smap, Origin.FromLan, Parts(Packets.Udp("192.168.1.143", 2, Server, 53, 1200), 400, 800, 1208).Reverse()));
        Assert.Equal(3, smap.Counters.Drops(Origin.FromLan, DropReason.PortsExhausted));
        Assert.Equal(0, smap.Counters.Packets(Origin.FromLan, Fate.Held));
    }

    [Fact]
    public void Identifications_come_out_of_the_port_set_for_what_may_be_fragmented()
    {
        Smap smap = Make();
        ushort[] seen = [.. Enumerable.Range(0, 1000).Select(_ => Identification(Through(smap, Origin.FromLan, Packets.MayBeFragmented(Packets.Udp(Host, 5000, Server, 53, 12)))[0]))];
        Assert.All(seen, id => Assert.InRange(id, 10000, 10999));
        Assert.Equal(1000, seen.Distinct().Count());

        // An atomic packet keeps its own (RFC 6864 section 4.1 gives it no meaning), and so does every packet where that is switched off.
        Assert.Equal(0x1234, Identification(Through(smap, Origin.FromLan, Packets.Udp(Host, 5000, Server, 53, 12))[0]));
        Smap keeping = Make(o => o with { RewriteIdentification = false });
        Assert.Equal(0x1234, Identification(Through(keeping, Origin.FromLan, Packets.MayBeFragmented(Packets.Udp(Host, 5000, Server, 53, 12)))[0]));

        static ushort Identification(byte[] packet) => (ushort)(packet[44] << 8 | packet[45]);
    }

    [Fact]
    public void The_fragments_of_one_packet_share_their_identification_and_two_packets_do_not()
    {
        Smap smap = Make();
        byte[][] a = Parts(Packets.Udp(Host, 5000, Server, 53, 1200), 400, 1208), b = Parts(Packets.Udp("192.168.1.143", 5000, Server, 53, 1200), 400, 1208);
        List<byte[]> sent = Through(smap, Origin.FromLan, a[0], b[0], a[1], b[1]);
        string[] ids = [.. sent.Select(p => Convert.ToHexString(p.AsSpan(44, 2)))];
        Assert.Equal(ids[0], ids[2]);
        Assert.Equal(ids[1], ids[3]);
        Assert.NotEqual(ids[0], ids[1]);
    }

    [Fact]
    public void The_segment_size_of_a_connection_is_lowered_both_ways()
    {
        Smap smap = Make(o => o with { PayloadMtu = 1240 });
        byte[] syn = Packets.TcpWithOptions($"{Host}:4000", $"{Server}:80", TcpFlags.Syn, [2, 4, 0x05, 0xb4]);
        byte[] sent = Through(smap, Origin.FromLan, syn)[0][40..];
        Assert.Equal(1200, sent[42] << 8 | sent[43]);
        Assert.True(Packets.HasRightChecksums(sent));
        int port = sent[20] << 8 | sent[21];
        byte[] answer = Packets.TcpWithOptions($"{Server}:80", $"{Shared}:{port}", TcpFlags.Syn | TcpFlags.Ack, [1, 2, 4, 0x05, 0xb4]);
        sent = Through(smap, Origin.FromPrr, Packets.Softwire(Prr, Home, answer))[0];
        Assert.Equal(1200, sent[43] << 8 | sent[44]);
        Assert.True(Packets.HasRightChecksums(sent));

        sent = Through(Make(o => o with { PayloadMtu = 1240, ClampMss = false }), Origin.FromLan, syn)[0][40..];
        Assert.Equal(1460, sent[42] << 8 | sent[43]);
    }
}
