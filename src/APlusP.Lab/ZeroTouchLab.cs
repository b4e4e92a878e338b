using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace APlusP.Lab;

/// <summary>
/// An access network with a router that advertises itself (radvd), a PRR and a registry on it, and homes that know nothing but where the registry is, and a token.
/// <code>
///   home 0 .. home n                    prr                                              internet
///   wan: by SLAAC -- access 2001:db8:1::1 | softwire end 2001:db8:9::1 | 198.51.100.1 -- 198.51.100.2
///                    registry: https://[2001:db8:1::1]:8646                              nginx 80, echo 7
/// </code>
/// Nothing runs until it is started; each part may come late, go and come again.
/// </summary>
public sealed partial class ZeroTouchLab : IDisposable
{
    public const string Server = "198.51.100.2", PrrEnd = "2001:db8:9::1", Pool = "192.0.2.0/28", Registry = "https://[2001:db8:1::1]:8646", FirstPrefix = "2001:db8:1::";

    /// <summary>Two hosts of each home.</summary>
    public const string Host = "192.168.1.1", OtherHost = "192.168.1.2";

    /// <summary>Ports of a lease at its start.</summary>
    public const int Block = 128;

    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    readonly string _executable, _name, _fastPathLine;
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-zero-").FullName;
    readonly List<LabProcess> _processes = [];
    readonly Dictionary<int, LabProcess> _homes = [];
    LabProcess? _registry, _prr, _radvd;

