using System.Numerics;
using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Bindings;

/// <summary>
/// Mapping rules side by side, immutable. The longest prefix decides which one: of IPv4 by a packet's address, of IPv6 by a CE's (RFC 7597
/// sections 5.2 and 8.1). Both must agree on the rule.
/// </summary>
public sealed class RuleTable
{
    readonly RuleBinding[] _rules;
    readonly MappingRuleArithmetic[] _arithmetic;
    readonly Intervals<uint> _byIPv4;
    readonly Intervals<UInt128> _byIPv6;

    // Whether part of a rule's IPv6 prefix is another rule's.
    readonly bool[] _hasInner;

    /// <summary>Asked where these rules have no answer: a reload's rules of before, until all of its changes are made.</summary>
    readonly RuleTable? _before;

    /// <exception cref="APlusPException">AP1042: two rules contradict each other; the message names both. AP1040: one contradicts itself.</exception>
    public RuleTable(IEnumerable<RuleBinding> rules, RuleTable? before = null)
    {
        _rules = [.. rules];
        _before = before;
        if (_rules.FirstOrDefault(r => r.Rule.Fault is not null) is { } faulty) throw new APlusPException(ErrorCodes.NotAMappingRule, $"this is not a mapping rule: {faulty.Rule.Fault}.");
        if (Conflicts([.. _rules.Select(r => r.Rule)]).FirstOrDefault() is { Message: not null } conflict) throw new APlusPException(ErrorCodes.RuleConflict, $"{conflict.Message}.");
        _arithmetic = [.. _rules.Select(r => new MappingRuleArithmetic(r.Rule))];
        _byIPv4 = new Intervals<uint>([.. _rules.Select(r => (r.Rule.IPv4.Address.Value, r.Rule.IPv4.Last.Value))]);
        _byIPv6 = new Intervals<UInt128>([.. _rules.Select(r => (r.Rule.IPv6.Address.Value, r.Rule.IPv6.Last.Value))]);
        _hasInner = new bool[_rules.Length];
        int[] order = [.. Enumerable.Range(0, _rules.Length).OrderBy(i => _rules[i].Rule.IPv6.Address).ThenBy(i => _rules[i].Rule.IPv6.Length)];
        for (int i = 0; i + 1 < order.Length; i++) _hasInner[order[i]] = _rules[order[i]].Rule.IPv6.Contains(_rules[order[i + 1]].Rule.IPv6);
    }

    public IReadOnlyList<RuleBinding> Rules => _rules;

    /// <summary>A rule and one that cannot stand beside it, by their places in the list, and why.</summary>
    public readonly record struct Conflict(int Earlier, int Later, string Message);

    /// <summary>Every two rules that contradict each other.</summary>
    public static IEnumerable<Conflict> Conflicts(IReadOnlyList<MappingRule> rules)
    {
        // Neighbours in the order of their prefixes: whoever has another's prefix, or one inside it, comes right behind it or behind what is inside too.
        int[] byIPv6 = [.. Enumerable.Range(0, rules.Count).OrderBy(i => rules[i].IPv6.Address).ThenBy(i => rules[i].IPv6.Length)];
        for (int i = 1; i < byIPv6.Length; i++)
        {
            (int earlier, int later) = InOrder(byIPv6[i - 1], byIPv6[i]);
            if (rules[earlier].IPv6 == rules[later].IPv6)
                yield return new Conflict(earlier, later, $"two rules have the same Rule IPv6 prefix {rules[later].IPv6}, so that an End-user IPv6 prefix does not say which is its own (RFC 7597 section 5.2)");
        }

        int[] byIPv4 = [.. Enumerable.Range(0, rules.Count).OrderBy(i => rules[i].IPv4.Address).ThenBy(i => rules[i].IPv4.Length)];
        var around = new Stack<int>();
        foreach (int i in byIPv4)
        {
            while (around.Count > 0 && !rules[around.Peek()].IPv4.Contains(rules[i].IPv4)) around.Pop();
            if (around.Count > 0)
            {
                int outer = around.Peek();
                (int earlier, int later) = InOrder(outer, i);
                if (rules[outer].IPv4 == rules[i].IPv4)
                    yield return new Conflict(earlier, later, $"two rules have the same Rule IPv4 prefix {rules[i].IPv4}, so that an address does not say which is its own (RFC 7597 section 5.3)");
                else if (rules[i].IPv4.Length > rules[outer].SubscriberLength)
                    yield return new Conflict(earlier, later, $"the Rule IPv4 prefix {rules[i].IPv4} is part of what one subscriber has by the rule for {rules[outer].IPv4}, who has a whole /{rules[outer].SubscriberLength} (RFC 7597 section 5.2)");
            }

            around.Push(i);
        }
    }

