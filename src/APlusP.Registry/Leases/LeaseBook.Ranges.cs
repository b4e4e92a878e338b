using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Leases;

/// <summary>How a lease is wanted by who can be told one range of ports alone.</summary>
/// <param name="Most">Never more ports than these.</param>
/// <param name="Time">For how long.</param>
/// <param name="Suggested">Where the range is to begin, if that can be.</param>
readonly record struct RangeTerms(int Most, TimeSpan Time, (IPv4Address Address, ushort Port)? Suggested);

// Leases of one range of ports, as PORT_SET of PCP can say it (RFC 7753): they grow behind the range, and are never more than was asked for.
sealed partial class LeaseBook
{
    /// <summary>The lease of a subscriber, made, renewed, moved and sized as it is wanted now.</summary>
    /// <param name="subscriber">Who.</param>
    /// <param name="softwire">Where its SMAP is.</param>
    /// <param name="className">The class of a new lease, null for the default; one that there is keeps its own.</param>
    /// <param name="terms">How it is wanted.</param>
    /// <returns>The lease, and the range of it that may be told.</returns>
    public (Lease Lease, PortRange Range) GrantRange(string subscriber, IPv6Address softwire, string? className, RangeTerms terms)
    {
        RefuseSoftwireOfAnother(subscriber, softwire);
        (Lease lease, bool isNew) = Give(subscriber, (_, _) => softwire, className, exactly: null, terms);
        if (isNew) return (lease, lease.Ports.Ranges.First());

        // What may refuse comes first, and has written nothing then.
        PortRange range = FirstRange(lease);
        if (terms.Most < range.Count) lease = ShrinkTo(lease, terms.Most);
        else if (terms.Most > range.Count) lease = GrowBehind(lease, range, terms.Most);
        if (lease.Softwire != softwire) lease = Move(lease, softwire);
        lease = Renew(lease.Id, terms.Time);
        return (lease, FirstRange(lease));
    }

    /// <summary>The range in which a lease began; an operator may have added others.</summary>
    PortRange FirstRange(Lease lease)
    {
        if (lease.Ports.Ranges.Count() == 1 || policy.PoolOf(lease.Address) is not { } pool || Blocks(lease) is not [var block, ..]) return lease.Ports.Ranges.First();
        PortRange first = pool.Layout.PortsOf(block.Run).Ranges.First();
        return lease.Ports.Ranges.First(r => r.Overlaps(first));
    }

    Choice RangeFor(string subscriber, Lease? last, SubscriberClass subscribers, RangeTerms terms) =>
        Fitting(Reserved(subscriber), terms) ?? SuggestedRange(subscriber, subscribers, terms) ?? Fitting(Resting(last, subscribers), terms) ?? ChooseRange(subscriber, subscribers, terms);

    /// <summary>Ports that are there for this subscriber, where they can be told, and are no more than it asks for.</summary>
    static Choice? Fitting(Choice? choice, RangeTerms terms) =>
        choice is not null && choice.Layout.PortsOf(choice.Runs) is var ports && ports.Count <= terms.Most && ports.Ranges.Count() == 1 ? choice : null;

    /// <summary>What it says that it had, which helps when this registry has lost what it knew (RFC 6887 section 11.2); never more than anybody begins with.</summary>
    Choice? SuggestedRange(string subscriber, SubscriberClass subscribers, RangeTerms terms)
    {
        if (terms.Suggested is not var (address, port) || policy.PoolOf(address) is not { } pool || !pool.Serves(subscribers)) return null;
        int first = pool.Layout.UnitsOf(PortSet.FromRanges(new PortRange(port, port))).FirstOrDefault(-1);
        if (first < 0) return null;
        UnitMap map = MapOf(address);
        int count = Math.Min(Math.Min(RangeUnits(subscribers, pool, terms), map.GapAt(first)), pool.Layout.RangeEnd(first) - first);
        if (count <= 0 || Hoarding(subscriber, subscribers, pool, count) is not null) return null;
        var run = new UnitRun(first, count);
        map.TryTake(run);
        return new Choice(address, pool.Layout, [run], () => Save(address, map));
    }

    /// <summary>Units that a new lease gets: those that its class begins with, or fewer where fewer are asked for.</summary>
    static int RangeUnits(SubscriberClass subscribers, Pool pool, RangeTerms terms) => Math.Min(LeasePolicy.StartOf(subscribers, pool), terms.Most / pool.Layout.UnitSize);

    /// <summary>Addresses that are looked at for a gap, those with most room first.</summary>
    const int AddressesTried = 16;

