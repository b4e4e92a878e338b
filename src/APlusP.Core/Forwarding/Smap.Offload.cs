using APlusP.Core.Addresses;
using APlusP.Core.Forwarding.Gateways;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// Flows that the kernel forwards in the SMAP's place.
public sealed partial class Smap
{
    /// <summary>
    /// Has another forward the plain packets of flows from now on, and goes on with those that it remembers of a process before. Before the first packet.
    /// </summary>
    /// <returns>Flows that live on.</returns>
    public int Entrust(IFlowOffload offload)
    {
        Advance();
        return _napt.Entrust(offload, FarEndOf);
    }

    /// <summary>All packets go through us from now on. Between batches.</summary>
    public void Dismiss() => _napt.Dismiss();

    /// <summary>Forgets all flows.</summary>
    void Flush()
    {
        IFlowOffload? offload = _napt.Offload;
        offload?.Clear();
        _napt = new NaptTable(_options, _random);
        if (offload is not null) _napt.Entrust(offload, FarEndOf);
    }

    /// <summary>Where packets of a flow go; null where we read them.</summary>
    IPv6Address? FarEndOf(OffloadedFlow flow)
    {
        NaptProtocols.TryOf(flow.Protocol, out NaptProtocol protocol);
        return IsRead(protocol, new Endpoint(flow.Inside.Value, flow.InsidePort), new Endpoint(flow.Remote.Value, flow.RemotePort))
            ? null
            : PathFor(flow.Remote, protocol == NaptProtocol.Icmp ? flow.External : flow.RemotePort).To;
    }

    /// <summary>Whether a gateway reads the packets of a flow.</summary>
    bool IsRead(NaptProtocol protocol, Endpoint inside, Endpoint remote) =>
        (_options.FtpGateway && FtpGateway.Concerns(protocol, inside, remote)) || IsSip(protocol, inside, remote);

    /// <summary>Settles who forwards the flow of the packet at hand, if it is time to.</summary>
    void Settle(bool isOurs, IPv6Address farEnd)
    {
        if (_napt.Unsettled is not 0 and var flow) _napt.Settle(flow, isOurs ? null : farEnd);
    }
}
