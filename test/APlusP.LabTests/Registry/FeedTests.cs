using System.Diagnostics;
using System.Text;
using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;
using APlusP.Node.Control;
using APlusP.Registry.Storage;
using APlusP.Tests.Registry;

namespace APlusP.LabTests.Registry;

/// <summary>The feed on PostgreSQL.</summary>
public sealed class PostgresFeedTests(PostgresServer server) : FeedSuite, IClassFixture<PostgresServer>
{
    protected override RegistryDatabase NewDatabase() => new PostgresDatabase(server.NewDatabase());
}

/// <summary>From a registry to the PRRs that follow it, with SQLite or PostgreSQL behind it, packets included.</summary>
public sealed class FeedTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    FeedLab Lab(string database) => new(database == "sqlite" ? null : server.NewDatabase());

    /// <summary>With PostgreSQL the second PRR follows another registry than the one that gives the leases out.</summary>
    [Theory]
    [InlineData("sqlite")]
    [InlineData("postgres")]
    public async Task A_new_lease_is_in_force_at_every_prr_within_a_second(string database)
    {
        const int count = 1000;
        using FeedLab lab = Lab(database);
        lab.StartRegistry();
        int second = database == "sqlite" ? 0 : 1;
        if (second > 0) lab.StartRegistry(second);
        lab.StartFirst();
        lab.StartSecond(second);
        string[] sockets = [lab.Host.ControlSocket, lab.SecondSocket];
        foreach (string socket in sockets) FeedLab.WaitFor(socket, s => s.State == "connected", "connected");
        BindingClient[] clients = [.. sockets.Select(s => new BindingClient(s))];
        double[][] times = [new double[count], new double[count]];
        for (int i = 0; i < count; i++)
        {
            long start = Stopwatch.GetTimestamp();
            string softwire = (await lab.Grant(i)).GetProperty("softwire").GetString()!;
            for (int prr = 0; prr < clients.Length; prr++)
            {
                byte[] question = Encoding.UTF8.GetBytes($"{{\"op\":\"show\",\"softwire\":\"{softwire}\"}}\n");
                do
                {
                    clients[prr].Send(question);
                    Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60), $"lease {i} is not at PRR {prr} after a minute");
                }
                while (!clients[prr].ReadLine().Contains("\"shown\"", StringComparison.Ordinal));
                times[prr][i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        }

        foreach (BindingClient client in clients) client.Dispose();
        for (int prr = 0; prr < times.Length; prr++)
        {
            Array.Sort(times[prr]);
            TestContext.Current.TestOutputHelper?.WriteLine($"{database}, PRR {prr + 1}: from the request to the binding in force, of {count} leases: median {times[prr][count / 2]:F1} ms, 99 of 100 {times[prr][count * 99 / 100]:F1} ms, worst {times[prr][^1]:F1} ms");
            Assert.True(times[prr][count / 2] < 1000, $"median {times[prr][count / 2]:F0} ms");
        }

        string[] leases = lab.Leases();
        Assert.Equal(count, leases.Length);
        foreach (string socket in sockets) Assert.Equal(leases, FeedLab.BindingsOf(socket));
        Assert.Equal("2001:db8:9::1", lab.Host.FromInternet(port: 10001));
        Assert.Equal($"{DaemonHost.Shared}:10100", lab.Host.FromSubscriber("2001:db8:9::1", port: 10100));
        Assert.Null(lab.Host.FromInternet(port: 10128, seconds: 2));
    }

    [Theory]
    [InlineData("sqlite", "fast-path = \"off\"")]
    [InlineData("sqlite", "fast-path = \"tc\"")]
    [InlineData("postgres", "fast-path = \"tc\"")]
    public async Task A_registry_that_is_killed_and_comes_back_costs_no_packet_and_no_change(string database, string fastPath)
    {
        const int packets = 8000;
        using FeedLab lab = Lab(database);
        LabProcess registry = lab.StartRegistry();
        await lab.Grant(0);
        lab.StartFirst(fastPath);
        lab.StartSecond();
        string[] sockets = [lab.Host.ControlSocket, lab.SecondSocket];
        foreach (string socket in sockets) FeedLab.WaitFor(socket, s => s is { State: "connected", Leases: 1 }, "the first lease");
        Dictionary<string, long> before = FeedLab.CountersOf(sockets[0]);
        using var datagrams = new NumberedDatagrams(lab.Host, packets, perSecond: 1000);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        int done = 0;
        Task churn = Task.Run(() => Churn(lab, () => done++, stop.Token), Cancel);
        for (int round = 0; round < 2; round++)
        {
            int enough = done + 30;
            Assert.True(Wait.Until(() => done > enough, TimeSpan.FromSeconds(60)), "no changes");
            registry.Signal(Signals.Kill);
            Assert.True(registry.WaitForExit(TimeSpan.FromSeconds(10)));
            foreach (string socket in sockets) FeedLab.WaitFor(socket, s => s.State == "away", "away");
            Assert.NotNull(FeedLab.StatusOf(sockets[0]).Fault);
            registry = lab.StartRegistry();
        }

        int last = done + 30;
        Assert.True(Wait.Until(() => done > last, TimeSpan.FromSeconds(60)), "no changes");
        await stop.CancelAsync();
        await churn;
        Assert.Equal(packets, datagrams.Received());
        string[] leases = lab.Leases();
        foreach (string socket in sockets)
        {
            Assert.True(Wait.Until(() => FeedLab.BindingsOf(socket).SequenceEqual(leases), TimeSpan.FromSeconds(60)), $"{socket} has {FeedLab.BindingsOf(socket).Length} bindings, and there are {leases.Length} leases");

            // Both times it went on where it was.
            Assert.Equal(1, FeedLab.CountersOf(socket)["registry-snapshots"]);
        }

        Dictionary<string, long> after = FeedLab.CountersOf(sockets[0]);
        Assert.Equal(packets, after["from-internet-forwarded"] - before["from-internet-forwarded"]);
        TestContext.Current.TestOutputHelper?.WriteLine($"{done} changes, {packets} datagrams, registry-versions {after["registry-versions"]}, registry-cuts {after["registry-cuts"]}");
    }

    /// <summary>Leases that come and go, whether or not the registry is there.</summary>
    static async Task Churn(FeedLab lab, Action done, CancellationToken stop)
    {
        var held = new Queue<JsonElement>();
        for (int i = 1; !stop.IsCancellationRequested; i++)
        {
            try
            {
                held.Enqueue(await lab.Grant(i));
                if (held.Count > 20) await lab.Release(held.Dequeue());
                done();
            }
            catch (HttpRequestException)
            {
                await Task.Delay(50, CancellationToken.None);
            }
        }
    }

    [Fact]
    public async Task A_prr_that_starts_again_forwards_at_once_without_the_registry()
    {
        using FeedLab lab = Lab("sqlite");
        LabProcess registry = lab.StartRegistry();
        await lab.Grant(0);
        LabProcess prr = lab.StartFirst();
        FeedLab.WaitFor(lab.Host.ControlSocket, s => s is { State: "connected", Leases: 1 }, "the lease");
        string version = FeedLab.StatusOf(lab.Host.ControlSocket).Version!;
        Assert.True(registry.Stop(TimeSpan.FromSeconds(30)), "the registry ends although PRRs follow it");
        prr.Signal(Signals.Interrupt);
        Assert.True(prr.WaitForExit(TimeSpan.FromSeconds(20)));

        lab.StartFirst();
        Assert.Equal("2001:db8:9::1", lab.Host.FromInternet(port: 10001));
        RegistryStatus status = FeedLab.StatusOf(lab.Host.ControlSocket);
        Assert.Equal(("away", 1, version), (status.State, status.Leases, status.Version));
        Assert.Contains("away since", lab.Host.Ask("status").Output, StringComparison.Ordinal);
        Assert.Contains("from the copy on the disk", lab.Host.Ask("status").Output, StringComparison.Ordinal);

        lab.StartRegistry();
        await lab.Grant(1);
        FeedLab.WaitFor(lab.Host.ControlSocket, s => s is { State: "connected", Leases: 2 }, "both leases");
        Assert.Equal(0, FeedLab.CountersOf(lab.Host.ControlSocket)["registry-snapshots"]);

        // A reload knows that they are not the file's, and leaves them.
        Assert.Contains("bindings +0 -0 ~0, 2 in all", lab.Host.Ask("reload").Output, StringComparison.Ordinal);
        Assert.Equal("2001:db8:9::1", lab.Host.FromInternet(port: 10001));
    }

    [Theory]
    [InlineData("fast-path = \"off\"")]
    [InlineData("fast-path = \"tc\"")]
    public async Task A_database_restored_from_an_older_copy_is_noticed_and_unchanged_subscribers_lose_no_packet(string fastPath)
    {
        const int packets = 5000;
        using FeedLab lab = Lab("sqlite");
        LabProcess registry = lab.StartRegistry();
        for (int i = 0; i < 10; i++) await lab.Grant(i);

        // The copy knows the PRR.
        lab.RouterToken();
        Assert.True(registry.Stop(TimeSpan.FromSeconds(30)));
        string live = Path.Combine(lab.Data(), "registry.db"), backup = live + ".backup";
        Assert.False(File.Exists(live + "-wal"), "a registry that ended by itself leaves everything in one file");
        File.Copy(live, backup);
        registry = lab.StartRegistry();
        lab.StartFirst(fastPath);
        for (int i = 10; i < 30; i++) await lab.Grant(i);
        string socket = lab.Host.ControlSocket;
        FeedLab.WaitFor(socket, s => s is { State: "connected", Leases: 30 }, "30 leases");

        Dictionary<string, long> before = FeedLab.CountersOf(socket);
        using var datagrams = new NumberedDatagrams(lab.Host, packets, perSecond: 1000);
        registry.Signal(Signals.Kill);
        Assert.True(registry.WaitForExit(TimeSpan.FromSeconds(10)));
        foreach (string left in (string[])["-wal", "-shm"]) File.Delete(live + left);
        File.Copy(backup, live, overwrite: true);
        lab.StartRegistry();
        for (int i = 40; i < 65; i++) await lab.Grant(i);
        FeedLab.WaitFor(socket, s => s is { State: "connected", Leases: 35 }, "35 leases");
        Assert.Equal(lab.Leases(), FeedLab.BindingsOf(socket));
        Assert.Equal(packets, datagrams.Received());
        Dictionary<string, long> after = FeedLab.CountersOf(socket);
        Assert.Equal((packets, 1L), (after["from-internet-forwarded"] - before["from-internet-forwarded"], after["registry-snapshots"] - before["registry-snapshots"]));
        Assert.Contains("restored from an older copy", File.ReadAllText(lab.Host.LogPath), StringComparison.Ordinal);
    }

    /// <summary>
    /// APLUSP_LEASES says how many, and APLUSP_REGISTRY_DATA where a registry is that `aplusp registry bench` has filled with them; docs/performance.md has a million. What is timed is a PRR from its
    /// start to all leases in force, and what it says of it itself.
    /// </summary>
    [Theory]
    [InlineData("fast-path = \"off\"")]
    [InlineData("fast-path = \"tc\"")]
    public void All_leases_come_to_a_prr_that_has_none(string fastPath)
    {
        int leases = Environment.GetEnvironmentVariable("APLUSP_LEASES") is { Length: > 0 } given ? int.Parse(given, System.Globalization.CultureInfo.InvariantCulture) : 19_200;
        string? filled = Environment.GetEnvironmentVariable("APLUSP_REGISTRY_DATA") is { Length: > 0 } there ? there : null;
        using var lab = new FeedLab(database: null, filled);
        Directory.CreateDirectory(lab.Data());
        if (filled is null) Commands.Require([LabFixture.Executable, "registry", "bench", "--data", lab.Data(), "--leases", $"{leases}", "--requests", "10"], timeout: TimeSpan.FromMinutes(9));
        lab.StartRegistry(pools: "[[pool]]\nprefix = \"10.0.0.0/19\"\nblock = 252\n");
        long start = Stopwatch.GetTimestamp();
        LabProcess prr = lab.StartFirst(fastPath);
        double ready = Stopwatch.GetElapsedTime(start).TotalSeconds;
        FeedLab.WaitFor(lab.Host.ControlSocket, s => s.State == "connected" && s.Leases >= leases, "all leases");
        double inForce = Stopwatch.GetElapsedTime(start).TotalSeconds;
        StatusDocument status = ControlClient.Ask(lab.Host.ControlSocket, "status").Status!;
        Assert.Equal((status.Prr!.Registry!.Leases, 0), (status.Prr.Bindings, status.Prr.Registry.Refused));
        if (fastPath.Contains("tc", StringComparison.Ordinal))
            Assert.True(Wait.Until(() => ControlClient.Ask(lab.Host.ControlSocket, "status").Status!.FastPath is { LeftOut: 0 } fast && fast.Bindings >= leases, TimeSpan.FromSeconds(90)), "the fast path has not all of them");
        double all = Stopwatch.GetElapsedTime(start).TotalSeconds;
        string peak = File.ReadLines($"/proc/{prr.Id}/status").Single(l => l.StartsWith("VmHWM", StringComparison.Ordinal));
        string says = File.ReadLines(lab.Host.LogPath).Last(l => l.Contains("follows the registry", StringComparison.Ordinal));
        TestContext.Current.TestOutputHelper?.WriteLine($"{status.Prr.Bindings} leases, {fastPath}: ready after {ready:F2} s, all in force after {inForce:F2} s, in the fast path too after {all:F2} s; {peak}; {says}");

        // Again, from the copy on the disk.
        prr.Signal(Signals.Interrupt);
        Assert.True(prr.WaitForExit(TimeSpan.FromSeconds(60)));
        start = Stopwatch.GetTimestamp();
        lab.StartFirst(fastPath);
        Assert.Equal(status.Prr.Bindings, ControlClient.Ask(lab.Host.ControlSocket, "status").Status!.Prr!.Bindings);
        TestContext.Current.TestOutputHelper?.WriteLine($"from the copy: ready with all after {Stopwatch.GetElapsedTime(start).TotalSeconds:F2} s");
    }
}
