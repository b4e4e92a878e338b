using System.Text.Json.Serialization;
using APlusP.Core;
using APlusP.Core.PortSets;
using APlusP.Lab.Links;

namespace APlusP.Lab;

/// <summary>Who plays the SMAP of a room.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SmapKind>))]
public enum SmapKind
{
    /// <summary>Our daemon.</summary>
    Aplusp,

    /// <summary>
    /// Linux itself, by its segment routing: with one segment and no segment routing header, that is plain IPv4-in-IPv6. It owns the shared
    /// address and keeps to its ports by ip_local_port_range; there is no NAPT, so the room's programs run on the SMAP.
    /// </summary>
    Kernel,
}

/// <summary>A host of a room.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Address">What it has of IPv4: its room's SMAP gives it always the same one.</param>
public sealed record HostPlan(string Name, string Address);

/// <summary>What a SMAP does for its room beside IPv4, IPv6 and names.</summary>
[Flags]
[JsonConverter(typeof(JsonStringEnumConverter<RoomServices>))]
public enum RoomServices
{
    None = 0,

    /// <summary>Hosts ask for ports by PCP, NAT-PMP and UPnP.</summary>
    PortControl = 1,

    /// <summary>The household's page.</summary>
    Page = 2,

    /// <summary>Web traffic by IPv4 goes by IPv6 where it can.</summary>
    WebProxy = 4,

    All = PortControl | Page | WebProxy,
}

/// <summary>A room: a SMAP and the hosts behind it.</summary>
/// <param name="Number">From 1.</param>
/// <param name="Softwire">The SMAP's end of the softwire.</param>
/// <param name="SharedAddress">The IPv4 address that it shares.</param>
/// <param name="Ports">Its ports of it, in the form of <see cref="PortSet.TryParse"/>.</param>
/// <param name="PathMtu">Largest IPv6 packet between this SMAP and the PRR.</param>
/// <param name="Hosts">The hosts, which have 192.168.Number.0/24.</param>
public sealed record RoomPlan(int Number, string Softwire, string SharedAddress, string Ports, int PathMtu, IReadOnlyList<HostPlan> Hosts)
{
    public SmapKind Kind { get; init; }

    public RoomServices Services { get; init; }

    /// <summary>Lines under [napt] in the SMAP's configuration, and sections that follow it.</summary>
    public IReadOnlyList<string> Napt { get; init; } = [];

    /// <summary>A room behind the address that the report's rooms share, on a path of 1500.</summary>
    public static RoomPlan Of(int number, string ports, IReadOnlyList<HostPlan> hosts) =>
        new(number, $"{LabPlan.SoftwirePrefix}::{number:x}", LabPlan.SharedAddress, ports, 1500, hosts);

    [JsonIgnore]
    public string Name => $"room {Number}";

    /// <summary>The host name of the SMAP.</summary>
    [JsonIgnore]
    public string Smap => $"smap{Number}";

    /// <summary>The SMAP's address towards its hosts.</summary>
    [JsonIgnore]
    public string LanAddress => $"192.168.{Number}.1";

    /// <summary>MTU of the hosts' IPv4, by DHCP: the path's less the outer header of 40, 1420 and 1240 (Table IV). That of their IPv6 is the path's.</summary>
    [JsonIgnore]
    public int ClientMtu => PathMtu - 40;

    /// <summary>
    /// Linux as a SMAP serves nobody, so its hosts have static addresses, and one MTU for all. IPv6 needs 1280 (RFC 8200 section 5): below it they have IPv4 alone,
    /// as all of the report's second room had.
    /// </summary>
    [JsonIgnore]
    public bool HasIPv6 => Kind == SmapKind.Aplusp || ClientMtu >= 1280;

    /// <summary>The Ethernet address of a host, by which its SMAP knows it.</summary>
    public string MacOf(HostPlan host) => $"52:54:00:{Number:x2}:00:{Hosts.Index().First(h => h.Item == host).Index + 1:x2}";
}

/// <summary>What the user asked for: the rooms of a lab. Everything else follows from it, see <see cref="LabTopology"/>.</summary>
public sealed record LabPlan(string Name, IReadOnlyList<RoomPlan> Rooms)
{
    /// <summary>The address that the report's rooms share (Table III).</summary>
    public const string SharedAddress = "192.108.119.27";

