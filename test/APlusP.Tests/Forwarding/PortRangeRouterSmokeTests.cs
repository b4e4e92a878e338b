using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;

namespace APlusP.Tests.Forwarding;

public class PortRangeRouterSmokeTests
{
    const string Prr = "2001:db8::1", Room1 = "2001:db8:1::1", Room2 = "2001:db8:2::1", Shared = "192.0.2.1", Server = "198.51.100.7";

    readonly PacketBatch _batch = new(16, 2000);
    readonly PortRangeRouter _router = new(
        BindingTable.Build([Bind("10000-11000", Room1), Bind("11001-12000", Room2)]),
        new PrrOptions { SoftwireAddresses = [IPv6Address.Parse(Prr)], SendIcmpV4Errors = true, SendIcmpV6Errors = true },
        TimeProvider.System);

    static Binding Bind(string ports, string softwire) =>
        new(IPv4Address.Parse(Shared), PortSet.Parse(ports), IPv6Address.Parse(softwire), IPv6Address.Parse(Prr));

    Verdict Judge(byte[] packet, Origin origin)
    {
        _batch.Clear();
        _batch.TryAdd(packet, origin);
        _router.Process(_batch);
        return _batch[0].Verdict;
    }

    [Fact]
    public void Tcp_from_internet_to_a_bound_port_goes_to_its_smap()
    {
        byte[] packet = Packets.Tcp(Server, 443, Shared, 11001, payload: 100, trafficClass: 0x2a);
        Assert.Equal(Verdict.Forward, Judge(packet, Origin.FromInternet));
        byte[] inner = Packets.Tcp(Server, 443, Shared, 11001, payload: 100, trafficClass: 0x2a, ttl: 63);
        Assert.Equal(Packets.Softwire(Prr, Room2, inner, trafficClass: 0x2a), _batch.Bytes(0).ToArray());
    }

    [Fact]
    public void Udp_from_a_smap_leaves_its_softwire()
    {
        byte[] packet = Packets.Softwire(Room1, Prr, Packets.Udp(Shared, 10500, Server, 53, payload: 30));
        Assert.Equal(Verdict.Forward, Judge(packet, Origin.FromSmap));
        Assert.Equal(Packets.Udp(Shared, 10500, Server, 53, payload: 30, ttl: 63), _batch.Bytes(0).ToArray());
    }

    [Fact]
    public void A_neighbours_port_is_refused_and_the_smap_is_told()
    {
        byte[] packet = Packets.Softwire(Room1, Prr, Packets.Udp(Shared, 11500, Server, 53));
        Assert.Equal(Verdict.DropAndTell(DropReason.SourcePortNotBound), Judge(packet, Origin.FromSmap));
        Assert.Equal(1, _batch.Bytes(0)[40]);
        Assert.Equal(5, _batch.Bytes(0)[41]);
    }

    [Fact]
    public void Room_1_reaches_room_2_by_hairpin()
    {
        byte[] packet = Packets.Softwire(Room1, Prr, Packets.Tcp(Shared, 10500, Shared, 11500));
        Assert.Equal(Verdict.Hairpin, Judge(packet, Origin.FromSmap));
        Assert.Equal(Packets.Softwire(Prr, Room2, Packets.Tcp(Shared, 10500, Shared, 11500, ttl: 63)), _batch.Bytes(0).ToArray());
    }

    [Fact]
    public void An_unbound_port_is_answered_with_host_unreachable()
    {
        Assert.Equal(Verdict.DropAndTell(DropReason.NoBinding), Judge(Packets.Tcp(Server, 443, Shared, 9999), Origin.FromInternet));
        Assert.True(Packets.HasRightChecksums(_batch.Bytes(0)));
        Assert.Equal(3, _batch.Bytes(0)[20]);
        Assert.Equal(1, _batch.Bytes(0)[21]);
    }

    [Fact]
    public void The_end_of_the_softwire_answers_pings()
    {
        Assert.Equal(Verdict.Answer, Judge(Packets.PingV6(Room1, Prr), Origin.FromSmap));
        Assert.Equal(129, _batch.Bytes(0)[40]);
    }
}
