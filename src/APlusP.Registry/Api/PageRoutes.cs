using System.Reflection;

namespace APlusP.Registry.Api;

/// <summary>What a person sees: the description of the API and a page to try it. All of it comes from here; nothing is loaded from elsewhere.</summary>
static class PageRoutes
{
    public static IEnumerable<Route> All =>
    [
        new("GET", "/v1/health", Needs.Nothing, Health),
        new("GET", "/v1/openapi.json", Needs.Nothing, r => Page(r, "openapi.json", "application/json")),
        new("GET", "/", Needs.Nothing, r => Page(r, "index.html", "text/html; charset=utf-8")),
        new("GET", "/try.js", Needs.Nothing, r => Page(r, "try.js", "text/javascript; charset=utf-8")),
        new("GET", "/try.css", Needs.Nothing, r => Page(r, "try.css", "text/css; charset=utf-8")),
    ];

    /// <summary>Whether it can do its work: the database answers.</summary>
    static Task Health(Request request)
    {
        request.Registrar.Read(s => s.One("SELECT seq FROM chain WHERE one = 1", r => r.GetInt64(0)));
        return request.Reply(new HealthDocument("ok"), ApiJson.Plain.HealthDocument);
    }

    static async Task Page(Request request, string name, string type)
    {
        request.Context.Response.ContentType = type;
        request.Context.Response.Headers.ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        await using Stream page = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        await page.CopyToAsync(request.Context.Response.Body, request.Context.RequestAborted);
    }
}
