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
        Pool pool = policy.PoolOf(address)
            ?? throw new Refusal(ErrorCodes.BadRequest, $"{address} is in no pool; the pools are {string.Join(", ", policy.Pools.Select(p => p.Name))}.") { Fields = [("address", "is in no pool")] };
        if (FindReservation(subscriber) is { } before)
            throw new Refusal(ErrorCodes.LeaseConflict, $"{subscriber} has {before.Ports} of {before.Address} reserved already. DELETE /v1/reservations?subscriber={subscriber} first.");
        List<UnitRun> runs = UnitRun.Join(pool.Layout.UnitsOf(ports));
        if (runs.Count != 1 || pool.Layout.PortsOf(runs[0]).Count != ports.Count)
            throw new Refusal(ErrorCodes.BadRequest, $"{ports} are not whole blocks of {pool.Name}, which is divided into {pool.Layout}." + (runs.Count == 1 ? $" Around them are {pool.Layout.PortsOf(runs[0])}." : " Reserve consecutive ones.")) { Fields = [("ranges", "are not consecutive whole blocks of the pool")] };

        var reservation = new Reservation(subscriber, address, pool.Layout.PortsOf(runs), runs[0]);
        UnitMap map = MapOf(address);
        if (map.TryTake(reservation.Units)) Save(address, map);
        else if (!IsOwn(reservation))
            throw new Refusal(ErrorCodes.LeaseConflict, $"Ports of {reservation.Ports} of {address} are another's, or rest after another. GET /v1/who?address={address}&port={reservation.Ports.Ranges.First().First} tells whose they are; reserve others, or wait.");
        transaction.Append(Event("reserved", reservation));
        _session.Write($"INSERT INTO reservation({Reservation.Columns}) VALUES(@subscriber, @address, @ports, @first, @count)",
            ("subscriber", subscriber), ("address", (long)address.Value), ("ports", reservation.Ports.ToString()), ("first", (long)reservation.Units.First), ("count", (long)reservation.Units.Count));
        return reservation;
    }

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
