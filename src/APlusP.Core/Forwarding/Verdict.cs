namespace APlusP.Core.Forwarding;

/// <summary>What became of a packet. Every packet received meets exactly one of these, so that
/// received = forwarded + hairpinned + answered + consumed + dropped + held in every run.</summary>
public enum Fate : byte
{
    /// <summary>Not judged yet, or, where it sends, no packet that was received but one of the data plane's own.</summary>
    None,

    /// <summary>Sent on, to the Internet, a SMAP, the LAN or the PRR.</summary>
    Forwarded,

    /// <summary>Sent from one subscriber to another without leaving this node.</summary>
    Hairpinned,

    /// <summary>A question to this node itself (an ICMPv6 echo request to the softwire's end) whose answer now stands in the buffer.</summary>
    Answered,

    /// <summary>Meant for this node, read, and done with.</summary>
    Consumed,

    /// <summary>Not delivered; <see cref="Verdict.Reason"/> says why.</summary>
    Dropped,

    /// <summary>A fragment that waits for others of its packet. The count is of those that wait now: each meets another fate in the end.</summary>
    Held,
}

/// <summary>
/// A packet's fate as a value. Counting happens where verdicts are consumed, not where they are made. One word, since three octets written one
/// by one and read together stall the processor for each packet.
/// </summary>
public readonly record struct Verdict
{
    readonly int _bits;

    Verdict(Fate fate, DropReason reason, bool sends) => _bits = (int)fate | (int)reason << 8 | (sends ? 1 << 16 : 0);

    /// <summary>What became of it.</summary>
    public Fate Fate => (Fate)(byte)_bits;

    /// <summary>Why it was dropped; <see cref="DropReason.None"/> for every other fate.</summary>
    public DropReason Reason => (DropReason)(byte)(_bits >> 8);

    /// <summary>
    /// Whether the packet's buffer now holds something to send: the packet itself, an answer, or the ICMP error that tells the sender of a
    /// dropped packet about its fate.
    /// </summary>
    public bool Sends => _bits >> 16 != 0;

    public static Verdict Forward => new(Fate.Forwarded, DropReason.None, sends: true);

    public static Verdict Hairpin => new(Fate.Hairpinned, DropReason.None, sends: true);

    public static Verdict Answer => new(Fate.Answered, DropReason.None, sends: true);

    public static Verdict Hold => new(Fate.Held, DropReason.None, sends: false);

    /// <summary>A packet that the data plane sends of its own accord.</summary>
    public static Verdict Own => new(Fate.None, DropReason.None, sends: true);

    public static Verdict Consume => new(Fate.Consumed, DropReason.None, sends: false);

    /// <summary>Dropped in silence.</summary>
    public static Verdict Drop(DropReason reason) => new(Fate.Dropped, reason, sends: false);

    /// <summary>Dropped, and the ICMP error that now stands in the buffer tells the sender.</summary>
    public static Verdict DropAndTell(DropReason reason) => new(Fate.Dropped, reason, sends: true);
}
