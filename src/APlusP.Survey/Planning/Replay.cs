namespace APlusP.Survey.Planning;

/// <summary>What a set of so many ports would have refused, over the hosts of a survey: in shares from 0 to 1.</summary>
/// <param name="Ports">Size of the port set.</param>
/// <param name="Time">Of the ticks at which a host was there, those at which it wanted more; the host at a percentile of hosts.</param>
/// <param name="Flows">Of the ports that a host wanted at its ticks, those beyond the set.</param>
public sealed record ReplayLine(int Ports, HostShares Time, HostShares Flows);

/// <summary>A share of the median host, and of those worse off than 95 and 99 per cent of hosts, and than all others.</summary>
public sealed record HostShares(double P50, double P95, double P99, double Worst);

/// <summary>
/// "Would so many ports have been enough?" for every number at once: of each host it keeps how often it wanted how many, and sums from above, so that each further question is
/// two look-ups a host.
/// </summary>
sealed class Replay
{
    readonly HostDemand[] _hosts;

    public Replay(DemandSeries series)
    {
        _hosts = [.. Enumerable.Range(0, series.Hosts).Select(host => new HostDemand(series.Of(host)))];
        Most = _hosts.Max(h => h.Most);
    }

    /// <summary>What the host that wanted most wanted.</summary>
    public int Most { get; }

    public ReplayLine With(int ports) => new(ports, Shares(h => h.TimeBeyond(ports)), Shares(h => h.PortsBeyond(ports)));

    /// <summary>The fewest ports with which the host at this percentile of hosts has no more than this share of its flows refused.</summary>
    public int Enough(double refusal, double percentile)
    {
        int low = 1, high = Math.Max(1, Most);
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (AtPercentile(Sorted(h => h.PortsBeyond(middle)), percentile) <= refusal) high = middle;
            else low = middle + 1;
        }

        return low;
    }

    HostShares Shares(Func<HostDemand, double> of)
    {
        double[] shares = Sorted(of);
        return new HostShares(AtPercentile(shares, 50), AtPercentile(shares, 95), AtPercentile(shares, 99), shares[^1]);
    }

    double[] Sorted(Func<HostDemand, double> of)
    {
        double[] shares = [.. _hosts.Select(of)];
        Array.Sort(shares);
        return shares;
    }

    /// <summary>Nearest rank.</summary>
    static double AtPercentile(double[] sorted, double percent) => sorted[Math.Clamp((int)Math.Ceiling(percent / 100 * sorted.Length) - 1, 0, sorted.Length - 1)];

    /// <summary>One host's demand.</summary>
    sealed class HostDemand
    {
        // At n: at how many ticks it wanted more than n, and how much more in all.
        readonly int[] _ticksBeyond;
        readonly long[] _portsBeyond;
        readonly int _ticks;
        readonly long _ports;

        public HostDemand(ReadOnlySpan<ushort> series)
        {
            foreach (ushort demand in series) Most = Math.Max(Most, demand);
            _ticksBeyond = new int[Most + 1];
            _portsBeyond = new long[Most + 1];
            Span<int> times = new int[Most + 1];
            foreach (ushort demand in series)
            {
                if (demand == 0) continue;
                times[demand]++;
                _ticks++;
                _ports += demand;
            }

            for (int n = Most - 1; n >= 0; n--)
            {
                _ticksBeyond[n] = _ticksBeyond[n + 1] + times[n + 1];
                _portsBeyond[n] = _portsBeyond[n + 1] + _ticksBeyond[n];
            }
        }

        public int Most { get; }

        public double TimeBeyond(int ports) => ports >= Most ? 0 : (double)_ticksBeyond[ports] / _ticks;

        public double PortsBeyond(int ports) => ports >= Most ? 0 : (double)_portsBeyond[ports] / _ports;
    }
}
