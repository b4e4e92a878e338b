using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Forwarding.Gateways;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// From the PRR: out of the softwire, if it is ours and the port too; then to the host whose mapping it is.
public sealed partial class Smap
{
    Verdict FromPrr(PacketBatch batch, int index)
    {
        Span<byte> packet = batch.Bytes(index);
        if (!IPv6Header.TryRead(packet, out IPv6Header outer)) return Verdict.Drop(DropReason.Truncated);
        if (outer.Destination != _options.SoftwireAddress) return Softwire.RefuseDestination(batch, index, outer);
        DropReason fault = Softwire.FindInner(batch, index, outer, out IpProtocol next, out int offset);
        if (fault == DropReason.NotIPv4InIPv6 && next == IpProtocol.Fragment)
        {
            if (!IsPeer(outer.Source)) return Verdict.Drop(DropReason.NotFromPrr);
            Verdict waits = Reassembly.Take(batch, index, offset);
            if (waits.Fate != Fate.None) return waits;
            IPv6Header.TryRead(batch.Bytes(index), out outer);
            fault = Softwire.FindInner(batch, index, outer, out next, out offset);
        }

        if (fault == DropReason.NotIPv4InIPv6 && next == IpProtocol.IcmpV6)
        {
            Verdict heard = End.HearIcmpV6(batch, index, offset, outer, _options.HopLimit, out SoftwireError error);
            return heard.Fate == Fate.None ? PassOn(batch, index, outer.Source, error, offset + IcmpV6Header.Size + error.Inner) : heard;
        }

        if (fault != DropReason.None) return Verdict.Drop(fault);
        if (!IsPeer(outer.Source)) return Verdict.Drop(DropReason.NotFromPrr);
        _path = new Softwire.Path(_options.SoftwireAddress, outer.Source);
        byte outerTrafficClass = outer.TrafficClass;

        Span<byte> inner = batch.Bytes(index)[offset..];
        fault = Softwire.Check(inner, out IPv4Header header);
        if (fault != DropReason.None) return Verdict.Drop(fault);
        if (!header.Source.IsUnicast) return Verdict.Drop(DropReason.MartianSource);
        if (outer.Source != _options.PrrAddress)
        {
            fault = CheckPeer(inner, header, outer.Source);
            if (fault != DropReason.None) return Verdict.Drop(fault);
        }

        if (_options.OwnPrefix is { } own && own.Contains(header.Destination) && header.Destination != _options.SharedAddress)
            return RouteToLan(batch, index, offset, outerTrafficClass, ref header);
        if (header.Destination != _options.SharedAddress) return Verdict.Drop(DropReason.NotOurPort);
        if (!NaptProtocols.TryOf(header.Protocol, out NaptProtocol protocol)) return Verdict.Drop(DropReason.ProtocolWithoutPorts);

        FragmentKey key = default;
        FragmentFate first = default;
        bool isFirst = header.IsFragment && !header.IsLaterFragment;
        if (header.IsFragment)
        {
            fault = FragmentFollower.Check(header);
            if (fault != DropReason.None) return Verdict.Drop(fault);
            key = FragmentKey.Of(header, outer.Source, Origin.FromPrr);
            Verdict waits = isFirst ? default : Followers.Follow(key, batch.Bytes(index), out first);
            if (waits.Fate != Fate.None) return waits;
        }

        if (!Softwire.JoinCongestion(outerTrafficClass, ref header)) return Verdict.Drop(DropReason.CongestionExperienced);
        if (_options.UniformServices) Softwire.TakeServices(outerTrafficClass, ref header);
        batch.TrimFront(index, offset);
        inner = batch.Truncate(index, header.TotalLength);
        if (header.IsLaterFragment)
        {
            if (!TakeTimeToLive(ref header)) return Verdict.Drop(DropReason.TtlExpired);
            header.Destination = first.Destination;
            return Verdict.Forward;
        }

        Span<byte> payload = inner[header.Size..];
        Verdict verdict = protocol == NaptProtocol.Icmp
            ? IcmpFromPrr(batch, index, ref header, payload)
            : TransportFromPrr(batch, index, protocol, ref header, payload);
        if (isFirst) Learn(key, header, verdict);
        return verdict;
    }

