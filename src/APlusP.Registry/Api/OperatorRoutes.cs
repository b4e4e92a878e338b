using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Access;
using APlusP.Registry.Dhcpv6;
using APlusP.Registry.Leases;
using APlusP.Registry.Pcp;
using Microsoft.AspNetCore.Http;

namespace APlusP.Registry.Api;

/// <summary>What operators do besides leases, and how SMAPs come by a key.</summary>
static class OperatorRoutes
{
    const int SecondsOfAYear = 31_536_000;

    public static IEnumerable<Route> All =>
    [
        new("GET", "/v1/pools", Needs.Read, Pools),
        new("GET", "/v1/pcp", Needs.Read, r => r.Reply(r.Pcp.Document, ApiJson.Plain.PcpDocument)),
        new("GET", "/v1/reservations", Needs.Read, Reservations),
        new("POST", "/v1/reservations", Needs.Operate, Reserve),
        new("DELETE", "/v1/reservations", Needs.Operate, Unreserve),
        new("GET", "/v1/service-ports", Needs.Read, ServicePorts),
        new("POST", "/v1/service-ports", Needs.Operate, GivePort),
        new("DELETE", "/v1/service-ports", Needs.Operate, TakePort),
        .. NameRoutes.All,
        new("GET", "/v1/credentials", Needs.Manage, Credentials),
        new("POST", "/v1/credentials", Needs.Manage, Issue),
        new("DELETE", "/v1/credentials/{id}", Needs.Manage, Revoke),
        new("POST", "/v1/enrol", Needs.Enrol, Enrol),
        new("POST", "/v1/keys/rotate", Needs.Key, Rotate),
    ];

    static Task Pools(Request request) => request.Reply(
        request.Registrar.Read(s => s.All(
            "SELECT p.name, p.layout, COUNT(*), CAST(COUNT(*) * p.units AS BIGINT), CAST(SUM(a.free) AS BIGINT) FROM pool p JOIN address a ON a.pool = p.name GROUP BY p.name, p.layout, p.units ORDER BY p.name",
            r => new PoolDocument(r.GetString(0), r.GetString(1), r.GetInt64(2), r.GetInt64(3), r.GetInt64(4)))),
        ApiJson.Plain.IReadOnlyListPoolDocument);

    static Task Reservations(Request request) => request.Reply(
        request.Registrar.Read(s => s.All($"SELECT {Reservation.Columns} FROM reservation ORDER BY subscriber", r => ReservationDocument.Of(Reservation.Read(r)))),
        ApiJson.Plain.IReadOnlyListReservationDocument);

    static async Task Reserve(Request request)
    {
        (RequestFields fields, string body) = await RequestFields.OfBody(request.Context, "subscriber", "address", "ranges");
        string? subscriber = fields.Text("subscriber", required: true);
        IPv4Address? address = fields.Address("address", required: true);
        PortSet? ports = fields.Ranges("ranges", required: true);
        fields.Check();
        await request.ChangeOnce(body, book => (StatusCodes.Status201Created, ReservationDocument.Of(book.Reserve(subscriber!, address!.Value, ports!))),
            ApiJson.Plain.ReservationDocument, r => $"/v1/reservations?subscriber={Uri.EscapeDataString(r.Subscriber)}");
    }

    static async Task Unreserve(Request request)
    {
        RequestFields fields = RequestFields.OfQuery(request.Context, "subscriber");
        string? subscriber = fields.Text("subscriber", required: true);
        fields.Check();
        await request.ChangeOnce("", book => (StatusCodes.Status200OK, ReservationDocument.Of(book.Unreserve(subscriber!))), ApiJson.Plain.ReservationDocument);
    }

    static Task ServicePorts(Request request) => request.Reply(
        request.Registrar.Read(s => s.All($"SELECT {ServicePort.Columns} FROM service_port ORDER BY address, port", r => ServicePortDocument.Of(ServicePort.Read(r)))),
        ApiJson.Plain.IReadOnlyListServicePortDocument);

