using System.Data.Common;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Leases;

/// <summary>Ports that are kept for one subscriber, whether it has a lease or not.</summary>
sealed record Reservation(string Subscriber, IPv4Address Address, PortSet Ports, UnitRun Units)
{
    public const string Columns = "subscriber, address, ports, first_unit, unit_count";

    public static Reservation Read(DbDataReader row) => new(
        row.GetString(0), new IPv4Address((uint)row.GetInt64(1)), PortSet.Parse(row.GetString(2)), new UnitRun((int)row.GetInt64(3), (int)row.GetInt64(4)));
}

/// <summary>Reservations.</summary>
sealed partial class LeaseBook
{
    Reservation? FindReservation(string subscriber) =>
        _session.One($"SELECT {Reservation.Columns} FROM reservation WHERE subscriber = @subscriber", Reservation.Read, ("subscriber", subscriber));

    /// <summary>Keeps whole blocks of an address for a subscriber. Who has a lease elsewhere keeps it to its end.</summary>
    public Reservation Reserve(string subscriber, IPv4Address address, PortSet ports)
    {
        Pool pool = PoolOf(address);
        if (FindReservation(subscriber) is { } before)
            throw new Refusal(ErrorCodes.LeaseConflict, $"{subscriber} has {before.Ports} of {before.Address} reserved already. DELETE /v1/reservations?subscriber={subscriber} first.");
        UnitRun run = RunOf(pool, ports);
        var reservation = new Reservation(subscriber, address, pool.Layout.PortsOf([run]), run);
        UnitMap map = MapOf(address);
        if (map.TryTake(reservation.Units)) Save(address, map);
        else if (!IsOwn(reservation))
            throw Taken(reservation);
        transaction.Append(Event("reserved", reservation));
        _session.Write($"INSERT INTO reservation({Reservation.Columns}) VALUES(@subscriber, @address, @ports, @first, @count)",
            ("subscriber", subscriber), ("address", (long)address.Value), ("ports", reservation.Ports.ToString()), ("first", (long)reservation.Units.First), ("count", (long)reservation.Units.Count));
        return reservation;
    }

    /// <summary>The ports that somebody names, which are to be free, or the subscriber's own: reserved for it, or resting after it.</summary>
    Choice Exactly(string subscriber, SubscriberClass subscribers, IPv4Address address, PortSet ports)
    {
        Pool pool = PoolOf(address);
        UnitRun run = RunOf(pool, ports);
        if (!pool.Serves(subscribers)) throw new Refusal(ErrorCodes.LeaseConflict, $"The pool {pool.Name} does not serve the class '{subscribers.Name}'. Add it to the pool's 'classes', or ask for another class.");
        if (run.Count > LeasePolicy.LimitOf(subscribers, pool))
            throw new Refusal(ErrorCodes.LeaseLimit, $"{ports.Count} ports are more than the {subscribers.Limit} of class '{subscribers.Name}'. Raise the class's limit, or ask for another class.");
        var own = new Reservation(subscriber, address, ports, run);
        if ((FindReservation(subscriber) is { } kept && kept.Address == address && kept.Units == run) || IsOwn(own))
            return new Choice(address, pool.Layout, [run], () => TakeOutOfRest(address, run));

        do
        {
            UnitMap map = MapOf(address);
            if (map.TryTake(run)) return new Choice(address, pool.Layout, [run], () => Save(address, map));
        }
        while (Reclaim(WorkAtOnce) > 0);
        throw Taken(own);
    }

    Pool PoolOf(IPv4Address address) => policy.PoolOf(address)
        ?? throw new Refusal(ErrorCodes.BadRequest, $"{address} is in no pool; the pools are {string.Join(", ", policy.Pools.Select(p => p.Name))}.") { Fields = [("address", "is in no pool")] };

    /// <summary>The units that these very ports are.</summary>
    static UnitRun RunOf(Pool pool, PortSet ports)
    {
        List<UnitRun> runs = UnitRun.Join(pool.Layout.UnitsOf(ports));
        return runs.Count == 1 && pool.Layout.PortsOf(runs[0]).Count == ports.Count ? runs[0]
            : throw new Refusal(ErrorCodes.BadRequest, $"{ports} are not whole blocks of {pool.Name}, which is divided into {pool.Layout}." + (runs.Count == 1 ? $" Around them are {pool.Layout.PortsOf(runs[0])}." : " Name consecutive ones.")) { Fields = [("ranges", "are not consecutive whole blocks of the pool")] };
    }

    static Refusal Taken(Reservation wanted) => new(ErrorCodes.LeaseConflict,
        $"Ports of {wanted.Ports} of {wanted.Address} are another's, or rest after another. GET /v1/who?address={wanted.Address}&port={wanted.Ports.Ranges.First().First} tells whose they are; take others, or wait.");

    /// <summary>Whether the subscriber's own lease holds just these ports.</summary>
    bool IsOwn(Reservation reservation) => _session.Any(
        "SELECT 1 FROM block b JOIN lease l ON l.id = b.lease WHERE l.subscriber = @subscriber AND b.address = @address AND b.reclaimed = 0 AND b.first_unit = @first AND b.unit_count = @count", ("subscriber", reservation.Subscriber), ("address", (long)reservation.Address.Value), ("first", (long)reservation.Units.First), ("count", (long)reservation.Units.Count));

    /// <summary>Keeps them no longer. A lease that has them goes on.</summary>
    public Reservation Unreserve(string subscriber)
    {
        Reservation reservation = FindReservation(subscriber) ?? throw new Refusal(ErrorCodes.NotThere, $"Nothing is reserved for {subscriber}. GET /v1/reservations lists what is.");
        transaction.Append(Event("unreserved", reservation));
        _session.Write("DELETE FROM reservation WHERE subscriber = @subscriber", ("subscriber", subscriber));
        UnitMap map = MapOf(reservation.Address);
        map.GiveBack(reservation.Units);
        foreach (UnitRun held in _session.All("SELECT first_unit, unit_count FROM block WHERE address = @address AND reclaimed = 0", r => new UnitRun((int)r.GetInt64(0), (int)r.GetInt64(1)), ("address", (long)reservation.Address.Value)))
        {
            int first = Math.Max(held.First, reservation.Units.First), end = Math.Min(held.End, reservation.Units.End);
            if (first < end) map.TryTake(new UnitRun(first, end - first));
        }

        Save(reservation.Address, map);
        return reservation;
    }

    RegistryEvent Event(string kind, Reservation reservation) => new(
        kind, reservation.Subscriber, reservation.Subscriber, null, reservation.Address.Value, Rows.Multirange(reservation.Ports), null, actor);
}
