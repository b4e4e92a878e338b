using System.Reflection;
using System.Runtime.InteropServices;
using APlusP.Core;
using APlusP.Registry.Access;
using APlusP.Registry.Configuration;
using APlusP.Registry.Dhcpv6;
using APlusP.Registry.Ipfix;
using APlusP.Registry.Pcp;
using APlusP.Registry.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace APlusP.Registry.Api;

/// <summary>The registry as a process: its API over HTTP, and what time does to leases.</summary>
public sealed class RegistryServer : IAsyncDisposable
{
    /// <summary>No body that the API takes is larger.</summary>
    const int LargestBody = 64 * 1024;

    public const string TokenFile = "operator.token";

    static readonly TimeSpan s_upkeepEvery = TimeSpan.FromSeconds(1);

    readonly RegistrySettings _settings;
    readonly TimeProvider _clock;
    readonly RegistryDatabase _database;
    readonly Registrar _registrar;
    readonly WebApplication _application;
    readonly RegistryLog _log;
    readonly Authentication _authentication;
    readonly IReadOnlyList<Route> _routes = Routes;
    readonly PcpCounters _pcpCounters = new();
    readonly CancellationTokenSource _stopping = new();
    volatile ServerTls? _tls;
    Task _upkeep = Task.CompletedTask, _export = Task.CompletedTask, _listening = Task.CompletedTask;
    DhcpListener? _dhcp;
    PcpListener? _pcp;

    RegistryServer(RegistrySettings settings, Action<ILoggingBuilder> logging, TimeProvider clock)
    {
        _settings = settings;
        _clock = clock;
        if (settings is { Certificate: not null, Key: not null }) _tls = new ServerTls(settings);
        MakeDirectory(settings.Directory);
        _database = RegistryDatabase.Open(settings.Database, settings.Directory);
        _registrar = new Registrar(_database, settings.Policy, clock);
        _application = Server.Build(logging);
        _log = new RegistryLog(_application.Services.GetRequiredService<ILoggerFactory>().CreateLogger("aplusp"));
        _authentication = new Authentication(_registrar, clock, _log, () => _tls?.Clients);
        foreach (Route route in _routes) _application.MapMethods(route.Path, [route.Method], context => Answer(context, route));
        _application.Map("{**path}", NoSuchRoute);
    }

    internal static IReadOnlyList<Route> Routes { get; } = [.. LeaseRoutes.All, .. FeedRoutes.All, .. OperatorRoutes.All, .. PageRoutes.All];

    /// <summary>Where it listens; the port is the one that was given where 0 was asked for.</summary>
    public IReadOnlyList<string> Addresses => [.. _application.Urls];

    internal Registrar Registrar => _registrar;

