using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>
/// Hosts of a home that ask for their ports themselves, by programs that others wrote: upnpc, natpmpc, gssdp-discover, transmission; and PCP, NAT-PMP, SSDP and HTTP octet by octet from Python. The home's
/// host has two addresses, and so is two to the SMAP.
/// </summary>
public sealed class PortControlTests : IDisposable
{
    const string Router = "192.168.1.1", Second = "192.168.1.3";

    readonly SmapHost _host = new();

    public PortControlTests()
    {
        Programs.Require("upnpc", "natpmpc", "gssdp-discover", "curl", "python3", "socat");
        _host.Home.Ip($"addr add {Second}/24 dev eth0");
    }

    public void Dispose() => _host.Dispose();

    void Start(string ports = "10000-11023", string more = "", string shared = SmapHost.Shared)
    {
        Configure(ports, more, shared);
        _host.Start();
        Await(() => Mapped().ValueKind != JsonValueKind.Undefined && Listens(), "the SMAP does not listen for requests");
    }

    void Configure(string ports, string more = "", string shared = SmapHost.Shared)
    {
        _host.Configure(ports: ports, sections: $"""
            [[lan]]
            device = "lan"
            address = "{Router}/24"

            [port-control]
            upnp = true
            state = "{_host.Path("state")}"
            {more}
            """);
        if (shared != SmapHost.Shared) File.WriteAllText(_host.ConfigurationPath, File.ReadAllText(_host.ConfigurationPath).Replace(SmapHost.Shared, shared));
    }

    bool Listens() => _host.Smap.Shell("ss -Hlun; ss -Hltn") is var all && all.Contains($"{Router}%lan:5351", StringComparison.Ordinal) && all.Contains(":1900", StringComparison.Ordinal);

    static void Await(Func<bool> condition, string what) => Assert.True(Wait.Until(condition, TimeSpan.FromSeconds(60)), what);

    JsonElement Mapped()
    {
        CommandResult said = Commands.Run(LabFixture.Executable, "smap", "mappings", "--json", "--socket", _host.ControlSocket);
        return said.Succeeded ? JsonDocument.Parse(said.Output).RootElement : default;
    }

    List<(string Protocol, int Port, string To, string By)> Entries() => [.. Mapped().GetProperty("entries").EnumerateArray().Select(e =>
        (e.GetProperty("protocol").GetString()!, e.GetProperty("port").GetInt32(), $"{e.GetProperty("host").GetString()}:{e.GetProperty("hostPort").GetInt32()}", e.GetProperty("by").GetString()!))];

    // It takes a router for not connected whose address is one of documentation, and has to be told to go on (-i).
    CommandResult Upnpc(params string[] arguments) => _host.Home.Run(["upnpc", "-i", "-m", SmapHost.Client, .. arguments], timeout: TimeSpan.FromSeconds(30));

    /// <summary>A web server of the home's host, and what the Internet reads of it by one of our ports.</summary>
    LabProcess ServeAtHome(int port)
    {
        LabProcess server = _host.Run(_host.Home, $"web-{port}", "python3", "-m", "http.server", $"{port}", "--directory", "/proc/sys/net/core");
        server.WaitUntil(() => _host.Home.Shell($"ss -Hltn sport = :{port}").Length > 0, TimeSpan.FromSeconds(20), "listen");
        return server;
    }

    /// <summary>Whether somebody reads it who has not been there before: with whom a host has spoken, the NAPT's filter lets in while it remembers.</summary>
    bool StrangerReads(int port, string stranger = "198.51.100.77")
    {
        _host.Internet.Ip($"addr replace {stranger}/24 dev eth0");
        return _host.Internet.Run("curl", "-sS", "--fail", "--interface", stranger, "--max-time", "3", $"http://{SmapHost.Shared}:{port}/somaxconn").Succeeded;
    }

    static bool Reads(NetworkNamespace from, int port) => from.Run("curl", "-sS", "--fail", "--max-time", "5", $"http://{SmapHost.Shared}:{port}/somaxconn").Succeeded;

    string Python(NetworkNamespace at, string script)
    {
        CommandResult said = at.Run(["python3", "-c", script], timeout: TimeSpan.FromSeconds(60));
        Assert.True(said.Succeeded, said.Text);
        return said.Output.Trim();
    }

