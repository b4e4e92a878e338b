using APlusP.Core.Addresses;

namespace APlusP.Core.Bindings;

/// <summary>Mapping rules beside the bindings: where no binding has a port, a rule may have it.</summary>
public sealed partial class BindingTable
{
    /// <exception cref="APlusPException">AP1003 or AP1042: two bindings, or two rules, contradict each other; the message names both.</exception>
    public static BindingTable Build(IEnumerable<Binding> bindings, IEnumerable<RuleBinding> rules)
    {
        BindingTable table = Build(bindings);
        table.SetRules([.. rules]);
        return table;
    }

    /// <summary>The rules in force; null where there are none.</summary>
    public RuleTable? Rules => Volatile.Read(ref _state).Rules;

    /// <summary>
    /// Exchanges all rules at once. A reload that changes bindings too first keeps the rules of before behind the new ones, changes the
    /// bindings, and then lets the old ones go: so whoever moves from a rule to a binding, or back, is found all the time.
    /// </summary>
    /// <exception cref="APlusPException">AP1042: two rules contradict each other. Nothing has changed.</exception>
    public void SetRules(IReadOnlyCollection<RuleBinding> rules, bool keepBefore = false)
    {
        lock (_writing)
        {
            RuleTable? before = keepBefore ? _state.Rules : null;
            RuleTable? next = rules.Count > 0 ? new RuleTable(rules, before) : before;
            using (new Change(this)) _state.Rules = next;
            RulesChanged?.Invoke();
        }
    }

    /// <summary>Whether a binding with this softwire was added.</summary>
    public bool HasBinding(IPv6Address softwire)
    {
        lock (_writing) return _state.FindSlot(softwire) >= 0;
    }

    /// <summary>The binding of a softwire, whether it was added or follows from a rule; null where there is none.</summary>
    public Binding? BindingOf(IPv6Address softwire)
    {
        lock (_writing)
        {
            int slot = _state.FindSlot(softwire);
            return slot >= 0 ? BindingAt(slot) : _state.Rules?.RuleOf(softwire)?.BindingOf(softwire);
        }
    }
}
