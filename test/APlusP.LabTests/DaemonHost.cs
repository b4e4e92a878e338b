using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using APlusP.Core.Addresses;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>
/// The smallest network that a PRR can stand in, of names that only this process has.
/// <code>
///   subscriber                     prr                          internet
///   2001:db8:1::2 -- 2001:db8:1::1   198.51.100.1 -- 198.51.100.2
///   softwire 2001:db8:5::1 (lo)     TUN: 192.0.2.1
/// </code>
/// </summary>
sealed partial class DaemonHost : IDisposable
{
    public const string Shared = "192.0.2.1", Softwire = "2001:db8:5::1", Routed = "2001:db8:9::1", OfInterface = "2001:db8:1::1", Server = "198.51.100.2", FarAway = "203.0.113.9";

    const int AfInet6 = 10, SockRaw = 3, IpInIp = 4, Patience = 20;

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-daemon-").FullName;

    public DaemonHost()
    {
        string id = LabFixture.NewMark();
        Subscriber = NetworkNamespace.Create($"ap-sub-{id}");
        Prr = NetworkNamespace.Create($"ap-prr-{id}");
        Internet = NetworkNamespace.Create($"ap-net-{id}");
        // No wait for duplicates, during which neighbours are not asked for.
        foreach (NetworkNamespace host in (NetworkNamespace[])[Subscriber, Prr, Internet]) host.Shell("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
        Prr.Shell("echo 0 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv6/conf/all/forwarding");
        Commands.Require("ip", "link", "add", "access", "netns", Prr.Name, "type", "veth", "peer", "name", "eth0", "netns", Subscriber.Name);
        Commands.Require("ip", "link", "add", "uplink", "netns", Prr.Name, "type", "veth", "peer", "name", "eth0", "netns", Internet.Name);
        Subscriber.Ip("link set eth0 up", "addr add 2001:db8:1::2/64 dev eth0 nodad", $"addr add {Softwire}/128 dev lo", $"route add {Routed} via {OfInterface}");
        Prr.Ip("link set access up", $"addr add {OfInterface}/64 dev access nodad", $"route add {Softwire} via 2001:db8:1::2",
            "link set uplink up", "addr add 198.51.100.1/24 dev uplink");
        Internet.Ip("link set eth0 up", $"addr add {Server}/24 dev eth0", $"route add {Shared} via 198.51.100.1", $"route add {FarAway} via 198.51.100.1");
        Prr.AwaitLinks("access", "uplink");
    }

    public NetworkNamespace Subscriber { get; }

    public NetworkNamespace Prr { get; }

    public NetworkNamespace Internet { get; }

    public string ConfigurationPath => Path.Combine(_directory, "prr.toml");

    public string ControlSocket => Path.Combine(_directory, "prr.sock");

    /// <summary>Lets any user reach the files, for daemons that are not root.</summary>
    public void OpenDirectory() => File.SetUnixFileMode(_directory, (UnixFileMode)0x1ff);

    /// <summary>Writes a configuration: one subscriber of ports 10000-10999, and what else is given.</summary>
    public void Configure(string top = "", string bindings = "", string end = Routed) => File.WriteAllText(ConfigurationPath, $"""
        softwire-address = "{end}"
        control-socket = "{ControlSocket}"
        {(top.Contains("fast-path", StringComparison.Ordinal) ? "" : LabFixture.FastPathLine)}
        {top}

        [[binding]]
        address = "{Shared}"
        ports = "10000-10999"
        softwire = "{Softwire}"
        {bindings}

        """);

    public void ConfigureSmap(string end, string ports = "10000-10999") => File.WriteAllText(ConfigurationPath, $"""
        softwire-address = "{end}"
        prr-address = "{Softwire}"
        shared-address = "{Shared}"
        ports = "{ports}"
        control-socket = "{ControlSocket}"

        """);

    /// <summary>
    /// A question of a host of the LAN through the SMAP to somebody far away, and the answer: the inner packet as it came out of the
    /// softwire, and the answer's sender as the host saw it; null where one did not arrive.
    /// </summary>
    public (byte[]? Question, string? Answer) AskThroughSmap(string end)
    {
        using Socket softwire = Subscriber.Call(() => new Socket(new SafeSocketHandle(OpenSocket(AfInet6, SockRaw, IpInIp), ownsHandle: true)) { ReceiveTimeout = Patience * 1000 });
        using Socket host = Udp(Internet, Server);
        host.SendTo([1, 2, 3], new IPEndPoint(IPAddress.Parse(FarAway), 53));
        byte[] question = new byte[100];
        EndPoint from = new IPEndPoint(IPAddress.IPv6Any, 0);
        try
        {
            int length = softwire.ReceiveFrom(question, ref from);
            question = question[..length];
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.TimedOut)
        {
            return (null, null);
        }

        new SoftwirePacket
        {
            OuterSource = IPv6Address.Parse(Softwire),
            OuterDestination = IPv6Address.Parse(end),
            Source = IPv4Address.Parse(FarAway),
            SourcePort = 53,
            Destination = IPv4Address.Parse(Shared),
            DestinationPort = (ushort)(question[20] << 8 | question[21]),
        }.Send(Subscriber);
        from = new IPEndPoint(IPAddress.Any, 0);
        try
        {
            host.ReceiveFrom(new byte[100], ref from);
            return (question, from.ToString());
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.TimedOut)
        {
            return (question, null);
        }
    }

    public static string Binding(string ports, string softwire, string address = Shared) => $"""

        [[binding]]
        address = "{address}"
        ports = "{ports}"
        softwire = "{softwire}"

        """;

    public string LogPath => Path.Combine(_directory, "prr.log");

    /// <summary>Starts a PRR and waits until it answers.</summary>
    public LabProcess Start(params string[] before) => StartAs("prr", before);

    /// <summary>Starts a PRR whose fast path stays when it ends.</summary>
    public LabProcess StartFast(params string[] before) => StartAs("prr", before, leavesMounts: true);

    /// <summary>
    /// Makes the subscriber Linux itself, by its own IPv4 into IPv6: it has the shared address, keeps to its ports, and its programs go through the softwire. Packets by hand do not from then on.
    /// </summary>
    public void MakeSubscriberLinux()
    {
        Subscriber.Shell("cd /proc/sys/net; echo 1 > ipv6/conf/all/forwarding; for f in ipv4/conf/*/rp_filter; do echo 0 > $f; done; echo 10100 10999 > ipv4/ip_local_port_range");
        Subscriber.Ip($"addr del {Softwire}/128 dev lo", $"sr tunsrc set {Softwire}", $"addr add {Shared}/32 dev lo",
            $"route add default encap seg6 mode encap.red segs {Routed} dev eth0 src {Shared} mtu 1460",
            $"route add {Softwire}/128 encap seg6local action End.DX4 nh4 0.0.0.0 dev eth0");
    }

    /// <summary>Starts a SMAP in the PRR's place: the subscriber is then its PRR, and the Internet its LAN.</summary>
    public LabProcess StartSmap() => StartAs("smap", []);

    LabProcess StartAs(string role, string[] before, bool leavesMounts = false)
    {
        LabProcess daemon = LabProcess.Start(Prr, "aplusp", LogPath, [.. before, LabFixture.Executable, role, "--config", ConfigurationPath], leavesMounts);
        daemon.WaitUntil(() => Ask("status").Succeeded, TimeSpan.FromSeconds(20), "answer");
        return daemon;
    }

    public CommandResult Ask(string verb, params string[] more) => Commands.Run([LabFixture.Executable, verb, "--socket", ControlSocket, .. more]);

    /// <summary>All of the PRR host that a daemon could leave behind: devices, addresses, routes of every table, settings.</summary>
    public string Snapshot() => Prr.Shell("""
        ip -o link | sed 's/ qlen [0-9]*//'
        ip -o addr | sed 's/valid_lft.*//'
        ip route show table all
        ip -6 route show table all | grep -v ff00::
        ip rule; ip -6 rule
        cd /proc/sys/net
        grep -H . ipv4/ip_forward ipv4/conf/*/forwarding ipv4/conf/*/rp_filter ipv4/conf/*/accept_local ipv6/conf/*/forwarding ipv6/conf/*/accept_ra ipv6/conf/*/addr_gen_mode
        """);

    /// <summary>A datagram of the subscriber through its softwire to the server; whether it arrived within so many seconds, and from where.</summary>
    public string? FromSubscriber(string end, int port = 10001, int seconds = Patience)
    {
        using Socket server = Udp(Internet, Server);
        server.ReceiveTimeout = seconds * 1000;
        new SoftwirePacket
        {
            OuterSource = IPv6Address.Parse(Softwire),
            OuterDestination = IPv6Address.Parse(end),
            Source = IPv4Address.Parse(Shared),
            SourcePort = (ushort)port,
            Destination = IPv4Address.Parse(Server),
            DestinationPort = (ushort)((IPEndPoint)server.LocalEndPoint!).Port,
        }.Send(Subscriber);
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        try
        {
            server.ReceiveFrom(new byte[100], ref from);
            return from.ToString();
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.TimedOut)
        {
            return null;
        }
    }

    /// <summary>A datagram of the server to a port of the shared address; the outer source of what the subscriber got within so many seconds.</summary>
    public string? FromInternet(int port = 10001, int seconds = Patience)
    {
        using Socket softwire = Subscriber.Call(() => new Socket(new SafeSocketHandle(OpenSocket(AfInet6, SockRaw, IpInIp), ownsHandle: true)) { ReceiveTimeout = seconds * 1000 });
        using Socket server = Udp(Internet, Server);
        server.SendTo([1, 2, 3], new IPEndPoint(IPAddress.Parse(Shared), port));
        EndPoint from = new IPEndPoint(IPAddress.IPv6Any, 0);
        try
        {
            softwire.ReceiveFrom(new byte[100], ref from);
            return ((IPEndPoint)from).Address.ToString();
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.TimedOut)
        {
            return null;
        }
    }

    // .NET knows no raw IPv6 socket of protocol 4. int socket(int domain, int type, int protocol);
    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int OpenSocket(int domain, int type, int protocol);

    static Socket Udp(NetworkNamespace at, string address, int port = 0) => at.Call(() =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = Patience * 1000 };
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), port));
        return socket;
    });

    /// <summary>A socket of a program of one of the hosts.</summary>
    public static UdpPlace UdpOf(NetworkNamespace at, string address, int port = 0) => new(Udp(at, address, port));

    public void Dispose()
    {
        NetworkNamespace.Delete(Subscriber, Prr, Internet);
        Directory.Delete(_directory, recursive: true);
    }
}
