using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration;

/// <summary>The mapping rules as they are read, each with its place, and what they mean together and beside the bindings.</summary>
/// <param name="ownAddresses">The PRR's ends.</param>
/// <param name="pathMtu">Of a rule that does not say otherwise.</param>
/// <param name="diagnostics">Where faults and warnings go.</param>
/// <param name="warnOfSystemPorts">As of <see cref="ReadBindings"/>.</param>
sealed class ReadRules(IReadOnlyList<IPv6Address> ownAddresses, int pathMtu, DiagnosticList diagnostics, bool warnOfSystemPorts = true)
{
    readonly List<RuleBinding> _rules = [];
    readonly List<Place> _places = [];
    readonly Dictionary<string, Place> _named = new(StringComparer.Ordinal);

    public IReadOnlyList<RuleBinding> Rules => _rules;

    /// <summary>Reads one <c>[[rule]]</c> of a PRR.</summary>
    public void Read(SectionReader section, int? ownPathMtu, ReadBindings bindings)
    {
        IPv6Address? prr = section.IPv6("prr");
        string? name = Name(section);
        if (MappingRuleSection.Read(section) is not { } rule || ownAddresses.Count == 0) return;
        Add(rule, prr, ownPathMtu, name, bindings, key => section.PlaceOf(section.Has(key) ? key : "rule-ipv4-prefix"));
    }

    /// <summary>Takes a rule that is sound by itself.</summary>
    public void Add(MappingRule rule, IPv6Address? prr, int? ownPathMtu, string? name, ReadBindings bindings, Func<string, Place> placeOf)
    {
        Place place = placeOf("rule-ipv4-prefix");
        if (rule.IPv4.Length == 0)
            diagnostics.Error(place, ErrorCodes.ConfigurationContradiction, "The Rule IPv4 prefix 0.0.0.0/0 would lead the whole Internet into softwires; write the prefix that this PRR shares.");

        // One subscriber, whose ports are known: a binding, and checked as one.
        if (rule.EaLength == 0 && rule.IPv4.Length == 32)
        {
            rule.TryMapEndUser(rule.IPv6, out MappedSubscriber? only, out _);
            bindings.Add(rule.IPv4.Address, only!.Ports, only.Ce, prr, ownPathMtu, name, place);
            return;
        }

        if (prr is { } chosen && !ownAddresses.Contains(chosen))
            diagnostics.Error(placeOf("prr"), ErrorCodes.ConfigurationForeignPrr, $"The rule's PRR end {chosen} is not among 'softwire-address' ({string.Join(", ", ownAddresses)}).");
        foreach (IPv6Address own in ownAddresses)
            if (rule.TryReadCe(own, out _, out _))
                diagnostics.Error(placeOf("rule-ipv6-prefix"), ErrorCodes.ConfigurationContradiction, $"The PRR's own end {own} is a subscriber's by this rule; give the PRR an address outside {rule.IPv6}.");
        if (warnOfSystemPorts && rule is { PsidOffset: 0, PsidLength: > 0 })
            diagnostics.Warn(placeOf("psid-offset"), ErrorCodes.ConfigurationSystemPorts, "With a PSID offset of 0 the system ports 0-1023 go to subscribers; servers there are then theirs. RFC 7597 section 5.1 keeps them out by an offset above 0.");
        if (name is not null && !_named.TryAdd(name, place))
            diagnostics.Error(place, ErrorCodes.ConfigurationTwice, $"The name '{name}' stands twice: here and at {_named[name]}.");
        _rules.Add(new RuleBinding(rule, prr ?? ownAddresses[0], (ownPathMtu ?? pathMtu) - ReadBindings.Overhead) { Name = name });
        _places.Add(place);
    }

    static string? Name(SectionReader section)
    {
        if (!section.Has("name")) return null;
        string name = section.Text("name", "-");
        if (name.Length > 0 && !name.Any(c => char.IsControl(c) || char.IsSurrogate(c))) return name;
        section.Refuse("name", ErrorCodes.ConfigurationBadValue, "'name' is empty or holds control characters; write what people call this rule.");
        return null;
    }

    /// <summary>Tells every two rules that contradict each other, and, where there are none, every binding that contradicts a rule.</summary>
    public void CheckTogether(ReadBindings bindings)
    {
        bool any = false;
        foreach (RuleTable.Conflict conflict in RuleTable.Conflicts([.. _rules.Select(r => r.Rule)]))
        {
            any = true;
            diagnostics.Error(_places[conflict.Later], ErrorCodes.RuleConflict, $"{conflict.Message[..1].ToUpperInvariant()}{conflict.Message[1..]}. The other is at {_places[conflict.Earlier]}.");
        }

        if (any || _rules.Count == 0) return;
        bindings.CheckEach(new RuleTable(_rules).ConflictOf);
    }
}
