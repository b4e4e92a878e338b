using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>
/// A MAP domain, RFC 7597 section 3, of names that only this process has. One mapping rule says everything: 2001:db8::/40, 192.0.2.0/24, 16 EA bits.
/// <code>
///   host1 -- smap1 ---.                        198.51.100.1   198.51.100.2
///   192.168.1.2        core ------------ prr ---------------- internet
///   host2 -- smap2 ---/ |  2001:db8:ffff::1                    /
///   192.168.1.2        /'-------------------------------------'  IPv4 only: 203.0.113.0/24
///            linux ---'    a CE that is Linux itself
/// </code>
/// Links of the core are 2001:db8:f00N::/64, N in the order smap1, smap2, linux, prr.
/// </summary>
sealed partial class MapDomain : IDisposable
{
    public const string Border = "2001:db8:ffff::1", Server = "198.51.100.2";

    /// <summary>192.0.2.18 with PSID 0x34, 192.0.2.19 with PSID 0x35, 192.0.2.20 with PSID 0x36.</summary>
    public static readonly MapHome Home1 = new("smap1", "2001:db8:12:3400::/56", "192.0.2.18", 0x34, "2001:db8:12:3400:0:c000:212:34"),
        Home2 = new("smap2", "2001:db8:13:3500::/56", "192.0.2.19", 0x35, "2001:db8:13:3500:0:c000:213:35"),
        LinuxCe = new("linux", "2001:db8:14:3600::/56", "192.0.2.20", 0x36, "2001:db8:14:3600:0:c000:214:36");

    public const string Host = "192.168.1.2";

    const string Rule = """
        [[rule]]
        rule-ipv6-prefix = "2001:db8::/40"
        rule-ipv4-prefix = "192.0.2.0/24"
        ea-length = 16
        """;

    static readonly string[] s_names = ["smap1", "smap2", "linux", "prr"];

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-map-").FullName;
    readonly Dictionary<string, NetworkNamespace> _hosts = new(StringComparer.Ordinal);
    readonly Dictionary<string, LabProcess> _daemons = new(StringComparer.Ordinal);

