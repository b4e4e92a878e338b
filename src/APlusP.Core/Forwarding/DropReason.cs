namespace APlusP.Core.Forwarding;

/// <summary>
/// Why a packet was not delivered. One member is one counter (its name in kebab case), one line in docs/counters.md and at least
/// one test. New members go to the end of their group; names are stable, numbers are not.
/// </summary>
public enum DropReason : byte
{
    None,

    // Outer IPv6 header

    /// <summary>Shorter than its own headers say.</summary>
    Truncated,

    /// <summary>Not of the IP version that its side speaks: IPv4 outside a softwire, IPv6 where the IPv4 Internet is, or neither.</summary>
    WrongIpVersion,

    /// <summary>The outer destination is not an end of one of our softwires.</summary>
    NotForUs,

    /// <summary>An extension header that a softwire packet must not carry, a chain too long, or an option that must be discarded (RFC 8200 section 4.2).</summary>
    BadExtensionHeader,

    /// <summary>The softwire carries something other than IPv4 (next header not 4).</summary>
    NotIPv4InIPv6,

    /// <summary>Congestion was experienced on the way, and the inner packet says it cannot hear of it (RFC 6040 section 4.2).</summary>
    CongestionExperienced,

    // IPv4 header

    /// <summary>Version, header length or total length of the IPv4 header cannot be right.</summary>
    BadIPv4Header,

    /// <summary>The IPv4 header checksum is wrong.</summary>
    BadIPv4Checksum,

    /// <summary>The transport header is cut short, or its checksum or length cannot be right.</summary>
    BadTransportHeader,

    /// <summary>A protocol without ports, from or to a shared address.</summary>
    ProtocolWithoutPorts,

    /// <summary>An ICMP message whose subscriber cannot be told: neither a query nor an error with a usable embedded packet; or one with a source route out of a home (RFC 5508 section 7.3).</summary>
    IcmpNotTranslatable,

    /// <summary>ICMP from the Internet is switched off by configuration.</summary>
    IcmpNotAllowed,

    /// <summary>The source cannot be a host (loopback, multicast, reserved).</summary>
    MartianSource,

    /// <summary>The destination cannot be a host on the Internet (loopback, multicast, reserved).</summary>
    MartianDestination,

    /// <summary>The TTL ran out here.</summary>
    TtlExpired,

    /// <summary>Larger than the softwire carries, and its sender forbids fragments; or larger than any buffer.</summary>
    TooBig,

    // Fragments, inner and outer

    /// <summary>A fragment that cannot be right by itself: empty, past the end of any packet, or so short that it hides its transport header (RFC 1858, RFC 3128).</summary>
    BadFragment,

    /// <summary>A fragment of an outer packet that has come already (RFC 8200 section 4.5).</summary>
    DuplicateFragment,

    /// <summary>Fragments of one outer packet that overlap or contradict each other; all of it is dropped (RFC 8200 section 4.5, RFC 5722).</summary>
    FragmentOverlap,

    /// <summary>The rest of its packet did not come in time.</summary>
    FragmentTimeout,

    /// <summary>It had to make room for newer fragments: of its own sender where that held most of what there is, otherwise because all was in use.</summary>
    FragmentsExceeded,

    // Source check of the PRR (RFC 7596 section 6.2, RFC 7597 section 8.1)

    /// <summary>No binding has this outer source address.</summary>
    UnknownSoftwire,

    /// <summary>The softwire is known, but it is bound to another IPv4 address than the inner source.</summary>
    SourceAddressNotBound,

    /// <summary>Softwire and IPv4 address belong together, but the source port is not in the subscriber's port set.</summary>
    SourcePortNotBound,

    /// <summary>The softwire is bound to another of our PRR addresses.</summary>
    WrongPrrAddress,

    // Delivery by the PRR

    /// <summary>The destination address is not shared through this PRR.</summary>
    NotSharedAddress,

    /// <summary>Nobody is bound to this address and port.</summary>
    NoBinding,

    /// <summary>From subscriber to subscriber, and hairpinning is switched off.</summary>
    HairpinDisabled,

    // SMAP

    /// <summary>The softwire packet does not come from our PRR (RFC 7596 section 5.2), or says in the PRR's place that we are refused (section 5.1).</summary>
    NotFromPrr,

    /// <summary>From another subscriber directly, but address and port of the packet inside are not that subscriber's by the Forwarding Mapping Rule (RFC 7597 section 8.1).</summary>
    SourceNotByRule,

    /// <summary>The inner destination is not our shared address, or the port is outside our set (RFC 7597 section 8.1).</summary>
    NotOurPort,

    /// <summary>No mapping of the NAPT uses this port.</summary>
    NoMapping,

    /// <summary>A mapping exists, but its filter does not admit this remote endpoint (RFC 4787 section 5).</summary>
    Filtered,

    /// <summary>Every port of the set is in use.</summary>
    PortsExhausted,

    /// <summary>This host has all the ports or flows that one host may have.</summary>
    HostLimit,

    /// <summary>The flow table is full.</summary>
    FlowTableFull,

    /// <summary>A source that the LAN cannot have: our own shared address.</summary>
    SourceNotLan,

    /// <summary>Nobody has told the SMAP yet what its softwire is, or it has lost it.</summary>
    NoSoftwire,
}
