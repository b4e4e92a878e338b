using APlusP.Registry;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Tests.Registry;

/// <summary>What a registry tells those who follow its leases, on any of its databases.</summary>
public abstract class FeedSuite
{
    /// <summary>A database that nobody else has, empty.</summary>
    protected abstract RegistryDatabase NewDatabase();

    private protected RegistryScene Scene(RegistryDatabase? database = null) => new(database ?? NewDatabase());

    private protected static FeedVersion Head(RegistryScene scene) => scene.Registrar.Read(LeaseFeed.Head).Version;

    private protected static FedChanges Since(RegistryScene scene, FeedVersion after) => scene.Registrar.Read(s => LeaseFeed.Since(s, after))!;

    private protected static string? WhyNot(RegistryScene scene, FeedVersion after) => scene.Registrar.Read(s => LeaseFeed.WhyNotFrom(s, after));

    static FedLease Of(Lease lease) => new($"{lease.Softwire}", lease.Address.Value, $"{lease.Ports}", lease.Until.ToUnixTimeMilliseconds(), []);

    static FedLease Gone(Lease lease) => new($"{lease.Softwire}", null, null, 0, []);

    private protected static List<FedLease> All(RegistryScene scene, out FeedVersion version, out long count)
    {
        var leases = new List<FedLease>();
        long told = -1;
        using var session = new Session(scene.Database, scene.Database.Connect());
        version = LeaseFeed.All(session, c => told = c, leases.Add).Version;
        count = told;
        return leases;
    }

    [Fact]
    public void A_snapshot_has_every_lease_that_runs_and_the_version_that_it_is_of()
    {
        using RegistryScene scene = Scene();
        Lease one = scene.Grant("cpe-1"), two = scene.Grant("cpe-2"), three = scene.Grant("cpe-3");
        scene.Change(b => b.Release(two.Id));
        List<FedLease> all = All(scene, out FeedVersion version, out long count);
        Assert.Equal(new[] { Of(one), Of(three) }.OrderBy(l => l.Softwire), all.OrderBy(l => l.Softwire));
        Assert.Equal((Head(scene), 2L, 4L), (version, count, version.Seq));
    }

    [Fact]
    public void Changes_are_what_each_softwire_has_after_them()
    {
        using RegistryScene scene = Scene();
        FeedVersion nothing = Head(scene);
        Lease kept = scene.Grant("cpe-1"), left = scene.Grant("cpe-2");
        FeedVersion two = Head(scene);
        Assert.Equal(new[] { Of(kept), Of(left) }.OrderBy(l => l.Softwire), Since(scene, nothing).Leases.OrderBy(l => l.Softwire));

        scene.Pass(61);
        Lease grown = scene.Change(b => b.Grow(kept.Id, null));
        scene.Change(b => b.Release(left.Id));
        FedChanges changes = Since(scene, two);
        Assert.Equal(new[] { Of(grown), Gone(left) }.OrderBy(l => l.Softwire), changes.Leases.OrderBy(l => l.Softwire));
        Assert.Equal(Head(scene), changes.Version);
        Assert.Equal(scene.Clock.Now.ToUnixTimeMilliseconds(), changes.At);
        Assert.Empty(Since(scene, changes.Version).Leases);
    }

    [Fact]
    public void Names_are_told_with_the_lease_that_they_stand_for()
    {
        using RegistryScene scene = Scene();
        Lease lease = scene.Grant("cpe-1");
        scene.Grant("cpe-2");
        FeedVersion before = Head(scene);
        ServerName www = new("www.example.org", "cpe-1", 1024, null, IsProxied: false, []), tls = new("tls.example.org", "cpe-1", null, 1025, IsProxied: true, []);
        foreach (ServerName name in (ServerName[])[www, tls, new("sip.example.org", "cpe-1", null, null, IsProxied: false, [new NamedService("_sip._udp", 1026)])]) scene.Change(b => b.GiveName(name));
        FedLease told = Assert.Single(Since(scene, before).Leases);
        Assert.Equal(($"{lease.Softwire}", lease.Address.Value, lease.Until.ToUnixTimeMilliseconds()), (told.Softwire, told.Address, told.Until));
        Assert.Equal(["tls.example.org", "www.example.org"], told.Names.Select(n => n.Name).Order());
        Assert.Equal([0, 2], All(scene, out _, out _).Select(l => l.Names.Count).Order());

        // Its softwire is told that it has lost one; the names are the subscriber's wherever its lease is.
        before = Head(scene);
        scene.Change(b => b.TakeName("www.example.org"));
        Assert.Equal(["tls.example.org"], Assert.Single(Since(scene, before).Leases).Names.Select(n => n.Name));
        before = Head(scene);
        Lease moved = scene.Grant("cpe-1", softwire: 77);
        Assert.Equal([(1, true), (0, false)], Since(scene, before).Leases.Select(l => (l.Names.Count, l.Softwire == $"{moved.Softwire}")).OrderByDescending(l => l.Item1));
        scene.Change(b => b.Release(lease.Id));
        before = Head(scene);
        scene.Change(b => b.TakeName("tls.example.org"));
        Assert.Empty(Since(scene, before).Leases);
    }

