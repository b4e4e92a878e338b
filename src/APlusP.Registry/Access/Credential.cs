using System.Data.Common;
using APlusP.Core.Addresses;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Access;

/// <summary>What somebody may do, known by the hash of a secret that the registry told once and does not keep.</summary>
/// <param name="Id">What it is called where it is listed and revoked.</param>
/// <param name="Kind">One of <see cref="Operator"/>, <see cref="Router"/>, <see cref="Enrolment"/>, <see cref="Key"/>, <see cref="Certificate"/>.</param>
/// <param name="Name">An operator's or a PRR's name; the subscriber whose key or certificate it is; what an enrolment token is for.</param>
/// <param name="Role">Of an operator: <see cref="Read"/> or <see cref="Operate"/>.</param>
/// <param name="Class">Of an enrolment token and the keys that come from it: the class of their leases.</param>
/// <param name="Uses">Of an enrolment token: how many subscribers may still enrol by it.</param>
/// <param name="Prefix">Of an enrolment token and the keys that come from it: where their softwires are; null for anywhere.</param>
sealed record Credential(
    string Id, string Kind, string Name, string Role, string Class, long? Uses, DateTimeOffset Created, DateTimeOffset? Until, DateTimeOffset? Revoked, string? Replaces, IPv6Prefix? Prefix)
{
    public const string Operator = "operator", Router = "router", Enrolment = "enrolment", Key = "key", Certificate = "certificate";

    public const string Read = "read", Operate = "operate";

    public const string Columns = "id, kind, name, role, class, uses, created, until, revoked, replaces, prefix";

    public static Credential From(DbDataReader row) => new(
        row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3), row.GetString(4), row.Number(5), Rows.Time(row.GetInt64(6)),
        row.Number(7) is { } until ? Rows.Time(until) : null, row.Number(8) is { } revoked ? Rows.Time(revoked) : null, row.Text(9),
        row.GetString(10) is { Length: > 0 } prefix ? IPv6Prefix.Parse(prefix) : null);

    public bool IsValid(DateTimeOffset now) => Revoked is null && (Until is null || Until > now);
}
