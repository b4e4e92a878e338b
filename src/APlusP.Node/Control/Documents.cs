using System.Text.Json.Serialization;

namespace APlusP.Node.Control;

/// <summary>What <c>aplusp status --json</c> prints. Members are added, never changed, within a version.</summary>
public sealed record StatusDocument
{
    public int Version { get; init; } = 1;

    /// <summary>"prr" or "smap".</summary>
    public required string Role { get; init; }

    /// <summary>Version of the program.</summary>
    public required string Program { get; init; }

    public required string Configuration { get; init; }

    public required string Device { get; init; }

    public required DateTimeOffset Started { get; init; }

    public required long UptimeSeconds { get; init; }

    /// <summary>How the last reload ended, where there was one: "ok" or the fault.</summary>
    public string? LastReload { get; init; }

    /// <summary>Our ends of softwires.</summary>
    public required IReadOnlyList<string> SoftwireAddresses { get; init; }

    public required IReadOnlyList<TrafficStatus> Traffic { get; init; }

    /// <summary>Drops that have happened, most frequent first.</summary>
    public required IReadOnlyList<DropStatus> Drops { get; init; }

    /// <summary>Packets that the kernel did not take from us.</summary>
    public required long SendFailures { get; init; }

    /// <summary>What fragments hold now, all workers together.</summary>
    public IReadOnlyList<FragmentStatus> Fragments { get; init; } = [];

    /// <summary>Paths found to carry less than configured.</summary>
    public IReadOnlyList<PathStatus> NarrowPaths { get; init; } = [];

    /// <summary>The kernel's fast path; null where none was asked for.</summary>
    public FastPathStatus? FastPath { get; init; }

    public PrrStatus? Prr { get; init; }

    public SmapStatus? Smap { get; init; }

    /// <summary>Programs that do some of the work in processes of their own.</summary>
    public IReadOnlyList<ServiceStatus> Services { get; init; } = [];
}

/// <summary>A program that a daemon keeps running.</summary>
/// <param name="Name">Its name.</param>
/// <param name="State">"running" or "down".</param>
/// <param name="Since">Since when.</param>
/// <param name="Restarts">How often it ended by itself since the daemon's start.</param>
/// <param name="LastFault">Why it did the last time.</param>
public sealed record ServiceStatus(string Name, string State, DateTimeOffset Since, int Restarts, string? LastFault)
{
    public int? ProcessId { get; init; }
}

/// <summary>What became of the packets from one side; received is the sum of the rest.</summary>
public sealed record TrafficStatus(string From, long Received, long ReceivedBytes, long Forwarded, long Hairpinned, long Answered, long Consumed, long Dropped, long Held);

/// <summary>Packets from one side dropped for one reason.</summary>
public sealed record DropStatus(string From, string Reason, long Packets);

/// <summary>What fragments of one kind hold now, and what they may.</summary>
/// <param name="Of">"softwire packets" or "IPv4 packets".</param>
/// <param name="Packets">Packets of which fragments are known.</param>
/// <param name="MaxPackets">By configuration.</param>
/// <param name="Octets">Memory of those that wait.</param>
/// <param name="MaxOctets">By configuration.</param>
public sealed record FragmentStatus(string Of, int Packets, int MaxPackets, long Octets, long MaxOctets);

/// <summary>What the path to the other end of a softwire carries, in octets of IPv6, and what the configuration says.</summary>
public sealed record PathStatus(string Softwire, int PathMtu, int Configured);

/// <summary>The kernel's fast path.</summary>
/// <param name="Hook">"tc", "xdp", or "off" where the kernel refused.</param>
/// <param name="Devices">Where its programs stand.</param>
/// <param name="Bindings">Bindings that it knows, of a PRR.</param>
/// <param name="LeftOut">Bindings, or since start flows, that had no room, and go by the daemon.</param>
/// <param name="Fault">What the kernel refused, if anything.</param>
public sealed record FastPathStatus(string Hook, IReadOnlyList<string> Devices, int Bindings, int LeftOut, string? Fault)
{
    /// <summary>Flows of a SMAP that the kernel forwards; null of a PRR.</summary>
    public int? Flows { get; init; }
}

