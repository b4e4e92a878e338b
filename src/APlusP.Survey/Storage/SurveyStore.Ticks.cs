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
        long ports4 = 0, ports6 = 0;
        foreach ((HostAddress address, HostCounts counts) in tick.Hosts)
        {
            if (address.IsIPv6) ports6 += counts.Ports;
            else ports4 += counts.Ports;
            rows.Add((NumberOf(address), counts));
        }

        rows.Sort((a, b) => a.Item1.CompareTo(b.Item1));
        try
        {
            Execute("INSERT INTO tick(at, period, hosts, ports4, ports6, beyond, counts) VALUES(@at, @period, @hosts, @ports4, @ports6, @beyond, @counts)",
                ("@at", time.At.ToUnixTimeMilliseconds()), ("@period", (long)time.Period.TotalMilliseconds), ("@hosts", rows.Count), ("@ports4", ports4), ("@ports6", ports6),
                ("@beyond", tick.Beyond), ("@counts", _codec.Write(rows, columns).ToArray()));
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
        string name = _names!.NameOf(address);
        if (!_numbers.TryGetValue(name, out number))
        {
            number = _hosts.Count + 1;
            Execute("INSERT INTO host VALUES(@id, @family, @name)", ("@id", number), ("@family", address.IsIPv6 ? 6 : 4), ("@name", name));
            Know(new StoredHost(number, address.IsIPv6, name));
        }

        return _known[address] = number;
    }

    /// <summary>Reads all ticks by time. The list and the counts in it are borrowed until the next one.</summary>
    /// <exception cref="APlusPException">AP7004: the store is damaged.</exception>
    public void Read(Action<SampleTime, IReadOnlyList<(int Host, HostCounts Counts)>> visit)
    {
        var hosts = new List<(int, HostCounts)>();
        try
        {
            foreach ((_, SampleTime time, byte[] counts) in Ticks())
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

    /// <summary>All ticks by time, some at once: while a query is open nobody can write, and who adds a tick must not wait until all are unpacked.</summary>
    IEnumerable<(int Index, SampleTime Time, byte[] Counts)> Ticks()
    {
        const int together = 256;
        var some = new List<(SampleTime Time, byte[] Counts)>(together);
        int index = 0;
        long after = long.MinValue;
        do
        {
            some.Clear();
            using (SqliteCommand command = Command("SELECT at, period, counts FROM tick WHERE id <= @last AND at > @after ORDER BY at LIMIT @together", [("@last", _lastKnown), ("@after", after), ("@together", together)]))
            using (SqliteDataReader reader = command.ExecuteReader())
            {
                while (reader.Read())
                {
                    after = reader.GetInt64(0);
                    some.Add((new SampleTime(DateTimeOffset.FromUnixTimeMilliseconds(after), TimeSpan.FromMilliseconds(reader.GetInt64(1))), (byte[])reader.GetValue(2)));
                }
            }

            foreach ((SampleTime time, byte[] counts) in some) yield return (index++, time, counts);
        }
        while (some.Count == together);
    }

    static bool IsDamage(Exception error) => error is SqliteException or InvalidDataException or InvalidCastException;

    APlusPException Damaged(Exception error) => new(ErrorCodes.SurveyStorage, $"the survey {Path} is damaged: {error.Message}. Restore it from a backup.", error);
}
