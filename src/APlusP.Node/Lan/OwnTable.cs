using APlusP.Core;
using APlusP.Linux;
using APlusP.Node.Daemons;

namespace APlusP.Node.Lan;

/// <summary>
/// A table of nftables that is in force only where it differs from nothing: put in place and taken away whole, and put in place again where somebody has emptied the ruleset. Others' tables are not touched,
/// and what they drop stays dropped.
/// </summary>
/// <param name="family">"ip", "ip6", "inet" or "netdev".</param>
/// <param name="name">Its name.</param>
/// <param name="log">Told when it was taken away.</param>
sealed class OwnTable(string family, string name, DaemonLog log) : IDisposable
{
    // Null until it is known: one that was killed may have left a table.
    string? _chains;

    // Of the ruleset when the table was last seen in it.
    uint? _generation;

    /// <summary>Puts chains in force, where they have changed or are not there any more; empty for no table. To be called now and then.</summary>
    /// <exception cref="APlusPException">AP2006.</exception>
    public void Set(string chains)
    {
        if (chains == _chains && (chains.Length == 0 || IsThere())) return;
        if (chains.Length == 0)
        {
            if (_chains is not null || Executables.Find("nft") is not null) Nftables.Remove(family, name);
        }
        else Nftables.Replace(family, name, chains);
        (_chains, _generation) = (chains, null);
    }

    bool IsThere()
    {
        uint? generation = Nftables.Generation();
        if (generation is not null && generation == _generation) return true;
        if (!Nftables.Has(family, name))
        {
            log.TableTaken(family, name);
            return false;
        }

        _generation = generation;
        return true;
    }

    public void Dispose()
    {
        if (_chains is { Length: > 0 }) Nftables.Remove(family, name);
    }
}
