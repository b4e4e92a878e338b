using APlusP.Core.Forwarding;
using APlusP.Core.Wire;
using APlusP.Survey.Models;

namespace APlusP.Survey.Planning;

/// <summary>What a port set of a home would refuse of a load that is known.</summary>
/// <param name="Offered">IPv4 flows.</param>
/// <param name="Refused">Those of them that find no port, each in its turn.</param>
/// <param name="Wanted">The largest port set that all of it would have used.</param>
/// <param name="PlannerShare">What <c>aplusp plan</c> would say of the same load, had it been surveyed every ten seconds: of the ports wanted, the share beyond the set.</param>
public readonly record struct LoadForecast(int Offered, int Refused, int Wanted, double PlannerShare)
{
    static readonly TimeSpan s_tick = TimeSpan.FromSeconds(10);

    public double Share => Offered == 0 ? 0 : (double)Refused / Offered;

    /// <summary>Replays what the hosts of one home do, flow by flow.</summary>
    /// <param name="hosts">The hosts of the home.</param>
    /// <param name="ports">Size of the set, of which each protocol has the whole.</param>
    /// <param name="lifetimes">How long a port stays in use after its flow.</param>
    /// <param name="mode">How the NAPT gives ports.</param>
    public static LoadForecast Of(IReadOnlyList<Timeline> hosts, int ports, PortLifetimes lifetimes, NaptMode mode)
    {
        TimedFlow[] flows = [.. hosts.SelectMany(host => host.Flows).Where(flow => !flow.Remote.IsIPv6).OrderBy(flow => flow.Opens)];
        int refused = 0, wanted = 0;
        foreach (IpProtocol protocol in new[] { IpProtocol.Tcp, IpProtocol.Udp })
        {
            TimedFlow[] ofProtocol = [.. flows.Where(flow => flow.Remote.Protocol == protocol)];
            refused += ReplayFlows(ofProtocol, ports, lifetimes, mode).Refused;
            wanted = Math.Max(wanted, ReplayFlows(ofProtocol, int.MaxValue, lifetimes, mode).Peak);
        }

        DemandSeries demand = Demand(flows, hosts.Max(host => host.Length), lifetimes, mode);
        return new LoadForecast(flows.Length, refused, wanted, new Replay(demand).With(ports).Flows.Worst);
    }

    /// <summary>
    /// A port for each flow, as long as there are any; with a 5-tuple NAPT, a port for each flow to the same remote end. Whoever is refused does not come again, and takes nothing.
    /// </summary>
    static (int Refused, int Peak) ReplayFlows(TimedFlow[] flows, int ports, PortLifetimes lifetimes, NaptMode mode)
    {
        var ends = new PriorityQueue<RemoteEnd, TimeSpan>();
        var inUse = new Dictionary<RemoteEnd, int>();
        int refused = 0, peak = 0;
        foreach (TimedFlow flow in flows)
        {
            while (ends.TryPeek(out RemoteEnd over, out TimeSpan at) && at <= flow.Opens)
            {
                ends.Dequeue();
                inUse[over]--;
            }

            RemoteEnd pool = mode == NaptMode.FiveTuple ? flow.Remote : default;
            int used = inUse.GetValueOrDefault(pool);
            if (used >= ports)
            {
                refused++;
                continue;
            }

            inUse[pool] = used + 1;
            peak = Math.Max(peak, used + 1);
            ends.Enqueue(pool, flow.Frees(lifetimes));
        }

        return (refused, peak);
    }

    /// <summary>The load as a survey would have it, of one subscriber.</summary>
    static DemandSeries Demand(TimedFlow[] flows, TimeSpan length, PortLifetimes lifetimes, NaptMode mode)
    {
        var series = new ushort[(int)(length / s_tick) + 1];
        for (int tick = 0; tick < series.Length; tick++)
        {
            TimedFlow[] inUse = [.. flows.Where(flow => flow.IsInUse(tick * s_tick, lifetimes))];
            IEnumerable<int> needs = mode == NaptMode.FiveTuple
                ? inUse.GroupBy(flow => flow.Remote).Select(group => group.Count())
                : inUse.GroupBy(flow => flow.Remote.Protocol).Select(group => group.Count());
            series[tick] = (ushort)Math.Min(needs.DefaultIfEmpty(0).Max(), ushort.MaxValue);
        }

        return new DemandSeries([series]);
    }
}
