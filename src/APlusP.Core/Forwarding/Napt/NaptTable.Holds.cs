namespace APlusP.Core.Forwarding.Napt;

/// <summary>On what terms a port is held for an inner endpoint.</summary>
/// <param name="Remote">The address that may call; 0 lets in any.</param>
/// <param name="Seconds">How long.</param>
/// <param name="Once">Whether it lets in one remote endpoint only, the first that calls.</param>
readonly record struct HoldTerms(uint Remote, int Seconds, bool Once = false);

/// <summary>A port that is kept for an inner endpoint whether it has flows or not, and whom it lets in whatever the filter.</summary>
struct Hold
{
    public Endpoint Inside;

    /// <summary>Who may call; address 0 is anybody, port 0 any of the address.</summary>
    public Endpoint Remote;
    public ushort External;
    public NaptProtocol Protocol;
    public bool Once;

    /// <summary>Second at which it ends: never, of a static forward. 0 is a place that is free.</summary>
    public long Expires;
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

    /// <summary>Holds a TCP port for the one connection that a remote host is about to make, for as long as a half-open one lives.</summary>
    public DropReason HoldForConnection(Endpoint inside, uint remote, out ushort external) =>
        Hold(NaptProtocol.Tcp, inside, new HoldTerms(remote, _options.Timers.TcpOpening, Once: true), out external);

    /// <summary>Holds a port for an inner endpoint, or holds it longer; that of its mapping, where it has one.</summary>
    /// <returns><see cref="DropReason.None"/>, or why there is no port.</returns>
    DropReason Hold(NaptProtocol protocol, Endpoint inside, in HoldTerms terms, out ushort external)
    {
        external = 0;
        int at = 0;
        for (int other = HoldsOfInside(protocol, inside); other != 0; other = _holds[other].NextByInside)
        {
            ref Hold known = ref _holds[other];
            if (known.Inside != inside || known.Protocol != protocol) continue;
            external = known.External;
            if (known.IsForward) return DropReason.None;
            if (known.Remote.Address == terms.Remote && known.Once == terms.Once) at = other;
        }

        if (at == 0)
        {
            if (_gatewayHolds == MaxGatewayHolds) return DropReason.FlowTableFull;
            int mapping = MappingOf(protocol, inside);
            DropReason refused = mapping != 0 ? DropReason.None : Map(protocol, inside, default, mayShare: false, out mapping);
            if (refused != DropReason.None) return refused;
            _gatewayHolds++;
            at = AddHold(mapping);
        }

        ref Hold hold = ref _holds[at];
        hold.Remote = new Endpoint(terms.Remote, 0);
        hold.Once = terms.Once;
        hold.Expires = Math.Max(hold.Expires, _now + terms.Seconds);
        external = hold.External;
        return DropReason.None;
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
            if (hold.Expires != 0 && hold.Expires <= now) EndHold(at);
        }
    }

    int AddHold(int mapping)
    {
        int at = _freeHolds.Take();
        _highestHold = Math.Max(_highestHold, at);
        ref Mapping held = ref _mappings[mapping];
        held.Flows++;
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
        if (--_mappings[hold.Mapping].Flows == 0) Unmap(hold.Mapping);
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
