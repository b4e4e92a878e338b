using System.Diagnostics.CodeAnalysis;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Napt;

/// <summary>
/// The NAPT of a SMAP, on endpoints alone: which external port a host's flow has, and whose flow an external port is. RFC 4787 (UDP),
/// RFC 5382 and 7857 (TCP), RFC 5508 (ICMP), inside a port set (RFC 7597 section 4).
/// </summary>
/// <remarks>
/// All memory is taken at construction. Only packets from inside make or refresh state (RFC 4787 REQ-6, RFC 7857 section 7), so nobody
/// outside can fill the table or keep a mapping alive; but for the packet that completes a TCP opening which a host has accepted, once. Nothing alive is ever ended to make room (RFC 6888 REQ-11).
/// </remarks>
sealed partial class NaptTable
{
    const int WheelSize = 256;

    readonly Random _random;
    readonly PortPool[] _ports;
    readonly Flow[] _flows;
    readonly Mapping[] _mappings;
    readonly Peer[] _peers;
    readonly Host[] _hosts;
    readonly EntryPool _freeFlows, _freeMappings, _freePeers, _freeHosts;
    readonly ChainTable _outbound, _inbound, _mappingsByInside, _peersByRemote, _hostsByAddress;

    // How many mappings use a port, by protocol; more than one in 5-tuple mode only.
    readonly int[][] _users;

    // The mapping of a port in endpoint-independent mode, by protocol.
    readonly int[][] _byPort;
    readonly int[] _wheel = new int[WheelSize];
    SmapOptions _options;
    int _portsPerHost, _flowsPerHost;
    long _now = long.MinValue;

    public NaptTable(SmapOptions options, Random random)
    {
        _random = random;
        NaptProtocol[] protocols = Enum.GetValues<NaptProtocol>();
        _ports = [.. protocols.Select(p => PoolOf(p, options, before: null))];
        _users = [.. protocols.Select(_ => new int[65536])];
        _byPort = [.. protocols.Select(_ => new int[65536])];
        int capacity = options.MaxFlows;
        _flows = new Flow[capacity + 1];
        _mappings = new Mapping[capacity + MaxHolds + 1];
        _peers = new Peer[capacity + 1];

        // Each has a flow at least, or a port held for it.
        int hosts = capacity + MaxHolds;
        _hosts = new Host[hosts + 1];
        _freeFlows = new EntryPool(capacity);
        _freeMappings = new EntryPool(capacity + MaxHolds);
        _freePeers = new EntryPool(capacity);
        _freeHosts = new EntryPool(hosts);
        _outbound = new ChainTable(capacity, (ulong)random.NextInt64());
        _inbound = new ChainTable(capacity, (ulong)random.NextInt64());
        _mappingsByInside = new ChainTable(capacity, (ulong)random.NextInt64());
        _peersByRemote = new ChainTable(capacity, (ulong)random.NextInt64());
        _hostsByAddress = new ChainTable(hosts, (ulong)random.NextInt64());
        _holdsByPort = new ChainTable(MaxHolds, (ulong)random.NextInt64());
        _holdsByInside = new ChainTable(MaxHolds, (ulong)random.NextInt64());
        Options = options;
    }

    static PortPool PoolOf(NaptProtocol protocol, SmapOptions options, PortPool? before) => new(options.Ports, protocol == NaptProtocol.Icmp, options.RestingPorts, before);

    /// <summary>
    /// May be exchanged while it lives: mode and size stay those of the first. Where the port set is another, what has a port that is not in it ends, and the rest lives on.
    /// </summary>
    public SmapOptions Options
    {
        get => _options;

        [MemberNotNull(nameof(_options))]
        set
        {
            bool otherPorts = _options is not null && (!value.Ports.Equals(_options.Ports) || !Equals(value.RestingPorts, _options.RestingPorts));
            _options = value;
            if (otherPorts) SetPorts(value);
            _portsPerHost = value.PortsPerHost > 0 ? value.PortsPerHost : Math.Max(1, value.Ports.Count * 3 / 4);
            _flowsPerHost = value.FlowsPerHost > 0 ? value.FlowsPerHost : Math.Max(1, value.MaxFlows * 3 / 4);
            SetForwards(value.Forwards);
        }
    }