    static async Task GivePort(Request request)
    {
        (RequestFields fields, string body) = await RequestFields.OfBody(request.Context, "subscriber", "address", "port");
        string? subscriber = fields.Text("subscriber", required: true);
        IPv4Address? address = fields.Address("address", required: true);
        long? port = fields.Number("port", required: true, 1, ushort.MaxValue);
        if (subscriber is not null && (subscriber.StartsWith(DhcpResponder.SubscriberPrefix, StringComparison.Ordinal) || subscriber.StartsWith(PcpResponder.SubscriberPrefix, StringComparison.Ordinal)))
            fields.Fault("subscriber", "is told its ports by DHCPv6 or PCP, which cannot say a port besides a set; have its SMAP ask the registry itself ([registry] in smap.toml)");
        fields.Check();
        await request.ChangeOnce(body, book => (StatusCodes.Status201Created, ServicePortDocument.Of(book.GivePort(subscriber!, address!.Value, (ushort)port!.Value))),
            ApiJson.Plain.ServicePortDocument, p => $"/v1/service-ports?address={p.Address}&port={p.Port}");
    }

    static async Task TakePort(Request request)
    {
        RequestFields fields = RequestFields.OfQuery(request.Context, "address", "port").WithNumbersAsText();
        IPv4Address? address = fields.Address("address", required: true);
        long? port = fields.Number("port", required: true, 1, ushort.MaxValue);
        fields.Check();
        await request.ChangeOnce("", book => (StatusCodes.Status200OK, ServicePortDocument.Of(book.TakePort(address!.Value, (ushort)port!.Value))), ApiJson.Plain.ServicePortDocument);
    }

    static Task Credentials(Request request) => request.Reply(
        request.Registrar.Read(s => s.All($"SELECT {Credential.Columns} FROM credential ORDER BY id", r => CredentialDocument.Of(Credential.From(r)))),
        ApiJson.Plain.IReadOnlyListCredentialDocument);

    static async Task Issue(Request request)
    {
        (RequestFields fields, _) = await RequestFields.OfBody(request.Context, "kind", "name", "role", "class", "prefix", "uses", "seconds");
        string? kind = fields.Word("kind", required: true, Credential.Operator, Credential.Router, Credential.Enrolment), name = fields.Text("name", required: true);
        bool isOperator = kind == Credential.Operator, isEnrolment = kind == Credential.Enrolment;
        string? role = fields.Word("role", required: isOperator, Credential.Read, Credential.Operate), className = fields.Text("class", required: false, most: 64);
        IPv6Prefix? prefix = fields.Prefix("prefix");
        long? uses = fields.Number("uses", required: false, 1, 1_000_000), seconds = fields.Number("seconds", required: false, 1, 10L * SecondsOfAYear);
        if (!isEnrolment && className is not null) fields.Fault("class", "is of enrolment tokens only");
        if (!isEnrolment && prefix is not null) fields.Fault("prefix", "is of enrolment tokens only");
        if (!isEnrolment && uses is not null) fields.Fault("uses", "is of enrolment tokens only");
        if (!isOperator && role is not null) fields.Fault("role", "is of operators only");
        if (className is not null && request.Registrar.Policy.ClassOf(className) is null) fields.Fault("class", $"must be one of {string.Join(", ", request.Registrar.Policy.Classes.Select(c => c.Name))}");
        fields.Check();
        string secret = Secret.New();
        Credential credential = await request.ChangeCredentials(book => book.Issue(
            secret, kind!, name!, role ?? "", className ?? "", isEnrolment ? uses ?? 1 : null, seconds is { } lifetime ? TimeSpan.FromSeconds(lifetime) : null, prefix: prefix));
        await request.Reply(CredentialDocument.Of(credential, secret), ApiJson.Plain.CredentialDocument, StatusCodes.Status201Created);
    }

    static async Task Revoke(Request request) =>
        await request.Reply(CredentialDocument.Of(await request.ChangeCredentials(book => book.Revoke(request.Id!))), ApiJson.Plain.CredentialDocument);

    static async Task Enrol(Request request)
    {
        (RequestFields fields, _) = await RequestFields.OfBody(request.Context, "subscriber");
        string? subscriber = fields.Text("subscriber", required: false);
        fields.Check();
        string secret = Secret.New();
        Credential key = await request.ChangeCredentials(book => book.Enrol(request.Caller.Credential!, subscriber, secret));
        await request.Reply(new KeyDocument(key.Name, secret), ApiJson.Plain.KeyDocument, StatusCodes.Status201Created);
    }

    static async Task Rotate(Request request)
    {
        (RequestFields fields, _) = await RequestFields.OfBody(request.Context);
        fields.Check();
        string secret = Secret.New();
        Credential key = await request.ChangeCredentials(book => book.Rotate(request.Caller.Credential!, secret));
        await request.Reply(new KeyDocument(key.Name, secret), ApiJson.Plain.KeyDocument, StatusCodes.Status201Created);
    }
}
