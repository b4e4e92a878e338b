using APlusP.Core;
using APlusP.Linux;

namespace APlusP.Node.Lan;

/// <summary>A table of nftables that is in force only where it differs from nothing: named for the SMAP's device, put in place and taken away whole. Others' tables are not touched, and what they drop stays dropped.</summary>
/// <param name="family">"ip", "ip6", "inet" or "netdev".</param>
/// <param name="name">Its name.</param>
sealed class OwnTable(string family, string name) : IDisposable
{
    // Null until it is known: one that was killed may have left a table.
    string? _chains;

    /// <summary>Puts chains in force, where they have changed; empty for no table.</summary>
    /// <exception cref="APlusPException">AP2006.</exception>
    public void Set(string chains)
    {
        if (chains == _chains) return;
        if (chains.Length == 0)
        {
            if (_chains is not null || Executables.Find("nft") is not null) Nftables.Remove(family, name);
        }
        else Nftables.Replace(family, name, chains);
        _chains = chains;
    }

    /// <summary>It may be gone: somebody has emptied the ruleset. It is made anew the next time.</summary>
    public void Forget() => _chains = null;

    public void Dispose()
    {
        if (_chains is { Length: > 0 }) Nftables.Remove(family, name);
    }
}
