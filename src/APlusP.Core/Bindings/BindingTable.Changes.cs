using System.Numerics;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Bindings;

/// <summary>
/// Changes. Each is the same story: <see cref="Check"/> refuses without touching anything, <see cref="Reserve"/> makes room and
/// publishes grown arrays, and then a <see cref="Change"/> does its few stores, which cannot fail.
/// </summary>
public sealed partial class BindingTable
{
    const int NoSlot = -1;

    readonly Lock _writing = new();
    readonly Blocks _slotBlocks = new();
    readonly Blocks _rangeBlocks = new();
    readonly PrrEnds _prrs = new();

    // PSID sets in use by record of Addresses; readers have no use for it.
    int[] _psidUsers = new int[16];
    int _addresses;
    int _count;

    /// <summary>
    /// Tells of every binding that was added, changed or removed, when lookups see it already. Told on the thread that makes the
    /// change, before the next one: whoever mirrors the table begins to listen and then reads <see cref="Bindings"/> on that thread, and misses nothing. A listener
    /// must not throw, nor change the table. Rules are not bindings: <see cref="RulesChanged"/> tells of them.
    /// </summary>
    public event Action<BindingChange>? Changed;

    /// <summary>Tells, as <see cref="Changed"/> does, that <see cref="Rules"/> are others now.</summary>
    public event Action? RulesChanged;

    /// <summary>Bindings in the table.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>
    /// Every binding, equal to what was added, in no particular order. Each address is told as it is when the enumeration gets there, so changes
    /// meanwhile may or may not show.
    /// </summary>
    public IEnumerable<Binding> Bindings
    {
        get
        {
            foreach (IPv4Address address in Addresses)
            {
                foreach (Binding binding in BindingsAt(address)) yield return binding;
            }
        }
    }

    /// <summary>The bindings of one address, as <see cref="Bindings"/> tells them.</summary>
    public IReadOnlyList<Binding> BindingsAt(IPv4Address address)
    {
        lock (_writing) return BindingsOf(address);
    }

    /// <summary>Adds a binding.</summary>
    /// <exception cref="APlusPException">AP1003: it contradicts another, which the message names, or cannot be a binding. Nothing has changed.</exception>
    public void Add(Binding binding)
    {
        lock (_writing)
        {
            Check(binding, except: NoSlot);
            Reserve(binding);
            using (new Change(this)) Insert(binding);
            Changed?.Invoke(new BindingChange(null, binding));
        }
    }

    /// <summary>Gives the subscriber at <see cref="Binding.Softwire"/> another address, port set, PRR or MTU, all at once.</summary>
    /// <exception cref="APlusPException">AP1003: as for <see cref="Add"/>, or nobody has this softwire. Nothing has changed.</exception>
    public void Replace(Binding binding)
    {
        lock (_writing)
        {
            int slot = _state.FindSlot(binding.Softwire);
            if (slot < 0) throw Refuse($"{Name(binding)} cannot replace a binding, because no binding has this softwire; add it instead.");
            Check(binding, except: slot);
            Reserve(binding);
            Binding? before = Changed is null ? null : BindingAt(slot);
            using (new Change(this))
            {
                Delete(slot);
                Insert(binding);
            }

            Changed?.Invoke(new BindingChange(before, binding));
        }
    }

    /// <summary>Removes the binding of a softwire. False where there is none.</summary>
    public bool Remove(IPv6Address softwire)
    {
        lock (_writing)
        {
            int slot = _state.FindSlot(softwire);
            if (slot < 0) return false;
            Binding? before = Changed is null ? null : BindingAt(slot);
            using (new Change(this)) Delete(slot);
            Changed?.Invoke(new BindingChange(before, null));
            return true;
        }
    }

    /// <summary>From construction to disposal readers wait or start again.</summary>
    readonly ref struct Change : IDisposable
    {
        readonly BindingTable _table;

        public Change(BindingTable table)
        {
            _table = table;
            Interlocked.Increment(ref table._version);
        }

        public void Dispose() => Interlocked.Increment(ref _table._version);
    }

    // ---- Check

