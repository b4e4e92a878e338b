using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Bindings;

/// <summary>
/// The arrays that lookups read. Growing one makes a new state that shares the others, so a reader keeps a whole one by holding a
/// reference.
/// </summary>
/// <remarks>
/// <code>
///  Addresses (open addressing, 16 octets a record)
///  | address | slot base | range base | a, k, ranges, room |
///                 |            |
///                 |            '--> Ranges | first, last, slot | first, last, slot | ...   ascending, of one address
///                 v                                       |
///  Softwires | psid 0 | psid 1 | ... | psid 2^k-1 |  ...  | slot |      16 octets a slot
///
///  few of the PSIDs in use:    ~slot base --> Ranges | count, room | psid, psid, slot | psid, psid, slot | ...
///  Ends      | address, PRR, payload MTU |                              8 octets a slot
///  Slots     softwire -> slot, open addressing
/// </code>
/// A lookup may run while a writer moves things about: it reads nonsense then, which its caller notices by the version and does again.
/// Hence every index that was read from an array is checked before it is used, and every loop ends by itself.
/// </remarks>
sealed class BindingTableState
{
    /// <summary>What <see cref="Locate"/> says where there is no slot.</summary>
    public const int NotShared = -1, NoBinding = -2;

    /// <summary>Set in what <see cref="Locate"/> gives where the subscriber has the whole address.</summary>
    public const int WholeAddress = 1 << 30;

    const int SlotBits = 27;

    /// <summary>Slots that a table can have.</summary>
    public const int MaxSlots = (1 << SlotBits) - 1;

    public required AddressRecord[] Addresses
    {
        get;
        init
        {
            field = value;
            _addressShift = ShiftFor(value.Length);
        }
    }

    public required RangeRecord[] Ranges { get; init; }

    /// <summary>SMAP ends by slot; <see cref="IPv6Address.Unspecified"/> where nobody is bound.</summary>
    public required IPv6Address[] Softwires { get; init; }

    public required SlotEnds[] Ends { get; init; }

    /// <summary>
    /// By hash of the softwire: slot + 1, and above it a few more bits of the hash, which tell most of those that only collide without a look at their softwires; 0 is free.
    /// </summary>
    public required uint[] Slots
    {
        get;
        init
        {
            field = value;
            _slotShift = ShiftFor(value.Length);
        }
    }

    /// <summary>PRR ends by <see cref="SlotEnds.Prr"/>.</summary>
    public required IPv6Address[] Prrs { get; init; }

    /// <summary>Whether bindings differ in PRR or MTU. Where they do not, lookups take <see cref="CommonEnds"/> and leave <see cref="Ends"/> out of the cache.</summary>
    public bool MixedEnds { get; set; }

    public SlotEnds CommonEnds { get; set; }

    /// <summary>
    /// Between these are all addresses that bindings name. They lie together mostly, and most packets of subscribers go elsewhere: two comparisons say so, which a hash table takes
    /// a look for that no branch predictor foresees.
    /// </summary>
    public uint LowestAddress { get; set; } = uint.MaxValue;

    public uint HighestAddress { get; set; }

    /// <summary>Asked for what no binding has; null where there are none.</summary>
    public RuleTable? Rules { get; set; }

