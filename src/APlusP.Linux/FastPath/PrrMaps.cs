using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>
/// The binding table as the PRR's programs read it, kept by the changes of the other one. What has no room is left out: its packets go by tier 1.
/// </summary>
/// <remarks>
/// Programs read while this writes. A subscriber has a slot with a sequence number, which stays where it is; <see cref="PortLists"/> and <see cref="SharedAddresses"/> lead there from address
/// and port. What was given up is used again only when no program can be at it any more.
/// </remarks>
sealed class PrrMaps : IDisposable
{
    readonly SharedAddresses _addresses;
    readonly PortLists _lists;
    readonly MappedArray<SoftwireEntry> _softwires;
    readonly PrrEnds _ends;
    readonly Blocks _slots = new();
    readonly Queue<(long Until, Blocks Of, int Start, int Exponent)> _resting = new();
    readonly Func<IPv6Address, ushort> _nextHop;

    /// <param name="loaded">The programs' object.</param>
    /// <param name="ends">The PRR's ends.</param>
    /// <param name="nextHop">The next hop towards a SMAP.</param>
    public PrrMaps(BpfObject loaded, PrrEnds ends, Func<IPv6Address, ushort> nextHop)
    {
        _addresses = new SharedAddresses(loaded.Map("addresses").Share<BucketEntry>());
        _lists = new PortLists(loaded.Map("places").Share<PlaceEntry>()) { GiveBack = GiveBack, IsUsed = IsUsed };
        _softwires = loaded.Map("softwires").Share<SoftwireEntry>();
        _ends = ends;
        _nextHop = nextHop;

        // Slot 0 is nobody's.
        _slots.Take(0);
    }

    /// <summary>Entries of the maps whose size follows the bindings: room for a tenth more, and some.</summary>
    /// <param name="bindings">Those of an address one after the other.</param>
    public static Dictionary<string, uint> EntriesFor(IEnumerable<Binding> bindings)
    {
        const int some = 1024;
        long addresses = 0, slots = 0, places = 0;
        foreach (List<Binding> group in ByAddress(bindings))
        {
            addresses++;
            if (MakesRow(group, out Psid like))
            {
                slots += 1L << like.Length;
                continue;
            }

            int psids = group.Count(b => b.Ports.IsByPsid), ranges = group.Sum(b => b.Ports.IsByPsid ? 0 : b.Ports.Ranges.Count());
            slots += group.Count;
            places += PortLists.PlacesFor(ranges, psids, group.Max(b => b.Ports.Psid?.Length ?? 0));
        }

        return new()
        {
            ["addresses"] = (uint)SharedAddresses.BucketsFor(Room(addresses)),
            ["softwires"] = Room(slots),

            // Lists that are written anew rest a tenth of a second: ten thousand changes a second take this much.
            ["places"] = Room(places + (1 << 16)),
        };

        static uint Room(long needed) => (uint)Math.Min(needed + needed / 10 + some, MostEntries);
    }

    /// <summary>Of a map: so many softwires take two gibibytes.</summary>
    const int MostEntries = 1 << 25;

    /// <summary>Bindings that had no room.</summary>
    public int LeftOut { get; private set; }

    /// <summary>Bindings that the programs know.</summary>
    public int Count { get; private set; }

    /// <summary>Whether programs may be reading: what is given up is used again after a while only.</summary>
    public bool IsRead { get; set; }

    /// <summary>Buckets of the addresses, for the programs' sums.</summary>
    public uint Buckets => _addresses.Buckets;

    /// <summary>Largest payload that goes into a softwire before anything is known of its path.</summary>
    public static int FirstMtu(int configured, bool discovers) => discovers ? Math.Min(configured, LeastPayload) : configured;

    /// <summary>What every softwire carries.</summary>
    public const int LeastPayload = PathMtuTable.Least - IPv6Header.Size;

    /// <summary>Adds many bindings; those of an address should follow each other.</summary>
    public void Load(IEnumerable<Binding> bindings, bool discovers)
    {
        foreach (List<Binding> group in ByAddress(bindings)) Add(group, discovers);
    }

