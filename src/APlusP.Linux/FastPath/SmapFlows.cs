using System.Buffers.Binary;
using System.Diagnostics;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>
/// The NAPT's flows as the SMAP's programs find them: each has a slot in an array that both sides share, and, while programs may forward it, two keys in a hash map that lead there.
/// </summary>
/// <remarks>
/// The slot is written first and the keys after it, and when it goes the other way round a program that still holds the slot's number finds there that it is not this flow's any more, and passes its packet
/// up. A slot that changes has an odd sequence number meanwhile.
/// </remarks>
sealed class SmapFlows : IFlowOffload, IDisposable
{
    const int GroupSize = 64, ClockShift = 24;

    readonly BpfMap _flows;
    readonly MappedArray<FlowEntry> _states;
    readonly MappedArray<ulong> _ended;
    readonly FarEnds _ends;
    int _group;

    /// <param name="loaded">The programs' object.</param>
    /// <param name="ends">Where flows go.</param>
    public SmapFlows(BpfObject loaded, FarEnds ends)
    {
        _flows = loaded.Map("flows");
        _states = loaded.Map("states").Share<FlowEntry>();
        _ended = loaded.Map("ended").Share<ulong>();
        _ends = ends;
    }

    /// <summary>Entries of the maps whose size follows the flows.</summary>
    public static Dictionary<string, uint> EntriesFor(int flows) => new()
    {
        ["flows"] = (uint)flows * 2,
        ["states"] = (uint)flows + 1,
        ["ended"] = (uint)flows / GroupSize + 1,
    };

    public int Capacity => _states.Count - 1;

    /// <summary>Flows that programs forward.</summary>
    public int Count { get; private set; }

    /// <summary>Times that a flow had no room.</summary>
    public long LeftOut { get; private set; }

    public void Keep(int index, in OffloadedFlow flow)
    {
        if (index > Capacity) return;
        Withdraw(index);
        Write(index, flow, end: 0, forwards: 0);
    }

    public bool Install(int index, in OffloadedFlow flow, IPv6Address farEnd)
    {
        int end = index <= Capacity ? _ends.Take(farEnd) : -1;
        if (end >= 0 && TryForward(index, flow, (byte)end)) return true;
        LeftOut++;
        return false;
    }

    bool TryForward(int index, in OffloadedFlow flow, byte end)
    {
        ref FlowEntry entry = ref _states[index];
        if (IsForwarded(entry, flow) && entry.End == end)
        {
            // As it is already: a program does not notice.
            _ends.GiveBack(end);
        }
        else
        {
            Withdraw(index);
            Write(index, flow, end, SmapLayout.Forwards);
            Count++;
        }

        if (_flows.TrySet(entry.Inwards, (uint)index, out _) && _flows.TrySet(entry.Outwards, (uint)index, out _)) return true;
        Withdraw(index);
        return false;
    }

    static bool IsForwarded(in FlowEntry entry, in OffloadedFlow flow) =>
        (entry.Seen & SmapLayout.Forwards) != 0 && entry.Protocol == (byte)flow.Protocol && entry.Inside == NetworkAddress.Of(flow.Inside) && entry.Remote == NetworkAddress.Of(flow.Remote)
            && entry.InsidePort == flow.InsidePort && entry.RemotePort == flow.RemotePort && entry.External == flow.External;

    /// <summary>Writes a slot. Who was there already keeps what was counted.</summary>
    void Write(int index, in OffloadedFlow flow, byte end, byte forwards)
    {
        ref FlowEntry entry = ref _states[index];
        var next = new FlowEntry
        {
            Inside = NetworkAddress.Of(flow.Inside),
            Remote = NetworkAddress.Of(flow.Remote),
            InsidePort = flow.InsidePort,
            RemotePort = flow.RemotePort,
            External = flow.External,
            Protocol = (byte)flow.Protocol,
            End = end,
            Seen = (byte)(flow.Seen | forwards),
        };
        if (next.Outwards == entry.Outwards && next.External == entry.External)
            (next.OutPackets, next.OutOctets, next.InPackets, next.InOctets, next.LastIn) = (entry.OutPackets, entry.OutOctets, entry.InPackets, entry.InOctets, entry.LastIn);
        Layout.BeginChange(ref entry.Sequence);
        next.Sequence = entry.Sequence;
        entry = next;
        Layout.EndChange(ref entry.Sequence);
    }

    public void Note(int index, byte seen)
    {
        ref FlowEntry entry = ref _states[index];
        Volatile.Write(ref entry.Seen, (byte)(entry.Seen & SmapLayout.Forwards | seen));
    }

