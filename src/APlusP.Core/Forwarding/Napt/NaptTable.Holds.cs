namespace APlusP.Core.Forwarding.Napt;

/// <summary>On what terms a port is held for an inner endpoint.</summary>
/// <param name="Remote">The address that may call; 0 lets in any.</param>
/// <param name="Seconds">How long.</param>
/// <param name="Owner">The dialog or registration that it belongs to, whose end is its own; 0 is none.</param>
/// <param name="Once">Whether it lets in one remote endpoint only, the first that calls.</param>
/// <param name="WhileUsed">Whether it goes on while flows use the port.</param>
readonly record struct HoldTerms(uint Remote, int Seconds, ulong Owner = 0, bool Once = false, bool WhileUsed = false);

/// <summary>A port that is kept for an inner endpoint whether it has flows or not, and whom it lets in whatever the filter.</summary>
struct Hold
{
    public Endpoint Inside;

    /// <summary>Who may call; address 0 is anybody, port 0 any of the address.</summary>
    public Endpoint Remote;
    public ushort External;
    public NaptProtocol Protocol;
    public bool Once, WhileUsed, Answered;

    /// <summary>Second at which it ends: never, of a static forward. 0 is a place that is free.</summary>
    public long Expires;
    public ulong Owner;
    public int Mapping;
    public int NextByPort;
    public int NextByInside;

    public readonly bool IsForward => Expires == long.MaxValue;
}

// Ports that are held: for connections and media that a gateway read of, and for servers of the LAN by configuration. The one exception to the rule that only packets from
// inside make state, and it is the host's own text, or the owner of the home, that makes it.
sealed partial class NaptTable
{
    const int MaxGatewayHolds = 2048, MaxHolds = MaxGatewayHolds + SmapOptions.MaxForwards;

    readonly Hold[] _holds = new Hold[MaxHolds + 1];
    readonly EntryPool _freeHolds = new(MaxHolds);
    readonly ChainTable _holdsByPort, _holdsByInside;

    // No place above this one is in use.
    int _highestHold;
    int _gatewayHolds;

    /// <summary>Holds a port for an inner endpoint, or holds it longer; that of its mapping, where it has one.</summary>
    /// <returns><see cref="DropReason.None"/>, or why there is no port.</returns>
    public DropReason Hold(NaptProtocol protocol, Endpoint inside, in HoldTerms terms, out ushort external) => Hold(protocol, inside, terms, 0, out external);

    /// <summary>Holds a TCP port for the one connection that a remote host is about to make, for as long as a half-open one lives.</summary>
    public DropReason HoldForConnection(Endpoint inside, uint remote, out ushort external) =>
        Hold(NaptProtocol.Tcp, inside, new HoldTerms(remote, _options.Timers.TcpOpening, Once: true), out external);

    /// <summary>
    /// Holds a port and the next above it, for RTP and RTCP; where no two are free together, any two. Without a second, only the first (then <paramref name="second"/> is 0).
    /// </summary>
    public DropReason HoldPair(Endpoint rtp, Endpoint rtcp, in HoldTerms terms, out ushort first, out ushort second)
    {
        const NaptProtocol udp = NaptProtocol.Udp;
        first = second = 0;
        if (_gatewayHolds + 2 > MaxGatewayHolds) return DropReason.FlowTableFull;
        int one = 0, two = 0;
        if (MappingOf(udp, rtp) == 0 && MappingOf(udp, rtcp) == 0 && HasRoom(rtp.Address, udp, 2) && _ports[(int)udp].TryTakePair(rtp.Port, _random, out ushort external))
        {
            int host = FindHost(rtp.Address);
            if (host == 0) host = AddHost(rtp.Address);
            one = AddMapping(udp, rtp, external, host);
            two = AddMapping(udp, rtcp, (ushort)(external + 1), host);
        }

        DropReason refused = Hold(udp, rtp, terms, one, out first);
        if (refused != DropReason.None) return refused;
        if (Hold(udp, rtcp, terms, two, out second) != DropReason.None) second = 0;
        return DropReason.None;
    }

    bool HasRoom(uint address, NaptProtocol protocol, int ports) => FindHost(address) is var host && (host == 0 ? 0 : CountOf(ref _hosts[host], protocol)) + ports <= _portsPerHost;

    DropReason Hold(NaptProtocol protocol, Endpoint inside, in HoldTerms terms, int mapping, out ushort external)
    {
        external = 0;
        int at = 0;
        for (int other = HoldsOfInside(protocol, inside); other != 0; other = _holds[other].NextByInside)
        {
            ref Hold known = ref _holds[other];
            if (known.Inside != inside || known.Protocol != protocol) continue;
            external = known.External;
            if (known.IsForward) return DropReason.None;
            if (known.Remote.Address == terms.Remote && known.Owner == terms.Owner && known.Once == terms.Once) at = other;
        }

        if (at == 0)
        {
            if (_gatewayHolds == MaxGatewayHolds) return DropReason.FlowTableFull;
            if (mapping == 0) mapping = MappingOf(protocol, inside);
            DropReason refused = mapping != 0 ? DropReason.None : Map(protocol, inside, default, mayShare: false, out mapping);
            if (refused != DropReason.None) return refused;
            _gatewayHolds++;
            at = AddHold(mapping);
        }

        ref Hold hold = ref _holds[at];
        hold.Remote = new Endpoint(terms.Remote, 0);
        hold.Owner = terms.Owner;
        hold.Once = terms.Once;
        hold.WhileUsed = terms.WhileUsed;
        hold.Expires = Math.Max(hold.Expires, _now + terms.Seconds);
        external = hold.External;
        return DropReason.None;
    }