    static IEnumerable<List<Binding>> ByAddress(IEnumerable<Binding> bindings)
    {
        var group = new List<Binding>();
        foreach (Binding binding in bindings)
        {
            if (group.Count > 0 && group[0].Address != binding.Address)
            {
                yield return group;
                group.Clear();
            }

            group.Add(binding);
        }

        if (group.Count > 0) yield return group;
    }

    /// <summary>Adds bindings of one address; the table has seen to it that they contradict none.</summary>
    /// <returns>The slot of the last, or 0 where there is no room for them.</returns>
    int Add(List<Binding> bindings, bool discovers)
    {
        Rest();
        int last = 0;
        bool hasRoom = _addresses.HasRoomFor(bindings[0].Address);
        while (hasRoom && (last = TryAdd(bindings, discovers)) == 0) hasRoom = AwaitRest();
        if (last == 0) LeftOut += bindings.Count;
        else Count += bindings.Count;
        return last;
    }

    int TryAdd(List<Binding> bindings, bool discovers)
    {
        IPv4Address address = bindings[0].Address;
        PortsEntry before = _addresses[address], ports = before;
        if (before.Kind == PortsKind.None && MakesRow(bindings, out Psid like) && _slots.HasRoom(like.Length, _softwires.Count))
            ports = new PortsEntry { Kind = PortsKind.Row, At = (uint)_slots.Take(like.Length), Offset = (byte)like.Offset, Length = (byte)like.Length };
        bool inRow = ports.Kind == PortsKind.Row && bindings.All(b => b.Ports.Psid is not null);

        var added = new (PortSet Ports, uint Slot)[bindings.Count];
        int filled = 0;
        foreach (Binding binding in bindings)
        {
            if ((!inRow && !_slots.HasRoom(0, _softwires.Count)) || !_ends.TryIndex(binding.Prr, out ushort end)) break;
            int slot = inRow ? (int)ports.At + binding.Ports.Psid!.Value.Value : _slots.Take(0);
            added[filled++] = (binding.Ports, (uint)slot);
            Fill(slot, binding, end, FirstMtu(binding.PayloadMtu, discovers));
        }

        if (filled == added.Length && (inRow || _lists.TryAdd(ref ports, added)))
        {
            _addresses.Set(address, ports);
            if (before.Kind == PortsKind.Row && !inRow)
                for (uint slot = before.At; slot < before.At + (1u << before.Length); slot++)
                    if (!IsUsed(slot)) GiveBack(_slots, (int)slot, 0);
            return (int)added[^1].Slot;
        }

        // Nobody has been led to these.
        foreach ((_, uint slot) in added.AsSpan(0, filled))
        {
            Empty((int)slot);
            if (!inRow) _slots.Free((int)slot, 0);
        }

        if (inRow && before.Kind == PortsKind.None) _slots.Free((int)ports.At, ports.Length);
        return 0;
    }

    /// <summary>Whether bindings of one address are nearly all that its layout has.</summary>
    static bool MakesRow(List<Binding> bindings, out Psid like)
    {
        like = bindings[0].Ports.Psid ?? default;
        return PortLists.IsRow(bindings.Count, like.Length) && bindings.All(b => b.Ports.Psid is not null);
    }

    bool IsUsed(uint slot) => _softwires[(int)slot].Address != 0;

    void Fill(int slot, Binding binding, ushort end, int payloadMtu)
    {
        ref SoftwireEntry entry = ref _softwires[slot];
        Layout.BeginChange(ref entry.Sequence);
        entry.Address = NetworkAddress.Of(binding.Address);
        entry.PayloadMtu = (ushort)payloadMtu;
        entry.Prr = end;
        entry.NextHop = _nextHop(binding.Softwire);
        entry.Large = 0;
        entry.Smap = new NetworkAddress(binding.Softwire);
        Layout.EndChange(ref entry.Sequence);
    }

    void Empty(int slot)
    {
        ref SoftwireEntry entry = ref _softwires[slot];
        Layout.BeginChange(ref entry.Sequence);
        entry.Address = 0;
        entry.InPackets = entry.InOctets = entry.OutPackets = entry.OutOctets = 0;
        Layout.EndChange(ref entry.Sequence);
    }

