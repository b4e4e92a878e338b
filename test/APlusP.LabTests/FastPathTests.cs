using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>The PRR's fast path between three hosts: what it forwards, what it follows, and what stays when the daemon is gone.</summary>
public sealed class FastPathTests : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    readonly DaemonHost _host = new();
    LabProcess? _daemon;

    [Theory]
    [InlineData("tc")]
    [InlineData("xdp")]
    public void Plain_packets_go_by_the_kernel_both_ways_and_spoofed_ones_do_not_go(string hook)
    {
        Start(hook);

        // Before the kernel has asked for a neighbour, XDP leaves its packets to the daemon.
        RoundTrip();
        Dictionary<string, long> before = Counters();
        RoundTrip();
        Assert.Null(_host.FromSubscriber(DaemonHost.Routed, port: 9999, seconds: 2));
        Dictionary<string, long> after = Counters();

        // The kernel's own MLD on the device may come in between; it is consumed.
        before["from-smap-received"] += after["from-smap-consumed"] - before["from-smap-consumed"];
        before["from-smap-consumed"] = after["from-smap-consumed"];
        string[] changed = [.. after.Where(c => c.Value != before[c.Key] && !c.Key.EndsWith("-bytes", StringComparison.Ordinal)).Select(c => $"{c.Key} +{c.Value - before[c.Key]}")];
        string[] expected =
        [
            "from-internet-received +1", "from-internet-forwarded +1", "fast-path-from-internet-forwarded +1",
            "from-smap-received +2", "from-smap-forwarded +1", "fast-path-from-smap-forwarded +1",
            "fast-path-from-smap-up-no-binding +1", "from-smap-dropped +1", "from-smap-drop-source-port-not-bound +1",
        ];
        Assert.Equal(expected.Order(), changed.Order());
    }

    [Theory]
    [InlineData("tc")]
    [InlineData("xdp")]
    public void A_daemon_that_is_killed_leaves_its_traffic_going_and_the_next_one_takes_over_with_its_counters(string hook)
    {
        Start(hook);
        RoundTrip();
        RoundTrip();
        long before = Counters()["fast-path-from-smap-forwarded"];
        _daemon!.Signal(Signals.Kill);
        Assert.True(_daemon.WaitForExit(TimeSpan.FromSeconds(20)));
        RoundTrip();

        _daemon = _host.StartFast();
        Assert.Equal(before + 1, Counters()["fast-path-from-smap-forwarded"]);
        RoundTrip();
        Assert.Equal(before + 2, Counters()["fast-path-from-smap-forwarded"]);
    }

    [Theory]
    [InlineData("tc", 1500)]
    [InlineData("tc", 1400)]
    [InlineData("xdp", 1500)]
    public async Task Large_packets_that_went_by_the_kernel_do_so_from_the_first_on_after_a_restart(string hook, int carries)
    {
        Start(hook);
        RoundTrip();
        _host.Prr.Ip($"link set access mtu {carries}");

        // A datagram that is too large finds out what the way carries; those that follow fit.
        using UdpPlace server = DaemonHost.UdpOf(_host.Internet, DaemonHost.Server);
        const int headers = 40 + 20 + 8;
        server.Send($"{DaemonHost.Shared}:10001", 1500 - headers);
        using var stop = new CancellationTokenSource();
        Task stream = Task.Run(() =>
        {
            for (; !stop.IsCancellationRequested; Thread.Sleep(5)) server.Send($"{DaemonHost.Shared}:10001", carries - headers);
        }, TestContext.Current.CancellationToken);

        Dictionary<string, long> before = Counters();
        Assert.True(Wait.Until(() =>
        {
            (Dictionary<string, long> last, before) = (before, Counters());
            return before["fast-path-from-internet-forwarded"] > last["fast-path-from-internet-forwarded"] && before["fast-path-from-internet-up-too-big"] == last["fast-path-from-internet-up-too-big"];
        }, TimeSpan.FromSeconds(10)));
        for (int restarts = 0; restarts < 3; restarts++)
        {
            _daemon!.Signal(restarts == 1 ? Signals.Terminate : Signals.Kill);
            Assert.True(_daemon.WaitForExit(TimeSpan.FromSeconds(20)));
            _daemon = _host.StartFast();
        }

        Dictionary<string, long> after = Counters();
        await stop.CancelAsync();
        await stream;
        Assert.True(after["fast-path-from-internet-forwarded"] > before["fast-path-from-internet-forwarded"]);
        Assert.Equal(before["fast-path-from-internet-up-too-big"], after["fast-path-from-internet-up-too-big"]);
        Assert.Equal(carries, Status().GetProperty("narrowPaths").EnumerateArray().Select(p => p.GetProperty("pathMtu").GetInt32()).SingleOrDefault(1500));
    }

    [Fact]
    public void A_neighbour_that_changes_and_a_route_that_moves_are_followed()
    {
        Start("tc");
        RoundTrip();

        // Another Ethernet address of the subscriber, and the PRR hears of it.
        _host.Subscriber.Ip("link set eth0 down", "link set eth0 address 02:00:00:00:00:99", "link set eth0 up", "addr add 2001:db8:1::2/64 dev eth0 nodad", $"route replace {DaemonHost.Routed} via {DaemonHost.OfInterface}");
        _host.Prr.Ip("neigh replace 2001:db8:1::2 lladdr 02:00:00:00:00:99 dev access nud reachable");
        AssertTheKernelForwardsAgain();

        // The softwire's route leads elsewhere, where nobody is; then it is gone, and then back.
        _host.Prr.Ip($"route replace {DaemonHost.Softwire} via 2001:db8:1::3");
        Assert.True(Wait.Until(() => _host.FromInternet(seconds: 1) is null, s_patience), "it still goes where the route was");
        _host.Prr.Ip($"route del {DaemonHost.Softwire}");
        Assert.True(Wait.Until(() => _host.FromInternet(seconds: 1) is null && Counters()["fast-path-from-internet-up-no-route"] >= 1, s_patience), "it does not go up where no route is");
        _host.Prr.Ip($"route add {DaemonHost.Softwire} via 2001:db8:1::2");
        AssertTheKernelForwardsAgain();
    }

    [Fact]
    public void A_neighbour_that_was_typed_in_stays_as_it_was_typed_in()
    {
        Start("tc");
        RoundTrip();
        string Neighbour() => _host.Prr.Require("ip", "neigh", "show", "2001:db8:1::2", "dev", "access").Trim();
        _host.Prr.Ip($"neigh replace 2001:db8:1::2 lladdr {Neighbour().Split(' ')[2]} dev access nud permanent");

        // The neighbours that programs send to are looked after once a second.
        Thread.Sleep(2500);
        Assert.EndsWith("PERMANENT", Neighbour(), StringComparison.Ordinal);
        long before = Counters()["fast-path-from-internet-forwarded"];
        Assert.Equal(DaemonHost.Routed, _host.FromInternet());
        Assert.Equal(before + 1, Counters()["fast-path-from-internet-forwarded"]);
    }

    [Fact]
    public void What_leaves_by_a_device_that_carries_no_ethernet_goes_up()
    {
        Start("tc");
        RoundTrip();

        // With an MTU of its own the route is one that the kernel is asked for, packet by packet.
        _host.Prr.Ip("tuntap add dev wire mode tun", "link set wire up", "addr add 198.18.0.1/30 dev wire");
        _host.Prr.Ip("neigh replace 198.18.0.2 dev wire nud noarp", $"route add {DaemonHost.Server} via 198.18.0.2 dev wire mtu 1400 onlink");
        Assert.True(Wait.Until(() =>
        {
            Dictionary<string, long> before = Counters();
            bool arrived = _host.FromSubscriber(DaemonHost.Routed, seconds: 1) is not null;
            Dictionary<string, long> after = Counters();
            return !arrived && after["fast-path-from-smap-forwarded"] == before["fast-path-from-smap-forwarded"] && after["fast-path-from-smap-up-no-route"] == before["fast-path-from-smap-up-no-route"] + 1;
        }, s_patience), string.Join(", ", Counters().Where(c => c.Value != 0)));
    }

    [Theory]
    [InlineData("tc")]
    [InlineData("xdp")]
    public void A_device_that_vanishes_and_comes_back_and_one_that_comes_later_carry_on(string hook)
    {
        Start(hook);
        RoundTrip();
        for (int i = 0; i < 3; i++)
        {
            // The pair goes as a whole; then it comes back as other devices of the same names.
            _host.Prr.Ip("link del uplink");
            Commands.Require("ip", "link", "add", "uplink", "netns", _host.Prr.Name, "type", "veth", "peer", "name", "eth0", "netns", _host.Internet.Name);
            _host.Prr.Ip("link set uplink up", "addr add 198.51.100.1/24 dev uplink");
            _host.Internet.Ip("link set eth0 up", $"addr add {DaemonHost.Server}/24 dev eth0", $"route add {DaemonHost.Shared} via 198.51.100.1");
            if (hook == "xdp") _host.Internet.Shell("ethtool -K eth0 gro on");
            AssertTheKernelForwardsAgain();
        }

        // A second way to the Internet, which was not there at the start.
        Commands.Require("ip", "link", "add", "second", "netns", _host.Prr.Name, "type", "veth", "peer", "name", "eth1", "netns", _host.Internet.Name);
        _host.Prr.Ip("link set second up", "addr add 203.0.113.1/24 dev second", $"route add {DaemonHost.Server}/32 via 203.0.113.2");
        _host.Internet.Ip("link set eth1 up", "addr add 203.0.113.2/24 dev eth1", $"route replace {DaemonHost.Shared} via 203.0.113.1");
        if (hook == "xdp") _host.Internet.Shell("ethtool -K eth1 gro on");
        AssertTheKernelForwardsAgain();
        Assert.Equal(["access", "second", "uplink"], Status().GetProperty("fastPath").GetProperty("devices").EnumerateArray().Select(d => d.GetString()!).Order());
    }

    /// <summary>Both ways, and within seconds by the kernel.</summary>
    void AssertTheKernelForwardsAgain()
    {
        bool forwarded = Wait.Until(() =>
        {
            Dictionary<string, long> before = Counters();
            bool arrived = _host.FromSubscriber(DaemonHost.Routed, seconds: 2) == "192.0.2.1:10001" && _host.FromInternet(seconds: 2) == DaemonHost.Routed;
            Dictionary<string, long> after = Counters();
            return arrived && ((string[])["internet", "smap"]).All(side => after[$"fast-path-from-{side}-forwarded"] == before[$"fast-path-from-{side}-forwarded"] + 1);
        }, s_patience);
        Assert.True(forwarded, $"{Status().GetProperty("fastPath")} {string.Join(", ", Counters().Where(c => c.Value != 0))}");
    }

    [Fact]
    public void A_device_that_takes_no_frames_from_xdp_gets_its_packets_by_the_daemon_and_status_names_it()
    {
        _host.Configure("fast-path = \"xdp\"");
        _daemon = _host.StartFast();
        RoundTrip();
        RoundTrip();
        Dictionary<string, long> counters = Counters();
        Assert.Equal((0, 0), (counters["fast-path-from-internet-forwarded"], counters["fast-path-from-smap-forwarded"]));
        Assert.Contains("AP2014", Status().GetProperty("fastPath").GetProperty("fault").GetString());

        // The far ends of the veths take frames from now on.
        foreach (NetworkNamespace far in (NetworkNamespace[])[_host.Subscriber, _host.Internet]) far.Shell("ethtool -K eth0 gro on");
        AssertTheKernelForwardsAgain();
        Assert.DoesNotContain("AP2014", _host.Ask("status", "--json").Output);
        _host.Internet.Shell("ethtool -K eth0 gro off");
        Assert.True(Wait.Until(() => _host.Ask("status", "--json").Output.Contains("AP2014", StringComparison.Ordinal), TimeSpan.FromSeconds(20)));
        RoundTrip();
    }

    /// <summary>What it mounts for this is its own.</summary>
    static string[] AsNobody(string capabilities) => ["unshare", "--mount", .. DaemonTests.AsNobody(capabilities)];

    [Theory]
    [InlineData("tc")]
    [InlineData("xdp")]
    public void Nobody_can_run_it_with_three_capabilities_and_a_file_system_that_was_mounted_before(string hook)
    {
        _host.OpenDirectory();
        string pins = Path.ChangeExtension(_host.ControlSocket, "bpf");
        Directory.CreateDirectory(pins);
        Commands.Require("mount", "-t", "bpf", "bpf", pins);
        Commands.Require("chown", "nobody", pins);
        Start(hook, AsNobody("+net_admin,+bpf,+perfmon"));
        Assert.Contains("Uid:\t65534\t65534\t65534\t65534", File.ReadAllText($"/proc/{_daemon!.Id}/status"));
        RoundTrip();
        AssertTheKernelForwardsAgain();

        // Its next one, too, takes over.
        _daemon.Signal(Signals.Kill);
        Assert.True(_daemon.WaitForExit(TimeSpan.FromSeconds(20)));
        RoundTrip();
        _daemon = _host.StartFast(AsNobody("+net_admin,+bpf,+perfmon"));
        AssertTheKernelForwardsAgain();
    }

    [Theory]
    [InlineData("+net_admin", "AP2010", "CAP_BPF")]
    [InlineData("+net_admin,+bpf", "AP2010", "CAP_PERFMON")]
    [InlineData("+net_admin,+bpf,+perfmon", "AP2013", "CAP_SYS_ADMIN")]
    public void Where_a_capability_is_missing_the_daemon_says_so_and_forwards_by_itself(string capabilities, string code, string missing)
    {
        _host.OpenDirectory();
        _host.Configure("fast-path = \"tc\"");
        _daemon = _host.StartFast(AsNobody(capabilities));
        AssertItForwardsByItself(code, missing);
    }

    [Fact]
    public void Without_the_library_the_daemon_says_so_and_forwards_by_itself()
    {
        string library = Commands.Require("sh", "-c", "ldconfig -p | sed -n 's/.*libbpf.so.1 .*=> //p' | head -n 1").Trim();
        _host.Configure("fast-path = \"tc\"");
        _daemon = _host.StartFast("unshare", "--mount", "sh", "-c", $"mount --bind /dev/null {library}; exec \"$@\"", "sh");
        AssertItForwardsByItself("AP2010", "libbpf1");
    }

    void AssertItForwardsByItself(string code, string missing)
    {
        RoundTrip();
        JsonElement fastPath = Status().GetProperty("fastPath");
        Assert.Equal("off", fastPath.GetProperty("hook").GetString());
        string said = fastPath.GetProperty("fault").GetString()!;
        Assert.Contains(code, said);
        Assert.Contains(missing, said);
        Assert.Contains(missing, File.ReadAllText(_host.LogPath));
    }

    [Fact]
    public void A_reload_changes_what_the_programs_know()
    {
        Start("tc");
        RoundTrip();
        const string other = "2001:db8:5::2";
        _host.Configure("fast-path = \"tc\"", DaemonHost.Binding("11000-11999", other));
        Assert.True(_host.Ask("reload").Succeeded);
        Assert.Equal(2, Status().GetProperty("fastPath").GetProperty("bindings").GetInt32());
        RoundTrip();

        // Gone from the file, gone from the kernel.
        File.WriteAllText(_host.ConfigurationPath, File.ReadAllText(_host.ConfigurationPath).Replace("10000-10999", "12000-12999", StringComparison.Ordinal));
        Assert.True(_host.Ask("reload").Succeeded);
        Assert.Null(_host.FromInternet(seconds: 2));
        Assert.Null(_host.FromSubscriber(DaemonHost.Routed, seconds: 2));
        Assert.Equal(DaemonHost.Routed, _host.FromInternet(12001));
        Dictionary<string, long> counters = Counters();
        Assert.Equal((1, 1), (counters["from-internet-drop-no-binding"], counters["from-smap-drop-source-port-not-bound"]));
    }

    [Fact]
    public void A_reload_with_more_bindings_than_there_was_room_for_makes_room()
    {
        Start("tc");
        RoundTrip();
        long before = Counters()["fast-path-from-internet-forwarded"];
        const int many = 5000;
        _host.Configure("fast-path = \"tc\"", string.Concat(Enumerable.Range(0, many).Select(i => DaemonHost.Binding($"{1024 + i % 50 * 100}-{1123 + i % 50 * 100}", $"2001:db8:7::{i + 1:x}", $"203.0.113.{i / 50}"))));
        Assert.True(_host.Ask("reload").Succeeded);
        JsonElement fastPath = Status().GetProperty("fastPath");
        Assert.Equal((many + 1, 0), (fastPath.GetProperty("bindings").GetInt32(), fastPath.GetProperty("leftOut").GetInt32()));
        RoundTrip();
        Assert.Equal(before + 1, Counters()["fast-path-from-internet-forwarded"]);
    }

    [Fact]
    public void Detach_takes_away_what_a_stopped_daemon_has_left_and_refuses_while_one_runs()
    {
        string before = _host.Snapshot();
        Start("tc");
        RoundTrip();
        CommandResult refused = Detach();
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("AP3003", refused.Error);
        Assert.True(_daemon!.Stop());
        RoundTrip();
        Assert.NotEqual(before, _host.Snapshot());
        Assert.True(Detach().Succeeded);
        Assert.Equal(before, _host.Snapshot());
        Assert.Null(_host.FromInternet(seconds: 2));
        Assert.True(Detach().Succeeded);
    }

    [Fact]
    public void Ctrl_c_takes_everything_away_and_a_start_without_fast_path_what_another_has_left()
    {
        string before = _host.Snapshot();
        Start("tc");
        _daemon!.Signal(Signals.Interrupt);
        Assert.True(_daemon.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Equal(before, _host.Snapshot());
        Assert.False(Directory.Exists(Path.ChangeExtension(_host.ControlSocket, "bpf")));

        Start("tc");
        Assert.True(_daemon.Stop());
        _host.Configure("fast-path = \"off\"");
        _daemon = _host.StartFast();
        Assert.Equal(JsonValueKind.Undefined, Status().TryGetProperty("fastPath", out JsonElement none) && none.ValueKind != JsonValueKind.Null ? none.ValueKind : JsonValueKind.Undefined);
        RoundTrip();
        Assert.True(_daemon.Stop());
        Assert.Equal(before, _host.Snapshot());
    }

    CommandResult Detach() => Commands.Run("nsenter", $"--net=/run/netns/{_host.Prr.Name}", LabFixture.Executable, "prr", "detach", "--config", _host.ConfigurationPath);

    JsonElement Status() => JsonDocument.Parse(_host.Ask("status", "--json").Output).RootElement;

    void RoundTrip()
    {
        Assert.Equal("192.0.2.1:10001", _host.FromSubscriber(DaemonHost.Routed));
        Assert.Equal(DaemonHost.Routed, _host.FromInternet());
    }

    void Start(string hook, params string[] before)
    {
        // XDP on a veth hands frames on only where the other end takes them as such.
        if (hook == "xdp")
            foreach (NetworkNamespace far in (NetworkNamespace[])[_host.Subscriber, _host.Internet]) far.Shell("ethtool -K eth0 gro on");
        _host.Configure($"fast-path = \"{hook}\"");
        _daemon = _host.StartFast(before);
        Assert.Equal(hook, Status().GetProperty("fastPath").GetProperty("hook").GetString());
    }

    Dictionary<string, long> Counters() =>
        JsonDocument.Parse(_host.Ask("counters", "--json").Output).RootElement.EnumerateObject().ToDictionary(c => c.Name, c => c.Value.GetInt64());

    public void Dispose()
    {
        _daemon?.Stop();
        Detach();
        _host.Dispose();
    }
}
