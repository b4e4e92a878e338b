using APlusP.Survey.Counting;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Statistics;

/// <summary>What one host used, and for what: of all samples at which it had a connection.</summary>
public sealed class HostUse
{
    readonly long[] _byApplication;

    HostUse(StoredHost host, int applications) => (Host, _byApplication) = (host, new long[applications]);

    public StoredHost Host { get; }

    public long Samples { get; private set; }

    /// <summary>The most ports at a sample.</summary>
    public int Most { get; private set; }

    /// <summary>Ports of all samples together.</summary>
    public long Ports { get; private set; }

    public double Mean => (double)Ports / Samples;

    /// <summary>Ports at a sample by application's number, in the mean; those that it used, most first.</summary>
    public IReadOnlyList<(int Application, double Mean)> Applications =>
        [.. Enumerable.Range(0, _byApplication.Length).Where(i => _byApplication[i] > 0).OrderByDescending(i => _byApplication[i]).Select(i => (i, (double)_byApplication[i] / Samples))];

    /// <summary>All that had a connection; who had most ports in all comes first.</summary>
    public static IReadOnlyList<HostUse> Of(SurveyStore store, SurveyPart part)
    {
        bool[] wanted = part.Numbers(store);
        IReadOnlyList<HostUse?[]> shares = store.ReadShares(() => new HostUse?[wanted.Length], (share, _, hosts) =>
        {
            foreach ((int number, HostCounts counts) in hosts)
                if (wanted[number]) (share[number] ??= new HostUse(store.Hosts[number - 1], store.Applications.Count)).Add(counts);
        });
        var all = new HostUse?[wanted.Length];
        foreach (HostUse share in shares.SelectMany(s => s).OfType<HostUse>()) (all[share.Host.Number] ??= new HostUse(share.Host, store.Applications.Count)).Add(share);
        return [.. all.OfType<HostUse>().OrderByDescending(h => h.Ports).ThenBy(h => h.Host.Number)];
    }

    void Add(HostCounts counts)
    {
        Samples++;
        Ports += counts.Ports;
        Most = Math.Max(Most, counts.Ports);
        for (int i = 0; i < _byApplication.Length; i++) _byApplication[i] += counts.ByApplication[i];
    }

    void Add(HostUse other)
    {
        Samples += other.Samples;
        Ports += other.Ports;
        Most = Math.Max(Most, other.Most);
        for (int i = 0; i < _byApplication.Length; i++) _byApplication[i] += other._byApplication[i];
    }
}
