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
/// Programs read while this writes. A slot has a sequence number; ranges are never changed in place, but written anew elsewhere, before the address's entry, which
/// the kernel exchanges whole, points there. What was given up is used again only when no program can be at it any more.
/// </remarks>
sealed class PrrMaps : IDisposable
{
    readonly BpfMap _addresses, _rules, _paths;
    readonly HashSet<RouteKey> _ruleKeys = [];
    readonly MappedArray<RangeEntry> _ranges;
    readonly MappedArray<SoftwireEntry> _softwires;
    readonly MappedArray<NetworkAddress> _ends;
    readonly Dictionary<uint, AddressState> _states = [];
    readonly Dictionary<IPv6Address, ushort> _endIndexes = [];
    readonly Blocks _slotBlocks = new(), _rangeBlocks = new();
    readonly Queue<(long Until, Blocks Of, int Start, int Exponent)> _resting = new();
    readonly Func<IPv6Address, ushort> _nextHop;

    /// <param name="loaded">The programs' object.</param>
    /// <param name="nextHop">The next hop towards a SMAP.</param>
    public PrrMaps(BpfObject loaded, Func<IPv6Address, ushort> nextHop)
    {
        _addresses = loaded.Map("addresses");
        _rules = loaded.Map("rules");
        _paths = loaded.Map("paths");
        _ranges = loaded.Map("ranges").Share<RangeEntry>();
        _softwires = loaded.Map("softwires").Share<SoftwireEntry>();
        _ends = loaded.Map("ends").Share<NetworkAddress>();
        _nextHop = nextHop;
    }

    /// <summary>Entries of the maps whose size follows the bindings: for these, half as many again, and some.</summary>
    public static Dictionary<string, uint> EntriesFor(IEnumerable<Binding> bindings)
    {
        const int some = 1024;
        var byPsid = new HashSet<IPv4Address>();
        var addresses = new HashSet<IPv4Address>();
        var rangesOf = new Dictionary<IPv4Address, int>();
        long slots = 0;
        foreach (Binding binding in bindings)
        {
            addresses.Add(binding.Address);
            if (!binding.Ports.IsByPsid)
            {
                rangesOf[binding.Address] = rangesOf.GetValueOrDefault(binding.Address) + binding.Ports.Ranges.Count();
                slots++;
            }
            else if (byPsid.Add(binding.Address)) slots += 1L << (binding.Ports.Psid?.Length ?? 0);
        }

        // An address's ranges take a block of a power of two, and another one while they are written anew.
        return new()
        {
            ["addresses"] = Room(addresses.Count),
            ["softwires"] = Room(slots),
            ["ranges"] = Room(rangesOf.Values.Sum(count => 2L << Blocks.ExponentFor(count))),
        };

        static uint Room(long needed) => (uint)Math.Min(needed + needed / 2 + some, MostEntries);
    }

    /// <summary>Of a map: sixteen million softwires take a gibibyte.</summary>
    const int MostEntries = 1 << 24;

    /// <summary>Bindings that had no room.</summary>
    public int LeftOut { get; private set; }

    /// <summary>Bindings that the programs know.</summary>
    public int Count { get; private set; }

    /// <summary>Largest payload that goes into a softwire before anything is known of its path.</summary>
    public static int FirstMtu(int configured, bool discovers) => discovers ? Math.Min(configured, LeastPayload) : configured;

    /// <summary>What every softwire carries.</summary>
    const int LeastPayload = PathMtuTable.Least - IPv6Header.Size;

    /// <summary>Adds a binding; the table has seen to it that it contradicts no other.</summary>
    /// <param name="binding">The binding.</param>
    /// <param name="payloadMtu">What may go in without asking tier 1.</param>
    /// <returns>Its slot, or -1 where there is no room.</returns>
    public int Add(Binding binding, int payloadMtu)
    {
        Rest();
        if (!_states.TryGetValue(binding.Address.Value, out AddressState? state)) _states[binding.Address.Value] = state = new AddressState();
        int slot = TryPlace(state, binding);
        if (slot < 0)
        {
            LeftOut++;
            if (state.IsUnused) _states.Remove(binding.Address.Value);
            return -1;
        }

        Fill(slot, binding, payloadMtu);
        if (!Publish(binding.Address, state))
        {
            // No room for the address: what was taken for it goes back, and all of it goes by tier 1.
            Withdraw(state, binding, slot);
            _addresses.Remove(NetworkAddress.Of(binding.Address));
            LeftOut++;
            return -1;
        }

        Count++;
        return slot;
    }

