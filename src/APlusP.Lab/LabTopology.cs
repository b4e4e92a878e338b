using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Lab.Links;

namespace APlusP.Lab;

/// <summary>One end of a link: a host's interface.</summary>
public readonly record struct LinkEnd(string Host, string Interface);

/// <summary>A veth pair.</summary>
public readonly record struct LabLink(LinkEnd A, LinkEnd B, int Mtu = 1500);

/// <summary>A network namespace and everything in it.</summary>
public sealed record LabHost(string Name)
{
    /// <summary>Bridges, by name; every link whose interface is named "bridge-something" is a port of it.</summary>
    public IReadOnlyList<string> Bridges { get; init; } = [];

    /// <summary>Interface and address with its prefix length.</summary>
    public IReadOnlyList<(string Interface, string Address)> Addresses { get; init; } = [];

    /// <summary>What follows <c>ip route add</c>; the family is told by the text.</summary>
    public IReadOnlyList<string> Routes { get; init; } = [];

    /// <summary>Source of the host's segment-routing encapsulation, which Linux has one of per namespace.</summary>
    public string? SegmentSource { get; init; }

    public IReadOnlyList<(string Name, string Value)> Sysctls { get; init; } = [];

    /// <summary>Interface and an MTU that differs from its link's.</summary>
    public IReadOnlyList<(string Interface, int Mtu)> Mtus { get; init; } = [];

    /// <summary>Interface and an Ethernet address that is not left to chance.</summary>
    public IReadOnlyList<(string Interface, string Mac)> Macs { get; init; } = [];
}

/// <summary>
/// The network of a lab as a value: nothing here touches the machine, <see cref="LabBuilder"/> does.
/// </summary>
/// <remarks>
/// <code>
///   www4 203.0.113.4     www6 203.0.113.6, 2001:db8:6::6     dns 203.0.113.53, 2001:db8:6::53
///     |                    |                                   |
///   --+--------------------+-----------------------------------+--   203.0.113.0/24, 2001:db8:6::/64
///                          |
///                      internet ------------------------.
///                          | 192.108.119.24/29           | IPv6 only, for the rooms' native IPv6
///                          |                             |
///      192.108.119.26     prr                            |
///      softwires end at    | 2001:660:7301:d002::/64     | 2001:660:7301:d001::/64
///      ...:febe:711        |                             |
///                         core --------------------------'           no IPv4 from here to the rooms
///                        /    \
///           MTU 1460    /      \   MTU 1280
///                      /        \
///                  smap1        smap2        softwires 2001:660:7301:4666::1 and ::2
///                 /  |  \         |
///                B   C   D        A          192.168.1.0/24 and 192.168.2.0/24
/// </code>
/// </remarks>
public sealed record LabTopology(IReadOnlyList<LabHost> Hosts, IReadOnlyList<LabLink> Links)
{
    const string Provider = "2001:660:7301";

    /// <summary>The web servers' addresses, as the tests and the resolver know them.</summary>
    public const string Www4Address = "203.0.113.4", Www6Address = "203.0.113.6", Www6AddressV6 = "2001:db8:6::6", DnsAddress = "203.0.113.53", DnsAddressV6 = "2001:db8:6::53";

    /// <summary>The network that the peers' host has whole (RFC 2544's, for measurements), and its own addresses beside the other servers.</summary>
    public const string PeersNetwork = "198.18.0.0/16", PeersNetworkV6 = "2001:db8:7::/64";

    /// <summary>The network that those of all rooms with native IPv6 are in.</summary>
    public const string HomesV6 = $"{Provider}:a000::/52";

    const string PeersAddress = "203.0.113.7", PeersAddressV6 = "2001:db8:6::7";

    static readonly (string, string)[] s_everywhere =
    [
        // Duplicate address detection would take a second per address; nobody else is on these links.
        ("net.ipv6.conf.all.accept_dad", "0"),
        ("net.ipv6.conf.default.accept_dad", "0"),

        // Linux counts ICMP errors by their destination, and all subscribers of an address are one destination: a few traceroutes
        // of one room would leave the other without answers.
        ("net.ipv4.icmp_ratelimit", "0"),
    ];

    // An emulated link is a wire: no address, and no word of its own.
    static readonly (string, string)[] s_wire = [("net.ipv6.conf.all.disable_ipv6", "1"), ("net.ipv6.conf.default.disable_ipv6", "1")];

    // Who hears no router asks again, and soon.
    static readonly (string, string)[] s_advertisedTo = [.. s_everywhere, ("net.ipv6.conf.default.accept_ra", "1"), ("net.ipv6.conf.default.router_solicitation_delay", "0"), ("net.ipv6.conf.default.router_solicitation_interval", "1")];

