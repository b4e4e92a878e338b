using System.Net;
using System.Net.NetworkInformation;
using System.Text.Json;
using APlusP.Core;
using APlusP.Node.Control;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace APlusP.Household;

/// <summary>
/// The page of a household, which its router shows on its own addresses: is it working, which address and ports are ours, how full, who uses what, which ports lead where, and what is wrong. It needs no Internet.
/// </summary>
public sealed partial class HouseholdPage : IAsyncDisposable
{
    const string Cookie = "aplusp", LanguageCookie = "language";

    const int LargestBody = 16 * 1024, MostConnections = 64;

    readonly HouseholdPlace _place;
    readonly IHousehold _household;
    readonly Door _door;
    readonly WebApplication _application;
    readonly WrongTokens _wrong = new(TimeProvider.System);
    readonly HashSet<string> _names;
    readonly IReadOnlyList<IPNetwork> _networks;
    readonly ILogger _log;

    HouseholdPage(HouseholdPlace place, IHousehold household, Action<ILoggingBuilder> logging)
    {
        _place = place;
        _household = household;
        _door = new Door(place.State, TimeProvider.System);
        _names = [.. place.Listen.Select(l => $"{(l.Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{l.Address}]" : l.Address)}"), .. place.Names.Select(n => n.ToLowerInvariant())];

        _networks = [.. NetworkInterface.GetAllNetworkInterfaces().Select(i => i.GetIPProperties().UnicastAddresses)
            .Where(own => own.Any(a => place.Listen.Any(l => l.Address.Equals(a.Address)))).SelectMany(own => own).Select(NetworkOf)];

        // In the home itself and without a name that an authority could certify: plain HTTP, as of any router.
        var server = new WebServer { Listen = place.Listen, Tls = null, Open = null, LargestBody = LargestBody, MostConnections = MostConnections };
        _application = server.Build(logging);
        _log = _application.Services.GetRequiredService<ILoggerFactory>().CreateLogger("aplusp");
        _application.Use(Guard);
        Get("/page.css", context => File(context, "page.css", "text/css; charset=utf-8"));
        Get("/page.js", context => File(context, "page.js", "text/javascript; charset=utf-8"));
        Get("/", ShowMain);
        Get("/live.json", ShowLive);
        Post("/sign-in", SignIn, isOpen: true);
        Post("/sign-out", SignOut);
        Post("/password", SetPassword);
        Post("/forwards", AddForward);
        Post("/forwards/remove", RemoveForward);
        Post("/check", Check);
        _application.Map("{**path}", context => Show(context, StatusCodes.Status404NotFound, PageText.Sentence(WordsOf(context), WordsOf(context).NotThere, isIn: false)));
    }

    public IReadOnlyList<string> Addresses => [.. _application.Urls];

    /// <exception cref="APlusPException">AP3040, AP3041: it cannot keep its password, or cannot listen.</exception>
    public static Task<HouseholdPage> Start(HouseholdPlace place, Action<ILoggingBuilder> logging) => Start(place, new SmapHousehold(place), logging);

    internal static async Task<HouseholdPage> Start(HouseholdPlace place, IHousehold household, Action<ILoggingBuilder> logging)
    {
        var page = new HouseholdPage(place, household, logging);
        try
        {
            await page._application.StartAsync();
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            await page.DisposeAsync();
            throw new APlusPException(ErrorCodes.HouseholdNotListening, $"the page of the household cannot listen at {string.Join(", ", place.Listen)}: {error.Message} It must be an address of this machine, and a port that nobody else has; choose another by --listen.", error);
        }

        page.Runs(string.Join(", ", page.Addresses), page._door.KeyFile is { } key ? $"nobody has set a password yet: the key is in {key}" : "it asks for its password");
        return page;
    }

    /// <summary>Makes a new key in place of the password; gives the file that has it.</summary>
    /// <exception cref="APlusPException">AP3040.</exception>
    public static string Reset(string state) => Door.Reset(state);

    /// <summary>Runs until SIGTERM or SIGINT.</summary>
    public Task WaitForShutdown() => _application.WaitForShutdownAsync();

