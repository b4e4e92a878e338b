using APlusP.Core.Addresses;
using APlusP.Core.Wire;

namespace APlusP.Core.Connections;

/// <summary>One direction of a connection, by the addresses and ports of its packets; ICMP has its identifier as both ports.</summary>
public readonly record struct ConnectionTuple(HostAddress Source, HostAddress Destination, ushort SourcePort, ushort DestinationPort);

/// <summary>A connection as a NAT tracks it: the direction of who began, and the reply's, which shows what the NAT translated.</summary>
public readonly record struct TrackedConnection(IpProtocol Protocol, ConnectionTuple Original, ConnectionTuple Reply, TcpState State);

/// <summary>One that a NAT has, and in how many seconds it forgets it if nothing comes.</summary>
public readonly record struct TrackedFlow(TrackedConnection Connection, int Seconds);
