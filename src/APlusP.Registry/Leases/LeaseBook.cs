using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Leases;

/// <summary>The changes of leases, within one transaction: each is judged whole before the first row is written.</summary>
/// <param name="transaction">Where it happens.</param>
/// <param name="policy">By what rules.</param>
/// <param name="actor">Who asks, for the memory.</param>
sealed partial class LeaseBook(Transaction transaction, LeasePolicy policy, string actor)
{
    readonly Session _session = transaction.Session;
    readonly long _now = transaction.Now;

    long HoldDown => (long)policy.HoldDown.TotalMilliseconds;

    /// <summary>The moment of this change.</summary>
    public DateTimeOffset Now => Rows.Time(_now);

    /// <summary>The lease of a subscriber: the one that it has, else a new one.</summary>
    /// <param name="subscriber">Who.</param>
    /// <param name="softwire">Where its SMAP is; another than before moves the lease there.</param>
    /// <param name="className">Its class; null for that of the lease that it has, or <see cref="SubscriberClass.Default"/>.</param>
    /// <param name="exactly">The very ports that it is to have; null for those that the registry chooses.</param>
    public (Lease Lease, bool New) Grant(string subscriber, IPv6Address softwire, string? className, (IPv4Address Address, PortSet Ports)? exactly = null)
    {
        // Before ports are taken: what is refused has taken none.
        RefuseSoftwireOfAnother(subscriber, softwire);
        (Lease lease, bool isNew) = Give(subscriber, (_, _) => softwire, className, exactly);
        return (lease.Softwire == softwire ? lease : Move(lease, softwire), isNew);
    }

    /// <summary>The same for a subscriber whose softwire follows from what it gets. The lease that it has stays where it is.</summary>
    /// <param name="subscriber">Who.</param>
    /// <param name="softwireOf">Its SMAP's address by IPv4 address and ports.</param>
    /// <param name="className">Its class, as above.</param>
    public (Lease Lease, bool New) Grant(string subscriber, Func<IPv4Address, PortSet, IPv6Address> softwireOf, string? className) => Give(
        subscriber,
        (address, ports) =>
        {
            IPv6Address softwire = softwireOf(address, ports);
            RefuseSoftwireOfAnother(subscriber, softwire);
            return softwire;
        },
        className, exactly: null);

    (Lease Lease, bool New) Give(string subscriber, Func<IPv4Address, PortSet, IPv6Address> softwireOf, string? className, (IPv4Address Address, PortSet Ports)? exactly, RangeTerms? range = null)
    {
        Lease? last = _session.One($"SELECT {Lease.Columns} FROM lease WHERE subscriber = @subscriber ORDER BY valid_from DESC, ended IS NULL DESC LIMIT 1", Lease.Read, ("subscriber", subscriber));
        if (last is { Ended: null } && last.Until <= Now) last = Expire(last);
        SubscriberClass? asked = className is null ? null : Class(className);
        if (last is { Ended: null })
        {
            if (asked is not null && last.Class != asked.Name && range is null)
                throw new Refusal(ErrorCodes.LeaseConflict, $"{subscriber} has a lease of class '{last.Class}', not '{asked.Name}'. Release lease {last.Id} first, or leave out the class.");
            if (exactly is { } other && (last.Address != other.Address || !last.Ports.Ranges.SequenceEqual(Joined(other.Ports, PortsGiven(subscriber, other.Address)).Ranges)))
                throw new Refusal(ErrorCodes.LeaseConflict, $"{subscriber} has a lease of {last.Ports} of {last.Address}, not {other.Ports} of {other.Address}. Release lease {last.Id} first.");
            return (last, false);
        }

        SubscriberClass subscribers = asked ?? Class(SubscriberClass.Default);
        (IPv4Address address, PoolLayout layout, IReadOnlyList<UnitRun> runs, Action take) = exactly is { } wanted
            ? Exactly(subscriber, subscribers, wanted.Address, wanted.Ports)
            : range is { } terms ? RangeFor(subscriber, last, subscribers, terms)
            : Reserved(subscriber) ?? Resting(last, subscribers) ?? Choose(last, subscribers);
        PortSet ports = layout.PortsOf(runs);

        // The last thing that may refuse, and so before they are taken.
        IPv6Address softwire = softwireOf(address, ports);
        take();
        List<ServicePort> given = PortsGiven(subscriber, address);
        var lease = new Lease
        {
            Id = Guid.CreateVersion7(Now).ToString("N"),
            Subscriber = subscriber,
            Class = subscribers.Name,
            Softwire = softwire,
            Address = address,
            Ports = Joined(ports, given),
            Units = runs.Sum(r => r.Count),
            From = Now,
            Until = Now + (range?.Time ?? policy.LeaseTime),
        };
        long seq = Remember("granted", lease);
        _session.Write(
            $"INSERT INTO lease({Lease.Columns}) VALUES(@id, @subscriber, @class, @softwire, @address, @ports, @units, @from, @until, NULL, NULL)",
            ("id", lease.Id), ("subscriber", lease.Subscriber), ("class", lease.Class), ("softwire", lease.Softwire.ToString()), ("address", (long)address.Value),
            ("ports", lease.Ports.ToString()), ("units", (long)lease.Units), ("from", _now), ("until", lease.Until.ToUnixTimeMilliseconds()));
        foreach (UnitRun run in runs) Open(lease, layout.PortsOf(run), run, seq);
        foreach (ServicePort port in given) OpenPort(lease, port, seq);
        return (lease, true);
    }