    /// <param name="binding">The new one.</param>
    /// <param name="except">The slot of a binding that the new one replaces.</param>
    void Check(Binding binding, int except)
    {
        if (!binding.Softwire.IsUnicast) throw Refuse($"{Name(binding)} cannot be: a softwire needs a unicast IPv6 address.");
        if (!binding.Prr.IsUnicast) throw Refuse($"{Name(binding)} cannot be: its PRR end {binding.Prr} is not a unicast IPv6 address.");
        if (!binding.Address.IsUnicast) throw Refuse($"{Name(binding)} cannot be: {binding.Address} is not an address that a host can have.");
        if (binding.PayloadMtu is < 68 or > ushort.MaxValue)
            throw Refuse($"{Name(binding)} cannot be: the payload MTU {binding.PayloadMtu} is not from 68 (RFC 791) to 65535.");
        if (!_prrs.HasRoomFor(binding.Prr)) throw Refuse($"{Name(binding)} has no room: {PrrEnds.Limit} PRR addresses are in use already.");
        if (except == NoSlot && _state.FindSlot(binding.Softwire) is var same and >= 0)
            throw Refuse($"Two bindings have the same softwire: {Name(binding)}, and {Name(BindingAt(same))}. Give each subscriber an IPv6 address of its own.");
        int index = _state.FindAddress(binding.Address);
        if (index < 0) return;
        ref readonly AddressRecord record = ref _state.Addresses[index];
        if (FindOverlap(record, binding.Ports, except) is var taken and not NoSlot) throw Overlapping(binding, BindingAt(taken));
        if (binding.Ports.Psid is { } psid && record.HasPsid && (psid.Offset != record.Offset || psid.Length != record.Length)
            && FirstUser(record, except) is var other and not NoSlot)
            throw Refuse($"Two bindings divide one address differently: {Name(binding)}, and {Name(BindingAt(other))}. All PSID sets of an address need the same offset and length.");
    }

    /// <summary>The slot of a binding that has one of these ports of the address.</summary>
    int FindOverlap(in AddressRecord record, PortSet ports, int except)
    {
        if (ports.Psid is { } psid && FindRangeIn(record, psid, except) is var inPsid and not NoSlot) return inPsid;
        if (ports.Psid is { } own && record.HasPsid && own.Offset == record.Offset && own.Length == record.Length)
            return SlotOf(record, own.Value) is var same and not NoSlot && Taken(same, except) ? same : NoSlot;
        foreach (PortRange range in ports.Ranges)
        {
            // Ranges of a PSID set were compared with those of the address above.
            if (ports.Psid is null && FindRange(record, range, except) is var inRange and not NoSlot) return inRange;
            if (record.HasPsid && FindPsid(record, range, except) is var inLayout and not NoSlot) return inLayout;
        }

        return NoSlot;
    }

    int FindRangeIn(in AddressRecord record, Psid psid, int except)
    {
        foreach (RangeRecord there in RangesOf(record))
            if (there.Slot != except && psid.Overlaps(new PortRange(there.First, there.Last))) return there.Slot;
        return NoSlot;
    }

    int FindRange(in AddressRecord record, PortRange range, int except)
    {
        ReadOnlySpan<RangeRecord> there = RangesOf(record);
        for (int i = LowerBound(there, range.First); i < there.Length && there[i].First <= range.Last; i++)
            if (there[i].Slot != except) return there[i].Slot;
        return NoSlot;
    }

    /// <summary>The first range that ends at the port or after it.</summary>
    static int LowerBound(ReadOnlySpan<RangeRecord> ranges, ushort port)
    {
        int low = 0, high = ranges.Length;
        while (low < high)
        {
            int middle = low + high >>> 1;
            if (ranges[middle].Last < port) low = middle + 1;
            else high = middle;
        }

        return low;
    }

    int FindPsid(in AddressRecord record, PortRange range, int except)
    {
        int step = 1 << 16 - record.Offset - record.Length;
        for (int port = range.First; port <= range.Last; port = (port & -step) + step)
        {
            int psid = record.Length == 0 ? 0 : record.PsidOf((ushort)port);
            if (psid >= 0 && SlotOf(record, psid) is var slot and not NoSlot && Taken(slot, except)) return slot;
        }

        return NoSlot;
    }

    bool Taken(int slot, int except) => slot != except && _state.Softwires[slot] != IPv6Address.Unspecified;

    static APlusPException Overlapping(Binding added, Binding there)
    {
        added.Ports.TryFindCommon(there.Ports, out ushort port);
        string what = added.Ports.IsWholeAddress || there.Ports.IsWholeAddress ? "A whole address cannot be shared" : $"Two bindings have port {port}";
        return Refuse($"{what}: {Name(added)}, and {Name(there)}. Give each subscriber of an address ports of its own.");
    }