    /// <summary>What the router answers to octets by UDP, in hexadecimal.</summary>
    string Answer(int port, string hex) => Python(_host.Home, Exchange(Router, port, hex, seconds: 30)) is { Length: > 0 } answer ? answer : throw new Xunit.Sdk.XunitException($"port {port} does not answer {hex}");

    /// <summary>Whether a second brings no answer there.</summary>
    bool IsSilent(NetworkNamespace at, string to, int port, string hex) => Python(at, Exchange(to, port, hex, seconds: 1)).Length == 0;

    static string Exchange(string to, int port, string hex, int seconds) => $"""
        import socket
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout({seconds})
        s.sendto(bytes.fromhex("{hex}"), ("{to}", {port}))
        try:
            print(s.recv(2000).hex())
        except (TimeoutError, ConnectionError):
            pass
        """;

    const string NatPmpAddress = "0000";

    /// <summary>MAP of TCP 8083 to 10083 by 192.168.1.2, written by hand from RFC 6887 figures 2 and 9.</summary>
    const string PcpMap = "0201000000000e10" + "00000000000000000000ffffc0a80102" + "0102030405060708090a0b0c06000000" + "1f932763" + "00000000000000000000ffff00000000";

    static readonly string s_search = Convert.ToHexString(Encoding.ASCII.GetBytes("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n"));

    [Fact]
    public void Upnpc_maps_a_port_of_the_set_and_the_Internet_reads_a_page_by_it()
    {
        Start();
        CommandResult said = Upnpc("-e", "a page", "-a", SmapHost.Client, "8080", "10080", "tcp", "3600");
        Assert.True(Entries().Contains(("tcp", 10080, $"{SmapHost.Client}:8080", "upnp")), said.Text);
        ServeAtHome(8080);
        Assert.True(Reads(_host.Internet, 10080));

        // And a host of the home by the shared address, RFC 4787 REQ-9.
        Assert.True(Reads(_host.Home, 10080));
        Assert.Contains($"10080->{SmapHost.Client}:8080", Upnpc("-l").Output, StringComparison.Ordinal);
        said = Upnpc("-L");
        Assert.True(said.Output.Contains($"10080->{SmapHost.Client}:8080", StringComparison.Ordinal), said.Text);
        Assert.Contains(SmapHost.Shared, Upnpc("-s").Output, StringComparison.Ordinal);
        Upnpc("-d", "10080", "tcp");
        Assert.Empty(Entries());
        Assert.False(StrangerReads(10080));
        _host.Balance();
    }

    [Fact]
    public void Upnpc_hears_718_of_a_port_outside_the_set_and_gets_another_by_AddAnyPortMapping_and_606_for_a_third_party()
    {
        Start();
        Assert.Contains("718", Upnpc("-a", SmapHost.Client, "8080", "8080", "tcp").Text, StringComparison.Ordinal);
        Assert.Contains("606", Upnpc("-a", Second, "8080", "10080", "tcp").Text, StringComparison.Ordinal);
        Assert.Empty(Entries());
        Upnpc("-n", SmapHost.Client, "8080", "8080", "tcp");
        (_, int port, string to, _) = Assert.Single(Entries());
        Assert.Equal($"{SmapHost.Client}:8080", to);
        Assert.InRange(port, 10000, 11023);
        Assert.Contains("upnp-requests-refused", _host.Counters().Where(c => c.Value >= 2).Select(c => c.Key));
    }

    [Fact]
    public void Gssdp_discover_finds_both_versions_of_the_device()
    {
        Start();
        string found = _host.Home.Run(["gssdp-discover", "-i", "eth0", "-n", "5", "-t", "upnp:rootdevice"], timeout: TimeSpan.FromSeconds(30)).Text;
        Assert.Contains("/1/device.xml", found, StringComparison.Ordinal);
        Assert.Contains("/2/device.xml", found, StringComparison.Ordinal);
    }

    [Fact]
    public void Natpmpc_maps_renews_and_deletes()
    {
        Start();
        Assert.Contains($"Public IP address : {SmapHost.Shared}", _host.Home.Require("natpmpc", "-g", Router), StringComparison.Ordinal);
        Assert.Contains("Mapped public port 10081", _host.Home.Require("natpmpc", "-g", Router, "-a", "10081", "8081", "tcp", "3600"), StringComparison.Ordinal);
        ServeAtHome(8081);
        Assert.True(Reads(_host.Internet, 10081));
        _host.Home.Require("natpmpc", "-g", Router, "-a", "0", "8081", "tcp", "0");
        Assert.Empty(Entries());
    }

