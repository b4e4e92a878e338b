using APlusP.Core;
using APlusP.Survey.Counting;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Planning;

/// <summary>What a plan takes out of a survey, in one reading of it.</summary>
/// <param name="EndpointIndependent">With a port for each endpoint of the host (RFC 4787 REQ-1), the default of a SMAP.</param>
/// <param name="FiveTuple">With a port for several flows, as long as they go to different remote endpoints; null where numbers of ports alone were imported.</param>
/// <param name="IPv6Share">IPv6's share of all ports, from 0 to 1.</param>
/// <param name="DnsShare">The share of DNS in the ports of IPv4; null where the survey has no such application.</param>
/// <param name="WebShare">That of the web: HTTP, HTTPS and QUIC.</param>
/// <param name="WebIPv6Share">IPv6's share of the web's ports.</param>
sealed record SurveyedDemand(DemandSeries EndpointIndependent, DemandSeries? FiveTuple, double IPv6Share, double? DnsShare, double? WebShare, double? WebIPv6Share)
{
    /// <exception cref="APlusPException">AP7021: the survey has no IPv4 host with a port in use.</exception>
    public static SurveyedDemand Of(SurveyStore store)
    {
        bool[] isIPv4 = new SurveyPart(IsIPv6: false).Numbers(store);
        int[] index = new int[isIPv4.Length];
        int hosts = 0, ticks = (int)store.Samples, dns = store.Applications.ToList().IndexOf("dns");
        int[] web = [.. new[] { "http", "https", "quic" }.Select(name => store.Applications.ToList().IndexOf(name)).Where(i => i >= 0)];
        for (int i = 0; i < isIPv4.Length; i++) index[i] = isIPv4[i] ? hosts++ : -1;
        ushort[][] independent = Table(hosts, ticks), fiveTuple = Table(hosts, ticks);
        IReadOnlyList<Sums> shares = store.ReadShares(() => new Sums(), (share, tick, counts) =>
        {
            foreach ((int number, HostCounts ofHost) in counts)
            {
                if (index[number] is >= 0 and var host)
                {
                    independent[host][tick] = (ushort)Math.Min(ofHost.Demand, ushort.MaxValue);
                    fiveTuple[host][tick] = (ushort)Math.Clamp(ofHost.MinimumPorts, 0, ushort.MaxValue);
                    share.Unknown |= ofHost.MinimumPorts < 0;
                    share.IPv4 += ofHost.Ports;
                    if (dns >= 0) share.Dns += ofHost.ByApplication[dns];
                    foreach (int application in web) share.WebIPv4 += ofHost.ByApplication[application];
                }
                else
                {
                    share.IPv6 += ofHost.Ports;
                    foreach (int application in web) share.WebIPv6 += ofHost.ByApplication[application];
                }
            }
        });
        double ports4 = Math.Max(1, shares.Sum(s => s.IPv4)), ports6 = shares.Sum(s => s.IPv6), web4 = shares.Sum(s => s.WebIPv4), web6 = shares.Sum(s => s.WebIPv6);
        bool[] present = [.. independent.Select(series => series.AsSpan().ContainsAnyExcept((ushort)0))];
        if (!present.Contains(true)) throw new APlusPException(ErrorCodes.NothingToPlanFrom, $"the survey {store.Path} has no IPv4 host with a port in use, so there is nothing to plan from. Let it run for a while: a day at least, better a week.");
        return new SurveyedDemand(
            new DemandSeries(Those(independent, present)), shares.Any(s => s.Unknown) ? null : new DemandSeries(Those(fiveTuple, present)), ports6 / (ports4 + ports6),
            dns < 0 ? null : shares.Sum(s => s.Dns) / ports4, web.Length == 0 ? null : web4 / ports4, web4 + web6 == 0 ? null : web6 / (web4 + web6));
    }

    /// <summary>What a worker has read.</summary>
    sealed class Sums
    {
        public long IPv4 { get; set; }

        public long IPv6 { get; set; }

        public long Dns { get; set; }

        public long WebIPv4 { get; set; }

        public long WebIPv6 { get; set; }

        public bool Unknown { get; set; }
    }

    static ushort[][] Table(int hosts, int ticks) => [.. Enumerable.Range(0, hosts).Select(_ => new ushort[ticks])];

    static ushort[][] Those(ushort[][] table, bool[] present) => [.. table.Where((_, host) => present[host])];
}

/// <summary>How large a port set each IPv4 host of a survey would have needed, tick by tick; a host that was away has 0. An address has no more ports than a number here holds.</summary>
sealed class DemandSeries(ushort[][] byHost)
{
    public int Ticks { get; } = byHost[0].Length;

    public int Hosts => byHost.Length;

    public ReadOnlySpan<ushort> Of(int host) => byHost[host];
}
