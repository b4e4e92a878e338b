using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>The mapping rules as the PRR's programs read them, and what the paths to the CEs carry.</summary>
/// <param name="loaded">The programs' object.</param>
/// <param name="ends">The PRR's ends.</param>
/// <param name="nextHop">The next hop towards all of a prefix.</param>
sealed class PrrRuleMaps(BpfObject loaded, PrrEnds ends, Func<IPv6Prefix, ushort> nextHop)
{
    readonly BpfMap _rules = loaded.Map("rules"), _paths = loaded.Map("paths");
    readonly PrrEnds _ends = ends;
    readonly Dictionary<RouteKey, (RuleEntry Entry, IPv6Prefix Ces)> _known = [];

    /// <summary>Whether there are rules.</summary>
    public bool HasRules => _known.Count > 0;

    /// <summary>Makes the mapping rules these. Each is exchanged whole; a rule that is gone goes last.</summary>
    public void SetRules(IReadOnlyCollection<RuleBinding> rules, bool discovers)
    {
        HashSet<RouteKey> before = [.. _known.Keys];
        foreach (RuleBinding rule in rules)
        {
            var key = new RouteKey((uint)rule.Rule.IPv4.Length, NetworkAddress.Of(rule.Rule.IPv4.Address));
            bool isOuter = rules.Any(other => other != rule && rule.Rule.IPv6.Contains(other.Rule.IPv6));
            RuleEntry entry = Compose(rule, PrrMaps.FirstMtu(rule.PayloadMtu, discovers));
            if (isOuter || !_ends.TryIndex(rule.Prr, out entry.Prr)) entry.Up = 1;
            entry.NextHop = nextHop(rule.Rule.IPv6);
            _rules.Set(key, entry);
            _known[key] = (entry, rule.Rule.IPv6);
            before.Remove(key);
        }

        foreach (RouteKey gone in before)
        {
            _rules.Remove(gone);
            _known.Remove(gone);
        }

        foreach (NetworkAddress ce in _paths.Keys<NetworkAddress>()) _paths.Remove(ce);
    }

    /// <summary>Finds the next hops of all rules again.</summary>
    public void RefreshNextHops()
    {
        foreach ((RouteKey key, (RuleEntry entry, IPv6Prefix ces)) in _known.ToArray())
        {
            if (nextHop(ces) is var next && next == entry.NextHop) continue;
            RuleEntry changed = entry;
            changed.NextHop = next;
            _rules.Set(key, changed);
            _known[key] = (changed, ces);
        }
    }

    static RuleEntry Compose(RuleBinding binding, int payloadMtu)
    {
        var rule = new MappingRuleArithmetic(binding.Rule);
        return new RuleEntry
        {
            PrefixHigh = (ulong)(rule.IPv6 >> 64),
            PrefixLow = (ulong)rule.IPv6,
            IdentifierMask = rule.IdentifierMask,
            Address = rule.IPv4,
            RuleMask = rule.RuleMask,
            SubscriberMask = rule.SubscriberMask,
            OnlyPsid = rule.OnlyPsid,
            PayloadMtu = (ushort)payloadMtu,
            SuffixShift = rule.SuffixShift,
            PsidLength = rule.PsidLength,
            EaShift = rule.EaShift,
            HasEa = rule.HasEa ? (byte)1 : (byte)0,
            BlockShift = rule.BlockShift,
            PsidShift = rule.PsidShift,
            FirstBlock = (byte)rule.FirstBlock,
            AddressShift = rule.AddressShift,
            PsidAt = rule.PsidAt,
        };
    }

    /// <summary>Says what goes to the CE of a rule without asking tier 1.</summary>
    /// <returns>Whether a large packet has gone since the last time.</returns>
    public bool SetPath(IPv6Address ce, int payloadMtu)
    {
        var key = new NetworkAddress(ce);
        bool wasLarge = _paths.TryGet(key, out PathEntry there) && there.Large != 0;
        if (there.PayloadMtu != payloadMtu || wasLarge) _paths.TrySet(key, new PathEntry { PayloadMtu = (uint)payloadMtu }, out _);
        return wasLarge;
    }

    /// <summary>Nothing large goes to this CE any more without asking tier 1.</summary>
    public void ForgetPath(IPv6Address ce) => _paths.Remove(new NetworkAddress(ce));
}