    /// <summary>Extends a lease by the whole lease time from now, or by less where less is asked for.</summary>
    public Lease Renew(string id, TimeSpan? time = null)
    {
        Lease lease = Living(id);
        DateTimeOffset until = Now + (time ?? policy.LeaseTime);
        if (until <= lease.Until) return lease;
        Lease renewed = lease with { Until = until };
        EndBlocks(lease, until, Remember("renewed", renewed));
        _session.Write("UPDATE lease SET until = @until WHERE id = @id", ("until", until.ToUnixTimeMilliseconds()), ("id", id));
        return renewed;
    }

    /// <summary>Ends a lease now. Its ports rest until the hold-down is over.</summary>
    public Lease Release(string id)
    {
        Lease lease = Living(id), ended = lease with { Until = Now, Ended = Now };
        EndBlocks(lease, Now, Remember("released", ended));
        _session.Write("UPDATE lease SET until = @now, ended = @now WHERE id = @id", ("now", _now), ("id", id));
        return ended;
    }

    Lease Move(Lease lease, IPv6Address softwire)
    {
        Lease moved = lease with { Softwire = softwire };
        Remember("left", lease);
        Remember("moved", moved);
        _session.Write("UPDATE lease SET softwire = @softwire WHERE id = @id", ("softwire", softwire.ToString()), ("id", lease.Id));
        return moved;
    }

    /// <summary>RFC 8539 section 8.2: an address that is another's softwire is refused, not taken over.</summary>
    void RefuseSoftwireOfAnother(string subscriber, IPv6Address softwire)
    {
        if (_session.One($"SELECT {Lease.Columns} FROM lease WHERE softwire = @softwire AND ended IS NULL", Lease.Read, ("softwire", softwire.ToString())) is not { } other
            || other.Subscriber == subscriber) return;
        if (other.Until <= Now) Expire(other);
        else throw new Refusal(ErrorCodes.LeaseConflict, $"The softwire {softwire} is another subscriber's until {other.Until:yyyy-MM-ddTHH:mm:ssZ}. Give each SMAP an IPv6 address of its own.");
    }

    /// <summary>Ports that a subscriber can have, and what takes them.</summary>
    sealed record Choice(IPv4Address Address, PoolLayout Layout, IReadOnlyList<UnitRun> Runs, Action Take);

    /// <summary>The ports that are kept for this subscriber.</summary>
    Choice? Reserved(string subscriber)
    {
        if (FindReservation(subscriber) is not { } reservation || policy.PoolOf(reservation.Address) is not { } pool) return null;
        return new Choice(reservation.Address, pool.Layout, [reservation.Units], () => TakeOutOfRest(reservation.Address, reservation.Units));
    }

    /// <summary>The ports of this subscriber's last lease, while they still rest: the hold-down keeps them from others, not from it.</summary>
    Choice? Resting(Lease? last, SubscriberClass subscribers)
    {
        if (last?.Ended is not { } ended || Now - ended > policy.HoldDown || policy.PoolOf(last.Address) is not { } pool || !pool.Serves(subscribers)) return null;
        List<UnitRun> runs = _session.All("SELECT first_unit, unit_count FROM block WHERE lease = @lease AND reclaimed = 0 AND unit_count > 0 ORDER BY id", r => new UnitRun((int)r.GetInt64(0), (int)r.GetInt64(1)), ("lease", last.Id));
        int wanted = LeasePolicy.StartOf(subscribers, pool);
        if (runs.Count == 0 || runs[0].Count != wanted || runs[0].End > pool.Layout.UnitCount) return null;
        if (_session.Any("SELECT 1 FROM reservation WHERE address = @address AND first_unit < @end AND first_unit + unit_count > @first", ("address", (long)last.Address.Value), ("end", (long)runs[0].End), ("first", (long)runs[0].First))) return null;
        return new Choice(last.Address, pool.Layout, [runs[0]], () => TakeOutOfRest(last.Address, runs[0]));
    }

