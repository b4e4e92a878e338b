using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Access;
using APlusP.Registry.Allocation;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;
using Microsoft.AspNetCore.Http;

namespace APlusP.Registry.Api;

/// <summary>Leases, and who had what.</summary>
static class LeaseRoutes
{
    const int MostAtOnce = 1000, Usual = 100;

    public static IEnumerable<Route> All =>
    [
        new("POST", "/v1/leases", Needs.ChangeLease, Grant),
        new("GET", "/v1/leases", Needs.ReadLease, List),
        new("GET", "/v1/leases/{id}", Needs.ReadLease, Show),
        new("DELETE", "/v1/leases/{id}", Needs.ChangeLease, Release),
        new("POST", "/v1/leases/{id}/renew", Needs.ChangeLease, Renew),
        new("POST", "/v1/leases/{id}/grow", Needs.ChangeLease, r => Resize(r, (book, id, ports) => book.Grow(id, ports))),
        new("POST", "/v1/leases/{id}/shrink", Needs.ChangeLease, r => Resize(r, (book, id, ports) => book.Shrink(id, ports))),
        new("GET", "/v1/who", Needs.Read, Who),
    ];

    static async Task Grant(Request request)
    {
        (RequestFields fields, string body) = await RequestFields.OfBody(request.Context, "subscriber", "softwire", "class", "address", "ranges");
        string? subscriber = fields.Text("subscriber", required: request.Caller.Subscriber is null), className = fields.Text("class", required: false, most: 64);
        IPv6Address? softwire = fields.Softwire("softwire", required: true);
        PortSet? ports = fields.Ranges("ranges", required: false);
        IPv4Address? address = fields.Address("address", required: ports is not null);
        if (address is not null && ports is null) fields.Fault("ranges", "is missing beside 'address'; the two say which ports, or both are left out");
        fields.Check();
        subscriber ??= request.Caller.Subscriber!;
        request.Caller.RequireSelf(subscriber);
        request.Caller.RequireWithin(softwire!.Value);
        if (ports is not null && request.Caller.Subscriber is not null) throw new Refusal(ErrorCodes.NotAllowed, "Which ports a SMAP gets the registry decides. Leave out 'address' and 'ranges', or have an operator ask.");
        if (request.Caller.Subscriber is not null) className = OwnClass(request.Caller.Credential!, className);

        await request.ChangeOnce(
            body,
            book =>
            {
                (Lease lease, bool isNew) = book.Grant(subscriber, softwire.Value, className, ports is null ? null : (address!.Value, ports));
                return (isNew ? StatusCodes.Status201Created : StatusCodes.Status200OK, Document(request, lease));
            },
            ApiJson.Plain.LeaseDocument, lease => $"/v1/leases/{lease.Id}");
    }

    /// <summary>The class that a SMAP's lease gets: the one that it was enrolled for. Those beside the usual one have more ports, and an operator says who has them.</summary>
    static string? OwnClass(Credential credential, string? asked)
    {
        if (credential.Class.Length > 0)
        {
            if (asked is not null && asked != credential.Class) throw new Refusal(ErrorCodes.NotAllowed, $"This SMAP was enrolled for the class '{credential.Class}'. Leave out the class.");
            return credential.Class;
        }

        if (asked is not (null or SubscriberClass.Default))
            throw new Refusal(ErrorCodes.NotAllowed, $"This SMAP was enrolled for no class, which is '{SubscriberClass.Default}'. Leave out the class, or have an operator give the lease of the class '{asked}', or issue an enrolment token with it.");
        return asked;
    }

    static LeaseDocument Document(Request request, Lease lease) => LeaseDocument.Of(lease, request.Registrar.Policy.PoolOf(lease.Address));

