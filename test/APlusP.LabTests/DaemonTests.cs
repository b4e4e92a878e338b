using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>The daemons as processes: what they take from the machine, and that they give it back.</summary>
public sealed class DaemonTests : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    /// <summary>With one the kernel's part of a daemon stays when that ends: see <see cref="FastPathTests"/>.</summary>
    const string WithoutFastPath = "fast-path = \"off\"";

    readonly DaemonHost _host = new();

    public void Dispose() => _host.Dispose();

    [Fact]
    public void Fifty_starts_and_stops_leave_the_machine_as_it_was()
    {
        _host.Configure(WithoutFastPath);
        string before = _host.Snapshot();
        for (int i = 0; i < 50; i++)
        {
            LabProcess daemon = _host.Start();
            if (i == 0) Assert.NotEqual(before, _host.Snapshot());
            daemon.Signal(i % 2 == 0 ? Signals.Terminate : Signals.Interrupt);
            Assert.True(daemon.WaitForExit(s_patience), $"start {i} did not end:\n{daemon.ReadLog()}");
            Assert.False(File.Exists(_host.ControlSocket));
            Assert.Equal(before, _host.Snapshot());
        }
    }

    [Fact]
    public void A_killed_daemon_leaves_no_route_and_the_next_one_starts()
    {
        _host.Configure(WithoutFastPath);
        LabProcess daemon = _host.Start();
        daemon.Signal(Signals.Kill);
        Assert.True(daemon.WaitForExit(s_patience));
        Assert.True(Wait.Until(() => !_host.Prr.Run("ip", "link", "show", "aplusp-prr").Succeeded, s_patience));
        Assert.DoesNotContain("aplusp", _host.Snapshot());
        Assert.True(File.Exists(_host.ControlSocket));
        _host.Start();
        Assert.Equal($"{DaemonHost.Shared}:10001", _host.FromSubscriber(DaemonHost.Routed));
    }

    [Fact]
    public void A_second_daemon_is_refused_and_the_first_goes_on()
    {
        _host.Configure();
        _host.Start();
        string before = _host.Snapshot();
        CommandResult second = _host.Prr.Run(LabFixture.Executable, "prr", "--config", _host.ConfigurationPath);
        Assert.Equal(1, second.ExitCode);
        Assert.Contains("AP3003", second.Error);

        // With a control socket of its own it comes as far as the device.
        string other = _host.ConfigurationPath + ".other";
        File.WriteAllText(other, File.ReadAllText(_host.ConfigurationPath).Replace("prr.sock", "other.sock"));
        second = _host.Prr.Run(LabFixture.Executable, "prr", "--config", other);
        Assert.Equal(1, second.ExitCode);
        Assert.Contains("AP2002", second.Error);
        Assert.Equal(before, _host.Snapshot());
        Assert.Equal($"{DaemonHost.Shared}:10001", _host.FromSubscriber(DaemonHost.Routed));
    }

    [Fact]
    public void A_start_that_fails_half_way_leaves_nothing()
    {
        // `ip netns exec` gives a mount namespace of its own. Device and workers are there when the settings are refused.
        _host.Configure();
        string before = _host.Snapshot();
        CommandResult failed = _host.Prr.Run("sh", "-c", $"mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec {LabFixture.Executable} prr --config {_host.ConfigurationPath}");
        Assert.Equal(1, failed.ExitCode);
        Assert.Contains("AP2005", failed.Error);
        Assert.Equal(before, _host.Snapshot());
        Assert.False(File.Exists(_host.ControlSocket));
    }

    [Fact]
    public void A_device_that_somebody_deletes_ends_the_daemon_with_an_error_and_the_settings_are_put_back()
    {
        _host.Configure(WithoutFastPath);
        string before = _host.Snapshot();
        LabProcess daemon = _host.Start();
        _host.Prr.Ip("link del aplusp-prr");
        Assert.True(daemon.WaitForExit(s_patience), daemon.ReadLog());
        Assert.Contains("TUN device is gone", daemon.ReadLog());
        Assert.Equal(before, _host.Snapshot());
    }

    [Fact]
    public void A_route_and_a_setting_of_the_host_stay_when_the_daemon_ends()
    {
        _host.Prr.Ip($"route add {DaemonHost.Shared} via {DaemonHost.Server} metric 7");
        _host.Prr.Shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
        _host.Configure(WithoutFastPath);
        string before = _host.Snapshot();
        LabProcess daemon = _host.Start();
        Assert.Equal($"{DaemonHost.Shared}:10001", _host.FromSubscriber(DaemonHost.Routed));
        Assert.True(daemon.Stop(s_patience));
        Assert.Equal(before, _host.Snapshot());
    }

    [Fact]
    public void A_host_that_takes_its_address_from_advertisements_still_does_while_it_forwards()
    {
        _host.Configure(WithoutFastPath);
        Assert.Equal("1", _host.Prr.Shell("cat /proc/sys/net/ipv6/conf/access/accept_ra").Trim());
        LabProcess daemon = _host.Start();
        Assert.Equal("2", _host.Prr.Shell("cat /proc/sys/net/ipv6/conf/access/accept_ra").Trim());
        Assert.True(daemon.Stop(s_patience));
        Assert.Equal("1", _host.Prr.Shell("cat /proc/sys/net/ipv6/conf/access/accept_ra").Trim());
    }

    [Theory]
    [InlineData(DaemonHost.Routed, 1)]
    [InlineData(DaemonHost.Routed, 2)]
    [InlineData(DaemonHost.OfInterface, 1)]
    [InlineData(DaemonHost.OfInterface, 2)]
    public void Packets_cross_both_ways_whether_the_softwires_end_is_routed_or_an_address_of_the_machine(string end, int workers)
    {
        _host.Configure($"workers = {workers}", end: end);
        _host.Start();
        for (int port = 10000; port < 10010; port++)
        {
            Assert.Equal($"{DaemonHost.Shared}:{port}", _host.FromSubscriber(end, port));
            Assert.Equal(end, _host.FromInternet(port));
        }

        Assert.Null(_host.FromSubscriber(end, 11000, seconds: 2));
        Dictionary<string, long> counters = Counters();
        Assert.Equal(10, counters["from-smap-forwarded"]);
        Assert.Equal(10, counters["from-internet-forwarded"]);
        Assert.Equal(1, counters["from-smap-drop-source-port-not-bound"]);
        Assert.Equal(0, counters["device-send-failures"]);
    }

    [Theory]
    [InlineData(DaemonHost.Routed)]
    [InlineData(DaemonHost.OfInterface)]
    public void Packet_too_big_is_heard_whether_the_softwires_end_is_routed_or_an_address_of_the_machine(string end)
    {
        _host.Configure(end: end);
        _host.Start();
        _host.Prr.Ip("link set access mtu 1400");
        using Socket sender = _host.Internet.Call(() => Echo.Open(IpFragmentation.ForbidAndIgnoreErrors));
        sender.SendTo(new byte[1432], new IPEndPoint(IPAddress.Parse(DaemonHost.Shared), 10000));
        Dictionary<string, long> counters = [];
        Assert.True(Wait.Until(() => (counters = Counters())["path-mtu-lowered-by-message"] == 1, TimeSpan.FromSeconds(20)), string.Join('\n', counters.Where(c => c.Value != 0)));
        Assert.Equal(1, counters["icmpv4-sent"]);

        // The next hears it from the PRR.
        Wait.Until(() =>
        {
            try
            {
                sender.SendTo(new byte[1432], new IPEndPoint(IPAddress.Parse(DaemonHost.Shared), 10000));
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.MessageSize)
            {
                // What the ICMPv4 error before said.
            }

            return (counters = Counters())["from-internet-drop-too-big"] > 0;
        }, TimeSpan.FromSeconds(20));
        Assert.True(counters["from-internet-drop-too-big"] > 0);
    }

    [Theory]
    [InlineData(DaemonHost.Routed, "+net_admin")]
    [InlineData(DaemonHost.OfInterface, "+net_admin,+net_raw")]
    public void Nobody_with_only_the_capabilities_that_it_takes_can_run_it(string end, string capabilities)
    {
        _host.OpenDirectory();
        _host.Configure(end: end);
        LabProcess daemon = _host.Start(AsNobody(capabilities));
        string status = File.ReadAllText($"/proc/{daemon.Id}/status");
        Assert.Contains("Uid:\t65534\t65534\t65534\t65534", status);
        Assert.Equal($"{DaemonHost.Shared}:10001", _host.FromSubscriber(end));
        Assert.Equal(end, _host.FromInternet());
        Assert.True(daemon.Stop(s_patience));
        Assert.DoesNotContain("aplusp", _host.Snapshot());
    }

    [Theory]
    [InlineData(DaemonHost.Routed, "", "AP2002", "CAP_NET_ADMIN")]
    [InlineData(DaemonHost.OfInterface, "+net_admin", "AP2004", "CAP_NET_RAW")]
    public void The_capability_that_is_missing_is_named(string end, string capabilities, string code, string missing)
    {
        _host.OpenDirectory();
        _host.Configure(end: end);
        string before = _host.Snapshot();
        CommandResult refused = _host.Prr.Run([.. AsNobody(capabilities), LabFixture.Executable, "prr", "--config", _host.ConfigurationPath]);
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains(code, refused.Error);
        Assert.Contains(missing, refused.Error);
        Assert.Equal(before, _host.Snapshot());
    }

    [Fact]
    public void A_faulty_file_changes_nothing_and_says_why_by_signal_and_by_request()
    {
        _host.Configure();
        LabProcess daemon = _host.Start();
        string before = _host.Snapshot();
        foreach (string faulty in (string[])["nonsense = 1", "device = \"other\"", "softwire-address"])
        {
            _host.Configure(faulty, DaemonHost.Binding("11000-11999", "2001:db8:5::2", "192.0.2.2"));
            CommandResult refused = _host.Ask("reload");
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Contains("AP", refused.Error);
            int lines = daemon.ReadLog().Split('\n').Length;
            daemon.Signal(Signals.Hangup);
            Assert.True(Wait.Until(() => daemon.ReadLog().Split('\n').Length > lines, s_patience));
            Assert.Contains("nothing changed", daemon.ReadLog().Split('\n')[lines - 1]);
            Assert.Equal(before, _host.Snapshot());
            Assert.Equal(1, Status().GetProperty("prr").GetProperty("bindings").GetInt32());
        }

        Assert.Equal($"{DaemonHost.Shared}:10001", _host.FromSubscriber(DaemonHost.Routed));
    }

    [Fact]
    public void A_good_file_adds_moves_and_removes_bindings_and_their_routes()
    {
        _host.Configure();
        LabProcess daemon = _host.Start();
        Assert.Null(_host.FromSubscriber(DaemonHost.Routed, 12000, seconds: 2));

        _host.Configure(bindings: DaemonHost.Binding("11000-12999", "2001:db8:5::2") + DaemonHost.Binding("offset=6,length=8,psid=1", "2001:db8:5::3", "192.0.2.2")
            + DaemonHost.Binding("offset=6,length=8,psid=2", "2001:db8:5::4", "192.0.2.2"));
        CommandResult reload = _host.Ask("reload");
        Assert.True(reload.Succeeded, reload.Text);
        Assert.Contains("192.0.2.2 dev aplusp-prr", _host.Snapshot());

        // Ports move from one subscriber to another, and an address gets another division, in one step.
        File.WriteAllText(_host.ConfigurationPath, File.ReadAllText(_host.ConfigurationPath)
            .Replace("10000-10999", "12000-12999").Replace("11000-12999", "10000-10999").Replace("length=8,psid=1", "length=4,psid=2").Replace("length=8,psid=2", "length=4,psid=1"));
        daemon.Signal(Signals.Hangup);
        Assert.True(Wait.Until(() => _host.FromSubscriber(DaemonHost.Routed, 12000, seconds: 2) is not null, s_patience), daemon.ReadLog());
        Assert.Null(_host.FromSubscriber(DaemonHost.Routed, 10001, seconds: 2));
        Assert.Equal(4, Status().GetProperty("prr").GetProperty("bindings").GetInt32());

        _host.Configure();
        Assert.True(_host.Ask("reload").Succeeded);
        Assert.DoesNotContain("192.0.2.2", _host.Snapshot());
        Assert.Equal($"{DaemonHost.Shared}:10001", _host.FromSubscriber(DaemonHost.Routed));
    }

    [Fact]
    public void Reloads_leave_no_descriptor_open()
    {
        _host.Configure();
        LabProcess daemon = _host.Start();
        int Descriptors() => Directory.GetFiles($"/proc/{daemon.Id}/fd").Length;
        for (int i = 0; i < 10; i++) Node.Control.ControlClient.Ask(_host.ControlSocket, "reload");
        int before = Descriptors();
        for (int i = 0; i < 100; i++)
        {
            _host.Configure(bindings: i % 2 == 0 ? DaemonHost.Binding("11000-11999", "2001:db8:5::2", "192.0.2.2") : "");
            Node.Control.ControlClient.Ask(_host.ControlSocket, "reload");
        }

        Assert.True(Wait.Until(() => Descriptors() <= before, s_patience), $"{before} descriptors before, {Descriptors()} after");
    }

    [Fact]
    public void The_control_socket_is_for_its_user_and_group()
    {
        _host.Configure();
        _host.Start();
        Assert.Equal("660", Commands.Require("stat", "-c", "%a", _host.ControlSocket).Trim());
        Assert.Equal(1, Status().GetProperty("version").GetInt32());
        Assert.Equal("prr", Status().GetProperty("role").GetString());
        Assert.Contains("1 binding", _host.Ask("status").Output);
    }

    [Fact]
    public void Where_nobody_answers_the_question_says_so()
    {
        CommandResult alone = _host.Ask("status");
        Assert.Equal(1, alone.ExitCode);
        Assert.Contains("AP3002", alone.Error);
    }

    // In the mount namespace of `ip netns exec`, with a /dev/net/tun that anybody may open, as it is on most systems.
    internal static string[] AsNobody(string capabilities)
    {
        string[] rights = capabilities.Length == 0 ? [] : ["--inh-caps", capabilities, "--ambient-caps", capabilities];
        const string device = "mount -t tmpfs tmpfs /mnt && mknod -m 666 /mnt/tun c 10 200 && chmod 666 /mnt/tun && mount --bind /mnt/tun /dev/net/tun && exec \"$@\"";
        return ["sh", "-ec", device, "sh", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", capabilities.Length == 0 ? "-all" : "-all," + capabilities, .. rights];
    }

    JsonElement Status() => JsonDocument.Parse(_host.Ask("status", "--json").Output).RootElement;

    Dictionary<string, long> Counters() =>
        JsonDocument.Parse(_host.Ask("counters", "--json").Output).RootElement.EnumerateObject().ToDictionary(c => c.Name, c => c.Value.GetInt64());
}
