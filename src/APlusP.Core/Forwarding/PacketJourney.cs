using APlusP.Core.Bindings;

namespace APlusP.Core.Forwarding;

/// <summary>One step of a packet through a data plane.</summary>
/// <param name="Name">Which: "outer", "inner", "lookup", "source check", "hairpin lookup" or "verdict".</param>
/// <param name="Text">What was found there, with the row of the table where one was used.</param>
public readonly record struct JourneyStep(string Name, string Text)
{
    public override string ToString() => $"{Name}: {Text}";
}

/// <summary>The steps that one packet took through a data plane, written down by the data plane itself for <c>explain</c>.</summary>
public sealed class PacketJourney
{
    readonly List<BindingHit> _lookups = [];
    readonly List<JourneyStep> _steps = [];

    /// <summary>The steps in words, in the order they were taken.</summary>
    public IReadOnlyList<JourneyStep> Steps => _steps;

    /// <summary>What would be sent: the packet rewritten, an answer or an ICMP error; empty where nothing would.</summary>
    public ReadOnlyMemory<byte> Sent { get; internal set; }

    /// <summary>The answers of the binding table, in the order they were used: first whose packet it is, then, hairpinning, whom it is for.</summary>
    public IReadOnlyList<BindingHit> Lookups => _lookups;

    /// <summary>What became of the packet.</summary>
    public Verdict Verdict { get; private set; }

    internal void Add(string name, string text) => _steps.Add(new JourneyStep(name, text));

    internal void Look(in BindingHit hit) => _lookups.Add(hit);

    internal void Judge(Verdict verdict) => Verdict = verdict;
}
