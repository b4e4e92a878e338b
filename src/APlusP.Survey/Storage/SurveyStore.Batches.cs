using APlusP.Core;
using APlusP.Survey.Counting;
using APlusP.Survey.Sites;

namespace APlusP.Survey.Storage;

/// <summary>Samples that travel from one store into another: out by number, in by name, so that each store keeps its own numbers.</summary>
public sealed partial class SurveyStore
{
    const int LongestHostName = 64;

    /// <summary>Opens the store that holds what a site sends, and makes it where there is none. Its hosts are called as the site calls them; their key stays there.</summary>
    /// <exception cref="APlusPException">AP7004: it cannot be used. AP7005: the site calls its hosts otherwise now.</exception>
    public static SurveyStore OpenReplica(string path, SampleBatch of)
    {
        bool exists = File.Exists(path) && new FileInfo(path).Length > 0;
        if (!exists) MakeFile(path);
        return Guarded(path, Microsoft.Data.Sqlite.SqliteOpenMode.ReadWrite, store =>
        {
            if (!exists) store.MakeTables(of.HostsAre, of.Key);
            store.ReadTables(keyFile: null);
            if ((store.Meta("hosts"), store.Meta("key")) != (of.HostsAre, of.Key))
                throw new APlusPException(ErrorCodes.SurveySettings, $"its hosts were called by {store.Meta("hosts")} of another key until now, and would be others from now on. Put the site's store and its key back, or push as another site.");
        });
    }

    /// <summary>The samples after a time, so many at most; null where there are none.</summary>
    public SampleBatch? BatchAfter(DateTimeOffset? after, int most)
    {
        var hosts = new List<BatchHost>();
        var numbers = new Dictionary<int, int>();
        var samples = new List<BatchSample>();
        int[] columns = [.. Enumerable.Range(0, _applications.Count)];
        var read = new List<(int, HostCounts)>();
        foreach ((_, SampleTime time, long beyond, byte[] counts) in Ticks(after))
        {
            if (samples.Count == most) break;
            _codec.Read(counts, _applications.Count, read);
            var rows = new List<(int Host, HostCounts Counts)>(read.Count);
            foreach ((int host, HostCounts ofHost) in read)
            {
                if (!numbers.TryGetValue(host, out int number))
                {
                    hosts.Add(new BatchHost(_hosts[host - 1].IsIPv6 ? 6 : 4, _hosts[host - 1].Name));
                    numbers[host] = number = hosts.Count;
                }

                rows.Add((number, ofHost));
            }

            rows.Sort((a, b) => a.Host.CompareTo(b.Host));
            samples.Add(new BatchSample(time.At.ToUnixTimeMilliseconds(), (long)time.Period.TotalMilliseconds, beyond, _codec.Write(rows, columns).ToArray()));
        }

        return samples.Count == 0 ? null : new SampleBatch(Meta("hosts")!, Meta("key")!, _applications, hosts, samples);
    }

    /// <summary>Adds the samples of a batch that are later than all that are there, all of them or none; gives how many.</summary>
    /// <exception cref="InvalidDataException">Something in it is none.</exception>
    public int Add(SampleBatch batch)
    {
        foreach (BatchHost host in batch.Hosts)
            if (host.Family is not (4 or 6) || host.Name is not { Length: > 0 and <= LongestHostName } || !host.Name.All(c => c is > ' ' and <= '~')) throw new InvalidDataException($"'{host.Name}' of family {host.Family} is no host");
        foreach (string name in batch.Applications)
            if (!ApplicationRules.IsName(name)) throw new InvalidDataException($"'{name}' is no application");
        int added = 0;
        Together(() =>
        {
            foreach (string name in batch.Applications.Except(_applications).ToArray()) AddApplication(name);
            int[] columns = [.. batch.Applications.Select(name => _applications.IndexOf(name))];
            long last = Last?.ToUnixTimeMilliseconds() ?? long.MinValue;
            var read = new List<(int Host, HostCounts Counts)>();
            foreach (BatchSample sample in batch.Samples)
            {
                SampleTime time = TimeOf(sample);
                _codec.Read(sample.Counts, batch.Applications.Count, read, batch.Hosts.Count);
                if (sample.At <= last) continue;
                var rows = new List<(int, HostCounts)>(read.Count);
                foreach ((int host, HostCounts counts) in read)
                {
                    if (host < 1 || host > batch.Hosts.Count) throw new InvalidDataException("a sample counts a host that the batch does not name");
                    if (!counts.IsSound) throw new InvalidDataException("a sample has counts below zero");
                    rows.Add((NumberOf(batch.Hosts[host - 1].Name, batch.Hosts[host - 1].Family == 6), counts));
                }

                Insert(time, rows, columns, sample.Beyond);
                last = sample.At;
                added++;
            }
        });
        return added;
    }

    static SampleTime TimeOf(BatchSample sample)
    {
        const long latest = 253_402_300_799_000, longest = 366L * 86_400_000;
        return sample.At is >= 0 and <= latest && sample.Period is > 0 and <= longest && sample.Beyond >= 0
            ? new SampleTime(DateTimeOffset.FromUnixTimeMilliseconds(sample.At), TimeSpan.FromMilliseconds(sample.Period))
            : throw new InvalidDataException($"a sample is of {sample.At} ms since 1970, for {sample.Period} ms");
    }
}