public sealed record PrrStatus(int Bindings, int SharedAddresses)
{
    /// <summary>Bindings changed by <c>aplusp binding</c> since the file was read, which a reload would undo.</summary>
    public long ChangesSinceLoad { get; init; }

    /// <summary>The registry that it follows; null where there is none.</summary>
    public RegistryStatus? Registry { get; init; }

    /// <summary>Web servers by name; null where there is no [web-names].</summary>
    public WebNamesStatus? WebNames { get; init; }

    /// <summary>Mapping rules; their subscribers are not counted among the bindings.</summary>
    public IReadOnlyList<RuleStatus> Rules { get; init; } = [];
}

/// <summary>How following a registry goes.</summary>
/// <param name="Url">The registry.</param>
/// <param name="State">"connected", or "away": its leases are as they were last told then.</param>
/// <param name="Since">Since when.</param>
/// <param name="Version">What there is of it; null for nothing yet.</param>
/// <param name="Leases">Leases that there are.</param>
public sealed record RegistryStatus(string Url, string State, DateTimeOffset Since, string? Version, int Leases)
{
    /// <summary>When it was last heard; null for not since the start.</summary>
    public DateTimeOffset? LastHeard { get; init; }

    /// <summary>From the last change there, by its clock, until that was in force here, by ours.</summary>
    public long? LagMilliseconds { get; init; }

    /// <summary>Why it is away.</summary>
    public string? Fault { get; init; }

    /// <summary>Leases that are not in force here, since they contradict the configuration, and why one of them.</summary>
    public int Refused { get; init; }

    public string? RefusedBecause { get; init; }

    /// <summary>Why a restart would begin with older leases.</summary>
    public string? CopyFault { get; init; }
}

/// <summary>How web servers by name fare, in counts since the start.</summary>
/// <param name="Sites">Names that lead to a server now.</param>
/// <param name="Visits">Requests by HTTP, and connections by TLS, that were led to one.</param>
/// <param name="Unknown">The same with a name that is nobody's, or none.</param>
/// <param name="Unreached">Attempts to reach a server that failed.</param>
/// <param name="Open">Connections of visitors now.</param>
public sealed record WebNamesStatus(int Sites, long Visits, long Unknown, long Unreached, long Open)
{
    /// <summary>Why names are not served, or not as the registry has them.</summary>
    public string? Fault { get; init; }
}

/// <summary>A mapping rule, and how many subscribers it has room for.</summary>
public sealed record RuleStatus(string? Name, string RuleIpv4Prefix, string RuleIpv6Prefix, int EaLength, int PsidOffset, int PsidLength, string Prr, int PayloadMtu, double Capacity);

public sealed record SmapStatus
{
    /// <summary>Nobody has said what the softwire is, or not any more; address and ports are none then.</summary>
    public bool IsSuspended { get; init; }

    /// <summary>Nothing comes back from the PRR, or there is no way to it.</summary>
    public bool IsLineDead { get; init; }

    public required string SharedAddress { get; init; }

    public required string PrrAddress { get; init; }

    /// <summary>The IPv4 prefix that a mapping rule gives us whole, where it does.</summary>
    public string? OwnPrefix { get; init; }

    /// <summary>IPv4 prefixes of the Forwarding Mapping Rules, whose subscribers are reached directly.</summary>
    public IReadOnlyList<string> ForwardingRules { get; init; } = [];

    /// <summary>"softwire" or "plain": which way packets leave.</summary>
    public string Outgoing { get; init; } = "softwire";

    /// <summary>The port set, in the form of the configuration.</summary>
    public required string Ports { get; init; }

    /// <summary>Ports in the set.</summary>
    public required int PortCount { get; init; }