    static Task List(Request request)
    {
        RequestFields fields = RequestFields.OfQuery(request.Context, "subscriber", "softwire", "limit", "after").WithNumbersAsText();
        string? subscriber = fields.Text("subscriber", required: false), after = fields.Text("after", required: false, most: 64);
        IPv6Address? softwire = fields.Softwire("softwire", required: false);
        int limit = (int)(fields.Number("limit", required: false, 1, MostAtOnce) ?? Usual);
        fields.Check();
        if (subscriber is not null) request.Caller.RequireSelf(subscriber);
        subscriber ??= request.Caller.Subscriber;

        List<Lease> leases = request.Registrar.Read(session => session.All(
            $"SELECT {Lease.Columns} FROM lease WHERE ended IS NULL AND until > @now AND id > @after{(subscriber is null ? "" : " AND subscriber = @subscriber")}{(softwire is null ? "" : " AND softwire = @softwire")} ORDER BY id LIMIT @limit",
            Lease.Read,
            [("now", request.Registrar.Now.ToUnixTimeMilliseconds()), ("after", after ?? ""), ("limit", limit + 1L), .. subscriber is null ? [] : new (string, object?)[] { ("subscriber", subscriber) }, .. softwire is null ? [] : new (string, object?)[] { ("softwire", softwire.Value.ToString()) }]));
        string? next = leases.Count > limit ? $"/v1/leases?limit={limit}&after={leases[limit - 1].Id}{(subscriber is null || request.Caller.Subscriber is not null ? "" : $"&subscriber={Uri.EscapeDataString(subscriber)}")}" : null;
        return request.Reply(new LeaseList([.. leases.Take(limit).Select(l => Document(request, l))], next), ApiJson.Plain.LeaseList);
    }

    static Task Show(Request request)
    {
        string id = IdOf(request);
        Lease lease = Find(request, id) ?? throw new Refusal(ErrorCodes.NotThere, $"There is no lease '{id}'. GET /v1/leases lists those that there are.");
        if (lease.Ended is not null || lease.Until <= request.Registrar.Now) throw new Refusal(ErrorCodes.NotThere, $"The lease '{id}' of {lease.Subscriber} ended at {Moment.Write(lease.Until)}.");
        return request.Reply(Document(request, lease), ApiJson.Plain.LeaseDocument);
    }

    static async Task Renew(Request request)
    {
        string id = IdOf(request);
        (RequestFields fields, string body) = await RequestFields.OfBody(request.Context);
        fields.Check();
        await request.ChangeOnce(body, book => (StatusCodes.Status200OK, Document(request, book.Renew(id))), ApiJson.Plain.LeaseDocument);
    }

    static async Task Release(Request request)
    {
        string id = IdOf(request);
        await request.ChangeOnce("", book => (StatusCodes.Status200OK, Document(request, book.Release(id))), ApiJson.Plain.LeaseDocument);
    }

    static async Task Resize(Request request, Func<LeaseBook, string, int?, Lease> change)
    {
        string id = IdOf(request);
        (RequestFields fields, string body) = await RequestFields.OfBody(request.Context, "ports");
        int? ports = (int?)fields.Number("ports", required: false, 1, 65536);
        fields.Check();
        await request.ChangeOnce(body, book => (StatusCodes.Status200OK, Document(request, change(book, id, ports))), ApiJson.Plain.LeaseDocument);
    }

    static Task Who(Request request)
    {
        RequestFields fields = RequestFields.OfQuery(request.Context, "address", "port", "at").WithNumbersAsText();
        IPv4Address? address = fields.Address("address", required: true);
        long? port = fields.Number("port", required: true, 0, 65535);
        DateTimeOffset at = fields.Time("at") ?? request.Registrar.Now;
        if (at > request.Registrar.Now + TimeSpan.FromMinutes(1)) fields.Fault("at", "is in the future, of which nobody knows");
        fields.Check();
        WhoAnswer answer = request.Registrar.Who(address!.Value, (ushort)port!.Value, at);
        request.Log.Asked(request.Caller.Name, address.Value.ToString(), (int)port.Value, Moment.Write(at), answer.Subscriber ?? "nobody");
        return request.Reply(Document(answer, address.Value, (ushort)port.Value, at), ApiJson.Plain.WhoDocument);
    }

    internal static WhoDocument Document(WhoAnswer who, IPv4Address address, ushort port, DateTimeOffset at) => new(
        who.Subscriber, who.Lease, who.From is { } from ? Moment.Write(from) : null, who.Until is { } until ? Moment.Write(until) : null, who.Sentence(address, port, at));

    /// <summary>The lease of the path; a SMAP hears of its own only, and of others not even that there are none.</summary>
    static string IdOf(Request request)
    {
        string id = request.Id!;
        if (id.Length > 64 || id.Any(c => !char.IsAsciiLetterOrDigit(c))) throw new Refusal(ErrorCodes.NotThere, "There is no such lease: an id has letters and digits only. GET /v1/leases lists those that there are.");
        if (request.Caller.Subscriber is not null) request.Caller.RequireSelf(Find(request, id)?.Subscriber ?? "");
        return id;
    }

    static Lease? Find(Request request, string id) => request.Registrar.Read(s => s.One($"SELECT {Lease.Columns} FROM lease WHERE id = @id", Lease.Read, ("id", id)));
}
