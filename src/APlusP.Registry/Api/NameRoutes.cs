using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Leases;
using APlusP.Registry.Storage;
using Microsoft.AspNetCore.Http;

namespace APlusP.Registry.Api;

/// <summary>Names of subscribers' servers.</summary>
static class NameRoutes
{
    const int LongestName = 253, MostServices = 20;

    public static IEnumerable<Route> All =>
    [
        new("GET", "/v1/names", Needs.Read, List),
        new("POST", "/v1/names", Needs.Operate, Give),
        new("DELETE", "/v1/names", Needs.Operate, Take),
    ];

    static async Task List(Request request)
    {
        RequestFields fields = RequestFields.OfQuery(request.Context, "subscriber");
        string? subscriber = fields.Text("subscriber", required: false);
        fields.Check();
        await request.Reply(request.Registrar.Read(s => Documents(s, subscriber)), ApiJson.Plain.IReadOnlyListServerNameDocument);
    }

    /// <summary>The names, of one subscriber or of all, as they stand now.</summary>
    internal static IReadOnlyList<ServerNameDocument> Documents(Session session, string? subscriber = null) => session.All(
        $"SELECT {string.Join(", ", ServerName.Columns.Split(", ").Select(c => $"n.{c}"))}, l.address, l.ports FROM server_name n LEFT JOIN lease l ON l.subscriber = n.subscriber AND l.ended IS NULL {(subscriber is null ? "" : "WHERE n.subscriber = @subscriber ")}ORDER BY n.name",
        r => ServerNameDocument.Of(ServerName.Read(r), r.Number(6) is { } address ? new IPv4Address((uint)address) : null, r.Text(7) is { } ports ? PortSet.Parse(ports) : null),
        subscriber is null ? [] : [("subscriber", subscriber)]);

    static async Task Give(Request request)
    {
        (RequestFields fields, string body) = await RequestFields.OfBody(request.Context, "name", "subscriber", "http", "https", "proxied", "services");
        string? name = Name(fields), subscriber = fields.Text("subscriber", required: true);
        ushort? http = (ushort?)fields.Number("http", required: false, 1, ushort.MaxValue), https = (ushort?)fields.Number("https", required: false, 1, ushort.MaxValue);
        bool? proxied = fields.Flag("proxied");
        var services = new List<NamedService>();
        IReadOnlyList<string> texts = fields.Texts("services", MostServices);
        foreach (string text in texts)
        {
            if (NamedService.TryParse(text, out NamedService? service) && services.All(s => s.Service != service.Service)) services.Add(service);
            else fields.Fault("services", $"must be services and ports such as \"_xmpp-client._tcp:5222\", each service once, not '{RequestFields.Shorten(text)}'");
        }

        if (http is null && https is null && texts.Count == 0) fields.Fault("http", "is missing, and so are https and services: say which of the subscriber's ports the name leads to");
        if (proxied == true && http is null && https is null) fields.Fault("proxied", "is for http and https, of which there is none");
        fields.Check();
        var given = new ServerName(name!, subscriber!, http, https, proxied == true, services);
        await request.ChangeOnce(body, book =>
        {
            (ServerName stored, Lease? lease, bool isNew) = book.GiveName(given);
            return (isNew ? StatusCodes.Status201Created : StatusCodes.Status200OK, ServerNameDocument.Of(stored, lease?.Address, lease?.Ports));
        }, ApiJson.Plain.ServerNameDocument, n => $"/v1/names?subscriber={Uri.EscapeDataString(n.Subscriber)}");
    }

    static async Task Take(Request request)
    {
        RequestFields fields = RequestFields.OfQuery(request.Context, "name");
        string? name = Name(fields);
        fields.Check();
        await request.ChangeOnce("", book => (StatusCodes.Status200OK, ServerNameDocument.Of(book.TakeName(name!), null, null)), ApiJson.Plain.ServerNameDocument);
    }

    /// <summary>Names of hosts are the same in capital letters (RFC 4343).</summary>
    static string? Name(RequestFields fields)
    {
        if (fields.Text("name", required: true, LongestName)?.ToLowerInvariant() is not { } name) return null;
        if (ServerName.FaultOf(name) is { } fault) fields.Fault("name", fault);
        return name;
    }
}
