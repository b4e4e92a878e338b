using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Two rooms whose paths are configured for 1500, and whose paths then become what each test wants.</summary>
public class PathMtuLab : LabFixture
{
    public const int Configured = 1500, RaiseAfter = 2;

    public PathMtuLab()
        : this("tc")
    {
    }

    protected PathMtuLab(string fastPath)
        : base((LabPlan.Fig22($"tpmtu{fastPath}") with { FastPath = fastPath }).With(1, r => r with { PathMtu = Configured }).With(2, r => r with { PathMtu = Configured }))
    {
        foreach (string daemon in Lab.Daemons) Change(daemon, text => text + $"\n[discovery]\nraise-after = {RaiseAfter}\n");

        ForgetMtu("A", "B");
        Lab.StartIperf("www4");
    }

    /// <summary>Rewrites a daemon's configuration, and lets it read that.</summary>
    public void Change(string daemon, Func<string, string> change)
    {
        string path = Lab.ConfigurationPath(daemon);
        File.WriteAllText(path, change(File.ReadAllText(path)));
        Reload(daemon);
    }

    void Reload(string daemon) => Commands.Require(Executable, "reload", "--socket", Lab.ControlSocket(daemon));

    /// <summary>Makes a room's path of these sizes, in each direction by itself: from the PRR to the SMAP, and from the SMAP to the PRR.</summary>
    public void Path(int room, int down, int up)
    {
        this["core"].Ip($"link set smap{room} mtu {down}");
        this[$"smap{room}"].Ip($"link set wan mtu {up}");
    }

    /// <summary>Whether the routers on the way swallow ICMPv6 Packet Too Big.</summary>
    public void Swallow(bool swallow)
    {
        foreach (string host in (string[])["core", "smap1", "smap2"])
        {
            this[host].Shell("nft delete table ip6 swallow 2>/dev/null || true");
            if (swallow)
                this[host].Shell("""
                    nft add table ip6 swallow
                    nft add chain ip6 swallow out '{ type filter hook output priority 0; }'
                    nft add rule ip6 swallow out icmpv6 type packet-too-big drop
                    """);
        }
    }

    /// <summary>What a daemon knows of the paths that are narrower than configured.</summary>
    public int PathMtu(string daemon, string softwire) =>
        Lab.DaemonStatus(daemon).GetProperty("narrowPaths").EnumerateArray()
            .Where(p => p.GetProperty("softwire").GetString() == softwire).Select(p => p.GetProperty("pathMtu").GetInt32()).SingleOrDefault(Configured);

    /// <summary>Wide paths that tell, and daemons that know it.</summary>
    public void Widen()
    {
        Swallow(false);
        foreach (int room in (int[])[1, 2]) Path(room, Configured, Configured);
        foreach (string host in (string[])["A", "B", "www4"]) this[host].Run("ip", "route", "flush", "cache");
    }
}

