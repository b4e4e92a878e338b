using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// From the Internet: (address, port) says whose packet it is; it goes into the subscriber's softwire.
public sealed partial class PortRangeRouter
{
    Verdict ReadFromInternet(PacketBatch batch, int index, Policy policy, ref Pending pending, ref BindingQuery query)
    {
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
            Verdict waits = FindPortsOfFragment(packet, header, default, packet, ref pending, out _, out ushort portOfFirst);
            if (waits.Fate != Fate.None) return waits;
            port = portOfFirst;
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
    Verdict FindPortsOfFragment(Span<byte> packet, IPv4Header header, IPv6Address softwire, Span<byte> received, ref Pending pending, out ushort source,
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

        if (!Reaches(hit, pending.Portless, header, policy, out int payloadMtu))
            return IsForNames(packet, policy, hit) ? Verdict.Forward : RefuseReceiver(batch, index, policy, pending.Portless, hit, payloadMtu, sender: null);

        if (!policy.TtlAlreadyTaken)
        {
            if (header.TimeToLive <= 1) return DropTelling(batch, index, policy, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0, null);
            header.DecrementTimeToLive();
        }

        if (policy.ClampMss) End.ClampMss(packet, header, hit.Softwire, hit.PayloadMtu);
        End.Encapsulate(batch, index, header.TrafficClass, policy.HopLimit, new Softwire.Path(hit.Prr, hit.Softwire), payloadMtu);
        return Verdict.Forward;
    }

    /// <summary>
    /// Whether a packet for a shared address has somebody to go to, and fits: for packets of both sides. RFC 2473 section 7.2: (a) who forbids fragments hears the
    /// largest size that fits; (b) everybody else's packet goes in fragments of the softwire.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    bool Reaches(in BindingHit hit, DropReason portless, IPv4Header header, Policy policy, out int payloadMtu)
    {
        payloadMtu = 0;
        if (hit.Lookup != BindingLookup.Found || (portless != DropReason.None && !hit.WholeAddress)) return false;
        payloadMtu = End.PayloadMtu(hit, header.TotalLength);
        return header.TotalLength <= payloadMtu || !header.DontFragment || policy.Options.IgnoreDontFragment;
    }

    /// <summary>Whether a packet for a shared address is for the server of names, which stands where nobody is bound to a port of it: TCP, or the word that something of its TCP was too big.</summary>
    static bool IsForNames(Span<byte> packet, Policy policy, in BindingHit hit)
    {
        if (policy.NamedPorts.Length == 0 || hit.Lookup != BindingLookup.NoBinding || !IPv4Header.TryRead(packet, out IPv4Header header) || header.IsFragment) return false;
        Span<byte> payload = packet[header.Size..header.TotalLength];
        bool isTcp = header.Protocol == IpProtocol.Tcp || (header.Protocol == IpProtocol.Icmp && IcmpV4Header.TryRead(payload, out IcmpV4Header icmp)
            && icmp is { Type: IcmpV4Type.DestinationUnreachable, Code: IcmpV4Header.FragmentationNeeded } && IPv4Header.TryReadEmbedded(payload[IcmpV4Header.Size..], out IPv4Header embedded) && embedded.Protocol == IpProtocol.Tcp);
        return isTcp && PortKey.OfDestination(packet, header, out ushort port) == DropReason.None && policy.NamedPorts.Contains(port);
    }

    /// <summary>Drops what <see cref="Reaches"/> nobody, and says why to its sender: a subscriber, or, where that is null, the Internet.</summary>
    Verdict RefuseReceiver(PacketBatch batch, int index, Policy policy, DropReason portless, in BindingHit hit, int payloadMtu, in Softwire.Path? sender)
    {
        (DropReason reason, byte code) =
            portless != DropReason.None && !(hit.Lookup == BindingLookup.Found && hit.WholeAddress) ? (portless, IcmpV4Header.ProtocolUnreachable)
            : hit.Lookup != BindingLookup.Found ? (DropReason.NoBinding, IcmpV4Header.HostUnreachable)
            : (DropReason.TooBig, IcmpV4Header.FragmentationNeeded);
        return DropTelling(batch, index, policy, reason, IcmpV4Type.DestinationUnreachable, code, sender, (uint)payloadMtu);
    }
}
