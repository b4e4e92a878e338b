using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Bindings;

/// <summary>
/// PSID sets of an address: a list of those in use while they are few, so that a million addresses with one subscriber each take what they hold; then 2^k
/// slots in a row, where the PSID itself says which. An address goes from the first to the second once, when a quarter of its PSIDs are taken, and back when its last subscriber has left.
/// A small table has rows from the start: they take little there, and a search in a list takes longer than all else that a lookup does.
/// </summary>
public sealed partial class BindingTable
{
    const int ListedPart = 4;

    /// <summary>Up to so many slots, 1.5 MB, a table is small.</summary>
    const int SmallTable = 1 << 16;

    // Slots only ever become more: what was to be a row when room was reserved may be a list then, never the other way round.
    bool StaysListed(int users, int length) => users < (1 << length) / ListedPart && _state.Softwires.Length + (1 << length) > SmallTable;

    /// <summary>The PSIDs in use of an address, and their slots. The head of the list counts them, and knows its room.</summary>
    Span<RangeRecord> ListOf(in AddressRecord record) => _state.Ranges.AsSpan(record.List + 1, _state.Ranges[record.List].First);

    /// <summary>The slot of a PSID of the address, or <see cref="NoSlot"/>; where the slots lie in a row it may be an empty one.</summary>
    int SlotOf(in AddressRecord record, int psid)
    {
        if (!record.IsListed) return record.SlotBase + psid;
        ReadOnlySpan<RangeRecord> list = ListOf(record);
        int at = LowerBound(list, (ushort)psid);
        return at < list.Length && list[at].First == psid ? list[at].Slot : NoSlot;
    }

    /// <summary>The PSID of a slot of the address; -1 where the slot is that of ranges.</summary>
    int PsidAt(in AddressRecord record, int slot)
    {
        if (record.HoldsSlot(slot)) return slot - record.SlotBase;
        if (!record.IsListed) return -1;
        foreach (RangeRecord there in ListOf(record))
            if (there.Slot == slot) return there.First;
        return -1;
    }

    List<(int Psid, int Slot)> PsidsOf(in AddressRecord record)
    {
        var psids = new List<(int, int)>();
        if (record.IsListed)
            foreach (RangeRecord there in ListOf(record)) psids.Add((there.First, there.Slot));
        for (int slot = record.SlotBase; record.HoldsSlot(slot); slot++)
            if (Taken(slot, NoSlot)) psids.Add((slot - record.SlotBase, slot));
        return psids;
    }

    int FirstUser(in AddressRecord record, int except)
    {
        foreach ((_, int slot) in PsidsOf(record))
            if (slot != except) return slot;
        return NoSlot;
    }

    /// <summary>Room for a PSID set, whether or not the binding that it replaces is one of the same address.</summary>
    void ReservePsid(Binding binding)
    {
        (int offset, int length) = binding.Ports.Psid is { } psid ? (psid.Offset, psid.Length) : (0, 0);
        int index = _state.FindAddress(binding.Address), users = 1;
        bool inRow = false;
        if (index >= 0)
        {
            ref readonly AddressRecord record = ref _state.Addresses[index];
            users += _psidUsers[index];
            inRow = record.HasPsid && !record.IsListed && record.Offset == offset && record.Length == length;
        }

        bool listed = !inRow && StaysListed(users, length);
        ReserveSlots(inRow || listed ? 1 : 1 << length);
        ReserveRanges(1 + (listed ? users : 1));
    }

    // ---- Within a change

    /// <param name="record">The address.</param>
    /// <param name="ports">A PSID set.</param>
    /// <param name="users">PSID sets of the address, with this one.</param>
    /// <returns>Its slot.</returns>
    int TakePsid(ref AddressRecord record, PortSet ports, int users)
    {
        (int length, int psid) = ports.Psid is { } by ? (by.Length, by.Value) : (0, 0);
        if (!record.HasPsid) record.SetPsidLayout(ports, StaysListed(users, length) ? ~NewList(exponent: 1, []) : _slotBlocks.Take(length));
        else if (record.IsListed && !StaysListed(users, length)) LayOut(ref record);
        return record.IsListed ? AddToList(ref record, psid) : record.SlotBase + psid;
    }

    /// <summary>The head of a list with room for 2^exponent - 1.</summary>
    int NewList(int exponent, ReadOnlySpan<RangeRecord> psids)
    {
        int list = _rangeBlocks.Take(exponent);
        _state.Ranges[list] = new RangeRecord { First = (ushort)psids.Length, Last = (ushort)exponent };
        psids.CopyTo(_state.Ranges.AsSpan(list + 1));
        return list;
    }

    int AddToList(ref AddressRecord record, int psid)
    {
        Span<RangeRecord> old = ListOf(record);
        int count = old.Length, room = _state.Ranges[record.List].Last;
        if (count + 2 > 1 << room)
        {
            int grown = NewList(room + 1, old);
            _rangeBlocks.Free(record.List, room);
            record.SlotBase = ~grown;
        }

        _state.Ranges[record.List].First++;
        Span<RangeRecord> list = ListOf(record);
        int at = LowerBound(list[..count], (ushort)psid), slot = _slotBlocks.Take(0);
        list[at..count].CopyTo(list[(at + 1)..]);
        list[at] = new RangeRecord { First = (ushort)psid, Last = (ushort)psid, Slot = slot };
        return slot;
    }

    /// <summary>From the list into slots in a row.</summary>
    void LayOut(ref AddressRecord record)
    {
        int row = _slotBlocks.Take(record.Length);
        foreach (RangeRecord there in ListOf(record))
        {
            Move(there.Slot, row + there.First);
            _slotBlocks.Free(there.Slot, 0);
        }

        FreeList(record);
        record.SlotBase = row;
    }

    void Move(int slot, int to)
    {
        int at = BindingTableState.Hash(_state.Softwires[slot], _state.Slots.Length);
        while (BindingTableState.SlotOf(_state.Slots[at]) != slot) at = at + 1 & _state.Slots.Length - 1;
        _state.Slots[at] = BindingTableState.EntryOf(_state.Softwires[slot], to);
        (_state.Softwires[to], _state.Softwires[slot]) = (_state.Softwires[slot], IPv6Address.Unspecified);
        (_state.Ends[to], _state.Ends[slot]) = (_state.Ends[slot], default);
    }

    void FreeList(in AddressRecord record) => _rangeBlocks.Free(record.List, _state.Ranges[record.List].Last);

    /// <param name="record">The address.</param>
    /// <param name="psid">Of a subscriber who has left.</param>
    /// <param name="slot">Its slot, which is empty.</param>
    /// <param name="users">PSID sets of the address, without this one.</param>
    void GivePsidBack(ref AddressRecord record, int psid, int slot, int users)
    {
        if (record.IsListed)
        {
            Span<RangeRecord> list = ListOf(record);
            int at = LowerBound(list, (ushort)psid);
            list[(at + 1)..].CopyTo(list[at..]);
            _state.Ranges[record.List].First--;
            _slotBlocks.Free(slot, 0);
        }

        if (users > 0) return;
        if (record.IsListed) FreeList(record);
        else _slotBlocks.Free(record.SlotBase, record.Length);
        record.ClearPsidLayout();
    }
}
