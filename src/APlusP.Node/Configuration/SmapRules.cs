using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration;

/// <summary>The mapping rules of a SMAP: one says what we have ourselves (BMR), others whom we reach directly (FMR), RFC 7597 section 5.</summary>
/// <param name="Own">What the Basic Mapping Rule gives to our End-user IPv6 prefix; null where there is none, or it is at fault.</param>
/// <param name="Forwarding">Forwarding Mapping Rules.</param>
sealed record SmapRules(MappedSubscriber? Own, IReadOnlyList<MappingRule> Forwarding)
{
    public static SmapRules None { get; } = new(null, []);

    static readonly string[] s_computed = ["softwire-address", "shared-address", "ports", "psid"];

    public static SmapRules Read(SectionReader top)
    {
        var rules = new List<(SectionReader Section, MappingRule Rule)>();
        var forwarding = new List<(SectionReader Section, MappingRule Rule)>();
        int sections = 0;
        foreach (SectionReader section in top.Sections("rule", ConfigurationSchema.Smap))
        {
            sections++;
            section.Text("name", "");
            bool isForwarding = section.Flag("forwarding", otherwise: false);
            if (MappingRuleSection.Read(section) is not { } rule) continue;
            rules.Add((section, rule));
            if (isForwarding) forwarding.Add((section, rule));
        }

        foreach (RuleTable.Conflict conflict in RuleTable.Conflicts([.. forwarding.Select(f => f.Rule)]))
        {
            forwarding[conflict.Later].Section.Refuse("rule-ipv4-prefix", ErrorCodes.RuleConflict,
                $"{conflict.Message[..1].ToUpperInvariant()}{conflict.Message[1..]}. The other is at {forwarding[conflict.Earlier].Section.PlaceOf("rule-ipv4-prefix")}.");
        }

        MappedSubscriber? own = null;
        if (top.Has("end-user-prefix"))
        {
            foreach (string key in s_computed)
                if (top.Has(key)) top.Refuse(key, ErrorCodes.ConfigurationContradiction, $"'{key}' follows from 'end-user-prefix' and its rule; keep one of the two ways to say it.");
            if (top.IPv6Prefix("end-user-prefix") is { } endUser && rules.Count == sections) own = FindOwn(top, endUser, [.. rules.Select(r => r.Rule)]);
        }

        return new SmapRules(own, [.. forwarding.Select(f => f.Rule)]);
    }

    /// <summary>The rule whose IPv6 prefix is the longest that our End-user prefix begins with (RFC 7597 section 5.2).</summary>
    static MappedSubscriber? FindOwn(SectionReader top, IPv6Prefix endUser, MappingRule[] rules)
    {
        if (rules.Where(r => r.IPv6.Contains(endUser)).MaxBy(r => r.IPv6.Length) is not { } rule)
        {
            top.Refuse("end-user-prefix", ErrorCodes.NotMapped, rules.Length == 0
                ? "'end-user-prefix' needs the [[rule]] that says what it has; write one, or 'softwire-address', 'shared-address' and 'ports' instead."
                : $"No [[rule]] has a Rule IPv6 prefix that {endUser} begins with; they have {string.Join(", ", rules.Select(r => r.IPv6))}.");
            return null;
        }

        if (!rule.TryMapEndUser(endUser, out MappedSubscriber? own, out string error))
        {
            top.Refuse("end-user-prefix", ErrorCodes.NotMapped, $"{error[..1].ToUpperInvariant()}{error[1..]}.");
            return null;
        }

        if (IPv6Prefix.Of(endUser.Address, rule.EndUserLength).Address != endUser.Address)
        {
            top.Warn("end-user-prefix", ErrorCodes.BeyondTheRule, $"Bits {rule.EndUserLength} to {endUser.Length - 1} of {endUser} are no part of the rule and not zero: "
                + "a PRR that has the rule alone sends to another address.");
        }

        return own;
    }
}
