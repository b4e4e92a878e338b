using System.Diagnostics;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Leases;
using APlusP.Registry.Storage;

namespace APlusP.Registry;

/// <summary>What a bench measured.</summary>
/// <param name="What">Of what.</param>
/// <param name="Count">How often.</param>
/// <param name="Median">In ms.</param>
/// <param name="P99">In ms.</param>
/// <param name="Worst">In ms.</param>
/// <param name="PerSecond">How many a second there were.</param>
public sealed record BenchLine(string What, int Count, double Median, double P99, double Worst, double PerSecond);

/// <summary>Measures a registry whose tables are full: what one request takes, storage included, and how many there are a second.</summary>
public static class RegistryBench
{
    const int Block = 252, UsedOfAddress = 192;

    static readonly IPv4Address s_first = IPv4Address.Parse("10.0.0.0");

    /// <summary>Fills a database as far as it is not, with so many leases and ten events for each, then measures.</summary>
    /// <param name="database">Where; what is in it stays, so that the next run needs no filling.</param>
    /// <param name="leases">Leases that run.</param>
    /// <param name="requests">Requests of each kind.</param>
    /// <param name="progress">Told what is being done.</param>
    public static async Task<IReadOnlyList<BenchLine>> Run(RegistryDatabase database, int leases, int requests, Action<string> progress)
    {
        int addresses = (leases + UsedOfAddress - 1) / UsedOfAddress;
        int length = 32;
        while (1L << (32 - length) < addresses) length--;
        var policy = new LeasePolicy
        {
            Pools = [new Pool(IPv4Prefix.Of(s_first, length), PoolLayout.Blocks(Block, PoolLayout.WithoutSystemPorts))],
            Classes = SubscriberClass.Standard(Block),
        };
        using var registrar = new Registrar(database, policy, TimeProvider.System);
        if (registrar.Read(s => s.One("SELECT COUNT(*) FROM lease", r => r.GetInt64(0))) < leases)
        {
            progress($"filling {database.Name} with {addresses * UsedOfAddress:N0} leases and ten events for each");
            long start = Stopwatch.GetTimestamp();
            await registrar.Change(t => Fill(t, addresses));
            progress($"filled in {Stopwatch.GetElapsedTime(start).TotalSeconds:N0} s");
        }

        string run = Guid.NewGuid().ToString("N")[..8];
        var random = new Random(1);
        var granted = new Lease[2 * requests];
        Task<Lease> Grant(int i) => registrar.Change("bench", b => b.Grant($"bench-{run}-{i}", new IPv6Address(((UInt128)0x2001_0db8_ffff_0000 << 64) + (UInt128)random.NextInt64()), null).Lease);
        var lines = new List<BenchLine>
        {
            await Measure("new lease", requests, 1, async i => granted[i] = await Grant(i)),
            await Measure("the same again", requests, 1, i => registrar.Change("bench", b => b.Grant(granted[i].Subscriber, granted[i].Softwire, null))),
            await Measure("renewal", requests, 1, i => registrar.Change("bench", b => b.Renew(granted[i].Id))),
            await Measure("new lease, 32 at once", requests, 32, async i => granted[requests + i] = await Grant(requests + i)),
            await Measure("who", requests, 1, i =>
            {
                uint address = s_first.Value + (uint)(i * 7919L % addresses);
                registrar.Who(new IPv4Address(address), (ushort)(1024 + (i * 104729L % (UsedOfAddress * Block))), registrar.Now - TimeSpan.FromHours(i % 30));
                return Task.CompletedTask;
            }),
            await Measure("release", 2 * requests, 32, i => registrar.Change("bench", b => b.Release(granted[i].Id))),
        };
        return lines;
    }

    static async Task<BenchLine> Measure(string what, int count, int atOnce, Func<int, Task> request)
    {
        var times = new double[count];
        long start = Stopwatch.GetTimestamp();
        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (i, _) =>
        {
            long before = Stopwatch.GetTimestamp();
            await request(i);
            times[i] = Stopwatch.GetElapsedTime(before).TotalMilliseconds;
        });
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Array.Sort(times);
        return new BenchLine(what, count, times[count / 2], times[Math.Min(count - 1, count * 99 / 100)], times[^1], count / seconds);
    }

    /// <summary>
    /// Each unit has had two leases: one that ended yesterday, and one that runs. Written by the database itself, since a million by the API would take many minutes; the
    /// chain's hashes are left empty, so such a database cannot be verified.
    /// </summary>
    static bool Fill(Transaction transaction, int addresses)
    {
        Session session = transaction.Session;
        const long hour = 3_600_000;
        long count = (long)addresses * UsedOfAddress, now = transaction.Now;
        byte[] taken = new byte[(PoolLayout.Blocks(Block, PoolLayout.WithoutSystemPorts).UnitCount + 7) / 8];
        taken.AsSpan(0, UsedOfAddress / 8).Fill(0xff);
        string blob = session.Database is PostgresDatabase ? "'\\x00'::bytea" : "x'00'", ports = session.Database is PostgresDatabase ? "::int4multirange" : "";

        // i counts leases: address i / 192, unit i % 192.
        string every = $"WITH RECURSIVE every(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM every WHERE i < {count - 1})";
        string address = $"{s_first.Value} + i / {UsedOfAddress}", first = $"(1024 + (i % {UsedOfAddress}) * {Block})", softwire = "'2001:db8:1::' || (i / 10000) || ':' || (i % 10000)";
        void Leases(string name, long from, long until, string ended, int reclaimed)
        {
            session.Script($"INSERT INTO lease({Lease.Columns}) {every} SELECT '{name}' || (10000000 + i), 'cpe-' || i, 'home', {softwire}, {address}, {first} || '-' || ({first} + {Block - 1}), 1, {from}, {until}, NULL, {ended} FROM every");
            session.Script($"INSERT INTO block(lease, address, ports, lowest, highest, first_unit, unit_count, valid_from, until, free_at, reclaimed, opened, altered) {every} SELECT '{name}' || (10000000 + i), {address}, ('{{[' || {first} || ',' || ({first} + {Block}) || ')}}'){ports}, {first}, {first} + {Block - 1}, i % {UsedOfAddress}, 1, {from}, {until}, {until + 120_000}, {reclaimed}, 1, 1 FROM every");
        }

        Leases("a", now - 30 * hour, now - 20 * hour, $"{now - 20 * hour}", 1);
        Leases("b", now - 10 * hour, now + 240 * hour, "NULL", 0);
        (long seq, int round) = (session.One("SELECT seq FROM chain WHERE one = 1", r => r.GetInt64(0)), 0);
        foreach (string kind in (string[])["granted", "renewed", "renewed", "renewed", "renewed", "released", "granted", "renewed", "renewed", "renewed"])
            session.Script($"INSERT INTO event(seq, at, kind, subject, subscriber, softwire, address, ports, until, actor, hash) {every} SELECT {seq + round * count + 1} + i, {now - 30 * hour + round++ * 3 * hour}, '{kind}', '{(round > 6 ? "b" : "a")}' || (10000000 + i), 'cpe-' || i, {softwire}, {address}, '{{[' || {first} || ',' || ({first} + {Block}) || ')}}', {now}, 'bench', {blob} FROM every");
        session.Execute("UPDATE chain SET seq = @seq, at = @at WHERE one = 1", ("seq", seq + 10 * count), ("at", now));
        session.Execute("UPDATE address SET free = free - @used, taken = @taken WHERE address < @end", ("used", (long)UsedOfAddress), ("taken", taken), ("end", s_first.Value + (long)addresses));
        session.Script("ANALYZE");
        return true;
    }
}
