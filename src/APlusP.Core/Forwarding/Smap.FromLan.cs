using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Forwarding.Gateways;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// From the LAN, and from the router itself: translated into our ports, then into the softwire; or back to the LAN where a host calls
// another by the shared address.
public sealed partial class Smap
{
    Verdict FromLan(PacketBatch batch, int index)
    {
        Span<byte> packet = batch.Bytes(index);
        DropReason fault = Softwire.Check(packet, out IPv4Header header);
        if (fault != DropReason.None) return Verdict.Drop(fault);
        if (header.TotalLength < packet.Length) packet = batch.Truncate(index, header.TotalLength);
        if (header.Source == _options.SharedAddress) return Verdict.Drop(DropReason.SourceNotLan);
        if (!header.Source.IsUnicast) return Verdict.Drop(DropReason.MartianSource);
        if (!header.Destination.IsUnicast) return Verdict.Drop(DropReason.MartianDestination);
        _path = PathToPrr;
        if (_options.OwnPrefix is { } own && own.Contains(header.Source)) return RouteFromLan(batch, index, own, ref header);
        if (!NaptProtocols.TryOf(header.Protocol, out NaptProtocol protocol)) return Verdict.Drop(DropReason.ProtocolWithoutPorts);

        FragmentKey key = default;
        bool isFirst = header.IsFragment && !header.IsLaterFragment;
        if (header.IsFragment)
        {
            fault = FragmentFollower.Check(header);
            if (fault != DropReason.None) return Verdict.Drop(fault);
            key = FragmentKey.Of(header, default, Origin.FromLan);
            if (!isFirst) return FollowFromLan(batch, index, key, ref header);
        }

        if (!TakeTimeToLive(ref header)) return DropTellingLan(batch, index, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0);
        Span<byte> payload = packet[header.Size..];
        Verdict verdict = protocol == NaptProtocol.Icmp
            ? IcmpFromLan(batch, index, ref header, payload)
            : TransportFromLan(batch, index, protocol, ref header, payload);
        if (isFirst) Learn(key, header, verdict);
        return verdict;
    }

    /// <summary>What became of the first fragment becomes of the others.</summary>
    void Learn(in FragmentKey key, in IPv4Header header, Verdict verdict)
    {
        var fate = new FragmentFate
        {
            Source = header.Source,
            Destination = header.Destination,
            Identification = header.Identification,
            Hairpins = verdict.Fate == Fate.Hairpinned,
            Peer = _path.To,
        };
        Followers.Learn(key, fate, verdict.Reason);
    }

    Verdict FollowFromLan(PacketBatch batch, int index, in FragmentKey key, ref IPv4Header header)
    {
        Verdict waits = Followers.Follow(key, batch.Bytes(index), out FragmentFate fate);
        if (waits.Fate != Fate.None) return waits;
        _path = _path with { To = fate.Peer };
        int payloadMtu = 0;
        if (!fate.Hairpins && !Fits(header, out payloadMtu)) return RefuseTooBig(batch, index, payloadMtu);
        if (!TakeTimeToLive(ref header)) return Verdict.Drop(DropReason.TtlExpired);
        header.Source = fate.Source;
        header.Destination = fate.Destination;
        header.Identification = fate.Identification;
        return fate.Hairpins ? Verdict.Hairpin : Send(batch, index, header, payloadMtu);
    }

