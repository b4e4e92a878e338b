using APlusP.Core.Bindings;
using APlusP.Core.PortSets;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>
/// Whose slot a port of an address leads to, as programs find it. Where nearly all PSIDs of an address are given out together, their slots stand in a row; where many are, an index says which; else there are lists
/// of PSIDs and of ranges. A list is never changed in place: the new one is written elsewhere, and the address led there.
/// </summary>
sealed class PortLists(MappedArray<PlaceEntry> places) : IDisposable
{
    readonly Blocks _blocks = new();
    readonly List<PlaceEntry> _ranges = [], _psids = [];

    /// <summary>Told of what programs may still be reading: first place, exponent.</summary>
    public required Action<Blocks, int, int> GiveBack { get; init; }

    /// <summary>Whether a slot is somebody's: of a row some may not be.</summary>
    public required Func<uint, bool> IsUsed { get; init; }

    /// <summary>Whether so many PSIDs are worth slots in a row, which a program finds without looking further: at a million subscribers on the way to each the index costs 140 ns.</summary>
    public static bool IsRow(int psids, int length) => length > 0 && psids >= (1 << length) - (1 << length >> 3);

    /// <summary>An index takes half a place for each PSID that there can be, a list one for each that there is: it is an index from a quarter on.</summary>
    static bool IsIndex(int psids, int length) => psids > 1 && psids >= 1 << length >> 2;

    /// <summary>Places for an address with so many ranges and PSIDs.</summary>
    public static int PlacesFor(int ranges, int psids, int length) => (ranges, psids) switch
    {
        (0, <= 1) => 0,
        (0, _) when IsIndex(psids, length) => 1 << Blocks.ExponentFor((1 << length) + 1 >> 1),
        (_, 0) => 1 << Blocks.ExponentFor(ranges),
        _ => 1 << Blocks.ExponentFor(1 + ranges + psids),
    };

    /// <summary>The slot of a port; 0 where it is nobody's.</summary>
    public uint Find(PortsEntry ports, ushort port)
    {
        int psid = PsidOf(ports, port), at = (int)ports.At;
        switch (ports.Kind)
        {
            case PortsKind.One: return psid == ports.What ? ports.At : 0;
            case PortsKind.Row: return psid < 0 ? 0 : ports.At + (uint)psid;
            case PortsKind.Index: return psid < 0 ? 0 : IndexAt(ports, psid);
            case PortsKind.Ranges: return Search(at, ports.What, port);
            case PortsKind.Lists:
                PlaceEntry lengths = places[at];
                uint slot = Search(at + 1, (int)lengths.Ranges, port);
                return slot != 0 || psid < 0 ? slot : Search(at + 1 + (int)lengths.Ranges, (int)lengths.Psids, (ushort)psid);
            default: return 0;
        }
    }

    /// <summary>RFC 7597 section 5.1; -1 in the block that no PSID has.</summary>
    static int PsidOf(PortsEntry ports, ushort port)
    {
        if (ports.Length == 0) return 0;
        return ports.Offset > 0 && port >> 16 - ports.Offset == 0 ? -1 : port >> 16 - ports.Offset - ports.Length & (1 << ports.Length) - 1;
    }

    uint Search(int start, int count, ushort wanted)
    {
        int low = start;
        for (int left = count; left > 1;)
        {
            int half = left >> 1;
            if (places[low + half].First <= wanted) low += half;
            left -= half;
        }

        return count > 0 && places[low] is var found && wanted >= found.First && wanted <= found.Last ? found.Slot : 0;
    }

    ref uint IndexAt(PortsEntry ports, int psid)
    {
        ref PlaceEntry place = ref places[(int)ports.At + (psid >> 1)];
        return ref (psid & 1) != 0 ? ref place.Odd : ref place.Even;
    }

    /// <summary>Divides an address anew: with these port sets beside those that it has. False where there is no room; nothing has changed then.</summary>
    /// <param name="ports">As it is and as it will be; programs see it when the caller says so.</param>
    /// <param name="added">Port sets of the address that contradict none, and their slots.</param>
    public bool TryAdd(ref PortsEntry ports, ReadOnlySpan<(PortSet Ports, uint Slot)> added)
    {
        // By far the most common: another PSID of an address that has many.
        if (ports.Kind == PortsKind.Index && added is [{ Ports.Psid: { } known, Slot: var slot }])
        {
            Volatile.Write(ref IndexAt(ports, known.Value), slot);
            return true;
        }

        PortsEntry next = ports;
        Decode(ports);
        foreach ((PortSet set, uint its) in added)
        {
            if (!set.IsByPsid)
            {
                foreach (PortRange range in set.Ranges) _ranges.Add(new PlaceEntry { First = range.First, Last = range.Last, Slot = its });
                continue;
            }

            ushort psid = (ushort)(set.Psid?.Value ?? 0);
            (next.Offset, next.Length) = ((byte)(set.Psid?.Offset ?? 0), (byte)(set.Psid?.Length ?? 0));
            _psids.Add(new PlaceEntry { First = psid, Last = psid, Slot = its });
        }

        if (!TryEncode(ref next)) return false;
        Free(ports);
        ports = next;
        return true;
    }

