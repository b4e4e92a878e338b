using System.Runtime.InteropServices;
using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;

namespace APlusP.Survey.Live;

/// <summary>
/// How many ports each host has in use from event to event, and the most at once since the last tick. A dump sets it right again: what is told twice counts once, and what
/// was missed is there.
/// </summary>
sealed class PortLedger(InsideNetworks inside, int limit = TickCounter.DefaultLimit)
{
    readonly HashSet<Flow> _flows = [];
    readonly Dictionary<(HostAddress, IpProtocol, ushort), int> _flowsOfPort = [];
    readonly Dictionary<HostAddress, (int Now, int Peak)> _hosts = [];

    public void Clear()
    {
        _flows.Clear();
        _flowsOfPort.Clear();
        _hosts.Clear();
    }

    public void Come(in TrackedConnection connection)
    {
        if (!TryKey(connection, out Flow flow) || _flows.Count == limit || !_flows.Add(flow)) return;
        ref int flows = ref CollectionsMarshal.GetValueRefOrAddDefault(_flowsOfPort, (flow.Host, flow.Protocol, flow.Port), out _);
        if (++flows > 1) return;
        (int now, int peak) = _hosts.GetValueOrDefault(flow.Host);
        _hosts[flow.Host] = (now + 1, Math.Max(peak, now + 1));
    }

    public void Go(in TrackedConnection connection)
    {
        if (!TryKey(connection, out Flow flow) || !_flows.Remove(flow)) return;
        (HostAddress, IpProtocol, ushort) port = (flow.Host, flow.Protocol, flow.Port);
        if (--_flowsOfPort[port] > 0) return;
        _flowsOfPort.Remove(port);
        (int now, int peak) = _hosts[flow.Host];
        _hosts[flow.Host] = (now - 1, peak);
    }

    /// <summary>Gives the counts of a tick the peaks that led to it. Who came and went since the tick before has nothing now, but had something, and is among them.</summary>
    public TickCounts RaisePeaks(TickCounts counts, ApplicationRules rules)
    {
        var there = new HashSet<HostAddress>(counts.Hosts.Count);
        foreach ((HostAddress host, HostCounts ofHost) in counts.Hosts)
        {
            there.Add(host);
            ofHost.PeakPorts = Math.Max(ofHost.Ports, _hosts.GetValueOrDefault(host).Peak);
        }

        List<(HostAddress, HostCounts)> gone = [.. _hosts.Where(h => !there.Contains(h.Key)).Select(h => (h.Key, new HostCounts { PeakPorts = h.Value.Peak, ByApplication = new int[rules.Names.Count] }))];
        return gone.Count == 0 ? counts : counts with { Hosts = [.. counts.Hosts, .. gone] };
    }

    /// <summary>From now on only what is in use now counts for the peak.</summary>
    public void ForgetPeaks()
    {
        foreach ((HostAddress host, (int now, _)) in _hosts)
        {
            if (now == 0) _hosts.Remove(host);
            else _hosts[host] = (now, now);
        }
    }

    /// <summary>A flow is the same whatever state its connection is in.</summary>
    bool TryKey(in TrackedConnection connection, out Flow flow)
    {
        bool counts = Flow.TryOf(connection, inside, out flow);
        flow = flow with { State = TcpState.None };
        return counts;
    }
}