    static APlusPException Refuse(string message) => new(ErrorCodes.BindingConflict, message);

    static string Name(Binding binding) =>
        $"{binding.Address} ports {(binding.Ports.IsWholeAddress ? "all" : binding.Ports)} for softwire {binding.Softwire}";

    // ---- Reserve

    /// <summary>Grows what may become too small. More than needed now and then: what <see cref="Delete"/> frees is not counted.</summary>
    void Reserve(Binding binding)
    {
        if ((_addresses + 1) * 2 > _state.Addresses.Length) GrowAddresses();
        if ((_count + 1) * 2 > _state.Slots.Length) GrowSlots();
        if (binding.Ports.IsByPsid) ReservePsid(binding);
        else
        {
            ReserveSlots(1);
            ReserveRangesOf(binding);
        }

        if (_prrs.Reserve(binding.Prr) > _state.Prrs.Length) Publish(_state.With(prrs: Grown(_state.Prrs, _prrs.Reserve(binding.Prr))));
    }

    void GrowAddresses()
    {
        AddressRecord[] old = _state.Addresses;
        var grown = new AddressRecord[old.Length * 2];
        int[] users = new int[grown.Length];
        for (int i = 0; i < old.Length; i++)
        {
            if (old[i].Address == 0) continue;
            uint at = BindingTableState.Hash(new IPv4Address(old[i].Address), grown.Length);
            while (grown[at].Address != 0) at = at + 1 & (uint)grown.Length - 1;
            grown[at] = old[i];
            users[at] = _psidUsers[i];
        }

        _psidUsers = users;
        Publish(_state.With(addresses: grown));
    }

    void GrowSlots()
    {
        uint[] grown = new uint[_state.Slots.Length * 2];
        foreach (uint entry in _state.Slots)
        {
            if (entry == 0) continue;
            int at = BindingTableState.Hash(_state.Softwires[BindingTableState.SlotOf(entry)], grown.Length);
            while (grown[at] != 0) at = at + 1 & grown.Length - 1;
            grown[at] = entry;
        }

        Publish(_state.With(slots: grown));
    }

    void ReserveSlots(int slots)
    {
        int needed = checked(_slotBlocks.Top + slots);
        if (needed <= _state.Softwires.Length) return;
        if (needed > BindingTableState.MaxSlots) throw Refuse($"The binding table is full: it holds {BindingTableState.MaxSlots} slots.");
        Publish(_state.With(softwires: Grown(_state.Softwires, needed), ends: Grown(_state.Ends, needed)));
    }

    void ReserveRangesOf(Binding binding)
    {
        int index = _state.FindAddress(binding.Address);
        int there = index < 0 ? 0 : _state.Addresses[index].RangeCount;
        ReserveRanges(there + binding.Ports.Ranges.Count());
    }

    void ReserveRanges(int ranges)
    {
        int needed = checked(_rangeBlocks.Top + (1 << Blocks.ExponentFor(ranges)));
        if (needed > _state.Ranges.Length) Publish(_state.With(ranges: Grown(_state.Ranges, needed)));
    }

    /// <summary>Half as large again, or as needed.</summary>
    static T[] Grown<T>(T[] array, int needed)
    {
        var grown = new T[Math.Max(needed, array.Length + array.Length / 2)];
        array.CopyTo(grown, 0);
        return grown;
    }

    void Publish(BindingTableState state) => Volatile.Write(ref _state, state);

    // ---- Insert and delete, within a change

    void Insert(Binding binding)
    {
        int index = FindOrAddAddress(binding.Address);
        ref AddressRecord record = ref _state.Addresses[index];
        int slot;
        if (binding.Ports.IsByPsid)
        {
            slot = TakePsid(ref record, binding.Ports, ++_psidUsers[index]);
        }
        else
        {
            slot = _slotBlocks.Take(0);
            PortRange[] ranges = [.. binding.Ports.Ranges];
            MakeRoomForRanges(ref record, ranges.Length);
            InsertRanges(ref record, ranges, slot);
        }

        FillSlot(slot, binding);
        _count++;
    }

