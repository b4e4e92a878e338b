using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// From SMAPs: outer source, inner source and port must be one and the same binding; then the packet leaves its softwire, towards the
// Internet or into another subscriber's.
public sealed partial class PortRangeRouter
{
    Verdict ReadFromSmap(PacketBatch batch, int index, Policy policy, ref Pending pending, ref BindingQuery query)
    {
        Span<byte> packet = batch.Bytes(index);
        if (!IPv6Header.TryRead(packet, out IPv6Header outer))
            return Verdict.Drop(packet.IsEmpty || outer.Version == 6 ? DropReason.Truncated : DropReason.WrongIpVersion);
        if (!policy.IsOurs(outer.Destination)) return Softwire.RefuseDestination(batch, index, outer);

        int offset = IPv6Header.Size;
        if (outer.NextHeader == IpProtocol.IPv4) packet = batch.Truncate(index, IPv6Header.Size + outer.PayloadLength);
        else
        {
            Verdict other = TakeOther(batch, index, policy, outer, out int innerAt);
            if (other.Fate != Fate.None) return other;
            packet = batch.Bytes(index);
            IPv6Header.TryRead(packet, out outer);
            offset = innerAt;
        }

        if (Journey is not null) TellOuter(outer, offset);

        Span<byte> inner = packet[offset..];
        DropReason fault = Softwire.Check(inner, out IPv4Header header);
        if (fault != DropReason.None) return Verdict.Drop(fault);
        if (header.TotalLength < inner.Length) batch.Truncate(index, offset + header.TotalLength);

        ushort port;
        pending.Inner = offset;
        if (header.IsFragment)
        {
            Verdict waits = FindPortOfFragmentFromSmap(batch, index, policy, outer, header, ref pending, out ushort portOfFirst);
            if (waits.Fate != Fate.None) return waits;
            port = portOfFirst;
        }
        else
        {
            pending.Portless = PortKey.OfSource(inner, header, out port);
            if (pending.Portless != DropReason.None && !PortKey.IsPortless(pending.Portless)) return Verdict.Drop(pending.Portless);
        }

        query = new BindingQuery(header.Source, port);
        _table.Prefetch(header.Destination);
        if (Journey is not null) TellInner(header, "source", port, pending.Portless);
        return default;
    }

    /// <summary>
    /// What has no IPv4 right behind the outer header: IPv4 behind extension headers, a fragment, which may make the packet whole, or ICMPv6.
    /// </summary>
    /// <returns>The default where there is a whole softwire packet now, with IPv4 at <paramref name="offset"/>.</returns>
    Verdict TakeOther(PacketBatch batch, int index, Policy policy, IPv6Header outer, out int offset)
    {
        DropReason fault = Softwire.FindInner(batch, index, outer, out IpProtocol protocol, out offset);
        if (fault == DropReason.NotIPv4InIPv6 && protocol == IpProtocol.Fragment)
        {
            Verdict waits = TakeOuterFragment(batch, index, offset, outer);
            if (waits.Fate != Fate.None) return waits;
            IPv6Header.TryRead(batch.Bytes(index), out outer);
            fault = Softwire.FindInner(batch, index, outer, out protocol, out offset);
        }

        if (fault == DropReason.NotIPv4InIPv6 && protocol == IpProtocol.IcmpV6)
        {
            Verdict heard = End.HearIcmpV6(batch, index, offset, outer, policy.HopLimit, out SoftwireError error);
            return heard.Fate == Fate.None ? PassOn(batch, index, policy, error, offset + IcmpV6Header.Size + error.Inner) : heard;
        }

        return fault == DropReason.None ? default : Verdict.Drop(fault);
    }

    /// <summary>The source port of an inner fragment. Only who may speak for the address at all has fragments remembered.</summary>
    Verdict FindPortOfFragmentFromSmap(PacketBatch batch, int index, Policy policy, IPv6Header outer, IPv4Header header, ref Pending pending, out ushort port)
    {
        port = 0;
        bool isKnown = _table.TryFindSoftwire(outer.Source, header.Source, out BindingHit known, out IPv4Address bound);
        if (!isKnown || known.Prr != outer.Destination || bound != header.Source)
            return RefuseSource(batch, index, policy, pending, header.Source, BackOf(outer), new SoftwireHolder(isKnown, known.Prr, bound));
        Span<byte> packet = batch.Bytes(index);
        Verdict waits = FindPortsOfFragment(packet[pending.Inner..], header, outer.Source, packet, ref pending, out port, out _);
        return waits.Fate == Fate.None && pending.Fault != DropReason.None ? Verdict.Drop(pending.Fault) : waits;
    }