    /// <summary>The first address with a gap for all of it; where no address has one, the longest gap that was seen.</summary>
    Choice ChooseRange(string subscriber, SubscriberClass subscribers, RangeTerms terms)
    {
        Pool[] pools = [.. PoolsOf(subscribers).Where(p => p.Layout.RangeEnd(0) > 0)];
        if (pools.Length == 0) throw new Refusal(ErrorCodes.PoolExhausted, $"No pool of class '{subscribers.Name}' has ports in a row: with a PSID offset they are many ranges. Divide one into blocks, or by a PSID without an offset.");
        if (pools.All(p => RangeUnits(subscribers, p, terms) == 0))
            throw new Refusal(ErrorCodes.LeaseLimit, $"{terms.Most} ports are fewer than the {pools.Min(p => p.Layout.UnitSize)} of a block, and ports are given in blocks. Ask for more.");
        do
        {
            (IPv4Address Address, Pool Pool, UnitMap Map, UnitRun Run)? best = null;
            foreach (Pool pool in pools)
            {
                int wanted = RangeUnits(subscribers, pool, terms);
                if (wanted == 0) continue;
                RefuseHoarding(subscriber, subscribers, pool, wanted);
                List<(IPv4Address, UnitMap)> roomy = _session.All(
                    $"SELECT address, taken FROM address WHERE pool = @pool AND free > 0 ORDER BY free DESC, address LIMIT {AddressesTried}",
                    r => (new IPv4Address((uint)r.GetInt64(0)), UnitMap.Of(pool.Layout.UnitCount, r.Bytes(1))), ("pool", pool.Name));
                foreach ((IPv4Address address, UnitMap map) in roomy)
                {
                    if (map.FindRun(wanted, pool.Layout.RangeEnd) is not { } run) continue;
                    if (best is not { } other || run.Count * pool.Layout.UnitSize > other.Run.Count * other.Pool.Layout.UnitSize) best = (address, pool, map, run);
                    if (run.Count == wanted) break;
                }
            }

            if (best is not var (at, of, taken, units)) continue;
            taken.TryTake(units);
            return new Choice(at, of.Layout, [units], () => Save(at, taken));
        }
        while (Reclaim(WorkAtOnce) > 0);
        throw Exhausted(subscribers);
    }

    /// <summary>More ports right behind the range, a step of the class at most; the lease as it is where there can be none now.</summary>
    Lease GrowBehind(Lease lease, PortRange range, int most)
    {
        if (policy.PoolOf(lease.Address) is not { } pool || policy.ClassOf(lease.Class) is not { } subscribers || policy.WaitAfter(lease.Changed, Now) > TimeSpan.Zero) return lease;
        int more = Math.Min(LeasePolicy.GrowthOf(subscribers, pool, lease.Units, null), (most - range.Count) / pool.Layout.UnitSize);
        int behind = pool.Layout.UnitsOf(PortSet.FromRanges(range)).Last() + 1, room = pool.Layout.RangeEnd(behind - 1) - behind;
        if (Math.Min(more, room) <= 0) return lease;
        UnitMap map;
        do
        {
            map = MapOf(lease.Address);
        }
        while (map.GapAt(behind) == 0 && Reclaim(WorkAtOnce) > 0);
        var run = new UnitRun(behind, Math.Min(Math.Min(more, room), map.GapAt(behind)));
        if (run.Count == 0 || Hoarding(lease.Subscriber, subscribers, pool, run.Count) is not null) return lease;
        map.TryTake(run);
        Save(lease.Address, map);
        return Add(lease, pool, Blocks(lease), [run]);
    }

    /// <summary>Gives back the blocks that came last, as many as are too many; all of it is refused where a part cannot be.</summary>
    Lease ShrinkTo(Lease lease, int most)
    {
        (_, Pool pool, SubscriberClass subscribers) = Changeable(lease.Id);
        int less = 0;
        foreach ((UnitRun run, _) in Enumerable.Reverse(Blocks(lease)))
        {
            if ((lease.Units - less) * pool.Layout.UnitSize <= most) break;
            less += run.Count;
        }

        if (lease.Units - less < LeasePolicy.StartOf(subscribers, pool))
            throw new Refusal(ErrorCodes.LeaseLimit, $"The lease of {lease.Subscriber} has {lease.Ports.Count} ports, and cannot have {most}: a class keeps what it begins with, and ports go in the blocks that they came in. Delete the mapping, and ask anew.");
        return Shrink(lease.Id, less * pool.Layout.UnitSize);
    }

    // ---- By which nonce a client has its lease

    /// <summary>The lease of a subscriber that still runs, and the nonce of the client that has it; null for who never had one.</summary>
    public (Lease Lease, string? Nonce)? Held(string subscriber) => _session.One<(Lease, string?)?>(
        $"SELECT {Lease.Columns}, nonce FROM lease WHERE subscriber = @subscriber AND ended IS NULL AND until > @now", r => (Lease.Read(r), r.Text(NonceColumn)), ("subscriber", subscriber), ("now", _now));

    static readonly int NonceColumn = Lease.Columns.Count(c => c == ',') + 1;

    /// <summary>From now on the lease is that of whoever has this nonce.</summary>
    public void Entrust(Lease lease, string nonce) => _session.Write("UPDATE lease SET nonce = @nonce WHERE id = @id", ("nonce", nonce), ("id", lease.Id));
}