    void SetPorts(SmapOptions options)
    {
        for (int at = _highestHold; at > 0; at--)
            if (_holds[at].Expires != 0 && !options.Ports.Contains(_holds[at].External)) EndHold(at);
        EndWhere((in Flow flow) => !options.Ports.Contains(flow.External));
        foreach (NaptProtocol protocol in Enum.GetValues<NaptProtocol>()) _ports[(int)protocol] = PoolOf(protocol, options, _ports[(int)protocol]);
    }

    delegate bool FlowTest(in Flow flow);

    void EndWhere(FlowTest isOver)
    {
        for (int slot = 0; slot < WheelSize; slot++)
        {
            int at = _wheel[slot];
            _wheel[slot] = 0;
            while (at != 0)
            {
                ref Flow flow = ref _flows[at];
                int next = flow.NextInSlot;
                if (isOver(flow)) End(at);
                else PutOnWheel(at);
                at = next;
            }
        }
    }

    /// <summary>Whether nothing uses any port of these.</summary>
    public bool IsIdle(PortSet ports) => _ports.All(pool => pool.IsIdle(ports));

    bool IsFiveTuple => _options.Mode == NaptMode.FiveTuple;

    /// <summary>Flows now.</summary>
    public int FlowCount => _freeFlows.Used;

    /// <summary>Flows refused since start because no port was left.</summary>
    public long Exhausted { get; private set; }

    public (int Used, int Peak) PortUse(NaptProtocol protocol) => (_ports[(int)protocol].Used, _ports[(int)protocol].Peak);

    /// <summary>Whether a port is in the set.</summary>
    public bool Owns(ushort port) => _ports[0].Contains(port);

    /// <summary>Hosts that hold ports now. For the worker's own thread.</summary>
    public IEnumerable<(uint Address, int Ports)> Hosts()
    {
        foreach (Host host in _hosts)
            if (host.Total > 0) yield return (host.Address, host.Total);
    }

    /// <summary>Ends what is over. Time never runs backwards; a long pause costs one turn of the wheel.</summary>
    public void Advance(long second)
    {
        long steps = _now == long.MinValue ? 0 : Math.Min(second - _now, WheelSize);
        _now = Math.Max(_now, second);
        if (steps > 0) ExpireHolds(_now);
        if (steps > 0 && Offload is not null) HearEnds();
        for (long step = second - steps + 1; step <= second; step++) Expire((int)(step & (WheelSize - 1)), second);
    }

    /// <summary>Flows keep their place on the wheel while they are refreshed; when it comes round, those that are not over move on.</summary>
    void Expire(int slot, long now)
    {
        int at = _wheel[slot];
        _wheel[slot] = 0;
        while (at != 0)
        {
            ref Flow flow = ref _flows[at];
            int next = flow.NextInSlot;
            if (flow.Expires <= now && flow.Carrier == Carrier.Offload) flow.Expires = ExpiryNow(at, Offload!.Look(at));
            if (flow.Expires <= now) End(at);
            else PutOnWheel(at);

            at = next;
        }
    }

    void PutOnWheel(int at)
    {
        ref Flow flow = ref _flows[at];
        flow.Slot = (byte)(flow.Expires & (WheelSize - 1));
        flow.PreviousInSlot = 0;
        Link(ref _wheel[flow.Slot], ref flow.NextInSlot, at);
        if (flow.NextInSlot != 0) _flows[flow.NextInSlot].PreviousInSlot = at;
    }

    /// <summary>Moves a flow that ends sooner than it was to.</summary>
    void Hasten(int at, long expires)
    {
        ref Flow flow = ref _flows[at];
        if (expires >= flow.Expires) return;
        if (flow.PreviousInSlot != 0) _flows[flow.PreviousInSlot].NextInSlot = flow.NextInSlot;
        else _wheel[flow.Slot] = flow.NextInSlot;
        if (flow.NextInSlot != 0) _flows[flow.NextInSlot].PreviousInSlot = flow.PreviousInSlot;
        flow.Expires = expires;
        PutOnWheel(at);
    }