    /// <summary>The softwire that a packet came by, as what goes back to its subscriber travels it.</summary>
    static Softwire.Path BackOf(IPv6Header outer) => new(outer.Destination, outer.Source);

    /// <summary>A part of an outer packet: kept where a subscriber sent it, until the packet is whole (RFC 6333 section 6.3).</summary>
    Verdict TakeOuterFragment(PacketBatch batch, int index, int fragmentAt, IPv6Header outer)
    {
        if (!_table.TryFindSoftwire(outer.Source, out BindingHit known, out _)) return Verdict.Drop(DropReason.UnknownSoftwire);
        return known.Prr != outer.Destination ? Verdict.Drop(DropReason.WrongPrrAddress) : Reassembly.Take(batch, index, fragmentAt);
    }

    /// <summary>An ICMPv6 error about a softwire packet of ours becomes the ICMPv4 error for the sender of the packet inside, RFC 2473 section 8.3.</summary>
    Verdict PassOn(PacketBatch batch, int index, Policy policy, in SoftwireError error, int innerAt)
    {
        Span<byte> inner = batch.Bytes(index)[innerAt..];
        IPv4Header.TryReadEmbedded(inner, out IPv4Header header);

        // We sent it only if its destination is bound to that softwire; a later fragment does not say its port.
        if (!_table.TryFindSoftwire(error.Path.To, header.Destination, out BindingHit hit, out IPv4Address bound) || hit.Prr != error.Path.From || bound != header.Destination)
            return Verdict.Consume;
        if (PortKey.OfEmbeddedDestination(inner, header, out ushort port) == DropReason.None
            && (_table.Find(header.Destination, port, out BindingHit holder) != BindingLookup.Found || holder.Softwire != error.Path.To)) return Verdict.Consume;
        Journey?.Add("icmpv6 error", $"{error.Type} about a packet to {error.Path.To}");
        if (!End.Hear(error, header, hit.PayloadMtu, out byte code, out uint rest) || !IcmpErrors.MayTellSender(inner, header)) return Verdict.Consume;

        // A subscriber's own packet, hairpinned: the error goes into its softwire.
        Softwire.Path? subscriber = null;
        PortKey.OfEmbeddedSource(inner, header, out ushort sourcePort);
        BindingLookup sender = _table.Find(header.Source, sourcePort, out BindingHit back);
        if (sender == BindingLookup.NoBinding) return Verdict.Consume;
        if (sender == BindingLookup.Found) subscriber = new Softwire.Path(back.Prr, back.Softwire);
        if (!MaySendError(header.Source.Value)) return Verdict.Consume;
        IPv4Address self = policy.Options.IcmpSource ?? header.Destination, to = header.Source;
        batch.TrimFront(index, innerAt);
        IcmpErrors.WriteV4(batch, index, IcmpV4Type.DestinationUnreachable, code, self, to, rest);
        if (subscriber is { } path) Tell(batch, index, policy, path);
        Counters.IcmpV4Sent++;
        return Verdict.Answer;
    }

    /// <returns>The default where the source check fails: <see cref="RefuseSources"/> judges.</returns>
    Verdict DeliverFromSmap(PacketBatch batch, int index, Policy policy, in Pending pending, in BindingHit hit)
    {
        Span<byte> packet = batch.Bytes(index);
        IPv6Header.TryRead(packet, out IPv6Header outer);
        IPv4Header.TryRead(packet[pending.Inner..], out IPv4Header header);
        if (Journey is not null) TellLookup("lookup", hit);

        // The source check, RFC 7596 section 6.2, RFC 7597 section 8.1.
        bool bound = hit.Lookup == BindingLookup.Found && hit.Softwire == outer.Source && hit.Prr == outer.Destination
            && (pending.Portless == DropReason.None || hit.WholeAddress);
        if (!bound) return default;
        Journey?.Add("source check", "outer source, PRR address, inner source and port are one and the same binding");

        if (!Softwire.JoinCongestion(outer.TrafficClass, ref header)) return Verdict.Drop(DropReason.CongestionExperienced);
        if (policy.UniformServices) Softwire.TakeServices(outer.TrafficClass, ref header);
        if (!header.Destination.IsUnicast) return Verdict.Drop(DropReason.MartianDestination);

        Span<byte> inner = batch.TrimFront(index, pending.Inner);
        if (policy.ClampMss) End.ClampMss(inner, header, outer.Source, hit.PayloadMtu);
        if (_table.IsShared(header.Destination)) return Hairpin(batch, index, policy, pending, BackOf(outer));

        if (!policy.TtlAlreadyTaken)
        {
            if (header.TimeToLive <= 1) return DropTelling(batch, index, policy, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0, BackOf(outer));
            header.DecrementTimeToLive();
        }

        return Verdict.Forward;
    }

