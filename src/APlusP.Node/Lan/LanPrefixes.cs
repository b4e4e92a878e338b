using APlusP.Core.Addresses;

namespace APlusP.Node.Lan;

/// <summary>Prefixes of 64 bits for LANs, out of those that were delegated.</summary>
static class LanPrefixes
{
    const int Length = 64;

    /// <summary>
    /// One for each LAN that has none of its own. The first of a delegated prefix is left to the softwire, whose end a mapping rule puts there (RFC 7597 section 5.2), where there is room for all beside it.
    /// </summary>
    /// <param name="written">What the file says for each; null for nothing.</param>
    /// <param name="delegated">Prefixes that a server has delegated.</param>
    public static IReadOnlyList<IPv6Prefix?> Choose(IReadOnlyList<IPv6Prefix?> written, IReadOnlyList<IPv6Prefix> delegated)
    {
        int needed = written.Count(w => w is null);
        IEnumerator<IPv6Prefix> free = delegated.Where(d => d.Length <= Length).SelectMany(d => Pieces(d, needed)).Where(p => !written.Contains(p)).GetEnumerator();
        return [.. written.Select(w => w ?? (free.MoveNext() ? free.Current : (IPv6Prefix?)null))];
    }

    static IEnumerable<IPv6Prefix> Pieces(IPv6Prefix delegated, int needed)
    {
        UInt128 pieces = (UInt128)1 << (Length - delegated.Length), first = pieces > (UInt128)needed ? 1u : 0u;
        for (UInt128 i = first; i < pieces; i++) yield return new IPv6Prefix(new IPv6Address(delegated.Address.Value + (i << (128 - Length))), Length);
    }

    /// <summary>The address that the SMAP has there.</summary>
    public static IPv6Address RouterOf(IPv6Prefix prefix) => new(prefix.Address.Value + 1);
}
