using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>The SMAP's fast path in its place, with the PRR's at the other end: real programs from a home to the Internet and back.</summary>
public sealed class SmapFastPathTests : IDisposable
{
    const string Server = SmapHost.Server;

    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    readonly SmapHost _host = new();

    public void Dispose() => _host.Dispose();

    [Fact]
    public void What_programs_say_to_each_other_goes_by_the_kernel_once_their_flow_is_known()
    {
        _host.Start();
        _host.Serve("iperf3", "iperf3", "-s");
        _host.Converse();
        Dictionary<string, long> before = _host.Counters();
        foreach (string[] way in (string[][])[[], ["-R"], ["-u", "-b", "50M"], ["-u", "-b", "50M", "-R"]]) _host.Transfer(way);
        _host.Home.Require("ping", "-c", "20", "-i", "0.01", "-w", "10", Server);
        Dictionary<string, long> after = _host.Counters();
        foreach (string side in (string[])["from-lan", "from-prr"])
        {
            long all = after[$"{side}-forwarded"] - before[$"{side}-forwarded"], kernel = after[$"fast-path-{side}-forwarded"] - before[$"fast-path-{side}-forwarded"];
            Assert.True(kernel > 5000 && all - kernel < all / 10, $"{side}: {kernel} of {all} packets went by the kernel");
        }

        _host.Balance();
        Assert.True(_host.FastFlows() >= 1);
    }

    /// <summary>What offloads do where: at the ends, on the way, and whether packets are put together again where they come in.</summary>
    [Theory]
    [InlineData("on", "on", "on")]
    [InlineData("on", "off", "off")]
    [InlineData("on", "off", "on")]
    [InlineData("off", "on", "off")]
    [InlineData("off", "on", "on")]
    [InlineData("off", "off", "off")]
    [InlineData("off", "off", "on")]
    public void Checksums_are_right_whatever_is_left_to_devices(string ends, string way, string together)
    {
        foreach (NetworkNamespace end in (NetworkNamespace[])[_host.Home, _host.Internet]) Offload(end, "eth0", ends, together);
        foreach ((NetworkNamespace at, string device) in new[] { (_host.Smap, "lan"), (_host.Smap, "wan"), (_host.Prr, "access"), (_host.Prr, "uplink") }) Offload(at, device, way, together);
        _host.Start();
        _host.Serve("iperf3", "iperf3", "-s");
        string sent = _host.Path("sent"), received = _host.Path("received");
        _host.Home.Shell($"head -c 8000000 /dev/urandom > {sent}");
        _host.Serve("sink", "socat", "-u", "TCP4-LISTEN:5300,reuseaddr", $"CREATE:{received}");
        _host.Converse();
        Dictionary<string, long> before = _host.Counters();
        _host.Transfer();
        _host.Transfer("-R");
        _host.Transfer("-u", "-b", "20M", "-l", "1111");
        _host.Transfer("-u", "-b", "20M", "-l", "1111", "-R");
        _host.Home.Require("socat", "-u", $"OPEN:{sent}", $"TCP4:{Server}:5300");
        Assert.True(Wait.Until(() => File.Exists(received) && File.ReadAllBytes(sent).AsSpan().SequenceEqual(File.ReadAllBytes(received)), s_patience), "what was sent did not arrive as it was");
        Dictionary<string, long> after = _host.Counters();
        Assert.True(after["fast-path-from-lan-forwarded"] - before["fast-path-from-lan-forwarded"] > 1000);
        foreach (NetworkNamespace end in (NetworkNamespace[])[_host.Home, _host.Internet])
            foreach (string counter in (string[])["TcpInCsumErrors", "UdpInCsumErrors", "IcmpInCsumErrors"]) Assert.Equal(0, SmapHost.Kernel(end, counter));
    }

    static void Offload(NetworkNamespace at, string device, string sends, string together) => at.Shell($"ethtool -K {device} tso {sends} gso {sends} tx {sends} gro {together}");

