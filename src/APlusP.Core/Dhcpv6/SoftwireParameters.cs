using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Core.Dhcpv6;

/// <summary>All that a SMAP must be told about its softwire.</summary>
/// <param name="Mechanism">The container that said it; a registry's leases are lightweight 4over6.</param>
/// <param name="Softwire">Our end.</param>
/// <param name="Prr">The other end.</param>
/// <param name="Address">The IPv4 address.</param>
/// <param name="Ports">Our ports of it.</param>
public sealed record SoftwireParameters(DhcpOption Mechanism, IPv6Address Softwire, IPv6Address Prr, IPv4Address Address, PortSet Ports)
{
    /// <summary>The IPv4 prefix that we have whole, where we do.</summary>
    public IPv4Prefix? OwnPrefix { get; init; }

    /// <summary>Whom we reach directly.</summary>
    public IReadOnlyList<MappingRule> ForwardingRules { get; init; } = [];

    /// <summary>Prefixes that a server has routed to us. What of them we have no other route for ends here, and does not go back and forth (RFC 7084 WPD-5).</summary>
    public IReadOnlyList<IPv6Prefix> Delegated { get; init; } = [];

    /// <summary>Ports of ours that no new flow gets, since they are about to be given back; null for none.</summary>
    public PortSet? Resting { get; init; }

    /// <summary>Largest IPv4 packet that it carries; null where the configuration says.</summary>
    public int? PayloadMtu { get; init; }

    /// <summary>The device on whose link our end is, as an address that no interface has; null where it is on none.</summary>
    public string? Link { get; init; }

    public bool Equals(SoftwireParameters? other) =>
        other is not null && (Mechanism, Softwire, Prr, Address, OwnPrefix, PayloadMtu, Link) == (other.Mechanism, other.Softwire, other.Prr, other.Address, other.OwnPrefix, other.PayloadMtu, other.Link)
        && Ports.Equals(other.Ports) && Equals(Resting, other.Resting) && ForwardingRules.SequenceEqual(other.ForwardingRules) && Delegated.SequenceEqual(other.Delegated);

    public override int GetHashCode() => HashCode.Combine(Mechanism, Softwire, Prr, Address, Ports);

    /// <summary>
    /// What a home has by a server's softwire options and the IPv6 prefixes that it holds. The mechanism is the first of the server's order (RFC 8026 section 1.4) that is usable;
    /// what the order does not name comes after it, lightweight 4over6 first.
    /// </summary>
    /// <param name="options">What the server says.</param>
    /// <param name="prefixes">Ours: delegated ones, and those of our addresses.</param>
    /// <param name="why">Why not, of each mechanism that was there.</param>
    public static SoftwireParameters? Choose(SoftwireOptions options, IReadOnlyList<IPv6Prefix> prefixes, out string why)
    {
        var faults = new List<string>();
        foreach (DhcpOption mechanism in options.Priority.Concat([DhcpOption.S46Lightweight, DhcpOption.S46MapE]).Distinct())
        {
            SoftwireParameters? chosen = mechanism switch
            {
                DhcpOption.S46Lightweight when options.Lightweight is { } softwire => OfLightweight(softwire, prefixes, faults),
                DhcpOption.S46MapE => options.MapE.Select(domain => OfMapE(domain, prefixes, faults)).FirstOrDefault(found => found is not null),
                _ => null,
            };
            if (chosen is null) continue;
            why = "";
            return chosen;
        }

        why = faults.Count > 0 ? string.Join("; ", faults)
            : options.Ignored.Count > 0 ? $"nothing of what the server said can be used: {string.Join("; ", options.Ignored)}"
            : options.MapT.Count > 0 ? "the server has MAP-T only, which aplusp does not do"
            : "the server said nothing about a softwire";
        return null;
    }

    /// <summary>RFC 7596 section 5.1: the longest match of the binding prefix among our own is the softwire's subnet, and its address is made as for MAP.</summary>
    static SoftwireParameters? OfLightweight(LightweightSoftwire softwire, IReadOnlyList<IPv6Prefix> prefixes, List<string> faults)
    {
        if (softwire.Binding is not { } binding) return Refuse(faults, "lw4o6: the server gives the lwAFTR only, and no address");
        if (prefixes.Where(p => p.Overlaps(binding.Prefix)).Select(p => (IPv6Prefix?)p).MaxBy(p => p!.Value.Length) is not { } own)
            return Refuse(faults, $"lw4o6: no prefix of ours ({Listed(prefixes)}) matches the binding prefix {binding.Prefix}");

        // Where the server's prefix is the longer, it says which part of ours is meant.
        IPv6Prefix subnet = binding.Prefix.Length > own.Length ? binding.Prefix : own;
        Psid? psid = binding.Ports;
        IPv6Address end = MappingRule.CeAddress(subnet, binding.Address, psid?.Value ?? 0);
        if (!end.IsUnicast || softwire.BorderRelays[0] == end) return Refuse(faults, $"lw4o6: {end} cannot be our end of a softwire to {softwire.BorderRelays[0]}");
        PortSet ports = psid is { } set ? PortSet.FromPsid(set.Offset, set.Length, set.Value) : PortSet.WholeAddress;
        return new SoftwireParameters(DhcpOption.S46Lightweight, end, softwire.BorderRelays[0], binding.Address, ports);
    }

    /// <summary>RFC 7598 section 4.1: the Basic Mapping Rule is the one whose IPv6 prefix matches one of ours longest; the F flag makes Forwarding Mapping Rules.</summary>
    static SoftwireParameters? OfMapE(MapDomain domain, IReadOnlyList<IPv6Prefix> prefixes, List<string> faults)
    {
        var matches = from prefix in prefixes
                      from rule in domain.Rules
                      where rule.Rule.IPv6.Contains(prefix)
                      orderby rule.Rule.IPv6.Length descending, prefix.Length
                      select (prefix, rule.Rule);
        if (!matches.Any()) return Refuse(faults, $"MAP-E: no prefix of ours ({Listed(prefixes)}) begins with the prefix of a rule ({string.Join(", ", domain.Rules.Select(r => r.Rule.IPv6))})");

        MappingRule[] forwarding = [.. domain.Rules.Where(r => r.Forwarding).Select(r => r.Rule)];
        if (RuleTable.Conflicts(forwarding).FirstOrDefault() is { Message: not null } conflict) return Refuse(faults, $"MAP-E: {conflict.Message}");
        string error = "";
        foreach ((IPv6Prefix prefix, MappingRule rule) in matches)
        {
            if (!rule.TryMapEndUser(prefix, out MappedSubscriber? own, out error)) continue;
            if (domain.BorderRelays[0] == own!.Ce) return Refuse(faults, $"MAP-E: {own.Ce} would be both ends of the softwire");
            return new SoftwireParameters(DhcpOption.S46MapE, own.Ce, domain.BorderRelays[0], own.Prefix.Address, own.Ports)
            {
                OwnPrefix = own.Prefix.Length < 32 ? own.Prefix : null,
                ForwardingRules = forwarding,
            };
        }

        return Refuse(faults, $"MAP-E: {error}");
    }

    static string Listed(IReadOnlyList<IPv6Prefix> prefixes) => prefixes.Count == 0 ? "there is none" : string.Join(", ", prefixes);

    static SoftwireParameters? Refuse(List<string> faults, string why)
    {
        faults.Add(why);
        return null;
    }
}
