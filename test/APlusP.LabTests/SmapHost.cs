using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>
/// A home, its SMAP, a PRR and a host of the Internet, each in a namespace of its own, and both daemons with a fast path.
/// <code>
///   home              smap                                    prr                      internet
///   192.168.1.2 -- 192.168.1.1 | 2001:db8:1::2 -- 2001:db8:1::1 | 198.51.100.1 -- 198.51.100.2
///                   softwire 2001:db8:5::1              2001:db8:9::1
/// </code>
/// </summary>
sealed class SmapHost : IDisposable
{
    public const string Server = "198.51.100.2", Client = "192.168.1.2", Shared = "192.0.2.1", SmapEnd = "2001:db8:5::1", PrrEnd = "2001:db8:9::1";

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-smap-").FullName;
    readonly List<LabProcess> _processes = [];
    LabProcess? _prr;

    public SmapHost()
    {
        string id = LabFixture.NewMark();
        Home = NetworkNamespace.Create($"ap-home-{id}");
        Smap = NetworkNamespace.Create($"ap-smap-{id}");
        Prr = NetworkNamespace.Create($"ap-prr-{id}");
        Internet = NetworkNamespace.Create($"ap-net-{id}");
        foreach (NetworkNamespace host in All) host.Shell("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up");
        Commands.Require("ip", "link", "add", "lan", "netns", Smap.Name, "type", "veth", "peer", "name", "eth0", "netns", Home.Name);
        Commands.Require("ip", "link", "add", "wan", "netns", Smap.Name, "type", "veth", "peer", "name", "access", "netns", Prr.Name);
        Commands.Require("ip", "link", "add", "uplink", "netns", Prr.Name, "type", "veth", "peer", "name", "eth0", "netns", Internet.Name);
        Home.Ip($"link set eth0 up", $"addr add {Client}/24 dev eth0", "route add default via 192.168.1.1");
        Smap.Ip("link set lan up", "addr add 192.168.1.1/24 dev lan", "link set wan up mtu 1540", "addr add 2001:db8:1::2/64 dev wan nodad", "route add 2001:db8::/32 via 2001:db8:1::1");
        Prr.Ip("link set access up mtu 1540", "addr add 2001:db8:1::1/64 dev access nodad", $"route add {SmapEnd} via 2001:db8:1::2", "link set uplink up", "addr add 198.51.100.1/24 dev uplink");
        Internet.Ip("link set eth0 up", $"addr add {Server}/24 dev eth0", $"route add {Shared} via 198.51.100.1");
        Smap.AwaitLinks("lan", "wan");
    }

    public NetworkNamespace Home { get; }

    public NetworkNamespace Smap { get; }

    public NetworkNamespace Prr { get; }

    public NetworkNamespace Internet { get; }

    IReadOnlyList<NetworkNamespace> All => [Home, Smap, Prr, Internet];

    /// <summary>The SMAP's daemon.</summary>
    public LabProcess Daemon { get; private set; } = null!;

    public string ControlSocket => System.IO.Path.Combine(_directory, "smap.sock");

    public string ConfigurationPath => System.IO.Path.Combine(_directory, "smap.toml");

    public string Log => Daemon.ReadLog();

    /// <summary>Writes the SMAP's configuration.</summary>
    /// <param name="top">More keys.</param>
    /// <param name="sections">More sections.</param>
    /// <param name="ports">The port set.</param>
    public void Configure(string top = "", string sections = "", string ports = "10000-11023") => File.WriteAllText(ConfigurationPath, $"""
        softwire-address = "{SmapEnd}"
        prr-address = "{PrrEnd}"
        shared-address = "{Shared}"
        ports = "{ports}"
        path-mtu = 1540
        control-socket = "{ControlSocket}"
        fast-path = "auto"
        {top}

        {sections}

        """);

    /// <summary>Starts both daemons, the SMAP's by <see cref="Configure"/> if that was called.</summary>
    public void Start()
    {
        string prr = System.IO.Path.Combine(_directory, "prr.toml"), socket = System.IO.Path.Combine(_directory, "prr.sock");
        File.WriteAllText(prr, $"""
            softwire-address = "{PrrEnd}"
            path-mtu = 1540
            control-socket = "{socket}"
            fast-path = "tc"

            [[binding]]
            address = "{Shared}"
            ports = "10000-12047"
            softwire = "{SmapEnd}"

            """);
        _prr = StartDaemon(Prr, "prr", prr, socket);
        if (!File.Exists(ConfigurationPath)) Configure();
        StartSmap();
    }

    public void StartSmap() => Daemon = StartDaemon(Smap, "smap", ConfigurationPath, ControlSocket);

    LabProcess StartDaemon(NetworkNamespace at, string role, string configuration, string socket)
    {
        LabProcess daemon = LabProcess.Start(at, role, System.IO.Path.Combine(_directory, $"{role}.log"), [LabFixture.Executable, role, "--config", configuration], leavesMounts: true);
        daemon.WaitUntil(() => Commands.Run(LabFixture.Executable, "status", "--socket", socket).Succeeded, TimeSpan.FromSeconds(20), "answer");
        return daemon;
    }

