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
        if (!IPv6Header.TryRead(packet, out IPv6Header outer)) return Verdict.Drop(DropReason.Truncated);
        if (!policy.IsOurs(outer.Destination)) return Verdict.Drop(DropReason.NotForUs);

        DropReason fault = Softwire.FindInner(batch, index, outer, out IpProtocol protocol, out int offset);
        if (fault == DropReason.NotIPv4InIPv6 && protocol == IpProtocol.IcmpV6) return HearIcmpV6(batch.Bytes(index), offset, outer, policy);
        if (fault != DropReason.None) return Verdict.Drop(fault);

        Span<byte> inner = batch.Bytes(index)[offset..];
        fault = Softwire.Check(inner, out IPv4Header header);
        if (fault != DropReason.None) return Verdict.Drop(fault);
        if (header.TotalLength < inner.Length) batch.Truncate(index, offset + header.TotalLength);

        DropReason portless = PortKey.OfSource(inner, header, out ushort port);
        if (portless != DropReason.None && !PortKey.IsPortless(portless)) return Verdict.Drop(portless);
        pending.Inner = offset;
        pending.Portless = portless;
        query = new BindingQuery(header.Source, port);
        return default;
    }

    /// <summary>The softwire's end answers pings; errors about softwires, and the neighbourhood's multicast, are read and done with.</summary>
    Verdict HearIcmpV6(Span<byte> packet, int offset, in IPv6Header outer, Policy policy)
    {
        if (!Softwire.TryAnswerPing(packet, offset, outer, policy.Options.HopLimit)) return Verdict.Consume;
        Counters.IcmpV6Sent++;
        return Verdict.Answer;
    }

    Verdict DeliverFromSmap(PacketBatch batch, int index, Policy policy, in Pending pending, in BindingHit hit)
    {
        Span<byte> packet = batch.Bytes(index);
        IPv6Header.TryRead(packet, out IPv6Header outer);
        IPv4Header.TryRead(packet[pending.Inner..], out IPv4Header header);
        Journey?.Look(hit);

        // The source check, RFC 7596 section 6.2, RFC 7597 section 8.1.
        bool bound = hit.Lookup == BindingLookup.Found && hit.Softwire == outer.Source && hit.Prr == outer.Destination
            && (pending.Portless == DropReason.None || hit.WholeAddress);
        var back = new Softwire.Path(outer.Destination, outer.Source);
        if (!bound) return RefuseSource(batch, index, policy, pending, header.Source, back);

        if (!Softwire.JoinCongestion(outer.TrafficClass, ref header)) return Verdict.Drop(DropReason.CongestionExperienced);
        if (!header.Destination.IsUnicast) return Verdict.Drop(DropReason.MartianDestination);

        Span<byte> inner = batch.TrimFront(index, pending.Inner);
        DropReason portless = PortKey.OfDestination(inner, header, out ushort port);
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
        if (!policy.Options.SendIcmpV6Errors || !back.To.IsUnicast) return Verdict.Drop(reason);
        if (!_icmpLimit.TryTake(policy.Options.IcmpErrorsPerSecond))
        {
            Counters.IcmpSuppressed++;
            return Verdict.Drop(reason);
        }

        IcmpErrors.WriteV6(batch, index, IcmpV6Type.DestinationUnreachable, IcmpV6Header.SourceAddressFailedPolicy, policy.Options.HopLimit,
            back.From, back.To);
        Counters.IcmpV6Sent++;
        return Verdict.DropAndTell(reason);
    }

    /// <summary>From one subscriber to another, perhaps of the same address, RFC 7596 section 6.2. No kernel between: the TTL is ours to take.</summary>
    Verdict Hairpin(PacketBatch batch, int index, Policy policy, DropReason portless, in BindingHit receiver, in Softwire.Path back)
    {
        Journey?.Look(receiver);
        if (!policy.Options.Hairpinning) return Verdict.Drop(DropReason.HairpinDisabled);
        IPv4Header.TryRead(batch.Bytes(index), out IPv4Header header);
        Verdict refused = CheckReceiver(batch, index, policy, portless, receiver, header.TotalLength, back);
        if (refused.Fate != Fate.None) return refused;
        if (header.TimeToLive <= 1) return DropTelling(batch, index, policy, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0, back);

        header.DecrementTimeToLive();
        Softwire.Encapsulate(batch, index, header.TrafficClass, policy.Options.HopLimit, new Softwire.Path(receiver.Prr, receiver.Softwire));
        return Verdict.Hairpin;
    }
}
