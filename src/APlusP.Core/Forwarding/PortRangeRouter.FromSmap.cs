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
        if (!policy.IsOurs(outer.Destination)) return RefuseDestination(batch, index, outer);

        DropReason fault = Softwire.FindInner(batch, index, outer, out IpProtocol protocol, out int offset);
        if (fault == DropReason.NotIPv4InIPv6 && protocol == IpProtocol.IcmpV6) return HearIcmpV6(batch, index, offset, outer, policy);
        if (fault != DropReason.None) return Verdict.Drop(fault);
        Journey?.Add("outer", $"{outer.Source} > {outer.Destination}, one of our softwire addresses; IPv4 begins after {offset} octets");

        Span<byte> inner = batch.Bytes(index)[offset..];
        fault = Softwire.Check(inner, out IPv4Header header);
        if (fault != DropReason.None) return Verdict.Drop(fault);
        if (header.TotalLength < inner.Length) batch.Truncate(index, offset + header.TotalLength);

        DropReason portless = PortKey.OfSource(inner, header, out ushort port);
        if (portless != DropReason.None && !PortKey.IsPortless(portless)) return Verdict.Drop(portless);
        pending.Inner = offset;
        pending.Portless = portless;
        query = new BindingQuery(header.Source, port);
        if (Journey is not null) TellInner(header, "source", port, portless);
        return default;
    }

    /// <summary>Nothing of ours, except that the kernel itself speaks MLD and router solicitation on the device.</summary>
    static Verdict RefuseDestination(PacketBatch batch, int index, in IPv6Header outer) =>
        outer.Destination.IsMulticast && Softwire.FindInner(batch, index, outer, out IpProtocol protocol, out _) == DropReason.NotIPv4InIPv6
            && protocol == IpProtocol.IcmpV6
            ? Verdict.Consume
            : Verdict.Drop(DropReason.NotForUs);

    /// <summary>The softwire's end answers pings, also behind extension headers; errors about softwires are read and done with.</summary>
    Verdict HearIcmpV6(PacketBatch batch, int index, int offset, IPv6Header outer, Policy policy)
    {
        Span<byte> packet = batch.Bytes(index), message = packet[offset..];
        if (!IcmpV6Header.TryRead(message, out IcmpV6Header icmp)
            || Checksum.Of(message, Checksum.PseudoHeader(outer.Source, outer.Destination, IpProtocol.IcmpV6, message.Length)) != 0)
            return Verdict.Drop(DropReason.BadTransportHeader);
        if (icmp.Type != IcmpV6Type.EchoRequest) return Verdict.Consume;
        if (!outer.Source.IsUnicast) return Verdict.Drop(DropReason.MartianSource);

        if (offset > IPv6Header.Size)
        {
            // The reply has no extension headers: the addresses move up to the message. Only they are read from this copy.
            Span<byte> header = packet[..IPv6Header.Size];
            packet = batch.TrimFront(index, offset - IPv6Header.Size);
            header.CopyTo(packet);
            IPv6Header.TryRead(packet, out outer);
        }

        Softwire.TryAnswerPing(packet, IPv6Header.Size, outer, policy.Options.HopLimit);
        Counters.IcmpV6Sent++;
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
        Journey?.Add("source check", reason == DropReason.UnknownSoftwire ? $"no binding has the softwire {back.To}"
            : $"the softwire {back.To} is bound to {address}, at PRR address {known.Prr}");

        // A subscriber who sends what has no port is who it says it is: RFC 7596 has nothing to tell it.
        if (PortKey.IsPortless(reason)) return Verdict.Drop(reason);
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
        if (Journey is not null) TellLookup("hairpin lookup", receiver);
        if (!policy.Options.Hairpinning) return Verdict.Drop(DropReason.HairpinDisabled);
        IPv4Header.TryRead(batch.Bytes(index), out IPv4Header header);
        Verdict refused = CheckReceiver(batch, index, policy, portless, receiver, header, back);
        if (refused.Fate != Fate.None) return refused;
        if (header.TimeToLive <= 1) return DropTelling(batch, index, policy, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0, back);

        header.DecrementTimeToLive();
        Softwire.Encapsulate(batch, index, header.TrafficClass, policy.Options.HopLimit, new Softwire.Path(receiver.Prr, receiver.Softwire));
        return Verdict.Hairpin;
    }
}
