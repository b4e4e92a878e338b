namespace APlusP.Core.Forwarding.PathMtus;

/// <summary>How a softwire's end finds out what its path carries.</summary>
public sealed record DiscoveryOptions
{
    /// <summary>Whether ICMPv6 Packet Too Big is believed (RFC 2473 section 7.1). Off where several machines share the address: the message may reach another (RFC 7597 section 8.3.1).</summary>
    public bool IsOn { get; init; } = true;

    /// <summary>Whether paths that carry large packets are probed, so that a path that swallows Packet Too Big is found out too (RFC 8899).</summary>
    public bool Probes { get; init; } = true;

    /// <summary>Seconds until a larger size is tried again, RFC 8899 section 5.1.1 (PMTU_RAISE_TIMER) and RFC 8201 section 4: 600.</summary>
    public int RaiseAfter { get; init; } = 600;

    /// <summary>Probes a second in all; where many softwires are busy, each waits longer for its turn.</summary>
    public int ProbesPerSecond { get; init; } = 500;

    /// <summary>Softwires whose path MTU is watched at once; beyond them the one longest idle is forgotten.</summary>
    public int MaxPaths { get; init; } = 16384;
}
