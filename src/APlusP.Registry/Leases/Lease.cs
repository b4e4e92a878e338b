using System.Data.Common;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Leases;

/// <summary>What a subscriber has, or had: an address, a port set, from when until when.</summary>
sealed record Lease
{
    public required string Id { get; init; }

    public required string Subscriber { get; init; }

    public required string Class { get; init; }

    /// <summary>The SMAP's end of the softwire.</summary>
    public required IPv6Address Softwire { get; init; }

    public required IPv4Address Address { get; init; }

    public required PortSet Ports { get; init; }

    /// <summary>Units of the pool that it holds.</summary>
    public required int Units { get; init; }

    public required DateTimeOffset From { get; init; }

    public required DateTimeOffset Until { get; init; }

    /// <summary>When it last grew or shrank.</summary>
    public DateTimeOffset? Changed { get; init; }

    /// <summary>When it was over; null while it lives.</summary>
    public DateTimeOffset? Ended { get; init; }

    public const string Columns = "id, subscriber, class, softwire, address, ports, units, valid_from, until, changed, ended";

    public static Lease Read(DbDataReader row) => new()
    {
        Id = row.GetString(0),
        Subscriber = row.GetString(1),
        Class = row.GetString(2),
        Softwire = IPv6Address.Parse(row.GetString(3)),
        Address = new IPv4Address((uint)row.GetInt64(4)),
        Ports = PortSet.Parse(row.GetString(5)),
        Units = (int)row.GetInt64(6),
        From = Rows.Time(row.GetInt64(7)),
        Until = Rows.Time(row.GetInt64(8)),
        Changed = row.Number(9) is { } changed ? Rows.Time(changed) : null,
        Ended = row.Number(10) is { } ended ? Rows.Time(ended) : null,
    };
}