/// <summary>Path MTU by itself: what carries large packets goes on when the path becomes narrow, told or not, each way by itself. All offloads are off.</summary>
public abstract class PathMtuTests(PathMtuLab lab)
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    string Softwire(int room) => lab.Lab.Plan.Room(room).Softwire;

    /// <summary>Widens the paths and waits until both ends use them; large packets are what makes them try.</summary>
    protected void Widen(string host, int room)
    {
        lab.Widen();
        Assert.True(Wait.Until(() =>
        {
            // One identifier for all: each other one would be a mapping of its own.
            lab[host].Run("ping", "-e", "700", "-c", "1", "-W", "1", "-s", "1432", "-M", "dont", LabTopology.Www4Address);
            return lab.PathMtu("prr", Softwire(room)) == PathMtuLab.Configured && lab.PathMtu($"smap{room}", LabPlan.PrrSoftwire) == PathMtuLab.Configured;
        }, s_patience), "the path MTU did not rise again");
    }

    [Theory]
    [InlineData("down", false)]
    [InlineData("up", false)]
    [InlineData("down", true)]
    [InlineData("up", true)]
    public void A_transfer_recovers_within_3_seconds_when_the_path_becomes_narrow(string way, bool swallowed) => lab.Test(() =>
    {
        // A TCP that hears nothing asks again after 0.2, 0.6, 1.4 and 3 s: where others have the processors at the wrong moment, it is the next of these. The best of three counts.
        double gap = double.MaxValue;
        for (int tries = 0; tries < 3 && gap >= 3.0; tries++) gap = GapOfATransfer(way, swallowed);
        Assert.True(gap < 3.0, $"nothing arrived for {gap:F1} s");

        // Each direction by itself: the other way is as wide as before.
        Assert.Equal(way == "down" ? 1280 : PathMtuLab.Configured, lab.PathMtu("prr", Softwire(1)));
        Assert.Equal(way == "up" ? 1280 : PathMtuLab.Configured, lab.PathMtu("smap1", LabPlan.PrrSoftwire));
        string counter = swallowed ? "path-mtu-lowered-by-probing" : "path-mtu-lowered-by-message";
        Assert.True(lab.Lab.Counters(way == "down" ? "prr" : "smap1")[counter] > 0);
    });

    /// <summary>Seconds for which nothing arrives of a transfer whose path becomes narrow on the way, before it goes on.</summary>
    double GapOfATransfer(string way, bool swallowed)
    {
        Widen("B", 1);
        lab.Swallow(swallowed);
        Task<CommandResult> transfer = Task.Run(() => lab["B"].Run(
            ["iperf3", "-c", LabTopology.Www4Address, "-t", "7", "-i", "0.1", "--json", "-b", "20M", .. way == "down" ? (string[])["-R"] : []]));
        Assert.False(transfer.Wait(TimeSpan.FromSeconds(2.5)), transfer.IsCompleted ? transfer.Result.Text : "");
        if (way == "down") lab.Path(1, 1280, PathMtuLab.Configured);
        else lab.Path(1, PathMtuLab.Configured, 1280);

        Assert.True(Iperf.HasEnded(transfer.Result), transfer.Result.Text);
        using JsonDocument report = JsonDocument.Parse(transfer.Result.Output);
        double gap = LongestGap(report), last = report.RootElement.GetProperty("intervals").EnumerateArray().TakeLast(10).Sum(i => i.GetProperty("sum").GetProperty("bytes").GetDouble());
        TestContext.Current.TestOutputHelper!.WriteLine($"{way}, {(swallowed ? "swallowed" : "told")}: nothing arrived for {gap:F1} s");

        // One that does not go on has no gap but an end.
        return last > 0 ? gap : double.MaxValue;
    }

    /// <summary>Seconds of the longest time in which the receiver got nothing.</summary>
    static double LongestGap(JsonDocument report)
    {
        double longest = 0, since = 0;
        foreach (JsonElement interval in report.RootElement.GetProperty("intervals").EnumerateArray())
        {
            JsonElement sum = interval.GetProperty("sum");
            if (sum.GetProperty("bytes").GetDouble() > 0) since = 0;
            else longest = Math.Max(longest, since += sum.GetProperty("seconds").GetDouble());
        }

        return longest;
    }

    [Fact]
    public void A_leg_of_1460_and_one_of_1280_at_once_each_carry_what_fits() => lab.Test(() =>
    {
        Widen("A", 2);
        Widen("B", 1);

        // The wider leg goes first: a server keeps what it hears by address, and both homes have one.
        lab.Path(1, 1460, 1460);
        lab["B"].Do("curl", "-sS", "--fail", "--max-time", "30", "-o", "/dev/null", $"http://{LabTopology.Www4Address}/film.mp4");
        Assert.Equal(1460, lab.PathMtu("prr", Softwire(1)));
        lab.Path(2, 1280, 1280);
        Task[] fetches = [.. ((string[])["A", "B"]).Select(host => Task.Run(() =>
            lab[host].Do("curl", "-sS", "--fail", "--max-time", "30", "-o", "/dev/null", $"http://{LabTopology.Www4Address}/film.mp4")))];
        Task.WaitAll(fetches);
        lab["B"].Ping("-M", "do", "-s", $"{1420 - 28}", "-c", "2", "-i", "0.2", "-W", "2", LabTopology.Www4Address);
        lab["A"].Ping("-M", "do", "-s", $"{1240 - 28}", "-c", "2", "-i", "0.2", "-W", "2", LabTopology.Www4Address);
        Assert.Equal(1280, lab.PathMtu("prr", Softwire(2)));
    });

    [Fact]
    public void Who_forbids_fragments_hears_the_right_size_on_either_side() => lab.Test(() =>
    {
        Widen("B", 1);
        lab.Path(1, 1280, 1400);
        Assert.Contains("mtu = 1360", Told(() => lab["B"].Run("ping", "-e", "701", "-M", "do", "-s", "1432", "-c", "3", "-i", "0.3", "-W", "1", LabTopology.Www4Address)));

        // The identifier that B holds is reached from outside with a size that only the way down refuses.
        lab["B"].Do("ping", "-e", "10010", "-c", "1", "-W", "2", LabTopology.Www4Address);
        Assert.Contains("mtu = 1240", Told(() => lab["www4"].Run("ping", "-M", "do", "-e", "10010", "-s", "1432", "-c", "3", "-i", "0.3", "-W", "1", LabPlan.SharedAddress)));

        static string Told(Func<CommandResult> ping)
        {
            // The first finds the path out.
            string text = "";
            Wait.Until(() => (text = ping().Text).Contains("mtu =", StringComparison.Ordinal), TimeSpan.FromSeconds(20));
            return text;
        }
    });

    [Theory]
    [InlineData(1472)]
    [InlineData(8000)]
    [InlineData(40000)]
    public void A_datagram_that_may_be_fragmented_arrives_whole_both_ways_through_a_path_of_1280(int octets) => lab.Test(() =>
    {
        Widen("B", 1);
        lab.Path(1, 1280, 1280);
        byte[] message = new byte[octets];
        Random.Shared.NextBytes(message);
        using Echo echo = new(lab["www4"], LabTopology.Www4Address, fragmentation: IpFragmentation.Allow);
        using Socket client = lab["B"].Call(() => Echo.Open(IpFragmentation.Allow));
        byte[]? answer = Exchange(client, echo, message);
        Assert.True(answer is not null, "no answer came back");
        Assert.Equal(message, answer);
    });

    [Fact]
    public void A_game_that_forbids_fragments_and_ignores_the_answer_plays_where_the_operator_ignores_that() => lab.Test(() =>
    {
        Widen("A", 2);
        lab.Path(2, 1280, 1280);
        byte[] message = new byte[1472];
        Random.Shared.NextBytes(message);
        using Echo echo = new(lab["www4"], LabTopology.Www4Address, IpFragmentation.ForbidAndIgnoreErrors);
        using Socket client = lab["A"].Call(() => Echo.Open(IpFragmentation.ForbidAndIgnoreErrors));

        // As it is, such a game stalls, like Call of Duty in 2010.
        Assert.Null(Exchange(client, echo, message, tries: 3));

        string[] daemons = ["prr", "smap2"];
        foreach (string daemon in daemons) lab.Change(daemon, text => "ignore-df = true\n" + text);
        try
        {
            Assert.Equal(message, Exchange(client, echo, message));
        }
        finally
        {
            foreach (string daemon in daemons) lab.Change(daemon, text => text.Replace("ignore-df = true\n", "", StringComparison.Ordinal));
        }
    });

    [Fact]
    public void The_segment_size_of_tcp_is_what_the_narrow_path_carries() => lab.Test(() =>
    {
        Widen("B", 1);
        lab.Path(1, 1280, 1280);

        // The path is known after the first large packets; then no connection sends a segment that does not fit.
        lab["B"].Do("curl", "-sS", "--fail", "--max-time", "30", "-o", "/dev/null", $"http://{LabTopology.Www4Address}/film.mp4");
        IReadOnlyDictionary<string, long> moved = lab.Moved("prr", () =>
            lab["B"].Do("curl", "-sS", "--fail", "--max-time", "30", "-o", "/dev/null", $"http://{LabTopology.Www4Address}/film.mp4"));
        Assert.Equal(0, moved.GetValueOrDefault("from-internet-drop-too-big"));
        Assert.True(moved["from-internet-forwarded"] > 4_000_000 / 1200);
    });

    static byte[]? Exchange(Socket client, Echo echo, byte[] message, int tries = 8)
    {
        byte[] answer = new byte[65536];
        client.ReceiveTimeout = 700;
        for (int i = 0; i < tries; i++)
        {
            try
            {
                client.SendTo(message, echo.Address);
                int length = client.Receive(answer);
                return answer[..length];
            }
            catch (SocketException error) when (error.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock or SocketError.MessageSize)
            {
                // The path is being found out.
            }
        }

        return null;
    }
}