    // ---- Before any page

    /// <summary>The network that an address is of: whoever is not of one that we have an address of comes from elsewhere, though the kernel takes packets for any of its addresses by any device.</summary>
    static IPNetwork NetworkOf(UnicastIPAddressInformation own)
    {
        byte[] octets = own.Address.GetAddressBytes();
        for (int bit = own.PrefixLength; bit < octets.Length * 8; bit++) octets[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPNetwork(new IPAddress(octets), own.PrefixLength);
    }

    void Get(string path, RequestDelegate answer) => _application.MapMethods(path, [HttpMethods.Get], answer);

    void Post(string path, Func<HttpContext, IFormCollection, Task> answer, bool isOpen = false) => _application.MapMethods(path, [HttpMethods.Post], async context =>
    {
        if (!isOpen && !IsIn(context))
        {
            await Show(context, StatusCodes.Status401Unauthorized, PageText.SignIn(WordsOf(context)));
            return;
        }

        await answer(context, context.Request.HasFormContentType ? await context.Request.ReadFormAsync(context.RequestAborted) : FormCollection.Empty);
    });

    /// <summary>
    /// A foreign page in a browser of the home could ask us: by a name of its own that it lets lead here, or by a form. The first is seen by the Host, the second by the Origin, and neither is let in.
    /// </summary>
    async Task Guard(HttpContext context, RequestDelegate next)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
        headers.XContentTypeOptions = "nosniff";

        // With "no-referrer" a browser names no origin of a form either, as if it came from elsewhere (Fetch, "append a request Origin header").
        headers["Referrer-Policy"] = "same-origin";
        headers.CacheControl = "no-store";
        if (context.Connection.RemoteIpAddress is not { } asker || !_networks.Any(n => n.Contains(asker)))
        {
            context.Abort();
            return;
        }

        string host = context.Request.Host.Host.ToLowerInvariant(), origin = $"{context.Request.Headers.Origin}", site = $"{context.Request.Headers["Sec-Fetch-Site"]}";
        bool isOurs = _names.Contains(host) && (HttpMethods.IsGet(context.Request.Method) || (site is "" or "same-origin" or "none" && (origin.Length == 0 || origin == $"http://{context.Request.Host.Value}")));
        if (!isOurs)
        {
            // Led here in place of where it wanted to go: for people, and for programs no answer of theirs (RFC 6585 section 6).
            if (HttpMethods.IsGet(context.Request.Method) && PolicyNotice.For(_household.Status(), asker) is { } notice)
            {
                if (context.Request.Path == "/page.css") await File(context, "page.css", "text/css; charset=utf-8");
                else await Show(context, StatusCodes.Status511NetworkAuthenticationRequired, PageText.Notice(WordsOf(context), notice));
                return;
            }

            await Show(context, StatusCodes.Status421MisdirectedRequest, PageText.Sentence(WordsOf(context), WordsOf(context).Elsewhere, isIn: false));
            return;
        }

        try
        {
            await next(context);
        }
        catch (Exception error) when (error is IOException or InvalidDataException && !context.Response.HasStarted)
        {
            await Show(context, (error as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest, PageText.Sentence(WordsOf(context), new Said(WordsOf(context).NotDone) { English = error.Message }, isIn: false));
        }
    }

    bool IsIn(HttpContext context) => _door.Knows(context.Request.Cookies[Cookie]);

    static Words WordsOf(HttpContext context) => Words.For($"{context.Request.Query["lang"]}" is { Length: > 0 } asked ? asked : context.Request.Cookies[LanguageCookie], context.Request.Headers.AcceptLanguage);

    static async Task Show(HttpContext context, int status, string html)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/html; charset=utf-8";
        await context.Response.WriteAsync(html, context.RequestAborted);
    }

