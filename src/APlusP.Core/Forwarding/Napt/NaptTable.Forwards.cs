using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Napt;

// Static forwards: ports that the configuration gives to servers of the LAN. Each is a hold without end that lets in anybody, counted to no host.
sealed partial class NaptTable
{
    /// <summary>Takes away the forwards that are no longer wanted, and adds those that are new. Nothing else is touched, but for flows that stand in a new one's way.</summary>
    void SetForwards(IReadOnlyList<PortForward> wanted)
    {
        for (int at = _highestHold; at > 0; at--)
            if (_holds[at].IsForward && !wanted.Contains(ForwardOf(_holds[at]))) EndHold(at);
        foreach (PortForward forward in wanted)
        {
            NaptProtocols.TryOf(forward.Protocol, out NaptProtocol protocol);
            int there = FindHold(protocol, forward.Port);
            if (there == 0 || ForwardOf(_holds[there]) != forward || !_holds[there].IsForward) AddForward(protocol, forward.Port, new Endpoint(forward.Host.Value, forward.HostPort));
        }
    }

    static PortForward ForwardOf(in Hold hold) =>
        new(hold.Protocol == NaptProtocol.Tcp ? IpProtocol.Tcp : IpProtocol.Udp, hold.External, new Addresses.IPv4Address(hold.Inside.Address), hold.Inside.Port);

    void AddForward(NaptProtocol protocol, ushort external, Endpoint inside)
    {
        // The port may be another's, and the server may have had another port: both end. What it has through this very port goes on.
        bool keeps = !IsFiveTuple;
        for (int at = _highestHold; at > 0; at--)
        {
            ref Hold hold = ref _holds[at];
            if (hold.Expires != 0 && hold.Protocol == protocol && (hold.External == external || hold.Inside == inside)) EndHold(at);
        }

        EndWhere((in Flow flow) => flow.Protocol == protocol && (flow.External == external || flow.Inside == inside) && !(keeps && flow.External == external && flow.Inside == inside));
        int mapping = keeps ? FindMapping(protocol, inside) : 0;
        if (mapping != 0) CountToNobody(mapping);

        // The configuration was checked against the set; what is not in it has no place here.
        else if (!_ports[(int)protocol].IsFree(external)) return;
        else
        {
            _ports[(int)protocol].Take(external);
            mapping = AddMapping(protocol, inside, external, host: 0);
        }

        _holds[AddHold(mapping)].Expires = long.MaxValue;
    }

    void CountToNobody(int at)
    {
        ref Mapping mapping = ref _mappings[at];
        if (mapping.Host == 0) return;
        CountOf(ref _hosts[mapping.Host], mapping.Protocol)--;
        mapping.Host = 0;
    }

    /// <summary>The port that an endpoint of the LAN has now; null where it has none.</summary>
    public ushort? PortOf(NaptProtocol protocol, Endpoint inside) => MappingOf(protocol, inside) is > 0 and var mapping ? _mappings[mapping].External : null;

    /// <summary>Whether nothing has a port, and it may be given out.</summary>
    public bool IsFree(NaptProtocol protocol, ushort external) => _ports[(int)protocol].IsFree(external);
}