    public void Remove(int index)
    {
        if (index > Capacity || _states[index].Protocol == 0) return;
        Withdraw(index);
        ref FlowEntry entry = ref _states[index];
        Layout.BeginChange(ref entry.Sequence);
        entry.Protocol = 0;
        Layout.EndChange(ref entry.Sequence);
    }

    /// <summary>No program forwards it any more; the slot still says whose it is.</summary>
    void Withdraw(int index)
    {
        ref FlowEntry entry = ref _states[index];
        if ((entry.Seen & SmapLayout.Forwards) == 0) return;
        Layout.BeginChange(ref entry.Sequence);
        entry.Seen &= unchecked((byte)~SmapLayout.Forwards);
        Layout.EndChange(ref entry.Sequence);
        Forget(entry.Outwards, index);
        Forget(entry.Inwards, index);
        _ends.GiveBack(entry.End);
        Count--;
    }

    /// <summary>Removes a key, unless it is another's by now.</summary>
    void Forget(FlowKey key, int index)
    {
        if (_flows.TryGet(key, out uint there) && there == index) _flows.Remove(key);
    }

    public void Clear()
    {
        for (int index = 1; index <= Capacity; index++) Remove(index);
    }

    public FlowActivity Look(int index)
    {
        ref FlowEntry entry = ref _states[index];
        return new FlowActivity(SecondOf(Volatile.Read(ref entry.LastOut)), Take(ref entry.FinOut) != 0, Take(ref entry.FinIn) != 0,
            Take(ref entry.Reset) switch { SmapLayout.Reset => true, SmapLayout.NotBelieved => false, _ => null });
    }

    /// <summary>Reads a mark, and takes it away: whoever sets it meanwhile says the same.</summary>
    static byte Take(ref byte mark)
    {
        byte there = Volatile.Read(ref mark);
        if (there != 0) Volatile.Write(ref mark, 0);
        return there;
    }

    public int TakeEnded(Span<int> indexes)
    {
        int count = 0;
        for (; count == 0 && _group < _ended.Count; _group++)
        {
            if (Volatile.Read(ref _ended[_group]) == 0) continue;

            // Before its slots are looked at: a program that marks it from now on is heard the next time.
            Interlocked.Exchange(ref _ended[_group], 0);
            int last = Math.Min((_group + 1) * GroupSize, _states.Count);
            for (int index = Math.Max(1, _group * GroupSize); index < last; index++)
                if ((_states[index].FinOut | _states[index].FinIn | _states[index].Reset) != 0) indexes[count++] = index;
        }

        if (count == 0) _group = 0;
        return count;
    }

    // ---- The clock of the programs

    // The kernel's monotonic clock, which is the one of the NAPT too (Stopwatch), in units that 32 bits hold for two years.
    static long? SecondOf(uint when)
    {
        if (when == 0) return null;
        long now = Stopwatch.GetTimestamp();
        long units = (now >> ClockShift) - (int)((uint)(now >> ClockShift) - when);
        return (units << ClockShift) / Stopwatch.Frequency;
    }

    // ---- Over from a process before

    public bool TryRecall(int index, out OffloadedFlow flow, out bool isInstalled)
    {
        ref FlowEntry entry = ref _states[index];
        isInstalled = (entry.Seen & SmapLayout.Forwards) != 0;
        flow = new OffloadedFlow(
            (IpProtocol)entry.Protocol, new IPv4Address(BinaryPrimitives.ReverseEndianness(entry.Inside)), entry.InsidePort,
            new IPv4Address(BinaryPrimitives.ReverseEndianness(entry.Remote)), entry.RemotePort, entry.External, (byte)(entry.Seen & ~SmapLayout.Forwards));
        return entry.Protocol != 0;
    }

    /// <summary>
    /// Makes sense of the maps of a process before, which may have been killed in the middle of a change: a slot that was being written is free, keys lead to a flow that has them or are removed, and
    /// each end has the users that it has.
    /// </summary>
    public void Adopt()
    {
        for (int index = 1; index <= Capacity; index++)
        {
            ref FlowEntry entry = ref _states[index];
            if ((entry.Sequence & 1) != 0)
            {
                entry.Protocol = entry.Seen = 0;
                Layout.EndChange(ref entry.Sequence);
            }

            if ((entry.Seen & SmapLayout.Forwards) == 0) continue;
            _ends.Adopt(entry.End);
            Count++;
        }

        foreach (FlowKey key in _flows.Keys<FlowKey>())
            if (!_flows.TryGet(key, out uint index) || index > Capacity || !Has(_states[(int)index], key)) _flows.Remove(key);
    }

    static bool Has(in FlowEntry entry, FlowKey key) => (entry.Seen & SmapLayout.Forwards) != 0 && (key.Inwards != 0 ? entry.Inwards : entry.Outwards) == key;

    public void Dispose()
    {
        _states.Dispose();
        _ended.Dispose();
    }
}