    /// <summary>Judges those of a piece that failed the source check.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    void RefuseSources(PacketBatch batch, int start, ReadOnlySpan<int> refused, Policy policy, bool wereHeld)
    {
        for (int at = 0; at < refused.Length; at++)
        {
            Span<byte> packet = batch.Bytes(start + refused[at]);
            IPv6Header.TryRead(packet, out IPv6Header outer);
            IPv4Header.TryRead(packet[_pending[refused[at]].Inner..], out IPv4Header header);
            _senders[at] = new SoftwireQuery(outer.Source, header.Source);
        }

        _table.FindSoftwires(_senders.AsSpan(0, refused.Length), _holders);
        for (int at = 0; at < refused.Length; at++)
        {
            int i = refused[at];
            IPv6Header.TryRead(batch.Bytes(start + i), out IPv6Header outer);
            Verdict verdict = RefuseSource(batch, start + i, policy, _pending[i], _senders[at].Source, BackOf(outer), _holders[at]);
            batch[start + i].Verdict = verdict;
            Journey?.Judge(verdict);
            Count(Origin.FromSmap, verdict, _pending[i].Octets, wereHeld);
        }
    }

    Verdict RefuseSource(PacketBatch batch, int index, Policy policy, in Pending pending, IPv4Address innerSource, in Softwire.Path back, in SoftwireHolder holder)
    {
        DropReason reason =
            !holder.IsKnown ? DropReason.UnknownSoftwire
            : holder.Prr != back.From ? DropReason.WrongPrrAddress
            : holder.Address != innerSource ? DropReason.SourceAddressNotBound
            : pending.Portless != DropReason.None ? pending.Portless
            : DropReason.SourcePortNotBound;
        Journey?.Add("source check", reason == DropReason.UnknownSoftwire ? $"no binding has the softwire {back.To}"
            : $"the softwire {back.To} is bound to {holder.Address}, at PRR address {holder.Prr}");

        // A subscriber who sends what has no port is who it says it is: RFC 7596 has nothing to tell it.
        if (PortKey.IsPortless(reason)) return Verdict.Drop(reason);
        if (!policy.Options.SendIcmpV6Errors || !back.To.IsUnicast) return Verdict.Drop(reason);
        if (!MaySendError((ulong)back.To.Value)) return Verdict.Drop(reason);
        IcmpErrors.WriteV6(batch, index, IcmpV6Type.DestinationUnreachable, IcmpV6Header.SourceAddressFailedPolicy, policy.HopLimit,
            back.From, back.To);
        Counters.IcmpV6Sent++;
        return Verdict.DropAndTell(reason);
    }

    /// <summary>From one subscriber to another, perhaps of the same address, RFC 7596 section 6.2. No kernel between: the TTL is ours to take.</summary>
    Verdict Hairpin(PacketBatch batch, int index, Policy policy, in Pending pending, in Softwire.Path back)
    {
        Span<byte> packet = batch.Bytes(index);
        IPv4Header.TryRead(packet, out IPv4Header header);
        ushort port = pending.DestinationPort;
        DropReason portless = pending.Follows ? pending.Portless : PortKey.OfDestination(packet, header, out port);
        _table.Find(header.Destination, port, out BindingHit receiver);
        if (Journey is not null) TellLookup("hairpin lookup", receiver);
        if (!policy.Options.Hairpinning) return Verdict.Drop(DropReason.HairpinDisabled);
        if (!Reaches(receiver, portless, header, policy, out int payloadMtu))
            return IsForNames(packet, policy, receiver) ? Verdict.Forward : RefuseReceiver(batch, index, policy, portless, receiver, payloadMtu, back);
        if (header.TimeToLive <= 1) return DropTelling(batch, index, policy, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0, back);

        header.DecrementTimeToLive();
        if (policy.ClampMss) End.ClampMss(packet, header, receiver.Softwire, receiver.PayloadMtu);
        End.Encapsulate(batch, index, header.TrafficClass, policy.HopLimit, new Softwire.Path(receiver.Prr, receiver.Softwire), payloadMtu);
        return Verdict.Hairpin;
    }
}
