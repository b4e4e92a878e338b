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
        if (fault != DropReason.None) return Verdict.Drop(fault);
        if (!header.Source.IsUnicast) return Verdict.Drop(DropReason.MartianSource);
        if (header.TotalLength < packet.Length) batch.Truncate(index, header.TotalLength);

        DropReason portless = PortKey.OfDestination(packet, header, out ushort port);
        if (portless != DropReason.None && !PortKey.IsPortless(portless)) return Verdict.Drop(portless);
        pending.Portless = portless;
        query = new BindingQuery(header.Destination, port);
        return default;
    }

    Verdict DeliverFromInternet(PacketBatch batch, int index, Policy policy, in Pending pending, in BindingHit hit)
    {
        Journey?.Look(hit);
        if (hit.Lookup == BindingLookup.NotShared) return Verdict.Drop(DropReason.NotSharedAddress);

        Span<byte> packet = batch.Bytes(index);
        IPv4Header.TryRead(packet, out IPv4Header header);
        if (header.Protocol == IpProtocol.Icmp && !policy.Options.AllowIcmpFromInternet) return Verdict.Drop(DropReason.IcmpNotAllowed);

        Verdict refused = CheckReceiver(batch, index, policy, pending.Portless, hit, header.TotalLength, sender: null);
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
    Verdict CheckReceiver(PacketBatch batch, int index, Policy policy, DropReason portless, in BindingHit hit, int length, in Softwire.Path? sender)
    {
        if (portless != DropReason.None && !(hit.Lookup == BindingLookup.Found && hit.WholeAddress))
            return DropTelling(batch, index, policy, portless, IcmpV4Type.DestinationUnreachable, IcmpV4Header.ProtocolUnreachable, sender);
        if (hit.Lookup != BindingLookup.Found)
            return DropTelling(batch, index, policy, DropReason.NoBinding, IcmpV4Type.DestinationUnreachable, IcmpV4Header.HostUnreachable, sender);
        return length > hit.PayloadMtu ? Verdict.Drop(DropReason.TooBig) : default;
    }
}
