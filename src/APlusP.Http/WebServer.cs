using System.Net;
using System.Net.Security;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace APlusP.Http;

/// <summary>A web server of ours, without its routes.</summary>
sealed record WebServer
{
    /// <summary>Its own directory; null for the current one.</summary>
    public string? Directory { get; init; }

    public required IReadOnlyList<IPEndPoint> Listen { get; init; }

    /// <summary>What a new TLS connection begins with; null for plain HTTP.</summary>
    public required Func<ConnectionContext, SslServerAuthenticationOptions>? Tls { get; init; }

    /// <summary>What is wrong with an address beyond loopback where there is no certificate; null where plain HTTP is meant.</summary>
    public required Func<IPEndPoint, Exception>? Open { get; init; }

    /// <summary>Octets of a body at most.</summary>
    public required long LargestBody { get; init; }

    public required long MostConnections { get; init; }

    public WebApplication Build(Action<ILoggingBuilder> logging)
    {
        // Empty: no configuration by environment variables or files that the operator does not know of.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = Directory, ApplicationName = "aplusp" });
        builder.Services.AddRoutingCore();
        logging(builder.Logging);
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        builder.WebHost.UseKestrelCore();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = LargestBody;
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
            foreach (IPEndPoint at in Listen) kestrel.Listen(at, listen => Secure(listen, at));
        });
        return builder.Build();
    }

    void Secure(ListenOptions listen, IPEndPoint at)
    {
        if (Tls is { } begin) listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = context => ValueTask.FromResult(begin(context.Connection)) });
        else if (Open is not null && !IPAddress.IsLoopback(at.Address)) throw Open(at);
    }
}
