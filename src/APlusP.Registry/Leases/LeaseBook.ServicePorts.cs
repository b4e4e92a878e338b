using System.Data.Common;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Leases;

/// <summary>A port that everybody knows, such as 25 or 80, of a shared address: one subscriber has it, besides its set (RFC 6346 section 5.3.4).</summary>
sealed record ServicePort(string Subscriber, IPv4Address Address, ushort Port)
{
    public const string Columns = "subscriber, address, port";

    public static ServicePort Read(DbDataReader row) => new(row.GetString(0), new IPv4Address((uint)row.GetInt64(1)), (ushort)row.GetInt64(2));

    public PortSet Ports => PortSet.FromRanges(new PortRange(Port, Port));
}

// A lease has the service ports that its subscriber is given on its address: blocks like others, but without units of the pool, so that no count of these knows of them.
sealed partial class LeaseBook
{
    /// <summary>Gives a subscriber a port of an address that no block of the pool has. It is in the subscriber's lease on that address from now on, or from the lease's beginning.</summary>
    public ServicePort GivePort(string subscriber, IPv4Address address, ushort port)
    {
        var given = new ServicePort(subscriber, address, port);
        Pool pool = PoolOf(address);
        if (pool.Layout.UnitsOf(given.Ports).Any())
            throw new Refusal(ErrorCodes.BadRequest, $"Port {port} of {address} is in the blocks that {pool.Name} gives out ({pool.Layout}). Reserve its block by POST /v1/reservations.") { Fields = [("port", "is in a block of the pool")] };
        if (FindPort(address, port) is { } other)
            throw new Refusal(ErrorCodes.LeaseConflict, $"{other.Subscriber} has port {port} of {address} already. DELETE /v1/service-ports?address={address}&port={port} first.");
        if (RestingPort(address, port) is { } rests && rests != subscriber)
            throw new Refusal(ErrorCodes.LeaseConflict, $"Port {port} of {address} rests after {rests}, for {policy.HoldDown.TotalSeconds} s. Ask again then.") { RetryAfter = policy.HoldDown };
        Lease? lease = LeaseNow(subscriber);
        if (lease is not null && lease.Address != address)
            throw new Refusal(ErrorCodes.LeaseConflict, $"{subscriber} has its lease on {lease.Address}, and a SMAP has one address. Name a port of that; or release the lease, and reserve ports of {address} for it.");
        transaction.Append(Event("port-given", given));
        _session.Write($"INSERT INTO service_port({ServicePort.Columns}) VALUES(@subscriber, @address, @port)", ("subscriber", subscriber), ("address", (long)address.Value), ("port", (long)port));
        if (lease is null) return given;
        Lease more = lease with { Ports = Joined(lease.Ports, [given]) };
        long seq = transaction.Append(Event("grown", lease) with { Ports = Rows.Multirange(given.Ports) });
        OpenPort(more, given, seq);
        SetPorts(more);
        return given;
    }

    /// <summary>Takes a port back; it rests like others.</summary>
    public ServicePort TakePort(IPv4Address address, ushort port)
    {
        ServicePort given = FindPort(address, port) ?? throw new Refusal(ErrorCodes.NotThere, $"Port {port} of {address} is nobody's service port. GET /v1/service-ports lists what is given.");
        transaction.Append(Event("port-taken", given));
        _session.Write("DELETE FROM service_port WHERE address = @address AND port = @port", ("address", (long)address.Value), ("port", (long)port));
        if (_session.One($"SELECT {Lease.Columns} FROM lease WHERE subscriber = @subscriber AND address = @address AND ended IS NULL", Lease.Read, ("subscriber", given.Subscriber), ("address", (long)address.Value)) is not { } lease || lease.Until <= Now) return given;
        long seq = transaction.Append(Event("shrunk", lease) with { Ports = Rows.Multirange(given.Ports), Until = _now });
        _session.Write("UPDATE block SET until = @now, free_at = @free, altered = @seq WHERE lease = @lease AND unit_count = 0 AND lowest = @port AND until = @until",
            ("now", _now), ("free", _now + HoldDown), ("seq", seq), ("lease", lease.Id), ("port", (long)port), ("until", lease.Until.ToUnixTimeMilliseconds()));
        SetPorts(lease with { Ports = lease.Ports.Except(given.Ports)! });
        return given;
    }

    ServicePort? FindPort(IPv4Address address, ushort port) =>
        _session.One($"SELECT {ServicePort.Columns} FROM service_port WHERE address = @address AND port = @port", ServicePort.Read, ("address", (long)address.Value), ("port", (long)port));

    /// <summary>After whom a port rests; null where it does not.</summary>
    string? RestingPort(IPv4Address address, ushort port) => _session.One(
        "SELECT l.subscriber FROM block b JOIN lease l ON l.id = b.lease WHERE b.address = @address AND b.unit_count = 0 AND b.lowest = @port AND b.reclaimed = 0 AND b.free_at > @now",
        r => r.GetString(0), ("address", (long)address.Value), ("port", (long)port), ("now", _now));

    /// <summary>The service ports of a subscriber on an address.</summary>
    List<ServicePort> PortsGiven(string subscriber, IPv4Address address) => _session.All(
        $"SELECT {ServicePort.Columns} FROM service_port WHERE subscriber = @subscriber AND address = @address ORDER BY port", ServicePort.Read, ("subscriber", subscriber), ("address", (long)address.Value));

    static PortSet Joined(PortSet set, List<ServicePort> more) => more.Count == 0 ? set : PortSet.FromRanges(set.Ranges.Concat(more.SelectMany(p => p.Ports.Ranges)));

    /// <summary>What of it rests, after this subscriber alone, need not any longer.</summary>
    void OpenPort(Lease lease, ServicePort port, long seq)
    {
        _session.Write("UPDATE block SET free_at = until, reclaimed = 1 WHERE address = @address AND unit_count = 0 AND lowest = @port AND reclaimed = 0", ("address", (long)port.Address.Value), ("port", (long)port.Port));
        Open(lease, port.Ports, new UnitRun(0, 0), seq);
    }

    void SetPorts(Lease lease) => _session.Write("UPDATE lease SET ports = @ports WHERE id = @id", ("ports", lease.Ports.ToString()), ("id", lease.Id));

    RegistryEvent Event(string kind, ServicePort port) => new(kind, port.Subscriber, port.Subscriber, null, port.Address.Value, Rows.Multirange(port.Ports), null, actor);
}
