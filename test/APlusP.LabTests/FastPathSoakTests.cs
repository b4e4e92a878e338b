using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>
/// TCP, UDP and ping between the Internet and a subscriber who is Linux itself, while the PRR is killed, stopped, started and reloaded all the time: nothing is lost. APLUSP_SOAK_SECONDS sets how long; 10 by default.
/// </summary>
[Collection(Alone.Name)]
public sealed class FastPathSoakTests : IDisposable
{
    const int LeastRounds = 6;

    static readonly TimeSpan s_time = TimeSpan.FromSeconds(int.TryParse(Environment.GetEnvironmentVariable("APLUSP_SOAK_SECONDS"), out int seconds) ? seconds : 10);

    readonly DaemonHost _host = new();
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-soak-").FullName;
    LabProcess? _daemon;

    [Theory]
    [InlineData("tc")]
    [InlineData("xdp")]
    public async Task Kills_restarts_and_reloads_lose_no_packet_of_bound_traffic(string hook)
    {
        // Checksums are made before XDP sees the frames, which go to a device only where its other end takes them as such.
        _host.MakeSubscriberLinux();
        if (hook == "xdp")
            foreach (NetworkNamespace end in (NetworkNamespace[])[_host.Subscriber, _host.Internet]) end.Shell("ethtool -K eth0 tx off gro on");
        Configure(hook, 0);
        _daemon = _host.StartFast();
        Assert.True(Wait.Until(() => _host.Subscriber.Run("ping", "-e", "10003", "-c", "1", "-W", "1", DaemonHost.Server).Succeeded, TimeSpan.FromSeconds(10)));

        string traffic = Path.Combine(AppContext.BaseDirectory, "traffic.py"), stop = Path.Combine(_directory, "stop");
        LabProcess echo = _host.Subscriber.Start("echo", Path.Combine(_directory, "echo.log"), "python3", traffic, "echo", DaemonHost.Shared);
        echo.WaitUntil(() => echo.ReadLog().Contains("ready", StringComparison.Ordinal), TimeSpan.FromSeconds(20), "listen");
        LabProcess drive = _host.Internet.Start("drive", Path.Combine(_directory, "drive.log"), "python3", traffic, "drive", DaemonHost.Shared, stop);
        drive.WaitUntil(() => drive.ReadLog().Contains("connected", StringComparison.Ordinal), TimeSpan.FromSeconds(30), "connect");

        // Every 10 ms; as many as there is time for, and then some answers may be on their way.
        LabProcess ping = _host.Subscriber.Start("ping", Path.Combine(_directory, "ping.log"), "ping", "-e", "10003", "-i", "0.01", "-q", "-W", "5", DaemonHost.Server);
        long start = Stopwatch.GetTimestamp();
        int rounds = 0;
        for (; rounds < LeastRounds || Stopwatch.GetElapsedTime(start) < s_time; rounds++)
        {
            Configure(hook, rounds);
            switch (rounds % 3)
            {
                case 0: Restart(Signals.Kill); break;
                case 1: Restart(Signals.Terminate); break;
                default:
                    CommandResult reload = _host.Ask("reload");
                    Assert.True(reload.Succeeded, reload.Text);
                    break;
            }
        }

        // Whoever pings last waits for the answer, the daemons being what they are.
        await Task.Delay(200, TestContext.Current.CancellationToken);
        ping.Signal(Signals.Interrupt);
        await File.WriteAllTextAsync(stop, "", TestContext.Current.CancellationToken);
        Assert.True(drive.WaitForExit(TimeSpan.FromSeconds(40)) && ping.WaitForExit(TimeSpan.FromSeconds(20)));
        using JsonDocument result = JsonDocument.Parse(drive.ReadLog().Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1]);
        JsonElement sums = result.RootElement;
        string said = $"{rounds} rounds: {sums}, {ping.ReadLog()}";
        TestContext.Current.TestOutputHelper!.WriteLine(said);
        Assert.True(sums.GetProperty("udpSent").GetInt32() == sums.GetProperty("udpReceived").GetInt32(), said);
        Assert.True(sums.GetProperty("tcpFault").ValueKind == JsonValueKind.Null && sums.GetProperty("tcpBytes").GetInt64() > 0, said);
        Match pinged = Regex.Match(ping.ReadLog(), @"(\d+) packets transmitted, (\d+) received");
        Assert.True(pinged.Success, said);

        // The last may be on its way.
        Assert.InRange(int.Parse(pinged.Groups[1].Value, CultureInfo.InvariantCulture) - int.Parse(pinged.Groups[2].Value, CultureInfo.InvariantCulture), 0, 1);

        // By the kernel, mostly: only what stands while the daemon is away does.
        Dictionary<string, long> counters = JsonSerializer.Deserialize<Dictionary<string, long>>(_host.Ask("counters", "--json").Output)!;
        Assert.True(counters["fast-path-from-internet-forwarded"] >= sums.GetProperty("udpSent").GetInt32(), said);
    }

    /// <summary>The subscriber as ever; others come, go and move.</summary>
    void Configure(string hook, int round) => _host.Configure($"fast-path = \"{hook}\"", string.Concat(Enumerable.Range(0, 20).Where(i => (i + round) % 3 != 0)
        .Select(i => DaemonHost.Binding($"{20000 + i * 100 + round % 50}-{20099 + i * 100}", $"2001:db8:7::{i + 1:x}"))));

    void Restart(int signal)
    {
        _daemon!.Signal(signal);
        Assert.True(_daemon.WaitForExit(TimeSpan.FromSeconds(10)));
        _daemon = _host.StartFast();
    }

    public void Dispose()
    {
        _daemon?.Stop();
        Commands.Run("nsenter", $"--net=/run/netns/{_host.Prr.Name}", LabFixture.Executable, "prr", "detach", "--config", _host.ConfigurationPath);
        _host.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
