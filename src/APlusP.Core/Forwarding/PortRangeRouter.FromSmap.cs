using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// From SMAPs: outer source, inner source and port must be one and the same binding; then the packet leaves its softwire, towards the
// Internet or into another subscriber's.
public sealed partial class PortRangeRouter
{
    Verdict ReadFromSmap(PacketBatch batch, int index, Policy policy, ref Pending pending, out BindingQuery query)
    {
        query = default;
        Span<byte> packet = batch.Bytes(index);
        if (!IPv6Header.TryRead(packet, out IPv6Header outer))
            return Verdict.Drop(packet.IsEmpty || outer.Version == 6 ? DropReason.Truncated : DropReason.WrongIpVersion);
        if (!policy.IsOurs(outer.Destination)) return Softwire.RefuseDestination(batch, index, outer);

        DropReason fault = Softwire.FindInner(batch, index, outer, out IpProtocol protocol, out int offset);
        if (fault == DropReason.NotIPv4InIPv6 && protocol == IpProtocol.Fragment)
        {
            Verdict waits = TakeOuterFragment(batch, index, offset, outer);
            if (waits.Fate != Fate.None) return waits;
            packet = batch.Bytes(index);
            IPv6Header.TryRead(packet, out outer);
            fault = Softwire.FindInner(batch, index, outer, out protocol, out offset);
        }

        if (fault == DropReason.NotIPv4InIPv6 && protocol == IpProtocol.IcmpV6)
        {
            Verdict heard = End.HearIcmpV6(batch, index, offset, outer, policy.Options.HopLimit, out SoftwireError error);
            return heard.Fate == Fate.None ? PassOn(batch, index, policy, error, offset + IcmpV6Header.Size + error.Inner) : heard;
        }

        if (fault != DropReason.None) return Verdict.Drop(fault);
        Journey?.Add("outer", $"{outer.Source} > {outer.Destination}, one of our softwire addresses; IPv4 begins after {offset} octets");

        Span<byte> inner = batch.Bytes(index)[offset..];
        fault = Softwire.Check(inner, out IPv4Header header);
        if (fault != DropReason.None) return Verdict.Drop(fault);
        if (header.TotalLength < inner.Length) batch.Truncate(index, offset + header.TotalLength);

        ushort port;
        DropReason portless;
        pending.Inner = offset;
        if (header.IsFragment)
        {
            // Only who may speak for the address at all has fragments remembered.
            if (!IsBoundTo(outer.Source, outer.Destination, header.Source)) return RefuseSource(batch, index, policy, pending, header.Source, new Softwire.Path(outer.Destination, outer.Source));
            Verdict waits = FindPortsOfFragment(inner, header, outer.Source, batch.Bytes(index), ref pending, out port, out _);
            if (waits.Fate != Fate.None) return waits;
            if (pending.Fault != DropReason.None) return Verdict.Drop(pending.Fault);
            portless = pending.Portless;
        }
        else
        {
            portless = PortKey.OfSource(inner, header, out port);
            if (portless != DropReason.None && !PortKey.IsPortless(portless)) return Verdict.Drop(portless);
            pending.Portless = portless;
        }

        query = new BindingQuery(header.Source, port);
        if (Journey is not null) TellInner(header, "source", port, portless);
        return default;
    }

    /// <summary>A part of an outer packet: kept where a subscriber sent it, until the packet is whole (RFC 6333 section 6.3).</summary>
    Verdict TakeOuterFragment(PacketBatch batch, int index, int fragmentAt, in IPv6Header outer)
    {
        if (!_table.TryFindSoftwire(outer.Source, out BindingHit known, out _)) return Verdict.Drop(DropReason.UnknownSoftwire);
        return known.Prr != outer.Destination ? Verdict.Drop(DropReason.WrongPrrAddress) : Reassembly.Take(batch, index, fragmentAt);
    }

    bool IsBoundTo(IPv6Address softwire, IPv6Address prr, IPv4Address address) =>
        _table.TryFindSoftwire(softwire, address, out BindingHit known, out IPv4Address bound) && known.Prr == prr && bound == address;

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