    /// <param name="bindings">As many will come; more and fewer may. Some slots more, for the last address of a dense table.</param>
    public static BindingTableState Empty(int bindings) => new()
    {
        Addresses = new AddressRecord[16],
        Ranges = new RangeRecord[16],
        Softwires = new IPv6Address[16 + bindings + bindings / 16],
        Ends = new SlotEnds[16 + bindings + bindings / 16],
        Slots = new uint[(int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, bindings) * 2)],
        Prrs = new IPv6Address[1],
    };

    /// <summary>A copy of this state with some arrays exchanged; array lengths of the hashed ones are powers of two.</summary>
    public BindingTableState With(AddressRecord[]? addresses = null, RangeRecord[]? ranges = null, IPv6Address[]? softwires = null,
        SlotEnds[]? ends = null, uint[]? slots = null, IPv6Address[]? prrs = null) => new()
        {
            Addresses = addresses ?? Addresses,
            Ranges = ranges ?? Ranges,
            Softwires = softwires ?? Softwires,
            Ends = ends ?? Ends,
            Slots = slots ?? Slots,
            Prrs = prrs ?? Prrs,
            MixedEnds = MixedEnds,
            CommonEnds = CommonEnds,
            LowestAddress = LowestAddress,
            HighestAddress = HighestAddress,
            Rules = Rules,
        };

    /// <summary>The slot of (address, port), perhaps an empty one, with <see cref="WholeAddress"/>; or a negative answer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Locate(IPv4Address address, ushort port)
    {
        int index = FindAddress(address);
        return index < 0 ? NotShared : Locate(Addresses[index], port);
    }

    /// <summary>The slot of a port by the record of its address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Locate(in AddressRecord record, ushort port)
    {
        if (record.RangeCount > 0 && Search(record.RangeBase, record.RangeCount, port) is var found and >= 0) return found;
        return !record.HasPsid ? NoBinding : record.IsListed ? LocateListed(record, port) : record.SlotOf(port);
    }

    /// <summary>The slot of a port of an address that has a list of its PSIDs.</summary>
    int LocateListed(in AddressRecord record, ushort port)
    {
        int psid = record.PsidOf(port), list = record.List;
        return psid < 0 || (uint)list >= (uint)Ranges.Length ? NoBinding : Search(list + 1, Ranges[list].First, (ushort)psid);
    }

    /// <summary>The index of an address in <see cref="Addresses"/>, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int FindAddress(IPv4Address address)
    {
        AddressRecord[] records = Addresses;
        uint mask = (uint)records.Length - 1, at = Home(address);
        for (int probe = 0; probe < records.Length; probe++)
        {
            uint there = records[at].Address;
            if (there == address.Value) return there == 0 ? -1 : (int)at;
            if (there == 0) return -1;
            at = at + 1 & mask;
        }

        return -1;
    }

    /// <summary>The slot of that one of these ranges which holds the port, or <see cref="NoBinding"/>.</summary>
    int Search(int low, int left, ushort port)
    {
        if (low < 0 || left == 0 || (uint)(low + left) > (uint)Ranges.Length) return NoBinding;
        while (left > 1)
        {
            int half = left >> 1;
            // low += First <= port ? half : 0, without a branch that would be mispredicted every other time.
            low += half & Ranges[low + half].First - port - 1 >> 31;
            left -= half;
        }

        RangeRecord range = Ranges[low];
        return port >= range.First && port <= range.Last ? range.Slot : NoBinding;
    }

    /// <summary>Brings the record of an address into the cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchAddress(IPv4Address address) => Prefetch(ref Addresses[Home(address)]);

    /// <summary>Whether a binding may name this address, by <see cref="LowestAddress"/> and its kin alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool MayHave(IPv4Address address) => address.Value >= LowestAddress && address.Value <= HighestAddress;

    /// <summary>Brings the ranges of an address into the cache, where they are few enough to be worth it, or the first of its PSIDs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchRanges(in AddressRecord record)
    {
        if (record.IsListed && (uint)record.List < (uint)Ranges.Length) Prefetch(ref Ranges[record.List]);
        int first = record.RangeBase, end = first + Math.Min(record.RangeCount, 64);
        if (first < 0 || (uint)end > (uint)Ranges.Length) return;
        for (; first < end; first += 8) Prefetch(ref Ranges[first]);
    }

    /// <summary>Brings what <see cref="Read"/> will need of a located slot into the cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchSlot(int located)
    {
        int slot = located & ~WholeAddress;
        if ((uint)slot >= (uint)Softwires.Length || (uint)slot >= (uint)Ends.Length) return;
        Prefetch(ref Softwires[slot]);
        if (MixedEnds) Prefetch(ref Ends[slot]);
    }

    /// <summary>Brings the place of a softwire in <see cref="Slots"/> into the cache.</summary>
    /// <param name="hash">By <see cref="Mixed(IPv6Address)"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchPlace(ulong hash) => Prefetch(ref Slots[Home(hash)]);

    /// <summary>Brings what the slot of a softwire holds into the cache, once <see cref="PrefetchPlace"/> has brought where it is.</summary>
    /// <returns>The slot, unless the softwire is another after all.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int PrefetchSlotOf(ulong hash)
    {
        int probe = 0, slot = FindLike(hash, ref probe);
        if (slot < 0) return -1;
        Prefetch(ref Softwires[slot]);
        Prefetch(ref Ends[slot]);
        return slot;
    }

    /// <summary>The next slot whose softwire may have this hash, as far as <see cref="Slots"/> tells, or -1.</summary>
    /// <param name="hash">By <see cref="Mixed(IPv6Address)"/>.</param>
    /// <param name="probe">How many places have been looked at.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    int FindLike(ulong hash, ref int probe)
    {
        uint[] slots = Slots;
        int mask = slots.Length - 1, home = Home(hash);
        while (probe < slots.Length)
        {
            uint entry = slots[home + probe++ & mask];
            if (entry == 0) return -1;
            int slot = SlotOf(entry);
            if (IsLike(entry, hash) && (uint)slot < (uint)Softwires.Length && (uint)slot < (uint)Ends.Length) return slot;
        }

        return -1;
    }

    /// <summary>A hint only: where the garbage collector moves the array just now, it is wasted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static unsafe void Prefetch<T>(ref T place) where T : unmanaged
    {
        if (Sse.IsSupported) Sse.Prefetch0(Unsafe.AsPointer(ref place));
    }

    /// <summary>What stands in the slot that <see cref="Locate"/> gave.</summary>
    /// <param name="located">That slot, or the answer where there is none.</param>
    /// <param name="hit">Filled where the answer is <see cref="BindingLookup.Found"/>; otherwise only the answer is.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public BindingLookup Read(int located, ref BindingHit hit)
    {
        hit.Lookup = located == NotShared ? BindingLookup.NotShared : BindingLookup.NoBinding;
        int slot = located & ~WholeAddress;
        IPv6Address[] softwires = Softwires;
        if (located < 0 || (uint)slot >= (uint)softwires.Length) return hit.Lookup;
        IPv6Address softwire = softwires[slot];
        if (softwire == IPv6Address.Unspecified) return hit.Lookup;
        SlotEnds ends = MixedEnds && (uint)slot < (uint)Ends.Length ? Ends[slot] : CommonEnds;
        hit.Softwire = softwire;
        hit.Prr = ends.Prr < Prrs.Length ? Prrs[ends.Prr] : default;
        hit.PayloadMtu = ends.PayloadMtu;
        hit.WholeAddress = (located & WholeAddress) != 0;
        hit.Lookup = BindingLookup.Found;
        return BindingLookup.Found;
    }

    /// <summary>Whose slot it is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReadHolder(int slot, out SoftwireHolder holder)
    {
        holder = default;
        if ((uint)slot >= (uint)Ends.Length) return false;
        SlotEnds ends = Ends[slot];
        holder = new SoftwireHolder(true, ends.Prr < Prrs.Length ? Prrs[ends.Prr] : default, new IPv4Address(ends.Address));
        return true;
    }

    /// <summary>The slot of a softwire, or -1.</summary>
    public int FindSlot(IPv6Address softwire)
    {
        ulong hash = Mixed(softwire);
        int probe = 0, slot;
        do slot = FindLike(hash, ref probe);
        while (slot >= 0 && Softwires[slot] != softwire);
        return slot;
    }

    /// <summary>Whether the slot's subscriber has every port of the address.</summary>
    public bool IsWholeAddress(IPv4Address address, int slot)
    {
        int index = FindAddress(address);
        if (index < 0) return false;
        AddressRecord record = Addresses[index];
        return record.HasPsid && record.Length == 0 && record.SlotBase == slot;
    }

    // The high bits of a product are the well mixed ones: how far they are shifted down follows from the length of an array, once.
    readonly int _addressShift, _slotShift;

    static int ShiftFor(int length) => BitOperations.LeadingZeroCount((uint)length - 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    uint Home(IPv4Address address) => Mixed(address) >> _addressShift;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    int Home(ulong hash) => (int)(hash >> 32 + _slotShift);

    /// <summary>Where an address is looked for first in an array of this length.</summary>
    public static uint Hash(IPv4Address address, int length) => Mixed(address) >> ShiftFor(length);

    public static int Hash(IPv6Address address, int length) => (int)(Mixed(address) >> 32 + ShiftFor(length));

    /// <summary>What stands in <see cref="Slots"/> for the slot of a softwire.</summary>
    public static uint EntryOf(IPv6Address softwire, int slot) => (uint)Mixed(softwire) << SlotBits | (uint)slot + 1;

    /// <summary>The slot of an entry that is not free.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SlotOf(uint entry) => (int)(entry & MaxSlots) - 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IsLike(uint entry, ulong hash) => (entry ^ (uint)hash << SlotBits) >> SlotBits == 0;

    /// <summary>Multiplicative (Fibonacci) hash.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static uint Mixed(IPv4Address address) => address.Value * 0x9E3779B1u;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Mixed(IPv6Address address)
    {
        ulong mixed = ((ulong)(address.Value >> 64) * 0xC2B2AE3D27D4EB4Ful ^ (ulong)address.Value) * 0x9E3779B97F4A7C15ul;
        mixed ^= mixed >> 32;
        return mixed * 0xD6E8FEB86659FD93ul;
    }
}

