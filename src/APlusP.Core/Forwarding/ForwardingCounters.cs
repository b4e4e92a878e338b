using APlusP.Core.Devices;

namespace APlusP.Core.Forwarding;

/// <summary>
/// What became of every packet that one worker received. The worker alone writes; anybody may read while it does, and sees each
/// number whole. Sums over workers are made by <see cref="Add"/> into a copy of the reader's own.
/// </summary>
public sealed class ForwardingCounters
{
    static readonly int s_origins = Enum.GetValues<Origin>().Length;

    // Fates and reasons are octets, so each has its place in a row.
    const int Row = 256;

    readonly long[] _packets = new long[s_origins * Row];
    readonly long[] _octets = new long[s_origins];
    readonly long[] _drops = new long[s_origins * Row];

    /// <summary>ICMP errors and answers sent, by the family of the message.</summary>
    public long IcmpV4Sent;

    public long IcmpV6Sent;

    /// <summary>ICMP errors that the rate limit kept back.</summary>
    public long IcmpSuppressed;

    /// <summary>Endpoints in the text of applications that gateways gave ports of ours, and those that they left alone because they were not the sender's own or no port was left.</summary>
    public long GatewayRewritten, GatewayRefused;

    /// <summary>Beginnings of lines or messages that a gateway kept until the rest came, and acknowledged.</summary>
    public long GatewayHeld;

    /// <summary>Text that a gateway could not read, and let pass as it was.</summary>
    public long GatewayUnreadable;

    /// <summary>Counts a packet's verdict. <paramref name="octets"/> is its length as it was received.</summary>
    public void Count(Origin origin, Verdict verdict, int octets)
    {
        _packets[(int)origin * Row + (int)verdict.Fate]++;
        _octets[(int)origin] += octets;
        if (verdict.Fate == Fate.Dropped) _drops[(int)origin * Row + (int)verdict.Reason]++;
    }

    /// <summary>Counts what became of a packet that was <see cref="Fate.Held"/> before.</summary>
    public void Settle(Origin origin, Verdict verdict)
    {
        _packets[(int)origin * Row + (int)Fate.Held]--;
        _packets[(int)origin * Row + (int)verdict.Fate]++;
        if (verdict.Fate == Fate.Dropped) _drops[(int)origin * Row + (int)verdict.Reason]++;
    }

    /// <summary>Counts what somebody else has forwarded, into a sum.</summary>
    public void Add(Origin origin, Fate fate, long packets, long octets)
    {
        _packets[(int)origin * Row + (int)fate] += packets;
        _octets[(int)origin] += octets;
    }

    public long Packets(Origin origin, Fate fate) => _packets[(int)origin * Row + (int)fate];

    public long Drops(Origin origin, DropReason reason) => _drops[(int)origin * Row + (int)reason];

    /// <summary>Drops of one reason, whatever their origin.</summary>
    public long Drops(DropReason reason)
    {
        long sum = 0;
        for (int origin = 0; origin < s_origins; origin++) sum += _drops[origin * Row + (int)reason];
        return sum;
    }

    /// <summary>Packets received from one side: the sum over all fates.</summary>
    public long Received(Origin origin)
    {
        long sum = 0;
        foreach (long packets in _packets.AsSpan((int)origin * Row, Row)) sum += packets;
        return sum;
    }

    public long ReceivedOctets(Origin origin) => _octets[(int)origin];

    public void Add(ForwardingCounters other)
    {
        for (int i = 0; i < _packets.Length; i++) _packets[i] += other._packets[i];
        for (int i = 0; i < _octets.Length; i++) _octets[i] += other._octets[i];
        for (int i = 0; i < _drops.Length; i++) _drops[i] += other._drops[i];
        IcmpV4Sent += other.IcmpV4Sent;
        IcmpV6Sent += other.IcmpV6Sent;
        IcmpSuppressed += other.IcmpSuppressed;
        GatewayRewritten += other.GatewayRewritten;
        GatewayRefused += other.GatewayRefused;
        GatewayHeld += other.GatewayHeld;
        GatewayUnreadable += other.GatewayUnreadable;
    }

    /// <summary>
    /// Every counter by its public name, zeros too, in a stable order: <c>from-internet-received</c>,
    /// <c>from-internet-forwarded</c>, <c>from-internet-drop-no-binding</c> and so on. Names are the enum members in kebab case.
    /// </summary>
    public IEnumerable<KeyValuePair<string, long>> Named(params Origin[] origins)
    {
        foreach (Origin origin in origins)
        {
            string side = Kebab(origin);
            yield return new($"{side}-received", Received(origin));
            yield return new($"{side}-received-bytes", ReceivedOctets(origin));
            foreach (Fate fate in Enum.GetValues<Fate>())
                if (fate != Fate.None) yield return new($"{side}-{Kebab(fate)}", Packets(origin, fate));
            foreach (DropReason reason in Enum.GetValues<DropReason>())
                if (reason != DropReason.None) yield return new($"{side}-drop-{Kebab(reason)}", Drops(origin, reason));
        }

        yield return new("icmpv4-sent", IcmpV4Sent);
        yield return new("icmpv6-sent", IcmpV6Sent);
        yield return new("icmp-suppressed", IcmpSuppressed);
        yield return new("gateway-rewritten", GatewayRewritten);
        yield return new("gateway-refused", GatewayRefused);
        yield return new("gateway-held", GatewayHeld);
        yield return new("gateway-unreadable", GatewayUnreadable);
    }

    /// <summary>The public name of an enum member: NoBinding is no-binding, NotIPv4InIPv6 is not-ipv4-in-ipv6.</summary>
    public static string Kebab<T>(T member)
        where T : struct, Enum
    {
        string name = member.ToString().Replace("IPv4", "Ipv4", StringComparison.Ordinal).Replace("IPv6", "Ipv6", StringComparison.Ordinal);
        return string.Concat(name.Select((c, i) => char.IsUpper(c) ? (i == 0 ? "" : "-") + char.ToLowerInvariant(c) : c.ToString()));
    }
}
