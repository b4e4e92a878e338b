using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Napt;

// The flows that there are, for whoever asks. An entry keeps its place for as long as its flow lives, so that a list made in pieces, with traffic between them, misses nobody and tells nobody twice.
sealed partial class NaptTable
{
    /// <summary>Entries looked at in one piece: some tens of microseconds.</summary>
    const int ListedTogether = 4096;

    /// <summary>Adds the flows of a piece of the table, which begins at <paramref name="first"/>; gives where the next begins, or 0 behind the last.</summary>
    public int List(int first, List<TrackedFlow> into)
    {
        int end = Math.Min(first + ListedTogether, _flows.Length);
        for (int at = Math.Max(first, 1); at < end; at++)
        {
            if (_flows[at].Expires == 0) continue;
            CatchUp(at);
            into.Add(Tracked(_flows[at]));
        }

        return end == _flows.Length ? 0 : end;
    }

    TrackedFlow Tracked(in Flow flow)
    {
        OffloadedFlow told = Told(flow);
        HostAddress inside = HostAddress.Of(told.Inside), remote = HostAddress.Of(told.Remote), shared = HostAddress.Of(_options.SharedAddress);
        bool isIcmp = told.Protocol == IpProtocol.Icmp;
        var outwards = new ConnectionTuple(inside, remote, told.InsidePort, isIcmp ? told.InsidePort : told.RemotePort);
        var inwards = new ConnectionTuple(remote, shared, isIcmp ? told.External : told.RemotePort, told.External);

        // Who accepts has not begun.
        bool beganOutside = (flow.Seen & TcpSeen.Accepted) != 0;
        TrackedConnection connection = beganOutside
            ? new(told.Protocol, inwards, outwards, StateOf(flow))
            : new(told.Protocol, outwards, inwards, StateOf(flow));
        return new TrackedFlow(connection, (int)Math.Max(0, flow.Expires - _now));
    }

    /// <summary>What the kernel's connection tracking would call it.</summary>
    static TcpState StateOf(in Flow flow)
    {
        TcpSeen seen = flow.Seen;
        if (flow.Protocol != NaptProtocol.Tcp) return TcpState.None;
        if ((seen & TcpSeen.Reset) != 0) return TcpState.Close;
        return (seen & (TcpSeen.FinOutbound | TcpSeen.FinInbound), seen & (TcpSeen.Outbound | TcpSeen.Inbound)) switch
        {
            (TcpSeen.FinOutbound | TcpSeen.FinInbound, _) => TcpState.TimeWait,
            (TcpSeen.FinOutbound, _) => TcpState.FinWait,
            (TcpSeen.FinInbound, _) => TcpState.CloseWait,
            (_, TcpSeen.Outbound | TcpSeen.Inbound) => TcpState.Established,
            (_, TcpSeen.Outbound) => (seen & TcpSeen.Accepted) != 0 ? TcpState.SynReceived : TcpState.SynSent,
            _ => TcpState.SynReceived,
        };
    }
}