    /// <summary>
    /// The external port of a packet from inside: that of its flow, or of a new one. Refreshes the flow.
    /// </summary>
    /// <returns><see cref="DropReason.None"/>, or why the packet cannot have a port.</returns>
    public DropReason Outbound(NaptProtocol protocol, Endpoint inside, Endpoint remote, TcpFlags flags, out ushort external)
    {
        Unsettled = 0;
        int at = FindOutbound(protocol, inside, remote);
        bool isReset = protocol == NaptProtocol.Tcp && (flags & TcpFlags.Rst) != 0;

        // A host that refuses what an open filter let in keeps nothing alive by it, RFC 7857 section 7.1: its mapping is enough to say so.
        int held = at == 0 && isReset ? MappingOf(protocol, inside) : 0;
        if (held != 0)
        {
            external = _mappings[held].External;
            return DropReason.None;
        }

        bool wasOpened = at == 0;
        if (wasOpened)
        {
            DropReason refused = Open(protocol, inside, remote, out at);
            if (refused != DropReason.None)
            {
                external = 0;
                return refused;
            }
        }

        ref Flow flow = ref _flows[at];
        external = flow.External;
        CatchUp(at);
        if (protocol == NaptProtocol.Tcp) SeeOutbound(ref flow, flags);
        long expires = _now + Lifetime(flow);
        if (expires < flow.Expires) Hasten(at, expires);
        else if (!isReset || wasOpened) flow.Expires = expires;
        if (Offload is not null) SettleSoon(at, flags);
        return DropReason.None;
    }

    /// <summary>The external port of an inner endpoint towards a remote one, making nothing: for the packet that an ICMP error embeds.</summary>
    public bool TryFindExternal(NaptProtocol protocol, Endpoint inside, Endpoint remote, out ushort external)
    {
        int at = FindOutbound(protocol, inside, remote);

        // What an endpoint-independent filter let in may have made no flow, but it has a mapping.
        int mapping = at != 0 ? _flows[at].Mapping : MappingOf(protocol, inside);
        external = mapping != 0 ? _mappings[mapping].External : (ushort)0;
        return mapping != 0;
    }

    /// <summary>Whose packet this is, that came from outside to an external port.</summary>
    /// <returns><see cref="DropReason.None"/>, <see cref="DropReason.NoMapping"/> or <see cref="DropReason.Filtered"/>.</returns>
    public DropReason Inbound(NaptProtocol protocol, ushort external, Endpoint remote, TcpFlags flags, out Endpoint inside)
    {
        inside = default;
        Unsettled = 0;
        int exact = FindInbound(protocol, external, remote);
        if (exact != 0)
        {
            ref Flow flow = ref _flows[exact];
            inside = flow.Inside;
            CatchUp(exact);
            if (protocol == NaptProtocol.Tcp) SeeInbound(exact, flags);
            if (Offload is not null) SettleSoon(exact, flags);
            return DropReason.None;
        }

        if (_freeHolds.Used > 0 && TryAdmit(protocol, external, remote, out inside)) return DropReason.None;
        int mapping = _byPort[(int)protocol][external];
        if (mapping == 0) return _users[(int)protocol][external] > 0 ? DropReason.Filtered : DropReason.NoMapping;
        bool admitted = _options.Filtering switch
        {
            NaptFiltering.EndpointIndependent => true,
            NaptFiltering.AddressDependent => FindPeer(protocol, external, remote) != 0,
            _ => false,
        };
        if (!admitted) return DropReason.Filtered;
        inside = _mappings[mapping].Inside;
        return DropReason.None;
    }

    /// <summary>Whose packet an ICMP error from outside is about; errors see and refresh nothing (RFC 5508 REQ-6).</summary>
    public bool TryFindInside(NaptProtocol protocol, ushort external, Endpoint remote, out Endpoint inside)
    {
        int at = FindInbound(protocol, external, remote);
        inside = at != 0 ? _flows[at].Inside : default;
        return at != 0;
    }

    /// <summary>Whether any flow uses an external port now, or it is held.</summary>
    public bool IsInUse(NaptProtocol protocol, ushort external) => _users[(int)protocol][external] > 0;

    DropReason Open(NaptProtocol protocol, Endpoint inside, Endpoint remote, out int at)
    {
        at = 0;
        if (_freeFlows.IsEmpty) return DropReason.FlowTableFull;

        // A host that scans fills its own share, not the table of all.
        int host = FindHost(inside.Address);
        if (host != 0 && _hosts[host].Flows >= _flowsPerHost) return DropReason.HostLimit;
        int mapping = MappingOf(protocol, inside);
        if (mapping == 0)
        {
            DropReason refused = Map(protocol, inside, remote, IsFiveTuple, out mapping);
            if (refused != DropReason.None) return refused;
        }

        at = AddFlow(protocol, inside, remote, mapping);
        return DropReason.None;
    }

    int AddFlow(NaptProtocol protocol, Endpoint inside, Endpoint remote, int mapping)
    {
        int at = _freeFlows.Take();
        PutFlow(at, protocol, inside, remote, mapping, _now + _options.Timers.Icmp);
        Offload?.Keep(at, Told(_flows[at]));
        return at;
    }

