using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>What a process before has left of its counters.</summary>
sealed class PinnedCounters : IDisposable
{
    readonly MappedArray<SoftwireEntry> _softwires;
    readonly Dictionary<(uint Address, NetworkAddress Smap), int> _slots = [];
    readonly BpfMap _pinned;

    PinnedCounters(BpfMap counters, BpfMap softwires)
    {
        Counters = counters;
        _pinned = softwires;
        _softwires = softwires.Share<SoftwireEntry>();
        for (int slot = 0; slot < _softwires.Count; slot++)
        {
            ref SoftwireEntry entry = ref _softwires[slot];
            if (entry.Address != 0 && (entry.InPackets | entry.OutPackets) != 0) _slots[(entry.Address, entry.Smap)] = slot;
        }
    }

    /// <summary>Null where there are none.</summary>
    public static PinnedCounters? Open(string pins) =>
        BpfPin.Open(Path.Combine(pins, "counters")) is { } counters && BpfPin.Open(Path.Combine(pins, "softwires")) is { } softwires
            ? new PinnedCounters(counters, softwires) : null;

    public BpfMap Counters { get; }

    /// <summary>Adds what the same subscriber had.</summary>
    public void AddTo(ref SoftwireEntry entry)
    {
        if (_slots.TryGetValue((entry.Address, entry.Smap), out int slot)) entry.TakeCounters(_softwires[slot]);
    }

    public void Dispose()
    {
        _softwires.Dispose();
        _ = LibC.Close(_pinned.Fd);
        _ = LibC.Close(Counters.Fd);
    }
}