    /// <summary>Their units stay taken; only the old block no longer waits.</summary>
    void TakeOutOfRest(IPv4Address address, UnitRun run) => _session.Write(
        "UPDATE block SET free_at = until, reclaimed = 1 WHERE address = @address AND reclaimed = 0 AND first_unit < @end AND first_unit + unit_count > @first",
        ("address", (long)address.Value), ("end", (long)run.End), ("first", (long)run.First));

    /// <summary>What a subscriber without a lease would get now. Nothing is kept for it, so that it may get another when it asks.</summary>
    public (IPv4Address Address, PortSet Ports) Offer(string subscriber, string? className)
    {
        if (FindReservation(subscriber) is { } reservation) return (reservation.Address, reservation.Ports);
        SubscriberClass subscribers = Class(className ?? SubscriberClass.Default);
        return FindRoom(subscribers) is var (address, layout, _, runs) ? (address, layout.PortsOf(runs)) : throw Exhausted(subscribers);
    }

    /// <summary>Ports of the address that has most of them free, so that who is there already has room to grow.</summary>
    Choice Choose(Lease? last, SubscriberClass subscribers)
    {
        do
        {
            if (FindRoom(subscribers, last?.Subscriber) is var (address, layout, map, runs)) return new Choice(address, layout, runs, () => Save(address, map));
        }
        while (Reclaim(WorkAtOnce) > 0);
        throw Exhausted(subscribers);
    }

    /// <summary>
    /// Who ends its lease and asks again, in another class or grown at once, has what rests besides. All of it together is at most twice what its class allows, so that nobody empties a
    /// pool by that.
    /// </summary>
    void RefuseHoarding(string subscriber, SubscriberClass subscribers, Pool pool, int more)
    {
        if (Hoarding(subscriber, subscribers, pool, more) is { } refusal) throw refusal;
    }

    /// <summary>Why a subscriber may not have so many units more now; null where it may.</summary>
    Refusal? Hoarding(string subscriber, SubscriberClass subscribers, Pool pool, int more)
    {
        List<(IPv4Address Address, long Units)> held = _session.All(
            "SELECT b.address, b.unit_count FROM lease l JOIN block b ON b.lease = l.id WHERE l.subscriber = @subscriber AND (l.ended IS NULL OR l.ended > @since) AND b.reclaimed = 0 AND b.free_at > @now",
            r => (new IPv4Address((uint)r.GetInt64(0)), r.GetInt64(1)), ("subscriber", subscriber), ("since", _now - HoldDown), ("now", _now));
        long ports = held.Sum(h => h.Units * (policy.PoolOf(h.Address)?.Layout.UnitSize ?? 0)), most = 2L * Math.Max(subscribers.Limit, LeasePolicy.StartOf(subscribers, pool) * pool.Layout.UnitSize);
        if (held.Count == 0 || ports + more * pool.Layout.UnitSize <= most) return null;
        return new Refusal(ErrorCodes.TooSoon, $"{subscriber} has {ports} ports with those that rest, and the class '{subscribers.Name}' allows {most} of both. Ask again when those that were given back have rested for {policy.HoldDown.TotalSeconds} s.") { RetryAfter = policy.HoldDown };
    }

    List<Pool> PoolsOf(SubscriberClass subscribers)
    {
        List<Pool> pools = [.. policy.Pools.Where(p => p.Serves(subscribers))];
        return pools.Count > 0 ? pools : throw new Refusal(ErrorCodes.PoolExhausted, $"No pool serves the class '{subscribers.Name}'. Add it to the 'classes' of a [[pool]], or ask for another class.");
    }

    /// <summary>An address with enough units, and its map after they were taken; null where there is none. Writes nothing.</summary>
    /// <param name="subscribers">The class.</param>
    /// <param name="subscriber">Who may have too much already, or null.</param>
    (IPv4Address Address, PoolLayout Layout, UnitMap Map, IReadOnlyList<UnitRun> Runs)? FindRoom(SubscriberClass subscribers, string? subscriber = null)
    {
        foreach (Pool pool in PoolsOf(subscribers))
        {
            int wanted = LeasePolicy.StartOf(subscribers, pool);
            if (subscriber is not null) RefuseHoarding(subscriber, subscribers, pool, wanted);
            (IPv4Address Address, UnitMap Map)? room = _session.One<(IPv4Address, UnitMap)?>(
                "SELECT address, taken FROM address WHERE pool = @pool AND free >= @wanted ORDER BY free DESC, address LIMIT 1",
                r => (new IPv4Address((uint)r.GetInt64(0)), UnitMap.Of(pool.Layout.UnitCount, r.Bytes(1))), ("pool", pool.Name), ("wanted", (long)wanted));
            if (room is not var (address, map)) continue;
            return (address, pool.Layout, map, map.Take(wanted) ?? throw new InvalidOperationException($"the row of {address} counts more free units than it has"));
        }

        return null;
    }