    public MapDomain()
    {
        try
        {
            Build();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    void Build()
    {
        string mark = LabFixture.NewMark();
        foreach (string name in (string[])["core", "internet", "host1", "host2", .. s_names])
        {
            NetworkNamespace host = _hosts[name] = NetworkNamespace.Create($"ap-map-{name}-{mark}");
            host.Shell("cd /proc/sys/net; echo 0 > ipv6/conf/default/accept_dad; echo 0 > ipv6/conf/default/accept_ra; echo 0 > ipv4/conf/all/rp_filter; echo 0 > ipv4/conf/default/rp_filter");
        }

        this["core"].Shell("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        for (int i = 0; i < s_names.Length; i++)
        {
            string name = s_names[i], leg = $"2001:db8:f00{i + 1}::";
            Link("core", name, name, "wan");
            this["core"].Ip($"link set {name} up", $"addr add {leg}1/64 dev {name} nodad");
            this[name].Ip("link set wan up", $"addr add {leg}2/64 dev wan nodad", $"route add default via {leg}1");
        }

        foreach (MapHome home in (MapHome[])[Home1, Home2, LinuxCe])
            this["core"].Ip($"route add {home.EndUser} via 2001:db8:f00{Array.IndexOf(s_names, home.Name) + 1}::2");
        this["core"].Ip($"route add {Border} via 2001:db8:f004::2");
        foreach (string number in (string[])["1", "2"])
        {
            Link($"smap{number}", "lan", $"host{number}", "eth0");
            this[$"smap{number}"].Ip("link set lan up", "addr add 192.168.1.1/24 dev lan");
            this[$"host{number}"].Ip("link set eth0 up", $"addr add {Host}/24 dev eth0", "route add default via 192.168.1.1");
        }

        Link("prr", "uplink", "internet", "prr");
        this["prr"].Ip("link set uplink up", "addr add 198.51.100.1/24 dev uplink");
        this["internet"].Ip("link set prr up", $"addr add {Server}/24 dev prr", "route add 192.0.2.0/24 via 198.51.100.1");
        Link("core", "internet", "internet", "core");
        this["core"].Ip("link set internet up", "addr add 203.0.113.1/24 dev internet", "route add 198.51.100.0/24 via 203.0.113.2");
        this["internet"].Ip("link set core up", "addr add 203.0.113.2/24 dev core");
    }

    public NetworkNamespace this[string host] => _hosts[host];

    /// <summary>The PRR's, where not all tests' own.</summary>
    public string? FastPath { get; init; }

    void Link(string host, string device, string otherHost, string otherDevice) => Commands.Require(
        "ip", "link", "add", device, "netns", this[host].Name, "type", "veth", "peer", "name", otherDevice, "netns", this[otherHost].Name);

    /// <summary>Starts the PRR, whose one rule is all that it knows.</summary>
    public void StartPrr() => Start("prr", "prr", PrrBy(Rule));

    /// <summary>Lets the PRR read a file by which it knows one home by a binding, or, as before, all by the rule.</summary>
    public void ReloadPrr(MapHome? byBinding)
    {
        File.WriteAllText(Path.Combine(_directory, "prr.toml"), PrrBy(byBinding is null ? Rule : $$"""
            [[binding]]
            address = "{{byBinding.Address}}"
            psid = { offset = 6, length = 8, psid = {{byBinding.Psid}} }
            softwire = "{{byBinding.Ce}}"
            """));
        CommandResult reload = Ask("prr", "reload");
        Assert.True(reload.Succeeded, reload.Text);
    }

    string PrrBy(string table) => $"""
        softwire-address = "{Border}"
        {Common("prr")}
        {(FastPath is null ? LabFixture.FastPathLine : $"fast-path = \"{FastPath}\"")}

        [discovery]
        enabled = false

        {table}
        """;

    /// <summary>Starts a SMAP, which knows its End-user prefix and the rule.</summary>
    public void StartSmap(MapHome home, bool forwarding = false, string more = "") => Start(home.Name, "smap", $"""
        prr-address = "{Border}"
        end-user-prefix = "{home.EndUser}"
        {more}
        {Common(home.Name)}

        [napt]
        filtering = "endpoint-independent"

        [discovery]
        enabled = false

        {Rule}
        forwarding = {(forwarding ? "true" : "false")}
        """);

    /// <summary>Starts a SMAP as lwB4 (RFC 7596): told its address, its ports and its end of the softwire, and knowing no rule.</summary>
    public void StartLwB4(MapHome home, string address, string ports) => Start(home.Name, "smap", $"""
        softwire-address = "{home.Ce}"
        prr-address = "{Border}"
        shared-address = "{address}"
        ports = "{ports}"
        {Common(home.Name)}

        [napt]
        filtering = "endpoint-independent"
        """);

    string Common(string name) => $"control-socket = \"{Path.Combine(_directory, name)}.sock\"";

    void Start(string name, string role, string configuration)
    {
        string path = Path.Combine(_directory, $"{name}.toml");
        File.WriteAllText(path, configuration);
        LabProcess daemon = this[name].Start("aplusp", Path.Combine(_directory, $"{name}.log"), LabFixture.Executable, role, "--config", path);
        daemon.WaitUntil(() => Ask(name, "status").Succeeded, TimeSpan.FromSeconds(20), "answer");
        _daemons[name] = daemon;
    }

    /// <summary>Ends a SMAP, and waits until it has taken back what it had claimed.</summary>
    public void StopSmap(MapHome home)
    {
        _daemons[home.Name].Signal(Signals.Terminate);
        Assert.True(_daemons[home.Name].WaitForExit(TimeSpan.FromSeconds(10)), _daemons[home.Name].ReadLog());
    }

    public CommandResult Ask(string daemon, string verb, params string[] more) =>
        Commands.Run([LabFixture.Executable, verb, "--socket", Path.Combine(_directory, $"{daemon}.sock"), .. more]);

    public Dictionary<string, long> Counters(string daemon) => JsonSerializer.Deserialize<Dictionary<string, long>>(Ask(daemon, "counters", "--json").Output)!;

    /// <summary>What counters of a daemon moved while something was done.</summary>
    public Dictionary<string, long> Moved(string daemon, Action action)
    {
        Dictionary<string, long> before = Counters(daemon);
        action();
        return Counters(daemon).Where(c => c.Value != before.GetValueOrDefault(c.Key)).ToDictionary(c => c.Key, c => c.Value - before.GetValueOrDefault(c.Key));
    }

    public UdpPlace Udp(string host, string address, int port = 0) => new(this[host].Call(() =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), port));
        return socket;
    }));

    public void Dispose()
    {
        NetworkNamespace.Delete([.. _hosts.Values]);
        Directory.Delete(_directory, recursive: true);
    }
}

/// <summary>A subscriber of the domain, and what the rule says it has: worked out by hand.</summary>
sealed record MapHome(string Name, string EndUser, string Address, int Psid, string Ce)
{
    /// <summary>RFC 7597 section 5.1 with a = 6 and k = 8: bits 6 to 13 of the port.</summary>
    public bool Has(int port) => port >= 1024 && (port >> 2 & 0xff) == Psid;
}

/// <summary>A UDP socket of a test, with endpoints as text.</summary>
sealed class UdpPlace(Socket socket) : IDisposable
{
    public string Local => socket.LocalEndPoint!.ToString()!;

    public int Port => ((IPEndPoint)socket.LocalEndPoint!).Port;

    public void Send(string to, int payload = 20) => socket.SendTo(new byte[payload], IPEndPoint.Parse(to));

    /// <summary>Who sent the next datagram; null where none comes within so many seconds.</summary>
    public string? Receive(int seconds = 20)
    {
        socket.ReceiveTimeout = seconds * 1000;
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        try
        {
            socket.ReceiveFrom(new byte[2000], ref from);
            return from.ToString();
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.TimedOut)
        {
            return null;
        }
    }

    /// <summary>Sends to somebody who answers, and says how we look from there; null where nothing comes through, there or back.</summary>
    public string? Through(UdpPlace server, int seconds = 20)
    {
        Send(server.Local);
        string? seen = server.Receive(seconds);
        if (seen is null) return null;
        server.Send(seen);
        return Receive(seconds) == server.Local ? seen : null;
    }

    public static (string Address, int Port) Split(string? endpoint)
    {
        Assert.NotNull(endpoint);
        int colon = endpoint.IndexOf(':');
        return (endpoint[..colon], int.Parse(endpoint[(colon + 1)..], CultureInfo.InvariantCulture));
    }

    public void Dispose() => socket.Dispose();
}
