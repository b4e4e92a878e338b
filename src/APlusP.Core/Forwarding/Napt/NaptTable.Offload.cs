using APlusP.Core.Addresses;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Napt;

/// <summary>Who forwards a flow.</summary>
enum Carrier : byte
{
    /// <summary>We, until it is settled.</summary>
    Unsettled,

    /// <summary>We, as long as it lives.</summary>
    Ours,

    Offload,
}

// Flows that another forwards in our place. What it has seen counts as if we had: when a packet of the flow comes to us, when the flow is due, and, for the ends of connections, once a second.
sealed partial class NaptTable
{
    /// <summary>Who forwards flows in our place; null for nobody.</summary>
    public IFlowOffload? Offload { get; private set; }

    /// <summary>The flow of the last packet, where it is time to settle who forwards it; else 0.</summary>
    public int Unsettled { get; private set; }

    /// <summary>
    /// A packet of the flow was seen here: says whether its plain packets may go without us from now on. A TCP connection's may when it is open both ways, since its opening is ours to see; all
    /// else at once.
    /// </summary>
    void SettleSoon(int at, TcpFlags flags)
    {
        const TcpSeen open = TcpSeen.Outbound | TcpSeen.Inbound, over = TcpSeen.FinOutbound | TcpSeen.FinInbound | TcpSeen.Reset;
        ref Flow flow = ref _flows[at];

        // A new connection of the same endpoints.
        if (flow.Protocol == NaptProtocol.Tcp && flow.Carrier != Carrier.Unsettled && (flow.Seen & TcpSeen.Inbound) == 0) Unsettle(at);
        if (flow.Carrier == Carrier.Offload) Offload!.Note(at, (byte)flow.Seen);
        bool isReady = flow.Protocol != NaptProtocol.Tcp || ((flow.Seen & (open | over)) == open && (flags & TcpFlags.Syn) == 0);
        Unsettled = Offload is not null && flow.Carrier == Carrier.Unsettled && isReady ? at : 0;
    }

    /// <summary>Settles who forwards a flow.</summary>
    /// <param name="at">The flow.</param>
    /// <param name="farEnd">Where its packets go, if they may go without us.</param>
    public void Settle(int at, IPv6Address? farEnd)
    {
        ref Flow flow = ref _flows[at];
        bool taken = farEnd is { } end && Offload!.Install(at, Told(flow), end);
        flow.Carrier = taken ? Carrier.Offload : Carrier.Ours;
        if (!taken) Offload!.Keep(at, Told(flow));
    }

    /// <summary>Takes a flow back, until it is settled again.</summary>
    void Unsettle(int at)
    {
        ref Flow flow = ref _flows[at];
        flow.Carrier = Carrier.Unsettled;
        Offload!.Keep(at, Told(flow));
    }

    /// <summary>Takes all flows back: where they go, or who must read them, has changed.</summary>
    public void UnsettleAll()
    {
        if (Offload is null) return;
        for (int at = 1; at < _flows.Length; at++)
        {
            CatchUp(at);
            if (_flows[at].Carrier != Carrier.Unsettled) Unsettle(at);
        }
    }

    static OffloadedFlow Told(in Flow flow) => new(
        flow.Protocol switch { NaptProtocol.Tcp => IpProtocol.Tcp, NaptProtocol.Udp => IpProtocol.Udp, _ => IpProtocol.Icmp },
        new IPv4Address(flow.Inside.Address), flow.Inside.Port, new IPv4Address(flow.Remote.Address), flow.Remote.Port, flow.External, (byte)flow.Seen);

    /// <summary>Brings a flow up to what was seen of it elsewhere.</summary>
    void CatchUp(int at)
    {
        if (_flows[at].Carrier != Carrier.Offload) return;
        long expires = ExpiryNow(at, Offload!.Look(at));
        if (expires < _flows[at].Expires) Hasten(at, expires);
        else _flows[at].Expires = expires;
    }