    /// <summary>Opens the database and listens. Gives when it does.</summary>
    /// <exception cref="APlusPException">It cannot; the message says why.</exception>
    public static async Task<RegistryServer> Start(RegistrySettings settings, Action<ILoggingBuilder> logging, TimeProvider? clock = null)
    {
        var server = new RegistryServer(settings, logging, clock ?? TimeProvider.System);
        try
        {
            await server.WriteFirstToken();
            if (settings.Dhcpv6 is { } dhcp) server._dhcp = new DhcpListener(dhcp, new DhcpResponder(dhcp, server._registrar, DhcpListener.OwnDuid(settings.Directory)), server._log);
            if (settings.Pcp is { } pcp) server._pcp = new PcpListener(pcp, new PcpResponder(pcp, server._registrar, server._pcpCounters), server._log);
            await server._application.StartAsync();
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            await server.DisposeAsync();
            throw new APlusPException(ErrorCodes.RegistryNotListening, $"the registry cannot listen at {string.Join(", ", settings.Listen)}: {error.Message} Another may run there already; choose another address or port by --listen.", error);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }

        string version = typeof(RegistryServer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        foreach (Diagnostic warning in settings.Warnings) server._log.Warn(warning.Message);
        server._log.Started(version, string.Join(", ", server.Addresses), server._database.Name, string.Join(", ", settings.Policy.Pools.Select(p => p.Name)), settings.Loopback.ToString().ToLowerInvariant());
        server._upkeep = server.Upkeep(server._stopping.Token);
        if (settings.Ipfix is { } ipfix) server._export = new BlockExporter(server._registrar, ipfix, server._clock, server._log).Run(server._stopping.Token);
        server._listening = server._database.Listen(server._registrar.Changes.Ring, server._stopping.Token);
        return server;
    }

    /// <summary>Runs until SIGTERM or SIGINT; requests that have begun are answered. SIGHUP reads certificates again.</summary>
    public async Task WaitForShutdown()
    {
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            Reload();
        });
        await _application.WaitForShutdownAsync();
        _log.Stopping();
    }

    /// <summary>Plain HTTP on loopback where there is no certificate, TLS everywhere else.</summary>
    WebServer Server => new()
    {
        Directory = _settings.Directory,
        Listen = _settings.Listen,
        Tls = _tls is null ? null : connection => _tls!.Begin(connection),
        Open = at => new APlusPException(ErrorCodes.RegistryNotListening, $"{at} is not loopback, and beyond that the registry speaks TLS only. Write certificate and key (PEM files) in [tls], or --certificate and --key."),
        LargestBody = LargestBody,
        MostConnections = 10_000,
    };

    /// <summary>Reads certificates and revocation lists again; what cannot be used is told, and what was in force stays.</summary>
    public void Reload()
    {
        if (_tls is null) return;
        try
        {
            _tls = new ServerTls(_settings);
            _log.Reloaded();
        }
        catch (APlusPException error)
        {
            _log.NotReloaded(error.Message);
        }
    }

    static void MakeDirectory(string path)
    {
        try
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new APlusPException(ErrorCodes.RegistryStorage, $"the directory '{path}' cannot be made: {error.Message} Choose one by --data where this user may write.", error);
        }
    }

    /// <summary>The first operator's token: in a file that its owner alone may read. Where the file is there already, its token is made known to the database.</summary>
    async Task WriteFirstToken()
    {
        string path = Path.Combine(_settings.Directory, TokenFile);
        try
        {
            string token = File.Exists(path) ? (await File.ReadAllTextAsync(path)).Trim() : "";
            bool isNew = token.Length == 0;
            if (isNew)
            {
                token = Secret.New();
                using var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
                await file.WriteAsync(System.Text.Encoding.ASCII.GetBytes(token + "\n"));
            }
            else if (_registrar.Read(s => CredentialBook.IsKnown(s, token)))
            {
                return;
            }

            await _registrar.Change(t => new CredentialBook(t, "registry").Issue(token, Credential.Operator, TokenFile, Credential.Operate));
            if (isNew) _log.TokenWritten(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or Refusal)
        {
            throw new APlusPException(ErrorCodes.RegistryStorage, $"the first operator's token cannot be kept in {path}: {error.Message} The directory's owner must be whoever runs the registry.", error);
        }
    }

    async Task Answer(HttpContext context, Route route)
    {
        try
        {
            context.Response.Headers.CacheControl = "no-store";
            context.Response.Headers.XContentTypeOptions = "nosniff";
            Caller caller = await _authentication.Of(context);
            caller.Require(route.Needs, _settings.Loopback);
            await route.Answer(new Request(context, caller, _registrar, _log) { Pcp = _pcpCounters });
        }
        catch (Refusal refusal)
        {
            await Problems.Tell(context, refusal);
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException error)
        {
            await Problems.Tell(context, new Refusal(ErrorCodes.BadRequest, $"{error.Message} A body has at most {LargestBody} octets."), error.StatusCode);
        }
        catch (Exception error) when (context.RequestAborted.IsCancellationRequested && error is OperationCanceledException or IOException)
        {
            // Whoever asked has gone.
        }
        catch (Exception error)
        {
            _log.RequestFailed(error, context.Request.Method, context.Request.Path);
            await Problems.Tell(context, new Refusal(ErrorCodes.RegistryFault, "The registry failed at this request; its log says how. Nothing was stored."));
        }
    }

    Task NoSuchRoute(HttpContext context)
    {
        string[] segments = $"{context.Request.Path}".Split('/');
        string[] methods = [.. _routes.Where(r => Matches(r.Path.Split('/'), segments)).Select(r => r.Method)];
        if (methods.Length == 0) return Problems.Tell(context, new Refusal(ErrorCodes.BadRequest, "There is no such path. GET / is a page to try the API, GET /v1/openapi.json describes it."), StatusCodes.Status404NotFound);
        context.Response.Headers.Allow = string.Join(", ", methods);
        return Problems.Tell(context, new Refusal(ErrorCodes.BadRequest, $"This path takes {string.Join(" and ", methods)}, not {context.Request.Method}."), StatusCodes.Status405MethodNotAllowed);
    }

    static bool Matches(string[] path, string[] segments) =>
        path.Length == segments.Length && path.Zip(segments).All(p => p.First.StartsWith('{') ? p.Second.Length > 0 : string.Equals(p.First, p.Second, StringComparison.OrdinalIgnoreCase));

    async Task Upkeep(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(s_upkeepEvery, _clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                try
                {
                    await _registrar.Upkeep(_settings.Retention);
                }
                catch (Exception error) when (error is not OperationCanceledException)
                {
                    // The database is away; the next tick tries again.
                    _log.UpkeepFailed(error.Message);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // We stop.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_upkeep, _export, _listening);
        if (_dhcp is not null) await _dhcp.DisposeAsync();
        if (_pcp is not null) await _pcp.DisposeAsync();
        if (_application.Lifetime is { ApplicationStarted.IsCancellationRequested: true, ApplicationStopped.IsCancellationRequested: false }) await _application.StopAsync();
        await _application.DisposeAsync();
        _registrar.Dispose();
        _database.Dispose();
        _stopping.Dispose();
    }
}