    int FindOrAddAddress(IPv4Address address)
    {
        AddressRecord[] records = _state.Addresses;
        uint at = BindingTableState.Hash(address, records.Length);
        while (records[at].Address != 0 && records[at].Address != address.Value) at = at + 1 & (uint)records.Length - 1;
        if (records[at].Address == 0)
        {
            records[at] = new AddressRecord { Address = address.Value };
            _addresses++;
            _state.LowestAddress = Math.Min(_state.LowestAddress, address.Value);
            _state.HighestAddress = Math.Max(_state.HighestAddress, address.Value);
        }

        return (int)at;
    }

    void MakeRoomForRanges(ref AddressRecord record, int added)
    {
        int exponent = Blocks.ExponentFor(record.RangeCount + added);
        if (record.RangeCount > 0 && exponent <= record.RangeClass) return;
        int block = _rangeBlocks.Take(exponent);
        if (record.RangeCount > 0)
        {
            RangesOf(record).CopyTo(_state.Ranges.AsSpan(block));
            _rangeBlocks.Free(record.RangeBase, record.RangeClass);
        }

        record.RangeBase = block;
        record.RangeClass = exponent;
    }

    /// <summary>
    /// Goes from the last to the first, so that each range that is there moves once, to its final place: a home may have a thousand ranges between those of
    /// sixty others.
    /// </summary>
    void InsertRanges(ref AddressRecord record, ReadOnlySpan<PortRange> added, int slot)
    {
        int there = record.RangeCount;
        record.RangeCount += added.Length;
        Span<RangeRecord> ranges = RangesOf(record);
        for (int left = added.Length; left > 0; left--)
        {
            PortRange range = added[left - 1];
            int at = LowerBound(ranges[..there], range.First);
            ranges[at..there].CopyTo(ranges[(at + left)..]);
            ranges[at + left - 1] = new RangeRecord { First = range.First, Last = range.Last, Slot = slot };
            there = at;
        }
    }

    void FillSlot(int slot, Binding binding)
    {
        var ends = new SlotEnds { Address = binding.Address.Value, Prr = _prrs.Use(binding.Prr), PayloadMtu = (ushort)binding.PayloadMtu };
        _state.Prrs[ends.Prr] = binding.Prr;
        _state.Ends[slot] = ends;
        _state.Softwires[slot] = binding.Softwire;
        if (_count == 0)
        {
            _state.MixedEnds = false;
            _state.CommonEnds = ends;
        }
        else if (ends.Prr != _state.CommonEnds.Prr || ends.PayloadMtu != _state.CommonEnds.PayloadMtu) _state.MixedEnds = true;

        int at = BindingTableState.Hash(binding.Softwire, _state.Slots.Length);
        while (_state.Slots[at] != 0) at = at + 1 & _state.Slots.Length - 1;
        _state.Slots[at] = BindingTableState.EntryOf(binding.Softwire, slot);
    }

    void Delete(int slot)
    {
        int index = _state.FindAddress(new IPv4Address(_state.Ends[slot].Address));
        EmptySlot(slot);
        ref AddressRecord record = ref _state.Addresses[index];
        if (PsidAt(record, slot) is var psid and >= 0) GivePsidBack(ref record, psid, slot, --_psidUsers[index]);
        else
        {
            DeleteRanges(ref record, slot);
            _slotBlocks.Free(slot, 0);
        }

        if (record.IsUnused) DeleteAddress(index);
        _count--;
    }

    void EmptySlot(int slot)
    {
        DeleteFromSlots(slot);
        _prrs.Release(_state.Prrs[_state.Ends[slot].Prr]);
        _state.Softwires[slot] = IPv6Address.Unspecified;
        _state.Ends[slot] = default;
    }

    void DeleteRanges(ref AddressRecord record, int slot)
    {
        Span<RangeRecord> ranges = RangesOf(record);
        int kept = 0;
        foreach (RangeRecord range in ranges)
            if (range.Slot != slot) ranges[kept++] = range;
        record.RangeCount = kept;
        if (kept > 0) return;
        _rangeBlocks.Free(record.RangeBase, record.RangeClass);
        record.RangeClass = 0;
        record.RangeBase = 0;
    }

