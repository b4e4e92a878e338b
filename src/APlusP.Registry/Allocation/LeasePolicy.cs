using APlusP.Core.Addresses;

namespace APlusP.Registry.Allocation;

/// <summary>What leases are given by: pools in the order in which they are tried, classes, and times.</summary>
public sealed record LeasePolicy
{
    public required IReadOnlyList<Pool> Pools { get; init; }

    public required IReadOnlyList<SubscriberClass> Classes { get; init; }

    public TimeSpan LeaseTime { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How long ports rest before another subscriber gets them: RFC 6888 section 3, REQ-8 asks for 120 s.</summary>
    public TimeSpan HoldDown { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>A lease grows or shrinks once in this time (RFC 6346 section 5.2: once a minute).</summary>
    public TimeSpan ChangeInterval { get; init; } = TimeSpan.FromMinutes(1);

    public SubscriberClass? ClassOf(string name) => Classes.FirstOrDefault(c => c.Name == name);

    /// <summary>That there is no such class, and which there are.</summary>
    public string NoClass(string name) => $"There is no class '{name}'; there are {string.Join(", ", Classes.Select(c => c.Name))}.";

    public Pool? PoolOf(IPv4Address address) => Pools.FirstOrDefault(p => p.Prefix.Contains(address));

    /// <summary>Units that a new lease begins with.</summary>
    public static int StartOf(SubscriberClass subscribers, Pool pool) => Math.Min(pool.Layout.UnitsFor(subscribers.Start), pool.Layout.UnitCount);

    /// <summary>Units that a lease may have at most; never fewer than it begins with.</summary>
    public static int LimitOf(SubscriberClass subscribers, Pool pool) =>
        Math.Max(StartOf(subscribers, pool), Math.Min(subscribers.Limit / pool.Layout.UnitSize, pool.Layout.UnitCount));

    /// <summary>Units that a lease of so many grows by; 0 where it may not.</summary>
    /// <param name="has">Units that it has.</param>
    /// <param name="ports">Ports that are asked for; null for the class's step.</param>
    public static int GrowthOf(SubscriberClass subscribers, Pool pool, int has, int? ports) =>
        Math.Max(0, Math.Min(pool.Layout.UnitsFor(ports ?? subscribers.Add), LimitOf(subscribers, pool) - has));

    /// <summary>Units that a lease of so many gives back; 0 where it has no more than it began with.</summary>
    public static int ShrinkageOf(SubscriberClass subscribers, Pool pool, int has, int? ports) =>
        Math.Max(0, Math.Min(pool.Layout.UnitsFor(ports ?? subscribers.Add), has - StartOf(subscribers, pool)));

    /// <summary>How long a lease that changed then must wait for its next change.</summary>
    public TimeSpan WaitAfter(DateTimeOffset? changed, DateTimeOffset now) =>
        changed is { } last && last + ChangeInterval > now ? last + ChangeInterval - now : TimeSpan.Zero;
}
