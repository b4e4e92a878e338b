using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

/// <summary>A PRR with the domain of RFC 7597 appendix A, example 1, one of whole addresses, one of prefixes, and a binding beside them.</summary>
public class PrrRuleTests
{
    const string Border = "2001:db8:ffff::1", OtherBorder = "2001:db8:ffff::2";

    /// <summary>192.0.2.18 with PSIDs 0x34 and 0x35: ports 1232-1235 and 1236-1239 of each block.</summary>
    const string Ce34 = "2001:db8:12:3400:0:c000:212:34", Ce35 = "2001:db8:12:3500:0:c000:212:35";

    const string WholeCe = "2001:db8:1000:1200:0:c633:6412:0", PrefixCe = "2001:db8:2000:1000:0:cb00:7110:0", Moved = "2001:db8:aaaa::1";

    static RuleBinding Rule(string rule6, string rule4, int ea) => new(new MappingRule(IPv6Prefix.Parse(rule6), IPv4Prefix.Parse(rule4), ea), IPv6Address.Parse(Border));

    static PortRangeRouter Router(PrrOptions? options = null) => new(Table(), options ?? Options, new HandClock());

    static BindingTable Table() => BindingTable.Build(
        [new Binding(IPv4Address.Parse("192.0.2.18"), PortSet.Parse("offset=6,length=8,psid=54"), IPv6Address.Parse(Moved), IPv6Address.Parse(OtherBorder))],
        [Rule("2001:db8::/40", "192.0.2.0/24", 16), Rule("2001:db8:1000::/48", "198.51.100.0/24", 8), Rule("2001:db8:2000::/48", "203.0.113.0/24", 6)]);

    static PrrOptions Options { get; } = new() { SoftwireAddresses = [IPv6Address.Parse(Border), IPv6Address.Parse(OtherBorder)] };

    static byte[] From(string ce, byte[] inner, string border = Border) => Packets.Encapsulate(inner, ce, border);

    [Theory]
    [InlineData("192.0.2.18", 1232, Ce34, Border)]
    [InlineData("192.0.2.18", 64723, Ce34, Border)]
    [InlineData("192.0.2.18", 1236, Ce35, Border)]
    [InlineData("192.0.2.18", 1240, Moved, OtherBorder)]
    [InlineData("198.51.100.18", 80, WholeCe, Border)]
    [InlineData("203.0.113.19", 80, PrefixCe, Border)]
    public void A_packet_from_the_internet_goes_to_the_ce_that_the_rule_computes(string address, int port, string ce, string border)
    {
        byte[] packet = Packets.Udp("10.0.0.7", 53, address, port, payload: 20);
        Router().FromInternet(packet).IsForwardedAs(Packets.Encapsulate(Packets.Ttl(packet, 63), border, ce));
        byte[] reply = Packets.Udp(address, port, "10.0.0.7", 53, payload: 20);
        Router().FromSmap(From(ce, reply, border)).IsForwardedAs(Packets.Ttl(reply, 63));
    }

    [Fact]
    public void Icmp_finds_the_ce_by_identifier_and_by_the_embedded_packet()
    {
        byte[] echo = Packets.Echo("10.0.0.7", "192.0.2.18", 1233);
        Router().FromInternet(echo).IsForwardedAs(Packets.Encapsulate(Packets.Ttl(echo, 63), Border, Ce34));
        byte[] error = Packets.IcmpError("10.0.0.9", "192.0.2.18", Packets.Udp("192.0.2.18", 1236, "10.0.0.7", 53));
        Router().FromInternet(error).IsForwardedAs(Packets.Encapsulate(Packets.Ttl(error, 63), Border, Ce35));
    }

    [Fact]
    public void What_no_ce_has_is_dropped()
    {
        Router().FromInternet(Packets.Udp("10.0.0.7", 53, "192.0.2.18", 80)).IsDropped(DropReason.NoBinding);
        Router().FromInternet(Packets.Udp("10.0.0.7", 53, "192.0.3.18", 1232)).IsDropped(DropReason.NotSharedAddress);
        Router().FromInternet(Packets.IPv4("10.0.0.7", "192.0.2.18", (IpProtocol)47, new byte[8])).IsDropped(DropReason.ProtocolWithoutPorts);
    }

