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
        List<(long Block, IPv4Address Address, UnitRun Run)> rested = _session.All(
            $"SELECT id, address, first_unit, unit_count FROM block WHERE reclaimed = 0 AND free_at <= @now ORDER BY free_at LIMIT {most}",
            r => (r.GetInt64(0), new IPv4Address((uint)r.GetInt64(1)), new UnitRun((int)r.GetInt64(2), (int)r.GetInt64(3))), ("now", _now));
        foreach (var address in rested.GroupBy(b => b.Address))
        {
            UnitMap map = MapOf(address.Key);
            foreach (var block in address)
            {
                map.GiveBack(block.Run);
                _session.Write("UPDATE block SET reclaimed = 1 WHERE id = @id", ("id", block.Block));
            }

            // What is reserved stays taken, whoever had it.
            foreach (UnitRun kept in _session.All("SELECT first_unit, unit_count FROM reservation WHERE address = @address", r => new UnitRun((int)r.GetInt64(0), (int)r.GetInt64(1)), ("address", (long)address.Key.Value)))
                map.TryTake(kept);
            Save(address.Key, map);
        }

        return rested.Count;
    }
}
