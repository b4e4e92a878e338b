using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;
using static APlusP.Tests.Forwarding.PrrScene;

namespace APlusP.Tests.Forwarding;

/// <summary>A kind of packet that a PRR meets, and what must become of it; <see cref="Options"/> where it needs others than the scene's.</summary>
sealed record PacketClass(string Name, Origin Origin, byte[] Octets, Verdict Expected, byte[]? Sent = null, PrrOptions? Options = null)
{
    public override string ToString() => Name;
}

/// <summary>Every class of packet by name. The bursts, the allocation test, the fuzzer and the check that every drop reason is met take theirs from here.</summary>
static class PrrPacketClasses
{
    const string Server = "198.51.100.7:443", Away = "198.51.100.7";

    static readonly PrrOptions s_noHairpin = Options with { Hairpinning = false };
    static readonly PrrOptions s_noIcmp = Options with { AllowIcmpFromInternet = false };
    static readonly PrrOptions s_tun = Options with { TtlAlreadyTaken = true };

    static readonly byte[] s_out = Packets.Tcp("192.0.2.1:10000", Server, payload: 40);
    static readonly byte[] s_in = Packets.Tcp(Server, "192.0.2.1:10000", payload: 40);

    public static PacketClass[] All { get; } =
    [
        // From the Internet, delivered
        In("tcp to a range", s_in, Anna),
        In("tcp to the last port of a range", Packets.Tcp(Server, "192.0.2.1:11000"), Anna),
        In("tcp to the neighbour's first port", Packets.Tcp(Server, "192.0.2.1:11001"), Berta),
        In("tcp to a second range", Packets.Tcp(Server, "192.0.2.1:20099"), Berta),
        In("udp without checksum", Packets.Udp(Server, "192.0.2.1:10500", withChecksum: false), Anna),
        In("udp to a psid set, a = 6", Packets.Udp(Server, "192.0.2.18:1232"), Dora),
        In("udp to a psid set, a = 4", Packets.Udp(Server, "192.0.2.21:4928"), Emma),
        In("udp to port 0 of a psid set, a = 0", Packets.Udp(Server, "192.0.2.20:0"), Frida),
        In("udp-lite", Packets.Ported(IpProtocol.UdpLite, Server, "192.0.2.1:10001"), Anna),
        In("sctp", Packets.Ported(IpProtocol.Sctp, Server, "192.0.2.1:10002"), Anna),
        In("dccp", Packets.Ported(IpProtocol.Dccp, Server, "192.0.2.1:10003"), Anna),
        In("tcp from the binding of another prr address", Packets.Tcp(Server, "192.0.2.1:13000"), Carla, OtherBorder),
        In("ipv4 options", Packets.WithOptions(Packets.Udp(Server, "192.0.2.1:10000"), 0x94, 4, 0, 0), Anna),
        In("dscp and ecn are copied to the outside", Packets.Udp(Server, "192.0.2.1:10000", trafficClass: 0xb8 | Packets.Ce), Anna),
        In("as large as the softwire carries", Packets.Udp(Server, "192.0.2.1:11001", payload: 1240 - 28), Berta),
        In("echo request by identifier", Packets.Echo(Away, Shared, 10007), Anna),
        In("echo reply by identifier", Packets.Echo(Away, Shared, 11007, type: IcmpV4Type.EchoReply), Berta),
        In("timestamp reply by identifier", Packets.Echo(Away, Shared, 10001, IcmpV4Type.TimestampReply), Anna),
        In("icmp error about tcp", Packets.IcmpError("203.0.113.9", Shared, s_out), Anna),
        In("icmp error about udp, cut to eight octets", Packets.IcmpError("203.0.113.9", Shared, Packets.Udp("192.0.2.1:11500", Server), embedded: 28), Berta),
        In("packet too big about tcp", Packets.IcmpError(Away, Shared, s_out, code: 4, rest: 1280), Anna),
        In("time exceeded about an echo request", Packets.IcmpError("203.0.113.9", Shared, Packets.Echo(Shared, Away, 10009), IcmpV4Type.TimeExceeded, 0), Anna),
        In("icmp error about a changed packet whose checksum is wrong", Packets.IcmpError("203.0.113.9", Shared, Stale(s_out)), Anna),
        In("gre to a whole address", Packets.IPv4(Away, Whole, (IpProtocol)47, new byte[20]), Gerda),
        In("tcp to a whole address", Packets.Tcp(Server, "192.0.2.30:1"), Gerda),
        In("icmp error about gre to a whole address", Packets.IcmpError("203.0.113.9", Whole, Packets.IPv4(Whole, Away, (IpProtocol)47, new byte[20])), Gerda),
        new("padding of the link behind a packet", Origin.FromInternet, [.. s_in, 0, 0, 0, 0, 0], Verdict.Forward,
            Packets.Encapsulate(Packets.Ttl(s_in, 63), Border, Anna)),
        new("the kernel has taken the ttl", Origin.FromInternet, Packets.Ttl(s_in, 1), Verdict.Forward,
            Packets.Encapsulate(Packets.Ttl(s_in, 1), Border, Anna), s_tun),

        // From the Internet, dropped
        InDrop("nothing at all", [], DropReason.Truncated),
        InDrop("ipv6 from the internet", FromAnna(s_out), DropReason.WrongIpVersion),
        InDrop("ip version 15", [0xf5, .. s_in[1..]], DropReason.WrongIpVersion),
        InDrop("cut short", s_in[..30], DropReason.BadIPv4Header),
        InDrop("a header of 16 octets", [0x44, .. s_in[1..]], DropReason.BadIPv4Header),
        InDrop("a wrong header checksum", Stale(s_in), DropReason.BadIPv4Checksum),
        InDrop("from a loopback address", Packets.Tcp("127.0.0.1:443", "192.0.2.1:10000"), DropReason.MartianSource),
        InDrop("from a multicast address", Packets.Tcp("224.0.0.5:443", "192.0.2.1:10000"), DropReason.MartianSource),
        InDrop("to an address that is not shared", Packets.Tcp(Server, "192.0.2.99:10000"), DropReason.NotSharedAddress),
        InDrop("a fragment to an address that is not shared", Packets.Fragment(Packets.Udp(Server, "192.0.2.99:1", 100), 8, 64), DropReason.NotSharedAddress),
        In("a first fragment", Packets.Fragment(Packets.Udp(Server, "192.0.2.1:10000", 100), 0, 64), Anna),
        new("a last fragment", Origin.FromInternet, Packets.Fragment(Packets.Udp("198.51.100.8:443", "192.0.2.1:10000", 100), 64, 64), Verdict.Hold),
        InDrop("a first fragment that hides the flags of tcp", Packets.Fragment(Packets.Tcp(Server, "192.0.2.1:10000", 100), 0, 16), DropReason.BadFragment),
        InDrop("a later fragment over the flags of tcp", Packets.Fragment(Packets.Tcp(Server, "192.0.2.1:10000", 100), 8, 64), DropReason.BadFragment),
        InDrop("a fragment past the end of any packet", Packets.AsFragment(Packets.Udp(Server, "192.0.2.1:10000", 100), 8190, more: false), DropReason.BadFragment),
        InDrop("an empty fragment", Packets.AsFragment(Packets.IPv4(Away, Shared, IpProtocol.Udp, []), 8, more: false), DropReason.BadFragment),
        InDrop("a first fragment of an error that embeds too little", Packets.Fragment(Packets.IcmpError(Away, Shared, s_out), 0, 32), DropReason.IcmpNotTranslatable),
        InDrop("to a port that nobody has", Packets.Tcp(Server, "192.0.2.1:9999"), DropReason.NoBinding),
        InDrop("to port 0, which nobody has", Packets.Tcp(Server, "192.0.2.1:0"), DropReason.NoBinding),
        InDrop("to a system port of a psid address, a = 6", Packets.Tcp(Server, "192.0.2.18:52"), DropReason.NoBinding),
        InDrop("an echo request to an identifier that nobody has", Packets.Echo(Away, Shared, 1), DropReason.NoBinding),
        InDrop("an icmp error about a port that nobody has", Packets.IcmpError(Away, Shared, Packets.Tcp("192.0.2.1:5", Server)), DropReason.NoBinding),
        InDrop("gre to a shared address", Packets.IPv4(Away, Shared, (IpProtocol)47, new byte[20]), DropReason.ProtocolWithoutPorts),
        InDrop("gre to the subscriber of port 0", Packets.IPv4(Away, SharedBy0, (IpProtocol)47, new byte[20]), DropReason.ProtocolWithoutPorts),
        InDrop("udp cut inside its ports", Packets.IPv4(Away, Shared, IpProtocol.Udp, new byte[3]), DropReason.BadTransportHeader),
        InDrop("sctp cut inside its ports", Packets.IPv4(Away, Shared, IpProtocol.Sctp, new byte[3]), DropReason.BadTransportHeader),
        InDrop("icmp of seven octets", Packets.IPv4(Away, Shared, IpProtocol.Icmp, new byte[7]), DropReason.BadTransportHeader),
        InDrop("an icmp redirect", Packets.Echo(Away, Shared, 10000, IcmpV4Type.Redirect), DropReason.IcmpNotTranslatable),
        InDrop("an icmp error about somebody else's packet", Packets.IcmpError(Away, Shared, Packets.Tcp("192.0.2.18:1232", Server)), DropReason.IcmpNotTranslatable),
        InDrop("an icmp error about an icmp error", Packets.IcmpError(Away, Shared, Packets.IcmpError(Shared, Away, s_in)), DropReason.IcmpNotTranslatable),
        InDrop("an icmp error that embeds too little", Packets.IcmpError(Away, Shared, s_out, embedded: 27), DropReason.IcmpNotTranslatable),
        InDrop("an icmp error about a later fragment", Packets.IcmpError(Away, Shared, Packets.Fragment(Packets.Udp("192.0.2.1:10000", Server, 64), 8, 64)), DropReason.IcmpNotTranslatable),
        InDrop("icmp where it is switched off", Packets.Echo(Away, Shared, 10007), DropReason.IcmpNotAllowed, s_noIcmp),
        InDrop("ttl 1 of what nobody hears of", Packets.Ttl(Packets.IcmpError(Away, Shared, s_out), 1), DropReason.TtlExpired),
        Told("ttl 0", Origin.FromInternet, Packets.Ttl(s_in, 0), DropReason.TtlExpired, IcmpV4(Shared, Packets.Ttl(s_in, 0), IcmpV4Type.TimeExceeded, 0), Options),
        Told("one octet more than the softwire carries", Origin.FromInternet, Packets.Udp(Server, "192.0.2.1:11001", payload: 1241 - 28), DropReason.TooBig,
            IcmpV4(Shared, Packets.Udp(Server, "192.0.2.1:11001", payload: 1241 - 28), IcmpV4Type.DestinationUnreachable, 4, 1240), Options),

        // From SMAPs, delivered
        Out("tcp from a range", s_out, Anna),
        Out("tcp from the neighbour's range", Packets.Tcp("192.0.2.1:12000", Server), Berta),
        Out("udp from a psid set, a = 6", Packets.Udp("192.0.2.18:64723", Server), Dora),
        Out("udp from a psid set, a = 4", Packets.Udp("192.0.2.21:4929", Server), Emma),
        Out("udp from port 0", Packets.Udp("192.0.2.20:0", Server), Frida),
        Out("sctp from a range", Packets.Ported(IpProtocol.Sctp, "192.0.2.1:10002", Server), Anna),
        Out("to the other prr address", Packets.Tcp("192.0.2.1:13000", Server), Carla, OtherBorder),
        Out("an echo request by identifier", Packets.Echo(Shared, Away, 10007), Anna),
        Out("an icmp error about what the subscriber received", Packets.IcmpError(Shared, Away, s_in), Anna),
        Out("an icmp error about an echo that the subscriber received", Packets.IcmpError(Shared, Away, Packets.Echo(Away, Shared, 10100)), Anna),
        Out("gre from a whole address", Packets.IPv4(Whole, Away, (IpProtocol)47, new byte[20]), Gerda),
        OutWith("a tunnel encapsulation limit", Packets.EncapsulationLimit),
        OutWith("hop-by-hop options", Packets.Option(0x1e, IpProtocol.HopByHopOptions)),
        OutWith("a routing header at its end", Packets.RoutingHeader(0)),
        OutWith("an atomic fragment", Packets.FragmentHeader(0, more: false)),
        new("octets behind the inner packet", Origin.FromSmap, FromAnna([.. s_out, 0, 0, 0]), Verdict.Forward, Packets.Ttl(s_out, 63)),
        new("octets behind the outer packet", Origin.FromSmap, [.. FromAnna(s_out), 0, 0, 0], Verdict.Forward, Packets.Ttl(s_out, 63)),
        new("from a softwire, the kernel takes the ttl", Origin.FromSmap, FromAnna(Packets.Ttl(s_out, 1)), Verdict.Forward, Packets.Ttl(s_out, 1), s_tun),

        // Hairpinned
        Hairpin("to another port set of the same address", Packets.Tcp("192.0.2.1:10000", "192.0.2.1:11001"), Anna, Berta),
        Hairpin("to oneself", Packets.Tcp("192.0.2.1:10000", "192.0.2.1:10001"), Anna, Anna),
        Hairpin("to another address", Packets.Udp("192.0.2.1:10000", "192.0.2.18:1232"), Anna, Dora),
        Hairpin("an echo request to another subscriber", Packets.Echo(Shared, SharedBy0, 1000), null, Frida),
        Hairpin("an icmp error to another subscriber", Packets.IcmpError(Shared, SharedBy6, Packets.Udp("192.0.2.18:1232", "192.0.2.1:10000")), Anna, Dora),
        Hairpin("gre to a whole address from a whole address", Packets.IPv4(Whole, Whole, (IpProtocol)47, new byte[20]), Gerda, Gerda),
        new("a hairpin takes the ttl that the kernel does not", Origin.FromSmap, FromAnna(Packets.Udp("192.0.2.1:10000", "192.0.2.18:1232")), Verdict.Hairpin,
            Packets.Encapsulate(Packets.Udp("192.0.2.1:10000", "192.0.2.18:1232", ttl: 63), Border, Dora), s_tun),
        OutDrop("a hairpin where it is switched off", Packets.Tcp("192.0.2.1:10000", "192.0.2.1:11001"), DropReason.HairpinDisabled, s_noHairpin),
        OutDrop("a hairpin to a port that nobody has", Packets.Tcp("192.0.2.1:10000", "192.0.2.1:1"), DropReason.NoBinding),
        Told("a hairpin larger than the receiver's softwire carries", Origin.FromSmap, FromAnna(Packets.Udp("192.0.2.1:10000", "192.0.2.1:11001", 1300)), DropReason.TooBig,
            Packets.Encapsulate(IcmpV4(Shared, Packets.Udp("192.0.2.1:10000", "192.0.2.1:11001", 1300), IcmpV4Type.DestinationUnreachable, 4, 1240), Border, Anna, 0xc0), Options),
        Told("a hairpin of ttl 1", Origin.FromSmap, FromAnna(Packets.Tcp("192.0.2.1:10000", "192.0.2.1:11001", ttl: 1)), DropReason.TtlExpired,
            Packets.Encapsulate(IcmpV4(Shared, Packets.Tcp("192.0.2.1:10000", "192.0.2.1:11001", ttl: 1), IcmpV4Type.TimeExceeded, 0), Border, Anna, 0xc0), s_tun),
        new("a hairpin of gre to a shared address", Origin.FromSmap, Packets.Encapsulate(Packets.IPv4(Whole, Shared, (IpProtocol)47, new byte[20]), Gerda, Border),
            Verdict.Drop(DropReason.ProtocolWithoutPorts)),

        // To the softwire's end itself
        new("an echo request to the softwire address", Origin.FromSmap, Packets.IcmpV6(Stranger, Border, IcmpV6Type.EchoRequest), Verdict.Answer,
            Packets.IcmpV6(Border, Stranger, IcmpV6Type.EchoReply)),
        new("an echo request behind an extension header", Origin.FromSmap,
            Packets.IcmpV6(Anna, OtherBorder, IcmpV6Type.EchoRequest, extensionHeaders: Packets.EncapsulationLimit), Verdict.Answer,
            Packets.IcmpV6(OtherBorder, Anna, IcmpV6Type.EchoReply)),
        new("packet too big to the softwire address", Origin.FromSmap, Packets.IcmpV6(Stranger, Border, IcmpV6Type.PacketTooBig), Verdict.Consume),
        new("an echo reply that nobody asked for", Origin.FromSmap, Packets.IcmpV6(Stranger, Border, IcmpV6Type.EchoReply), Verdict.Consume),
        new("the kernel's own mld", Origin.FromSmap, Packets.IcmpV6("fe80::1", "ff02::16", (IcmpV6Type)143, extensionHeaders: Packets.Option(5, IpProtocol.HopByHopOptions)), Verdict.Consume),

        // From SMAPs, dropped for the outside
        Outer("no octets from a smap", [], DropReason.Truncated),
        Outer("an outer packet cut short", FromAnna(s_out)[..70], DropReason.Truncated),
        Outer("an extension header cut short", Packets.Encapsulate([], Anna, Border, extensionHeaders: (IpProtocol.DestinationOptions, [4, 9, 1, 4, 0, 0, 0, 0])), DropReason.Truncated),
        Outer("bare ipv4 from a smap", s_out, DropReason.WrongIpVersion),
        Outer("to an address that is not ours", Packets.Encapsulate(s_out, Anna, "2001:db8::99"), DropReason.NotForUs),
        Outer("ipv4 in ipv6 to a multicast group", Packets.Encapsulate(s_out, Anna, "ff02::1"), DropReason.NotForUs),
        Outer("an option that must not be skipped", Packets.Encapsulate(s_out, Anna, Border, extensionHeaders: Packets.Option(0xc9)), DropReason.BadExtensionHeader),
        Outer("a routing header that goes on", Packets.Encapsulate(s_out, Anna, Border, extensionHeaders: Packets.RoutingHeader(1)), DropReason.BadExtensionHeader),
        Outer("a chain without end", Packets.Encapsulate(s_out, Anna, Border, extensionHeaders: [.. Enumerable.Repeat(Packets.EncapsulationLimit, 12)]), DropReason.BadExtensionHeader),
        new("a last outer fragment", Origin.FromSmap, Packets.Encapsulate(s_out, Berta, Border, extensionHeaders: Packets.FragmentHeader(1232, more: false)), Verdict.Hold),
        Outer("an outer fragment from a softwire that nobody has", Packets.Encapsulate(s_out, Stranger, Border, extensionHeaders: Packets.FragmentHeader(1232, more: false)), DropReason.UnknownSoftwire),
        Outer("an outer fragment to another softwire address than the binding's", Packets.Encapsulate(s_out, Anna, OtherBorder, extensionHeaders: Packets.FragmentHeader(1232, more: false)), DropReason.WrongPrrAddress),
        Outer("a first outer fragment of no whole units", Packets.Encapsulate([.. s_out, 1], Anna, Border, extensionHeaders: Packets.FragmentHeader(0, more: true)), DropReason.BadFragment),
        Outer("an outer fragment past the end of any packet", Packets.Encapsulate(s_out, Anna, Border, extensionHeaders: Packets.FragmentHeader(65528, more: false)), DropReason.BadFragment),
        Outer("a fragment header inside a whole packet of fragments", Packets.Encapsulate(s_out, Anna, Border, extensionHeaders: [Packets.FragmentHeader(0, more: false), Packets.RoutingHeader(1)]), DropReason.BadExtensionHeader),
        Outer("udp over ipv6", Packets.Softwire(Anna, Border, s_out[20..], next: IpProtocol.Udp), DropReason.NotIPv4InIPv6),
        Outer("ipv6 in ipv6", Packets.Softwire(Anna, Border, FromAnna(s_out), next: (IpProtocol)41), DropReason.NotIPv4InIPv6),
        Outer("icmpv6 with a wrong checksum", Flip(Packets.IcmpV6(Anna, Border, IcmpV6Type.EchoRequest), 50), DropReason.BadTransportHeader),
        Outer("an echo request from nobody", Packets.IcmpV6("::", Border, IcmpV6Type.EchoRequest), DropReason.MartianSource),

        // From SMAPs, dropped for the inside
        Outer("an empty softwire packet", FromAnna([]), DropReason.BadIPv4Header),
        Outer("an inner packet longer than the outer payload", FromAnna(s_out[..^1]), DropReason.BadIPv4Header),
        Outer("an inner header of 16 octets", FromAnna([0x44, .. s_out[1..]]), DropReason.BadIPv4Header),
        Outer("an inner packet of version 6", FromAnna([0x65, .. s_out[1..]]), DropReason.BadIPv4Header),
        Outer("a wrong inner checksum", FromAnna(Stale(s_out)), DropReason.BadIPv4Checksum),
        Out("an inner first fragment", Packets.Fragment(Packets.Udp("192.0.2.1:10000", Server, 100), 0, 64), Anna),
        OutDrop("an inner fragment past the end of any packet", Packets.AsFragment(Packets.Udp("192.0.2.1:10000", Server, 100), 8190, more: false), DropReason.BadFragment),
        OutDrop("an inner fragment of somebody else's address", Packets.Fragment(Packets.Udp("192.0.2.18:1232", Server, 100), 64, 64), DropReason.SourceAddressNotBound),
        OutDrop("an inner first fragment from the neighbour's port", Packets.Fragment(Packets.Udp("192.0.2.1:11001", Server, 100), 0, 64), DropReason.SourcePortNotBound),
        OutDrop("inner udp cut inside its ports", Packets.IPv4(Shared, Away, IpProtocol.Udp, new byte[3]), DropReason.BadTransportHeader),
        OutDrop("an inner redirect", Packets.Echo(Shared, Away, 10000, IcmpV4Type.Redirect), DropReason.IcmpNotTranslatable),
        OutDrop("an error about a packet to somebody else", Packets.IcmpError(Shared, Away, Packets.Tcp(Server, "192.0.2.18:1232")), DropReason.IcmpNotTranslatable),
        OutDrop("gre from a shared address", Packets.IPv4(Shared, Away, (IpProtocol)47, new byte[20]), DropReason.ProtocolWithoutPorts),
        OutDrop("to a multicast group", Packets.Udp("192.0.2.1:10000", "239.0.0.1:5"), DropReason.MartianDestination),
        OutDrop("to the broadcast address", Packets.Udp("192.0.2.1:10000", "255.255.255.255:5"), DropReason.MartianDestination),
        OutDrop("to a loopback address", Packets.Udp("192.0.2.1:10000", "127.0.0.1:5"), DropReason.MartianDestination),
        Outer("congestion met by a packet that cannot hear of it", FromAnna(s_out, Packets.Ce), DropReason.CongestionExperienced),

        // Spoofed
        Outer("from a softwire that nobody has", Packets.Encapsulate(s_out, Stranger, Border), DropReason.UnknownSoftwire),
        Outer("gre from a softwire that nobody has", Packets.Encapsulate(Packets.IPv4(Shared, Away, (IpProtocol)47, new byte[20]), Stranger, Border), DropReason.UnknownSoftwire),
        OutDrop("from somebody else's address", Packets.Tcp("192.0.2.18:1232", Server), DropReason.SourceAddressNotBound),
        OutDrop("from an address that is not shared", Packets.Tcp("203.0.113.1:10000", Server), DropReason.SourceAddressNotBound),
        OutDrop("from the neighbour's port", Packets.Tcp("192.0.2.1:11001", Server), DropReason.SourcePortNotBound),
        OutDrop("from a port that nobody has", Packets.Tcp("192.0.2.1:9999", Server), DropReason.SourcePortNotBound),
        OutDrop("an echo request by the neighbour's identifier", Packets.Echo(Shared, Away, 11001), DropReason.SourcePortNotBound),
        OutDrop("an icmp error about a packet to the neighbour", Packets.IcmpError(Shared, Away, Packets.Tcp(Server, "192.0.2.1:11001")), DropReason.SourcePortNotBound),
        Outer("to another softwire address than the binding's", Packets.Encapsulate(s_out, Anna, OtherBorder), DropReason.WrongPrrAddress),

        // Dropped, and told
        Told("a port that nobody has, told", Origin.FromInternet, Packets.Tcp(Server, "192.0.2.1:9999"), DropReason.NoBinding,
            IcmpV4(Shared, Packets.Tcp(Server, "192.0.2.1:9999"), IcmpV4Type.DestinationUnreachable, 1)),
        Told("gre to a shared address, told", Origin.FromInternet, Packets.IPv4(Away, Shared, (IpProtocol)47, new byte[20]), DropReason.ProtocolWithoutPorts,
            IcmpV4(Shared, Packets.IPv4(Away, Shared, (IpProtocol)47, new byte[20]), IcmpV4Type.DestinationUnreachable, 2)),
        Told("ttl 1 from the internet, told", Origin.FromInternet, Packets.Ttl(s_in, 1), DropReason.TtlExpired,
            IcmpV4(Shared, Packets.Ttl(s_in, 1), IcmpV4Type.TimeExceeded, 0)),
        Told("too large, told with the mtu", Origin.FromInternet, Packets.Udp(Server, "192.0.2.1:11001", 1300), DropReason.TooBig,
            IcmpV4(Shared, Packets.Udp(Server, "192.0.2.1:11001", 1300), IcmpV4Type.DestinationUnreachable, 4, 1240)),
        Told("ttl 1 from a subscriber, told through the softwire", Origin.FromSmap, FromAnna(Packets.Ttl(s_out, 1)), DropReason.TtlExpired,
            Packets.Encapsulate(IcmpV4(Away, Packets.Ttl(s_out, 1), IcmpV4Type.TimeExceeded, 0), Border, Anna, 0xc0)),
        Told("a hairpin to a port that nobody has, told through the softwire", Origin.FromSmap, FromAnna(Packets.Tcp("192.0.2.1:10000", "192.0.2.1:1")), DropReason.NoBinding,
            Packets.Encapsulate(IcmpV4(Shared, Packets.Tcp("192.0.2.1:10000", "192.0.2.1:1"), IcmpV4Type.DestinationUnreachable, 1), Border, Anna, 0xc0)),
        Told("a spoofed port, told by icmpv6", Origin.FromSmap, FromAnna(Packets.Tcp("192.0.2.1:9999", Server)), DropReason.SourcePortNotBound,
            IcmpV6(Border, Anna, FromAnna(Packets.Tcp("192.0.2.1:9999", Server)))),
        Told("an unknown softwire, told by icmpv6", Origin.FromSmap, Packets.Encapsulate(s_out, Stranger, Border), DropReason.UnknownSoftwire,
            IcmpV6(Border, Stranger, Packets.Encapsulate(s_out, Stranger, Border))),
        new("an icmp error to a port that nobody has is not told", Origin.FromInternet, Packets.IcmpError(Away, Shared, Packets.Tcp("192.0.2.1:5", Server)),
            Verdict.Drop(DropReason.NoBinding), Options: Telling),
        new("gre from a shared address is not told", Origin.FromSmap, FromAnna(Packets.IPv4(Shared, Away, (IpProtocol)47, new byte[20])),
            Verdict.Drop(DropReason.ProtocolWithoutPorts), Options: Telling),
        new("a spoof from a multicast address is not told", Origin.FromSmap, Packets.Encapsulate(s_out, "ff02::1", Border),
            Verdict.Drop(DropReason.UnknownSoftwire), Options: Telling),
    ];