    [Fact]
    public void A_lease_that_moves_to_another_softwire_leaves_the_old_one()
    {
        using RegistryScene scene = Scene();
        Lease before = scene.Grant("cpe-1");
        FeedVersion version = Head(scene);
        Lease after = scene.Grant("cpe-1", softwire: 77);
        Assert.Equal(new[] { Gone(before), Of(after) }.OrderBy(l => l.Softwire), Since(scene, version).Leases.OrderBy(l => l.Softwire));
        Assert.Empty(scene.Registrar.Verify().Faults);
    }

    [Fact]
    public void A_lease_that_expires_is_gone_and_one_that_is_renewed_runs_longer()
    {
        using RegistryScene scene = Scene();
        Lease kept = scene.Grant("cpe-1"), left = scene.Grant("cpe-2");
        FeedVersion version = Head(scene);
        scene.Pass(1800);
        Lease renewed = scene.Change(b => b.Renew(kept.Id));
        scene.Pass(1801);
        scene.Upkeep();
        Assert.Equal(new[] { Of(renewed), Gone(left) }.OrderBy(l => l.Softwire), Since(scene, version).Leases.OrderBy(l => l.Softwire));
    }

    [Fact]
    public void A_version_of_another_history_is_not_gone_on_from()
    {
        using RegistryScene scene = Scene(), other = Scene();
        FeedVersion nothing = Head(scene);
        scene.Grant("cpe-1");
        other.Pass(1);
        other.Grant("cpe-1");
        other.Grant("cpe-2");
        Assert.Null(WhyNot(scene, nothing));
        Assert.Null(WhyNot(scene, Head(scene)));
        Assert.Contains("later than all that this database knows", WhyNot(scene, Head(other)), StringComparison.Ordinal);
        FeedVersion foreign = Head(scene);
        Assert.Contains("of another history", WhyNot(other, foreign), StringComparison.Ordinal);
        Assert.Null(scene.Registrar.Read(s => LeaseFeed.Since(s, Head(other))));
    }

    [Fact]
    public async Task Versions_that_retention_has_forgotten_are_not_gone_on_from()
    {
        using RegistryScene scene = Scene();
        FeedVersion nothing = Head(scene);
        Lease lease = scene.Grant("cpe-1");
        FeedVersion one = Head(scene);
        for (int i = 0; i < 50; i++)
        {
            scene.Pass(3000);
            scene.Change(b => b.Renew(lease.Id));
        }

        scene.Pass(TimeSpan.FromDays(3).TotalSeconds);
        await scene.Registrar.Upkeep(TimeSpan.FromDays(1));
        Assert.Contains("are forgotten", WhyNot(scene, nothing), StringComparison.Ordinal);
        Assert.Contains("are forgotten", WhyNot(scene, one), StringComparison.Ordinal);

        // The last that was forgotten is the one before the first that there is, so nothing is missing behind it.
        FeedVersion forgotten = scene.Registrar.Read(s => s.One("SELECT forgotten_seq, forgotten_hash FROM chain WHERE one = 1", r => FeedVersion.Of(r.GetInt64(0), r.Bytes(1))));
        Assert.Null(WhyNot(scene, forgotten));
    }

    [Fact]
    public async Task Whoever_waits_is_woken_by_a_change()
    {
        using RegistryScene scene = Scene();
        Task next = scene.Registrar.Changes.Next;
        Assert.False(next.IsCompleted);
        scene.Grant("cpe-1");
        await next.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.False(scene.Registrar.Changes.Next.IsCompleted);
    }

    static void DoSomething(RegistryScene scene, Random random)
    {
        scene.Pass(random.Next(10) == 0 ? random.Next(4000) : random.Next(90));
        string name = $"cpe-{random.Next(12)}";
        string? id = scene.Registrar.Read(s => s.One("SELECT id FROM lease WHERE subscriber = @name AND ended IS NULL", r => r.GetString(0), ("name", name)));
        try
        {
            switch (random.Next(6))
            {
                case 0 or 1:
                    scene.Grant(name, softwire: random.Next(30));
                    break;
                case 2:
                    scene.Change(b => b.Grow(id ?? "", null));
                    break;
                case 3:
                    scene.Change(b => b.Shrink(id ?? "", null));
                    break;
                case 4:
                    scene.Change(b => b.Renew(id ?? ""));
                    break;
                default:
                    scene.Change(b => b.Release(id ?? ""));
                    break;
            }
        }
        catch (Refusal)
        {
            // No lease, no room, or the softwire is another's: as it happens.
        }
    }

    /// <summary>A follower that applies each version to what it had has what a snapshot has, whatever was done between.</summary>
    [Fact]
    public void Changes_one_after_the_other_come_to_what_a_snapshot_has()
    {
        var random = new Random(5);
        using RegistryScene scene = new(NewDatabase(), LeaseModel.Tight);
        var has = new Dictionary<string, FedLease>();
        FeedVersion version = Head(scene);
        for (int round = 0; round < 30; round++)
        {
            for (int step = random.Next(1, 15); step > 0; step--) DoSomething(scene, random);
            FedChanges changes = Since(scene, version);
            foreach (FedLease lease in changes.Leases)
                if (lease.Address is null) has.Remove(lease.Softwire);
                else has[lease.Softwire] = lease;
            version = changes.Version;
            Assert.Equal(All(scene, out FeedVersion now, out _).OrderBy(l => l.Softwire), has.Values.OrderBy(l => l.Softwire));
            Assert.Equal(now, version);
        }
    }
}
