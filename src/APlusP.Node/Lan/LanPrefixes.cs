using APlusP.Core.Addresses;
using APlusP.Node.Configuration;

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

    /// <summary>Which LANs got none of what was delegated, and why; empty for nothing to say, as while there is nothing delegated at all.</summary>
    /// <param name="lans">As the file has them.</param>
    /// <param name="chosen">What <see cref="Choose"/> gave for each.</param>
    /// <param name="delegated">Prefixes that a server has delegated.</param>
    public static string Missing(IReadOnlyList<SmapLan> lans, IReadOnlyList<IPv6Prefix?> chosen, IReadOnlyList<IPv6Prefix> delegated)
    {
        string[] devices = [.. lans.Where((_, i) => chosen[i] is null).Select(l => l.Device)];
        if (devices.Length == 0 || delegated.Count == 0) return "";
        return $"no prefix is left for {string.Join(", ", devices)}: {string.Join(", ", delegated)} has not enough of 64 bits, and hosts there have no IPv6. Ask for a shorter one (`prefix-length` of [dhcpv6]), or write `prefix`";
    }

    /// <summary>The address that the SMAP has there.</summary>
    public static IPv6Address RouterOf(IPv6Prefix prefix) => new(prefix.Address.Value + 1);
}