    /// <summary>
    /// An ICMPv6 error about a packet that we sent into a softwire becomes the ICMPv4 error for the host whose packet that was (RFC 2473 section 8.3), who
    /// must know it again.
    /// </summary>
    Verdict PassOn(PacketBatch batch, int index, IPv6Address reporter, in SoftwireError error, int innerAt)
    {
        if (error.Path.From != _options.SoftwireAddress || !IsPeer(error.Path.To)) return Verdict.Consume;

        // RFC 7596 section 5.1: that a source is refused, the other end alone may say.
        if (error.IsRefusal)
        {
            if (reporter != error.Path.To) return Verdict.Drop(DropReason.NotFromPrr);
            Refusals++;
        }

        Span<byte> inner = batch.Bytes(index)[innerAt..];
        IPv4Header.TryReadEmbedded(inner, out IPv4Header header);
        bool isRouted = header.Source != _options.SharedAddress;
        if (isRouted && !(_options.OwnPrefix is { } own && own.Contains(header.Source))) return Verdict.Consume;
        if (!End.Hear(error, header, _options.PayloadMtu, out byte code, out uint rest) || !IcmpErrors.MayTellSender(inner, header)) return Verdict.Consume;
        if (!isRouted && !TryRevertEmbedded(inner, ref header)) return Verdict.Consume;
        IPv4Address sender = header.Source;
        if (!MaySendError(sender.Value)) return Verdict.Consume;
        byte trafficClass = IcmpErrors.ClassOf(header);
        batch.TrimFront(index, innerAt);
        IcmpErrors.WriteV4(batch, index, IcmpV4Type.DestinationUnreachable, code, _options.IcmpSource ?? _options.SharedAddress, sender, rest, trafficClass);
        Counters.IcmpV4Sent++;
        return Verdict.Answer;
    }

    /// <summary>Gives a packet of ours that an error embeds the source that it had before it was translated.</summary>
    bool TryRevertEmbedded(Span<byte> packet, ref IPv4Header header)
    {
        if (!TryReadEmbedded(packet, out header, out NaptProtocol protocol, out ushort source, out ushort destination)) return false;
        var remote = new Endpoint(header.Destination.Value, protocol == NaptProtocol.Icmp ? (ushort)0 : destination);
        if (!_napt.TryFindInside(protocol, source, remote, out Endpoint inside)) return false;
        RewriteEmbedded(packet, ref header, protocol, isSource: true, new IPv4Address(inside.Address), inside.Port);
        return true;
    }

    Verdict TransportFromPrr(PacketBatch batch, int index, NaptProtocol protocol, ref IPv4Header header, Span<byte> payload)
    {
        if (!TryReadTransport(payload, protocol, header, out TransportHeader transport)) return Verdict.Drop(DropReason.BadTransportHeader);
        if (!_napt.Owns(transport.DestinationPort)) return Verdict.Drop(DropReason.NotOurPort);
        if (!TakeTimeToLive(ref header)) return ExpireTelling(batch, index, header);
        var remote = new Endpoint(header.Source.Value, transport.SourcePort);
        TcpFlags flags = protocol == NaptProtocol.Tcp ? transport.TcpFlags : TcpFlags.None;
        DropReason refused = _napt.Inbound(protocol, transport.DestinationPort, remote, flags, out Endpoint inside);
        if (refused != DropReason.None) return Verdict.Drop(refused);
        if (_napt.Unsettled != 0) Settle(IsRead(protocol, inside, remote), PathFor(header.Source, remote.Port).To);
        if (_options.ClampMss) End.ClampMss(batch.Bytes(index), header, _path.To, _options.PayloadMtu);
        ushort external = transport.DestinationPort;
        DeliverTransport(protocol, ref header, ref transport, inside);
        return IsRead(protocol, inside, remote)
            ? DeliverRead(batch, index, ref header, new Talk(_napt, protocol, FromHome: false, inside, new Endpoint(_options.SharedAddress.Value, external), remote))
            : Verdict.Forward;
    }

    static void DeliverTransport(NaptProtocol protocol, ref IPv4Header header, ref TransportHeader transport, Endpoint inside)
    {
        MendChecksum(ref transport, protocol, header.Destination.Value, inside.Address, transport.DestinationPort, inside.Port);
        transport.DestinationPort = inside.Port;
        header.Destination = new IPv4Address(inside.Address);
    }

