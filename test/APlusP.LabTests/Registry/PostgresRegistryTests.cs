using APlusP.Core;
using APlusP.Lab;
using APlusP.Registry;
using APlusP.Registry.Allocation;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;
using APlusP.Tests.Registry;
using Npgsql;

namespace APlusP.LabTests.Registry;

/// <summary>The suite on a real PostgreSQL, and what only that has: several registries on it, and constraints of its own.</summary>
public sealed class PostgresRegistryTests(PostgresServer server) : RegistrySuite, IClassFixture<PostgresServer>
{
    protected override RegistryDatabase NewDatabase() => new PostgresDatabase(server.NewDatabase());

    [Fact]
    public void The_database_itself_refuses_a_second_owner_of_a_port_in_history_too()
    {
        using RegistryScene scene = Scene();
        Lease past = scene.Grant("cpe-1"), other = scene.Grant("cpe-2");
        scene.Pass(10);
        scene.Change(b => b.Release(past.Id));
        scene.Pass(10_000);
        const string insert = "INSERT INTO block(lease, address, ports, lowest, highest, first_unit, unit_count, valid_from, until, free_at, reclaimed, opened, altered) SELECT @lease, address, @ports::int4multirange, 0, 0, 0, 1, valid_from - @before, until, until, 0, 1, 1 FROM block WHERE lease = @victim";
        void Insert(string ports, long before)
        {
            using var session = new Session(scene.Database, scene.Database.Connect());
            session.Execute(insert, ("lease", other.Id), ("ports", ports), ("before", before), ("victim", past.Id));
        }

        // One port in common, then none.
        Assert.Equal(PostgresErrorCodes.ExclusionViolation, Assert.Throws<PostgresException>(() => Insert("{[1151,1152)}", 1000)).SqlState);
        Insert("{[1152,1153)}", 1000);
    }

    [Fact]
    public void A_registry_moves_from_its_file_with_its_whole_memory()
    {
        string path = Path.Combine(Path.GetTempPath(), $"aplusp-move-{Guid.NewGuid():N}.db");
        using var source = new SqliteDatabase(path);
        using var target = new PostgresDatabase(server.NewDatabase());
        try
        {
            DateTimeOffset then;
            Lease first, second;
            string head;
            using (var before = new RegistryScene(source, RegistryScene.Policy() with { ChangeInterval = TimeSpan.Zero }, ownsDatabase: false))
            {
                first = before.Grant("cpe-1");
                before.Grant("cpe\t\\\n-2", softwire: 2);
                before.Change(b => b.Grow(first.Id, 256));
                before.Pass(10);
                before.Change(b => b.Release(first.Id));
                Lease third = before.Grant("cpe-3");
                before.Change(b => b.GivePort("cpe-3", third.Address, 25));
                before.Change(b => b.GiveName(new ServerName("www.example.org", "cpe-3", 1024, null, IsProxied: true, [new NamedService("_sip._udp", 1025)])));
                second = before.Grant("cpe-3");
                then = before.Clock.Now;
                head = before.Registrar.Verify().Head;
            }

            Assert.True(Move.Run(source, target) > 10);
            using var after = new RegistryScene(target, RegistryScene.Policy(), new Clock { Now = then }, ownsDatabase: false);
            Verification verification = after.Registrar.Verify();
            Assert.Equal((head, 0), (verification.Head, verification.Faults.Count));
            Assert.Equal("cpe-1", after.Who(first.Address, 1200, then.AddSeconds(-5)).Subscriber);
            Assert.Equal("cpe\t\\\n-2", after.Registrar.Read(s => s.One("SELECT subscriber FROM lease WHERE softwire = '2001:db8::2'", r => r.GetString(0))));
            Assert.Equal(second, after.Grant("cpe-3"));
            Assert.Equal("cpe-3", after.Who(second.Address, 25, then).Subscriber);
            ServerName name = after.Registrar.Read(s => s.One($"SELECT {ServerName.Columns} FROM server_name", ServerName.Read))!;
            Assert.Equal(("www.example.org", "cpe-3", (ushort?)1024, (ushort?)null, true, "_sip._udp:1025"), (name.Name, name.Subscriber, name.Http, name.Https, name.IsProxied, $"{name.Services.Single()}"));
            for (int i = 10; i < 20; i++) after.Grant($"cpe-{i}");
            after.AssertNoOverlap();
            after.AssertRoomIsCounted();
            Assert.Equal(ErrorCodes.DatabaseInUse, Assert.Throws<APlusPException>(() => Move.Run(source, target)).Code);
        }
        finally
        {
            foreach (string suffix in (string[])["", "-wal", "-shm"]) File.Delete(path + suffix);
        }
    }

