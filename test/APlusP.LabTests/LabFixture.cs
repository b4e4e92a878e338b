using System.Security.Cryptography;
using System.Text;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>
/// A lab that the tests of one class share. Each test runs inside <see cref="Test"/>, which at its end asks every daemon for its
/// account, and which on failure leaves captures, counters and logs in artifacts/lab/TEST.
/// </summary>
public abstract class LabFixture : IDisposable
{
    static int s_marks;

    readonly string _captures = Path.Combine(Path.GetTempPath(), $"aplusp-captures-{Guid.NewGuid():N}");

    /// <param name="plan">The lab.</param>
    /// <param name="captures">Whether every interface is captured, for when a test fails; without them where they would be what is measured.</param>
    protected LabFixture(LabPlan plan, bool captures = true)
    {
        Programs.Require("curl", "dig", "ping", "traceroute", "iperf3", "ssh", "sshd", "tcpdump", "socat");
        plan = plan with { Name = NameHere(plan.Name), FastPath = plan.FastPath ?? FastPath };
        RunningLab.Down(plan.Name);
        Lab = RunningLab.Up(plan, Executable);
        try
        {
            if (captures) Lab.Capture(_captures, snapshot: 160, megabytes: 4);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>
    /// A lab's name with a mark of the folder that these tests lie in: two checkouts may test at once, and the next run of one finds
    /// what its last left behind.
    /// </summary>
    public static string NameHere(string name) =>
        name + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(AppContext.BaseDirectory)))[..6];

    /// <summary>A mark that is in no other name of these tests: several run at once.</summary>
    public static string NewMark() => $"{Environment.ProcessId}-{Interlocked.Increment(ref s_marks)}";

    /// <summary>The <c>aplusp</c> under test: APLUSP_EXECUTABLE, or the one that was built beside these tests.</summary>
    public static string Executable { get; } =
        Environment.GetEnvironmentVariable("APLUSP_EXECUTABLE") is { Length: > 0 } given ? Path.GetFullPath(given) : Path.Combine(AppContext.BaseDirectory, "aplusp");

    /// <summary>The <c>fast-path</c> of PRRs, and of a lab's SMAPs, whose test does not say: APLUSP_FAST_PATH, or null for the default.</summary>
    public static string? FastPath { get; } = Environment.GetEnvironmentVariable("APLUSP_FAST_PATH") is { Length: > 0 } given ? given : null;

    /// <summary>The same as a line of a configuration.</summary>
    public static string FastPathLine => FastPath is null ? "" : $"fast-path = \"{FastPath}\"";

    public RunningLab Lab { get; }

    /// <summary>The host of that name.</summary>
    public NetworkNamespace this[string host] => Lab.Host(host);

    readonly Dictionary<string, string> _configurations = [];

    /// <summary>Lets a daemon go on with its configuration as the lab wrote it, and these lines behind it.</summary>
    public void Configure(string daemon, string lines)
    {
        string path = Lab.ConfigurationPath(daemon);
        if (!_configurations.TryGetValue(daemon, out string? text)) _configurations[daemon] = text = File.ReadAllText(path);
        File.WriteAllText(path, $"{text}\n{lines}\n");
        Commands.Require(Executable, "reload", "--socket", Lab.ControlSocket(daemon));
    }

    /// <summary>Lets hosts send IPv4 packets as large as their link carries: they forget what DHCP told them of the softwire.</summary>
    public void ForgetMtu(params string[] hosts)
    {
        foreach (string host in hosts) this[host].Ip($"route replace default via {Lab.Plan.Rooms.First(room => room.Hosts.Any(h => h.Name == host)).LanAddress} dev eth0");
    }