    /// <summary>Follows a change of the table. Who has another binding than before goes on with the counters.</summary>
    public void Take(BindingChange change, bool discovers)
    {
        int old = change.Before is { } known ? Find(known) : 0;
        if (old != 0 && change is { Before: { } same, After: { } changed } && same.Address == changed.Address && same.Ports.Equals(changed.Ports) && _ends.TryIndex(changed.Prr, out ushort end))
        {
            Fill(old, changed, end, FirstMtu(changed.PayloadMtu, discovers));
            return;
        }

        SoftwireEntry counted = _softwires[old];
        if (change.Before is { } before) Remove(before, old);
        if (change.After is { } after && Add([after], discovers) is not 0 and var slot) _softwires[slot].TakeCounters(counted);
    }

    void Remove(Binding binding, int slot)
    {
        Rest();
        if (slot == 0)
        {
            LeftOut--;
            return;
        }

        Count--;
        PortsEntry ports = _addresses[binding.Address];
        if (ports.Kind == PortsKind.Row)
        {
            Empty(slot);
            for (uint other = ports.At; other < ports.At + (1u << ports.Length); other++)
                if (IsUsed(other)) return;
            _addresses.Set(binding.Address, default);
            GiveBack(_slots, (int)ports.At, ports.Length);
            return;
        }

        _lists.Remove(ref ports, binding.Ports, (uint)slot);
        _addresses.Set(binding.Address, ports);
        Empty(slot);
        GiveBack(_slots, slot, 0);
    }

    /// <summary>The slot of a binding; 0 where it was left out.</summary>
    public int Find(Binding binding) =>
        _lists.Find(_addresses[binding.Address], binding.Ports.Ranges.First().First) is not 0 and var slot && _softwires[(int)slot].Smap == new NetworkAddress(binding.Softwire) ? (int)slot : 0;

    public ref SoftwireEntry this[int slot] => ref _softwires[slot];

    /// <summary>Slots that may be in use.</summary>
    public int Top => _slots.Top;

    /// <summary>Sets what may go into a softwire without asking tier 1.</summary>
    public void SetMtu(int slot, int payloadMtu)
    {
        ref SoftwireEntry entry = ref _softwires[slot];
        if (entry.PayloadMtu == payloadMtu) return;
        Layout.BeginChange(ref entry.Sequence);
        entry.PayloadMtu = (ushort)payloadMtu;
        Layout.EndChange(ref entry.Sequence);
    }

    /// <summary>Finds the next hops of all softwires again.</summary>
    public void RefreshNextHops()
    {
        for (int slot = 0; slot < Top; slot++)
        {
            ref SoftwireEntry entry = ref _softwires[slot];
            if (entry.Address == 0 || _nextHop(entry.Smap.Address) is var next && next == entry.NextHop) continue;
            Layout.BeginChange(ref entry.Sequence);
            entry.NextHop = next;
            Layout.EndChange(ref entry.Sequence);
        }
    }

    const int RestMilliseconds = 100;

    /// <summary>What programs may still be reading rests a while before it is used again.</summary>
    void GiveBack(Blocks blocks, int start, int exponent)
    {
        if (IsRead) _resting.Enqueue((Environment.TickCount64 + RestMilliseconds, blocks, start, exponent));
        else blocks.Free(start, exponent);
    }

    void Rest()
    {
        while (_resting.TryPeek(out (long Until, Blocks Of, int Start, int Exponent) block) && Environment.TickCount64 >= block.Until)
        {
            _resting.Dequeue();
            block.Of.Free(block.Start, block.Exponent);
        }
    }

    /// <summary>
    /// Many changes at once may need what the first of them gave up: waits for it. False where nothing rests, or where some have been left out already: then the maps are too small, and each change would wait.
    /// </summary>
    bool AwaitRest()
    {
        if (LeftOut > 0 || !_resting.TryPeek(out (long Until, Blocks Of, int Start, int Exponent) first)) return false;
        Thread.Sleep((int)Math.Clamp(first.Until - Environment.TickCount64, 1, RestMilliseconds));
        Rest();
        return true;
    }

    public void Dispose()
    {
        _addresses.Dispose();
        _lists.Dispose();
        _softwires.Dispose();
    }
}
