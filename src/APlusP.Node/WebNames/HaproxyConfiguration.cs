namespace APlusP.Node.WebNames;

/// <summary>
/// What HAProxy is told. A request or a TLS hello says a name, a map says the subscriber's address and port by it, and the connection goes on there as if it had been for them; TLS is not opened. Who says
/// another name or none hears so by HTTP, and is left by TLS. Nobody's visits are written down.
/// </summary>
static class HaproxyConfiguration
{
    /// <summary>Where visitors come in.</summary>
    public static IReadOnlyList<string> Frontends { get; } = ["http", "tls"];

    /// <summary>Backends with a subscriber's server behind them, of HTTP and of TLS; and those of who says a name that is nobody's.</summary>
    public static IReadOnlyList<string> Http { get; } = ["http-plain", "http-proxied"];

    /// <inheritdoc cref="Http"/>
    public static IReadOnlyList<string> Tls { get; } = ["tls-plain", "tls-proxied"];

    /// <inheritdoc cref="Http"/>
    public static IReadOnlyList<string> Unknown { get; } = ["unknown-http", "unknown-tls"];

    /// <summary>The maps of names.</summary>
    public static (string Http, string Https) MapsIn(string directory) => (Path.Combine(directory, "http.map"), Path.Combine(directory, "https.map"));

    public static string SocketIn(string directory) => Path.Combine(directory, "haproxy.sock");

    /// <summary>It has no files once it runs.</summary>
    public static string RootIn(string directory) => Path.Combine(directory, "root");

    public static string Text(WebNamesPlan plan, string directory)
    {
        (string http, string https) = MapsIn(directory);
        return $$"""
            global
              user haproxy
              group haproxy
              chroot {{RootIn(directory)}}
              maxconn {{plan.MostConnections}}
              stats socket {{SocketIn(directory)}} mode 600 level admin

            defaults
              mode http
              timeout connect 5s
              timeout client 1m
              timeout server 5m
              timeout tunnel 1h
              timeout http-request 10s
              timeout http-keep-alive 10s
              timeout client-fin 10s
              timeout server-fin 10s
              http-reuse never
              http-error status 503 content-type "text/plain; charset=utf-8" string "The server of this site does not answer. Try again later.\n"
              http-error status 504 content-type "text/plain; charset=utf-8" string "The server of this site did not answer in time. Try again later.\n"

            frontend http
              bind 127.0.0.1:{{plan.Listen}} transparent
              http-request set-var(txn.to) req.hdr(host),host_only,lower,rtrim(.),map_str({{http}})
              {{Lead("http-request")}}
              http-request del-header X-Forwarded-For
              http-request set-header X-Forwarded-Proto http
              option forwardfor
              use_backend unknown-http unless { var(txn.to) -m found }
              use_backend http-proxied if { var(txn.to),field(3,:) -m str proxied }
              default_backend http-plain

            backend http-plain
              server home 0.0.0.0:0

            backend http-proxied
              server home 0.0.0.0:0 send-proxy-v2

            backend unknown-http
              http-request return status 421 content-type "text/plain; charset=utf-8" string "There is no site of this name here.\n"

            defaults
              mode tcp
              timeout connect 5s
              timeout client 1h
              timeout server 1h
              timeout client-fin 10s
              timeout server-fin 10s

            frontend tls
              bind 127.0.0.1:{{plan.Listen + 1}} transparent
              tcp-request inspect-delay 10s
              tcp-request content set-var(txn.to) req.ssl_sni,lower,rtrim(.),map_str({{https}}) if { req.ssl_hello_type 1 }
              {{Lead("tcp-request content")}}
              tcp-request content accept if { req.ssl_hello_type 1 }
              use_backend unknown-tls unless { var(txn.to) -m found }
              use_backend tls-proxied if { var(txn.to),field(3,:) -m str proxied }
              default_backend tls-plain

            backend tls-plain
              server home 0.0.0.0:0

            backend tls-proxied
              server home 0.0.0.0:0 send-proxy-v2

            backend unknown-tls
              tcp-request content reject

            """;
    }

    static string Lead(string rule) => $$"""
        {{rule}} set-dst var(txn.to),field(1,:) if { var(txn.to) -m found }
          {{rule}} set-dst-port var(txn.to),field(2,:) if { var(txn.to) -m found }
        """;

    /// <summary>The lines of both maps.</summary>
    public static (string Http, string Https) Maps(IEnumerable<WebSite> sites)
    {
        WebSite[] ordered = [.. sites.OrderBy(s => s.Name, StringComparer.Ordinal)];
        return (Map(s => s.Http), Map(s => s.Https));

        string Map(Func<WebSite, ushort?> port) => string.Concat(ordered.Where(s => port(s) is not null).Select(s => $"{s.Name} {s.Address}:{port(s)}{(s.IsProxied ? ":proxied" : "")}\n"));
    }
}