    [Fact]
    public void A_protocol_without_ports_reaches_who_has_the_address_or_the_prefix_whole()
    {
        foreach ((string address, string ce) in new[] { ("198.51.100.18", WholeCe), ("203.0.113.17", PrefixCe) })
        {
            byte[] packet = Packets.IPv4("10.0.0.7", address, (IpProtocol)47, new byte[8]);
            Router().FromInternet(packet).IsForwardedAs(Packets.Encapsulate(Packets.Ttl(packet, 63), Border, ce));
            byte[] back = Packets.IPv4(address, "10.0.0.7", (IpProtocol)47, new byte[8]);
            Router().FromSmap(From(ce, back)).IsForwardedAs(Packets.Ttl(back, 63));
        }
    }

    /// <summary>RFC 7597 section 8.1: what a CE may send from follows from its IPv6 address.</summary>
    [Theory]
    [InlineData(DropReason.SourcePortNotBound, Ce34, "192.0.2.18", 1236)]
    [InlineData(DropReason.SourcePortNotBound, Ce34, "192.0.2.18", 1023)]
    [InlineData(DropReason.SourceAddressNotBound, Ce34, "192.0.2.19", 1232)]
    [InlineData(DropReason.SourceAddressNotBound, Ce34, "10.0.0.1", 1232)]
    [InlineData(DropReason.WrongPrrAddress, Ce34, "192.0.2.18", 1232, OtherBorder)]
    [InlineData(DropReason.UnknownSoftwire, "2001:db8:12:3400:0:c000:212:35", "192.0.2.18", 1232)]
    [InlineData(DropReason.UnknownSoftwire, "2001:db8:12:3400::1", "192.0.2.18", 1232)]
    [InlineData(DropReason.UnknownSoftwire, "2001:db8:100:3400:0:c000:212:34", "192.0.2.18", 1232)]
    [InlineData(DropReason.SourceAddressNotBound, PrefixCe, "203.0.113.20", 1232)]
    [InlineData(DropReason.SourcePortNotBound, "2001:db8:12:3600:0:c000:212:36", "192.0.2.18", 1240)]
    public void A_lie_about_the_source_is_dropped_and_counted(DropReason reason, string ce, string address, int port, string border = Border)
    {
        PortRangeRouter router = Router();
        router.FromSmap(From(ce, Packets.Udp(address, port, "10.0.0.7", 53), border)).IsDropped(reason);
        Assert.Equal(1, router.Counters.Drops(Origin.FromSmap, reason));
    }

    [Fact]
    public void One_subscriber_of_a_rule_reaches_another_and_a_binding_through_the_prr()
    {
        foreach ((int port, string ce, string border) in new[] { (1236, Ce35, Border), (1240, Moved, OtherBorder) })
        {
            byte[] packet = Packets.Udp("192.0.2.18", 1232, "192.0.2.18", port, payload: 20);
            Router().FromSmap(From(Ce34, packet)).IsHairpinnedAs(Packets.Encapsulate(Packets.Ttl(packet, 63), border, ce));
        }
    }

    [Fact]
    public void Fragments_and_icmpv6_errors_of_who_has_a_prefix_are_its_own_whichever_address_they_name()
    {
        byte[][] parts = OnTheWire.Parts(Packets.Udp("203.0.113.17", 53, "10.0.0.7", 53, 1200), 800, 1208);
        Assert.Equal(2, OnTheWire.Through(Router(), Origin.FromSmap, parts.Select(p => From(PrefixCe, p))).Count);
        PortRangeRouter router = Router();
        byte[] sent = router.FromInternet(Packets.Udp("10.0.0.7", 53, "203.0.113.18", 80, payload: 100)).Sent;
        router.FromSmap(Packets.IcmpV6Error("2001:db8:77::1", Border, sent, IcmpV6Type.DestinationUnreachable)).Is(Verdict.Answer);
    }

    [Fact]
    public void Explain_names_the_rule()
    {
        PacketJourney journey = PortRangeRouter.Explain(Table(), Options, Origin.FromInternet, Packets.Udp("10.0.0.7", 53, "192.0.2.18", 1232));
        Assert.Contains(journey.Steps, s => s.Text == $"192.0.2.18 ports offset=6,length=8,psid=52, softwire {Ce34}, PRR {Border}, payload MTU 1460, by the rule for 192.0.2.0/24");
        journey = PortRangeRouter.Explain(Table(), Options, Origin.FromInternet, Packets.Udp("10.0.0.7", 53, "192.0.2.18", 1240));
        Assert.Contains(journey.Steps, s => s.Text == $"192.0.2.18 ports offset=6,length=8,psid=54, softwire {Moved}, PRR {OtherBorder}, payload MTU 1460");
    }
}
