using APlusP.Core.Addresses;

namespace APlusP.Core.Bindings;

/// <summary>What a lookup found.</summary>
public enum BindingLookup : byte
{
    /// <summary>No binding names this address.</summary>
    NotShared,

    /// <summary>The address is shared, but nobody has this port.</summary>
    NoBinding,

    Found,
}

/// <summary>What a packet needs of the binding that it belongs to.</summary>
public struct BindingHit
{
    public IPv6Address Softwire;
    public IPv6Address Prr;
    public ushort PayloadMtu;
    public BindingLookup Lookup;

    /// <summary>The subscriber has every port of the address, so protocols without ports reach it too.</summary>
    public bool WholeAddress;
}

/// <summary>A softwire to look up, and the address that a packet out of it comes from.</summary>
public readonly record struct SoftwireQuery(IPv6Address Softwire, IPv4Address Source);

/// <summary>Who has a softwire: its PRR, and an address of the subscriber, the one asked for where there are several.</summary>
public readonly record struct SoftwireHolder(bool IsKnown, IPv6Address Prr, IPv4Address Address);

/// <summary>An address and a port to look up.</summary>
public readonly record struct BindingQuery(IPv4Address Address, ushort Port);
