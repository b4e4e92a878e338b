using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Bindings;

/// <summary>The bindings of all subscribers of a mapping rule at once, RFC 7597 section 5.</summary>
/// <param name="Rule">The rule; its <see cref="MappingRule.Fault"/> is null.</param>
/// <param name="Prr">The PRR's end of their softwires.</param>
/// <param name="PayloadMtu">Largest IPv4 packet that each of the softwires carries, in octets.</param>
public sealed record RuleBinding(MappingRule Rule, IPv6Address Prr, int PayloadMtu = 1460)
{
    /// <summary>What people call it; null where it has no name.</summary>
    public string? Name { get; init; }

    /// <summary>The binding of the one subscriber that has this address of the rule's; null where nobody has.</summary>
    public Binding? BindingOf(IPv6Address ce) =>
        Rule.TryReadCe(ce, out IPv4Prefix prefix, out int psid)
            ? new Binding(prefix.Address, Rule.PsidLength == 0 ? PortSet.WholeAddress : PortSet.FromPsid(Rule.PsidOffset, Rule.PsidLength, psid), ce, Prr, PayloadMtu)
            : null;
}
