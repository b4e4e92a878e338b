using APlusP.Core.Addresses;
using APlusP.Registry.Allocation;

namespace APlusP.Registry.Leases;

/// <summary>What time does to leases: they expire, and ports come out of their hold-down.</summary>
sealed partial class LeaseBook
{
    /// <summary>Rows that one transaction touches at most, so that nobody waits long behind it.</summary>
    public const int WorkAtOnce = 256;

    /// <summary>Ends leases whose time is over, the longest over first; gives how many.</summary>
    public int ExpireOverdue(int most)
    {
        List<Lease> overdue = _session.All($"SELECT {Lease.Columns} FROM lease WHERE ended IS NULL AND until <= @now ORDER BY until LIMIT {most}", Lease.Read, ("now", _now));
        foreach (Lease lease in overdue) Expire(lease);
        return overdue.Count;
    }

    /// <summary>Makes ports free whose hold-down is over; gives how many blocks.</summary>
    public int Reclaim(int most)
    {
        List<(long Block, long Address, UnitRun Run, string Lease)> rested = _session.All(
            $"SELECT id, address, first_unit, unit_count, lease FROM block WHERE reclaimed = 0 AND free_at <= @now ORDER BY free_at LIMIT {most}",
            r => (r.GetInt64(0), r.GetInt64(1), new UnitRun((int)r.GetInt64(2), (int)r.GetInt64(3)), r.GetString(4)), ("now", _now));
        foreach (var address in rested.GroupBy(b => b.Address))
        {
            (byte[] taken, long units) = _session.One("SELECT a.taken, p.units FROM address a JOIN pool p ON p.name = a.pool WHERE a.address = @address", r => ((byte[])r.GetValue(0), r.GetInt64(1)), ("address", address.Key));
            UnitMap map = UnitMap.Of((int)units, taken);
            foreach (var block in address)
            {
                map.GiveBack(block.Run);
                _session.Execute("UPDATE block SET reclaimed = 1 WHERE id = @id", ("id", block.Block));
            }

            // What is reserved stays taken, whoever had it.
            foreach (UnitRun kept in _session.All("SELECT first_unit, unit_count FROM reservation WHERE address = @address", r => new UnitRun((int)r.GetInt64(0), (int)r.GetInt64(1)), ("address", address.Key)))
                map.TryTake(kept);
            Save(address.Key, map);
        }

        return rested.Count;
    }
}
