using System.Collections.Concurrent;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Survey.Counting;
using Microsoft.Data.Sqlite;

namespace APlusP.Survey.Storage;

/// <summary>Ticks: how they are added, and read again.</summary>
public sealed partial class SurveyStore
{
    readonly TickCodec _codec = new();

    // The last tick whose hosts are all known here: another process may add ticks while we read.
    long _lastKnown;

    /// <summary>Several samples as one change: all of them, or none.</summary>
    public void Together(Action work)
    {
        using SqliteTransaction transaction = _connection.BeginTransaction();
        work();
        transaction.Commit();
    }

    /// <summary>Adds a sample.</summary>
    /// <param name="rules">By which it was counted.</param>
    /// <exception cref="APlusPException">AP7007: there is one of that time. AP7004: the disk is full, or the like.</exception>
    public void Add(SampleTime time, TickCounts tick, ApplicationRules rules)
    {
        int[] columns = [.. rules.Names.Select(name => _applications.IndexOf(name))];
        var rows = new List<(int, HostCounts)>(tick.Hosts.Count);
        foreach ((HostAddress address, HostCounts counts) in tick.Hosts) rows.Add((NumberOf(address), counts));
        Insert(time, rows, columns, tick.Beyond);
    }

    /// <param name="columns">Our number of each application of the counts.</param>
    void Insert(SampleTime time, List<(int Host, HostCounts Counts)> rows, int[] columns, long beyond)
    {
        long ports4 = 0, ports6 = 0;
        foreach ((int host, HostCounts counts) in rows)
        {
            if (_hosts[host - 1].IsIPv6) ports6 += counts.Ports;
            else ports4 += counts.Ports;
        }

        rows.Sort((a, b) => a.Host.CompareTo(b.Host));
        try
        {
            Execute("INSERT INTO tick(at, period, hosts, ports4, ports6, beyond, counts) VALUES(@at, @period, @hosts, @ports4, @ports6, @beyond, @counts)",
                ("@at", time.At.ToUnixTimeMilliseconds()), ("@period", (long)time.Period.TotalMilliseconds), ("@hosts", rows.Count), ("@ports4", ports4), ("@ports6", ports6),
                ("@beyond", beyond), ("@counts", _codec.Write(rows, columns).ToArray()));
            _lastKnown = (long)Scalar("SELECT last_insert_rowid()")!;
        }
        catch (SqliteException error) when (error.SqliteErrorCode == SQLitePCL.raw.SQLITE_CONSTRAINT)
        {
            throw new APlusPException(ErrorCodes.SampleExists, $"the survey {Path} has a sample of {time.At:yyyy-MM-dd HH:mm:ss} UTC ({time.At.ToUnixTimeSeconds()}) already. Give another time by --at, or another store.", error);
        }
        catch (SqliteException error)
        {
            throw new APlusPException(ErrorCodes.SurveyStorage, $"the survey {Path} cannot be written: {error.Message}", error);
        }
    }

    int NumberOf(HostAddress address)
    {
        if (_known.TryGetValue(address, out int number)) return number;
        return _known[address] = NumberOf(_names!.NameOf(address), address.IsIPv6);
    }

    int NumberOf(string name, bool isIPv6)
    {
        if (_numbers.TryGetValue(name, out int number)) return number;
        number = _hosts.Count + 1;
        Execute("INSERT INTO host VALUES(@id, @family, @name)", ("@id", number), ("@family", isIPv6 ? 6 : 4), ("@name", name));
        Know(new StoredHost(number, isIPv6, name));
        return number;
    }

    /// <summary>Reads all ticks by time. The list and the counts in it are borrowed until the next one.</summary>
    /// <exception cref="APlusPException">AP7004: the store is damaged.</exception>
    public void Read(Action<SampleTime, IReadOnlyList<(int Host, HostCounts Counts)>> visit)
    {
        var hosts = new List<(int, HostCounts)>();
        try
        {
            foreach ((_, SampleTime time, _, byte[] counts) in Ticks())
            {
                _codec.Read(counts, _applications.Count, hosts);
                visit(time, hosts);
            }
        }
        catch (Exception error) when (IsDamage(error))
        {
            throw Damaged(error);
        }
    }