    /// <summary>Runs a server on the Internet.</summary>
    public LabProcess Serve(string name, params IReadOnlyList<string> command) => Run(Internet, name, command);

    public LabProcess Run(NetworkNamespace at, string name, params IReadOnlyList<string> command)
    {
        LabProcess process = at.Start(name, System.IO.Path.Combine(_directory, $"{name}.log"), command);
        _processes.Add(process);
        return process;
    }

    /// <summary>Waits until a TCP server of the Internet answers the home, and both daemons' kernels know the way.</summary>
    public void Converse(int port = 5201)
    {
        Assert.True(Wait.Until(() => Home.Run("socat", "-u", "/dev/null", $"TCP4:{Server}:{port},connect-timeout=1").Succeeded, TimeSpan.FromSeconds(20)), "no conversation");
        Home.Require("ping", "-c", "3", "-i", "0.1", "-w", "5", Server);
    }

    /// <summary>A second of iperf3, from the home.</summary>
    public void Transfer(params string[] options)
    {
        CommandResult result = default;
        Assert.True(Wait.Until(() => (result = Home.Run(["iperf3", "-c", Server, "-t", "1", "-J", "--connect-timeout", "3000", .. options])) is var run && Iperf.HasEnded(run), TimeSpan.FromSeconds(20)), result.Text);
    }

    /// <summary>A server that says from which port it was asked.</summary>
    public void ServePorts() => Serve("ports", "python3", "-c", """
        import socket
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("0.0.0.0", 7000))
        while True:
            _, asker = s.recvfrom(100)
            s.sendto(str(asker[1]).encode(), asker)
        """);

    /// <summary>The port that a host of the home has at the server of <see cref="ServePorts"/>.</summary>
    public string PortSeen(int from)
    {
        string? seen = null;
        Assert.True(Wait.Until(() => (seen = TryPortSeen(from)) is not null, TimeSpan.FromSeconds(20)), "no answer");
        return seen!;
    }

    public string? TryPortSeen(int from) => Home.Call(() =>
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 1000 };
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(new IPEndPoint(IPAddress.Parse(Client), from));
        socket.SendTo("?"u8.ToArray(), new IPEndPoint(IPAddress.Parse(Server), 7000));
        byte[] answer = new byte[20];
        try
        {
            return System.Text.Encoding.ASCII.GetString(answer, 0, socket.Receive(answer));
        }
        catch (SocketException)
        {
            return null;
        }
    });

    /// <summary>Flows that the kernel forwards.</summary>
    public int FastFlows() => Status().GetProperty("fastPath").GetProperty("flows").GetInt32();

    public int PortsInUse(string protocol) =>
        Status().GetProperty("smap").GetProperty("portsInUse").EnumerateArray().Single(p => p.GetProperty("protocol").GetString() == protocol).GetProperty("ports").GetInt32();

    /// <summary>A file of this test.</summary>
    public string Path(string name) => System.IO.Path.Combine(_directory, name);

    /// <summary>All of the SMAP host that a daemon could leave behind.</summary>
    public string Snapshot() => Smap.Shell("""
        ip -o link | sed 's/ qlen [0-9]*//'
        ip -o addr | sed 's/valid_lft.*//'
        ip route show table all
        ip -6 route show table all | grep -v ff00::
        ip rule; ip -6 rule
        cd /proc/sys/net
        grep -H . ipv4/ip_forward ipv4/conf/*/forwarding ipv6/conf/*/forwarding ipv6/conf/*/accept_ra
        """);

    public CommandResult Ask(string verb, params string[] more) => Commands.Run([LabFixture.Executable, verb, "--socket", ControlSocket, .. more]);

    public JsonElement Status() => JsonDocument.Parse(Ask("status", "--json").Output).RootElement;

    public Dictionary<string, long> Counters() =>
        JsonDocument.Parse(Ask("counters", "--json").Output).RootElement.EnumerateObject().ToDictionary(c => c.Name, c => c.Value.GetInt64());

    /// <summary>Holds the daemon to its account.</summary>
    public void Balance() => Account.Await("smap", Counters);

    /// <summary>A counter of the kernel, such as TcpInCsumErrors.</summary>
    public static long Kernel(NetworkNamespace at, string counter) =>
        long.Parse(at.Shell($"nstat -asz {counter} | awk '/{counter}/ {{ print $2 }}'").Trim(), System.Globalization.CultureInfo.InvariantCulture);

    public CommandResult Detach() => Commands.Run("nsenter", $"--net=/run/netns/{Smap.Name}", LabFixture.Executable, "smap", "detach", "--config", ConfigurationPath);

    public void Dispose()
    {
        foreach (LabProcess process in _processes) process.Stop();
        Daemon?.Stop();
        _prr?.Stop();
        if (File.Exists(ConfigurationPath)) Detach();
        Commands.Run("nsenter", $"--net=/run/netns/{Prr.Name}", LabFixture.Executable, "prr", "detach", "--config", System.IO.Path.Combine(_directory, "prr.toml"));
        NetworkNamespace.Delete(All);
        Directory.Delete(_directory, recursive: true);
    }
}