    void PutFlow(int at, NaptProtocol protocol, Endpoint inside, Endpoint remote, int mapping, long expires)
    {
        int host = FindHost(inside.Address);
        if (host == 0) host = AddHost(inside.Address);
        _hosts[host].Flows++;
        ref Flow flow = ref _flows[at];
        flow = new Flow
        {
            Inside = inside,
            Remote = remote,
            External = _mappings[mapping].External,
            Protocol = protocol,
            Mapping = mapping,
            Host = host,
            Expires = expires,
        };
        _mappings[mapping].Flows++;
        Link(ref OutboundHead(protocol, inside, remote), ref flow.NextOutbound, at);
        Link(ref InboundHead(protocol, flow.External, remote), ref flow.NextInbound, at);
        Meet(protocol, flow.External, remote);
        PutOnWheel(at);
    }

    /// <summary>The mapping that whatever an inner endpoint sends has, or 0: in 5-tuple mode that of a port held for it.</summary>
    int MappingOf(NaptProtocol protocol, Endpoint inside) => IsFiveTuple ? HeldMapping(protocol, inside) : FindMapping(protocol, inside);

    /// <summary>Finds an external port for an inner endpoint, within what its host may have.</summary>
    DropReason Map(NaptProtocol protocol, Endpoint inside, Endpoint remote, bool mayShare, out int at)
    {
        at = 0;
        int host = FindHost(inside.Address);
        bool atLimit = host != 0 && CountOf(ref _hosts[host], protocol) >= _portsPerHost;
        PortPool pool = _ports[(int)protocol];
        ushort external = 0;
        bool found = !atLimit && pool.TryTake(inside.Port, _random, out external);
        bool shares = false;
        if (!found && mayShare) found = shares = TryShare(protocol, inside.Port, remote, out external);
        if (!found)
        {
            if (atLimit) return DropReason.HostLimit;
            Exhausted++;
            return DropReason.PortsExhausted;
        }

        // A shared port is counted to the host that has it already.
        if (shares) host = 0;
        else if (host == 0) host = AddHost(inside.Address);
        at = AddMapping(protocol, inside, external, host);
        return DropReason.None;
    }

    /// <summary>A mapping of a port that was taken, without users yet; host 0 has it counted to nobody.</summary>
    int AddMapping(NaptProtocol protocol, Endpoint inside, ushort external, int host)
    {
        int at = _freeMappings.Take();
        _mappings[at] = new Mapping { Inside = inside, External = external, Protocol = protocol, Host = host };
        _users[(int)protocol][external]++;
        if (host != 0) CountOf(ref _hosts[host], protocol)++;
        if (!IsFiveTuple)
        {
            _byPort[(int)protocol][external] = at;
            Link(ref MappingHead(protocol, inside), ref _mappings[at].Next, at);
        }

        return at;
    }

    /// <summary>
    /// A port in use, by any host, that nobody uses towards this remote endpoint (5-tuple mode): the host's own first, then from a random one on.
    /// Free ports are not shared but taken, which a host at its limit may not.
    /// </summary>
    bool TryShare(NaptProtocol protocol, ushort like, Endpoint remote, out ushort external)
    {
        external = like;
        PortPool pool = _ports[(int)protocol];

        // No port has two flows towards one remote endpoint, so their number tells whether a search would find one.
        int peer = FindPeer(protocol, like, remote);
        if (peer != 0 && _peers[peer].Flows == pool.Used) return false;
        if (CanShare(protocol, like, remote)) return true;
        ReadOnlySpan<ushort> all = pool.All;
        int start = _random.Next(all.Length);
        for (int i = 0; i < all.Length; i++)
        {
            external = all[start + i < all.Length ? start + i : start + i - all.Length];
            if (CanShare(protocol, external, remote)) return true;
        }

        return false;
    }

    bool CanShare(NaptProtocol protocol, ushort port, Endpoint remote) =>
        IsInUse(protocol, port) && !_ports[(int)protocol].IsResting(port) && FindInbound(protocol, port, remote) == 0 && FindHold(protocol, port) == 0;