    Verdict DeliverFromSmap(PacketBatch batch, int index, Policy policy, in Pending pending, in BindingHit hit)
    {
        Span<byte> packet = batch.Bytes(index);
        IPv6Header.TryRead(packet, out IPv6Header outer);
        IPv4Header.TryRead(packet[pending.Inner..], out IPv4Header header);
        if (Journey is not null) TellLookup("lookup", hit);

        // The source check, RFC 7596 section 6.2, RFC 7597 section 8.1.
        bool bound = hit.Lookup == BindingLookup.Found && hit.Softwire == outer.Source && hit.Prr == outer.Destination
            && (pending.Portless == DropReason.None || hit.WholeAddress);
        var back = new Softwire.Path(outer.Destination, outer.Source);
        if (!bound) return RefuseSource(batch, index, policy, pending, header.Source, back);
        Journey?.Add("source check", "outer source, PRR address, inner source and port are one and the same binding");

        if (!Softwire.JoinCongestion(outer.TrafficClass, ref header)) return Verdict.Drop(DropReason.CongestionExperienced);
        if (!header.Destination.IsUnicast) return Verdict.Drop(DropReason.MartianDestination);

        Span<byte> inner = batch.TrimFront(index, pending.Inner);
        ushort port = pending.DestinationPort;
        DropReason portless = pending.Follows ? pending.Portless : PortKey.OfDestination(inner, header, out port);
        if (policy.ClampMss) End.ClampMss(inner, header, outer.Source, hit.PayloadMtu);
        if (_table.Find(header.Destination, port, out BindingHit receiver) != BindingLookup.NotShared)
            return Hairpin(batch, index, policy, portless, receiver, back);

        if (!policy.TtlAlreadyTaken)
        {
            if (header.TimeToLive <= 1) return DropTelling(batch, index, policy, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0, back);
            header.DecrementTimeToLive();
        }

        return Verdict.Forward;
    }

    Verdict RefuseSource(PacketBatch batch, int index, Policy policy, in Pending pending, IPv4Address innerSource, in Softwire.Path back)
    {
        DropReason reason =
            !_table.TryFindSoftwire(back.To, out BindingHit known, out IPv4Address address) ? DropReason.UnknownSoftwire
            : known.Prr != back.From ? DropReason.WrongPrrAddress
            : address != innerSource ? DropReason.SourceAddressNotBound
            : pending.Portless != DropReason.None ? pending.Portless
            : DropReason.SourcePortNotBound;
        Journey?.Add("source check", reason == DropReason.UnknownSoftwire ? $"no binding has the softwire {back.To}"
            : $"the softwire {back.To} is bound to {address}, at PRR address {known.Prr}");

        // A subscriber who sends what has no port is who it says it is: RFC 7596 has nothing to tell it.
        if (PortKey.IsPortless(reason)) return Verdict.Drop(reason);
        if (!policy.Options.SendIcmpV6Errors || !back.To.IsUnicast) return Verdict.Drop(reason);
        if (!MaySendError((ulong)back.To.Value)) return Verdict.Drop(reason);
        IcmpErrors.WriteV6(batch, index, IcmpV6Type.DestinationUnreachable, IcmpV6Header.SourceAddressFailedPolicy, policy.Options.HopLimit,
            back.From, back.To);
        Counters.IcmpV6Sent++;
        return Verdict.DropAndTell(reason);
    }

    /// <summary>From one subscriber to another, perhaps of the same address, RFC 7596 section 6.2. No kernel between: the TTL is ours to take.</summary>
    Verdict Hairpin(PacketBatch batch, int index, Policy policy, DropReason portless, in BindingHit receiver, in Softwire.Path back)
    {
        if (Journey is not null) TellLookup("hairpin lookup", receiver);
        if (!policy.Options.Hairpinning) return Verdict.Drop(DropReason.HairpinDisabled);
        IPv4Header.TryRead(batch.Bytes(index), out IPv4Header header);
        Verdict refused = CheckReceiver(batch, index, policy, portless, receiver, header, back, out int payloadMtu);
        if (refused.Fate != Fate.None) return refused;
        if (header.TimeToLive <= 1) return DropTelling(batch, index, policy, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0, back);

        header.DecrementTimeToLive();
        if (policy.ClampMss) End.ClampMss(batch.Bytes(index), header, receiver.Softwire, receiver.PayloadMtu);
        End.Encapsulate(batch, index, header.TrafficClass, policy.Options.HopLimit, new Softwire.Path(receiver.Prr, receiver.Softwire), payloadMtu);
        return Verdict.Hairpin;
    }
}
