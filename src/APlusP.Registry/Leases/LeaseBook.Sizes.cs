using APlusP.Core;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Leases;

/// <summary>Leases that grow and shrink by blocks while they are in use (RFC 6346 section 5.2).</summary>
sealed partial class LeaseBook
{
    /// <summary>Adds ports of the same address, next to those that it has where that can be.</summary>
    /// <param name="id">The lease.</param>
    /// <param name="ports">How many, rounded up to blocks; null for the step of its class. Less is given where the limit is near.</param>
    public Lease Grow(string id, int? ports)
    {
        (Lease lease, Pool pool, SubscriberClass subscribers) = Changeable(id);
        int more = LeasePolicy.GrowthOf(subscribers, pool, lease.Units, ports);
        if (more == 0)
            throw new Refusal(ErrorCodes.LeaseLimit, $"The lease of {lease.Subscriber} has {lease.Ports.Count} ports, which is the most for class '{subscribers.Name}'. Raise the class's limit, or give the subscriber another class.");
        RefuseHoarding(lease.Subscriber, subscribers, pool, more);
        List<(UnitRun Run, long Id)> blocks = Blocks(lease);
        IReadOnlyList<UnitRun>? runs;
        do
        {
            UnitMap map = MapOf(lease.Address);
            runs = map.Take(more, blocks[^1].Run.End - 1);
            if (runs is not null) Save(lease.Address, map);
        }
        while (runs is null && Reclaim(WorkAtOnce) > 0);
        if (runs is null)
            throw new Refusal(ErrorCodes.PoolExhausted, $"The address {lease.Address} has no {more * pool.Layout.UnitSize} ports left, and a lease has one address. The lease stays as it is; ask again when others have given theirs back.") { RetryAfter = policy.HoldDown };

        return Add(lease, pool, blocks, runs);
    }

    Lease Add(Lease lease, Pool pool, List<(UnitRun Run, long Id)> blocks, IReadOnlyList<UnitRun> runs)
    {
        PortSet added = pool.Layout.PortsOf(runs);
        Lease grown = Resized(lease, pool, [.. blocks.Select(b => b.Run), .. runs]);
        long seq = transaction.Append(Event("grown", lease) with { Ports = Rows.Multirange(added) });
        foreach (UnitRun run in runs) Open(grown, pool.Layout.PortsOf(run), run, seq);
        return grown;
    }

    /// <summary>Gives back the ports that came last; they rest like those of a lease that ended.</summary>
    /// <inheritdoc cref="Grow"/>
    public Lease Shrink(string id, int? ports)
    {
        (Lease lease, Pool pool, SubscriberClass subscribers) = Changeable(id);
        int less = LeasePolicy.ShrinkageOf(subscribers, pool, lease.Units, ports);
        List<(UnitRun Run, long Id)> blocks = Blocks(lease), kept = [.. blocks], gone = [];
        while (kept.Count > 1 && gone.Sum(b => b.Run.Count) + kept[^1].Run.Count <= less)
        {
            gone.Add(kept[^1]);
            kept.RemoveAt(kept.Count - 1);
        }

        if (gone.Count == 0)
            throw new Refusal(ErrorCodes.LeaseLimit, $"The lease of {lease.Subscriber} has {lease.Ports.Count} ports, of which it can give back none: a class keeps what it begins with, and ports go in the blocks that they came in. DELETE /v1/leases/{id} ends it.");
        Lease shrunk = Resized(lease, pool, [.. kept.Select(b => b.Run)]);
        long seq = transaction.Append(Event("shrunk", lease) with { Ports = Rows.Multirange(pool.Layout.PortsOf([.. gone.Select(b => b.Run).OrderBy(r => r.First)])), Until = _now });
        foreach ((_, long block) in gone)
            _session.Write("UPDATE block SET until = @now, free_at = @free, altered = @seq WHERE id = @id", ("now", _now), ("free", _now + HoldDown), ("seq", seq), ("id", block));
        return shrunk;
    }

    (Lease Lease, Pool Pool, SubscriberClass Class) Changeable(string id)
    {
        Lease lease = Living(id);
        Pool pool = policy.PoolOf(lease.Address)
            ?? throw new Refusal(ErrorCodes.LeaseLimit, $"The address {lease.Address} of lease '{id}' is in no pool of this registry any more, so the lease can be renewed and released only.");
        TimeSpan wait = policy.WaitAfter(lease.Changed, Now);
        if (wait > TimeSpan.Zero)
            throw new Refusal(ErrorCodes.TooSoon, $"The lease '{id}' changed {(Now - lease.Changed!.Value).TotalSeconds:0} s ago and changes once in {policy.ChangeInterval.TotalSeconds:0} s (RFC 6346 section 5.2). Ask again in {Math.Ceiling(wait.TotalSeconds)} s.") { RetryAfter = wait };
        return (lease, pool, Class(lease.Class));
    }

    /// <summary>The blocks of the pool that a lease has now, as they came.</summary>
    List<(UnitRun Run, long Id)> Blocks(Lease lease) => _session.All(
        "SELECT first_unit, unit_count, id FROM block WHERE lease = @lease AND until = @until AND unit_count > 0 ORDER BY id",
        r => (new UnitRun((int)r.GetInt64(0), (int)r.GetInt64(1)), r.GetInt64(2)), ("lease", lease.Id), ("until", lease.Until.ToUnixTimeMilliseconds()));

    Lease Resized(Lease lease, Pool pool, IReadOnlyList<UnitRun> runs)
    {
        Lease resized = lease with { Ports = Joined(pool.Layout.PortsOf([.. runs.OrderBy(r => r.First)]), PortsGiven(lease.Subscriber, lease.Address)), Units = runs.Sum(r => r.Count), Changed = Now };
        _session.Write("UPDATE lease SET ports = @ports, units = @units, changed = @now WHERE id = @id",
            ("ports", resized.Ports.ToString()), ("units", (long)resized.Units), ("now", _now), ("id", lease.Id));
        return resized;
    }
}
