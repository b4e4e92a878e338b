using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;

namespace APlusP.Survey.Flows;

/// <summary>A flow as the survey sees it, for as long as it is counted. The remote end is never stored.</summary>
/// <param name="Host">Who needs a port for it.</param>
/// <param name="Port">The host's port, or the identifier of an ICMP query.</param>
/// <param name="Remote">The other end.</param>
/// <param name="RemotePort">Its port; 0 of ICMP.</param>
/// <param name="ServicePort">The port that tells the application: the remote one, or the host's own where the flow came from outside.</param>
/// <param name="Protocol">Its protocol.</param>
/// <param name="State">Of TCP.</param>
public readonly record struct Flow(HostAddress Host, ushort Port, HostAddress Remote, ushort RemotePort, ushort ServicePort, IpProtocol Protocol, TcpState State)
{
    /// <summary>The application by name rather than by port, where a capture told it: its index in the rules, plus 1.</summary>
    public byte Named { get; init; }

    /// <summary>
    /// The flow of the host that needs a port for a connection: who began, or, where the beginning came from outside, the server inside that answers. False
    /// for what takes no port of an address: protocols without ports, packets that stay on their link or in their machine, and, once
    /// networks are given, connections of nobody inside.
    /// </summary>
    public static bool TryOf(in TrackedConnection connection, InsideNetworks inside, out Flow flow)
    {
        flow = default;
        (IpProtocol protocol, ConnectionTuple original, ConnectionTuple reply, TcpState state) = connection;
        bool icmp = protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;
        if (!icmp && !TransportHeader.HasPorts(protocol)) return false;
        if (original.Source.IsLocal || original.Destination.IsLocal) return false;
        bool begins = inside.Contains(original.Source), answers = !begins && inside.Contains(reply.Source);
        if (!begins && !answers && inside.AreGiven) return false;
        flow = answers
            ? new Flow(reply.Source, reply.SourcePort, reply.Destination, icmp ? (ushort)0 : reply.DestinationPort, reply.SourcePort, protocol, state)
            : new Flow(original.Source, original.SourcePort, original.Destination, icmp ? (ushort)0 : original.DestinationPort, original.DestinationPort, protocol, state);
        return true;
    }
}