    void End(int at)
    {
        ref Flow flow = ref _flows[at];
        Offload?.Remove(at);
        flow.Carrier = Carrier.Unsettled;
        Unlink(ref OutboundHead(flow.Protocol, flow.Inside, flow.Remote), at, static (NaptTable t, int i) => ref t._flows[i].NextOutbound);
        Unlink(ref InboundHead(flow.Protocol, flow.External, flow.Remote), at, static (NaptTable t, int i) => ref t._flows[i].NextInbound);
        Part(flow.Protocol, flow.External, flow.Remote);
        if (--_mappings[flow.Mapping].Flows == 0) Unmap(flow.Mapping);
        _hosts[flow.Host].Flows--;
        ReleaseHost(flow.Host);
        flow.Expires = 0;
        _freeFlows.GiveBack(at);
    }

    void Unmap(int at)
    {
        ref Mapping mapping = ref _mappings[at];
        int protocol = (int)mapping.Protocol;
        if (--_users[protocol][mapping.External] == 0) _ports[protocol].GiveBack(mapping.External);
        if (!IsFiveTuple)
        {
            _byPort[protocol][mapping.External] = 0;
            Unlink(ref MappingHead(mapping.Protocol, mapping.Inside), at, static (NaptTable t, int i) => ref t._mappings[i].Next);
        }

        if (mapping.Host != 0)
        {
            ref Host host = ref _hosts[mapping.Host];
            CountOf(ref host, mapping.Protocol)--;
            ReleaseHost(mapping.Host);
        }

        _freeMappings.GiveBack(at);
    }

    /// <summary>Forgets a host that has nothing left.</summary>
    void ReleaseHost(int at)
    {
        ref Host host = ref _hosts[at];
        if (host.Total > 0 || host.Flows > 0) return;
        Unlink(ref _hostsByAddress.Head(host.Address, 0), at, static (NaptTable t, int i) => ref t._hosts[i].Next);
        _freeHosts.GiveBack(at);
    }

    // Peers

    void Meet(NaptProtocol protocol, ushort external, Endpoint remote)
    {
        int at = FindPeer(protocol, external, remote);
        if (at == 0)
        {
            at = _freePeers.Take();
            PeerKey(ref external, ref remote);
            _peers[at] = new Peer { Remote = remote, External = external, Protocol = protocol };
            Link(ref PeerHead(protocol, external, remote), ref _peers[at].Next, at);
        }

        _peers[at].Flows++;
    }

    void Part(NaptProtocol protocol, ushort external, Endpoint remote)
    {
        int at = FindPeer(protocol, external, remote);
        if (--_peers[at].Flows > 0) return;
        PeerKey(ref external, ref remote);
        Unlink(ref PeerHead(protocol, external, remote), at, static (NaptTable t, int i) => ref t._peers[i].Next);
        _freePeers.GiveBack(at);
    }

    int FindPeer(NaptProtocol protocol, ushort external, Endpoint remote)
    {
        PeerKey(ref external, ref remote);
        for (int at = PeerHead(protocol, external, remote); at != 0; at = _peers[at].Next)
        {
            ref Peer peer = ref _peers[at];
            if (peer.Remote == remote && peer.External == external && peer.Protocol == protocol) return at;
        }

        return 0;
    }

    /// <summary>What <see cref="Peer"/> leaves out of a flow: the remote port, or in 5-tuple mode our own.</summary>
    void PeerKey(ref ushort external, ref Endpoint remote)
    {
        if (IsFiveTuple) external = 0;
        else remote = remote with { Port = 0 };
    }

    // TCP, RFC 7857 section 2

    static void SeeOutbound(ref Flow flow, TcpFlags flags)
    {
        const TcpSeen ended = TcpSeen.FinOutbound | TcpSeen.FinInbound | TcpSeen.Reset;

        // A new connection of the same endpoints begins where the last one was reset or closed, be it by one side: the other may be gone.
        if ((flags & TcpFlags.Syn) != 0 && (flow.Seen & ended) != 0) flow.Seen = TcpSeen.None;
        flow.Seen |= TcpSeen.Outbound;
        if ((flags & (TcpFlags.Syn | TcpFlags.Ack)) == (TcpFlags.Syn | TcpFlags.Ack)) flow.Seen |= TcpSeen.Accepted;
        if ((flags & TcpFlags.Fin) != 0) flow.Seen |= TcpSeen.FinOutbound;

        // Traffic after a reset shows that the reset was not believed, RFC 7857 section 2.2.
        if ((flags & TcpFlags.Rst) != 0) flow.Seen |= TcpSeen.Reset;
        else flow.Seen &= ~TcpSeen.Reset;
    }

