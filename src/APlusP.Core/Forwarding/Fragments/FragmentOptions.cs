namespace APlusP.Core.Forwarding.Fragments;

/// <summary>What fragments may cost one worker, in memory and time. Both kinds of state, inner and outer, have these bounds each.</summary>
public sealed record FragmentOptions
{
    /// <summary>
    /// Seconds that an unfinished outer IPv6 packet waits for the rest, RFC 8200 section 4.5: 60.
    /// </summary>
    public int ReassemblyTimeout { get; init; } = 60;

    /// <summary>Seconds that the ports of an IPv4 packet's first fragment are remembered, and that later fragments wait for it.</summary>
    public int FollowTimeout { get; init; } = 10;

    /// <summary>Packets whose fragments are known at once; beyond them the oldest of whoever has most of them is forgotten.</summary>
    public int MaxPackets { get; init; } = 16384;

    /// <summary>Octets of fragments that wait at once; beyond them those of the oldest packet of whoever holds most are dropped.</summary>
    public int MaxOctets { get; init; } = 4 << 20;

    /// <summary>Percent of either at which the administrator is told, RFC 6333 section 6.3.</summary>
    public int WarnAt { get; init; } = 50;
}
