using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Fragments;

/// <summary>
/// Puts the fragments of outer IPv6 packets together again before the softwire is opened, RFC 6333 section 5.3, by the rules of RFC 8200 section 4.5:
/// fragments that overlap condemn their packet (RFC 5722).
/// </summary>
sealed class Reassembly(FragmentOptions options, BatchClock clock, ulong key, ForwardingCounters counters)
{
    const int MaxPayload = 65535;

    // The two low bits of the traffic class where congestion was met, RFC 3168 section 5.
    const byte CongestionExperienced = 3;

    readonly FragmentTable _table = new(options, options.ReassemblyTimeout * clock.Frequency, key, counters);

    public FragmentUse Use => _table.Use;

    /// <inheritdoc cref="FragmentTable.TakePeak"/>
    public FragmentUse TakePeak() => _table.TakePeak();

    public void Expire() => _table.Expire(clock.Now);

    /// <summary>Whether first fragments of packets that were given up wait for their sender to be told.</summary>
    public bool HasExpired => _table.HasReady;

    /// <summary>
    /// Adds the first fragment of a packet that was given up to a batch, as it was received: RFC 8200 section 4.5 wants its sender told. It is counted as dropped already.
    /// </summary>
    /// <returns>False where there is none, or no room in the batch.</returns>
    public bool TryTakeExpired(PacketBatch batch) => _table.TryTakeReady(batch);

    /// <summary>Takes a fragment in; where it was the last that was missing, the whole packet stands in its buffer afterwards.</summary>
    /// <param name="batch">The batch of the fragment.</param>
    /// <param name="index">The fragment.</param>
    /// <param name="fragmentAt">Where its fragment header begins.</param>
    /// <returns>The default where the packet is whole now; otherwise what becomes of the fragment.</returns>
    public Verdict Take(PacketBatch batch, int index, int fragmentAt)
    {
        ref PacketSlot slot = ref batch[index];
        Span<byte> packet = batch.Bytes(index);
        IPv6Header.TryRead(packet, out IPv6Header outer);
        IPv6FragmentHeader.TryRead(packet[fragmentAt..], out IPv6FragmentHeader fragment);
        Span<byte> payload = packet[(fragmentAt + IPv6FragmentHeader.Size)..];
        int offset = fragment.Offset, end = offset + payload.Length;
        if (payload.IsEmpty || end > MaxPayload || (fragment.MoreFragments && payload.Length % 8 != 0)) return Verdict.Drop(DropReason.BadFragment);

        _table.Expire(clock.Now);
        int at = _table.FindOrAdd(FragmentKey.Of(outer, fragment.Identification, slot.Origin), clock.Now);
        ref Datagram datagram = ref _table[at];
        if (datagram.Refused != DropReason.None) return Verdict.Drop(datagram.Refused);

        // Where the fragment goes, and whether it lies over what is there.
        int after = 0;
        for (int part = datagram.Parts; part != 0 && _table.PartAt(part).Offset <= offset; part = _table.PartAt(part).Next) after = part;
        int next = after != 0 ? _table.PartAt(after).Next : datagram.Parts;
        if (after != 0 && _table.PartAt(after).Offset == offset && _table.PartAt(after).Length == payload.Length
            && fragment.MoreFragments == (datagram.Total != end)) return Verdict.Drop(DropReason.DuplicateFragment);
        bool overlaps = (after != 0 && _table.PartAt(after).Offset + _table.PartAt(after).Length > offset)
            || (next != 0 && _table.PartAt(next).Offset < end);
        bool contradicts = datagram.Total >= 0 ? end > datagram.Total || (!fragment.MoreFragments && end != datagram.Total)
            : !fragment.MoreFragments && next != 0;
        if (overlaps || contradicts)
        {
            _table.Refuse(at, DropReason.FragmentOverlap);
            return Verdict.Drop(DropReason.FragmentOverlap);
        }

        // The first is kept whole: if the rest does not come, its sender hears of it.
        int headers = offset == 0 ? packet.Length - payload.Length : 0;
        if (!_table.MakeRoom(at, headers + payload.Length)) return Verdict.Drop(DropReason.FragmentsExceeded);
        _table.Keep(at, after, packet[^(headers + payload.Length)..], offset, slot.Origin, headers);
        datagram.Octets += payload.Length;
        if (!fragment.MoreFragments) datagram.Total = end;
        if ((outer.TrafficClass & CongestionExperienced) == CongestionExperienced) datagram.MetCongestion = true;
        if (offset == 0)
        {
            datagram.NextHeader = fragment.NextHeader;
            datagram.TrafficClass = outer.TrafficClass;
        }

        return datagram.Octets == datagram.Total ? Finish(batch, index, at) : Verdict.Hold;
    }

    Verdict Finish(PacketBatch batch, int index, int at)
    {
        ref Datagram datagram = ref _table[at];
        Origin origin = batch[index].Origin;
        Span<byte> room = batch.Receive(index);
        int total = datagram.Total;

        // This fragment stands for the packet from here on; the others have done their part.
        bool fits = IPv6Header.Size + total <= room.Length;
        for (int i = 1; i < datagram.PartCount; i++) counters.Settle(origin, fits ? Verdict.Consume : Verdict.Drop(DropReason.TooBig));
        if (!fits)
        {
            _table.PutTogether(at, []);
            return Verdict.Drop(DropReason.TooBig);
        }

        IPv6Header.TryRead(batch.Bytes(index), out IPv6Header outer);
        byte trafficClass = (byte)(datagram.TrafficClass | (datagram.MetCongestion ? CongestionExperienced : 0));
        IPv6Header.Write(room, trafficClass, total, datagram.NextHeader, outer.HopLimit, outer.Source, outer.Destination, outer.FlowLabel);
        _table.PutTogether(at, room.Slice(IPv6Header.Size, total));
        batch.Received(index, IPv6Header.Size + total, origin);
        return default;
    }
}
