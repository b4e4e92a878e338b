using APlusP.Core.Bindings;

namespace APlusP.Core.Forwarding;

/// <summary>The steps that one packet took through a data plane, written down by the data plane itself for <c>explain</c>.</summary>
public sealed class PacketJourney
{
    readonly List<BindingHit> _lookups = [];

    /// <summary>The answers of the binding table, in the order they were used: first whose packet it is, then, hairpinning, whom it is for.</summary>
    public IReadOnlyList<BindingHit> Lookups => _lookups;

    /// <summary>What became of the packet.</summary>
    public Verdict Verdict { get; private set; }

    internal void Look(in BindingHit hit) => _lookups.Add(hit);

    internal void Judge(Verdict verdict) => Verdict = verdict;
}
