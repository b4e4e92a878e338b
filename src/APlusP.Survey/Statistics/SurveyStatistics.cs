using APlusP.Survey.Counting;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Statistics;

/// <summary>Which part of a survey is meant.</summary>
/// <param name="IsIPv6">One family; null for both.</param>
/// <param name="Host">One host; null for all.</param>
public sealed record SurveyPart(bool? IsIPv6 = null, StoredHost? Host = null)
{
    public bool Has(StoredHost host) => (IsIPv6 is null || host.IsIPv6 == IsIPv6) && (Host is null || Host == host);

    /// <summary>By a host's number, which begins with 1.</summary>
    public bool[] Numbers(SurveyStore store)
    {
        var numbers = new bool[store.Hosts.Count + 1];
        foreach (StoredHost host in store.Hosts) numbers[host.Number] = Has(host);
        return numbers;
    }
}

/// <summary>
/// What a survey says of ports. Each value is one host at one tick at which it had a connection; hosts that are away at a tick are not counted there as zero.
/// </summary>
public sealed class SurveyStatistics
{
    // By a host's number.
    readonly bool[] _seen;

    internal SurveyStatistics(SurveyStore store)
    {
        Applications = store.Applications;
        ByApplication = new long[Applications.Count];
        _seen = new bool[store.Hosts.Count + 1];
    }

    public IReadOnlyList<string> Applications { get; }

    /// <summary>Ticks.</summary>
    public long Samples { get; private set; }

    /// <summary>Hosts that had a connection at any of them.</summary>
    public int Hosts => _seen.Count(seen => seen);

    public Distribution Ports { get; } = new();

    public Distribution MinimumPorts { get; } = new();

    public Distribution PeakPorts { get; } = new();

    /// <summary>Ports of all values together.</summary>
    public long[] ByApplication { get; }

    /// <inheritdoc cref="HostCounts.ByProtocol"/>
    public long[] ByProtocol { get; } = new long[HostCounts.Protocols];

    /// <inheritdoc cref="HostCounts.ByState"/>
    public long[] ByState { get; } = new long[HostCounts.States];

    public double MeanOf(int application) => Ports.Count is > 0 and var count ? (double)ByApplication[application] / count : 0;

    /// <summary>In per cent of all ports.</summary>
    public double ShareOf(int application) => Ports.Sum is > 0 and var sum ? 100.0 * ByApplication[application] / sum : 0;

    public static SurveyStatistics Of(SurveyStore store, SurveyPart part)
    {
        bool[] wanted = part.Numbers(store);
        IReadOnlyList<SurveyStatistics> shares = store.ReadShares(() => new SurveyStatistics(store), (share, _, hosts) =>
        {
            share.AddSample();
            foreach ((int host, HostCounts counts) in hosts)
                if (wanted[host]) share.Add(host, counts);
        });
        var statistics = new SurveyStatistics(store);
        foreach (SurveyStatistics share in shares) statistics.Add(share);
        return statistics;
    }

    /// <summary>Adds what others say of other samples.</summary>
    internal void Add(SurveyStatistics share)
    {
        Samples += share.Samples;
        AddHosts(share);
    }

    /// <summary>Adds what others say of other hosts at the same samples.</summary>
    internal void AddHosts(SurveyStatistics share)
    {
        Ports.Add(share.Ports);
        MinimumPorts.Add(share.MinimumPorts);
        PeakPorts.Add(share.PeakPorts);
        foreach ((long[] sums, long[] added) in new[] { (ByApplication, share.ByApplication), (ByProtocol, share.ByProtocol), (ByState, share.ByState) })
            for (int i = 0; i < sums.Length; i++) sums[i] += added[i];
        for (int host = 0; host < _seen.Length; host++) _seen[host] |= share._seen[host];
    }

    internal void AddSample() => Samples++;

    internal void Add(int host, HostCounts counts)
    {
        _seen[host] = true;
        Ports.Add(counts.Ports);
        PeakPorts.Add(counts.PeakPorts);
        if (counts.MinimumPorts >= 0) MinimumPorts.Add(counts.MinimumPorts);
        Add(ByApplication, counts.ByApplication);
        Add(ByProtocol, counts.ByProtocol);
        Add(ByState, counts.ByState);
    }

    static void Add(long[] sums, int[] counts)
    {
        for (int i = 0; i < counts.Length; i++) sums[i] += counts[i];
    }
}
