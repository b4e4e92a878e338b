using APlusP.Core;
using APlusP.Registry.Allocation;

namespace APlusP.Registry.Storage;

/// <summary>Brings the rows of pools and their addresses into agreement with what the operator configured.</summary>
static class Pools
{
    /// <summary>Makes what is missing. Addresses that another pool of the same layout had move over, with everything on them.</summary>
    /// <exception cref="APlusPException">AP6004: an address is in use under another layout.</exception>
    public static void Establish(Session session, IReadOnlyList<Pool> pools)
    {
        foreach (Pool pool in pools)
        {
            long first = pool.Prefix.Address.Value, last = pool.Prefix.Last.Value;
            foreach ((string name, string layout, long units) in session.All(
                "SELECT p.name, p.layout, p.units FROM pool p WHERE EXISTS (SELECT 1 FROM address a WHERE a.pool = p.name AND a.address BETWEEN @first AND @last)",
                r => (r.GetString(0), r.GetString(1), r.GetInt64(2)), ("first", first), ("last", last)))
            {
                if (layout == pool.Layout.ToString())
                {
                    session.Execute("UPDATE address SET pool = @new WHERE pool = @old AND address BETWEEN @first AND @last", ("new", pool.Name), ("old", name), ("first", first), ("last", last));
                    continue;
                }

                if (session.One("SELECT COUNT(*) FROM address WHERE pool = @old AND free <> @units AND address BETWEEN @first AND @last", r => r.GetInt64(0), ("old", name), ("units", units), ("first", first), ("last", last)) is var used and > 0)
                    throw new APlusPException(ErrorCodes.PoolContradicts, $"the pool {pool.Name} is to be divided into {pool.Layout}, but {used:N0} of its addresses are in use as {layout}. Keep that until their leases have ended, or give the new layout other addresses.");
                session.Execute("DELETE FROM address WHERE pool = @old AND address BETWEEN @first AND @last", ("old", name), ("first", first), ("last", last));
            }

            session.Execute("INSERT INTO pool VALUES(@name, @layout, @units) ON CONFLICT(name) DO UPDATE SET layout = excluded.layout, units = excluded.units",
                ("name", pool.Name), ("layout", pool.Layout.ToString()), ("units", (long)pool.Layout.UnitCount));
            session.Execute("""
                INSERT INTO address(address, pool, free, taken)
                WITH RECURSIVE every(a) AS (SELECT CAST(@first AS BIGINT) UNION ALL SELECT a + 1 FROM every WHERE a < @last)
                SELECT a, @pool, @units, @taken FROM every WHERE a NOT IN (SELECT address FROM address WHERE address BETWEEN @first AND @last)
                """,
                ("first", first), ("last", last), ("pool", pool.Name), ("units", (long)pool.Layout.UnitCount), ("taken", UnitMap.Empty(pool.Layout.UnitCount).ToBytes()));
        }
    }
}
