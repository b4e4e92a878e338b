using System.Diagnostics;
using System.Net;
using System.Text.Json;
using APlusP.Lab;
using APlusP.LabTests.Registry;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>
/// Homes that fetch pages all the time, while registry, PRR, SMAPs and PostgreSQL are killed at random moments: no lease is lost, no port is two homes', and without registry and database packets go on.
/// APLUSP_SOAK_SECONDS sets how long; 15 by default.
/// </summary>
[Collection(Alone.Name)]
public sealed class ZeroTouchSoakTests(PostgresServer database) : IClassFixture<PostgresServer>
{
    const int Homes = 3;

    static readonly TimeSpan s_time = TimeSpan.FromSeconds(int.TryParse(Environment.GetEnvironmentVariable("APLUSP_SOAK_SECONDS"), out int seconds) ? seconds : 15);

    /// <summary>A page that a home asked for: when, until when, and who it was to the server; null where nothing came.</summary>
    sealed record Fetch(int Home, long From, long Until, IPEndPoint? Seen);

    /// <summary>Time in which packets of a home may be lost; of all homes where it is null.</summary>
    sealed record Outage(int? Home, long From, long Until);

    readonly List<Fetch> _fetches = [];
    readonly List<Outage> _outages = [];
    readonly Dictionary<string, int> _kills = [];

    [Fact]
    public async Task Kills_of_everything_at_random_moments_lose_no_lease_and_give_none_twice_and_without_the_registry_packets_go_on()
    {
        using var lab = new ZeroTouchLab(LabFixture.NameHere("kill"), LabFixture.Executable, Homes, LabFixture.FastPathLine);
        string postgres = $"database = \"{database.NewDatabase()}\"";
        lab.Advertise();
        LabProcess registry = lab.StartRegistry(postgres), prr = lab.StartPrr();
        LabProcess[] smaps = [.. Enumerable.Range(0, Homes).Select(lab.StartSmap)];
        for (int home = 0; home < Homes; home++) Reach(lab, home);
        JsonElement[] before = [.. Enumerable.Range(0, Homes).Select(lab.LeaseOf)];
        LabProcess capture = lab.CaptureSoftwires();

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Task[] traffic = [.. Enumerable.Range(0, Homes).Select(home => Task.Run(() => Browse(lab, home, stop.Token)))];
        int seed = Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        long start = Stopwatch.GetTimestamp();
        while (_kills.Count < 4 || Stopwatch.GetElapsedTime(start) < s_time)
        {
            // Each comes once, in whatever order; then chance goes on.
            string[] all = ["registry", "prr", "smap", "postgresql"], left = [.. all.Except(_kills.Keys)];
            string victim = left.Length > 0 ? left[random.Next(left.Length)] : all[random.Next(all.Length)];
            _kills[victim] = _kills.GetValueOrDefault(victim) + 1;
            TimeSpan away = TimeSpan.FromMilliseconds(random.Next(2000));
            switch (victim)
            {
                case "registry":
                    Kill(registry, away);
                    registry = lab.StartRegistry(postgres);
                    break;
                case "postgresql":
                    database.Kill();
                    Thread.Sleep(away);
                    database.StartAgain();
                    break;
                case "prr":
                    During(null, () =>
                    {
                        Kill(prr, away);
                        prr = lab.StartPrr();
                        Reach(lab, 0);
                    });
                    break;
                default:
                    int home = random.Next(Homes);
                    During(home, () =>
                    {
                        Kill(smaps[home], away);
                        smaps[home] = lab.StartSmap(home);
                        Reach(lab, home);
                    });
                    break;
            }
        }

        await stop.CancelAsync();
        await Task.WhenAll(traffic);
        for (int home = 0; home < Homes; home++) lab.Await(home, "online");
        capture.Signal(Signals.Interrupt);
        Assert.True(capture.WaitForExit(TimeSpan.FromSeconds(20)));

        // The same leases, which have grown under the load.
        JsonElement[] after = [.. Enumerable.Range(0, Homes).Select(lab.LeaseOf)];
        for (int home = 0; home < Homes; home++)
            foreach (string part in (string[])["id", "subscriber", "softwire", "address"])
                Assert.Equal(before[home].GetProperty(part).GetString(), after[home].GetProperty(part).GetString());
        AssertPortsAreOfOneHomeEach(lab, after);

        Fetch[] lost = [.. _fetches.Where(f => f.Seen is null)], unexplained = [.. lost.Where(f => !_outages.Any(o => (o.Home is null || o.Home == f.Home) && f.From <= o.Until && o.From <= f.Until))];
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s, kills: {string.Join(", ", _kills.Select(k => $"{k.Value} of {k.Key}"))}; {_fetches.Count} pages, {lost.Length} of them lost while PRR or SMAP were away");
        Assert.Empty(unexplained);
        Assert.True(_fetches.Count - lost.Length > Homes);
    }

    static void Kill(LabProcess process, TimeSpan away)
    {
        process.Signal(Signals.Kill);
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(20)));
        Thread.Sleep(away);
    }

    void During(int? home, Action outage)
    {
        long from = Stopwatch.GetTimestamp();
        outage();
        lock (_outages) _outages.Add(new Outage(home, from, Stopwatch.GetTimestamp()));
    }

    static void Reach(ZeroTouchLab lab, int home) => lab.Await(home, () => lab.Seen(home) is not null, "reach the web server");

    void Browse(ZeroTouchLab lab, int home, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            long from = Stopwatch.GetTimestamp();
            IPEndPoint? seen = lab.Seen(home, seconds: 20);
            lock (_fetches) _fetches.Add(new Fetch(home, from, Stopwatch.GetTimestamp(), seen));

            // A port rests for four minutes after its connection (RFC 5382 REQ-5): more of them than this would be more than a home may have.
            stop.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(500));
        }
    }

    /// <summary>By what the server saw of each home, and by the packets in the softwires.</summary>
    void AssertPortsAreOfOneHomeEach(ZeroTouchLab lab, JsonElement[] leases)
    {
        string[] softwires = [.. leases.Select(l => l.GetProperty("softwire").GetString()!)];
        foreach (Fetch fetch in _fetches.Where(f => f.Seen is not null)) AssertIsOf(leases[fetch.Home], fetch.Seen!);
        (string Softwire, IPEndPoint Source)[] packets = lab.SoftwireSources();
        Assert.NotEmpty(packets);
        Assert.Equal(leases.Length, leases.Select(l => $"{l.GetProperty("address")} {l.GetProperty("ranges")}").Distinct().Count());
        foreach ((string softwire, IPEndPoint source) in packets) AssertIsOf(leases[Array.IndexOf(softwires, softwire)], source);

        static void AssertIsOf(JsonElement lease, IPEndPoint source)
        {
            Assert.Equal(lease.GetProperty("address").GetString(), $"{source.Address}");
            Assert.Contains(lease.GetProperty("ranges").EnumerateArray(), r => source.Port >= r[0].GetInt32() && source.Port <= r[1].GetInt32());
        }
    }
}
