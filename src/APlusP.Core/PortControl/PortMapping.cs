using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Pcp;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Core.PortControl;

/// <summary>By what a host of the LAN asks for a port.</summary>
public enum MappingProtocol
{
    Pcp,
    NatPmp,
    Upnp,
}

/// <summary>Those protocols as people read them.</summary>
public static class MappingProtocols
{
    public static IReadOnlyList<string> Names { get; } = ["pcp", "nat-pmp", "upnp"];

    public static string NameOf(MappingProtocol protocol) => Names[(int)protocol];
}

/// <summary>What a host asked for by one protocol. A mapping stands for as long as one claim on it does: many a program asks by several at once.</summary>
/// <param name="Until">The second at which it ends, in the book's time.</param>
public sealed record MappingClaim(long Until)
{
    /// <summary>By which a PCP client shows that the mapping is its own.</summary>
    public PcpNonce? Nonce { get; init; }

    /// <summary>The set of PCP that it is one port of; null where it is a port by itself.</summary>
    public MappingSet? Set { get; init; }

    /// <summary>What a UPnP client calls it.</summary>
    public string Description { get; init; } = "";

    /// <summary>The second at which it ends by what is kept over a restart: renewals in quick succession are not.</summary>
    public long KeptUntil { get; init; }
}

/// <summary>Ports in a row that were asked for together, RFC 7753: the first of them inside, and how many they are.</summary>
public readonly record struct MappingSet(ushort First, ushort Size);

/// <summary>A port of ours that a host of the LAN has asked for, and what it asked by.</summary>
public sealed class PortMapping
{
    readonly MappingClaim?[] _claims = new MappingClaim?[MappingProtocols.Names.Count];

    internal PortMapping(PortForward forward) => Forward = forward;

    /// <summary>From where to where.</summary>
    public PortForward Forward { get; }

    /// <summary>What was asked by a protocol; null where nothing was.</summary>
    public MappingClaim? this[MappingProtocol by]
    {
        get => _claims[(int)by];
        internal set => _claims[(int)by] = value;
    }

    public IEnumerable<(MappingProtocol By, MappingClaim Claim)> Claims
    {
        get
        {
            for (int by = 0; by < _claims.Length; by++)
                if (_claims[by] is { } claim) yield return ((MappingProtocol)by, claim);
        }
    }

    /// <summary>The second at which its last claim ends.</summary>
    public long Until => _claims.Max(c => c?.Until ?? 0);

    internal bool IsClaimed => _claims.Any(c => c is not null);

    internal bool IsClaimedBesides(MappingProtocol by) => Claims.Any(c => c.By != by);
}

/// <summary>What a host asks for.</summary>
/// <param name="By">How.</param>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="Host">Who asks: a host has mappings of its own alone.</param>
/// <param name="HostPort">Its port.</param>
/// <param name="Seconds">For how long.</param>
public readonly record struct MappingWish(MappingProtocol By, IpProtocol Protocol, IPv4Address Host, ushort HostPort, uint Seconds)
{
    /// <summary>The port outside that it would like; 0 for any.</summary>
    public ushort Suggested { get; init; }

    /// <summary>Whether that one or none.</summary>
    public bool IsExact { get; init; }

    /// <summary>Ports in a row, inside and outside; it may get fewer.</summary>
    public ushort Count { get; init; } = 1;

    /// <summary>Whether even ports are to be even ones outside.</summary>
    public bool KeepsParity { get; init; }

    public PcpNonce? Nonce { get; init; }

    public string Description { get; init; } = "";
}

/// <summary>Why there is no mapping.</summary>
public enum MappingRefusal
{
    None,

    /// <summary>The port is not one of this home's.</summary>
    NotOurs,

    /// <summary>Another host has it by a mapping, or this one has another port there already.</summary>
    Taken,

    /// <summary>It is the household's by a static forward, another protocol's, or of flows.</summary>
    TakenOtherwise,

    /// <summary>The mapping is somebody else's: another nonce, or a static forward.</summary>
    NotTheirs,

    /// <summary>The host has as many as one may have.</summary>
    HostLimit,

    /// <summary>No port is left for mappings.</summary>
    NoneLeft,

    /// <summary>There is no shared address now.</summary>
    NoAddress,
}

/// <summary>What came of a wish.</summary>
/// <param name="Refusal">Why nothing, or <see cref="MappingRefusal.None"/>.</param>
/// <param name="Address">The shared address.</param>
/// <param name="Ports">The ports outside.</param>
/// <param name="Seconds">How long they stand; where the mapping is somebody else's, how long it does.</param>
public readonly record struct MappingGrant(MappingRefusal Refusal, IPv4Address Address, PortRange Ports, uint Seconds)
{
    internal static MappingGrant Refused(MappingRefusal why, uint seconds = 0) => new(why, default, default, seconds);
}

/// <summary>What a book of mappings asks the NAPT.</summary>
public interface IPortsInUse
{
    /// <summary>The port that an endpoint of the LAN has now, by flows or otherwise; null where it has none.</summary>
    ushort? PortOf(IpProtocol protocol, IPv4Address host, ushort port);

    /// <summary>Whether nothing has a port.</summary>
    bool IsFree(IpProtocol protocol, ushort port);
}
