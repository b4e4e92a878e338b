using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;
using APlusP.Survey.Flows;

namespace APlusP.Survey.Counting;

/// <summary>
/// Counts the flows of one tick. They are kept in one array and sorted twice: by the host's port, for what is in use, and by the remote endpoint, for the
/// least that a 5-tuple NAPT takes. Used again for the next tick, it allocates nothing but its results.
/// </summary>
public sealed class TickCounter(ApplicationRules rules, InsideNetworks inside, int limit = TickCounter.DefaultLimit)
{
    /// <summary>48 octets each: 96 MB. The kernel's own table is of 262,144 on most machines.</summary>
    public const int DefaultLimit = 2_000_000;

    /// <summary>From the state that keeps a port longest in use to the one that lets it go first.</summary>
    static readonly TcpState[] s_liveliest =
    [
        TcpState.Established, TcpState.SynReceived, TcpState.SynSent, TcpState.SynSentTwice, TcpState.CloseWait, TcpState.FinWait, TcpState.LastAck, TcpState.TimeWait,
        TcpState.Close, TcpState.None,
    ];

    static readonly int[] s_rank = [.. Enum.GetValues<TcpState>().Select(state => Array.IndexOf(s_liveliest, state))];

    readonly int[] _ofApplication = new int[rules.Names.Count];
    Flow[] _flows = new Flow[1024];
    int _count;
    long _leftOut, _beyond;

    public void Add(in TrackedConnection connection)
    {
        if (Flow.TryOf(connection, inside, out Flow flow)) Add(flow);
        else _leftOut++;
    }

    public void Add(in Flow flow)
    {
        if (_count == limit)
        {
            _beyond++;
            return;
        }

        if (_count == _flows.Length) Array.Resize(ref _flows, Math.Min(limit, _count * 2));
        _flows[_count++] = flow;
    }

    /// <summary>The counts of what was added since the last call.</summary>
    public TickCounts Finish()
    {
        var hosts = new List<(HostAddress, HostCounts)>();
        Span<Flow> flows = _flows.AsSpan(0, _count);
        flows.Sort(new ByHostPort());
        for (int start = 0, end; start < flows.Length; start = end)
        {
            for (end = start + 1; end < flows.Length && flows[end].Host == flows[start].Host; end++)
            {
            }

            Span<Flow> ofHost = flows[start..end];
            HostCounts counts = CountPorts(ofHost);
            ofHost.Sort(new ByRemote());
            CountPeers(ofHost, counts);
            hosts.Add((ofHost[0].Host, counts));
        }

        var result = new TickCounts(hosts, _leftOut, _beyond);
        (_count, _leftOut, _beyond) = (0, 0, 0);
        return result;
    }

    /// <summary>One host's flows, by protocol and port.</summary>
    HostCounts CountPorts(Span<Flow> flows)
    {
        var counts = new HostCounts { ByApplication = new int[rules.Names.Count] };
        for (int start = 0, end; start < flows.Length; start = end)
        {
            ref readonly Flow first = ref flows[start];
            int liveliest = int.MaxValue;
            Array.Clear(_ofApplication);
            for (end = start; end < flows.Length && flows[end].Port == first.Port && flows[end].Protocol == first.Protocol; end++)
            {
                liveliest = Math.Min(liveliest, s_rank[(int)flows[end].State]);
                _ofApplication[rules.Classify(flows[end])]++;
            }

            counts.Ports++;
            counts.ByProtocol[HostCounts.ProtocolIndex(first.Protocol)]++;
            if (first.Protocol == IpProtocol.Tcp) counts.ByState[(int)s_liveliest[liveliest]]++;

            // A port with flows of several applications counts for the one that has most of them.
            counts.ByApplication[IndexOfMost(_ofApplication)]++;
        }

        counts.PeakPorts = counts.Ports;
        return counts;
    }

    static int IndexOfMost(ReadOnlySpan<int> counts)
    {
        int most = 0;
        for (int i = 1; i < counts.Length; i++)
            if (counts[i] > counts[most]) most = i;
        return most;
    }

    /// <summary>One host's flows, by protocol, remote endpoint and port. A flow that a table shows twice is one.</summary>
    static void CountPeers(Span<Flow> flows, HostCounts counts)
    {
        int toOne = 0;
        for (int i = 0; i < flows.Length; i++)
        {
            ref readonly Flow flow = ref flows[i];
            bool samePeer = i > 0 && flows[i - 1].Protocol == flow.Protocol && flows[i - 1].Remote == flow.Remote && flows[i - 1].RemotePort == flow.RemotePort;
            if (!samePeer) toOne = 0;
            else if (flows[i - 1].Port == flow.Port) continue;
            counts.Flows++;
            counts.MinimumPorts = Math.Max(counts.MinimumPorts, ++toOne);
        }
    }

    readonly struct ByHostPort : IComparer<Flow>
    {
        public int Compare(Flow x, Flow y)
        {
            int order = x.Host.Value.CompareTo(y.Host.Value);
            return order != 0 ? order : ((int)x.Protocol << 16 | x.Port) - ((int)y.Protocol << 16 | y.Port);
        }
    }

    readonly struct ByRemote : IComparer<Flow>
    {
        public int Compare(Flow x, Flow y)
        {
            int order = x.Remote.Value.CompareTo(y.Remote.Value);
            if (order != 0) return order;
            order = ((int)x.Protocol << 16 | x.RemotePort) - ((int)y.Protocol << 16 | y.RemotePort);
            return order != 0 ? order : x.Port - y.Port;
        }
    }
}