    /// <summary>Octets of the largest IPv4 packet that goes into the softwire whole, by configuration; the softwire packet has 40 more.</summary>
    public int PayloadMtu { get; init; }

    /// <summary>How often since start the PRR has said that our address and port are not ours.</summary>
    public long Refusals { get; init; }

    public required IReadOnlyList<PortUse> PortsInUse { get; init; }

    public required int Flows { get; init; }

    public required int MaxFlows { get; init; }

    /// <summary>Flows refused since start because no port was left.</summary>
    public required long Exhausted { get; init; }

    public required IReadOnlyList<HostUse> Hosts { get; init; }

    /// <summary>How the DHCPv6 client stands; null where there is none.</summary>
    public DhcpStatusDocument? Dhcpv6 { get; init; }

    /// <summary>How it stands with the registry and the lease; null where the softwire is not by one.</summary>
    public LeaseStatus? Lease { get; init; }

    /// <summary>Ports that always lead to a server of the LAN.</summary>
    public IReadOnlyList<ForwardStatus> Forwards { get; init; } = [];

    /// <summary>What hosts of LANs may not do, and what they have used; none where all is allowed.</summary>
    public IReadOnlyList<PolicyStatus> Policies { get; init; } = [];

    /// <summary>How hosts ask for ports, and how many they have.</summary>
    public PortControlStatus? PortControl { get; init; }
}

/// <summary>The policy of a LAN.</summary>
/// <param name="Lan">Its device.</param>
public sealed record PolicyStatus(string Lan)
{
    /// <summary>Whether nftables has it; where not, the log says why.</summary>
    public bool IsInForce { get; init; }

    /// <summary>Of UDP nothing but DNS.</summary>
    public bool DnsAlone { get; init; }

    /// <summary>Names are asked of the SMAP alone.</summary>
    public bool OwnResolver { get; init; }

    /// <summary>Octets that a host has a day; 0 for no limit.</summary>
    public long DailyVolume { get; init; }

    /// <summary>When the next day begins.</summary>
    public DateTimeOffset Until { get; init; }

    /// <summary>Octets as people write them.</summary>
    public static string Volume(long octets) => LanPolicy.Write(octets);

    /// <summary>What hosts have used today, the most first.</summary>
    public IReadOnlyList<VolumeUse> Hosts { get; init; } = [];
}

/// <summary>What a host has used of its daily volume.</summary>
/// <param name="Mac">By which it is known.</param>
/// <param name="Octets">Today, both ways.</param>
/// <param name="IsOver">Whether that is all that it had.</param>
public sealed record VolumeUse(string Mac, long Octets, bool IsOver)
{
    /// <summary>Its IPv4 addresses, as far as they are known.</summary>
    public IReadOnlyList<string> Addresses { get; init; } = [];

    /// <summary>What it calls itself; null where nobody knows.</summary>
    public string? Name { get; init; }

    /// <summary>Name and address, for people.</summary>
    public override string ToString() => Addresses.Count == 0 ? Mac : $"{new HostUse(Addresses[0], 0) { Name = Name }}";
}

/// <summary>Ports that hosts of the LAN ask for.</summary>
/// <param name="By">"pcp", "nat-pmp" and "upnp": by which of them they may ask; none where there is no LAN.</param>
/// <param name="Mappings">Ports that they have.</param>
/// <param name="Household">Forwards that the household has added.</param>
public sealed record PortControlStatus(IReadOnlyList<string> By, int Mappings, int Household);

/// <summary>Ports of a SMAP that lead to hosts of the LAN.</summary>
/// <param name="Address">The shared address; null while there is none.</param>
/// <param name="Ports">The ports that can be had, in the form of the configuration.</param>
/// <param name="Entries">What leads where: of the configuration first, then of the household, then what hosts asked for.</param>
public sealed record MappingsDocument(string? Address, string Ports, IReadOnlyList<MappingEntry> Entries);