    Verdict TransportFromLan(PacketBatch batch, int index, NaptProtocol protocol, ref IPv4Header header, Span<byte> payload)
    {
        if (!TryReadTransport(payload, protocol, header, out TransportHeader transport)) return Verdict.Drop(DropReason.BadTransportHeader);
        var inside = new Endpoint(header.Source.Value, transport.SourcePort);
        var remote = new Endpoint(header.Destination.Value, transport.DestinationPort);
        TcpFlags flags = protocol == NaptProtocol.Tcp ? transport.TcpFlags : TcpFlags.None;

        // Another host of this home, called by the shared address: looked for first, so that a call to nobody takes no port.
        bool hairpin = header.Destination == _options.SharedAddress && _napt.Owns(remote.Port);
        if (hairpin && !_options.Hairpinning) return Verdict.Drop(DropReason.HairpinDisabled);
        if (hairpin && !_napt.IsInUse(protocol, remote.Port)) return Verdict.Drop(DropReason.NoMapping);
        _path = PathFor(header.Destination, remote.Port);
        int payloadMtu = 0;
        if (!hairpin && !Fits(header, out payloadMtu)) return RefuseTooBig(batch, index, payloadMtu);

        DropReason refused = _napt.Outbound(protocol, inside, remote, flags, out ushort external);
        if (refused != DropReason.None) return RefusePort(batch, index, refused);
        Settle(isOurs: hairpin || IsRead(protocol, inside, remote), _path.To);

        Endpoint called = default;
        if (hairpin)
        {
            var caller = new Endpoint(_options.SharedAddress.Value, external);
            refused = _napt.Inbound(protocol, remote.Port, caller, flags, out called);
            Settle(isOurs: true, default);
            if (refused != DropReason.None) return Verdict.Drop(refused);
        }

        MendChecksum(ref transport, protocol, inside.Address, _options.SharedAddress.Value, inside.Port, external);
        transport.SourcePort = external;
        header.Source = _options.SharedAddress;
        if (hairpin)
        {
            DeliverTransport(protocol, ref header, ref transport, called);
            return Verdict.Hairpin;
        }

        if (IsRead(protocol, inside, remote)) return SendRead(batch, index, ref header, new Talk(_napt, protocol, FromHome: true, inside, new Endpoint(_options.SharedAddress.Value, external), remote));
        Identify(ref header);
        return Send(batch, index, header, payloadMtu);
    }

    Verdict IcmpFromLan(PacketBatch batch, int index, ref IPv4Header header, Span<byte> payload)
    {
        if (!IcmpV4Header.TryRead(payload, out IcmpV4Header icmp)) return Verdict.Drop(DropReason.BadTransportHeader);
        if (icmp.IsError) return IcmpErrorFromLan(batch, index, ref header, payload);
        if (!icmp.IsQuery || header.HasSourceRoute) return Verdict.Drop(DropReason.IcmpNotTranslatable);
        if (!Fits(header, out int payloadMtu)) return RefuseTooBig(batch, index, payloadMtu);

        var inside = new Endpoint(header.Source.Value, icmp.Identifier);
        var remote = new Endpoint(header.Destination.Value, 0);
        DropReason refused = _napt.Outbound(NaptProtocol.Icmp, inside, remote, TcpFlags.None, out ushort external);
        if (refused != DropReason.None) return RefusePort(batch, index, refused);
        icmp.Identifier = external;
        header.Source = _options.SharedAddress;
        _path = PathFor(header.Destination, external);
        Settle(isOurs: false, _path.To);
        Identify(ref header);
        return Send(batch, index, header, payloadMtu);
    }

    /// <summary>An error about a packet that came in: the packet inside goes back to what it was outside, RFC 5508 REQ-5.</summary>
    Verdict IcmpErrorFromLan(PacketBatch batch, int index, ref IPv4Header header, Span<byte> payload)
    {
        // Of an error in fragments the checksum cannot be told, nor mended. A source route may hold addresses of the home, RFC 5508 section 7.3.
        if (header.IsFragment || header.HasSourceRoute) return Verdict.Drop(DropReason.IcmpNotTranslatable);
        if (Checksum.Of(payload) != 0) return Verdict.Drop(DropReason.BadTransportHeader);
        Span<byte> embedded = payload[IcmpV4Header.Size..];
        if (!TryReadEmbedded(embedded, out IPv4Header about, out NaptProtocol protocol, out ushort source, out ushort destination)
            || about.HasSourceRoute) return Verdict.Drop(DropReason.IcmpNotTranslatable);
        _path = PathFor(header.Destination, source);
        if (!Fits(header, out int payloadMtu)) return Verdict.Drop(DropReason.TooBig);

        var inside = new Endpoint(about.Destination.Value, destination);
        var remote = new Endpoint(about.Source.Value, protocol == NaptProtocol.Icmp ? (ushort)0 : source);
        if (!_napt.TryFindExternal(protocol, inside, remote, out ushort external)) return Verdict.Drop(DropReason.NoMapping);

        // About a packet from another host of this home, which must know it again too (RFC 5508 REQ-7).
        Endpoint sender = default;
        bool hairpin = about.Source == _options.SharedAddress && header.Destination == _options.SharedAddress && _napt.Owns(source);
        if (hairpin && !_options.Hairpinning) return Verdict.Drop(DropReason.HairpinDisabled);
        var called = new Endpoint(_options.SharedAddress.Value, protocol == NaptProtocol.Icmp ? (ushort)0 : external);
        if (hairpin && !_napt.TryFindInside(protocol, source, called, out sender)) return Verdict.Drop(DropReason.NoMapping);

        RewriteEmbedded(embedded, ref about, protocol, isSource: false, _options.SharedAddress, external);
        header.Source = _options.SharedAddress;
        if (hairpin)
        {
            RewriteEmbedded(embedded, ref about, protocol, isSource: true, new IPv4Address(sender.Address), sender.Port);
            header.Destination = new IPv4Address(sender.Address);
        }

        FinishIcmp(payload);
        if (hairpin) return Verdict.Hairpin;
        Identify(ref header);
        return Send(batch, index, header, payloadMtu);
    }