    Verdict IcmpFromPrr(PacketBatch batch, int index, ref IPv4Header header, Span<byte> payload)
    {
        if (!IcmpV4Header.TryRead(payload, out IcmpV4Header icmp)) return Verdict.Drop(DropReason.BadTransportHeader);
        if (icmp.IsError) return IcmpErrorFromPrr(batch, index, ref header, payload);
        if (!icmp.IsQuery) return Verdict.Drop(DropReason.IcmpNotTranslatable);
        if (!_napt.Owns(icmp.Identifier)) return Verdict.Drop(DropReason.NotOurPort);

        // A ping to an identifier that no host uses asks whether this home is there: the SMAP answers in its place.
        if (icmp.Type == IcmpV4Type.Echo && !header.IsFragment && !_napt.IsInUse(NaptProtocol.Icmp, icmp.Identifier)) return AnswerPing(batch, index, ref header, payload, ref icmp);

        if (!TakeTimeToLive(ref header)) return ExpireTelling(batch, index, header);
        var remote = new Endpoint(header.Source.Value, 0);
        DropReason refused = _napt.Inbound(NaptProtocol.Icmp, icmp.Identifier, remote, TcpFlags.None, out Endpoint inside);
        if (refused != DropReason.None) return Verdict.Drop(refused);
        icmp.Identifier = inside.Port;
        header.Destination = new IPv4Address(inside.Address);
        return Verdict.Forward;
    }

    Verdict AnswerPing(PacketBatch batch, int index, ref IPv4Header header, Span<byte> payload, ref IcmpV4Header icmp)
    {
        if (Checksum.Of(payload) != 0) return Verdict.Drop(DropReason.BadTransportHeader);
        icmp.Type = IcmpV4Type.EchoReply;
        IPv4Address asker = header.Source;
        header.Source = _options.SharedAddress;
        header.Destination = asker;
        header.TimeToLive = AnswerTimeToLive;
        Encapsulate(batch, index, header.TrafficClass, End.PayloadMtu(_path, _options.PayloadMtu, header.TotalLength));
        Counters.IcmpV4Sent++;
        return Verdict.Answer;
    }

    /// <summary>An error about a packet that we sent: it goes to whoever sent that, who must know the packet again, RFC 5508 REQ-4.</summary>
    Verdict IcmpErrorFromPrr(PacketBatch batch, int index, ref IPv4Header header, Span<byte> payload)
    {
        if (header.IsFragment) return Verdict.Drop(DropReason.IcmpNotTranslatable);
        if (Checksum.Of(payload) != 0) return Verdict.Drop(DropReason.BadTransportHeader);
        Span<byte> embedded = payload[IcmpV4Header.Size..];
        if (!TryReadEmbedded(embedded, out IPv4Header about, out NaptProtocol protocol, out ushort source, out ushort destination)
            || about.Source != _options.SharedAddress) return Verdict.Drop(DropReason.IcmpNotTranslatable);
        if (!_napt.Owns(source)) return Verdict.Drop(DropReason.NotOurPort);
        if (!TakeTimeToLive(ref header)) return Verdict.Drop(DropReason.TtlExpired);
        var remote = new Endpoint(about.Destination.Value, protocol == NaptProtocol.Icmp ? (ushort)0 : destination);
        if (!_napt.TryFindInside(protocol, source, remote, out Endpoint inside)) return Verdict.Drop(DropReason.NoMapping);

        RewriteEmbedded(embedded, ref about, protocol, isSource: true, new IPv4Address(inside.Address), inside.Port);
        header.Destination = new IPv4Address(inside.Address);
        FinishIcmp(payload);
        return Verdict.Forward;
    }

    /// <summary>The sender on the Internet hears by ICMPv4 11/0 that its packet ended here, as of any router.</summary>
    Verdict ExpireTelling(PacketBatch batch, int index, in IPv4Header header)
    {
        if (!IcmpErrors.MayTellSender(batch.Bytes(index), header)) return Verdict.Drop(DropReason.TtlExpired);
        if (!MaySendError(header.Source.Value)) return Verdict.Drop(DropReason.TtlExpired);
        byte trafficClass = IcmpErrors.ClassOf(header);
        IcmpErrors.WriteV4(batch, index, IcmpV4Type.TimeExceeded, 0, _options.SharedAddress, header.Source, trafficClass: trafficClass);
        TellSender(batch, index, trafficClass);
        Counters.IcmpV4Sent++;
        return Verdict.DropAndTell(DropReason.TtlExpired);
    }

    bool TakeTimeToLive(ref IPv4Header header)
    {
        if (_options.TtlAlreadyTaken) return true;
        if (header.TimeToLive <= 1) return false;
        header.DecrementTimeToLive();
        return true;
    }
}