    /// <summary>The PRR's end of all softwires (Table III).</summary>
    public const string PrrSoftwire = "2001:660:7301:d002:250:baff:febe:711";

    /// <summary>The PRR's own IPv4 address (Table III).</summary>
    public const string PrrAddress = "192.108.119.26";

    internal const string SoftwirePrefix = "2001:660:7301:4666";

    /// <summary>The PRR's <c>fast-path</c>, and the SMAPs', which take "auto" for "xdp"; null for the default.</summary>
    public string? FastPath { get; init; }

    /// <summary>Whether the Internet has <see cref="TrafficPeers"/>: one host with all addresses of a network, for traffic models to talk to.</summary>
    public bool HasPeers { get; init; }

    /// <summary>The same with these services in every room.</summary>
    public LabPlan With(RoomServices services) => this with { Rooms = [.. Rooms.Select(room => room with { Services = services })] };

    /// <summary>The links that are emulated ones, see <see cref="WithLink"/>.</summary>
    public IReadOnlyList<LinkPlan> Links { get; init; } = [];

    /// <summary>The experiment of the 2010 report, its figure 22 and table III.</summary>
    public static LabPlan Fig22(string name = "fig22") => new(name,
    [
        new RoomPlan(1, $"{SoftwirePrefix}::1", SharedAddress, "10000-11000", 1460,
            [new("B", "192.168.1.142"), new("C", "192.168.1.143"), new("D", "192.168.1.144")]),
        new RoomPlan(2, $"{SoftwirePrefix}::2", SharedAddress, "11001-12000", 1280, [new("A", "192.168.2.121")]),
    ]);

    /// <summary>
    /// As many rooms as asked, one host each, all behind one address: room n has PSID n of (a=6, k=8), which is 252 ports.
    /// </summary>
    /// <param name="smaps">1 to 254.</param>
    /// <exception cref="APlusPException">AP5003: so many do not fit.</exception>
    public static LabPlan Smaps(string name, int smaps)
    {
        if (smaps is < 1 or > 254)
            throw new APlusPException(ErrorCodes.LabNotPossible, $"a lab of {smaps} SMAPs cannot be: one address has 255 sets of 252 ports to give, and rooms are numbered like their LANs, 192.168.1.0 to 192.168.254.0. Ask for 1 to 254.");
        return new LabPlan(name, [.. Enumerable.Range(1, smaps).Select(n =>
            RoomPlan.Of(n, PortSet.FromPsid(6, 8, n).ToString(), [new($"h{n}", $"192.168.{n}.10")]))]);
    }

    /// <summary>The same with one room changed.</summary>
    public LabPlan With(int number, Func<RoomPlan, RoomPlan> change) =>
        this with { Rooms = [.. Rooms.Select(room => room.Number == number ? change(room) : room)] };

    public RoomPlan Room(int number) => Rooms.First(room => room.Number == number);

    /// <summary>
    /// The same with an emulated link: "room1" (and so on) between the provider's router and that room's SMAP, "prr" between the provider's
    /// router and the PRR, "internet" between the PRR and the Internet. Down is towards the home, up is towards the Internet.
    /// </summary>
    public LabPlan WithLink(string name, LinkSettings? both = null) => WithLink(name, both ?? new LinkSettings(), both ?? new LinkSettings());

    /// <inheritdoc cref="WithLink(string, LinkSettings?)"/>
    public LabPlan WithLink(string name, LinkSettings down, LinkSettings up) =>
        this with { Links = [.. Links.Where(link => link.Name != name), new LinkPlan(name, down, up)] };
}

/// <summary>A link of a lab that is emulated, and what it does at the beginning.</summary>
public sealed record LinkPlan(string Name, LinkSettings Down, LinkSettings Up)
{
    /// <summary>The host (a namespace) that emulates it, between the two that it joins.</summary>
    [JsonIgnore]
    public string Host => $"link-{Name}";

    /// <summary>Its devices: towards the Internet, and towards the home.</summary>
    public const string Upper = "upper", Lower = "lower";
}