    [Fact]
    public async Task Two_registries_give_out_ten_thousand_leases_at_once_without_overlap_or_error()
    {
        string database = server.NewDatabase();
        LeasePolicy policy = RegistryScene.Policy("192.0.2.0/26", block: 252);
        using var one = new RegistryScene(new PostgresDatabase(database), policy);
        using var two = new RegistryScene(new PostgresDatabase(database), policy);

        // 10,000 requests by 9,500 subscribers: every twentieth asks both registries at the same time.
        var requests = Enumerable.Range(0, 10_000).Select(i => (Registry: i % 2 == 0 ? one : two, Subscriber: i % 20 == 1 ? i - 1 : i));
        var leases = new Lease[10_000];
        await Parallel.ForEachAsync(requests.Select((r, i) => (r.Registry, r.Subscriber, Index: i)), new ParallelOptions { MaxDegreeOfParallelism = 64 },
            async (r, _) => leases[r.Index] = (await r.Registry.Registrar.Change("t", b => b.Grant($"cpe-{r.Subscriber}", RegistryScene.Softwire(r.Subscriber), null))).Lease);

        Assert.Equal(9500, leases.Select(l => l.Id).Distinct().Count());
        Assert.All(leases.Index(), l => Assert.Equal($"cpe-{(l.Index % 20 == 1 ? l.Index - 1 : l.Index)}", l.Item.Subscriber));
        one.AssertNoOverlap();
        one.AssertRoomIsCounted();
        Verification verification = two.Registrar.Verify();
        Assert.Equal((9500, 0), (verification.Events, verification.Faults.Count));
    }

    [Fact]
    public async Task A_database_that_is_killed_and_comes_back_loses_no_lease_that_was_answered()
    {
        string database = server.NewDatabase();
        using var scene = new RegistryScene(new PostgresDatabase(database), RegistryScene.Policy("192.0.2.0/26", block: 252));
        var answered = new List<Lease>();
        int refused = 0;
        using var stop = new CancellationTokenSource();
        Task asking = Task.Run(async () =>
        {
            for (int i = 0; !stop.IsCancellationRequested && i < 15_000; i++)
            {
                try
                {
                    Lease lease = (await scene.Registrar.Change("t", b => b.Grant($"cpe-{i}", RegistryScene.Softwire(i), null))).Lease;
                    lock (answered) answered.Add(lease);
                }
                catch (Refusal)
                {
                    refused++;
                }
            }
        });
        int Count()
        {
            lock (answered) return answered.Count;
        }

        for (int round = 0; round < 3; round++)
        {
            int before = Count();
            Assert.True(Wait.Until(() => Count() > before + 20, TimeSpan.FromSeconds(60)));
            server.Kill();
            server.StartAgain();
        }

        int last = Count();
        Assert.True(Wait.Until(() => Count() > last + 20, TimeSpan.FromSeconds(60)));
        await stop.CancelAsync();
        await asking;
        Assert.All(answered, lease => Assert.Equal(lease.Subscriber, scene.Who(lease.Address, lease.Ports.Ranges.First().First).Subscriber));
        scene.AssertNoOverlap();
        Assert.Empty(scene.Registrar.Verify().Faults);
        TestContext.Current.TestOutputHelper?.WriteLine($"{answered.Count} leases, {refused} refused while the database was away");
    }
}
