namespace APlusP.Core.Dhcpv6;

/// <summary>What a client asks for.</summary>
public sealed record DhcpClientOptions
{
    public required Duid Duid { get; init; }

    /// <summary>What it calls its identity associations, after each restart the same (RFC 8415 section 12).</summary>
    public uint AssociationId { get; init; } = 1;

    /// <summary>Whether it asks for an address of the link (IA_NA).</summary>
    public bool Address { get; init; }

    /// <summary>Whether it asks for a prefix of its own (IA_PD).</summary>
    public bool Prefix { get; init; } = true;

    /// <summary>The length of prefix that it would like; 0 where it does not mind (RFC 8415 section 18.2.4).</summary>
    public int PrefixLength { get; init; }

    /// <summary>Whether two messages will do (RFC 8415 section 21.14).</summary>
    public bool RapidCommit { get; init; }

    /// <summary>The mechanisms that it knows, and in which order (RFC 7598 section 8, RFC 8026 section 1.4); and what else it wants to hear.</summary>
    public IReadOnlyList<DhcpOption> Requested { get; init; } = [DhcpOption.S46Lightweight, DhcpOption.S46MapE, DhcpOption.S46Priority];

    /// <summary>Whether it asks for nothing that has to be given back: an Information-request is enough then (RFC 8415 section 18.2.6).</summary>
    public bool IsStateless => !Address && !Prefix;
}

/// <summary>Where a client is between its first question and its leaving.</summary>
public enum DhcpClientState
{
    /// <summary>Nobody has answered.</summary>
    Searching,

    /// <summary>A server has offered, and is asked for it.</summary>
    Requesting,

    /// <summary>It has what it asked for.</summary>
    Bound,

    /// <summary>It has it, and asks its server for more time.</summary>
    Renewing,

    /// <summary>It has it, and asks any server for more time.</summary>
    Rebinding,

    /// <summary>It has it, and asks whether it is still on the right link.</summary>
    Confirming,

    /// <summary>It gives back.</summary>
    Leaving,

    /// <summary>It has given back.</summary>
    Gone,
}

/// <summary>What a client has.</summary>
/// <param name="Server">From whom.</param>
/// <param name="Leases">Addresses and prefixes, with their ends.</param>
/// <param name="Softwires">What the server said about softwires.</param>
/// <param name="Places">And about services.</param>
public sealed record DhcpBinding(Duid Server, IReadOnlyList<HeldLease> Leases, SoftwireOptions Softwires, ServicePlaces Places);

/// <summary>An address or prefix that a client has.</summary>
/// <param name="Kind"><see cref="DhcpOption.IaNa"/> or <see cref="DhcpOption.IaPd"/>.</param>
/// <param name="Prefix">What; of 128 bits for an address.</param>
/// <param name="PreferredUntil">By the client's clock, since its start; <see cref="TimeSpan.MaxValue"/> for ever.</param>
/// <param name="ValidUntil">Likewise.</param>
public readonly record struct HeldLease(DhcpOption Kind, Addresses.IPv6Prefix Prefix, TimeSpan PreferredUntil, TimeSpan ValidUntil);
