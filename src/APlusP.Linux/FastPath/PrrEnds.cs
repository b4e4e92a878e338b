using APlusP.Core.Addresses;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>The PRR's ends of softwires, which programs know by number.</summary>
sealed class PrrEnds(BpfObject loaded) : IDisposable
{
    readonly MappedArray<NetworkAddress> _ends = loaded.Map("ends").Share<NetworkAddress>();
    readonly Dictionary<IPv6Address, ushort> _indexes = [];

    /// <summary>The number of an end, a new one where it has none; false where there are too many.</summary>
    public bool TryIndex(IPv6Address prr, out ushort index)
    {
        if (_indexes.TryGetValue(prr, out index)) return true;
        if (_indexes.Count >= _ends.Count) return false;
        index = (ushort)_indexes.Count;
        _indexes[prr] = index;
        _ends[index] = new NetworkAddress(prr);
        return true;
    }

    public void Dispose() => _ends.Dispose();
}