    static readonly (string, string)[] s_byHand = [.. s_everywhere, ("net.ipv6.conf.default.accept_ra", "0")];

    static readonly (string, string)[] s_routesIPv4 = [("net.ipv4.ip_forward", "1")];
    static readonly (string, string)[] s_routesIPv6 = [("net.ipv6.conf.all.forwarding", "1")];

    /// <summary>The network that a plan needs.</summary>
    public static LabTopology Of(LabPlan plan)
    {
        List<LabHost> hosts = [Internet(plan), Server("www4", LabTopology.Www4Address), Server("www6", Www6Address, Www6AddressV6), Server("dns", DnsAddress, DnsAddressV6), Prr(), Core(plan)];
        List<LabLink> links =
        [
            Link("internet", "srv-www4", "www4", "eth0"),
            Link("internet", "srv-www6", "www6", "eth0"),
            Link("internet", "srv-dns", "dns", "eth0"),
            Link("internet", "prr", "prr", "internet"),
            Link("internet", "core", "core", "internet"),
            Link("core", "prr", "prr", "core"),
        ];
        if (plan.HasPeers)
        {
            LabHost peers = Server("peers", PeersAddress, PeersAddressV6);

            // Every address of these networks is its own, without a list of them.
            hosts.Add(peers with { Routes = [.. peers.Routes, $"local {PeersNetwork} dev lo", $"local {PeersNetworkV6} dev lo"] });
            links.Add(Link("internet", "srv-peers", "peers", "eth0"));
        }

        foreach (RoomPlan room in plan.Rooms)
        {
            hosts.Add(Smap(room));
            links.Add(Link("core", room.Smap, room.Smap, "wan", room.PathMtu));
            foreach (HostPlan host in room.Hosts)
            {
                hosts.Add(RoomHost(room, host));
                links.Add(Link(room.Smap, $"lan-{host.Name}", host.Name, "eth0"));
            }
        }

        foreach (LinkPlan link in plan.Links)
        {
            (LinkEnd upper, LinkEnd lower) = EndsOf(plan, link.Name);
            LabLink direct = links.Single(l => l.A == upper && l.B == lower || l.A == lower && l.B == upper);
            links.Remove(direct);
            hosts.Add(new LabHost(link.Host) { Sysctls = s_wire });
            links.Add(direct with { A = upper, B = new(link.Host, LinkPlan.Upper) });
            links.Add(direct with { A = new(link.Host, LinkPlan.Lower), B = lower });
        }

        return new LabTopology(hosts, links);
    }

    /// <summary>The interfaces that a link joins, by the name that <see cref="LabPlan.WithLink(string, LinkSettings?)"/> knows it by.</summary>
    /// <exception cref="APlusPException">AP5005: there is no such link.</exception>
    public static (LinkEnd Upper, LinkEnd Lower) EndsOf(LabPlan plan, string link) => link switch
    {
        "internet" => (new("internet", "prr"), new("prr", "internet")),
        "prr" => (new("prr", "core"), new("core", "prr")),
        _ when plan.Rooms.FirstOrDefault(room => link == $"room{room.Number}") is { } room => (new("core", room.Smap), new(room.Smap, "wan")),
        _ => throw new APlusPException(ErrorCodes.LabNotFound, $"'{link}' is no link that can be emulated: there are internet, prr{string.Concat(plan.Rooms.Select(room => $", room{room.Number}"))}."),
    };

    /// <summary>Where an emulated link says that a packet is too big: an address of the network that it is part of, which nobody has.</summary>
    public static HopAddresses HopOf(LabPlan plan, string link) => link switch
    {
        "internet" => new(null, IPv4Address.Parse("192.108.119.30")),
        "prr" => new(IPv6Address.Parse($"{Provider}:d002::ffff"), null),
        _ => new(IPv6Address.Parse($"{Leg(plan.Rooms.First(room => link == $"room{room.Number}"))}::ffff"), null),
    };

    public LabHost? Find(string host) => Hosts.FirstOrDefault(h => h.Name == host);

    static LabLink Link(string a, string interfaceA, string b, string interfaceB, int mtu = 1500) =>
        new(new(a, interfaceA), new(b, interfaceB), mtu);

    static LabHost Server(string name, string address, string? addressV6 = null) => new(name)
    {
        Addresses = [("eth0", $"{address}/24"), .. addressV6 is null ? [] : ((string, string)[])[("eth0", $"{addressV6}/64")]],
        Routes = ["default via 203.0.113.1", .. addressV6 is null ? [] : (string[])["default via 2001:db8:6::1"]],
        Sysctls = s_byHand,
    };

