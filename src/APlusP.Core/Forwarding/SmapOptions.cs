using APlusP.Core.Addresses;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

/// <summary>How the NAPT chooses ports, RFC 4787 section 4.</summary>
public enum NaptMode
{
    /// <summary>One port for an inner endpoint, whatever it talks to (RFC 4787 REQ-1). The default.</summary>
    EndpointIndependent,

    /// <summary>A port is used again towards different remote endpoints: many flows through a small set.</summary>
    FiveTuple,
}

/// <summary>Modes as people write them.</summary>
public static class NaptModes
{
    public static IReadOnlyList<string> Names { get; } = ["endpoint-independent", "five-tuple"];

    public static string NameOf(NaptMode mode) => Names[(int)mode];
}

/// <summary>What the NAPT lets in through a mapping, RFC 4787 section 5.</summary>
public enum NaptFiltering
{
    EndpointIndependent,

    /// <summary>From addresses that the mapping has sent to (RFC 7597 section 10). The default.</summary>
    AddressDependent,

    AddressAndPortDependent,
}

/// <summary>Who may call a phone of the home by the port that it registered with, where the NAPT's filter alone would not let him.</summary>
public enum SipCallers
{
    /// <summary>The host that the phone registered with. The default.</summary>
    Registrar,

    Anyone,
}

/// <summary>Which way packets from the LAN go, when they are translated.</summary>
public enum SmapOutgoing
{
    /// <summary>Into the softwire. The default.</summary>
    Softwire,

    /// <summary>As plain IPv4, as the kernel routes them; only what comes in is in the softwire. Where the network carries IPv4 from the shared address outwards.</summary>
    Plain,
}

/// <summary>How a SMAP behaves. Immutable: a reload swaps the whole; the NAPT's flows stay unless address or port set changed.</summary>
public sealed record SmapOptions
{
    /// <summary>The SMAP's end of the softwire.</summary>
    public required IPv6Address SoftwireAddress { get; init; }

    /// <summary>The PRR's end of the softwire.</summary>
    public required IPv6Address PrrAddress { get; init; }

    /// <summary>The shared IPv4 address.</summary>
    public required IPv4Address SharedAddress { get; init; }

    /// <summary>The ports of it that are ours.</summary>
    public required PortSet Ports { get; init; }

    /// <summary>Ports of ours that no new flow gets, since they are about to be given back; null for none.</summary>
    public PortSet? RestingPorts { get; init; }

    /// <summary>We have no softwire now, and forward nothing.</summary>
    public bool IsSuspended { get; init; }

    /// <summary>The IPv4 prefix that we have whole by a mapping rule; hosts of the LAN with addresses in it are not translated. Null where we have an address or ports of it.</summary>
    public IPv4Prefix? OwnPrefix { get; init; }

    /// <summary>Forwarding Mapping Rules, RFC 7597 section 5.3: subscribers whom we send to, and hear from, directly. The rest goes through the PRR.</summary>
    public IReadOnlyList<MappingRule> ForwardingRules { get; init; } = [];

    public SmapOutgoing Outgoing { get; init; }

    /// <summary>Largest IPv4 packet that the softwire carries: the path MTU less 40, RFC 2473 section 7.</summary>
    public int PayloadMtu { get; init; } = 1460;

    /// <summary>As <see cref="PrrOptions.TtlAlreadyTaken"/>.</summary>
    public bool TtlAlreadyTaken { get; init; }

    public byte HopLimit { get; init; } = 64;

    /// <summary>Source of ICMPv4 errors towards the LAN; null takes the shared address.</summary>
    public IPv4Address? IcmpSource { get; init; }

    public NaptMode Mode { get; init; }

    public NaptFiltering Filtering { get; init; } = NaptFiltering.AddressDependent;

    /// <summary>Whether hosts of the LAN reach each other by the shared address, RFC 4787 REQ-9.</summary>
    public bool Hairpinning { get; init; } = true;

    /// <summary>Ports that one host of the LAN may hold, each protocol by itself; 0 is three quarters of the set.</summary>
    public int PortsPerHost { get; init; }

    /// <summary>Flows that one host of the LAN may have; 0 is three quarters of the table.</summary>
    public int FlowsPerHost { get; init; }

