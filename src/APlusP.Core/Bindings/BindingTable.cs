using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;

namespace APlusP.Core.Bindings;

/// <summary>
/// Every binding of a PRR, RFC 7596 section 6.1: which softwire an (IPv4 address, port) belongs to. Many shared addresses, PSID sets
/// and plain ranges side by side, whole addresses too; and mapping rules for what no binding has.
/// </summary>
/// <remarks>
/// Any number of threads look up, without locks and without allocating, while one changes bindings at a time; a lookup sees the table
/// before or after a change, never between. This is a sequence lock: the version is odd while a change is under way, and a
/// lookup that met an odd or another version starts again. A change is some dozen stores, so that hardly ever happens; growing
/// copies arrays aside and exchanges them by reference, so that nobody waits for it.
/// <para>Where few of the 2^k PSIDs of an address are in use, they are a list, of 32 octets each; else each has its place in 2^k slots of 24 octets.</para>
/// </remarks>
[SkipLocalsInit]
public sealed partial class BindingTable
{
    /// <summary>Queries that one pass keeps in flight; a longer span is taken in pieces.</summary>
    public const int BatchSize = 32;

    BindingTableState _state;
    uint _version;

    /// <param name="bindings">As many will be added; more and fewer may.</param>
    public BindingTable(int bindings = 0) => _state = BindingTableState.Empty(bindings);

    /// <exception cref="APlusPException">AP1003: two bindings contradict each other; the message names both.</exception>
    public static BindingTable Build(IEnumerable<Binding> bindings)
    {
        var table = new BindingTable(bindings.TryGetNonEnumeratedCount(out int count) ? count : 0);
        foreach (Binding binding in bindings) table.Add(binding);
        return table;
    }

    /// <summary>Whose port this is. <paramref name="hit"/> is filled where the answer is <see cref="BindingLookup.Found"/>.</summary>
    public BindingLookup Find(IPv4Address address, ushort port, out BindingHit hit)
    {
        hit = default;
        BindingLookup answer;
        uint version;
        do
        {
            BindingTableState state = BeginRead(out version);
            answer = state.Read(state.Locate(address, port), ref hit);
            if (answer != BindingLookup.Found && state.Rules is { } rules) answer = rules.Complete(address, port, ref hit);
        }
        while (!EndRead(version));
        return answer;
    }

    /// <summary>
    /// Looks up many: first finds and prefetches all slots, then reads them, so that their cache misses overlap. Each batch of
    /// <see cref="BatchSize"/> sees one state of the table.
    /// </summary>
    /// <param name="queries">What to look up.</param>
    /// <param name="hits">The answers in the same order, at least as many; <see cref="BindingHit.Lookup"/> says what was found.</param>
    public void Find(ReadOnlySpan<BindingQuery> queries, Span<BindingHit> hits)
    {
        if (hits.Length < queries.Length) throw new ArgumentException("There are more queries than room for hits.", nameof(hits));
        for (; queries.Length > BatchSize; queries = queries[BatchSize..], hits = hits[BatchSize..])
            FindBatch(queries[..BatchSize], hits[..BatchSize]);
        FindBatch(queries, hits[..queries.Length]);
    }

    void FindBatch(ReadOnlySpan<BindingQuery> queries, Span<BindingHit> hits)
    {
        Span<AddressRecord> records = stackalloc AddressRecord[BatchSize];
        Span<int> located = stackalloc int[BatchSize];
        records = records[..queries.Length];
        located = located[..queries.Length];
        uint version;
        do
        {
            BindingTableState state = BeginRead(out version);
            foreach (ref readonly BindingQuery query in queries) state.PrefetchAddress(query.Address);
            for (int i = 0; i < records.Length; i++)
            {
                int index = state.FindAddress(queries[i].Address);
                records[i] = index < 0 ? default : state.Addresses[index];
                if (records[i].RangeCount > 0 || records[i].IsListed) state.PrefetchRanges(records[i]);
            }

            for (int i = 0; i < located.Length; i++)
            {
                located[i] = records[i].Address == 0 ? BindingTableState.NotShared : state.Locate(records[i], queries[i].Port);
                state.PrefetchSlot(located[i]);
            }

            for (int i = 0; i < located.Length; i++) state.Read(located[i], ref hits[i]);
            if (state.Rules is { } rules) rules.Complete(queries, hits);
        }
        while (!EndRead(version));
    }

