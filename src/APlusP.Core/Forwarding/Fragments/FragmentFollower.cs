using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Fragments;

/// <summary>
/// Lets the later fragments of an IPv4 packet, which have no ports, follow its first one, in any order and without putting the packet together
/// (RFC 7597 section 8.3.2, RFC 6346 section 5.3.3, RFC 4787 REQ-14).
/// </summary>
sealed class FragmentFollower(FragmentOptions options, BatchClock clock, ulong key, ForwardingCounters counters)
{
    const int MaxPacket = 65535;

    // What a first fragment must hold of a transport header, so that no later one can change ports or flags behind our back (RFC 1858, RFC 3128).
    const int LeastTcp = 20, LeastOther = 8;

    readonly FragmentTable _table = new(options, options.FollowTimeout * clock.Frequency, key, counters);

    /// <summary>Whether fragments have waited that may go on now.</summary>
    public bool HasReady => _table.HasReady;

    public FragmentUse Use => _table.Use;

    /// <inheritdoc cref="FragmentTable.TakePeak"/>
    public FragmentUse TakePeak() => _table.TakePeak();

    public void Expire() => _table.Expire(clock.Now);

    /// <summary>What is wrong with a fragment by itself.</summary>
    public static DropReason Check(in IPv4Header header)
    {
        int payload = header.TotalLength - header.Size;
        if (payload == 0 || header.FragmentOffset + header.TotalLength > MaxPacket || (header.MoreFragments && payload % 8 != 0)) return DropReason.BadFragment;
        int least = header.Protocol == IpProtocol.Tcp ? LeastTcp : LeastOther;
        int end = header.FragmentOffset + payload;
        return header.IsLaterFragment ? header.FragmentOffset < least ? DropReason.BadFragment : DropReason.None
            : end < least ? DropReason.BadFragment
            : DropReason.None;
    }

    /// <summary>Writes down what the first fragment of a packet says, and lets go those that waited for it.</summary>
    public void Learn(in FragmentKey key, in FragmentFate fate, DropReason refused = DropReason.None)
    {
        long now = clock.Now;
        _table.Expire(now);
        int at = _table.FindOrAdd(key, now);
        ref Datagram datagram = ref _table[at];
        datagram.IsKnown = true;
        datagram.Fate = fate;
        datagram.Refused = refused;
        if (refused == DropReason.None) _table.Release(at);
        else _table.Refuse(at, refused);
    }

    /// <summary>What a later fragment is to do: follow its first one, be dropped like it, or wait for it.</summary>
    /// <param name="key">Of its packet.</param>
    /// <param name="packet">The fragment as received, for when it waits.</param>
    /// <param name="fate">What the first one said.</param>
    /// <returns>The default where <paramref name="fate"/> is known.</returns>
    public Verdict Follow(in FragmentKey key, ReadOnlySpan<byte> packet, out FragmentFate fate)
    {
        long now = clock.Now;
        _table.Expire(now);
        int at = _table.FindOrAdd(key, now);
        ref Datagram datagram = ref _table[at];
        fate = datagram.Fate;
        if (datagram.Refused != DropReason.None) return Verdict.Drop(datagram.Refused);
        if (datagram.IsKnown) return default;
        if (!_table.MakeRoom(at, packet.Length)) return Verdict.Drop(DropReason.FragmentsExceeded);
        _table.Keep(at, 0, packet, 0, key.Origin);
        return Verdict.Hold;
    }

    /// <summary>Adds fragments that may go on to a batch, as they were received.</summary>
    public void TakeReady(PacketBatch batch)
    {
        while (_table.TryTakeReady(batch))
        {
        }
    }
}
