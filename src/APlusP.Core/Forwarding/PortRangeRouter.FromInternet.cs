using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// From the Internet: (address, port) says whose packet it is; it goes into the subscriber's softwire.
public sealed partial class PortRangeRouter
{
    Verdict ReadFromInternet(PacketBatch batch, int index, Policy policy, ref Pending pending, out BindingQuery query)
    {
        query = default;
        Span<byte> packet = batch.Bytes(index);
        DropReason fault = Softwire.Check(packet, out IPv4Header header);
        if (fault != DropReason.None)
        {
            return Verdict.Drop(packet.IsEmpty ? DropReason.Truncated
                : header.Version != 4 ? DropReason.WrongIpVersion
                : fault);
        }

        if (!header.Source.IsUnicast) return Verdict.Drop(DropReason.MartianSource);
        if (header.TotalLength < packet.Length) batch.Truncate(index, header.TotalLength);

        // What else is wrong is our business only if the address is.
        ushort port = 0;
        DropReason portless = DropReason.None;
        if (header.IsFragment)
        {
            Verdict waits = FindPortsOfFragment(packet, header, default, packet, ref pending, out _, out port);
            if (waits.Fate != Fate.None) return waits;
            fault = pending.Fault;
            portless = pending.Portless;
        }
        else
        {
            portless = PortKey.OfDestination(packet, header, out port);
            if (PortKey.IsPortless(portless)) pending.Portless = portless;
            else if (portless != DropReason.None) fault = portless;
        }

        pending.Fault = fault;
        query = new BindingQuery(header.Destination, port);
        if (Journey is not null) TellInner(header, "destination", port, fault != DropReason.None ? fault : portless);
        return default;
    }

    /// <summary>
    /// The ports of a fragment: the first has them, and tells them to the others, which wait for it.
    /// </summary>
    /// <param name="packet">The IPv4 packet.</param>
    /// <param name="header">Its header.</param>
    /// <param name="softwire">The softwire that it came by; none for the Internet.</param>
    /// <param name="received">The packet as it was received, for when it waits.</param>
    /// <param name="pending">Told what is wrong with it.</param>
    /// <param name="source">The source port.</param>
    /// <param name="destination">The destination port.</param>
    /// <returns>The default where the ports are known, or can matter to nobody.</returns>
    Verdict FindPortsOfFragment(Span<byte> packet, in IPv4Header header, IPv6Address softwire, Span<byte> received, ref Pending pending, out ushort source,
        out ushort destination)
    {
        source = destination = 0;
        Origin origin = softwire == default ? Origin.FromInternet : Origin.FromSmap;
        if (origin == Origin.FromInternet && !_table.IsShared(header.Destination)) return default;
        pending.Fault = FragmentFollower.Check(header);
        if (pending.Fault != DropReason.None) return default;
        FragmentKey key = FragmentKey.Of(header, softwire, origin);
        if (header.IsLaterFragment)
        {
            Verdict waits = Followers.Follow(key, received, out FragmentFate fate);
            if (waits.Fate != Fate.None) return waits;
            source = fate.SourcePort;
            destination = pending.DestinationPort = fate.DestinationPort;
            pending.Portless = fate.Portless;
            pending.Follows = true;
            return default;
        }

        DropReason portless = origin == Origin.FromInternet
            ? PortKey.OfDestination(packet, header, out destination)
            : PortKey.OfSource(packet, header, out source);
        if (origin == Origin.FromSmap) PortKey.OfDestination(packet, header, out destination);
        if (portless == DropReason.None || PortKey.IsPortless(portless))
        {
            pending.Portless = portless;
            Followers.Learn(key, new FragmentFate { SourcePort = source, DestinationPort = destination, Portless = portless });
        }
        else
        {
            pending.Fault = portless;
            Followers.Learn(key, default, portless);
        }

        return default;
    }

    Verdict DeliverFromInternet(PacketBatch batch, int index, Policy policy, in Pending pending, in BindingHit hit)
    {
        if (Journey is not null) TellLookup("lookup", hit);
        if (hit.Lookup == BindingLookup.NotShared) return Verdict.Drop(DropReason.NotSharedAddress);

        Span<byte> packet = batch.Bytes(index);
        IPv4Header.TryRead(packet, out IPv4Header header);
        if (header.Protocol == IpProtocol.Icmp && !policy.Options.AllowIcmpFromInternet) return Verdict.Drop(DropReason.IcmpNotAllowed);
        if (pending.Fault != DropReason.None) return Verdict.Drop(pending.Fault);

        Verdict refused = CheckReceiver(batch, index, policy, pending.Portless, hit, header, sender: null, out int payloadMtu);
        if (refused.Fate != Fate.None) return refused;

        if (!policy.TtlAlreadyTaken)
        {
            if (header.TimeToLive <= 1) return DropTelling(batch, index, policy, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0, null);
            header.DecrementTimeToLive();
        }

        if (policy.ClampMss) End.ClampMss(packet, header, hit.Softwire, hit.PayloadMtu);
        End.Encapsulate(batch, index, header.TrafficClass, policy.Options.HopLimit, new Softwire.Path(hit.Prr, hit.Softwire), payloadMtu);
        return Verdict.Forward;
    }

    /// <summary>Whether a packet for a shared address has somebody to go to, and fits: for packets of both sides.</summary>
    /// <returns>The default verdict where it does.</returns>
    Verdict CheckReceiver(PacketBatch batch, int index, Policy policy, DropReason portless, in BindingHit hit, in IPv4Header header,
        in Softwire.Path? sender, out int payloadMtu)
    {
        payloadMtu = 0;
        if (portless != DropReason.None && !(hit.Lookup == BindingLookup.Found && hit.WholeAddress))
            return DropTelling(batch, index, policy, portless, IcmpV4Type.DestinationUnreachable, IcmpV4Header.ProtocolUnreachable, sender);
        if (hit.Lookup != BindingLookup.Found)
            return DropTelling(batch, index, policy, DropReason.NoBinding, IcmpV4Type.DestinationUnreachable, IcmpV4Header.HostUnreachable, sender);
        payloadMtu = End.PayloadMtu(new Softwire.Path(hit.Prr, hit.Softwire), hit.PayloadMtu, header.TotalLength);

        // RFC 2473 section 7.2: (a) who forbids fragments hears the largest size that fits; (b) everybody else's packet goes in fragments of the softwire.
        if (header.TotalLength <= payloadMtu || !header.DontFragment || policy.Options.IgnoreDontFragment) return default;
        return DropTelling(batch, index, policy, DropReason.TooBig, IcmpV4Type.DestinationUnreachable, IcmpV4Header.FragmentationNeeded, sender,
            (uint)payloadMtu);
    }
}
