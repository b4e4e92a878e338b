using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Text.Json;
using APlusP.Core;
using APlusP.Survey.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace APlusP.Survey.Sites;

/// <summary>What a collector is to do.</summary>
/// <param name="Directory">Where the sites' stores and tokens are.</param>
/// <param name="Listen">Addresses and ports.</param>
/// <param name="Certificate">PEM file; null on loopback.</param>
/// <param name="Key">PEM file.</param>
public sealed record CollectorPlace(string Directory, IReadOnlyList<IPEndPoint> Listen, string? Certificate, string? Key);

/// <summary>
/// Takes in what sites measure, each into a store of its own. A site shows a token, which says which it is. Samples that are there already are left out, so that a site
/// may send again whatever it is not sure of.
/// </summary>
public sealed partial class SiteCollector : IAsyncDisposable
{
    public const int DefaultPort = 8647;

    /// <summary>A batch is of some hundred kilobytes.</summary>
    const int LargestBody = 16 << 20;

    const int MostSamples = 1000, MostHosts = 200_000;

    readonly SiteBook _sites;
    readonly WebApplication _application;
    readonly WrongTokens _wrongTokens = new(TimeProvider.System);
    readonly ConcurrentDictionary<string, Lock> _writing = new(StringComparer.Ordinal);
    readonly ILogger _log;

    SiteCollector(CollectorPlace place, Action<ILoggingBuilder> logging)
    {
        _sites = new SiteBook(place.Directory);
        SslStreamCertificateContext? certificate = place is { Certificate: { } file, Key: { } key } ? ServerCertificate.Load(file, key, ErrorCodes.CollectorNotListening) : null;
        var server = new WebServer
        {
            Listen = place.Listen,
            Tls = certificate is null ? null : _ => new SslServerAuthenticationOptions { ServerCertificateContext = certificate },
            Open = at => new APlusPException(ErrorCodes.CollectorNotListening, $"{at} is not loopback, and beyond that the collector speaks TLS only: give --certificate and --key (PEM files)."),
            LargestBody = LargestBody,
            MostConnections = 1000,
        };
        _application = server.Build(logging);
        _log = _application.Services.GetRequiredService<ILoggerFactory>().CreateLogger("aplusp");
        _application.MapMethods("/v1/site", [HttpMethods.Get], context => Answer(context, TellSite));
        _application.MapMethods("/v1/samples", [HttpMethods.Post], context => Answer(context, TakeSamples));
        _application.Map("{**path}", context => Tell(context, StatusCodes.Status404NotFound, "Not there", ErrorCodes.BadBatch, "A collector of surveys has GET /v1/site and POST /v1/samples."));
    }

    public IReadOnlyList<string> Addresses => [.. _application.Urls];

    /// <exception cref="APlusPException">AP7014: it cannot listen.</exception>
    public static async Task<SiteCollector> Start(CollectorPlace place, Action<ILoggingBuilder> logging)
    {
        var collector = new SiteCollector(place, logging);
        try
        {
            await collector._application.StartAsync();
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            await collector.DisposeAsync();
            throw new APlusPException(ErrorCodes.CollectorNotListening, $"the collector cannot listen at {string.Join(", ", place.Listen)}: {error.Message} Another may run there already; choose another address or port by --listen.", error);
        }
        catch
        {
            await collector.DisposeAsync();
            throw;
        }

        string addresses = string.Join(", ", collector.Addresses);
        int sites = collector._sites.Names.Count;
        collector.Started(addresses, place.Directory, sites);
        return collector;
    }

    /// <summary>Runs until SIGTERM or SIGINT.</summary>
    public Task WaitForShutdown() => _application.WaitForShutdownAsync();

    async Task Answer(HttpContext context, Func<HttpContext, string, Task> answer)
    {
        try
        {
            if (await SiteOf(context) is { } site) await answer(context, site);
        }
        catch (Exception error) when (error is JsonException or InvalidDataException)
        {
            await Tell(context, StatusCodes.Status400BadRequest, "No samples", ErrorCodes.BadBatch, $"What was sent is no batch of samples: {error.Message}. Nothing of it was kept. Is the site's aplusp much newer than the collector's?");
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException error)
        {
            await Tell(context, error.StatusCode, "No samples", ErrorCodes.BadBatch, $"{error.Message} A batch has at most {LargestBody >> 20} MB.");
        }
        catch (APlusPException error)
        {
            Refused($"{context.Connection.RemoteIpAddress}", error.Message);
            await Tell(context, error.Code == ErrorCodes.SurveySettings ? StatusCodes.Status409Conflict : StatusCodes.Status503ServiceUnavailable, "Not kept", error.Code, error.Message);
        }
        catch (Exception error) when (context.RequestAborted.IsCancellationRequested && error is OperationCanceledException or IOException)
        {
            // Whoever sent has gone.
        }
    }

