using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>
/// An access network with a router that advertises itself (radvd), a PRR and a registry on it, and homes that know nothing but where the registry is, and a token.
/// <code>
///   smap-0 .. smap-n                    prr                                              internet
///   wan: by SLAAC -- access 2001:db8:1::1 | softwire end 2001:db8:9::1 | 198.51.100.1 -- 198.51.100.2
///                    registry: https://[2001:db8:1::1]:8646
/// </code>
/// </summary>
sealed class ZeroTouchHost : IDisposable
{
    public const string Server = "198.51.100.2", PrrEnd = "2001:db8:9::1", Pool = "192.0.2.0/28", Lan = "192.168.1.1";

    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-zero-").FullName;
    readonly List<LabProcess> _processes = [];
    readonly string _id = $"{Environment.ProcessId}";
    readonly string _token, _pin;
    LabProcess? _registry, _radvd;

    public ZeroTouchHost(int smaps)
    {
        Programs.Require("radvd", "openssl", "curl", "ip", "socat");
        Prr = NetworkNamespace.Create($"ap-zprr-{_id}");
        Internet = NetworkNamespace.Create($"ap-znet-{_id}");
        foreach (NetworkNamespace host in (NetworkNamespace[])[Prr, Internet]) host.Shell("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        Commands.Require("ip", "link", "add", "uplink", "netns", Prr.Name, "type", "veth", "peer", "name", "eth0", "netns", Internet.Name);
        Prr.Ip("link add access type bridge", "link set access up", "addr add 2001:db8:1::1/64 dev access nodad", "link set uplink up", "addr add 198.51.100.1/24 dev uplink");
        Internet.Ip("link set eth0 up", $"addr add {Server}/24 dev eth0", $"route add {Pool} via 198.51.100.1");
        Smaps = [.. Enumerable.Range(0, smaps).Select(Connect)];

        Prr.Require("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=registry", "-addext", "subjectAltName=IP:2001:db8:1::1",
            "-keyout", In("registry.key"), "-out", In("registry.crt"));
        _pin = Prr.Require("openssl", "x509", "-in", In("registry.crt"), "-noout", "-fingerprint", "-sha256").Split('=')[1].Trim();
        _token = In("token");

        File.WriteAllText(In("prr.toml"), $"softwire-address = \"{PrrEnd}\"\ncontrol-socket = \"{In("prr.sock")}\"\n{LabFixture.FastPathLine}\n[[binding]]\naddress = \"192.0.2.0\"\nports = \"1000\"\nsoftwire = \"2001:db8:ffff::1\"\n");
        LabProcess prr = Run(Prr, "prr", [LabFixture.Executable, "prr", "--config", In("prr.toml")]);
        prr.WaitUntil(() => Commands.Run(LabFixture.Executable, "status", "--socket", In("prr.sock")).Succeeded, s_patience, "answer");
    }

    public NetworkNamespace Prr { get; }

    public NetworkNamespace Internet { get; }

    public IReadOnlyList<NetworkNamespace> Smaps { get; }

    string In(string file) => Path.Combine(_directory, file);

    string Socket(int smap) => In($"smap-{smap}.sock");

    NetworkNamespace Connect(int number)
    {
        var smap = NetworkNamespace.Create($"ap-zsmap{number}-{_id}");
        smap.Shell("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 1 > /proc/sys/net/ipv6/conf/default/router_solicitation_interval; ip link set lo up");
        Commands.Require("ip", "link", "add", "wan", "netns", smap.Name, "type", "veth", "peer", "name", $"port{number}", "netns", Prr.Name);
        Prr.Ip($"link set port{number} master access", $"link set port{number} up");
        smap.Ip("link set wan up", $"addr add {Lan}/32 dev lo");
        return smap;
    }

    public LabProcess Run(NetworkNamespace at, string name, params IReadOnlyList<string> command)
    {
        LabProcess process = at.Start(name, In($"{name}.log"), command);
        _processes.Add(process);
        return process;
    }

    // ---- What a SMAP depends on

    /// <summary>Advertises a prefix from now on; those of before are no longer preferred, nor valid for long.</summary>
    public void Advertise(string prefix, string? gone = null)
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
        _radvd = Run(Prr, "radvd", "radvd", "--nodaemon", "--config", In("radvd.conf"), "--pidfile", In("radvd.pid"), "--logmethod", "stderr");
    }

    /// <summary>Starts the registry, or starts it again with what it had; at the first time a token for many homes is made.</summary>
    public void StartRegistry()
    {
        File.WriteAllText(In("registry.toml"), $"""
            data = "{In("registry")}"
            listen = ["127.0.0.1:8646", "[2001:db8:1::1]:8646"]
            change-interval = 1
            [tls]
            certificate = "{In("registry.crt")}"
            key = "{In("registry.key")}"
            [[pool]]
            prefix = "{Pool}"
            prr = "{PrrEnd}"
            path-mtu = 1480

            """);
        _registry = Run(Prr, "registry", LabFixture.Executable, "registry", "--config", In("registry.toml"));
        _registry.WaitUntil(() => Prr.Run("curl", "-skf", "https://127.0.0.1:8646/v1/health").Succeeded, s_patience, "answer");
        if (!File.Exists(_token)) NewToken(1000);
    }