    [Fact]
    public void A_daemon_that_is_killed_leaves_its_flows_going_and_the_next_one_goes_on_with_them()
    {
        _host.Start();
        _host.Serve("iperf3", "iperf3", "-s");
        _host.ServePorts();
        _host.Converse();
        string port = _host.PortSeen(40000);
        int idle = _host.FastFlows();
        LabProcess transfer = _host.Run(_host.Home, "transfer", "iperf3", "-c", Server, "-t", "12", "-b", "200M"), pings = _host.Run(_host.Home, "pings", "ping", "-i", "0.02", "-c", "500", Server);

        // The transfer's words and its data, and the pings.
        Assert.True(Wait.Until(() => _host.FastFlows() >= idle + 3, s_patience));
        long before = _host.Counters()["fast-path-from-lan-forwarded"], large = -1;
        Assert.True(Wait.Until(() => LargeAsked() is > 0 and var now && now == Interlocked.Exchange(ref large, now), s_patience));

        // Killed, and for a while without anybody.
        _host.Daemon.Signal(Signals.Kill);
        Assert.True(_host.Daemon.WaitForExit(s_patience));
        Assert.Equal(port, _host.PortSeen(40000));
        _host.StartSmap();
        int flows = _host.FastFlows();
        Assert.True(flows >= 4, $"{flows} flows went on");
        Assert.True(_host.Counters()["fast-path-from-lan-forwarded"] > before);
        Assert.Equal(port, _host.PortSeen(40000));

        // What was found out of the path is known to the next one too.
        Assert.Equal(large, LargeAsked());

        // Stopped as service managers do, and asked to read its file again.
        Assert.True(_host.Daemon.Stop());
        Assert.Equal(port, _host.PortSeen(40000));
        _host.StartSmap();
        Assert.True(_host.Ask("reload").Succeeded);
        Assert.Equal(port, _host.PortSeen(40000));
        Assert.True(pings.WaitForExit(TimeSpan.FromSeconds(40)) && transfer.WaitForExit(TimeSpan.FromSeconds(40)));
        Assert.Contains(" 0% packet loss", pings.ReadLog(), StringComparison.Ordinal);
        Assert.Contains("receiver", transfer.ReadLog(), StringComparison.Ordinal);
        _host.Balance();
    }

    /// <summary>Large packets of the home for which the daemon was asked.</summary>
    long LargeAsked() => _host.Counters()["fast-path-from-lan-up-too-big"];

    [Fact]
    public void Who_starts_with_other_ports_forgets_the_flows_and_so_does_a_reload()
    {
        _host.Start();
        _host.ServePorts();
        Assert.InRange(int.Parse(_host.PortSeen(40000)), 10000, 11023);
        Assert.True(_host.Daemon.Stop());
        _host.Configure(ports: "11024-12047");
        _host.StartSmap();
        Assert.Equal(0, _host.FastFlows());
        Assert.InRange(int.Parse(_host.PortSeen(40000)), 11024, 12047);
        _host.Configure(ports: "10000-11023");
        Assert.True(_host.Ask("reload").Succeeded);
        Assert.Equal(0, _host.FastFlows());
        Assert.InRange(int.Parse(_host.PortSeen(40000)), 10000, 11023);
    }

    [Fact]
    public void Detach_takes_away_what_a_stopped_daemon_has_left_and_so_does_ctrl_c()
    {
        string before = _host.Snapshot();
        _host.Start();
        _host.ServePorts();
        _host.PortSeen(40000);
        Assert.Contains("AP3003", _host.Detach().Error, StringComparison.Ordinal);
        Assert.True(_host.Daemon.Stop());
        Assert.NotEqual(before, _host.Snapshot());
        Assert.True(_host.Detach().Succeeded);
        Assert.Equal(before, _host.Snapshot());

        _host.StartSmap();
        _host.Daemon.Signal(Signals.Interrupt);
        Assert.True(_host.Daemon.WaitForExit(s_patience));
        Assert.Equal(before, _host.Snapshot());
        Assert.False(Directory.Exists(System.IO.Path.ChangeExtension(_host.ControlSocket, "bpf")));
    }