/// <summary>A port that leads to a host.</summary>
/// <param name="Protocol">"tcp" or "udp".</param>
/// <param name="Port">The port outside.</param>
/// <param name="Host">The host.</param>
/// <param name="HostPort">Its port.</param>
/// <param name="By">"configuration", "household", "pcp", "nat-pmp" or "upnp".</param>
/// <param name="IsInForce">Whether it is: a forward of the household's may have a port that is not ours now.</param>
public sealed record MappingEntry(string Protocol, int Port, string Host, int HostPort, string By, bool IsInForce)
{
    /// <summary>How long it stands unless it is asked for again; null for ever.</summary>
    public long? SecondsLeft { get; init; }

    /// <summary>What who asked calls it.</summary>
    public string? Description { get; init; }
}

/// <summary>A DHCPv6 client.</summary>
/// <param name="Interface">The link.</param>
/// <param name="State">"waiting" for the link, or as RFC 8415 has it: "searching", "requesting", "bound", "renewing", "rebinding".</param>
/// <param name="Server">The server's DUID.</param>
/// <param name="Mechanism">"lw4o6" or "map-e"; null where there is no softwire.</param>
/// <param name="Leases">Prefixes and addresses.</param>
/// <param name="Why">Why there is no softwire.</param>
public sealed record DhcpStatusDocument(string Interface, string State, string? Server, string? Mechanism, IReadOnlyList<string> Leases, string? Why)
{
    /// <summary>Seconds until the first lease ends, unless it is renewed.</summary>
    public long? ValidSeconds { get; init; }
}

/// <summary>How it stands with a SMAP's lease.</summary>
/// <param name="State">"online", "online-alone" where the registry or the address is away, "no-address", "enrolling", "leasing", "waiting", "refused", "revoked", "ended", "expired", "duplicate" or "released".</param>
/// <param name="Sentence">That, and why.</param>
/// <param name="Subscriber">Who we are to the registry; a PCP server knows us by our address alone.</param>
/// <param name="Registry">Its address, or the PCP server's.</param>
public sealed record LeaseStatus(string State, string Sentence, string Subscriber, string Registry)
{
    public string? Id { get; init; }

    /// <summary>When the lease runs out, by the registry's clock.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>Code of what keeps us from a lease, or from renewing it (docs/errors.md); null where nothing does.</summary>
    public string? Code { get; init; }
}

/// <summary>A static forward: protocol ("tcp" or "udp"), our port, and the server's address and port; not in force where the port is not ours now.</summary>
public sealed record ForwardStatus(string Protocol, int Port, string To, bool IsInForce);

/// <summary>Ports of one protocol in use now, and the most that ever were.</summary>
public sealed record PortUse(string Protocol, int Ports, int Peak);

/// <summary>Ports that a host of the LAN holds, all protocols.</summary>
public sealed record HostUse(string Host, int Ports)
{
    /// <summary>What it calls itself; null where nobody knows.</summary>
    public string? Name { get; init; }

    /// <summary>Name and address, for people.</summary>
    public override string ToString() => Name is null ? Host : $"{Name} ({Host})";
}

/// <summary>The answer of a daemon to a request on its control socket: one line of JSON.</summary>
public sealed record ControlAnswer
{
    /// <summary>Code of the error, where there is one.</summary>
    public string? Code { get; init; }

    public string? Message { get; init; }

    public StatusDocument? Status { get; init; }

    /// <summary>The same of a web proxy.</summary>
    public WebProxyStatus? WebProxy { get; init; }

    public Dictionary<string, long>? Counters { get; init; }

    /// <summary>What a reload changed.</summary>
    public string? Reloaded { get; init; }

    /// <summary>The lease that was given back, for people.</summary>
    public string? Released { get; init; }

    /// <summary>What leads where, after what was asked.</summary>
    public MappingsDocument? Mappings { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ControlAnswer))]
[JsonSerializable(typeof(DoctorDocument))]
[JsonSerializable(typeof(MappingsDocument))]
[JsonSerializable(typeof(Dictionary<string, long>))]
public sealed partial class ControlJson : JsonSerializerContext;
