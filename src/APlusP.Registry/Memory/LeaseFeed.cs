using System.Data.Common;
using APlusP.Registry.Leases;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Memory;

/// <summary>What a softwire has now: the ports of an address until a time; or nothing any more.</summary>
/// <param name="Softwire">The SMAP's end.</param>
/// <param name="Address">The IPv4 address as a number; null where it has no lease.</param>
/// <param name="Ports">In the form of a bindings-file.</param>
/// <param name="Until">In ms since 1970.</param>
/// <param name="Names">Names of its subscriber's web servers.</param>
readonly record struct FedLease(string Softwire, long? Address, string? Ports, long Until, IReadOnlyList<ServerName> Names);

/// <summary>What changed between two versions.</summary>
/// <param name="Leases">Each softwire that something happened to, as it is at the later one.</param>
/// <param name="Version">The later one.</param>
/// <param name="At">When its last event was, in ms since 1970.</param>
sealed record FedChanges(IReadOnlyList<FedLease> Leases, FeedVersion Version, long At);

/// <summary>The leases as PRRs follow them. Changes are told as what a softwire has after them, so whoever missed how it came to that misses nothing.</summary>
static class LeaseFeed
{
    /// <summary>Who is further behind gets everything anew, which then is less.</summary>
    const int MostBehind = 100_000;

    /// <summary>The registry's version, and when its last event was.</summary>
    public static (FeedVersion Version, long At) Head(Session session) =>
        session.One("SELECT seq, hash, at FROM chain WHERE one = 1", r => (FeedVersion.Of(r.GetInt64(0), r.Bytes(1)), r.GetInt64(2)));

    /// <summary>Why changes cannot be told from a version on; null where they can.</summary>
    public static string? WhyNotFrom(Session session, FeedVersion after)
    {
        (FeedVersion head, FeedVersion forgotten) = session.One("SELECT seq, hash, forgotten_seq, forgotten_hash FROM chain WHERE one = 1",
            r => (FeedVersion.Of(r.GetInt64(0), r.Bytes(1)), FeedVersion.Of(r.GetInt64(2), r.Bytes(3))));
        if (after == head) return null;
        if (after.Seq > head.Seq) return $"version {after} is later than all that this database knows, which ends at {head}: it was restored from an older copy, or is another";
        if (after.Seq < forgotten.Seq) return $"events up to {forgotten.Seq} are forgotten (retention-days)";
        if (head.Seq - after.Seq > MostBehind) return $"{head.Seq - after.Seq:N0} events have happened since version {after}";
        FeedVersion known = after.Seq == forgotten.Seq ? forgotten : session.One("SELECT hash FROM event WHERE seq = @seq", r => FeedVersion.Of(after.Seq, r.Bytes(0)), ("seq", after.Seq));
        return known == after ? null : $"version {after} is of another history than this database's: it was restored from an older copy, or is another";
    }

    /// <summary>What changed since a version; null where that cannot be told.</summary>
    public static FedChanges? Since(Session session, FeedVersion after)
    {
        // The events and the leases must be of one moment: ports that one lease gave up may be another's in the next event.
        session.BeginSnapshot();
        try
        {
            if (WhyNotFrom(session, after) is not null) return null;
            (FeedVersion head, long at) = Head(session);
            if (head == after) return new FedChanges([], head, at);
            const string span = "e.seq > @after AND e.seq <= @head AND e.softwire IS NOT NULL";
            ILookup<string, ServerName> names = Web(session.All(
                $"SELECT {ServerName.Columns} FROM server_name WHERE subscriber IN (SELECT e.subscriber FROM event e WHERE {span})", ServerName.Read, ("after", after.Seq), ("head", head.Seq)));
            List<FedLease> leases = session.All(
                $"SELECT DISTINCT e.softwire, l.address, l.ports, l.until, l.subscriber FROM event e LEFT JOIN lease l ON l.softwire = e.softwire AND l.ended IS NULL WHERE {span}",
                row => Read(row, names), ("after", after.Seq), ("head", head.Seq));
            return new FedChanges(leases, head, at);
        }
        finally
        {
            session.Rollback();
        }
    }

    /// <summary>Every lease of one moment, row by row.</summary>
    /// <param name="session">A session for this alone.</param>
    /// <param name="begin">Told how many leases there are before the first.</param>
    /// <param name="each">Told each.</param>
    /// <returns>The version that they are of, and when its last event was.</returns>
    public static (FeedVersion Version, long At) All(Session session, Action<long> begin, Action<FedLease> each)
    {
        session.BeginSnapshot();
        try
        {
            (FeedVersion, long) head = Head(session);
            begin(session.One("SELECT COUNT(*) FROM lease WHERE ended IS NULL", r => r.GetInt64(0)));
            ILookup<string, ServerName> names = Web(session.All($"SELECT {ServerName.Columns} FROM server_name", ServerName.Read));
            session.Each("SELECT softwire, address, ports, until, subscriber FROM lease WHERE ended IS NULL", row => each(Read(row, names)));
            return head;
        }
        finally
        {
            session.Rollback();
        }
    }

    static ILookup<string, ServerName> Web(List<ServerName> names) => names.Where(n => n.IsWeb).ToLookup(n => n.Subscriber, StringComparer.Ordinal);

    static FedLease Read(DbDataReader row, ILookup<string, ServerName> names) =>
        new(row.GetString(0), row.Number(1), row.Text(2), row.Number(3) ?? 0, names.Count > 0 && row.Text(4) is { } subscriber && names.Contains(subscriber) ? [.. names[subscriber]] : []);
}