    /// <param name="name">Part of the names of its namespaces; those that another of this name has left go first.</param>
    /// <param name="executable">The <c>aplusp</c> that runs in it.</param>
    /// <param name="homes">How many.</param>
    /// <param name="fastPathLine">The PRR's <c>fast-path</c>, as a line of its configuration.</param>
    public ZeroTouchLab(string name, string executable, int homes, string fastPathLine = "")
    {
        Programs.Require("radvd", "openssl", "curl", "ip", "socat", "nginx");
        (_name, _executable, _fastPathLine) = (name, executable, fastPathLine);
        NetworkNamespace.Delete(NetworkNamespace.FindAll($"ap-{name}-"));
        Prr = NetworkNamespace.Create($"ap-{name}-prr");
        Internet = NetworkNamespace.Create($"ap-{name}-net");
        foreach (NetworkNamespace router in (NetworkNamespace[])[Prr, Internet]) router.Shell("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        Commands.Require("ip", "link", "add", "uplink", "netns", Prr.Name, "type", "veth", "peer", "name", "eth0", "netns", Internet.Name);
        Prr.Ip("link add access type bridge", "link set access up", $"addr add {FirstPrefix}1/64 dev access nodad", "link set uplink up", "addr add 198.51.100.1/24 dev uplink");
        Internet.Ip("link set eth0 up", $"addr add {Server}/24 dev eth0", $"route add {Pool} via 198.51.100.1");
        Homes = [.. Enumerable.Range(0, homes).Select(Connect)];
        Prr.Require("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=registry", "-addext", "subjectAltName=IP:2001:db8:1::1,IP:127.0.0.1",
            "-keyout", In("registry.key"), "-out", Certificate);
        StartServers();
    }

    public NetworkNamespace Prr { get; }

    public NetworkNamespace Internet { get; }

    public IReadOnlyList<NetworkNamespace> Homes { get; }

    string Certificate => In("registry.crt");

    string Token => In("token");

    string OperatorToken => Path.Combine(In("registry"), "operator.token");

    string In(string file) => Path.Combine(_directory, file);

    NetworkNamespace Connect(int number)
    {
        var home = NetworkNamespace.Create($"ap-{_name}-home{number}");
        home.Shell("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 1 > /proc/sys/net/ipv6/conf/default/router_solicitation_interval");
        Commands.Require("ip", "link", "add", "wan", "netns", home.Name, "type", "veth", "peer", "name", $"port{number}", "netns", Prr.Name);
        Prr.Ip($"link set port{number} master access", $"link set port{number} up");
        home.Ip("link set wan up", $"addr add {Host}/32 dev lo", $"addr add {OtherHost}/32 dev lo");
        return home;
    }

    LabProcess Run(NetworkNamespace at, string name, IReadOnlyList<string> command, bool leavesMounts = false)
    {
        LabProcess process = LabProcess.Start(at, name, In($"{name}.log"), command, leavesMounts);
        _processes.Add(process);
        return process;
    }

    /// <summary>A web server that says who asks, and one that says whatever it hears.</summary>
    void StartServers()
    {
        File.WriteAllText(In("nginx.conf"), $$"""
            user root;
            worker_processes 1;
            pid {{In("nginx.pid")}};
            error_log {{In("nginx.error")}};
            events { worker_connections 1024; }
            http {
                access_log off;
                client_body_temp_path {{In("body")}};
                server {
                    listen 80;
                    location / { return 200 "$remote_addr:$remote_port\n"; }
                }
            }

            """);
        Run(Internet, "nginx", ["nginx", "-e", In("nginx.error"), "-c", In("nginx.conf"), "-g", "daemon off;"]);
        Run(Internet, "echo", ["socat", "TCP4-LISTEN:7,fork,reuseaddr,backlog=512", "EXEC:cat"]);
        if (!Wait.Until(() => Internet.Run("ss", "-Htln", "sport", "=", ":7").Output.Length > 0 && Internet.Run("ss", "-Htln", "sport", "=", ":80").Output.Length > 0, s_patience))
            throw new TimeoutException("the lab's servers do not listen");
    }

    // ---- What a home depends on

    /// <summary>Advertises a prefix from now on; one of before is no longer preferred, nor valid for long.</summary>
    public void Advertise(string prefix = FirstPrefix, string? gone = null)
    {
        _radvd?.Stop();
        Prr.Shell($"ip addr replace {prefix}1/64 dev access nodad");
        File.WriteAllText(In("radvd.conf"), $$"""
            interface access {
                AdvSendAdvert on;
                MinRtrAdvInterval 3;
                MaxRtrAdvInterval 4;
                prefix {{prefix}}/64 { };
                {{(gone is null ? "" : $"prefix {gone}/64 {{ AdvPreferredLifetime 0; AdvValidLifetime 1; }};")}}
            };

            """);
        _radvd = Run(Prr, "radvd", ["radvd", "--nodaemon", "--config", In("radvd.conf"), "--pidfile", In("radvd.pid"), "--logmethod", "stderr"]);
    }

    /// <summary>The router says farewell: it is no router any more.</summary>
    public void StopAdvertising() => _radvd!.Stop(TimeSpan.FromSeconds(10));

    /// <summary>Starts the registry, or starts it again with what it had; at the first time a token for many homes is made.</summary>
    /// <param name="top">Keys before its tables.</param>
    /// <param name="pool">Keys of its pool.</param>
    public LabProcess StartRegistry(string top = "", string pool = "")
    {
        File.WriteAllText(In("registry.toml"), $"""
            data = "{In("registry")}"
            listen = ["127.0.0.1:8646", "[2001:db8:1::1]:8646"]
            change-interval = 1
            {top}
            [tls]
            certificate = "{Certificate}"
            key = "{In("registry.key")}"
            [[pool]]
            prefix = "{Pool}"
            block = {Block}
            prr = "{PrrEnd}"
            path-mtu = 1500
            {pool}

            """);
        LabProcess registry = _registry = Run(Prr, "registry", [_executable, "registry", "--config", In("registry.toml")]);
        registry.WaitUntil(() => Prr.Run("curl", "-sf", "--cacert", Certificate, "https://127.0.0.1:8646/v1/health").Succeeded, s_patience, "answer");
        if (!File.Exists(Token)) NewToken(1000);
        return registry;
    }

    public void StopRegistry() => _registry!.Stop(TimeSpan.FromSeconds(10));

    /// <summary>Puts a new enrolment token where the homes look for it.</summary>
    public void NewToken(int uses) => Keep(Token, $"{{\"kind\": \"enrolment\", \"name\": \"boxes\", \"uses\": {uses}}}");

    /// <summary>Has the registry make a credential, and keeps it where only we read it; nobody sees half of it.</summary>
    void Keep(string file, string credential)
    {
        string secret = Ask("POST", "credentials", credential).GetProperty("secret").GetString()!;
        using (var next = new FileStream($"{file}.new", new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
            next.Write(Encoding.ASCII.GetBytes(secret));
        File.Move($"{file}.new", file, overwrite: true);
    }

    /// <summary>Asks the registry as its operator.</summary>
    public JsonElement Ask(string method, string path, string? body = null) => JsonDocument.Parse(Prr.Require(
        ["curl", "-sS", "--fail-with-body", "--cacert", Certificate, "-H", $"Authorization: Bearer {File.ReadAllText(OperatorToken).Trim()}", "-X", method, $"https://127.0.0.1:8646/v1/{path}", .. body is null ? Array.Empty<string>() : ["-d", body]])).RootElement.Clone();

    /// <summary>What <c>aplusp who</c> says.</summary>
    /// <param name="endpoint">Address and port.</param>
    /// <param name="at">When; now where it is left out.</param>
    public CommandResult Who(string endpoint, DateTimeOffset? at = null) => Operate(["who", endpoint, .. at is null ? Array.Empty<string>() : ["--at", $"{at:yyyy-MM-ddTHH:mm:ss.fffZ}"]]);

    /// <summary>What <c>aplusp</c> does as the registry's operator.</summary>
    public CommandResult Operate(params string[] verb) =>
        Prr.Run(["env", $"SSL_CERT_FILE={Certificate}", _executable, .. verb, "--server", "https://127.0.0.1:8646", "--token-file", OperatorToken]);

    /// <summary>What a PRR says of itself.</summary>
    public CommandResult QueryPrr(params string[] verb) => Commands.Run([_executable, .. verb, "--socket", In("prr.sock")]);

    /// <summary>Starts a PRR that knows its own address and the registry, which runs, and no binding.</summary>
    /// <param name="tables">Tables of its configuration besides.</param>
    public LabProcess StartPrr(string tables = "")
    {
        if (!File.Exists(In("router.token"))) Keep(In("router.token"), "{\"kind\": \"router\", \"name\": \"prr\"}");
        File.WriteAllText(In("prr.toml"), $"""
            softwire-address = "{PrrEnd}"
            control-socket = "{In("prr.sock")}"
            {_fastPathLine}
            [icmp]
            send-v6-errors = true
            [registry]
            url = "https://127.0.0.1:8646"
            token-file = "{In("router.token")}"
            ca-file = "{Certificate}"
            copy = "{In("prr.leases")}"
            {tables}

            """);
        LabProcess prr = _prr = Run(Prr, "prr", [_executable, "prr", "--config", In("prr.toml")]);
        prr.WaitUntil(() => Commands.Run(_executable, "status", "--socket", In("prr.sock")).Succeeded, s_patience, "answer");
        return prr;
    }

    public void StopPrr() => _prr!.Stop(TimeSpan.FromSeconds(10));

    public void Dispose()
    {
        foreach (LabProcess process in _processes) process.Signal(Linux.Signals.Terminate);
        foreach (LabProcess process in _processes) process.Stop(TimeSpan.FromSeconds(10));
        for (int home = 0; home < Homes.Count; home++)
            if (File.Exists(Path.ChangeExtension(Socket(home), "settings")))
                Commands.Run([.. Homes[home].Entering(leavesMounts: true), _executable, "smap", "detach", "--config", In($"smap-{home}.toml")]);
        NetworkNamespace.Delete([Prr, Internet, .. Homes]);
        Directory.Delete(_directory, recursive: true);
    }
}
