using APlusP.Core.PortSets;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Memory;

/// <summary>What a verification saw.</summary>
/// <param name="Events">Events of the chain that were read.</param>
/// <param name="Blocks">Blocks that were compared with the events that made them.</param>
/// <param name="Head">Number and hash of the last event: note it elsewhere, and a chain that was cut short or rewritten whole shows.</param>
/// <param name="Faults">What is not as it was written; at most <see cref="Most"/> of them.</param>
sealed record Verification(long Events, long Blocks, string Head, IReadOnlyList<string> Faults)
{
    public const int Most = 100;

    /// <summary>Reads every event and every block. The registry may go on meanwhile.</summary>
    public static Verification Run(Session session)
    {
        // The chain, its head and the blocks must be of one moment.
        session.BeginSnapshot();
        try
        {
            var faults = new List<string>();
            (long events, string head) = CheckChain(session, faults);
            return new Verification(events, CheckBlocks(session, faults), head, faults);
        }
        finally
        {
            session.Rollback();
        }
    }

    static (long Events, string Head) CheckChain(Session session, List<string> faults)
    {
        (long seq, byte[] tail, long forgotten, byte[] hash) = session.One(
            "SELECT seq, hash, forgotten_seq, forgotten_hash FROM chain WHERE one = 1", r => (r.GetInt64(0), r.Bytes(1), r.GetInt64(2), r.Bytes(3)));
        long last = forgotten, events = 0;
        session.Each($"SELECT {RegistryEvent.Columns} FROM event ORDER BY seq", row =>
        {
            long number = row.GetInt64(0);
            if (number != last + 1) Add(faults, $"event {last + 1} is missing: the next that there is, is {number}");
            byte[] written = row.Bytes(10);
            if (!RegistryEvent.Read(row).Hash(hash, number, row.GetInt64(1)).AsSpan().SequenceEqual(written))
                Add(faults, $"event {number} ({row.GetString(2)} {row.GetString(3)}) is not what its hash was made of, or follows another event than it did");
            (last, hash, events) = (number, written, events + 1);
        });
        if (last != seq || !hash.AsSpan().SequenceEqual(tail)) Add(faults, $"the last event is {last}, but the chain ends with {seq}: events were taken from its end");
        return (events, $"{seq}:{Convert.ToHexStringLower(tail)}");
    }

    /// <summary>A block is as the event says that last altered it, and its lease's subscriber is the one of the event that opened it.</summary>
    static long CheckBlocks(Session session, List<string> faults)
    {
        long blocks = 0, forgotten = session.One("SELECT forgotten_seq FROM chain WHERE one = 1", r => r.GetInt64(0));
        string text = session.Database is PostgresDatabase ? "::text" : "";
        session.Each($"""
            SELECT b.id, b.address, b.ports{text}, b.valid_from, b.until, b.opened, b.altered, l.subscriber,
                o.at, o.address, o.ports, o.subject, o.subscriber, a.until, a.ports, a.subject, b.lease
            FROM block b LEFT JOIN lease l ON l.id = b.lease LEFT JOIN event o ON o.seq = b.opened LEFT JOIN event a ON a.seq = b.altered
            """, row =>
        {
            blocks++;
            string name = $"block {row.GetInt64(0)} of lease {row.GetString(16)}";
            if (row.Text(7) is not { } subscriber) Add(faults, $"{name} has no lease");
            else if (row.GetInt64(5) > forgotten && (row.Number(8) != row.GetInt64(3) || row.Number(9) != row.GetInt64(1) || row.Text(11) != row.GetString(16) || row.Text(12) != subscriber || !Holds(row.Text(10), row.GetString(2))))
                Add(faults, $"{name} ({subscriber}) is not as event {row.GetInt64(5)} says, which opened it");
            else if (row.GetInt64(6) > forgotten && (row.Number(13) != row.GetInt64(4) || row.Text(15) != row.GetString(16) || !Holds(row.Text(14), row.GetString(2))))
                Add(faults, $"{name} ({subscriber}) does not end as event {row.GetInt64(6)} says, which last altered it");
        });
        return blocks;
    }

    static bool Holds(string? whole, string part)
    {
        if (whole is null) return false;
        if (whole == part) return true;
        PortSet all = Rows.Ports(whole);
        return Rows.Ports(part).Ranges.All(range => all.Ranges.Any(r => r.First <= range.First && r.Last >= range.Last));
    }

    static void Add(List<string> faults, string fault)
    {
        if (faults.Count < Most) faults.Add(fault);
    }
}