    /// <summary>When a flow ends by what was seen of it elsewhere: its last packet from inside refreshes it, and the end of a connection shortens its life.</summary>
    long ExpiryNow(int at, in FlowActivity activity)
    {
        ref Flow flow = ref _flows[at];
        TcpSeen before = flow.Seen;
        if (flow.Protocol == NaptProtocol.Tcp)
        {
            if (activity.FinOutbound) flow.Seen |= TcpSeen.FinOutbound;
            if (activity.FinInbound) flow.Seen |= TcpSeen.FinInbound;
            if (activity.Reset is { } reset) flow.Seen = reset ? flow.Seen | TcpSeen.Reset : flow.Seen & ~TcpSeen.Reset;
        }

        long expires = Math.Max(flow.Expires, activity.LastOutbound + Lifetime(flow) ?? 0);
        if (flow.Seen == before) return expires;
        Offload!.Note(at, (byte)flow.Seen);
        return Math.Min(expires, _now + Lifetime(flow));
    }

    /// <summary>Hears of the ends of connections.</summary>
    void HearEnds()
    {
        Span<int> ended = stackalloc int[64];
        for (int count = Offload!.TakeEnded(ended); count > 0; count = Offload.TakeEnded(ended))
            foreach (int at in ended[..count]) CatchUp(at);
    }

    /// <summary>
    /// Has another forward flows from now on, and goes on with those that it remembers, each under its index and with its port. To be called while the table is empty.
    /// </summary>
    /// <param name="offload">Who.</param>
    /// <param name="farEnd">Where a flow's packets go; null where they must come to us.</param>
    /// <returns>Flows that live on.</returns>
    public int Entrust(IFlowOffload offload, Func<OffloadedFlow, IPv6Address?> farEnd)
    {
        Offload = offload;
        bool[] used = new bool[_flows.Length];
        int restored = 0;
        for (int at = 1; at <= offload.Capacity; at++)
        {
            if (!offload.TryRecall(at, out OffloadedFlow known, out bool isInstalled)) continue;
            if (at >= _flows.Length || !TryRestore(at, known, isInstalled))
            {
                offload.Remove(at);
                continue;
            }

            used[at] = true;
            restored++;
            if (isInstalled) Settle(at, farEnd(known));
        }

        _freeFlows.Leave(used);
        return restored;
    }

    /// <summary>Nobody else forwards flows any more.</summary>
    public void Dismiss()
    {
        for (int at = 1; at < _flows.Length; at++) _flows[at].Carrier = Carrier.Unsettled;
        Offload = null;
    }

    /// <summary>Makes a flow of a process before ours; not one that is over, or whose port is not to be had.</summary>
    bool TryRestore(int at, in OffloadedFlow known, bool wasInstalled)
    {
        if (!NaptProtocols.TryOf(known.Protocol, out NaptProtocol protocol) || !Owns(known.External)) return false;
        var inside = new Endpoint(known.Inside.Value, known.InsidePort);
        var remote = new Endpoint(known.Remote.Value, known.RemotePort);
        if (FindOutbound(protocol, inside, remote) != 0 || FindInbound(protocol, known.External, remote) != 0) return false;
        int mapping = MappingOf(protocol, inside);
        if (mapping != 0 && _mappings[mapping].External != known.External) return false;
        PortPool pool = _ports[(int)protocol];
        bool isFree = pool.IsFree(known.External);
        if (mapping == 0 && !isFree && !(IsFiveTuple && IsInUse(protocol, known.External) && FindHold(protocol, known.External) == 0)) return false;

        // What went through us was not written down packet by packet.
        FlowActivity activity = Offload!.Look(at);
        long last = (wasInstalled ? activity.LastOutbound : null) ?? _now;
        _flows[at] = new Flow { Protocol = protocol, Seen = (TcpSeen)known.Seen };
        _flows[at].Expires = last + Lifetime(_flows[at]);
        long expires = ExpiryNow(at, activity);
        TcpSeen seen = _flows[at].Seen;
        if (expires <= _now) return false;

        if (mapping == 0)
        {
            int host = 0;
            if (isFree)
            {
                pool.Take(known.External);
                host = FindHost(inside.Address);
                if (host == 0) host = AddHost(inside.Address);
            }

            mapping = AddMapping(protocol, inside, known.External, host);
        }

        PutFlow(at, protocol, inside, remote, mapping, expires);
        _flows[at].Seen = seen;
        return true;
    }
}