    /// <summary>Those whose fate does not depend on what came before.</summary>
    public static PacketClass[] Stateless { get; } = [.. All.Where(c => c.Expected.Fate != Fate.Held)];

    public static TheoryData<string> Names => [.. All.Select(c => c.Name)];

    public static PacketClass Named(string name) => All.Single(c => c.Name == name);

    static PacketClass In(string name, byte[] packet, string softwire, string prr = Border) =>
        new(name, Origin.FromInternet, packet, Verdict.Forward,
            Packets.Encapsulate(Packets.Ttl(packet, (byte)(packet[8] - 1)), prr, softwire, packet[1]));

    static PacketClass InDrop(string name, byte[] packet, DropReason reason, PrrOptions? options = null) =>
        new(name, Origin.FromInternet, packet, Verdict.Drop(reason), Options: options);

    static PacketClass Out(string name, byte[] inner, string softwire, string prr = Border) =>
        new(name + ", from a smap", Origin.FromSmap, Packets.Encapsulate(inner, softwire, prr), Verdict.Forward, Packets.Ttl(inner, (byte)(inner[8] - 1)));

    static PacketClass OutWith(string name, params (IpProtocol, byte[])[] extensionHeaders) =>
        new(name, Origin.FromSmap, Packets.Encapsulate(s_out, Anna, Border, extensionHeaders: extensionHeaders), Verdict.Forward, Packets.Ttl(s_out, 63));