    static (int Earlier, int Later) InOrder(int a, int b) => a < b ? (a, b) : (b, a);

    /// <summary>Why a binding cannot stand beside these rules, or null. A binding with a PSID of a rule takes that subscriber's place, which is no contradiction.</summary>
    public string? ConflictOf(Binding binding)
    {
        if (_byIPv6.Find(binding.Softwire.Value) is var at and >= 0 && _rules[at].BindingOf(binding.Softwire) is { } known
            && (known.Address != binding.Address || !SamePorts(known.Ports, binding.Ports)))
        {
            return $"the softwire {binding.Softwire} has {known.Address} ports {known.Ports} already, by the rule for {_rules[at].Rule.IPv4}; give this subscriber an address outside {_rules[at].Rule.IPv6}";
        }

        int covering = _byIPv4.Find(binding.Address.Value);
        if (covering < 0) return null;
        MappingRule rule = _rules[covering].Rule;
        if (rule.PsidLength == 0)
        {
            return rule.SubscriberLength == 32 && binding.Ports.IsWholeAddress ? null
                : $"{binding.Address} belongs to one subscriber by the rule for {rule.IPv4}; a binding within it can only take over the whole address, and only where the rule gives out addresses";
        }

        if (binding.Ports.Psid is { } psid && psid.Offset == rule.PsidOffset && psid.Length == rule.PsidLength) return null;
        if (binding.Ports.Psid is null && rule.PsidOffset > 0 && binding.Ports.Ranges.All(range => range.Last < 1 << (16 - rule.PsidOffset))) return null;
        return $"ports {(binding.Ports.IsWholeAddress ? "all" : binding.Ports)} of {binding.Address} cut across the port sets that the rule for {rule.IPv4} gives out; within it a binding has offset={rule.PsidOffset}, length={rule.PsidLength} and a PSID"
            + (rule.PsidOffset > 0 ? $", or only ports below {1 << (16 - rule.PsidOffset)}" : "") + " (RFC 7597 section 5.1)";
    }

    static bool SamePorts(PortSet a, PortSet b) => a.Equals(b) || (a.IsWholeAddress && b.IsWholeAddress);

    /// <summary>Whose port this is by the rules. Allocates nothing.</summary>
    public BindingLookup Find(IPv4Address address, ushort port, out BindingHit hit)
    {
        hit = default;
        int index = _byIPv4.Find(address.Value);
        if (index >= 0)
        {
            hit.Lookup = BindingLookup.NoBinding;
            if (_arithmetic[index].TryFindCe(address, port, out IPv6Address ce) && (!_hasInner[index] || _byIPv6.Find(ce.Value) == index))
            {
                Fill(_rules[index], ce, ref hit);
                return BindingLookup.Found;
            }
        }

        if (_before is null || _before.Find(address, port, out BindingHit old) is BindingLookup.NotShared) return hit.Lookup;
        hit = old;
        return hit.Lookup;
    }

    /// <summary>Answers where the bindings had no subscriber, but perhaps the rules have.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void Complete(ReadOnlySpan<BindingQuery> queries, Span<BindingHit> hits)
    {
        for (int i = 0; i < queries.Length; i++)
            if (hits[i].Lookup != BindingLookup.Found) Complete(queries[i].Address, queries[i].Port, ref hits[i]);
    }

