using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>
/// A home that is told nothing, and an edge that has a DHCPv6 server and a PRR, of names that only this process has.
/// <code>
///   host ---- lan SMAP wan ------- access EDGE uplink ---- internet
///   192.168.1.2      52:54:00:00:00:01   fe80::1           198.51.100.2
///                                        PRR 2001:db8:ffff::1
/// </code>
/// As an access router would, the edge routes the homes' prefixes (2001:db8:1::/48 and 2001:db8::/40) to the home, and the home has a default route to the edge.
/// </summary>
sealed class DhcpLab : IDisposable
{
    public const string Border = "2001:db8:ffff::1", Server = "198.51.100.2", Host = "192.168.1.2", HomeDuid = "00:03:00:01:52:54:00:00:00:01";

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-dhcp-").FullName;

    public DhcpLab()
    {
        string id = LabFixture.NewMark();
        HomeHost = NetworkNamespace.Create($"ap-dhost-{id}");
        Smap = NetworkNamespace.Create($"ap-dsmap-{id}");
        Edge = NetworkNamespace.Create($"ap-dedge-{id}");
        Internet = NetworkNamespace.Create($"ap-dnet-{id}");
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
        foreach (NetworkNamespace host in All) host.Shell("cd /proc/sys/net; echo 0 > ipv6/conf/default/accept_dad; echo 0 > ipv6/conf/all/accept_dad; echo 0 > ipv6/conf/default/accept_ra; echo 0 > ipv4/conf/all/rp_filter; echo 0 > ipv4/conf/default/rp_filter");
        Link(Smap, "lan", HomeHost, "eth0");
        Link(Edge, "access", Smap, "wan");
        Link(Edge, "uplink", Internet, "eth0");
        Smap.Ip("link set wan address 52:54:00:00:00:01", "link set wan up", "link set lan up", "addr add 192.168.1.1/24 dev lan", "route add default via fe80::1 dev wan");
        HomeHost.Ip("link set eth0 up", $"addr add {Host}/24 dev eth0", "route add default via 192.168.1.1");
        Edge.Ip("link set access up", "addr add fe80::1/64 dev access nodad", "addr add 2001:db8:fffe::1/64 dev access nodad", "link set uplink up", "addr add 198.51.100.1/24 dev uplink");
        foreach (string prefix in (string[])["2001:db8:1::/48", "2001:db8::/40"]) Edge.Ip($"route add {prefix} via fe80::5054:ff:fe00:1 dev access");
        Internet.Ip("link set eth0 up", $"addr add {Server}/24 dev eth0", "route add 192.0.2.0/24 via 198.51.100.1");
    }

    static void Link(NetworkNamespace at, string device, NetworkNamespace other, string otherDevice) =>
        Commands.Require("ip", "link", "add", device, "netns", at.Name, "type", "veth", "peer", "name", otherDevice, "netns", other.Name);

    public NetworkNamespace HomeHost { get; }

    public NetworkNamespace Smap { get; }

    public NetworkNamespace Edge { get; }

    public NetworkNamespace Internet { get; }

    NetworkNamespace[] All => [HomeHost, Smap, Edge, Internet];

    public string PathOf(string file) => Path.Combine(_directory, file);

    // ---- The edge

    public LabProcess StartPrr(string bindings)
    {
        string path = PathOf("prr.toml");
        File.WriteAllText(path, $"""
            softwire-address = "{Border}"
            control-socket = "{PathOf("prr.sock")}"
            {LabFixture.FastPathLine}

            [discovery]
            enabled = false

            {bindings}
            """);
        return Started(Edge.Start("prr", PathOf("prr.log"), LabFixture.Executable, "prr", "--config", path), "prr.sock");
    }

    /// <summary>The home has always the same prefix.</summary>
    const string HomeAlone = $$"""[ { "duid": "{{HomeDuid}}", "prefixes": [ "2001:db8:1::/56" ] } ]""";

    /// <summary>Starts Kea with this of its own, and waits until it has read it.</summary>
    /// <param name="times">Seconds: T1, T2, preferred and valid lifetime.</param>
    /// <param name="options">Its option-data.</param>
    /// <param name="reservations">Its reservations.</param>
    public LabProcess StartKea(string options, string times = "1000, 1600, 2000, 3000", string reservations = HomeAlone)
    {
        string[] time = times.Split(", ");
        string path = PathOf("kea.conf");
        File.WriteAllText(path, $$"""
            { "Dhcp6": {
              "interfaces-config": { "interfaces": [ "access" ] },
              "server-id": { "type": "EN", "enterprise-id": 2495, "identifier": "0102030405", "persist": false },
              "lease-database": { "type": "memfile", "persist": true, "name": "{{PathOf("kea.leases")}}" },
              "renew-timer": {{time[0]}}, "rebind-timer": {{time[1]}}, "preferred-lifetime": {{time[2]}}, "valid-lifetime": {{time[3]}},
              "option-data": [ {{options}} ],
              "subnet6": [ {
                "subnet": "2001:db8:fffe::/64", "interface": "access",
                "pools": [ { "pool": "2001:db8:fffe::100 - 2001:db8:fffe::1ff" } ],
                "pd-pools": [ { "prefix": "2001:db8:1::", "prefix-len": 48, "delegated-len": 56 } ],
                "reservations": {{reservations}}
              } ],
              "loggers": [ { "name": "kea-dhcp6", "output_options": [ { "output": "stdout" } ], "severity": "INFO" } ]
            } }
            """);

        // Kea's own places are the host's; here it has others.
        LabProcess kea = Edge.Start("kea-dhcp6", PathOf("kea.log"), "env", $"KEA_PIDFILE_DIR={_directory}", $"KEA_LOCKFILE_DIR={_directory}", "kea-dhcp6", "-c", path);
        kea.WaitUntil(() => Edge.Run("ss", "-Hulnp", "sport", "=", ":547").Output.Contains("kea-dhcp6", StringComparison.Ordinal), TimeSpan.FromSeconds(30), "listen");
        return kea;
    }

