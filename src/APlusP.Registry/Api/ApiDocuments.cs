using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Access;
using APlusP.Registry.Allocation;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;

namespace APlusP.Registry.Api;

/// <summary>
/// A lease, as the API tells it. <c>ranges</c> are first and last port of each range; a port set that is a PSID says so too. What its pool says of softwires is called as in RFC 8676.
/// </summary>
public sealed record LeaseDocument(
    string Id, string Subscriber, string Class, string Softwire, string Address, int Ports, IReadOnlyList<int[]> Ranges, PsidDocument? Psid, string From, string Until,
    [property: JsonPropertyName("br-ipv6-addr")] string? Prr, [property: JsonPropertyName("softwire-payload-mtu")] int? PayloadMtu, LanPolicy? Policy)
{
    /// <param name="lease">The lease.</param>
    /// <param name="pool">Where its address is from; null where it is of none any more.</param>
    internal static LeaseDocument Of(Lease lease, Pool? pool) => new(
        lease.Id, lease.Subscriber, lease.Class, lease.Softwire.ToString(), lease.Address.ToString(), lease.Ports.Count, RangePairs.Of(lease.Ports),
        lease.Ports.Psid is { } psid ? new PsidDocument(psid.Offset, psid.Length, psid.Value) : null, Moment.Write(lease.From), Moment.Write(lease.Until),
        pool?.Prr?.ToString(), pool?.PayloadMtu, pool?.Policy is { } policy && policy != LanPolicy.None ? policy : null);
}

/// <summary>What is asked of <c>POST /v1/leases</c>; with an address and ranges, those very ports.</summary>
public sealed record LeaseRequest(string Subscriber, string Softwire, string? Class, string? Address, IReadOnlyList<int[]>? Ranges);

/// <summary>RFC 7597 section 5.1; the names are those of RFC 8676 without their prefix.</summary>
public sealed record PsidDocument(int Offset, int Length, int Psid);

/// <summary>A page of leases; <c>next</c> is where the following one is.</summary>
public sealed record LeaseList(IReadOnlyList<LeaseDocument> Leases, string? Next);

/// <summary>Who had an address and port; all but <c>answer</c> are null where nobody had.</summary>
public sealed record WhoDocument(string? Subscriber, string? Lease, string? From, string? Until, string Answer);

/// <summary>Ports that are kept for a subscriber.</summary>
public sealed record ReservationDocument(string Subscriber, string Address, int Ports, IReadOnlyList<int[]> Ranges)
{
    internal static ReservationDocument Of(Reservation reservation) => new(
        reservation.Subscriber, reservation.Address.ToString(), reservation.Ports.Count, RangePairs.Of(reservation.Ports));
}

/// <summary>What is asked of <c>POST /v1/reservations</c>: whole blocks of an address.</summary>
public sealed record ReservationRequest(string Subscriber, string Address, IReadOnlyList<int[]> Ranges);

/// <summary>A set of ports as JSON has it: first and last of each range.</summary>
static class RangePairs
{
    public static IReadOnlyList<int[]> Of(PortSet ports) => [.. ports.Ranges.Select(r => new int[] { r.First, r.Last })];
}

/// <summary>A single port of an address that a subscriber has besides its set.</summary>
public sealed record ServicePortDocument(string Subscriber, string Address, int Port)
{
    internal static ServicePortDocument Of(ServicePort port) => new(port.Subscriber, port.Address.ToString(), port.Port);
}

/// <summary>A name of a subscriber's servers. <c>address</c> is that of its lease, null while it has none; <c>idle</c> are ports that are not in its set now, and lead nowhere.</summary>
public sealed record ServerNameDocument(string Name, string Subscriber, string? Address, int? Http, int? Https, bool Proxied, IReadOnlyList<string> Services, IReadOnlyList<int> Idle)
{
    internal static ServerNameDocument Of(ServerName name, IPv4Address? address, PortSet? ports) => new(
        name.Name, name.Subscriber, address?.ToString(), name.Http, name.Https, name.IsProxied, [.. name.Services.Select(s => s.ToString())], [.. name.Ports.Where(p => ports?.Contains(p) != true)]);
}

/// <summary>What is asked of <c>POST /v1/names</c>.</summary>
public sealed record ServerNameRequest(string Name, string Subscriber, int? Http, int? Https, bool Proxied, IReadOnlyList<string> Services);

/// <summary>How full a pool is.</summary>
public sealed record PoolDocument(string Prefix, string Layout, long Addresses, long Blocks, long FreeBlocks);

/// <summary>How requests by PCP went since the registry started, by result code; and what had no answer.</summary>
public sealed record PcpDocument(IReadOnlyDictionary<string, long> Results, long Discarded, long Limited);

/// <summary>A credential; its <c>secret</c> is told once, where it is made.</summary>
public sealed record CredentialDocument(
    string Id, string Kind, string Name, string? Role, string? Class, string? Prefix, long? Uses, string Created, string? Until, string? Revoked, string? Secret)
{
    internal static CredentialDocument Of(Credential credential, string? secret = null) => new(
        credential.Id, credential.Kind, credential.Name, credential.Role.Length > 0 ? credential.Role : null, credential.Class.Length > 0 ? credential.Class : null, credential.Prefix?.ToString(), credential.Uses,
        Moment.Write(credential.Created), credential.Until is { } until ? Moment.Write(until) : null, credential.Revoked is { } revoked ? Moment.Write(revoked) : null, secret);
}

/// <summary>What an enrolled SMAP needs from now on.</summary>
public sealed record KeyDocument(string Subscriber, string Key);

/// <summary>That the registry answers.</summary>
public sealed record HealthDocument(string Status);

/// <summary>Problem details (RFC 9457). <c>detail</c> says what to do; <c>code</c> is a heading in docs/errors.md.</summary>
public sealed record ProblemDocument(string Type, string Title, int Status, string Detail, string Code, IReadOnlyList<FieldProblem>? Errors);

/// <summary>What is wrong with one field of a request.</summary>
public sealed record FieldProblem(string Field, string Detail);

/// <summary>JSON of the API without reflection, so that it works in a native executable.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LeaseDocument))]
[JsonSerializable(typeof(LeaseRequest))]
[JsonSerializable(typeof(LeaseList))]
[JsonSerializable(typeof(WhoDocument))]
[JsonSerializable(typeof(ServicePortDocument))]
[JsonSerializable(typeof(IReadOnlyList<ServicePortDocument>))]
[JsonSerializable(typeof(ServerNameDocument))]
[JsonSerializable(typeof(ServerNameRequest))]
[JsonSerializable(typeof(IReadOnlyList<ServerNameDocument>))]
[JsonSerializable(typeof(ReservationDocument))]
[JsonSerializable(typeof(ReservationRequest))]
[JsonSerializable(typeof(IReadOnlyList<ReservationDocument>))]
[JsonSerializable(typeof(IReadOnlyList<PoolDocument>))]
[JsonSerializable(typeof(PcpDocument))]
[JsonSerializable(typeof(CredentialDocument))]
[JsonSerializable(typeof(IReadOnlyList<CredentialDocument>))]
[JsonSerializable(typeof(KeyDocument))]
[JsonSerializable(typeof(HealthDocument))]
[JsonSerializable(typeof(ProblemDocument))]
public sealed partial class ApiJson : JsonSerializerContext
{
    /// <summary>With quotes and letters of all languages as they are: it is served as JSON, and never put into a page.</summary>
    public static ApiJson Plain { get; } = new(new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
