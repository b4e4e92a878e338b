using APlusP.Core;
using APlusP.Survey.Counting;

namespace APlusP.Survey.Storage;

/// <summary>
/// Several surveys as one. Their samples are a period apart each, and not at the same moments: each survey's are put on common ones, by the nearest of its own. A host is called
/// SITE/NAME, since the same address, or even pseudonym, at two sites is two hosts.
/// </summary>
public sealed partial class SurveyStore
{
    /// <summary>A site's samples as they are taken off, one by one.</summary>
    sealed class MergedSite(string name, SurveyStore store, long period) : IDisposable
    {
        readonly IEnumerator<(int Index, SampleTime Time, long Beyond, byte[] Counts)> _ticks = store.Ticks().GetEnumerator();
        readonly TickCodec _codec = new();
        long _phase = -1;

        public string Name => name;

        public SurveyStore Store => store;

        /// <summary>The common moment that the next sample belongs to; null behind the last.</summary>
        public long? Slot { get; private set; }

        /// <summary>Samples that came a second time to one moment.</summary>
        public int LeftOut { get; private set; }

        public long Beyond => _ticks.Current.Beyond;

        public bool Next()
        {
            long? before = Slot;
            while (_ticks.MoveNext())
            {
                long at = _ticks.Current.Time.At.ToUnixTimeMilliseconds();
                if (_phase < 0) _phase = at % period;
                Slot = (at - _phase + period / 2) / period;
                if (Slot != before) return true;
                LeftOut++;
            }

            Slot = null;
            return false;
        }

        public void Read(List<(int Host, HostCounts Counts)> hosts) => _codec.Read(_ticks.Current.Counts, store._applications.Count, hosts);

        public void Dispose() => _ticks.Dispose();
    }

    /// <summary>Makes a store of several; gives how many samples of each found no place.</summary>
    /// <param name="path">Of the new store.</param>
    /// <param name="sites">What goes into it, by name.</param>
    /// <exception cref="APlusPException">AP7004: there is such a store already. AP7005: their periods are not one.</exception>
    public static IReadOnlyList<(string Site, int LeftOut)> Merge(string path, IReadOnlyList<(string Name, SurveyStore Store)> sites)
    {
        if (File.Exists(path)) throw new APlusPException(ErrorCodes.SurveyStorage, $"{path} is there already, and a merged survey begins anew. Delete it, or choose another name.");
        string hostsAre = sites.All(s => s.Store.Meta("hosts") == HostNames.Addresses) ? HostNames.Addresses : HostNames.Pseudonyms;
        (string Name, long Period)[] periods = [.. sites.Where(s => s.Store.Samples > 0).Select(s => (s.Name, (long)s.Store.Scalar("SELECT period FROM tick ORDER BY at LIMIT 1")!))];
        if (periods.Select(p => p.Period).Distinct().Count() > 1)
            throw new APlusPException(ErrorCodes.SurveySettings, $"these surveys have different periods ({string.Join(", ", periods.Select(p => $"{p.Name}: {p.Period / 1000.0:0.###} s"))}), so their samples are of different moments. Merge those of one period.");
        long period = periods.Length == 0 ? 1 : periods[0].Period;
        MakeFile(path);
        using SurveyStore store = Guarded(path, Microsoft.Data.Sqlite.SqliteOpenMode.ReadWrite, store =>
        {
            store.MakeTables(hostsAre, "merged");
            store.ReadTables(keyFile: null);
        });
        MergedSite[] merged = [.. sites.Select(s => new MergedSite(s.Name, s.Store, period))];
        try
        {
            store.Together(() => store.Take(merged, period));
        }
        finally
        {
            foreach (MergedSite site in merged) site.Dispose();
        }

        return [.. merged.Select(m => (m.Name, m.LeftOut))];
    }

    void Take(MergedSite[] sites, long period)
    {
        foreach (string name in sites.SelectMany(s => s.Store._applications).Distinct()) AddApplication(name);
        int[] columns = [.. Enumerable.Range(0, _applications.Count)];
        var read = new List<(int Host, HostCounts Counts)>();
        var rows = new List<(int, HostCounts)>();
        foreach (MergedSite site in sites) site.Next();
        while (sites.Min(s => s.Slot) is { } slot)
        {
            rows.Clear();
            long beyond = 0;
            MergedSite[] here = [.. sites.Where(s => s.Slot == slot)];
            foreach (MergedSite site in here)
            {
                site.Read(read);
                beyond += site.Beyond;
                foreach ((int number, HostCounts counts) in read)
                {
                    StoredHost host = site.Store._hosts[number - 1];
                    rows.Add((NumberOf($"{site.Name}/{host.Name}", host.IsIPv6), WithColumns(counts, site.Store._applications)));
                }
            }

            Insert(new SampleTime(DateTimeOffset.FromUnixTimeMilliseconds(slot * period), TimeSpan.FromMilliseconds(period)), rows, columns, beyond);
            foreach (MergedSite site in here) site.Next();
        }
    }

    /// <summary>Counts whose applications are in our order.</summary>
    HostCounts WithColumns(HostCounts counts, List<string> applications)
    {
        int[] ours = new int[_applications.Count];
        for (int i = 0; i < applications.Count; i++) ours[_applications.IndexOf(applications[i])] = counts.ByApplication[i];
        var moved = new HostCounts { Ports = counts.Ports, MinimumPorts = counts.MinimumPorts, PeakPorts = counts.PeakPorts, Flows = counts.Flows, ByApplication = ours };
        counts.ByProtocol.CopyTo(moved.ByProtocol, 0);
        counts.ByState.CopyTo(moved.ByState, 0);
        return moved;
    }
}
