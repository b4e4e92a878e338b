using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace APlusP.Lab;

/// <summary>Its homes: how they start, what they and others say of them, and what their hosts do.</summary>
public sealed partial class ZeroTouchLab
{
    string Socket(int home) => Path.Combine(PathsOf(home).Run, "smap.sock");

    (string Run, string State) PathsOf(int home) => (In($"run-{home}"), In($"state-{home}"));

    /// <summary>Starts a SMAP with nothing but where the registry is, and a token; it sees places of its own where each machine has /run and /var/lib. Does not wait.</summary>
    public LabProcess BeginSmap(int home)
    {
        const string ownPlaces = "mount -t tmpfs run /run; mount -t tmpfs lib /var/lib; mkdir /run/aplusp /var/lib/aplusp; mount --bind \"$1\" /run/aplusp; mount --bind \"$2\" /var/lib/aplusp; shift 2; exec \"$@\"";
        (string run, string state) = PathsOf(home);
        Directory.CreateDirectory(run);
        Directory.CreateDirectory(state);
        return _homes[home] = Run(
            Homes[home], $"smap-{home}",
            ["sh", "-ec", ownPlaces, "sh", run, state, "env", $"SSL_CERT_FILE={Certificate}", _executable, "smap", "--registry", Registry, "--token-file", Token]);
    }

    /// <summary>The same, and waits until it answers.</summary>
    public LabProcess StartSmap(int home) => Answers(home, BeginSmap(home));

    /// <summary>Starts a SMAP by a file with more keys.</summary>
    /// <param name="home">Which.</param>
    /// <param name="keys">Keys of <c>[registry]</c>, and tables.</param>
    /// <param name="top">Keys before.</param>
    /// <param name="leavesMounts">As in <see cref="LabProcess.Start"/>; a fast path that is to stay takes it.</param>
    public LabProcess StartSmap(int home, string keys, string top = "", bool leavesMounts = false)
    {
        Directory.CreateDirectory(PathsOf(home).Run);
        Configure(home, keys, top);
        return Answers(home, _homes[home] = Run(Homes[home], $"smap-{home}", [_executable, "smap", "--config", In($"smap-{home}.toml")], leavesMounts));
    }

    /// <summary>Has a running SMAP read its file again, with these keys and tables in place of those of before.</summary>
    public void ReloadSmap(int home, string keys, string top = "")
    {
        Configure(home, keys, top);
        CommandResult reload = Query(home, "reload");
        if (!reload.Succeeded) throw new InvalidOperationException(reload.Text);
    }

    void Configure(int home, string keys, string top)
    {
        File.WriteAllText(In($"smap-{home}.toml"), $$"""
            control-socket = "{{Socket(home)}}"
            {{top}}
            [napt]
            max-flows = 4096
            timers = { tcp-transitory = 5, tcp-reset = 5 }
            [registry]
            url = "{{Registry}}"
            token-file = "{{Token}}"
            ca-file = "{{Certificate}}"
            state = "{{PathsOf(home).State}}"
            {{keys}}

            """);
    }

    LabProcess Answers(int home, LabProcess daemon)
    {
        daemon.WaitUntil(() => Query(home).Succeeded, s_patience, "answer");
        return daemon;
    }

    public CommandResult Query(int home, params string[] verb) => Commands.Run([_executable, .. verb.Length > 0 ? verb : ["status", "--json"], "--socket", Socket(home)]);

    /// <summary>What <c>aplusp doctor</c> finds at a home.</summary>
    public CommandResult Doctor(int home, params string[] more) => Homes[home].Run([_executable, "doctor", "--socket", Socket(home), .. more]);

    /// <summary>What <c>aplusp smap up</c> does at a home.</summary>
    public CommandResult Rescue(int home, params string[] more) => Homes[home].Run([_executable, "smap", "up", "--socket", Socket(home), .. more]);

    /// <summary>What a SMAP says of itself.</summary>
    public JsonElement Status(int home) => JsonDocument.Parse(Query(home).Output).RootElement.GetProperty("smap").Clone();

