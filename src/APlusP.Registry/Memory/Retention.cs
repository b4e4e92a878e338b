using APlusP.Registry.Storage;

namespace APlusP.Registry.Memory;

/// <summary>
/// Forgets what is older than the operator keeps: events from the beginning of the chain, and leases that ended before. The hash of the last event that
/// goes stays, so that the rest can be verified; that events were forgotten is an event itself.
/// </summary>
static class Retention
{
    /// <summary>Forgets at most so many events and leases at once; gives whether there may be more.</summary>
    public static bool Forget(Transaction transaction, DateTimeOffset before, int most)
    {
        Session session = transaction.Session;
        long horizon = before.ToUnixTimeMilliseconds();
        (long seq, long at, byte[] hash, long count) last = session.One(
            $"SELECT seq, at, hash FROM event WHERE at < @horizon AND seq <= (SELECT forgotten_seq + {most} FROM chain WHERE one = 1) ORDER BY seq DESC LIMIT 1",
            r => (r.GetInt64(0), r.GetInt64(1), r.Bytes(2), 1L), ("horizon", horizon));
        List<string> leases = session.All($"SELECT id FROM lease WHERE ended < @horizon AND NOT EXISTS (SELECT 1 FROM block b WHERE b.lease = lease.id AND b.reclaimed = 0) LIMIT {most}", r => r.GetString(0), ("horizon", horizon));
        foreach (string lease in leases)
        {
            session.Execute("DELETE FROM block WHERE lease = @lease", ("lease", lease));
            session.Execute("DELETE FROM lease WHERE id = @lease", ("lease", lease));
        }

        if (last.count == 0) return leases.Count == most;
        int gone = session.Execute("DELETE FROM event WHERE seq <= @seq", ("seq", last.seq));
        session.Execute("UPDATE chain SET forgotten_seq = @seq, forgotten_at = @at, forgotten_hash = @hash WHERE one = 1", ("seq", last.seq), ("at", last.at), ("hash", last.hash));
        transaction.Append(new RegistryEvent("forgotten", $"events to {last.seq}", null, null, null, null, last.at, "registry"));
        return gone == most || leases.Count == most;
    }
}