/// <summary>One shared address: where its PSID slots and its ranges lie. 16 octets.</summary>
struct AddressRecord
{
    // | room exponent 5 | range count 17 | has PSID 1 | k 5 | a 4 |
    uint _layout;

    // k of a whole address that came as the range 0-65535: it lies in the table as the one PSID of k = 0, and is told again as a range.
    const uint WholeByRange = 31;

    /// <summary>0 where the record is free; 0.0.0.0 cannot be bound.</summary>
    public uint Address;

    /// <summary>Slot of PSID 0, where the 2^k slots lie in a row; negative where the address has a <see cref="List"/>.</summary>
    public int SlotBase;

    /// <summary>Index of the first range.</summary>
    public int RangeBase;

    /// <summary>Whether only few PSIDs are in use, and stand in a list with a slot each.</summary>
    public readonly bool IsListed => SlotBase < 0;

    /// <summary>Place of the list among the ranges: its head, then a range of one number for each PSID in use.</summary>
    public readonly int List => ~SlotBase;

    public readonly bool HasPsid => (_layout & 1 << 9) != 0;

    public readonly int Offset => (int)(_layout & 15);

    public readonly int Length => IsWholeByRange ? 0 : (int)LengthField;

    readonly uint LengthField => _layout >> 4 & 31;