    /// <summary>Flows that the table holds; its memory is taken at start.</summary>
    public int MaxFlows { get; init; } = 65536;

    /// <summary>Whether the LAN hears by ICMP that no port is left.</summary>
    public bool SendIcmpErrors { get; init; } = true;

    /// <summary>Code of the unreachable that answers exhaustion: 13 by RFC 5508 REQ-8, 1 by RFC 6888.</summary>
    public byte ExhaustionIcmpCode { get; init; } = 13;

    public int IcmpErrorsPerSecond { get; init; } = 100;

    /// <inheritdoc cref="PrrOptions.IcmpErrorsPerHost"/>
    public int IcmpErrorsPerHost { get; init; } = 20;

    /// <inheritdoc cref="PrrOptions.ClampMss"/>
    public bool ClampMss { get; init; } = true;

    /// <inheritdoc cref="PrrOptions.IgnoreDontFragment"/>
    public bool IgnoreDontFragment { get; init; }

    /// <inheritdoc cref="PrrOptions.UniformServices"/>
    public bool UniformServices { get; init; }

    /// <summary>
    /// Whether IPv4 packets that may be fragmented, or are, get identifications out of the port set, so that those of two homes behind one address differ
    /// (RFC 7597 section 8.3.3, RFC 6864 section 5.2).
    /// </summary>
    public bool RewriteIdentification { get; init; } = true;

    /// <summary>Whether FTP's text is rewritten, RFC 5382 REQ-6.</summary>
    public bool FtpGateway { get; init; } = true;

    /// <summary>Whether SIP's text is rewritten. Off by default: a gateway guesses, and most phones help themselves (RFC 4787 REQ-10).</summary>
    public bool SipGateway { get; init; }

    /// <summary>Port of SIP over UDP and TCP, at either end, RFC 3261 section 18.</summary>
    public ushort SipPort { get; init; } = 5060;

    /// <summary>Who may call a phone that has registered.</summary>
    public SipCallers SipCallers { get; init; }

    /// <inheritdoc cref="PrrOptions.Fragments"/>
    public FragmentOptions Fragments { get; init; } = new();

    /// <inheritdoc cref="PrrOptions.Secret"/>
    public ulong Secret { get; init; }

    public NaptTimers Timers { get; init; } = new();

    /// <summary>Ports that always lead to a host of the LAN.</summary>
    public IReadOnlyList<PortForward> Forwards { get; init; } = [];

    /// <summary>Forwards that are not in force, since their ports are not ours now. Nothing is done with them; who asks is told.</summary>
    public IReadOnlyList<PortForward> ForwardsOutside { get; init; } = [];

    /// <summary>The most entries of <see cref="Forwards"/>.</summary>
    public const int MaxForwards = 2048;
}

/// <summary>A port of ours that always leads to a server of the LAN, whoever calls (RFC 4787's endpoint-independent filtering).</summary>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="Port">The port outside.</param>
/// <param name="Host">The server's address.</param>
/// <param name="HostPort">Its port.</param>
public readonly record struct PortForward(IpProtocol Protocol, ushort Port, IPv4Address Host, ushort HostPort);

/// <summary>How long an idle flow lives, in seconds.</summary>
public sealed record NaptTimers
{
    /// <summary>RFC 4787 REQ-5: 5 minutes, at least 2.</summary>
    public int Udp { get; init; } = 300;

    /// <summary>RFC 5382 REQ-5: established connections, 2 hours 4 minutes at least.</summary>
    public int TcpEstablished { get; init; } = 7440;

    /// <summary>RFC 5382 REQ-5: partially open, 4 minutes at least; apart from <see cref="TcpClosing"/>, RFC 7857 section 2.1.</summary>
    public int TcpOpening { get; init; } = 240;

    /// <summary>RFC 5382 REQ-5: closing, 4 minutes at least.</summary>
    public int TcpClosing { get; init; } = 240;

    /// <summary>RFC 7857 section 2.2: after RST, 4 minutes.</summary>
    public int TcpReset { get; init; } = 240;

    /// <summary>RFC 5508 REQ-2: at least 60 seconds.</summary>
    public int Icmp { get; init; } = 60;
}
