using APlusP.Core.PortSets;

namespace APlusP.Core.Forwarding;

/// <summary>
/// IPv4 identifications out of a port set, one after the other from a random one on: two homes behind one address never use the same at once
/// (RFC 7597 section 8.3.3), and one home uses each again as late as it can (RFC 6864 section 4.1).
/// </summary>
sealed class IdentificationPool
{
    readonly ushort[] _all;
    int _next;

    public IdentificationPool(PortSet ports, Random random)
    {
        _all = [.. ports.Ranges.SelectMany(r => Enumerable.Range(r.First, r.Last - r.First + 1)).Select(p => (ushort)p)];
        _next = random.Next(_all.Length);
    }

    public ushort Take()
    {
        if (_next >= _all.Length) _next = 0;
        return _all[_next++];
    }
}