    readonly bool IsWholeByRange => LengthField == WholeByRange;

    /// <summary>Ranges in use.</summary>
    public int RangeCount
    {
        readonly get => (int)(_layout >> 10 & 0x1ffff);
        set => _layout = _layout & ~(0x1ffffu << 10) | (uint)value << 10;
    }

    /// <summary>Room for ranges at <see cref="RangeBase"/>, as a power of two.</summary>
    public int RangeClass
    {
        readonly get => (int)(_layout >> 27);
        set => _layout = _layout & ~(31u << 27) | (uint)value << 27;
    }

    public readonly bool IsUnused => !HasPsid && RangeCount == 0;

    public void SetPsidLayout(PortSet ports, int slotBase)
    {
        uint offset = (uint)(ports.Psid?.Offset ?? 0), length = ports.Psid is { } psid ? (uint)psid.Length : WholeByRange;
        _layout = _layout & ~0x3ffu | 1 << 9 | length << 4 | offset;
        SlotBase = slotBase;
    }

    public void ClearPsidLayout()
    {
        _layout &= ~0x3ffu;
        SlotBase = 0;
    }

    /// <summary>The slot of a port by the PSID layout, RFC 7597 section 5.1; <see cref="BindingTableState.NoBinding"/> in the block that no PSID has (A = 0).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly int SlotOf(ushort port)
    {
        if (LengthField is 0 or > 16) return SlotBase | BindingTableState.WholeAddress;
        int psid = PsidOf(port);
        return psid < 0 ? BindingTableState.NoBinding : SlotBase + psid;
    }

    /// <summary>The PSID that a port has by a layout that divides the address, or -1 in the block that none has.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly int PsidOf(ushort port)
    {
        int offset = Offset, length = (int)LengthField;
        if (offset != 0 && port >> 16 - offset == 0) return -1;
        return port >> 16 - offset - length & (1 << length) - 1;
    }

    public readonly PortSet PsidSet(int psid) => IsWholeByRange ? PortSet.WholeAddress : PortSet.FromPsid(Offset, Length, psid);

    /// <summary>Whether PSIDs mean the same here and there; a whole address that came as a range is told from one that came as a PSID.</summary>
    public readonly bool HasSameLayout(in AddressRecord other) => ((_layout ^ other._layout) & 0x3ff) == 0;

    /// <summary>Whether a slot is one of the 2^k in a row.</summary>
    public readonly bool HoldsSlot(int slot) => HasPsid && !IsListed && (uint)(slot - SlotBase) < 1u << Length;
}

/// <summary>A plain range of an address, or a PSID of it, and the slot of its subscriber, who may have several. 8 octets.</summary>
struct RangeRecord
{
    public ushort First;
    public ushort Last;
    public int Slot;
}

/// <summary>What belongs to a slot beside its softwire. 8 octets.</summary>
struct SlotEnds
{
    public uint Address;
    public ushort Prr;
    public ushort PayloadMtu;
}
