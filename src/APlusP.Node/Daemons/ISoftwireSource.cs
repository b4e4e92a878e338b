using APlusP.Core.Dhcpv6;

namespace APlusP.Node.Daemons;

/// <summary>Who tells a SMAP what its softwire is, and when that changes: a DHCPv6 server, a registry, or a PCP server.</summary>
interface ISoftwireSource : IDisposable
{
    /// <summary>What it said last; null while it has nothing to say, or nothing any more.</summary>
    SoftwireParameters? Current { get; }

    /// <summary>From now on tells every change, one after the other, on a thread of its own, beginning with how it is; until what it gives is disposed.</summary>
    IDisposable Follow(Action<SoftwireParameters?> changed);
}