    JsonElement Lease(int home) => Status(home).GetProperty("lease");

    public string State(int home) => Lease(home).GetProperty("state").GetString()!;

    public string Sentence(int home) => Lease(home).GetProperty("sentence").GetString()!;

    /// <summary>Who it is to the registry.</summary>
    public string Subscriber(int home) => Lease(home).GetProperty("subscriber").GetString()!;

    public int PortCount(int home) => Status(home).GetProperty("portCount").GetInt32();

    /// <summary>Waits until a SMAP is in this state.</summary>
    public void Await(int home, string state) => Await(home, () => State(home) == state, $"be '{state}'");

    /// <summary>Waits for something that a SMAP is to come to; where it does not, its log says more.</summary>
    public void Await(int home, Func<bool> condition, string what) => _homes[home].WaitUntil(condition, s_patience, what);

    /// <summary>What the registry says of the one lease of a SMAP.</summary>
    public JsonElement LeaseOf(int home) => Ask("GET", $"leases?subscriber={Subscriber(home)}").GetProperty("leases").EnumerateArray().Single();

    /// <summary>Ends a SMAP's key with the registry and its lease, as an operator does with whoever is no customer any more.</summary>
    public void Revoke(int home)
    {
        string subscriber = Subscriber(home), lease = LeaseOf(home).GetProperty("id").GetString()!;
        string key = Ask("GET", "credentials").EnumerateArray().Single(c => c.GetProperty("name").GetString() == subscriber).GetProperty("id").GetString()!;
        Ask("DELETE", $"credentials/{key}");
        Ask("DELETE", $"leases/{lease}");
    }

    // ---- Traffic

    /// <summary>How a host of a home looks to the web server, by curl: address and port; null where nothing comes back.</summary>
    public IPEndPoint? Seen(int home, int seconds = 3)
    {
        CommandResult page = Homes[home].Run("curl", "-sS", "--fail", "--max-time", $"{seconds}", "--interface", Host, $"http://{Server}/");
        return page.Succeeded && IPEndPoint.TryParse(page.Output.Trim(), out IPEndPoint? seen) ? seen : null;
    }

    /// <summary>A web server on a host of a home, which says this and nothing else.</summary>
    public LabProcess Serve(int home, int port, string text)
    {
        string script = In($"server-{home}-{port}.sh");
        File.WriteAllText(script, $"read line\nprintf 'HTTP/1.0 200 OK\\r\\n\\r\\n{text}'\n");
        LabProcess server = Run(Homes[home], $"server-{home}-{port}", ["socat", $"TCP4-LISTEN:{port},bind={Host},fork,reuseaddr", $"EXEC:sh {script}"]);
        server.WaitUntil(() => Homes[home].Run("ss", "-Hltn", $"sport = :{port}").Output.Length > 0, s_patience, "listen");
        return server;
    }

    /// <summary>Ports of <see cref="ServeWeb"/>: of HTTP and TLS, and of both behind the PROXY protocol.</summary>
    public const int WebHttp = 8080, WebTls = 8443, WebHttpProxied = 8081, WebTlsProxied = 8444;

