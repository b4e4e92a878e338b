using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry;
using APlusP.Registry.Allocation;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Tests.Registry;

/// <summary>A registry on a database of its own, with a clock that the test sets, and the questions that tests ask of it.</summary>
sealed class RegistryScene : IDisposable
{
    readonly bool _ownsDatabase;

    public RegistryScene(RegistryDatabase database, LeasePolicy? policy = null, Clock? clock = null, bool ownsDatabase = true)
    {
        Database = database;
        _ownsDatabase = ownsDatabase;
        Clock = clock ?? new Clock();
        Registrar = new Registrar(database, policy ?? Policy(), Clock);
    }

    public Clock Clock { get; }

    public RegistryDatabase Database { get; }

    public Registrar Registrar { get; }

    /// <summary>Blocks of 128 ports on four addresses, unless a test wants otherwise.</summary>
    public static LeasePolicy Policy(string pool = "192.0.2.0/30", int block = 128, string ports = "1024-65535", params SubscriberClass[] classes) => new()
    {
        Pools = [new Pool(IPv4Prefix.Parse(pool), PoolLayout.Blocks(block, PortSet.Parse(ports)))],
        Classes = classes.Length > 0 ? classes : SubscriberClass.Standard(block),
        LeaseTime = TimeSpan.FromHours(1),
    };

    public T Change<T>(Func<LeaseBook, T> what) => Registrar.Change("tester", what).GetAwaiter().GetResult();

    public static IPv6Address Softwire(int number) => new(IPv6Address.Parse("2001:db8::").Value + (UInt128)number);

    public Lease Grant(string subscriber, int? softwire = null, string? className = null) =>
        Change(book => book.Grant(subscriber, Softwire(softwire ?? int.Parse(subscriber[(subscriber.LastIndexOf('-') + 1)..])), className)).Lease;

    /// <summary>The code of what is refused.</summary>
    public string Refused<T>(Func<LeaseBook, T> what) => Assert.Throws<Refusal>(() => Change(what)).Code;

    public WhoAnswer Who(IPv4Address address, int port, DateTimeOffset? at = null) => Registrar.Who(address, (ushort)port, at ?? Clock.Now);

    public void Upkeep() => Registrar.Upkeep(null).GetAwaiter().GetResult();

    public void Pass(double seconds) => Clock.Now += TimeSpan.FromSeconds(seconds);

    /// <summary>Every block as the database has it: address, ports, from, until, free at, subscriber.</summary>
    public List<(long Address, PortSet Ports, long From, long Until, long FreeAt, string Subscriber)> Blocks() => Registrar.Read(s => s.All(
        $"SELECT b.address, b.ports{(s.Database is PostgresDatabase ? "::text" : "")}, b.valid_from, b.until, b.free_at, l.subscriber FROM block b JOIN lease l ON l.id = b.lease ORDER BY b.id",
        r => (r.GetInt64(0), Rows.Ports(r.GetString(1)), r.GetInt64(2), r.GetInt64(3), r.GetInt64(4), r.GetString(5))));

    /// <summary>No port of an address has two owners at any time of its history, and rests between two.</summary>
    public void AssertNoOverlap()
    {
        foreach (var address in Blocks().GroupBy(b => b.Address))
        {
            var blocks = address.ToList();
            for (int i = 0; i < blocks.Count; i++)
                for (int j = 0; j < i; j++)
                    if (blocks[i].From < blocks[j].FreeAt && blocks[j].From < blocks[i].FreeAt && blocks[i].Ports.Overlaps(blocks[j].Ports))
                        Assert.Fail($"{blocks[i]} and {blocks[j]} overlap");
        }
    }

    /// <summary>The units that addresses count as taken are those of blocks that are not reclaimed, and of reservations.</summary>
    public void AssertRoomIsCounted()
    {
        var free = Registrar.Read(s => s.All("SELECT address, free, taken FROM address", r => (Address: r.GetInt64(0), Free: r.GetInt64(1), Taken: r.Bytes(2))));
        var held = Registrar.Read(s => s.All(
            "SELECT address, first_unit, unit_count FROM block WHERE reclaimed = 0 UNION ALL SELECT address, first_unit, unit_count FROM reservation",
            r => (Address: r.GetInt64(0), Run: new UnitRun((int)r.GetInt64(1), (int)r.GetInt64(2)))));
        foreach (var address in free)
        {
            int units = Registrar.Policy.Pools[0].Layout.UnitCount;
            UnitMap map = UnitMap.Of(units, address.Taken);
            HashSet<int> expected = [.. held.Where(h => h.Address == address.Address).SelectMany(h => Enumerable.Range(h.Run.First, h.Run.Count))];
            Assert.Equal(expected.Order(), Enumerable.Range(0, units).Where(map.IsTaken));
            Assert.Equal(map.Free, address.Free);
        }
    }

    public void Dispose()
    {
        Registrar.Dispose();
        if (_ownsDatabase) Database.Dispose();
    }
}
