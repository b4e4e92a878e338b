using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;

namespace APlusP.Survey.Counting;

/// <summary>What one host has in use at one tick. A port is one of one protocol: TCP 5000 and UDP 5000 are two.</summary>
public sealed class HostCounts
{
    /// <summary>Tcp, Udp, Icmp (and ICMPv6), and all others.</summary>
    public const int Protocols = 4;

    public const int States = (int)TcpState.SynSentTwice + 1;

    /// <summary>What the host has in use: so many ports takes a NAPT that maps independently of the endpoint (RFC 4787 REQ-1), over all protocols together.</summary>
    public int Ports { get; set; }

    /// <summary>
    /// What a NAPT needs at least that tells flows apart by their 5-tuple: the largest number of flows of one protocol to one remote endpoint. Unknown (-1) where
    /// only numbers of ports were given.
    /// </summary>
    public int MinimumPorts { get; set; }

    /// <summary>The most ports at once since the tick before, where events told it; otherwise <see cref="Ports"/>.</summary>
    public int PeakPorts { get; set; }

    /// <summary>Flows, each of its own 5-tuple.</summary>
    public int Flows { get; set; }

    /// <summary>Ports by application, in the order of the rules. Their sum is <see cref="Ports"/>.</summary>
    public int[] ByApplication { get; set; } = [];

    /// <summary>Ports by protocol. Their sum is <see cref="Ports"/>.</summary>
    public int[] ByProtocol { get; } = new int[Protocols];

    /// <summary>TCP ports by the state of their liveliest connection. Their sum is the TCP ports.</summary>
    public int[] ByState { get; } = new int[States];

    /// <summary>
    /// How large a port set must be for this: an address has ports of each protocol by themselves, so the protocol that needs most decides.
    /// </summary>
    public int Demand
    {
        get
        {
            int most = 0, sum = 0;
            foreach (int ports in ByProtocol)
            {
                most = Math.Max(most, ports);
                sum += ports;
            }

            // A burst inside the tick is known as a sum only; it is taken to be of the protocols in the same shares.
            return sum == 0 ? PeakPorts : (int)(((long)most * Math.Max(PeakPorts, sum) + sum - 1) / sum);
        }
    }

    /// <summary>Whether these can be counts at all; what came from elsewhere may not be.</summary>
    public bool IsSound => Ports >= 0 && MinimumPorts >= -1 && PeakPorts >= Ports && Flows >= Ports && ByApplication.All(n => n >= 0) && ByProtocol.All(n => n >= 0) && ByState.All(n => n >= 0);

    public static int ProtocolIndex(IpProtocol protocol) => protocol switch
    {
        IpProtocol.Tcp => 0,
        IpProtocol.Udp => 1,
        IpProtocol.Icmp or IpProtocol.IcmpV6 => 2,
        _ => 3,
    };
}

/// <summary>What all hosts have in use at one tick.</summary>
/// <param name="Hosts">Those that have anything, by address.</param>
/// <param name="LeftOut">Connections that take no port of an address.</param>
/// <param name="Beyond">Flows beyond the bound on memory, which nobody counted.</param>
public sealed record TickCounts(IReadOnlyList<(HostAddress Address, HostCounts Counts)> Hosts, long LeftOut, long Beyond);