public sealed class PathMtuByTheKernelTests(PathMtuLab lab) : PathMtuTests(lab), IClassFixture<PathMtuLab>
{
    readonly PathMtuLab _lab = lab;

    [Fact]
    public void Large_packets_go_by_the_kernel_as_the_path_allows_before_and_after_it_becomes_narrow() => _lab.Test(() =>
    {
        Widen("B", 1);
        Task<string> transfer = Task.Run(() => _lab["B"].Do("iperf3", "-c", LabTopology.Www4Address, "-t", "12", "-R", "-b", "20M", "--json"));
        AssertTheKernelForwards();
        _lab.Path(1, 1400, PathMtuLab.Configured);
        Assert.True(Wait.Until(() => _lab.PathMtu("prr", _lab.Lab.Plan.Room(1).Softwire) == 1400, TimeSpan.FromSeconds(20)));
        AssertTheKernelForwards();
        using JsonDocument report = JsonDocument.Parse(transfer.Result);
        Assert.True(report.RootElement.GetProperty("intervals").EnumerateArray().Last().GetProperty("sum").GetProperty("bytes").GetDouble() > 0);
    });

    /// <summary>More than nine of ten in some half second soon.</summary>
    void AssertTheKernelForwards()
    {
        IReadOnlyDictionary<string, long> moved = new Dictionary<string, long>();
        Assert.True(Wait.Until(() =>
        {
            moved = _lab.Moved("prr", () => Thread.Sleep(500));
            long all = moved.GetValueOrDefault("from-internet-forwarded"), octets = moved.GetValueOrDefault("from-internet-received-bytes");
            return all > 100 && octets > 1200 * all && moved.GetValueOrDefault("fast-path-from-internet-forwarded") > all * 9 / 10;
        }, TimeSpan.FromSeconds(20)), string.Join(", ", moved));
    }
}

