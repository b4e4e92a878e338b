using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// Mapping rules in the SMAP: other subscribers reached directly (mesh mode, RFC 7597 section 5), and a whole IPv4 prefix for the home.
public sealed partial class Smap
{
    // Of the packet at hand: to the PRR, or, by a Forwarding Mapping Rule, to another subscriber.
    Softwire.Path _path;

    static RuleTable? MeshOf(SmapOptions options) => options.ForwardingRules.Count == 0 ? null
        : new RuleTable(options.ForwardingRules.Select(rule => new RuleBinding(rule, options.PrrAddress, options.PayloadMtu)));

    /// <summary>
    /// Where a packet for this address and port goes: to the CE that a Forwarding Mapping Rule computes, and all else to the PRR. What would come back to ourselves goes to
    /// the PRR too, which knows better.
    /// </summary>
    Softwire.Path PathFor(IPv4Address destination, ushort port) =>
        _mesh is not null && _mesh.Find(destination, port, out BindingHit hit) == BindingLookup.Found && hit.Softwire != _options.SoftwireAddress
            ? new Softwire.Path(_options.SoftwireAddress, hit.Softwire)
            : PathToPrr;

    /// <summary>Whether softwire packets may come from this address at all: the PRR's, or a CE's by a Forwarding Mapping Rule.</summary>
    bool IsPeer(IPv6Address address) => address == _options.PrrAddress || _mesh?.RuleOf(address) is not null;

    /// <summary>RFC 7597 section 8.1: the packet inside must be of an address and port that the other CE has.</summary>
    DropReason CheckPeer(Span<byte> inner, in IPv4Header header, IPv6Address peer)
    {
        // A later fragment follows its first, which was checked whole.
        if (header.IsLaterFragment)
            return _mesh!.TryFindSoftwire(peer, header.Source, out _, out IPv4Address its) && its == header.Source ? DropReason.None : DropReason.SourceNotByRule;
        DropReason portless = PortKey.OfSource(inner, header, out ushort port);
        if (portless != DropReason.None && !PortKey.IsPortless(portless)) return portless;
        return _mesh!.Find(header.Source, port, out BindingHit hit) == BindingLookup.Found && hit.Softwire == peer && (portless == DropReason.None || hit.WholeAddress)
            ? DropReason.None
            : DropReason.SourceNotByRule;
    }

    /// <summary>From a host with an address of our own prefix: as it is into the softwire, whatever its protocol.</summary>
    Verdict RouteFromLan(PacketBatch batch, int index, IPv4Prefix own, ref IPv4Header header)
    {
        // Nobody of ours has it, or the kernel had not brought it here.
        if (own.Contains(header.Destination)) return Verdict.Drop(DropReason.NoMapping);
        if (!TakeTimeToLive(ref header)) return DropTellingLan(batch, index, DropReason.TtlExpired, IcmpV4Type.TimeExceeded, 0);
        _path = PathOfRouted(batch.Bytes(index), header);
        if (!Fits(header, out int payloadMtu)) return RefuseTooBig(batch, index, payloadMtu);
        return Send(batch, index, header, payloadMtu);
    }

    /// <summary>All fragments of a packet take one way, so only a rule of whole addresses is asked for those.</summary>
    Softwire.Path PathOfRouted(Span<byte> packet, in IPv4Header header)
    {
        if (_mesh is null) return PathToPrr;
        if (!header.IsFragment && PortKey.OfDestination(packet, header, out ushort port) == DropReason.None) return PathFor(header.Destination, port);
        return _mesh.Find(header.Destination, ushort.MaxValue, out BindingHit hit) == BindingLookup.Found && hit.WholeAddress ? PathFor(header.Destination, ushort.MaxValue) : PathToPrr;
    }

    /// <summary>For a host with an address of our own prefix: out of the softwire, and as it is to the LAN.</summary>
    Verdict RouteToLan(PacketBatch batch, int index, int offset, byte outerTrafficClass, ref IPv4Header header)
    {
        if (!Softwire.JoinCongestion(outerTrafficClass, ref header)) return Verdict.Drop(DropReason.CongestionExperienced);
        if (_options.UniformServices) Softwire.TakeServices(outerTrafficClass, ref header);
        batch.TrimFront(index, offset);
        batch.Truncate(index, header.TotalLength);
        if (!TakeTimeToLive(ref header)) return ExpireTelling(batch, index, header);
        if (_options.ClampMss) End.ClampMss(batch.Bytes(index), header, _path.To, _options.PayloadMtu);
        return Verdict.Forward;
    }
}