    [Fact]
    public void A_changed_address_of_a_neighbour_and_a_moved_route_are_followed()
    {
        _host.Start();
        _host.ServePorts();
        string port = _host.PortSeen(40000);
        long before = _host.Counters()["fast-path-from-lan-forwarded"];

        // Other Ethernet addresses at both sides of the SMAP; a ping of each tells its neighbours, as a new device would.
        _host.Home.Ip("link set eth0 address 02:00:00:00:aa:01");
        _host.Home.Ip("route replace default via 192.168.1.1");
        _host.Prr.Ip("link set access address 02:00:00:00:bb:01");
        _host.Home.Run("ping", "-c", "1", "-w", "2", "192.168.1.1");
        _host.Prr.Run("ping", "-c", "1", "-w", "2", "2001:db8:1::2");
        Assert.True(Wait.Until(() => _host.TryPortSeen(40000) == port, s_patience), "the way was not found again");
        Assert.True(Wait.Until(() => _host.TryPortSeen(40000) == port && _host.Counters()["fast-path-from-lan-forwarded"] > before, s_patience));

        // The PRR by another of its addresses.
        _host.Prr.Ip("addr add 2001:db8:1::9/64 dev access nodad");
        _host.Smap.Ip("route replace 2001:db8::/32 via 2001:db8:1::9");
        Assert.True(Wait.Until(() => _host.TryPortSeen(40000) == port, s_patience));

        // Without a route nothing goes by the kernel.
        _host.Smap.Ip("route del 2001:db8::/32");
        Assert.True(Wait.Until(() => _host.TryPortSeen(40000) is null && _host.Counters()["fast-path-from-lan-up-no-route"] > 0, s_patience));
        _host.Smap.Ip("route add 2001:db8::/32 via 2001:db8:1::1");
        Assert.True(Wait.Until(() => _host.TryPortSeen(40000) == port, s_patience));
    }

    [Fact]
    public void Ports_come_back_when_connections_end_and_idle_flows_end_at_their_time_though_the_kernel_carried_them()
    {
        _host.Configure(sections: """
            [napt.timers]
            udp = 6
            icmp = 6
            tcp-transitory = 12
            tcp-reset = 12
            """);
        _host.Start();
        _host.Serve("web", "python3", "-m", "http.server", "8000", "--directory", "/proc/sys/net/core");
        _host.ServePorts();
        _host.Converse(8000);
        _host.Home.Require("sh", "-ec", $"for i in $(seq 20); do curl -sf -m 5 -o /dev/null http://{Server}:8000/somaxconn; done");
        Assert.True(_host.PortsInUse("tcp") >= 10);
        Assert.True(Wait.Until(() => _host.PortsInUse("tcp") == 0, s_patience), "ports did not come back");

        // One packet a second keeps a flow alive for longer than an idle one lives; then it ends.
        string port = _host.PortSeen(40000);
        for (int second = 0; second < 10; second++)
        {
            Thread.Sleep(1000);
            Assert.Equal(port, _host.PortSeen(40000));
        }

        Assert.Equal(1, _host.PortsInUse("udp"));
        Assert.True(Wait.Until(() => _host.PortsInUse("udp") == 0, s_patience), "the idle flow lives on");
        Assert.True(Wait.Until(() => _host.FastFlows() == 0, s_patience));
    }

    [Fact]
    public void A_fast_path_in_the_drivers_is_refused()
    {
        _host.Configure();
        File.WriteAllText(_host.ConfigurationPath, File.ReadAllText(_host.ConfigurationPath).Replace("\"auto\"", "\"xdp\"", StringComparison.Ordinal));
        CommandResult refused = Commands.Run(LabFixture.Executable, "smap", "--config", _host.ConfigurationPath);
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("\"tc\" or \"auto\"", refused.Error, StringComparison.Ordinal);
    }
}
