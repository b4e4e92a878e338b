using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>The mapping rules as the PRR's programs read them, and what the paths to the CEs carry.</summary>
sealed class PrrRuleMaps(BpfObject loaded, PrrEnds ends)
{
    readonly BpfMap _rules = loaded.Map("rules"), _paths = loaded.Map("paths");
    readonly PrrEnds _ends = ends;
    readonly HashSet<RouteKey> _ruleKeys = [];

    /// <summary>Whether there are rules.</summary>
    public bool HasRules => _ruleKeys.Count > 0;

    /// <summary>Makes the mapping rules these. Each is exchanged whole; a rule that is gone goes last.</summary>
    public void SetRules(IReadOnlyCollection<RuleBinding> rules, bool discovers)
    {
        var kept = new HashSet<RouteKey>();
        foreach (RuleBinding rule in rules)
        {
            var key = new RouteKey((uint)rule.Rule.IPv4.Length, NetworkAddress.Of(rule.Rule.IPv4.Address));
            bool isOuter = rules.Any(other => other != rule && rule.Rule.IPv6.Contains(other.Rule.IPv6));
            RuleEntry entry = Compose(rule, PrrMaps.FirstMtu(rule.PayloadMtu, discovers));
            if (isOuter || !_ends.TryIndex(rule.Prr, out entry.Prr)) entry.Up = 1;
            _rules.Set(key, entry);
            kept.Add(key);
        }

        foreach (RouteKey gone in _ruleKeys.Except(kept)) _rules.Remove(gone);
        _ruleKeys.Clear();
        _ruleKeys.UnionWith(kept);
        foreach (NetworkAddress ce in _paths.Keys<NetworkAddress>()) _paths.Remove(ce);
    }

    RuleEntry Compose(RuleBinding binding, int payloadMtu)
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