    /// <summary>Open addressing without tombstones: whatever would not be found across the gap moves into it (Knuth 6.4, algorithm R).</summary>
    void DeleteAddress(int index)
    {
        AddressRecord[] records = _state.Addresses;
        int mask = records.Length - 1, gap = index;
        for (int at = gap + 1 & mask; records[at].Address != 0; at = at + 1 & mask)
        {
            int home = (int)BindingTableState.Hash(new IPv4Address(records[at].Address), records.Length);
            if ((at - home & mask) < (at - gap & mask)) continue;
            records[gap] = records[at];
            _psidUsers[gap] = _psidUsers[at];
            gap = at;
        }

        records[gap] = default;
        _psidUsers[gap] = 0;
        _addresses--;
    }

    /// <summary>As <see cref="DeleteAddress"/>. The slot still holds its softwire.</summary>
    void DeleteFromSlots(int slot)
    {
        uint[] slots = _state.Slots;
        int mask = slots.Length - 1, gap = BindingTableState.Hash(_state.Softwires[slot], slots.Length);
        while (BindingTableState.SlotOf(slots[gap]) != slot) gap = gap + 1 & mask;
        for (int at = gap + 1 & mask; slots[at] != 0; at = at + 1 & mask)
        {
            int home = BindingTableState.Hash(_state.Softwires[BindingTableState.SlotOf(slots[at])], slots.Length);
            if ((at - home & mask) < (at - gap & mask)) continue;
            slots[gap] = slots[at];
            gap = at;
        }

        slots[gap] = 0;
    }

    // ---- Bindings as they went in

    Span<RangeRecord> RangesOf(in AddressRecord record) => _state.Ranges.AsSpan(record.RangeBase, record.RangeCount);

    List<Binding> BindingsOf(IPv4Address address)
    {
        var bindings = new List<Binding>();
        int index = _state.FindAddress(address);
        if (index < 0) return bindings;
        ref readonly AddressRecord record = ref _state.Addresses[index];
        foreach ((int psid, int slot) in PsidsOf(record)) bindings.Add(Compose(slot, record.PsidSet(psid)));
        var ranges = new Dictionary<int, List<PortRange>>();
        foreach (RangeRecord range in RangesOf(record))
        {
            if (!ranges.TryGetValue(range.Slot, out List<PortRange>? own)) ranges.Add(range.Slot, own = []);
            own.Add(new PortRange(range.First, range.Last));
        }

        foreach ((int slot, List<PortRange> own) in ranges) bindings.Add(Compose(slot, PortSet.FromRanges(own)));
        return bindings;
    }

    Binding BindingAt(int slot)
    {
        AddressRecord record = _state.Addresses[_state.FindAddress(new IPv4Address(_state.Ends[slot].Address))];
        if (PsidAt(record, slot) is var psid and >= 0) return Compose(slot, record.PsidSet(psid));
        var own = new List<PortRange>();
        foreach (RangeRecord range in RangesOf(record))
            if (range.Slot == slot) own.Add(new PortRange(range.First, range.Last));
        return Compose(slot, PortSet.FromRanges(own));
    }

    Binding Compose(int slot, PortSet ports)
    {
        SlotEnds ends = _state.Ends[slot];
        return new Binding(new IPv4Address(ends.Address), ports, _state.Softwires[slot], _state.Prrs[ends.Prr], ends.PayloadMtu);
    }

    // ---- Writer's books

    /// <summary>Numbers for the few PRR addresses, counted by use.</summary>
    sealed class PrrEnds
    {
        public const int Limit = ushort.MaxValue + 1;

        readonly Dictionary<IPv6Address, (ushort Number, int Users)> _ends = [];
        readonly Stack<ushort> _free = new();
        int _top;

        public bool HasRoomFor(IPv6Address prr) => _ends.ContainsKey(prr) || _free.Count > 0 || _top < Limit;

        /// <summary>Places that the array of PRR ends needs for one more.</summary>
        public int Reserve(IPv6Address prr) => _ends.ContainsKey(prr) || _free.Count > 0 ? _top : _top + 1;

        public ushort Use(IPv6Address prr)
        {
            if (!_ends.TryGetValue(prr, out (ushort Number, int Users) end))
                end = (_free.Count > 0 ? _free.Pop() : (ushort)_top++, 0);
            _ends[prr] = end with { Users = end.Users + 1 };
            return end.Number;
        }

        public void Release(IPv6Address prr)
        {
            (ushort number, int users) = _ends[prr];
            if (users > 1)
            {
                _ends[prr] = (number, users - 1);
                return;
            }

            _ends.Remove(prr);
            _free.Push(number);
        }
    }
}