    int TryPlace(AddressState state, Binding binding)
    {
        if (!_endIndexes.ContainsKey(binding.Prr) && _endIndexes.Count >= _ends.Count) return -1;
        int exponent = binding.Ports.Psid?.Length ?? 0;
        if (binding.Ports.IsByPsid)
        {
            if (state.PsidUsers == 0)
            {
                if (!_slotBlocks.HasRoom(exponent, _softwires.Count)) return -1;
                state.Layout.Slots = (uint)_slotBlocks.Take(exponent);
                (state.Layout.Offset, state.Layout.Length, state.Layout.Flags) = ((byte)(binding.Ports.Psid?.Offset ?? 0), (byte)exponent, Layout.HasPsid);
            }

            state.PsidUsers++;
            return (int)state.Layout.Slots + (binding.Ports.Psid?.Value ?? 0);
        }

        PortRange[] added = [.. binding.Ports.Ranges];
        if (!_slotBlocks.HasRoom(0, _softwires.Count) || !_rangeBlocks.HasRoom(Blocks.ExponentFor((int)state.Layout.RangeCount + added.Length), _ranges.Count)) return -1;
        int slot = _slotBlocks.Take(0);
        RewriteRanges(state, [.. RangesOf(state), .. added.Select(r => new RangeEntry { First = r.First, Last = r.Last, Slot = (uint)slot })]);
        return slot;
    }

    List<RangeEntry> RangesOf(AddressState state)
    {
        var ranges = new List<RangeEntry>((int)state.Layout.RangeCount);
        for (int i = 0; i < state.Layout.RangeCount; i++) ranges.Add(_ranges[(int)state.Layout.Ranges + i]);
        return ranges;
    }

    void RewriteRanges(AddressState state, List<RangeEntry> ranges)
    {
        if (state.Layout.RangeCount > 0) GiveBack(_rangeBlocks, (int)state.Layout.Ranges, Blocks.ExponentFor((int)state.Layout.RangeCount));
        state.Layout.RangeCount = (uint)ranges.Count;
        if (ranges.Count == 0) return;
        ranges.Sort((a, b) => a.First.CompareTo(b.First));
        int start = _rangeBlocks.Take(Blocks.ExponentFor(ranges.Count));
        for (int i = 0; i < ranges.Count; i++) _ranges[start + i] = ranges[i];
        state.Layout.Ranges = (uint)start;
    }

    void Fill(int slot, Binding binding, int payloadMtu)
    {
        ref SoftwireEntry entry = ref _softwires[slot];
        Layout.BeginChange(ref entry.Sequence);
        entry.Address = NetworkAddress.Of(binding.Address);
        entry.PayloadMtu = (ushort)payloadMtu;
        entry.Prr = EndIndex(binding.Prr);
        entry.NextHop = _nextHop(binding.Softwire);
        entry.Large = 0;
        entry.Smap = new NetworkAddress(binding.Softwire);
        entry.InPackets = entry.InOctets = entry.OutPackets = entry.OutOctets = 0;
        Layout.EndChange(ref entry.Sequence);
    }

    ushort EndIndex(IPv6Address prr)
    {
        if (_endIndexes.TryGetValue(prr, out ushort known)) return known;
        ushort index = (ushort)_endIndexes.Count;
        _endIndexes[prr] = index;
        _ends[index] = new NetworkAddress(prr);
        return index;
    }

    bool Publish(IPv4Address address, AddressState state)
    {
        uint key = NetworkAddress.Of(address);
        if (!state.IsUnused) return _addresses.TrySet(key, state.Layout, out _);
        _states.Remove(address.Value);
        _addresses.Remove(key);
        return true;
    }

    /// <summary>Removes a binding. False where it was left out.</summary>
    public bool Remove(Binding binding)
    {
        Rest();
        int slot = Find(binding);
        if (slot < 0)
        {
            LeftOut--;
            return false;
        }

        AddressState state = _states[binding.Address.Value];
        Withdraw(state, binding, slot);
        Publish(binding.Address, state);
        Count--;
        return true;
    }

    /// <summary>Follows a change of the table. Who has another binding than before goes on with the counters.</summary>
    public void Take(BindingChange change, bool discovers)
    {
        SoftwireEntry counted = default;
        if (change.Before is { } before)
        {
            if (Find(before) is >= 0 and var old) counted = _softwires[old];
            Remove(before);
        }

        if (change.After is { } after && Add(after, FirstMtu(after.PayloadMtu, discovers)) is >= 0 and var slot) _softwires[slot].TakeCounters(counted);
    }

    void Withdraw(AddressState state, Binding binding, int slot)
    {
        ref SoftwireEntry entry = ref _softwires[slot];
        Layout.BeginChange(ref entry.Sequence);
        entry.Address = 0;
        Layout.EndChange(ref entry.Sequence);
        if (binding.Ports.IsByPsid)
        {
            if (--state.PsidUsers > 0) return;
            GiveBack(_slotBlocks, (int)state.Layout.Slots, state.Layout.Length);
            (state.Layout.Slots, state.Layout.Offset, state.Layout.Length, state.Layout.Flags) = (0, 0, 0, 0);
            return;
        }

        RewriteRanges(state, [.. RangesOf(state).Where(r => r.Slot != slot)]);
        GiveBack(_slotBlocks, slot, 0);
    }