    static LabHost Internet(LabPlan plan) => new("internet")
    {
        Bridges = ["srv"],
        Addresses = [("srv", "203.0.113.1/24"), ("srv", "2001:db8:6::1/64"), ("prr", "192.108.119.25/29"), ("core", $"{Provider}:d001::1/64")],
        Routes =
        [
            .. plan.Rooms.Select(room => room.SharedAddress).Distinct().Select(shared => $"{shared}/32 via {LabPlan.PrrAddress}"),
            $"{Provider}::/48 via {Provider}:d001::2",
            .. plan.HasPeers ? (string[])[$"{PeersNetwork} via {PeersAddress}", $"{PeersNetworkV6} via {PeersAddressV6}"] : [],
        ],
        Sysctls = [.. s_byHand, .. s_routesIPv4, .. s_routesIPv6],
    };

    // The softwires' end is not configured here: the core routes it to us, and we into the TUN. As a local address the
    // kernel would take its packets for itself and refuse protocol 4.
    static LabHost Prr() => new("prr")
    {
        Addresses = [("internet", $"{LabPlan.PrrAddress}/29"), ("core", $"{Provider}:d002::26/64")],
        Routes = ["default via 192.108.119.25", $"default via {Provider}:d002::1"],
        Sysctls = s_byHand,
    };

    static LabHost Core(LabPlan plan) => new("core")
    {
        Addresses =
        [
            ("internet", $"{Provider}:d001::2/64"),
            ("prr", $"{Provider}:d002::1/64"),
            .. plan.Rooms.Select(room => (room.Smap, $"{Leg(room)}::1/64")),
        ],
        Routes =
        [
            $"default via {Provider}:d001::1",
            $"{LabPlan.PrrSoftwire}/128 via {Provider}:d002::26",
            .. plan.Rooms.Select(room => $"{room.Softwire}/128 via {WanOf(room)}"),
            .. plan.Rooms.Where(room => room.HasIPv6).Select(room => $"{LanV6(room)}::/64 via {WanOf(room)}"),
        ],
        Sysctls = [.. s_byHand, .. s_routesIPv6],
    };

    static LabHost Smap(RoomPlan room) => room.Kind == SmapKind.Kernel ? KernelSmap(room) : new(room.Smap)
    {
        Bridges = ["lan"],
        Macs = [("wan", $"52:54:00:{room.Number:x2}:ff:01")],
        Sysctls = s_advertisedTo,
    };

    static LabHost KernelSmap(RoomPlan room) => new(room.Smap)
    {
        Bridges = ["lan"],
        Addresses =
        [
            ("wan", $"{WanOf(room)}/64"),
            ("lan", $"{room.LanAddress}/24"),
            .. room.HasIPv6 ? [("lan", $"{LanV6(room)}::1/64")] : ((string, string)[])[],
            ("lo", $"{room.SharedAddress}/32"),
        ],
        Routes =
        [
            $"default via {Leg(room)}::1",
            $"default encap seg6 mode encap.red segs {LabPlan.PrrSoftwire} dev wan src {room.SharedAddress} mtu {room.ClientMtu}",
            $"{room.Softwire}/128 encap seg6local action End.DX4 nh4 0.0.0.0 dev wan",
        ],
        SegmentSource = room.Softwire,
        Sysctls = [.. s_byHand, .. s_routesIPv6, ("net.ipv4.ip_local_port_range", room.Ports.Replace('-', ' '))],
    };

    static LabHost RoomHost(RoomPlan room, HostPlan host) => room.Kind == SmapKind.Kernel ? HostByHand(room, host) : new(host.Name)
    {
        Macs = [("eth0", room.MacOf(host))],
        Sysctls = s_advertisedTo,
    };

    static LabHost HostByHand(RoomPlan room, HostPlan host) => new(host.Name)
    {
        Addresses =
        [
            ("eth0", $"{host.Address}/24"),
            .. room.HasIPv6 ? [("eth0", $"{LanV6(room)}::{host.Address.Split('.')[3]}/64")] : ((string, string)[])[],
        ],
        Routes = [$"default via {room.LanAddress}", .. room.HasIPv6 ? [$"default via {LanV6(room)}::1"] : (string[])[]],
        Sysctls = s_byHand,
        Mtus = [("eth0", room.ClientMtu)],
    };

    /// <summary>The address that a SMAP makes itself of the advertised prefix and its Ethernet address (RFC 4291 appendix A).</summary>
    public static string WanOf(RoomPlan room) => $"{Leg(room)}:5054:ff:fe{room.Number:x2}:ff01";

    static string Leg(RoomPlan room) => $"{Provider}:{0xe000 + room.Number:x}";

    /// <summary>The IPv6 prefix of a room's hosts.</summary>
    public static string LanPrefix(RoomPlan room) => $"{LanV6(room)}::/64";

    static string LanV6(RoomPlan room) => $"{Provider}:{0xa000 + room.Number:x}";
}
