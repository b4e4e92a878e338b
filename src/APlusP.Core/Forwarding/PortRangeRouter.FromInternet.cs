using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
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
        if (fault is not (DropReason.None or DropReason.Fragment))
        {
            return Verdict.Drop(packet.IsEmpty ? DropReason.Truncated
                : header.Version != 4 ? DropReason.WrongIpVersion
                : fault);
        }

        if (!header.Source.IsUnicast) return Verdict.Drop(DropReason.MartianSource);
        if (header.TotalLength < packet.Length) batch.Truncate(index, header.TotalLength);

        // What else is wrong is our business only if the address is.
        ushort port = 0;
        DropReason portless = fault == DropReason.None ? PortKey.OfDestination(packet, header, out port) : DropReason.None;
        if (PortKey.IsPortless(portless)) pending.Portless = portless;
        else if (portless != DropReason.None) fault = portless;
        pending.Fault = fault;
        query = new BindingQuery(header.Destination, port);
        if (Journey is not null) TellInner(header, "destination", port, fault != DropReason.None ? fault : portless);
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

        Verdict refused = CheckReceiver(batch, index, policy, pending.Portless, hit, header, sender: null);
        if (refused.Fate != Fate.None) return refused;

        if (!policy.TtlAlreadyTaken)
        {
            if (header.TimeToLive <= 1) return DropTelling(batch, index, policy, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0, null);
            header.DecrementTimeToLive();
        }

        Softwire.Encapsulate(batch, index, header.TrafficClass, policy.Options.HopLimit, new Softwire.Path(hit.Prr, hit.Softwire));
        return Verdict.Forward;
    }

    /// <summary>Whether a packet for a shared address has somebody to go to, and fits: for packets of both sides.</summary>
    /// <returns>The default verdict where it does.</returns>
    Verdict CheckReceiver(PacketBatch batch, int index, Policy policy, DropReason portless, in BindingHit hit, in IPv4Header header,
        in Softwire.Path? sender)
    {
        if (portless != DropReason.None && !(hit.Lookup == BindingLookup.Found && hit.WholeAddress))
            return DropTelling(batch, index, policy, portless, IcmpV4Type.DestinationUnreachable, IcmpV4Header.ProtocolUnreachable, sender);
        if (hit.Lookup != BindingLookup.Found)
            return DropTelling(batch, index, policy, DropReason.NoBinding, IcmpV4Type.DestinationUnreachable, IcmpV4Header.HostUnreachable, sender);
        if (header.TotalLength <= hit.PayloadMtu) return default;

        // RFC 2473 section 7.2 (a): who forbids fragments hears the largest size that fits.
        if (!header.DontFragment) return Verdict.Drop(DropReason.TooBig);
        return DropTelling(batch, index, policy, DropReason.TooBig, IcmpV4Type.DestinationUnreachable, IcmpV4Header.FragmentationNeeded, sender,
            hit.PayloadMtu);
    }
}
