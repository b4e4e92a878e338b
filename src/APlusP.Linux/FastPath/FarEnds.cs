using APlusP.Core.Addresses;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>The far ends of a SMAP's softwires: first the PRR, then, as long as flows go there, other subscribers who are reached directly.</summary>
sealed class FarEnds : IDisposable
{
    readonly MappedArray<FarEndEntry> _entries;
    readonly MappedArray<ulong> _nextHops;
    readonly int[] _users;

    // The worker gives out ends while the monitor says what is known of them.
    readonly Lock _changing = new();
    int _top = 1;

    public FarEnds(BpfObject loaded)
    {
        _entries = loaded.Map("ends").Share<FarEndEntry>();
        _nextHops = loaded.Map("end_hops").Share<ulong>();
        _users = new int[_entries.Count];
    }

    /// <summary>What goes to an end of which nothing is known yet.</summary>
    public ushort FirstMtu { get; set; }

    public IPv6Address Prr
    {
        get => _entries[0].Address.Address;
        set
        {
            if (value != Prr) Write(0, value);
        }
    }

    /// <summary>The index of an end, for a flow more; -1 where there is no room.</summary>
    public int Take(IPv6Address address)
    {
        if (address == Prr) return 0;
        lock (_changing)
        {
            int free = 0;
            for (int index = 1; index < _top; index++)
            {
                if (_users[index] == 0) free = index;
                else if (_entries[index].Address.Address == address)
                {
                    _users[index]++;
                    return index;
                }
            }

            if (free == 0 && _top == _entries.Count) return -1;
            if (free == 0) free = _top++;
            _users[free] = 1;
            Write(free, address);
            return free;
        }
    }

    void Write(int index, IPv6Address address)
    {
        ref FarEndEntry entry = ref _entries[index];
        Layout.BeginChange(ref entry.Sequence);
        entry.Address = new NetworkAddress(address);
        entry.PayloadMtu = FirstMtu;
        entry.Large = 0;
        Layout.EndChange(ref entry.Sequence);
        _nextHops[index] = Layout.AskKernel;
    }

    public void GiveBack(int index)
    {
        if (index == 0) return;
        lock (_changing) _users[index]--;
    }

    /// <summary>A flow of a process before goes there.</summary>
    public void Adopt(int index)
    {
        if (index == 0) return;
        _users[index]++;
        _top = Math.Max(_top, index + 1);
    }

    /// <summary>Ends to which large packets go without asking tier 1, and how large.</summary>
    public IEnumerable<(IPv6Address Address, int PayloadMtu)> Large()
    {
        for (int index = 0; index < _top; index++)
            if (_entries[index] is { } entry && entry.PayloadMtu > FirstMtu) yield return (entry.Address.Address, (int)entry.PayloadMtu);
    }

    /// <summary>Tells what is known of each end now.</summary>
    /// <param name="know">Of an address: the next hop, and the largest packet that goes without asking tier 1. The last argument says whether a large one went since the last time.</param>
    public void Tell(Func<IPv6Address, bool, (ushort NextHop, ushort PayloadMtu)> know)
    {
        for (int index = 0; index < _top; index++)
        {
            ref FarEndEntry entry = ref _entries[index];
            IPv6Address address = entry.Address.Address;
            bool wasLarge = entry.Large != 0;
            if (wasLarge) entry.Large = 0;
            (ushort nextHop, ushort payloadMtu) = know(address, wasLarge);
            lock (_changing)
                if (entry.Address.Address == address) (_nextHops[index], entry.PayloadMtu) = (nextHop, payloadMtu);
        }
    }

    public void Dispose()
    {
        _entries.Dispose();
        _nextHops.Dispose();
    }
}