    /// <summary>No port for this flow: the host hears so, with the code that the operator chose (RFC 5508 REQ-8 or RFC 6888).</summary>
    Verdict RefusePort(PacketBatch batch, int index, DropReason reason) =>
        DropTellingLan(batch, index, reason, IcmpV4Type.DestinationUnreachable, _options.ExhaustionIcmpCode);

    Verdict DropTellingLan(PacketBatch batch, int index, DropReason reason, IcmpV4Type type, byte code, uint rest = 0)
    {
        // Only exhaustion may be kept quiet: the rest the sender must know to go on.
        bool isOptional = type == IcmpV4Type.DestinationUnreachable && code != IcmpV4Header.FragmentationNeeded;
        Span<byte> packet = batch.Bytes(index);
        if ((isOptional && !_options.SendIcmpErrors) || !IPv4Header.TryRead(packet, out IPv4Header header) || !IcmpErrors.MayTellSender(packet, header))
            return Verdict.Drop(reason);
        if (!MaySendError(header.Source.Value)) return Verdict.Drop(reason);
        IcmpErrors.WriteV4(batch, index, type, code, _options.IcmpSource ?? _options.SharedAddress, header.Source, rest, IcmpErrors.ClassOf(header));
        Counters.IcmpV4Sent++;
        return Verdict.DropAndTell(reason);
    }

    /// <summary>
    /// The packet that an ICMP error is about: its protocol, and its ports or identifier. Eight octets of its transport header are enough
    /// (RFC 5508 REQ-3); of a later fragment there are none.
    /// </summary>
    static bool TryReadEmbedded(Span<byte> bytes, out IPv4Header about, out NaptProtocol protocol, out ushort source, out ushort destination)
    {
        source = destination = 0;
        protocol = default;
        if (!IPv4Header.TryReadEmbedded(bytes, out about) || about.IsLaterFragment || !NaptProtocols.TryOf(about.Protocol, out protocol)) return false;
        Span<byte> rest = bytes[about.Size..];
        if (protocol == NaptProtocol.Icmp)
        {
            if (!IcmpV4Header.TryRead(rest, out IcmpV4Header icmp) || !icmp.IsQuery) return false;
            source = destination = icmp.Identifier;
            return true;
        }

        TransportHeader.TryReadPorts(rest, out TransportHeader transport);
        source = transport.SourcePort;
        destination = transport.DestinationPort;
        return true;
    }

    /// <summary>Gives the embedded packet another source or destination, and mends as many of its checksums as are there.</summary>
    static void RewriteEmbedded(Span<byte> bytes, ref IPv4Header about, NaptProtocol protocol, bool isSource, IPv4Address address, ushort port)
    {
        Span<byte> rest = bytes[about.Size..];
        uint before = (isSource ? about.Source : about.Destination).Value;
        if (isSource) about.Source = address;
        else about.Destination = address;
        if (protocol == NaptProtocol.Icmp)
        {
            IcmpV4Header.TryRead(rest, out IcmpV4Header icmp);
            icmp.Identifier = port;
            return;
        }

        const int tcpChecksumEnd = 18;
        TransportHeader.TryReadPorts(rest, out TransportHeader transport);
        ushort old = isSource ? transport.SourcePort : transport.DestinationPort;
        if (protocol == NaptProtocol.Udp || rest.Length >= tcpChecksumEnd) MendChecksum(ref transport, protocol, before, address.Value, old, port);
        if (isSource) transport.SourcePort = port;
        else transport.DestinationPort = port;
    }

    static void FinishIcmp(Span<byte> message)
    {
        IcmpV4Header.TryRead(message, out IcmpV4Header icmp);
        icmp.Checksum = 0;
        icmp.Checksum = Checksum.Of(message);
    }
}
