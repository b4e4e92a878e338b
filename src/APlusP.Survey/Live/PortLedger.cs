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

    /// <summary>The most ports at once of each host that had any.</summary>
    public IEnumerable<(HostAddress Host, int Peak)> Peaks => _hosts.Select(h => (h.Key, h.Value.Peak));

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

    /// <summary>A flow is the same whatever state its connection is in.</summary>
    bool TryKey(in TrackedConnection connection, out Flow flow)
    {
        bool counts = Flow.TryOf(connection, inside, out flow);
        flow = flow with { State = TcpState.None };
        return counts;
    }
}
