using APlusP.Core;
using APlusP.Survey.Counting;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Planning;

/// <summary>How a NAPT takes ports.</summary>
public enum PlanMode
{
    /// <summary>A port for each endpoint of the host (RFC 4787 REQ-1), the default of a SMAP.</summary>
    EndpointIndependent,

    /// <summary>A port for several flows, as long as they go to different remote endpoints.</summary>
    FiveTuple,
}

/// <summary>How large a port set each IPv4 host of a survey would have needed, tick by tick.</summary>
public sealed class DemandSeries
{
    /// <summary>As an address has no more ports, numbers of them fit; a host that was away has 0.</summary>
    readonly ushort[][] _byHost;

    DemandSeries(ushort[][] byHost, int ticks)
    {
        _byHost = byHost;
        Ticks = ticks;
    }

    public int Ticks { get; }

    public int Hosts => _byHost.Length;

    public ReadOnlySpan<ushort> Of(int host) => _byHost[host].AsSpan(0, Ticks);

    /// <summary>Reads the series of a survey; null where it was partly made from numbers of ports alone, and what the mode needs is not known.</summary>
    /// <exception cref="APlusPException">AP7021: the survey has no IPv4 host.</exception>
    public static DemandSeries? Of(SurveyStore store, PlanMode mode)
    {
        bool[] wanted = new SurveyPart(IsIPv6: false).Numbers(store);
        int[] index = new int[wanted.Length];
        int hosts = 0;
        for (int i = 0; i < wanted.Length; i++) index[i] = wanted[i] ? hosts++ : -1;
        int ticks = (int)store.Samples, tick = 0;
        ushort[][] byHost = [.. Enumerable.Range(0, hosts).Select(_ => new ushort[ticks])];
        bool unknown = false;
        store.Read((_, counts) =>
        {
            if (tick == ticks) return;
            foreach ((int host, HostCounts ofHost) in counts)
            {
                if (index[host] < 0) continue;
                int demand = mode == PlanMode.EndpointIndependent ? ofHost.Demand : ofHost.MinimumPorts;
                unknown |= demand < 0;
                byHost[index[host]][tick] = (ushort)Math.Clamp(demand, 0, ushort.MaxValue);
            }

            tick++;
        });
        if (unknown) return null;
        ushort[][] present = [.. byHost.Where(series => series.AsSpan().ContainsAnyExcept((ushort)0))];
        if (present.Length == 0) throw new APlusPException(ErrorCodes.NothingToPlanFrom, $"the survey {store.Path} has no IPv4 host with a port in use, so there is nothing to plan from. Let it run for a while: a day at least, better a week.");
        return new DemandSeries(present, tick);
    }
}