    Refusal Exhausted(SubscriberClass subscribers) => new(
        ErrorCodes.PoolExhausted,
        $"No address of {string.Join(", ", PoolsOf(subscribers).Select(p => p.Name))} has {subscribers.Start} ports left for a subscriber of class '{subscribers.Name}'. Ports that were given back rest for {policy.HoldDown.TotalSeconds} s; add a pool if this goes on.")
    { RetryAfter = policy.HoldDown };

    SubscriberClass Class(string name) => policy.ClassOf(name)
        ?? throw new Refusal(ErrorCodes.BadRequest, policy.NoClass(name)) { Fields = [("class", "is none of the registry's classes")] };

    /// <summary>The lease of this number, which still runs.</summary>
    Lease Living(string id)
    {
        Lease lease = _session.One($"SELECT {Lease.Columns} FROM lease WHERE id = @id", Lease.Read, ("id", id))
            ?? throw new Refusal(ErrorCodes.NotThere, $"There is no lease '{id}'. GET /v1/leases lists those that there are.");
        if (lease.Ended is null && lease.Until <= Now) lease = Expire(lease);
        return lease.Ended is not { } ended ? lease
            : throw new Refusal(ErrorCodes.NotThere, $"The lease '{id}' of {lease.Subscriber} ended at {ended:yyyy-MM-ddTHH:mm:ssZ}. Ask for a new one by POST /v1/leases.");
    }

    /// <summary>The lease of a subscriber, if it runs.</summary>
    Lease? LeaseNow(string subscriber)
    {
        Lease? lease = _session.One($"SELECT {Lease.Columns} FROM lease WHERE subscriber = @subscriber AND ended IS NULL", Lease.Read, ("subscriber", subscriber));
        if (lease is null || lease.Until > Now) return lease;
        Expire(lease);
        return null;
    }

    /// <summary>Its time is over: what the blocks say already becomes an event.</summary>
    Lease Expire(Lease lease)
    {
        Lease ended = lease with { Ended = lease.Until };
        transaction.Append(Event("expired", ended) with { Actor = "registry" });
        _session.Write("UPDATE lease SET ended = until WHERE id = @id", ("id", lease.Id));
        return ended;
    }

    long Remember(string kind, Lease lease) => transaction.Append(Event(kind, lease));

    RegistryEvent Event(string kind, Lease lease) => new(
        kind, lease.Id, lease.Subscriber, lease.Softwire.ToString(), lease.Address.Value, Rows.Multirange(lease.Ports), lease.Until.ToUnixTimeMilliseconds(), actor);

    void Open(Lease lease, PortSet ports, UnitRun run, long seq)
    {
        long until = lease.Until.ToUnixTimeMilliseconds();
        _session.Write(
            $"INSERT INTO block(lease, address, ports, lowest, highest, first_unit, unit_count, valid_from, until, free_at, reclaimed, opened, altered) VALUES(@lease, @address, {_session.Database.PortsParameter}, @lowest, @highest, @first, @count, @from, @until, @free, 0, @seq, @seq)",
            ("lease", lease.Id), ("address", (long)lease.Address.Value), ("ports", Rows.Multirange(ports)), ("lowest", (long)ports.Ranges.First().First), ("highest", (long)ports.Ranges.Last().Last),
            ("first", (long)run.First), ("count", (long)run.Count), ("from", _now), ("until", until), ("free", until + HoldDown), ("seq", seq));
    }

    /// <summary>Gives another end to the blocks that run as long as their lease; those that it gave back before have ends of their own.</summary>
    void EndBlocks(Lease lease, DateTimeOffset end, long seq) => _session.Write(
        "UPDATE block SET until = @end, free_at = @free, altered = @seq WHERE lease = @lease AND until = @before",
        ("end", end.ToUnixTimeMilliseconds()), ("free", end.ToUnixTimeMilliseconds() + HoldDown), ("seq", seq), ("lease", lease.Id), ("before", lease.Until.ToUnixTimeMilliseconds()));

    /// <summary>Which units of an address are taken.</summary>
    UnitMap MapOf(IPv4Address address) => _session.One(
        "SELECT p.units, a.taken FROM address a JOIN pool p ON p.name = a.pool WHERE a.address = @address", r => UnitMap.Of((int)r.GetInt64(0), r.Bytes(1)), ("address", (long)address.Value))!;

    void Save(IPv4Address address, UnitMap map) =>
        _session.Write("UPDATE address SET free = @free, taken = @taken WHERE address = @address", ("free", (long)map.Free), ("taken", map.ToBytes()), ("address", (long)address.Value));
}
