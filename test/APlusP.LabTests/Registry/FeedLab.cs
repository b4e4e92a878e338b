using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;
using APlusP.Node.Control;
using APlusP.Tests.Daemons;

namespace APlusP.LabTests.Registry;

/// <summary>
/// Registries and two PRRs that follow them, over TLS and by tokens, as real programs.
/// <code>
///   subscriber -- PRR -- internet: 198.51.100.2 registries -- second PRR, 198.51.101.2
/// </code>
/// The first lease has 192.0.2.1, ports 10000-10127; the others are of 198.18.0.0/20.
/// </summary>
sealed class FeedLab : IDisposable
{
    const string FirstPrr = "2001:db8:9::1", SecondPrr = "2001:db8:9::2";

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-feed-").FullName;
    readonly TestCertificate _tls = new(IPAddress.Parse(DaemonHost.Server));
    readonly NetworkNamespace _secondHost = NetworkNamespace.Create($"ap-two-{LabFixture.NewMark()}");
    readonly string? _database;
    readonly string _data;
    readonly List<LabProcess> _prrs = [];

    /// <param name="database">A PostgreSQL that the registries share; null for one registry with SQLite.</param>
    /// <param name="data">The first registry's directory, where it is not to be a new one.</param>
    public FeedLab(string? database, string? data = null)
    {
        _data = data ?? Path.Combine(_directory, "registry-0");
        _database = database;
        Commands.Require("ip", "link", "add", "eth1", "netns", Host.Internet.Name, "type", "veth", "peer", "name", "eth0", "netns", _secondHost.Name);
        Host.Internet.Ip("link set lo up", "link set eth1 up", "addr add 198.51.101.1/24 dev eth1");
        _secondHost.Ip("link set lo up", "link set eth0 up", "addr add 198.51.101.2/24 dev eth0", "route add 198.51.100.0/24 via 198.51.101.1");
        Client = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            SslOptions = { RemoteCertificateValidationCallback = (_, shown, _, _) => shown is X509Certificate2 certificate && certificate.GetCertHashString(HashAlgorithmName.SHA256) == _tls.Pin },
            ConnectCallback = async (context, stop) =>
            {
                // The registry is in a namespace, and so must be the socket; where it goes on from there does not matter.
                Socket socket = Host.Internet.Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
                try
                {
                    await socket.ConnectAsync(context.DnsEndPoint, stop);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }

                return new NetworkStream(socket, ownsSocket: true);
            },
        })
        { Timeout = TimeSpan.FromSeconds(30) };
    }

    public DaemonHost Host { get; } = new();

    public HttpClient Client { get; }

    public string SecondSocket => Path.Combine(_directory, "second.sock");

    public string Url(int registry = 0) => $"https://{DaemonHost.Server}:{8646 + registry}/";

    public string Data(int registry = 0) => registry == 0 ? _data : Path.Combine(_directory, $"registry-{registry}");

    // ---- Registries

    public LabProcess StartRegistry(int registry = 0, string pools = """
        [[pool]]
        prefix = "192.0.2.1/32"
        ports = "10000-10127"

        [[pool]]
        prefix = "198.18.0.0/20"
        """)
    {
        string file = Path.Combine(_directory, $"registry-{registry}.toml");
        File.WriteAllText(file, $"""
            data = "{Data(registry)}"
            listen = ["{DaemonHost.Server}:{8646 + registry}"]
            {(_database is null ? "" : $"database = \"{_database}\"")}
            hold-down = 1
            change-interval = 0

            [tls]
            certificate = "{_tls.Certificate}"
            key = "{_tls.Key}"

            {pools}

            """);
        LabProcess process = Host.Internet.Start($"registry {registry}", Path.Combine(_directory, $"registry-{registry}.log"), LabFixture.Executable, "registry", "--config", file);
        process.WaitUntil(() => Answers(registry), TimeSpan.FromSeconds(60), "answer");
        Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", File.ReadAllText(Path.Combine(Data(), "operator.token")).Trim());
        return process;
    }

    bool Answers(int registry)
    {
        try
        {
            return Client.GetAsync($"{Url(registry)}v1/health").GetAwaiter().GetResult().IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    /// <summary>A lease; of the first subscriber the one whose traffic tests look at.</summary>
    public async Task<JsonElement> Grant(int number, int registry = 0)
    {
        string softwire = number == 0 ? DaemonHost.Softwire : $"2001:db8:7::{number:x}";
        using var body = new StringContent($$"""{"subscriber": "cpe-{{number}}", "softwire": "{{softwire}}"}""", Encoding.UTF8, "application/json");
        using HttpResponseMessage answer = await Client.PostAsync($"{Url(registry)}v1/leases", body);
        string text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? JsonDocument.Parse(text).RootElement.Clone() : throw new HttpRequestException(text);
    }

    public async Task Release(JsonElement lease, int registry = 0)
    {
        using HttpResponseMessage answer = await Client.DeleteAsync($"{Url(registry)}v1/leases/{lease.GetProperty("id").GetString()}");
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>What the registry says that there is: address, ports and softwire of each lease.</summary>
    public string[] Leases(int registry = 0) => [.. Client.GetStringAsync($"{Url(registry)}v1/bindings").GetAwaiter().GetResult()
        .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement).Where(l => l.TryGetProperty("softwire", out _))
        .Select(l => $"{l.GetProperty("address")} {l.GetProperty("ports")} {l.GetProperty("softwire")}").Order()];

    // ---- PRRs

    public string RouterToken()
    {
        string file = Path.Combine(_directory, "router.token");
        if (File.Exists(file)) return file;
        using var body = new StringContent("""{"kind": "router", "name": "prrs"}""", Encoding.UTF8, "application/json");
        using HttpResponseMessage answer = Client.PostAsync($"{Url()}v1/credentials", body).GetAwaiter().GetResult();
        string secret = JsonDocument.Parse(answer.Content.ReadAsStringAsync().GetAwaiter().GetResult()).RootElement.GetProperty("secret").GetString()!;
        File.WriteAllText(file, secret);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return file;
    }

    /// <summary>The PRR between subscriber and Internet, which knows the registry by its authority.</summary>
    public LabProcess StartFirst(string top = "")
    {
        File.WriteAllText(Host.ConfigurationPath, $"""
            softwire-address = "{FirstPrr}"
            control-socket = "{Host.ControlSocket}"
            {(top.Contains("fast-path", StringComparison.Ordinal) ? "" : LabFixture.FastPathLine)}
            {top}

            [registry]
            url = "{Url()}"
            token-file = "{RouterToken()}"
            ca-file = "{_tls.Authority}"
            copy = "{Path.Combine(_directory, "first.leases")}"

            """);
        LabProcess prr = Host.Start();
        _prrs.Add(prr);
        return prr;
    }

    /// <summary>The PRR elsewhere, which knows a registry by its certificate.</summary>
    public LabProcess StartSecond(int registry = 0)
    {
        string file = Path.Combine(_directory, "second.toml");
        File.WriteAllText(file, $"""
            softwire-address = "{SecondPrr}"
            control-socket = "{SecondSocket}"
            fast-path = "off"

            [registry]
            url = "{Url(registry)}"
            token-file = "{RouterToken()}"
            pin = "{_tls.Pin}"
            copy = "second.leases"

            """);
        LabProcess prr = _secondHost.Start("second prr", Path.Combine(_directory, "second.log"), LabFixture.Executable, "prr", "--config", file);
        _prrs.Add(prr);
        prr.WaitUntil(() => ControlClient.Answers(SecondSocket), TimeSpan.FromSeconds(60), "answer");
        return prr;
    }

    public static RegistryStatus StatusOf(string socket) => ControlClient.Ask(socket, "status").Status!.Prr!.Registry!;

    /// <summary>Waits until a PRR is connected and has as many leases as there are.</summary>
    public static void WaitFor(string socket, Func<RegistryStatus, bool> condition, string what)
    {
        RegistryStatus status = StatusOf(socket);
        Assert.True(Wait.Until(() => condition(status = StatusOf(socket)), TimeSpan.FromSeconds(90)), $"{what} is not so after 90 s: {status}");
    }

    /// <summary>The bindings of a PRR, as <see cref="Leases"/> tells them.</summary>
    public static string[] BindingsOf(string socket)
    {
        var bindings = new List<string>();
        using var client = new BindingClient(socket);
        client.Ask(new BindingRequest { Op = "list" }, entry => bindings.Add($"{entry.Address} {entry.Ports} {entry.Softwire}"));
        return [.. bindings.Order()];
    }

    public static Dictionary<string, long> CountersOf(string socket) => ControlClient.Ask(socket, "counters").Counters!;

    public void Dispose()
    {
        Client.Dispose();
        foreach (LabProcess prr in _prrs) prr.Signal(Signals.Interrupt);
        foreach (LabProcess prr in _prrs) prr.WaitForExit(TimeSpan.FromSeconds(10));
        NetworkNamespace.Delete(_secondHost);
        Host.Dispose();
        _tls.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