    static async Task File(HttpContext context, string name, string type)
    {
        context.Response.ContentType = type;
        await using Stream file = typeof(HouseholdPage).Assembly.GetManifestResourceStream(name)!;
        await file.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    // ---- Pages

    async Task ShowMain(HttpContext context)
    {
        if ($"{context.Request.Query["lang"]}" is { Length: > 0 } language && Words.All.Any(w => w.Language == language))
            context.Response.Cookies.Append(LanguageCookie, language, new CookieOptions { MaxAge = TimeSpan.FromDays(365), SameSite = SameSiteMode.Strict, HttpOnly = true });
        if (IsIn(context)) await ShowMain(context, said: null);
        else await Show(context, StatusCodes.Status200OK, PageText.SignIn(WordsOf(context)));
    }

    Task ShowMain(HttpContext context, Said? said) =>
        Show(context, said is null or { IsGood: true } ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest, PageText.Main(WordsOf(context), MomentOf(context), _household.Mappings(), said));

    Moment MomentOf(HttpContext context) => new(WordsOf(context), _household.Status(), _household.WebProxy());

    async Task ShowLive(HttpContext context)
    {
        if (!IsIn(context))
        {
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }

        context.Response.ContentType = "application/json";
        await JsonSerializer.SerializeAsync(context.Response.Body, MomentOf(context).ToDocument(), LiveJson.Default.LiveDocument, context.RequestAborted);
    }

    async Task SignIn(HttpContext context, IFormCollection form)
    {
        Words words = WordsOf(context);
        if (_door.Open($"{form["secret"]}") is { } session)
        {
            context.Response.Cookies.Append(Cookie, session, new CookieOptions { HttpOnly = true, SameSite = SameSiteMode.Strict });
            context.Response.Redirect("/");
            return;
        }

        Refused($"{context.Connection.RemoteIpAddress}");
        bool mayWait = await _wrong.Wait(context.Connection.RemoteIpAddress, context.RequestAborted);
        await Show(context, mayWait ? StatusCodes.Status401Unauthorized : StatusCodes.Status429TooManyRequests, PageText.SignIn(words, mayWait ? words.Wrong : words.TooMany));
    }

    Task SignOut(HttpContext context, IFormCollection form)
    {
        _door.Close(context.Request.Cookies[Cookie]!);
        context.Response.Cookies.Delete(Cookie);
        context.Response.Redirect("/");
        return Task.CompletedTask;
    }

    async Task SetPassword(HttpContext context, IFormCollection form)
    {
        Words words = WordsOf(context);
        Said said;
        try
        {
            bool isSet = _door.SetPassword($"{form["password"]}", context.Request.Cookies[Cookie]!);
            said = new Said(isSet ? words.PasswordSet : words.PasswordTooShort) { IsGood = isSet };
        }
        catch (APlusPException refused)
        {
            said = Refusal.Of(words, refused, asked: null, mappings: null);
        }

        await ShowMain(context, said);
    }

    Task AddForward(HttpContext context, IFormCollection form)
    {
        var asked = new AskedForward($"{form["port"]}", $"{form["protocol"]}") { Host = $"{form["host"]}", HostPort = $"{form["host-port"]}" };
        return Change(context, asked, () => _household.AddForward(asked.Port, $"{asked.Host}:{asked.HostPort}", asked.Protocol));
    }

    Task RemoveForward(HttpContext context, IFormCollection form)
    {
        var asked = new AskedForward($"{form["port"]}", $"{form["protocol"]}");
        return Change(context, asked, () => _household.RemoveForward(asked.Port, asked.Protocol));
    }

    async Task Change(HttpContext context, AskedForward asked, Action change)
    {
        try
        {
            change();
            context.Response.Redirect("/");
        }
        catch (APlusPException refused)
        {
            await ShowMain(context, Refusal.Of(WordsOf(context), refused, asked, _household.Mappings()));
        }
    }

    async Task Check(HttpContext context, IFormCollection form) => await Show(context, StatusCodes.Status200OK, PageText.Findings(WordsOf(context), await _household.Examine()));

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    [LoggerMessage(1, LogLevel.Information, "the page of the household is at {Addresses}; {How}")]
    partial void Runs(string addresses, string how);

    [LoggerMessage(2, LogLevel.Warning, "somebody at {From} showed a wrong password or key")]
    partial void Refused(string from);
}