    /// <summary>Whose token it is; null where it is nobody's, which has been answered.</summary>
    async Task<string?> SiteOf(HttpContext context)
    {
        const string bearer = "Bearer ";
        string header = $"{context.Request.Headers.Authorization}";
        string? token = header.StartsWith(bearer, StringComparison.OrdinalIgnoreCase) ? header[bearer.Length..].Trim() : null;
        if (token is not null && _sites.Find(token) is { } site) return site;
        bool mayWait = token is null || await _wrongTokens.Wait(context.Connection.RemoteIpAddress, context.RequestAborted);
        if (token is not null) Refused($"{context.Connection.RemoteIpAddress}", "it showed a token of no site");
        context.Response.Headers.WWWAuthenticate = "Bearer realm=\"aplusp survey\"";
        if (mayWait) await Tell(context, StatusCodes.Status401Unauthorized, "Not authenticated", ErrorCodes.NoSuchSite, token is null ? "A site shows its token: Authorization: Bearer TOKEN." : "This token is no site's: it was replaced or removed, or is mistyped.");
        else await Tell(context, StatusCodes.Status429TooManyRequests, "Too many wrong tokens", ErrorCodes.NoSuchSite, "Too many wrong tokens came from this address at once. Wait a minute.");
        return null;
    }

    async Task TellSite(HttpContext context, string site)
    {
        string path = _sites.StoreOf(site);
        if (!File.Exists(path))
        {
            await Reply(context, new SiteDocument(site, 0, null));
            return;
        }

        using SurveyStore store = SurveyStore.Open(path);
        await Reply(context, new SiteDocument(site, store.Samples, store.Last?.ToUnixTimeMilliseconds()));
    }

    async Task TakeSamples(HttpContext context, string site)
    {
        SampleBatch batch = await JsonSerializer.DeserializeAsync(context.Request.Body, SiteJson.Default.SampleBatch, context.RequestAborted) ?? throw new InvalidDataException("it is null");
        if (batch is not { HostsAre: HostNames.Pseudonyms or HostNames.Addresses, Key: { Length: <= 64 }, Applications.Count: <= 64, Hosts.Count: <= MostHosts, Samples.Count: > 0 and <= MostSamples }
            || batch.Hosts.Contains(null!) || batch.Samples.Any(s => s?.Counts is null))
            throw new InvalidDataException($"it has 1 to {MostSamples} samples of at most {MostHosts:N0} hosts, and says how these are called");

        // Opened for each batch: of one that is refused nothing stays behind, in memory neither.
        SiteDocument kept;
        lock (_writing.GetOrAdd(site, _ => new Lock()))
        {
            using SurveyStore store = SurveyStore.OpenReplica(_sites.StoreOf(site), batch);
            store.Add(batch);
            kept = new SiteDocument(site, store.Samples, store.Last?.ToUnixTimeMilliseconds());
        }

        await Reply(context, kept);
    }

    static Task Reply(HttpContext context, SiteDocument document) => context.Response.WriteAsJsonAsync(document, SiteJson.Default.SiteDocument, cancellationToken: context.RequestAborted);

    static Task Tell(HttpContext context, int status, string title, string code, string detail)
    {
        if (context.Response.HasStarted) return Task.CompletedTask;
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new SiteProblem($"urn:aplusp:error:{code}", title, status, detail, code), SiteJson.Default.SiteProblem, "application/problem+json", context.RequestAborted);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "collector of surveys listens at {Addresses}, keeps them in {Directory}, {Sites} site(s)")]
    partial void Started(string addresses, string directory, int sites);

    [LoggerMessage(Level = LogLevel.Warning, Message = "refused {From}: {Why}")]
    partial void Refused(string from, string why);

    public async ValueTask DisposeAsync()
    {
        if (_application.Lifetime is { ApplicationStarted.IsCancellationRequested: true, ApplicationStopped.IsCancellationRequested: false }) await _application.StopAsync();
        await _application.DisposeAsync();
    }
}