    /// <summary>The slot of a port, or -1: as the programs find it.</summary>
    int Locate(AddressState state, ushort port)
    {
        foreach (RangeEntry range in RangesOf(state))
            if (port >= range.First && port <= range.Last) return (int)range.Slot;
        if (state.PsidUsers == 0) return -1;
        int offset = state.Layout.Offset, length = state.Layout.Length;
        if (length == 0) return (int)state.Layout.Slots;
        return offset > 0 && port >> 16 - offset == 0 ? -1 : (int)state.Layout.Slots + (port >> 16 - offset - length & (1 << length) - 1);
    }

    /// <summary>The slot of a binding; -1 where it was left out.</summary>
    public int Find(Binding binding) =>
        _states.TryGetValue(binding.Address.Value, out AddressState? state) && Locate(state, binding.Ports.Ranges.First().First) is >= 0 and var slot
            && _softwires[slot].Address != 0 && _softwires[slot].Smap == new NetworkAddress(binding.Softwire) ? slot : -1;

    public ref SoftwireEntry this[int slot] => ref _softwires[slot];

    /// <summary>Slots that may be in use.</summary>
    public int Top => _slotBlocks.Top;

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

    // ---- Rules

    /// <summary>Whether there are rules.</summary>
    public bool HasRules => _ruleKeys.Count > 0;

    /// <summary>Makes the mapping rules these. Each is exchanged whole; a rule that is gone goes last.</summary>
    public void SetRules(IReadOnlyCollection<RuleBinding> rules, bool discovers)
    {
        var kept = new HashSet<RouteKey>();
        foreach (RuleBinding rule in rules)
        {
            var key = new RouteKey((uint)rule.Rule.IPv4.Length, NetworkAddress.Of(rule.Rule.IPv4.Address));
            bool isOuter = rules.Any(other => other != rule && rule.Rule.IPv6.Contains(other.Rule.IPv6));
            RuleEntry entry = Compose(rule, FirstMtu(rule.PayloadMtu, discovers));
            if (isOuter || entry.Prr == Layout.PassUp) entry.Up = 1;
            _rules.Set(key, entry);
            kept.Add(key);
        }

        foreach (RouteKey gone in _ruleKeys.Except(kept)) _rules.Remove(gone);
        _ruleKeys.Clear();
        _ruleKeys.UnionWith(kept);
        foreach (NetworkAddress ce in _paths.Keys<NetworkAddress>()) _paths.Remove(ce);
    }

    RuleEntry Compose(RuleBinding binding, int payloadMtu)
    {
        var rule = new MappingRuleArithmetic(binding.Rule);
        return new RuleEntry
        {
            PrefixHigh = (ulong)(rule.IPv6 >> 64),
            PrefixLow = (ulong)rule.IPv6,
            IdentifierMask = rule.IdentifierMask,
            Address = rule.IPv4,
            RuleMask = rule.RuleMask,
            SubscriberMask = rule.SubscriberMask,
            OnlyPsid = rule.OnlyPsid,
            PayloadMtu = (ushort)payloadMtu,
            Prr = _endIndexes.ContainsKey(binding.Prr) || _endIndexes.Count < _ends.Count ? EndIndex(binding.Prr) : Layout.PassUp,
            SuffixShift = rule.SuffixShift,
            PsidLength = rule.PsidLength,
            EaShift = rule.EaShift,
            HasEa = rule.HasEa ? (byte)1 : (byte)0,
            BlockShift = rule.BlockShift,
            PsidShift = rule.PsidShift,
            FirstBlock = (byte)rule.FirstBlock,
            AddressShift = rule.AddressShift,
            PsidAt = rule.PsidAt,
        };
    }

    /// <summary>Says what goes to the CE of a rule without asking tier 1.</summary>
    /// <returns>Whether a large packet has gone since the last time.</returns>
    public bool SetPath(IPv6Address ce, int payloadMtu)
    {
        var key = new NetworkAddress(ce);
        bool wasLarge = _paths.TryGet(key, out PathEntry there) && there.Large != 0;
        if (there.PayloadMtu != payloadMtu || wasLarge) _paths.TrySet(key, new PathEntry { PayloadMtu = (uint)payloadMtu }, out _);
        return wasLarge;
    }

    /// <summary>Nothing large goes to this CE any more without asking tier 1.</summary>
    public void ForgetPath(IPv6Address ce) => _paths.Remove(new NetworkAddress(ce));

    /// <summary>What programs may still be reading rests a while before it is used again.</summary>
    void GiveBack(Blocks blocks, int start, int exponent) => _resting.Enqueue((Environment.TickCount64 + 100, blocks, start, exponent));

    void Rest()
    {
        while (_resting.TryPeek(out (long Until, Blocks Of, int Start, int Exponent) block) && Environment.TickCount64 >= block.Until)
        {
            _resting.Dequeue();
            block.Of.Free(block.Start, block.Exponent);
        }
    }

    public void Dispose()
    {
        _ranges.Dispose();
        _softwires.Dispose();
        _ends.Dispose();
    }

    sealed class AddressState
    {
        public AddressEntry Layout;

        /// <summary>Subscribers with a PSID.</summary>
        public int PsidUsers;

        public bool IsUnused => PsidUsers == 0 && Layout.RangeCount == 0;
    }
}