    [Fact]
    public void A_PCP_client_in_Python_maps_a_port_by_octets_of_the_RFC()
    {
        Start();
        string answer = Answer(5351, PcpMap);
        Assert.StartsWith("0281000000000e10", answer, StringComparison.Ordinal);
        Assert.EndsWith("0102030405060708090a0b0c06000000" + "1f932763" + "00000000000000000000ffffc0000201", answer, StringComparison.Ordinal);
        ServeAtHome(8083);
        Assert.True(Reads(_host.Internet, 10083));

        // In another's name it is ADDRESS_MISMATCH.
        Assert.StartsWith("0281000c", Answer(5351, PcpMap.Replace("c0a80102", "c0a80163", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    /// <summary>libtorrent asks by PCP first, and by NAT-PMP only whoever does not know that.</summary>
    [Fact]
    public void Libtorrent_maps_its_port_by_PCP_is_reached_by_it_and_gives_it_back()
    {
        const int port = 10901;
        Start();
        string script = _host.Path("client.py");
        File.WriteAllText(script, $$"""
            import libtorrent, signal, sys, time
            session = libtorrent.session({"listen_interfaces": "{{SmapHost.Client}}:{{port}}", "enable_natpmp": True, "enable_upnp": False, "enable_dht": False, "enable_lsd": False})
            signal.signal(signal.SIGTERM, lambda *_: sys.exit())
            while True: time.sleep(0.1)

            """);
        LabProcess client = _host.Run(_host.Home, "libtorrent", "/usr/bin/python3", script);
        Await(() => new[] { "tcp", "udp" }.All(p => Entries().Contains((p, port, $"{SmapHost.Client}:{port}", "pcp"))), $"libtorrent maps no port by PCP: {client.ReadLog()}");
        using (_host.Internet.Call(() => new TcpClient(SmapHost.Shared, port)))
        {
        }

        client.Stop();
        Await(() => Entries().Count == 0, "libtorrent does not give its ports back");
    }

    /// <summary>What the report's consoles asked of a network (figures 13 to 17): six UDP ports for a race.</summary>
    [Fact]
    public void A_console_plays_by_six_UDP_ports_within_a_set_of_eight()
    {
        Start("10000-10007");
        for (int i = 0; i < 6; i++) Upnpc("-n", SmapHost.Client, $"{3074 + i}", $"{3074 + i}", "udp", "3600");
        Dictionary<int, int> outside = Entries().Where(e => e is { Protocol: "udp", By: "upnp" }).ToDictionary(e => int.Parse(e.To.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture), e => e.Port);
        Assert.Equal(Enumerable.Range(3074, 6), outside.Keys.Order());
        Assert.All(outside.Values, port => Assert.InRange(port, 10000, 10007));
        _host.Run(_host.Home, "console", "python3", "-c", $$"""
            import select, socket
            sockets = []
            for port in range(3074, 3080):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.bind(("{{SmapHost.Client}}", port))
                sockets.append(s)
            while True:
                for s in select.select(sockets, [], [])[0]:
                    data, peer = s.recvfrom(2000)
                    s.sendto(data + b" from %d" % s.getsockname()[1], peer)
            """);
        string said = "";
        string expected = string.Join('\n', outside.OrderBy(o => o.Key).SelectMany(o => Enumerable.Range(0, 20).Select(n => $"{n} from {o.Key} by {o.Value}")));
        string script = $"""
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(2)
            for inside, port in {JsonSerializer.Serialize(outside.OrderBy(o => o.Key).Select(o => new[] { o.Key, o.Value }))}:
                for n in range(20):
                    s.sendto(b"%d" % n, ("{SmapHost.Shared}", port))
                    data, peer = s.recvfrom(2000)
                    print(data.decode(), "by", peer[1])
            """;
        Await(() => (said = _host.Internet.Run(["python3", "-c", script], timeout: TimeSpan.FromSeconds(60)).Output.Trim()) == expected, "no game was played");
        _host.Balance();
    }

    [Fact]
    public void Nothing_that_comes_from_the_WAN_side_is_answered()
    {
        Start();
        int web = int.Parse(_host.Smap.Shell("ss -Hltn").Split('\n').Single(l => l.Contains($"{Router}%lan:", StringComparison.Ordinal)).Split($"{Router}%lan:")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);

        // The access network speaks IPv4 too, here, and knows the way to the LAN.
        _host.Smap.Ip("addr add 10.9.9.1/24 dev wan");
        _host.Prr.Ip("addr add 10.9.9.2/24 dev access", "route add 192.168.1.0/24 via 10.9.9.1");
        Assert.True(_host.Prr.Run("ping", "-c", "1", "-w", "5", Router).Succeeded, "the way is not there");
        foreach (string to in (string[])[Router, "10.9.9.1"])
        {
            Assert.True(IsSilent(_host.Prr, to, 5351, NatPmpAddress));
            Assert.True(IsSilent(_host.Prr, to, 5351, PcpMap.Replace("c0a80102", "0a090902", StringComparison.Ordinal)));
            Assert.True(IsSilent(_host.Prr, to, 1900, s_search));
            Assert.False(_host.Prr.Run("curl", "-sS", "--max-time", "2", $"http://{to}:{web}/").Succeeded);
        }

        // Nor by the shared address, from the Internet.
        Assert.True(IsSilent(_host.Internet, SmapHost.Shared, 5351, NatPmpAddress));
        Assert.True(IsSilent(_host.Internet, SmapHost.Shared, 1900, s_search));

        // The same octets from the LAN are.
        Answer(5351, NatPmpAddress);
        Answer(1900, s_search);
        Assert.Contains("404", _host.Home.Run("curl", "-sS", "-i", "--max-time", "5", $"http://{Router}:{web}/").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Mappings_outlive_a_SMAP_that_is_killed_and_so_does_the_epoch()
    {
        Start();
        _host.Home.Require("natpmpc", "-g", Router, "-a", "10081", "8081", "tcp", "3600");
        Upnpc("-a", SmapHost.Client, "8080", "10080", "tcp", "3600");
        ServeAtHome(8081);
        Assert.True(Reads(_host.Internet, 10081));
        List<(string, int, string, string)> before = Entries();
        long epoch = Epoch();
        Assert.True(_host.Daemon.Signal(9));
        Assert.True(_host.Daemon.WaitForExit(TimeSpan.FromSeconds(20)));
        _host.StartSmap();
        Assert.Equal(before, Entries());
        Await(() => Reads(_host.Internet, 10081), "the page is not there any more");
        Await(Listens, "it does not listen");
        Assert.True(Epoch() >= epoch, "the epoch began anew");

        long Epoch() => Convert.ToInt64(Answer(5351, NatPmpAddress)[8..16], 16);
    }

    [Fact]
    public void A_LAN_that_is_unplugged_and_plugged_in_again_is_served_again()
    {
        Start();
        _host.Home.Require("natpmpc", "-g", Router);
        _host.Smap.Ip("link del lan");
        Commands.Require("ip", "link", "add", "lan", "netns", _host.Smap.Name, "type", "veth", "peer", "name", "eth0", "netns", _host.Home.Name);
        _host.Smap.Ip("link set lan up", $"addr add {Router}/24 dev lan");
        _host.Home.Ip("link set eth0 up", $"addr add {SmapHost.Client}/24 dev eth0", $"route add default via {Router}");
        Await(() => _host.Home.Run(["natpmpc", "-g", Router], timeout: TimeSpan.FromSeconds(20)).Output.Contains(SmapHost.Shared, StringComparison.Ordinal), "NAT-PMP does not answer");
        Await(() => Upnpc("-s").Output.Contains(SmapHost.Shared, StringComparison.Ordinal), "UPnP does not answer");
    }

    [Fact]
    public void Hosts_hear_of_another_address_by_NAT_PMP_and_PCP_and_a_subscriber_by_its_events()
    {
        const string other = "192.0.2.9";
        Start();
        Answer(5351, PcpMap);
        string heard = _host.Path("heard");
        LabProcess ear = _host.Run(_host.Home, "ear", "python3", "-c", $$"""
            import re, socket, struct, threading, urllib.request
            out = open("{{heard}}", "a", buffering=1)
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("", 5350))
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.1") + socket.inet_aton("{{SmapHost.Client}}"))
            web = socket.socket()
            web.bind(("{{SmapHost.Client}}", 49200))
            web.listen()
            f = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            f.settimeout(5)
            f.sendto(b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nST: urn:schemas-upnp-org:service:WANIPConnection:2\r\n\r\n', ("239.255.255.250", 1900))
            location = re.search(r"LOCATION: (\S+)", f.recv(2000).decode()).group(1)
            base = location.rsplit("/", 1)[0]
            request = urllib.request.Request(base + "/WANIPConn1/events", method="SUBSCRIBE", headers={"CALLBACK": "<http://{{SmapHost.Client}}:49200/x>", "NT": "upnp:event", "TIMEOUT": "Second-300"})
            out.write("subscribed %s\n" % urllib.request.urlopen(request).status)
            def events():
                while True:
                    c, _ = web.accept()
                    c.settimeout(5)
                    data = b""
                    while b"</e:propertyset>" not in data:
                        data += c.recv(4000)
                    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    c.close()
                    out.write("event %s\n" % re.search(rb"<ExternalIPAddress>(.*)</ExternalIPAddress>", data).group(1).decode())
            threading.Thread(target=events, daemon=True).start()
            while True:
                out.write("datagram %s\n" % s.recv(2000).hex())
            """);
        ear.WaitUntil(() => Heard().Contains($"event {SmapHost.Shared}", StringComparison.Ordinal), TimeSpan.FromSeconds(60), "hear how it is");
        Configure("10000-11023", shared: other);
        Assert.True(_host.Ask("reload").Succeeded);
        ear.WaitUntil(() => Heard() is var all && all.Contains("datagram 00800000", StringComparison.Ordinal) && all.Contains("c0000209\n", StringComparison.Ordinal), TimeSpan.FromSeconds(60), "hear NAT-PMP");
        ear.WaitUntil(() => Heard().Contains("datagram 02800000", StringComparison.Ordinal), TimeSpan.FromSeconds(60), "hear ANNOUNCE");

        // Its own mapping, with the new address.
        ear.WaitUntil(() => Heard().Contains("0102030405060708090a0b0c06000000" + "1f932763" + "00000000000000000000ffffc0000209", StringComparison.Ordinal), TimeSpan.FromSeconds(60), "hear of its mapping");
        ear.WaitUntil(() => Heard().Contains($"event {other}", StringComparison.Ordinal), TimeSpan.FromSeconds(60), "hear an event");

        string Heard() => File.Exists(heard) ? File.ReadAllText(heard) : "";
    }

    [Fact]
    public void The_household_adds_and_removes_forwards_and_hears_which_ports_it_has()
    {
        Start();
        CommandResult refused = Forward("add", "80", $"{SmapHost.Client}:8080");
        Assert.False(refused.Succeeded);
        Assert.Contains("AP1025", refused.Text, StringComparison.Ordinal);
        Assert.Contains("10000-11023", refused.Text, StringComparison.Ordinal);
        Assert.True(Forward("add", "10080", $"{SmapHost.Client}:8080").Succeeded);
        Assert.Contains("AP1018", Forward("add", "10080", $"{Second}:8080").Text, StringComparison.Ordinal);
        ServeAtHome(8080);
        Assert.True(Reads(_host.Internet, 10080));
        Assert.Contains("729", Upnpc("-a", SmapHost.Client, "8090", "10080", "tcp").Text, StringComparison.Ordinal);
        _host.Daemon.Signal(9);
        Assert.True(_host.Daemon.WaitForExit(TimeSpan.FromSeconds(20)));
        _host.StartSmap();
        Assert.Equal([("tcp", 10080, $"{SmapHost.Client}:8080", "household")], Entries());
        Assert.True(Forward("remove", "10080").Succeeded);
        Assert.Contains("AP3015", Forward("remove", "10080").Text, StringComparison.Ordinal);
        Assert.Empty(Entries());
        Assert.False(StrangerReads(10080));
    }

    CommandResult Forward(params string[] what) => Commands.Run([LabFixture.Executable, "smap", "forward", .. what, "--socket", _host.ControlSocket]);

    [Fact]
    public void The_household_removes_a_port_that_a_host_opened_by_UPnP()
    {
        Start();
        Upnpc("-a", SmapHost.Client, "8080", "10080", "tcp", "3600");
        ServeAtHome(8080);
        Assert.True(StrangerReads(10080));
        CommandResult said = Forward("remove", "10080");
        Assert.True(said.Succeeded, said.Text);
        Assert.Empty(Entries());

        // With the stranger of before the host has spoken, and the filter remembers him for a while.
        Assert.False(StrangerReads(10080, "198.51.100.78"));
        Assert.DoesNotContain("10080->", Upnpc("-l").Output, StringComparison.Ordinal);
        _host.Daemon.Signal(9);
        Assert.True(_host.Daemon.WaitForExit(TimeSpan.FromSeconds(20)));
        _host.StartSmap();
        Assert.Empty(Entries());
        Assert.False(StrangerReads(10080, "198.51.100.79"));
        Await(Listens, "it does not listen");

        // It was taken away, and not forbidden.
        Upnpc("-a", SmapHost.Client, "8080", "10080", "tcp", "3600");
        Assert.Equal([("tcp", 10080, $"{SmapHost.Client}:8080", "upnp")], Entries());
        Await(() => StrangerReads(10080), "the port that was asked for again does not lead to the host");
    }

    [Fact]
    public void A_PCP_client_whose_port_the_household_removed_hears_so_and_no_more_once_it_has_asked_again()
    {
        Start();
        Answer(5351, PcpMap);
        string heard = _host.Path("lost");

        // It asks again at the first word, and then listens for longer than the repetitions take.
        LabProcess ear = _host.Run(_host.Home, "ear", "python3", "-c", $"""
            import socket, time
            out = open("{heard}", "a", buffering=1)
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("{SmapHost.Client}", 5350))
            out.write("listens\n")
            end = None
            while end is None or time.monotonic() < end:
                s.settimeout(60 if end is None else max(0.01, end - time.monotonic()))
                try:
                    said = s.recv(2000)
                except TimeoutError:
                    break
                if said[1] != 0x81: continue
                out.write("told %s\n" % said.hex())
                if end is None:
                    end = time.monotonic() + 3
                    again = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    again.settimeout(10)
                    again.sendto(bytes.fromhex("{PcpMap}"), ("{Router}", 5351))
                    again.recv(2000)
            out.write("over\n")
            time.sleep(60)
            """);
        ear.WaitUntil(() => Heard().Contains("listens", StringComparison.Ordinal), TimeSpan.FromSeconds(20), "listen");
        Assert.True(Forward("remove", "10083").Succeeded);
        ear.WaitUntil(() => Heard().Contains("over", StringComparison.Ordinal), TimeSpan.FromSeconds(60), "hear of its mapping");
        string told = Assert.Single(Heard().Split('\n'), line => line.StartsWith("told", StringComparison.Ordinal));
        Assert.StartsWith("told 0281000000000000", told, StringComparison.Ordinal);
        Assert.Contains("0102030405060708090a0b0c06000000" + "1f932763", told, StringComparison.Ordinal);
        Assert.Equal([("tcp", 10083, $"{SmapHost.Client}:8083", "pcp")], Entries());

        string Heard() => File.Exists(heard) ? File.ReadAllText(heard) : "";
    }

    [Fact]
    public void Transmission_maps_its_port_by_itself_and_a_peer_of_the_Internet_reaches_it()
    {
        Programs.Require("transmission-daemon", "transmission-create", "transmission-show");
        const int port = 10900;
        Start();
        string share = Directory.CreateDirectory(_host.Path("share")).FullName, torrent = _host.Path("film.torrent");
        File.WriteAllBytes(Path.Combine(share, "film.bin"), RandomNumberGenerator.GetBytes(300_000));
        Commands.Require("transmission-create", "-o", torrent, "-t", "http://203.0.113.1/announce", Path.Combine(share, "film.bin"));
        string hash = Commands.Require("transmission-show", torrent).Split('\n').Single(l => l.Contains("Hash:", StringComparison.Ordinal)).Split(": ")[1].Trim()[..40];
        string watch = Directory.CreateDirectory(_host.Path("watch")).FullName;
        File.Copy(torrent, Path.Combine(watch, "film.torrent"));
        _host.Run(_host.Home, "transmission", "transmission-daemon", "-f", "--config-dir", _host.Path("transmission"), "--download-dir", share, "--watch-dir", watch, "--peerport", $"{port}", "--portmap", "--no-dht", "--no-utp", "--no-lpd", "--no-auth");
        Await(() => Entries().Any(e => e is { Protocol: "tcp", Port: port }), "transmission maps no port");
        string said = "";
        Await(() => (said = _host.Internet.Run(["python3", "-c", $"""
            import socket
            s = socket.create_connection(("{SmapHost.Shared}", {port}), timeout=5)
            s.sendall(b"\x13BitTorrent protocol" + bytes(8) + bytes.fromhex("{hash}") + b"-XX0000-000000000000")
            print(s.recv(68)[28:48].hex())
            """], timeout: TimeSpan.FromSeconds(20)).Output.Trim()) == hash, "no handshake");
        Assert.Equal(hash, said);
    }
}