    /// <summary>Lets the ports of an owner be held on for this long at least: the first time where nobody has answered yet.</summary>
    public void Extend(ulong owner, int unanswered, int answered)
    {
        for (int at = 1; at <= _highestHold; at++)
        {
            ref Hold hold = ref _holds[at];
            if (hold.Expires != 0 && hold.Owner == owner) hold.Expires = Math.Max(hold.Expires, _now + (hold.Answered ? answered : unanswered));
        }
    }

    /// <summary>The other side has answered what the ports of an owner are for.</summary>
    public void Answer(ulong owner)
    {
        for (int at = 1; at <= _highestHold; at++)
            if (_holds[at].Expires != 0 && _holds[at].Owner == owner) _holds[at].Answered = true;
    }

    /// <summary>What the ports of an owner are held for is over, or will not be.</summary>
    /// <param name="owner">The owner.</param>
    /// <param name="seconds">How long what is under way may still arrive.</param>
    /// <param name="onlyUnanswered">Whether it is over only where nobody had answered.</param>
    public void Release(ulong owner, int seconds, bool onlyUnanswered = false)
    {
        for (int at = 1; at <= _highestHold; at++)
        {
            ref Hold hold = ref _holds[at];
            if (hold.Expires == 0 || hold.Owner != owner || (onlyUnanswered && hold.Answered)) continue;
            hold.Expires = Math.Min(hold.Expires, _now + seconds);
            hold.Owner = 0;
            hold.WhileUsed = false;
        }
    }

    /// <summary>Whose an external port is: whoever calls, if the filter let him.</summary>
    public bool TryFindHolder(NaptProtocol protocol, ushort external, out Endpoint inside)
    {
        int hold = FindHold(protocol, external), mapping = hold != 0 ? _holds[hold].Mapping : _byPort[(int)protocol][external];
        inside = mapping != 0 ? _mappings[mapping].Inside : default;
        return mapping != 0;
    }

    /// <summary>Whom a port that is held lets in.</summary>
    bool TryAdmit(NaptProtocol protocol, ushort external, Endpoint remote, out Endpoint inside)
    {
        for (int at = HoldsOfPort(protocol, external); at != 0; at = _holds[at].NextByPort)
        {
            ref Hold hold = ref _holds[at];
            if (hold.External != external || hold.Protocol != protocol) continue;
            if (hold.Remote.Address != 0 && hold.Remote.Address != remote.Address) continue;
            if (hold.Remote.Port != 0 && hold.Remote.Port != remote.Port) continue;
            if (hold.Once) hold.Remote = remote;
            inside = hold.Inside;
            return true;
        }

        inside = default;
        return false;
    }

    void ExpireHolds(long now)
    {
        for (int at = 1; at <= _highestHold; at++)
        {
            ref Hold hold = ref _holds[at];
            if (hold.Expires == 0 || hold.Expires > now) continue;
            ref Mapping mapping = ref _mappings[hold.Mapping];
            if (hold.WhileUsed && mapping.Flows > mapping.Holds) continue;
            EndHold(at);
        }
    }

    int AddHold(int mapping)
    {
        int at = _freeHolds.Take();
        _highestHold = Math.Max(_highestHold, at);
        ref Mapping held = ref _mappings[mapping];
        held.Flows++;
        held.Holds++;
        ref Hold hold = ref _holds[at];
        hold = new Hold { Inside = held.Inside, External = held.External, Protocol = held.Protocol, Mapping = mapping };
        Link(ref HoldsOfPort(hold.Protocol, hold.External), ref hold.NextByPort, at);
        Link(ref HoldsOfInside(hold.Protocol, hold.Inside), ref hold.NextByInside, at);
        return at;
    }

    void EndHold(int at)
    {
        ref Hold hold = ref _holds[at];
        if (!hold.IsForward) _gatewayHolds--;
        Unlink(ref HoldsOfPort(hold.Protocol, hold.External), at, static (NaptTable t, int i) => ref t._holds[i].NextByPort);
        Unlink(ref HoldsOfInside(hold.Protocol, hold.Inside), at, static (NaptTable t, int i) => ref t._holds[i].NextByInside);
        hold.Expires = 0;
        ref Mapping mapping = ref _mappings[hold.Mapping];
        mapping.Holds--;
        if (--mapping.Flows == 0) Unmap(hold.Mapping);
        _freeHolds.GiveBack(at);
        while (_highestHold > 0 && _holds[_highestHold].Expires == 0) _highestHold--;
    }

    /// <summary>A hold of an external port, or 0.</summary>
    int FindHold(NaptProtocol protocol, ushort external)
    {
        int at = HoldsOfPort(protocol, external);
        while (at != 0 && (_holds[at].External != external || _holds[at].Protocol != protocol)) at = _holds[at].NextByPort;
        return at;
    }

    int HeldMapping(NaptProtocol protocol, Endpoint inside)
    {
        int at = HoldsOfInside(protocol, inside);
        while (at != 0 && (_holds[at].Inside != inside || _holds[at].Protocol != protocol)) at = _holds[at].NextByInside;
        return at == 0 ? 0 : _holds[at].Mapping;
    }

    ref int HoldsOfPort(NaptProtocol protocol, ushort external) => ref _holdsByPort.Head(external, (ulong)protocol);

    ref int HoldsOfInside(NaptProtocol protocol, Endpoint inside) => ref _holdsByInside.Head(inside.Address, (ulong)protocol << 32 | inside.Port);
}
