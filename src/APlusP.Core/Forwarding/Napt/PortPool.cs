using APlusP.Core.PortSets;

namespace APlusP.Core.Forwarding.Napt;

/// <summary>
/// The free ports of one protocol, out of the whole of a set that need not be contiguous. Taking a random one and giving one back are a few stores.
/// Ports of a like are kept together: RFC 4787 wants parity kept (REQ-4) and ports below 1024 apart from others (REQ-3a).
/// </summary>
sealed class PortPool
{
    const int Kinds = 4;
    const int Resting = -4, Reserved = -3, NotInSet = -2, InUse = -1;

    readonly ushort[][] _free = new ushort[Kinds][];
    readonly int[] _count = new int[Kinds];
    readonly int[] _position = new int[65536];
    readonly ushort[] _all;
    readonly PortSet? _resting;

    /// <param name="set">The whole set.</param>
    /// <param name="hasPortZero">
    /// Whether 0 is given out where it is in the set: an ICMP identifier like any other, but TCP reserves the port and UDP takes it for "no answer
    /// wanted" (RFC 768).
    /// </param>
    /// <param name="resting">Ports that are not given out again once they are free.</param>
    /// <param name="before">The pool of before, whose ports that are in use, and in this set, are in use here too.</param>
    public PortPool(PortSet set, bool hasPortZero, PortSet? resting = null, PortPool? before = null)
    {
        _resting = resting;
        Array.Fill(_position, NotInSet);
        if (!hasPortZero && set.Contains(0)) _position[0] = Reserved;
        _all = [.. set.Ranges.SelectMany(range => Enumerable.Range(range.First, range.Count)).Select(port => (ushort)port).Where(port => _position[port] != Reserved)];
        for (int kind = 0; kind < Kinds; kind++) _free[kind] = new ushort[_all.Count(port => Kind(port) == kind)];
        foreach (ushort port in _all)
        {
            if (before?._position[port] == InUse)
            {
                _position[port] = InUse;
                Used++;
            }
            else PutBack(port);
        }

        Peak = Used;
    }

    /// <summary>Every port that may be given out.</summary>
    public ReadOnlySpan<ushort> All => _all;

    public int Used { get; private set; }

    /// <summary>The most that were ever in use at once.</summary>
    public int Peak { get; private set; }

    public bool Contains(ushort port) => _position[port] != NotInSet;

    public bool IsFree(ushort port) => _position[port] >= 0;

    /// <summary>Whether no port of these is in use.</summary>
    public bool IsIdle(PortSet ports) => ports.Ranges.All(range => !_position.AsSpan(range.First, range.Count).Contains(InUse));

    /// <summary>Whether a port is one of those that are not given out again.</summary>
    public bool IsResting(ushort port) => _resting?.Contains(port) == true;

    /// <summary>Takes this port; it must be free.</summary>
    public void Take(ushort port)
    {
        int kind = Kind(port), at = _position[port];
        ushort last = _free[kind][--_count[kind]];
        _free[kind][at] = last;
        _position[last] = at;
        _position[port] = InUse;
        Peak = Math.Max(Peak, ++Used);
    }

    /// <summary>
    /// Takes a free port for a host's port: that port itself where it can be, else a random one (RFC 7857 section 9) of the same class and
    /// parity, else as like as there is. False where none is left.
    /// </summary>
    public bool TryTake(ushort like, Random random, out ushort port)
    {
        port = like;
        if (!IsFree(like))
        {
            // Same class before same parity: a privileged port in place of another surprises more than an odd one.
            int kind = Kind(like);
            if (_count[kind] == 0) kind ^= 1;
            if (_count[kind] == 0) kind = Kind(like) ^ 2;
            if (_count[kind] == 0) kind ^= 1;
            if (_count[kind] == 0) return false;
            port = _free[kind][random.Next(_count[kind])];
        }

        Take(port);
        return true;
    }

    /// <summary>
    /// Takes a port like this one and the next above it, as RTP and RTCP want them (RFC 3550 section 11): the port itself where it can be, else a random one of its parity.
    /// </summary>
    public bool TryTakePair(ushort like, Random random, out ushort first)
    {
        first = like;
        if (!IsPairFree(like))
        {
            int kind = Kind(like) & 1, count = _count[kind], start = count == 0 ? 0 : random.Next(count), tried = 0;
            for (; tried < count; tried++)
            {
                first = _free[kind][(start + tried) % count];
                if (IsPairFree(first)) break;
            }

            if (tried == count) return false;
        }

        Take(first);
        Take((ushort)(first + 1));
        return true;
    }

    bool IsPairFree(ushort first) => first < ushort.MaxValue && IsFree(first) && IsFree((ushort)(first + 1));

    /// <summary>Gives a taken port back.</summary>
    public void GiveBack(ushort port)
    {
        Used--;
        PutBack(port);
    }

    void PutBack(ushort port)
    {
        if (IsResting(port))
        {
            _position[port] = Resting;
            return;
        }

        int kind = Kind(port);
        _position[port] = _count[kind];
        _free[kind][_count[kind]++] = port;
    }

    static int Kind(ushort port) => (port < 1024 ? 2 : 0) | (port & 1);
}
