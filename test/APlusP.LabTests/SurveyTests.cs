using System.Net;
using System.Net.Sockets;
using APlusP.Core.Addresses;
using APlusP.Lab;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Live;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.LabTests;

/// <summary>
/// The survey of real connections, which real sockets make in a namespace whose kernel tracks them. The generator works while a sample is told, so it is known at each
/// sample what there must be, however slow the machine is.
/// </summary>
/// <remarks>
/// <code>
/// 192.168.2.9 (the host) --- lo --- 203.0.113.7 (the Internet), conntrack on
/// </code>
/// </remarks>
public sealed class SurveyTests : IDisposable
{
    const string Host = "192.168.2.9", Remote = "203.0.113.7";

    static readonly IPEndPoint s_web = new(IPAddress.Parse(Remote), 80), s_resolver = new(IPAddress.Parse(Remote), 53);

    readonly NetworkNamespace _namespace = NetworkNamespace.Create($"ap-survey-{LabFixture.NewMark()}");
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;
    readonly List<Socket> _sockets = [];
    readonly Socket _server;

    public SurveyTests()
    {
        Programs.Require("nft", "conntrack");
        _namespace.Ip("link set lo up", $"addr add {Host}/32 dev lo", $"addr add {Remote}/32 dev lo");
        _namespace.Require("nft", "add table inet t; add chain inet t o { type filter hook output priority 0; ct state new counter; }");
        _server = _namespace.Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        _server.Bind(s_web);
        _server.Listen(1000);
    }

    public void Dispose()
    {
        foreach (Socket socket in _sockets.Append(_server)) socket.Dispose();
        NetworkNamespace.Delete(_namespace);
        Directory.Delete(_directory, recursive: true);
    }

    string StorePath => Path.Combine(_directory, "survey.db");

    /// <summary>Asks for a name from a port of its own.</summary>
    void Resolve()
    {
        Socket socket = Open(SocketType.Dgram, ProtocolType.Udp);
        socket.SendTo([0], s_resolver);
    }

    /// <summary>Fetches from a port of its own, and stays connected.</summary>
    void Browse() => Open(SocketType.Stream, ProtocolType.Tcp).Connect(s_web);

    Socket Open(SocketType type, ProtocolType protocol)
    {
        Socket socket = _namespace.Call(() => new Socket(AddressFamily.InterNetwork, type, protocol));
        socket.Bind(new IPEndPoint(IPAddress.Parse(Host), 0));
        _sockets.Add(socket);
        return socket;
    }

    void Times(int count, Action action)
    {
        for (int i = 0; i < count; i++) action();
    }

    /// <summary>Takes so many samples, and lets the generator work after each; gives the host's counts at each, or null where it had none.</summary>
    List<HostCounts?> Collect(int samples, Action<int> afterSample)
    {
        var seen = new List<HostCounts?>();
        using var stop = new CancellationTokenSource();
        using IConnectionSource source = _namespace.Call(() => new NetlinkSource());
        using SurveyStore store = SurveyStore.OpenToAdd(StorePath, ApplicationRules.Standard, byAddress: true);
        var collector = new Collector(store, source, ApplicationRules.Standard, InsideNetworks.Of(["192.168.2.0/24"]), new CollectorSettings(TimeSpan.FromSeconds(0.2), null), TimeProvider.System);
        collector.Run(
            sample =>
            {
                seen.Add(sample.Counts.Hosts.Where(h => h.Address.ToString() == Host).Select(h => h.Counts).SingleOrDefault());
                afterSample(seen.Count);
                if (seen.Count == samples) stop.Cancel();
            },
            stop.Token);
        return seen;
    }

    [Fact]
    public void Counts_are_those_of_the_generator_at_each_sample()
    {
        List<HostCounts?> seen = Collect(6, sample =>
        {
            Times(7, Resolve);
            Times(3, Browse);
            Assert.Equal(sample * 10, _sockets.Count);
        });
        Assert.Null(seen[0]);
        for (int i = 1; i < 6; i++)
        {
            HostCounts counts = seen[i]!;
            int dns = ApplicationRules.Standard.Names.ToList().IndexOf("dns"), http = ApplicationRules.Standard.Names.ToList().IndexOf("http");
            Assert.Equal((10 * i, 7 * i, 7 * i, 3 * i, 10 * i), (counts.Ports, counts.MinimumPorts, counts.ByApplication[dns], counts.ByApplication[http], counts.PeakPorts));
        }

        using SurveyStore store = SurveyStore.Open(StorePath);
        SurveyStatistics statistics = SurveyStatistics.Of(store, new SurveyPart());
        Assert.Equal((6, 1, 30.0, 50), (statistics.Samples, statistics.Hosts, statistics.Ports.Mean, statistics.Ports.Max));
    }

    [Fact]
    public void A_burst_between_two_samples_is_seen_though_nothing_of_it_is_left()
    {
        List<HostCounts?> seen = Collect(3, sample =>
        {
            if (sample != 1) return;
            Times(40, Resolve);
            _namespace.Require("conntrack", "-F");
        });
        Assert.Null(seen[0]);
        Assert.Equal((0, 40), (seen[1]!.Ports, seen[1]!.PeakPorts));
        Assert.Null(seen[2]);
    }

    [Fact]
    public void Netlink_proc_and_the_conntrack_program_tell_the_same()
    {
        Times(25, Resolve);
        Times(5, Browse);
        string Survey(string store, params string[] more) => _namespace.Require([LabFixture.Executable, "survey", "--store", Path.Combine(_directory, store), "--addresses", "--duration", "0.1", "--every", "1", .. more]);
        Survey("netlink.db");
        Survey("proc.db", "--source", "proc");
        foreach ((string name, string[] command) in new[] { ("list", new[] { "conntrack", "-L" }), ("extended", ["conntrack", "-L", "-o", "extended"]), ("table", ["cat", "/proc/net/nf_conntrack"]) })
        {
            string file = Path.Combine(_directory, name);
            File.WriteAllText(file, _namespace.Require(command));
            Commands.Require(LabFixture.Executable, "survey", "import", "--store", $"{file}.db", "--addresses", file);
        }

        string[] figures = [.. new[] { "netlink", "proc", "list", "extended", "table" }.Select(name => Commands.Require(LabFixture.Executable, "survey", "stats", "--store", Path.Combine(_directory, $"{name}.db"), "--host", Host, "--json"))];
        Assert.Contains("\"ports\":{\"mean\":30,\"max\":30,", figures[0], StringComparison.Ordinal);
        Assert.Contains("\"minimumPorts\":{\"mean\":25,", figures[0], StringComparison.Ordinal);
        Assert.All(figures, figure => Assert.Equal(figures[0], figure));
    }

    [Fact]
    public void Without_the_right_the_survey_says_what_it_takes()
    {
        CommandResult refused = _namespace.Run("setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", LabFixture.Executable, "survey", "--store", "/dev/null/s.db", "--duration", "1");
        Assert.Equal(1, refused.ExitCode);
        Assert.StartsWith("aplusp: AP7008: ", refused.Error, StringComparison.Ordinal);
        Assert.Contains("CAP_NET_ADMIN", refused.Error, StringComparison.Ordinal);
    }
}