    /// <summary>Whether a binding names this address, or a rule has it.</summary>
    public bool IsShared(IPv4Address address)
    {
        bool shared;
        uint version;
        do
        {
            BindingTableState state = BeginRead(out version);
            shared = (state.MayHave(address) && state.FindAddress(address) >= 0) || (state.Rules is { } rules && rules.IsShared(address));
        }
        while (!EndRead(version));
        return shared;
    }

    /// <summary>Begins to bring what <see cref="IsShared"/> will need into the cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(IPv4Address address)
    {
        BindingTableState state = Volatile.Read(ref _state);
        if (state.MayHave(address)) state.PrefetchAddress(address);
    }

    /// <summary>Who has these softwires, whatever the ports: for telling why packets failed the source check. The cache misses of all overlap.</summary>
    /// <param name="queries">At most <see cref="BatchSize"/>.</param>
    /// <param name="holders">As many.</param>
    public void FindSoftwires(ReadOnlySpan<SoftwireQuery> queries, Span<SoftwireHolder> holders)
    {
        Span<ulong> hashes = stackalloc ulong[BatchSize];
        Span<int> slots = stackalloc int[BatchSize];
        hashes = hashes[..queries.Length];
        slots = slots[..queries.Length];
        holders = holders[..queries.Length];
        uint version;
        do
        {
            BindingTableState state = BeginRead(out version);
            for (int i = 0; i < hashes.Length; i++)
            {
                hashes[i] = BindingTableState.Mixed(queries[i].Softwire);
                state.PrefetchPlace(hashes[i]);
            }

            for (int i = 0; i < slots.Length; i++) slots[i] = state.PrefetchSlotOf(hashes[i]);
            for (int i = 0; i < slots.Length; i++)
            {
                IPv6Address softwire = queries[i].Softwire;
                int slot = slots[i];
                if ((uint)slot < (uint)state.Softwires.Length && state.Softwires[slot] != softwire) slot = state.FindSlot(softwire);
                if (!state.TryReadHolder(slot, out holders[i]) && state.Rules is { } rules && rules.TryFindSoftwire(softwire, queries[i].Source, out BindingHit hit, out IPv4Address address))
                    holders[i] = new SoftwireHolder(true, hit.Prr, address);
            }
        }
        while (!EndRead(version));
    }

    /// <summary>The binding of a softwire, whatever its ports.</summary>
    public bool TryFindSoftwire(IPv6Address softwire, out BindingHit hit, out IPv4Address address) => TryFindSoftwire(softwire, default, out hit, out address);

    /// <summary>As above, for one of the addresses that the subscriber may have: who has a whole prefix by a rule has all of them.</summary>
    /// <param name="softwire">The SMAP's end.</param>
    /// <param name="wanted">The address asked for.</param>
    /// <param name="hit">Its binding.</param>
    /// <param name="address"><paramref name="wanted"/> where the subscriber has it, or else one that the subscriber has.</param>
    public bool TryFindSoftwire(IPv6Address softwire, IPv4Address wanted, out BindingHit hit, out IPv4Address address)
    {
        hit = default;
        bool found;
        uint version;
        do
        {
            BindingTableState state = BeginRead(out version);
            int slot = state.FindSlot(softwire);
            address = (uint)slot < (uint)state.Ends.Length ? new IPv4Address(state.Ends[slot].Address) : default;
            int located = slot >= 0 && state.IsWholeAddress(address, slot) ? slot | BindingTableState.WholeAddress : slot;
            found = state.Read(located, ref hit) == BindingLookup.Found || (state.Rules?.TryFindSoftwire(softwire, wanted, out hit, out address) ?? false);
        }
        while (!EndRead(version));
        return found;
    }

    /// <summary>Waits until no change is under way. The version comes first: whoever sees it sees the state that it was made on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    BindingTableState BeginRead(out uint version)
    {
        version = Volatile.Read(ref _version);
        if ((version & 1) != 0) version = AwaitEndOfChange();
        return Volatile.Read(ref _state);
    }

    uint AwaitEndOfChange()
    {
        var wait = new SpinWait();
        while (true)
        {
            uint version = Volatile.Read(ref _version);
            if ((version & 1) == 0) return version;
            wait.SpinOnce(sleep1Threshold: -1);
        }
    }

    /// <summary>Whether everything read since <see cref="BeginRead"/> belongs together.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    bool EndRead(uint version)
    {
        Volatile.ReadBarrier();
        return version == _version;
    }
}