    /// <summary>
    /// Reads all ticks on all processors, for what does not depend on their order: each worker adds the ticks that it gets to a share of its own. Unpacking is nearly all of the
    /// work, and a week has thirty million counts.
    /// </summary>
    /// <param name="begin">Makes a share.</param>
    /// <param name="visit">Adds a tick to a share; says which tick it is by time, from 0. The list and the counts in it are borrowed until the next one.</param>
    /// <exception cref="APlusPException">AP7004: the store is damaged.</exception>
    public IReadOnlyList<T> ReadShares<T>(Func<T> begin, Action<T, int, IReadOnlyList<(int Host, HostCounts Counts)>> visit)
    {
        var shares = new List<T>();
        try
        {
            Parallel.ForEach(
                Partitioner.Create(Ticks(), EnumerablePartitionerOptions.NoBuffering),
                () => (Codec: new TickCodec(), Hosts: new List<(int, HostCounts)>(), Share: begin()),
                (tick, _, worker) =>
                {
                    worker.Codec.Read(tick.Counts, _applications.Count, worker.Hosts);
                    visit(worker.Share, tick.Index, worker.Hosts);
                    return worker;
                },
                worker =>
                {
                    lock (shares) shares.Add(worker.Share);
                });
        }
        catch (AggregateException errors) when (IsDamage(errors.InnerExceptions[0]))
        {
            throw Damaged(errors.InnerExceptions[0]);
        }

        return shares;
    }

    /// <summary>When the samples were taken, in the order in which they are read.</summary>
    public IReadOnlyList<DateTimeOffset> Times()
    {
        using SqliteCommand command = Command("SELECT at FROM tick WHERE id <= @last ORDER BY at", [("@last", _lastKnown)]);
        using SqliteDataReader reader = command.ExecuteReader();
        var times = new List<DateTimeOffset>();
        while (reader.Read()) times.Add(DateTimeOffset.FromUnixTimeMilliseconds(reader.GetInt64(0)));
        return times;
    }

    /// <summary>All ticks by time, or those after one, some at once: while a query is open nobody can write, and who adds a tick must not wait until all are unpacked.</summary>
    IEnumerable<(int Index, SampleTime Time, long Beyond, byte[] Counts)> Ticks(DateTimeOffset? since = null)
    {
        const int together = 256;
        var some = new List<(SampleTime Time, long Beyond, byte[] Counts)>(together);
        int index = 0;
        long after = since?.ToUnixTimeMilliseconds() ?? long.MinValue;
        do
        {
            some.Clear();
            using (SqliteCommand command = Command("SELECT at, period, beyond, counts FROM tick WHERE id <= @last AND at > @after ORDER BY at LIMIT @together", [("@last", _lastKnown), ("@after", after), ("@together", together)]))
            using (SqliteDataReader reader = command.ExecuteReader())
            {
                while (reader.Read())
                {
                    after = reader.GetInt64(0);
                    some.Add((new SampleTime(DateTimeOffset.FromUnixTimeMilliseconds(after), TimeSpan.FromMilliseconds(reader.GetInt64(1))), reader.GetInt64(2), (byte[])reader.GetValue(3)));
                }
            }

            foreach ((SampleTime time, long beyond, byte[] counts) in some) yield return (index++, time, beyond, counts);
        }
        while (some.Count == together);
    }

    static bool IsDamage(Exception error) => error is SqliteException or InvalidDataException or InvalidCastException;

    APlusPException Damaged(Exception error) => new(ErrorCodes.SurveyStorage, $"the survey {Path} is damaged: {error.Message}. Restore it from a backup.", error);
}