public sealed class PathMtuWithoutFastPathLab() : PathMtuLab("off");

public sealed class PathMtuWithoutFastPathTests(PathMtuWithoutFastPathLab lab) : PathMtuTests(lab), IClassFixture<PathMtuWithoutFastPathLab>;

/// <summary>What a UDP socket wants of fragments: values of IP_MTU_DISCOVER, ip(7).</summary>
enum IpFragmentation
{
    Allow = 0,
    ForbidAndIgnoreErrors = 3,
}

/// <summary>A server that sends every datagram back.</summary>
sealed class Echo : IDisposable
{
    readonly Socket _socket;
    readonly Thread _thread;

    public Echo(NetworkNamespace at, string address, IpFragmentation fragmentation)
    {
        _socket = at.Call(() => Open(fragmentation));
        _socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
        Address = (IPEndPoint)_socket.LocalEndPoint!;
        _thread = new Thread(Run) { IsBackground = true };
        _thread.Start();
    }

    public IPEndPoint Address { get; }

    public static Socket Open(IpFragmentation fragmentation)
    {
        const int ipProtoIp = 0, ipMtuDiscover = 10;
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.SetRawSocketOption(ipProtoIp, ipMtuDiscover, BitConverter.GetBytes((int)fragmentation));
        return socket;
    }

    void Run()
    {
        byte[] buffer = new byte[65536];
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        try
        {
            while (true)
            {
                try
                {
                    int length = _socket.ReceiveFrom(buffer, ref from);
                    _socket.SendTo(buffer.AsSpan(0, length), from);
                }
                catch (SocketException error) when (error.SocketErrorCode is SocketError.MessageSize or SocketError.HostUnreachable or SocketError.ConnectionRefused)
                {
                    // ICMP errors are told to the socket; this one goes on.
                }
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The end.
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        _thread.Join();
    }
}