    /// <summary>
    /// A web server on a host of a home, with a certificate of its own for a name. It says its text, who asked by the headers or by the PROXY protocol, and its name; <c>/slow</c> is 8 MB that take eight
    /// seconds.
    /// </summary>
    /// <returns>The server, and the file of its certificate.</returns>
    public (LabProcess Server, string Certificate) ServeWeb(int home, string name, string text)
    {
        string stem = In($"web-{home}"), certificate = $"{stem}.crt";
        Homes[home].Require("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", $"/CN={name}", "-addext", $"subjectAltName=DNS:{name}", "-keyout", $"{stem}.key", "-out", certificate);
        Directory.CreateDirectory($"{stem}.files");
        File.WriteAllBytes(Path.Combine($"{stem}.files", "slow"), new byte[8 << 20]);
        string Listen(int port, string how) => $"server {{ listen {Host}:{port}{how}; root {stem}.files; location / {{ return 200 \"{text} for $http_x_forwarded_for$proxy_protocol_addr by $host\\n\"; }} location /slow {{ limit_rate 1m; }} }}";
        File.WriteAllText($"{stem}.conf", $$"""
            user root;
            worker_processes 1;
            pid {{stem}}.pid;
            error_log {{stem}}.error;
            events { worker_connections 1024; }
            http {
                access_log off;
                client_body_temp_path {{stem}}.body;
                ssl_certificate {{certificate}};
                ssl_certificate_key {{stem}}.key;
                {{Listen(WebHttp, "")}}
                {{Listen(WebTls, " ssl")}}
                {{Listen(WebHttpProxied, " proxy_protocol")}}
                {{Listen(WebTlsProxied, " ssl proxy_protocol")}}
            }

            """);
        LabProcess server = Run(Homes[home], $"web-{home}", ["nginx", "-e", $"{stem}.error", "-c", $"{stem}.conf", "-g", "daemon off;"]);
        server.WaitUntil(() => Homes[home].Run("ss", "-Hltn", $"sport = :{WebTlsProxied}").Output.Length > 0, s_patience, "listen");
        return (server, certificate);
    }

    /// <summary>A TCP connection from a host of a home to the echo server; where it is refused, as for want of a port, it is tried again for a while.</summary>
    public TcpClient Connect(int home, string host = Host) => Homes[home].Call(() =>
    {
        TcpClient? connection = null;
        if (Wait.Until(() => (connection = TryConnect(host)) is not null, s_patience)) return connection!;
        throw new TimeoutException($"{host} of home {home} did not get a connection to {Server} within {s_patience.TotalSeconds} s");
    });

    /// <summary>
    /// Connected is who hears an echo. That connect() succeeded proves nothing beside ICMP errors: of one about a SYN Linux first tells in the error queue, which wakes who waits, and sets
    /// SO_ERROR after that (tcp_v4_err, ip_icmp_error). Who looks in between, as one in some 50,000 refused does here, reads of no error.
    /// </summary>
    static TcpClient? TryConnect(string host)
    {
        var connection = new TcpClient(new IPEndPoint(IPAddress.Parse(host), 0)) { ReceiveTimeout = 30_000 };
        try
        {
            if (connection.ConnectAsync(Server, 7).Wait(TimeSpan.FromSeconds(10)) && Echoes(connection)) return connection;
        }
        catch (Exception refused) when (refused is AggregateException { InnerException: SocketException } or IOException { InnerException: SocketException })
        {
            // The SMAP says that it has no port.
        }

        connection.Dispose();
        return null;
    }

    /// <summary>Whether what is sent comes back.</summary>
    public static bool Echoes(TcpClient connection)
    {
        byte[] octets = [1, 2, 3], answer = new byte[3];
        connection.GetStream().Write(octets);
        connection.GetStream().ReadExactly(answer);
        return answer.AsSpan().SequenceEqual(octets);
    }

    /// <summary>Captures the beginning of what goes from homes to the PRR.</summary>
    public LabProcess CaptureSoftwires()
    {
        LabProcess capture = Run(Prr, "tcpdump", ["tcpdump", "-i", "access", "-s", "100", "-U", "-w", In("softwires.pcap"), $"ip6 proto 4 and dst host {PrrEnd}"]);
        capture.WaitUntil(() => capture.ReadLog().Contains("listening on", StringComparison.Ordinal), s_patience, "listen");
        return capture;
    }

    /// <summary>From which softwire ends which sources of TCP came, by tshark.</summary>
    public (string Softwire, IPEndPoint Source)[] SoftwireSources() =>
        [.. Commands.Require(["tshark", "-r", In("softwires.pcap"), "-Y", "tcp", "-T", "fields", "-e", "ipv6.src", "-e", "ip.src", "-e", "tcp.srcport"], timeout: TimeSpan.FromMinutes(5))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Distinct().Select(line => line.Split('\t')).Select(f => (f[0], new IPEndPoint(IPAddress.Parse(f[1]), int.Parse(f[2]))))];
}