    public void Dispose()
    {
        RunningLab.Down(Lab.Plan.Name);
        if (Directory.Exists(_captures)) Directory.Delete(_captures, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Runs a test, then holds every daemon to its account: received = forwarded + hairpinned + answered + consumed + dropped + held.</summary>
    public void Test(Action body)
    {
        try
        {
            body();
            foreach (string daemon in Lab.Daemons) Account.Await(daemon, () => Lab.Counters(daemon));
        }
        catch (Exception error)
        {
            string folder = Keep(FolderName(TestContext.Current.Test!.TestDisplayName));
            throw new InvalidOperationException($"{error.Message}\n\nCaptures, counters and logs are in {folder}.", error);
        }
    }

    /// <summary>The requests that a server has logged after so many; it may write the last a moment after who asked has them.</summary>
    public IReadOnlyList<AccessLogEntry> Logged(string server, int after, int expected)
    {
        AccessLogEntry[] log = [];
        Wait.Until(() => (log = [.. Lab.AccessLog(server).Skip(after)]).Length >= expected, TimeSpan.FromSeconds(10));
        return log;
    }

    /// <summary>Waits until a daemon forwards nothing: the last segments of what went before may be late.</summary>
    public void AwaitQuiet(string daemon)
    {
        long Forwarded() => Lab.Counters(daemon).Where(c => c.Key.EndsWith("-forwarded", StringComparison.Ordinal)).Sum(c => c.Value);
        Assert.True(Wait.Until(() => Forwarded() is var before && !Wait.Until(() => Forwarded() != before, TimeSpan.FromSeconds(0.3)), TimeSpan.FromSeconds(30)), $"{daemon} forwards all the time");
    }

    /// <summary>What counters moved while something was done.</summary>
    public IReadOnlyDictionary<string, long> Moved(string daemon, Action action)
    {
        IReadOnlyDictionary<string, long> before = Lab.Counters(daemon);
        action();
        return Lab.Counters(daemon).Where(c => c.Value != before.GetValueOrDefault(c.Key))
            .ToDictionary(c => c.Key, c => c.Value - before.GetValueOrDefault(c.Key));
    }

    string Keep(string test)
    {
        string folder = Path.Combine(RepositoryRoot(), "artifacts", "lab", test);
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);

        // The kernel hands packets to tcpdump by the block, at the latest after a second.
        Thread.Sleep(TimeSpan.FromSeconds(1.2));
        CopyAll(_captures, Path.Combine(folder, "captures"));
        CopyAll(Lab.Directory, folder);
        foreach (string daemon in Lab.Daemons)
        {
            string state;
            try
            {
                state = string.Join('\n', Lab.Counters(daemon).Select(c => $"{c.Key} {c.Value}"));
            }
            catch (APlusP.Core.APlusPException error)
            {
                state = error.Message;
            }

            File.WriteAllText(Path.Combine(folder, $"{daemon}.counters.txt"), state);
        }

        var network = new StringBuilder(LabDrawing.Draw(Lab.Plan, _ => ""));
        foreach (LabHost host in Lab.Topology.Hosts)
            network.AppendLine($"\n== {host.Name}").Append(Lab.Host(host.Name).Run("sh", "-c", "ip -br addr; ip route; ip -6 route; ip -s link; ss -tunap").Text);
        File.WriteAllText(Path.Combine(folder, "network.txt"), network.ToString());
        return folder;
    }

    // Class and method, and the arguments of a theory's case.
    static string FolderName(string test)
    {
        string name = string.Concat(test.Replace("APlusP.LabTests.", "", StringComparison.Ordinal).Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' ? c : '_'));
        return name.Length > 150 ? name[..150] : name;
    }

    static void CopyAll(string from, string to)
    {
        if (!Directory.Exists(from)) return;
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            if (Path.GetExtension(file) is ".mp4" or ".jpg") continue;
            string target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            try
            {
                File.Copy(file, target, overwrite: true);
            }
            catch (IOException)
            {
                // A socket.
            }
        }
    }

    static string RepositoryRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "aplusp.slnx"))) directory = Path.GetDirectoryName(directory);
        return directory ?? Directory.GetCurrentDirectory();
    }
}

/// <summary>Commands of tests, which must succeed or say what they said.</summary>
static class CommandAssertions
{
    /// <summary>Runs a program that must end well; gives its standard output without the last newline.</summary>
    public static string Do(this NetworkNamespace host, params string[] command)
    {
        CommandResult result = host.Run(command);
        Assert.True(result.Succeeded, $"in {host.Name}: `{string.Join(' ', command)}` ended with {result.ExitCode}:\n{result.Text}");
        return result.Output.TrimEnd('\n');
    }

    /// <summary>
    /// Waits until devices are up and have their link-local address: the kernel makes that a moment later, for sure once it is no longer tentative, and a snapshot before it is not as one after it.
    /// </summary>
    public static void AwaitLinks(this NetworkNamespace host, params string[] devices)
    {
        bool IsReady(string device) => host.Shell($"cat /sys/class/net/{device}/operstate").Trim() == "up"
            && host.Run("ip", "-6", "-o", "addr", "show", "dev", device, "scope", "link").Output is { Length: > 0 } address && !address.Contains("tentative", StringComparison.Ordinal);
        Assert.True(Wait.Until(() => devices.All(IsReady), TimeSpan.FromSeconds(20)), $"{string.Join(" and ", devices)} in {host.Name} do not come up");
    }

    /// <summary>Pings, and all are answered. It waits for the last one's answer for an interval alone, and takes what is later for lost: then they are sent again, at most twice.</summary>
    public static void Ping(this NetworkNamespace host, params string[] options)
    {
        CommandResult result = default;
        for (int tries = 0; tries < 3; tries++)
        {
            result = host.Run(["ping", .. options]);
            if (result.Output.Contains(" 0% packet loss", StringComparison.Ordinal)) return;
        }

        Assert.Fail($"in {host.Name}: `ping {string.Join(' ', options)}`:\n{result.Text}");
    }
}