    /// <inheritdoc cref="Complete(ReadOnlySpan{BindingQuery}, Span{BindingHit})"/>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public BindingLookup Complete(IPv4Address address, ushort port, ref BindingHit hit)
    {
        if (Find(address, port, out BindingHit byRule) != BindingLookup.NotShared) hit = byRule;
        return hit.Lookup;
    }

    static void Fill(RuleBinding rule, IPv6Address ce, ref BindingHit hit)
    {
        hit.Softwire = ce;
        hit.Prr = rule.Prr;
        hit.PayloadMtu = (ushort)rule.PayloadMtu;
        hit.WholeAddress = rule.Rule.IsWholeAddress;
        hit.Lookup = BindingLookup.Found;
    }

    /// <summary>Whether a rule has this address.</summary>
    public bool IsShared(IPv4Address address) => _byIPv4.Find(address.Value) >= 0 || (_before is not null && _before.IsShared(address));

    /// <summary>The subscriber of a softwire, and its address; of a prefix this one, where it is in it, or else the first.</summary>
    public bool TryFindSoftwire(IPv6Address softwire, IPv4Address wanted, out BindingHit hit, out IPv4Address address)
    {
        hit = default;
        address = default;
        if (RuleOf(softwire) is not { } rule || !rule.Rule.TryReadCe(softwire, out IPv4Prefix prefix, out _)) return false;
        address = prefix.Contains(wanted) ? wanted : prefix.Address;
        Fill(rule, softwire, ref hit);
        return true;
    }

    /// <summary>The rule by which this is a CE's address, or null.</summary>
    public RuleBinding? RuleOf(IPv6Address softwire)
    {
        int index = _byIPv6.Find(softwire.Value);
        return index >= 0 && _rules[index].Rule.TryReadCe(softwire, out _, out _) ? _rules[index] : _before?.RuleOf(softwire);
    }

    /// <summary>The rule that has this IPv4 address, or null.</summary>
    public RuleBinding? RuleOf(IPv4Address address)
    {
        int index = _byIPv4.Find(address.Value);
        return index >= 0 ? _rules[index] : _before?.RuleOf(address);
    }

    /// <summary>Nested prefixes laid flat: from each start on, the longest prefix that covers what follows. A lookup is one binary search.</summary>
    sealed class Intervals<T>
        where T : struct, IBinaryInteger<T>, IMinMaxValue<T>
    {
        readonly T[] _starts;
        readonly int[] _owners;

        public Intervals((T First, T Last)[] prefixes)
        {
            var starts = new List<T>();
            var owners = new List<int>();
            var around = new Stack<int>();
            int[] order = [.. Enumerable.Range(0, prefixes.Length).OrderBy(i => prefixes[i].First).ThenByDescending(i => prefixes[i].Last)];
            foreach (int i in order)
            {
                CloseBefore(prefixes[i].First);
                Begin(prefixes[i].First, i);
                around.Push(i);
            }

            CloseBefore(null);
            _starts = [.. starts];
            _owners = [.. owners];

            void CloseBefore(T? next)
            {
                while (around.Count > 0 && (next is null || prefixes[around.Peek()].Last < next.Value))
                {
                    T last = prefixes[around.Pop()].Last;
                    if (last != T.MaxValue) Begin(last + T.One, around.Count > 0 ? around.Peek() : -1);
                }
            }

            void Begin(T start, int owner)
            {
                // What ends or begins at the same place later is nearer to what follows.
                if (starts.Count > 0 && starts[^1] == start) owners[^1] = owner;
                else
                {
                    starts.Add(start);
                    owners.Add(owner);
                }
            }
        }

        /// <summary>The place of the prefix in the list that was given, or -1.</summary>
        public int Find(T value)
        {
            T[] starts = _starts;
            int low = 0, high = starts.Length;
            while (low < high)
            {
                int middle = low + high >>> 1;
                if (starts[middle] <= value) low = middle + 1;
                else high = middle;
            }

            return low == 0 ? -1 : _owners[low - 1];
        }
    }
}