    /// <summary>Puts a new enrolment token where the homes look for it.</summary>
    public void NewToken(int uses)
    {
        File.WriteAllText(_token, Ask("POST", "credentials", $"{{\"kind\": \"enrolment\", \"name\": \"boxes\", \"uses\": {uses}}}").GetProperty("secret").GetString());
        File.SetUnixFileMode(_token, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    public void StopRegistry() => _registry!.Stop(TimeSpan.FromSeconds(10));

    /// <summary>Asks the registry as its operator.</summary>
    public JsonElement Ask(string method, string path, string? body = null)
    {
        string token = File.ReadAllText(Path.Combine(In("registry"), "operator.token")).Trim();
        string answer = Prr.Require(["curl", "-sSk", "--fail-with-body", "-X", method, $"https://127.0.0.1:8646/v1/{path}", "-H", $"Authorization: Bearer {token}", .. body is null ? Array.Empty<string>() : ["-d", body]]);
        return JsonDocument.Parse(answer).RootElement.Clone();
    }

    // ---- The homes

    /// <summary>Starts a SMAP by what is told to it on the command line, or by a file with more keys.</summary>
    public LabProcess StartSmap(int smap, string keys = "", string top = "", bool leavesMounts = false)
    {
        File.WriteAllText(In($"smap-{smap}.toml"), $$"""
            control-socket = "{{Socket(smap)}}"
            device = "smap"
            {{top}}
            [napt]
            max-flows = 4096
            timers = { udp = 15 }
            [registry]
            url = "https://[2001:db8:1::1]:8646"
            token-file = "{{_token}}"
            pin = "{{_pin}}"
            state = "{{In($"state-{smap}")}}"
            check-every = 1
            {{keys}}

            """);
        LabProcess daemon = LabProcess.Start(Smaps[smap], $"smap-{smap}", In($"smap-{smap}.log"), [LabFixture.Executable, "smap", "--config", In($"smap-{smap}.toml")], leavesMounts);
        _processes.Add(daemon);
        daemon.WaitUntil(() => Query(smap).Succeeded, s_patience, "answer");
        return daemon;
    }

    public CommandResult Query(int smap, params string[] verb) => Commands.Run([LabFixture.Executable, .. verb.Length > 0 ? verb : ["status", "--json"], "--socket", Socket(smap)]);

    public JsonElement Status(int smap) => JsonDocument.Parse(Query(smap).Output).RootElement.GetProperty("smap").Clone();

    public string State(int smap) => Status(smap).GetProperty("lease").GetProperty("state").GetString()!;

    public string Sentence(int smap) => Status(smap).GetProperty("lease").GetProperty("sentence").GetString()!;

    /// <summary>Waits until a SMAP is in this state.</summary>
    public void Await(int smap, string state) => Await(smap, () => State(smap) == state, $"be '{state}'");

    public void Await(int smap, Func<bool> condition, string what)
    {
        if (Wait.Until(condition, s_patience)) return;
        Assert.Fail($"smap-{smap} did not {what}: {Query(smap).Output}\n{File.ReadAllText(In($"smap-{smap}.log"))}\n{File.ReadAllText(In("registry.log"))}");
    }

    /// <summary>What the registry says of the one lease of a SMAP.</summary>
    public JsonElement LeaseOf(int smap) => Ask("GET", $"leases?subscriber={Status(smap).GetProperty("lease").GetProperty("subscriber").GetString()}").GetProperty("leases").EnumerateArray().Single();

    /// <summary>Gives a SMAP's lease to the PRR.</summary>
    public void Bind(int smap)
    {
        JsonElement lease = LeaseOf(smap);
        string ranges = string.Join(',', lease.GetProperty("ranges").EnumerateArray().Select(r => $"{r[0]}-{r[1]}"));
        string name = $"smap-{smap}";
        Commands.Run(LabFixture.Executable, "binding", "remove", name, "--socket", In("prr.sock"));
        Commands.Require(LabFixture.Executable, "binding", "add", lease.GetProperty("address").GetString()!, ranges, lease.GetProperty("softwire").GetString()!, "--name", name, "--socket", In("prr.sock"));
    }

    /// <summary>Whether a TCP connection from a home reaches the server and back.</summary>
    public bool Reaches(int smap)
    {
        try
        {
            using TcpClient connection = Connection(smap);
            return Echoes(connection);
        }
        catch (Exception error) when (error is SocketException or IOException)
        {
            return false;
        }
    }

    public TcpClient Connection(int smap) => Smaps[smap].Call(() =>
    {
        var connection = new TcpClient(new IPEndPoint(IPAddress.Parse(Lan), 0)) { ReceiveTimeout = 3000 };
        if (!connection.ConnectAsync(Server, 7).Wait(3000)) throw new IOException("no answer");
        return connection;
    });

    public static bool Echoes(TcpClient connection)
    {
        byte[] octets = [1, 2, 3];
        connection.GetStream().Write(octets);
        byte[] answer = new byte[3];
        connection.GetStream().ReadExactly(answer);
        return answer.SequenceEqual(octets);
    }

    public void StartEcho() => Run(Internet, "echo", "socat", "TCP4-LISTEN:7,fork,reuseaddr", "EXEC:cat");

    public void Dispose()
    {
        foreach (LabProcess process in _processes) process.Stop();
        for (int smap = 0; smap < Smaps.Count; smap++)
            if (File.Exists(In($"smap-{smap}.settings"))) Commands.Run("nsenter", $"--net=/run/netns/{Smaps[smap].Name}", LabFixture.Executable, "smap", "detach", "--config", In($"smap-{smap}.toml"));
        Commands.Run("nsenter", $"--net=/run/netns/{Prr.Name}", LabFixture.Executable, "prr", "detach", "--config", In("prr.toml"));
        NetworkNamespace.Delete([Prr, Internet, .. Smaps]);
        Directory.Delete(_directory, recursive: true);
    }
}