    /// <summary>Divides an address anew, without what leads to this slot. Where even a shorter list has no room, the old one stays, and leads nowhere there.</summary>
    public void Remove(ref PortsEntry ports, PortSet set, uint slot)
    {
        if (ports.Kind == PortsKind.Index)
        {
            Volatile.Write(ref IndexAt(ports, set.Psid!.Value.Value), 0);
            for (int psid = 0; psid < 1 << ports.Length; psid++)
                if (IndexAt(ports, psid) != 0) return;
        }

        for (int i = 0; i < CountOf(ports); i++)
        {
            ref PlaceEntry place = ref places[(int)ports.At + i];
            if (ports.Kind != PortsKind.Index && !(ports.Kind == PortsKind.Lists && i == 0) && place.Slot == slot) Volatile.Write(ref place.Slot, 0);
        }

        PortsEntry next = ports;
        Decode(ports);
        if (ports.Kind == PortsKind.One) _psids.Clear();
        if (!TryEncode(ref next)) return;
        Free(ports);
        ports = next;
    }

    /// <summary>Gives back what an address has.</summary>
    public void Free(PortsEntry ports)
    {
        if (CountOf(ports) is > 0 and var count) GiveBack(_blocks, (int)ports.At, Blocks.ExponentFor(count));
    }

    /// <summary>Places that an address has.</summary>
    int CountOf(PortsEntry ports) => ports.Kind switch
    {
        PortsKind.Index => (1 << ports.Length) + 1 >> 1,
        PortsKind.Ranges => ports.What,
        PortsKind.Lists => 1 + (int)places[(int)ports.At].Ranges + (int)places[(int)ports.At].Psids,
        _ => 0,
    };

    void Decode(PortsEntry ports)
    {
        _ranges.Clear();
        _psids.Clear();
        int at = (int)ports.At;
        switch (ports.Kind)
        {
            case PortsKind.One:
                _psids.Add(new PlaceEntry { First = ports.What, Last = ports.What, Slot = ports.At });
                break;
            case PortsKind.Row:
                for (uint psid = 0; psid < 1u << ports.Length; psid++)
                    if (IsUsed(ports.At + psid)) _psids.Add(new PlaceEntry { First = (ushort)psid, Last = (ushort)psid, Slot = ports.At + psid });
                break;
            case PortsKind.Index:
                for (int psid = 0; psid < 1 << ports.Length; psid++)
                    if (IndexAt(ports, psid) is not 0 and var slot) _psids.Add(new PlaceEntry { First = (ushort)psid, Last = (ushort)psid, Slot = slot });
                break;
            case PortsKind.Ranges:
                for (int i = 0; i < ports.What; i++) _ranges.Add(places[at + i]);
                break;
            case PortsKind.Lists:
                PlaceEntry lengths = places[at];
                for (int i = 0; i < lengths.Ranges; i++) _ranges.Add(places[at + 1 + i]);
                for (int i = 0; i < lengths.Psids; i++) _psids.Add(places[at + 1 + (int)lengths.Ranges + i]);
                break;
        }

        _ranges.RemoveAll(r => r.Slot == 0);
        _psids.RemoveAll(p => p.Slot == 0);
    }

    bool TryEncode(ref PortsEntry ports)
    {
        int needed = PlacesFor(_ranges.Count, _psids.Count, ports.Length), exponent = Blocks.ExponentFor(needed), at = 0;
        if (_ranges.Count > ushort.MaxValue) return false;
        if (needed > 0)
        {
            if (!_blocks.HasRoom(exponent, places.Count)) return false;
            ports.At = (uint)(at = _blocks.Take(exponent));
        }

        _ranges.Sort((a, b) => a.First.CompareTo(b.First));
        _psids.Sort((a, b) => a.First.CompareTo(b.First));
        ports.What = 0;
        if (_psids.Count == 0) (ports.Offset, ports.Length) = (0, 0);
        if (_ranges.Count + _psids.Count == 0)
        {
            ports = default;
        }
        else if (_psids.Count == 0)
        {
            (ports.Kind, ports.What) = (PortsKind.Ranges, (ushort)_ranges.Count);
            foreach (PlaceEntry range in _ranges) places[at++] = range;
        }
        else if (_ranges.Count > 0 || (_psids.Count > 1 && !IsIndex(_psids.Count, ports.Length)))
        {
            ports.Kind = PortsKind.Lists;
            places[at++] = new PlaceEntry { Ranges = (uint)_ranges.Count, Psids = (uint)_psids.Count };
            foreach (PlaceEntry range in _ranges) places[at++] = range;
            foreach (PlaceEntry psid in _psids) places[at++] = psid;
        }
        else if (_psids.Count == 1)
        {
            (ports.Kind, ports.At, ports.What) = (PortsKind.One, _psids[0].Slot, _psids[0].First);
        }
        else
        {
            ports.Kind = PortsKind.Index;
            for (int i = 0; i < needed; i++) places[at + i] = default;
            foreach (PlaceEntry psid in _psids) IndexAt(ports, psid.First) = psid.Slot;
        }

        return true;
    }

    public void Dispose() => places.Dispose();
}