    void SeeInbound(int at, TcpFlags flags)
    {
        ref Flow flow = ref _flows[at];
        bool completes = (flow.Seen & (TcpSeen.Accepted | TcpSeen.Inbound)) == TcpSeen.Accepted && (flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Ack;
        flow.Seen |= TcpSeen.Inbound;
        if ((flags & TcpFlags.Fin) != 0) flow.Seen |= TcpSeen.FinInbound;
        if ((flags & TcpFlags.Rst) != 0) flow.Seen |= TcpSeen.Reset;

        // What comes from outside may end a flow sooner, and later only once: when it completes the opening that a host of ours has accepted.
        // Then the connection is established, even if neither side has anything to say yet (RFC 5382 REQ-5).
        long expires = _now + Lifetime(flow);
        if (completes && expires > flow.Expires) flow.Expires = expires;
        else Hasten(at, expires);
    }

    int Lifetime(in Flow flow)
    {
        NaptTimers timers = _options.Timers;
        const TcpSeen open = TcpSeen.Outbound | TcpSeen.Inbound, closed = TcpSeen.FinOutbound | TcpSeen.FinInbound;
        return flow.Protocol switch
        {
            NaptProtocol.Udp => timers.Udp,
            NaptProtocol.Icmp => timers.Icmp,
            _ when (flow.Seen & TcpSeen.Reset) != 0 => timers.TcpReset,
            _ when (flow.Seen & closed) == closed => timers.TcpClosing,
            _ when (flow.Seen & open) != open => timers.TcpOpening,
            _ => timers.TcpEstablished,
        };
    }

    // Chains

    int FindOutbound(NaptProtocol protocol, Endpoint inside, Endpoint remote)
    {
        for (int at = OutboundHead(protocol, inside, remote); at != 0; at = _flows[at].NextOutbound)
        {
            ref Flow flow = ref _flows[at];
            if (flow.Inside == inside && flow.Remote == remote && flow.Protocol == protocol) return at;
        }

        return 0;
    }

    int FindInbound(NaptProtocol protocol, ushort external, Endpoint remote)
    {
        for (int at = InboundHead(protocol, external, remote); at != 0; at = _flows[at].NextInbound)
        {
            ref Flow flow = ref _flows[at];
            if (flow.External == external && flow.Remote == remote && flow.Protocol == protocol) return at;
        }

        return 0;
    }

    int FindMapping(NaptProtocol protocol, Endpoint inside)
    {
        for (int at = MappingHead(protocol, inside); at != 0; at = _mappings[at].Next)
            if (_mappings[at].Inside == inside && _mappings[at].Protocol == protocol) return at;
        return 0;
    }

    int FindHost(uint address)
    {
        for (int at = _hostsByAddress.Head(address, 0); at != 0; at = _hosts[at].Next)
            if (_hosts[at].Address == address) return at;
        return 0;
    }

    int AddHost(uint address)
    {
        int at = _freeHosts.Take();
        _hosts[at] = new Host { Address = address };
        Link(ref _hostsByAddress.Head(address, 0), ref _hosts[at].Next, at);
        return at;
    }

    static ref int CountOf(ref Host host, NaptProtocol protocol)
    {
        if (protocol == NaptProtocol.Tcp) return ref host.Tcp;
        if (protocol == NaptProtocol.Udp) return ref host.Udp;
        return ref host.Icmp;
    }

    ref int OutboundHead(NaptProtocol protocol, Endpoint inside, Endpoint remote) =>
        ref _outbound.Head((ulong)inside.Address << 32 | remote.Address, (ulong)protocol << 32 | (uint)inside.Port << 16 | remote.Port);

    ref int InboundHead(NaptProtocol protocol, ushort external, Endpoint remote) =>
        ref _inbound.Head(remote.Address, (ulong)protocol << 32 | (uint)external << 16 | remote.Port);

    ref int PeerHead(NaptProtocol protocol, ushort external, Endpoint remote) =>
        ref _peersByRemote.Head(remote.Address, (ulong)protocol << 32 | (uint)external << 16 | remote.Port);

    ref int MappingHead(NaptProtocol protocol, Endpoint inside) =>
        ref _mappingsByInside.Head(inside.Address, (ulong)protocol << 32 | inside.Port);

    static void Link(ref int head, ref int next, int at)
    {
        next = head;
        head = at;
    }

    delegate ref int NextOf(NaptTable table, int at);

    void Unlink(ref int head, int at, NextOf next)
    {
        ref int link = ref head;
        while (link != at) link = ref next(this, link);
        link = next(this, at);
    }
}