    /// <summary>Starts a registry that answers DHCPv6.</summary>
    public LabProcess StartRegistry(string configuration, NetworkNamespace? at = null)
    {
        string path = PathOf("registry.toml");
        File.WriteAllText(path, $"data = \"{PathOf("registry")}\"\n{configuration}");
        LabProcess registry = (at ?? Edge).Start("registry", PathOf("registry.log"), LabFixture.Executable, "registry", "--config", path);
        registry.WaitUntil(() => registry.ReadLog().Contains("runs:", StringComparison.Ordinal), TimeSpan.FromSeconds(30), "run");
        return registry;
    }

    public string Leases() => Edge.Require("curl", "-sS", "http://127.0.0.1:8646/v1/leases");

    // ---- The home

    /// <summary>Starts the SMAP, which knows the link and nothing else, and waits until it has a softwire.</summary>
    public LabProcess StartSmap(string more = "") => OnceItHasASoftwire(BeginSmap(more));

    public LabProcess OnceItHasASoftwire(LabProcess smap)
    {
        smap.WaitUntil(HasSoftwire, TimeSpan.FromSeconds(60), "have a softwire");
        return smap;
    }

    public bool HasSoftwire() => Ask("smap", "status", "--json") is { Succeeded: true } status && !JsonDocument.Parse(status.Output).RootElement.GetProperty("smap").GetProperty("isSuspended").GetBoolean();

    /// <summary>Starts it, and does not wait.</summary>
    public LabProcess BeginSmap(string more = "") => BeginSmapBy("", $"""
        [dhcpv6]
        interface = "wan"
        {more}
        """);

    /// <summary>The same by other means.</summary>
    /// <param name="top">Keys of the file itself.</param>
    /// <param name="tables">Its tables.</param>
    public LabProcess BeginSmapBy(string top, string tables)
    {
        string path = PathOf("smap.toml");
        File.WriteAllText(path, $"""
            control-socket = "{PathOf("smap.sock")}"
            {top}

            {tables}

            [napt]
            filtering = "endpoint-independent"

            [discovery]
            enabled = false
            """);
        return Smap.Start("smap", PathOf("smap.log"), LabFixture.Executable, "smap", "--config", path);
    }

    LabProcess Started(LabProcess daemon, string socket)
    {
        daemon.WaitUntil(() => Commands.Run(LabFixture.Executable, "status", "--socket", PathOf(socket)).Succeeded, TimeSpan.FromSeconds(40), "answer");
        return daemon;
    }

    public CommandResult Ask(string daemon, string verb, params string[] more) => Commands.Run([LabFixture.Executable, verb, "--socket", PathOf($"{daemon}.sock"), .. more]);

    /// <summary>How a host of the home looks from the Internet; null where nothing comes through.</summary>
    public (string Address, int Port)? Reach()
    {
        using UdpPlace server = DaemonHost.UdpOf(Internet, Server), host = DaemonHost.UdpOf(HomeHost, Host);
        return host.Through(server, seconds: 2) is { } seen ? UdpPlace.Split(seen) : null;
    }

    /// <summary>The same, tried for as long as a change may take on a machine that has other things to do.</summary>
    public (string Address, int Port) ReachAs(string address, Func<int, bool> port, int seconds = 60)
    {
        (string Address, int Port)? seen = null;
        Assert.True(Wait.Until(() => (seen = Reach()) is { } now && now.Address == address && port(now.Port), TimeSpan.FromSeconds(seconds)), $"seen as {seen}\n{File.ReadAllText(PathOf("smap.log"))}");
        return seen!.Value;
    }

    // ---- On the wire

    /// <summary>Captures DHCPv6, or something else, on the edge's side of the link.</summary>
    public LabProcess Capture(string what = "udp portrange 546-547")
    {
        LabProcess capture = Edge.Start("tcpdump", PathOf("tcpdump.log"), "tcpdump", "-i", "access", "-U", "-w", PathOf("dhcp.pcap"), what);
        capture.WaitUntil(() => capture.ReadLog().Contains("listening on", StringComparison.Ordinal), TimeSpan.FromSeconds(20), "listen");
        return capture;
    }

    /// <summary>What tshark makes of the capture: fields of the packets that a filter lets through, a line each.</summary>
    public string[] Decode(string filter, params string[] fields) =>
        Commands.Require(["tshark", "-r", PathOf("dhcp.pcap"), "-Y", filter, "-T", "fields", .. fields.SelectMany(f => (string[])["-e", f])], timeout: TimeSpan.FromSeconds(60)).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public void Dispose()
    {
        NetworkNamespace.Delete(All);
        Directory.Delete(_directory, recursive: true);
    }
}
