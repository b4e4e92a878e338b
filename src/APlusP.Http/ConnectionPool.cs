using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Forwarder;

namespace APlusP.Http;

/// <summary>
/// HTTP/1 in clear of many clients, over few connections to each server: a request takes whichever is free, and waits where none is (RFC 9112 section 9.4). What is carried is not changed, but
/// for a Via (RFC 9110 section 7.6.3).
/// </summary>
/// <remarks>
/// It stands behind a socket of its own, where each connection says first which server it is for: so whoever relays connections need not know that this is not the server.
/// </remarks>
sealed class ConnectionPool : IAsyncDisposable
{
    /// <summary>Without a request a connection to a server is given up soon: it has a port of the shared address.</summary>
    static readonly TimeSpan s_idle = TimeSpan.FromSeconds(15), s_connecting = TimeSpan.FromSeconds(15);

    /// <summary>How long a request may stand still: RFC 5382 REQ-5, as the NAPT has it for a connection.</summary>
    static readonly TimeSpan s_silence = TimeSpan.FromSeconds(7440);

    const int LongestHead = 64 * 1024, LongestPreface = 64, MostPrivate = 10_000;

    // Its directory is ours alone (0700), and so is what leads to any server.
    readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("aplusp-pool-");
    readonly ConcurrentDictionary<string, bool> _private = new(StringComparer.Ordinal);
    readonly HttpMessageInvoker _client;
    readonly WebApplication _server;
    readonly Transparent _transparent;

    ConnectionPool(int mostPerServer)
    {
        _transparent = new Transparent(_private);
        _client = new HttpMessageInvoker(new SocketsHttpHandler
        {
            MaxConnectionsPerServer = mostPerServer,
            PooledConnectionIdleTimeout = s_idle,
            ConnectTimeout = s_connecting,
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
        });
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "aplusp" });
        builder.Services.AddHttpForwarder();
        builder.Logging.AddFilter("Microsoft", LogLevel.None);
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.AllowSynchronousIO = false;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Limits.MaxRequestLineSize = LongestHead;
            kestrel.Limits.MaxRequestHeadersTotalSize = LongestHead;
            kestrel.ListenUnixSocket(Place, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.Use(next => connection => ReadPreface(connection, next));
            });
        });
        _server = builder.Build();
        IHttpForwarder forwarder = _server.Services.GetRequiredService<IHttpForwarder>();
        var config = new ForwarderRequestConfig { Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact, ActivityTimeout = s_silence };
        _server.Run(async context =>
        {
            await forwarder.SendAsync(context, $"http://{ServerOf(context)}", _client, config, _transparent, context.RequestAborted);
        });
    }

    string Place => Path.Combine(_directory.FullName, "pool.sock");

    /// <summary>Starts one.</summary>
    /// <param name="mostPerServer">Connections to each server at most.</param>
    public static async Task<ConnectionPool> StartAsync(int mostPerServer)
    {
        var pool = new ConnectionPool(mostPerServer);
        await pool._server.StartAsync();
        return pool;
    }

    /// <summary>Whether requests to a server may share connections: not where it has asked somebody to sign in by a connection instead of by a request (NTLM, Negotiate; RFC 9110 section 11.7).</summary>
    public bool May(IPEndPoint server) => !_private.ContainsKey($"{server}");

    /// <summary>What a client's HTTP is to be relayed to, for this server.</summary>
    public async Task<Socket> ConnectAsync(IPEndPoint server, CancellationToken cancel)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Place), cancel);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"{server}\n"), cancel);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    static async Task ReadPreface(ConnectionContext connection, ConnectionDelegate next)
    {
        while (true)
        {
            System.IO.Pipelines.ReadResult read = await connection.Transport.Input.ReadAsync(connection.ConnectionClosed);
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                connection.Items[typeof(ConnectionPool)] = Encoding.ASCII.GetString(read.Buffer.Slice(0, end));
                connection.Transport.Input.AdvanceTo(read.Buffer.GetPosition(1, end));
                break;
            }

            if (read.IsCompleted || read.Buffer.Length > LongestPreface) return;
            connection.Transport.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }

        await next(connection);
    }

    static string ServerOf(HttpContext context) => (string)context.Features.Get<IConnectionItemsFeature>()!.Items[typeof(ConnectionPool)]!;

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _client.Dispose();
        _directory.Delete(recursive: true);
    }

    /// <summary>Requests as they came: the same target, octet for octet, and the same Host.</summary>
    sealed class Transparent(ConcurrentDictionary<string, bool> isPrivate) : HttpTransformer
    {
        const string Ourselves = "aplusp";

        static readonly UriCreationOptions s_asItIs = new() { DangerousDisablePathAndQueryCanonicalization = true };

        public override async ValueTask TransformRequestAsync(HttpContext context, HttpRequestMessage request, string server, CancellationToken cancel)
        {
            await base.TransformRequestAsync(context, request, server, cancel);
            string target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
            if (target.StartsWith('/')) request.RequestUri = new Uri($"{server}{target}", s_asItIs);
            request.Headers.Host = context.Request.Host.Value;
            request.Headers.Via.Add(new ViaHeaderValue(context.Request.Protocol[^3..], Ourselves));
        }

        public override async ValueTask<bool> TransformResponseAsync(HttpContext context, HttpResponseMessage? response, CancellationToken cancel)
        {
            if (response is not null && response.Headers.WwwAuthenticate.Any(how => how.Scheme.Equals("NTLM", StringComparison.OrdinalIgnoreCase) || how.Scheme.Equals("Negotiate", StringComparison.OrdinalIgnoreCase)))
            {
                // The client comes again by a connection of its own.
                if (isPrivate.Count < MostPrivate) isPrivate[ServerOf(context)] = true;
                context.Response.Headers.Connection = "close";
            }

            return await base.TransformResponseAsync(context, response, cancel);
        }
    }
}
