using APlusP.Core.Addresses;
using APlusP.Core.Forwarding.Fragments;

namespace APlusP.Core.Forwarding;

/// <summary>How a PRR behaves, apart from its bindings. Immutable: a reload swaps the whole, and a packet meets one or the other.</summary>
public sealed record PrrOptions
{
    /// <summary>The PRR's ends of softwires; the outer destinations that are ours. At least one.</summary>
    public required IReadOnlyList<IPv6Address> SoftwireAddresses { get; init; }

    /// <summary>Source of ICMPv4 errors towards the Internet; null takes the address that the offending packet was sent to.</summary>
    public IPv4Address? IcmpSource { get; init; }

    /// <summary>
    /// The kernel has taken one from the inner TTL and answers TTL 1 itself, as it does around a TUN; then the core takes one only
    /// when it hairpins. Off for captures, where the core is the whole router.
    /// </summary>
    public bool TtlAlreadyTaken { get; init; }

    /// <summary>Hop limit of the outer header, RFC 2473 section 6.3.</summary>
    public byte HopLimit { get; init; } = 64;

    /// <summary>Whether subscribers may reach each other through the PRR, RFC 7596 section 6.2.</summary>
    public bool Hairpinning { get; init; } = true;

    /// <summary>Whether ICMPv4 from the Internet is passed to subscribers, RFC 7596 section 8.1.</summary>
    public bool AllowIcmpFromInternet { get; init; } = true;

    /// <summary>
    /// Whether the Internet, or a subscriber that hairpins, hears of an unbound port by ICMPv4 3/1, and of a protocol without ports by 3/2, RFC 7596 section 6.2.
    /// That a packet is too big or its TTL over is told always.
    /// </summary>
    public bool SendIcmpV4Errors { get; init; }

    /// <summary>Whether a SMAP that fails the source check hears so by ICMPv6 1/5, RFC 7596 section 6.2.</summary>
    public bool SendIcmpV6Errors { get; init; }

    /// <summary>ICMP errors a second, both families together; the burst is as large.</summary>
    public int IcmpErrorsPerSecond { get; init; } = 100;

    /// <summary>Of these, to one host.</summary>
    public int IcmpErrorsPerHost { get; init; } = 20;

    /// <summary>Whether the maximum segment size of TCP is lowered to what the softwire carries.</summary>
    public bool ClampMss { get; init; } = true;

    /// <summary>Whether a packet that is too large goes in fragments of the softwire even where its sender forbids fragments, for peers that ignore ICMPv4 3/4.</summary>
    public bool IgnoreDontFragment { get; init; }

    /// <summary>Whether a packet that leaves a softwire has the differentiated services of the softwire packet (RFC 2983 section 3.1: uniform), not those that it went in with (pipe).</summary>
    public bool UniformServices { get; init; }

    /// <summary>
    /// Ports of TCP at shared addresses that nobody is bound to, whose packets go back to the kernel as they are, since a server of names stands there. What it is told of the paths of its connections
    /// goes with them.
    /// </summary>
    public IReadOnlyList<ushort> NamedPorts { get; init; } = [];

    /// <summary>Bounds of fragment state; those of the start count.</summary>
    public FragmentOptions Fragments { get; init; } = new();

    /// <summary>What makes flow labels and fragment identifications unforeseeable; 0 makes them repeatable, for captures.</summary>
    public ulong Secret { get; init; }
}