    static PacketClass OutDrop(string name, byte[] inner, DropReason reason, PrrOptions? options = null) =>
        new(name, Origin.FromSmap, FromAnna(inner), Verdict.Drop(reason), Options: options);

    static PacketClass Outer(string name, byte[] packet, DropReason reason) => new(name, Origin.FromSmap, packet, Verdict.Drop(reason));

    static PacketClass Hairpin(string name, byte[] inner, string? from, string to) =>
        new("hairpin: " + name, Origin.FromSmap, Packets.Encapsulate(from is null ? FromWhole(inner) : inner, from ?? Gerda, Border), Verdict.Hairpin,
            Packets.Encapsulate(Packets.Ttl(from is null ? FromWhole(inner) : inner, (byte)(inner[8] - 1)), Border, to));

    /// <summary>The same packet from the whole address, whose owner has every identifier.</summary>
    static byte[] FromWhole(byte[] icmp)
    {
        byte[] packet = [.. icmp];
        APlusP.Core.Addresses.IPv4Address.Parse(Whole).Write(packet.AsSpan(12));
        return Packets.MendHeader(packet);
    }

    static PacketClass Told(string name, Origin origin, byte[] packet, DropReason reason, byte[] error, PrrOptions? options = null) =>
        new(name, origin, packet, Verdict.DropAndTell(reason), error, options ?? Telling);

    /// <summary>The ICMPv4 error about a packet as RFC 792 and 1812 draw it, made by the builder.</summary>
    static byte[] IcmpV4(string source, byte[] offending, IcmpV4Type type, byte code, int rest = 0)
    {
        string to = APlusP.Core.Addresses.IPv4Address.Read(offending.AsSpan(12)).ToString();
        byte[] error = Packets.IcmpError(source, to, offending, type, code, embedded: 548, rest);
        error[1] = 0xc0;
        error[4] = error[5] = 0;
        return Packets.MendHeader(error);
    }

    static byte[] IcmpV6(string source, string destination, byte[] offending)
    {
        byte[] message = [1, 5, 0, 0, 0, 0, 0, 0, .. offending];
        ushort sum = Packets.IcmpV6Checksum(message, source, destination);
        message[2] = (byte)(sum >> 8);
        message[3] = (byte)sum;
        return Packets.Softwire(source, destination, message, next: IpProtocol.IcmpV6);
    }

    static byte[] Stale(byte[] packet) => Flip(packet, 10);

    static byte[] Flip(byte[] packet, int offset)
    {
        byte[] changed = [.. packet];
        changed[offset] ^= 0x10;
        return changed;
    }
}
