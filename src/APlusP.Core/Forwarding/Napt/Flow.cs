using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Napt;

/// <summary>One end of a flow: an address and a port, or an ICMP identifier.</summary>
readonly record struct Endpoint(uint Address, ushort Port);

/// <summary>What a flow has seen of a TCP connection, RFC 7857 section 2.</summary>
[Flags]
enum TcpSeen : byte
{
    None = 0,
    Outbound = 1,
    Inbound = 2,
    FinOutbound = 4,
    FinInbound = 8,
    Reset = 16,

    /// <summary>A host of the LAN answered an opening from outside.</summary>
    Accepted = 32,
}

/// <summary>A flow: one inner endpoint talking to one remote endpoint through one external port.</summary>
struct Flow
{
    public Endpoint Inside;
    public Endpoint Remote;
    public ushort External;
    public NaptProtocol Protocol;
    public TcpSeen Seen;
    public Carrier Carrier;

    /// <summary>Second at which it ends; 0 of an entry without a flow.</summary>
    public long Expires;

    /// <summary>The mapping it belongs to.</summary>
    public int Mapping;

    /// <summary>The host whose flow it is.</summary>
    public int Host;

    // Links of the chains that it is in: by inner endpoints, by what comes back, and of the timer wheel. 0 ends a chain.
    public int NextOutbound;
    public int NextInbound;
    public int NextInSlot;
    public int PreviousInSlot;

    /// <summary>Where on the wheel it is: a refreshed flow stays there until the wheel comes round.</summary>
    public byte Slot;
}

/// <summary>An external port that an inner endpoint has; it ends with its last flow and hold.</summary>
struct Mapping
{
    public Endpoint Inside;
    public ushort External;
    public NaptProtocol Protocol;

    /// <summary>Flows and holds, and how many of these are holds.</summary>
    public int Flows, Holds;
    public int Host;
    public int Next;
}

/// <summary>
/// How many flows there are between one of our ports and a remote address, which the address-dependent filter asks; in 5-tuple mode, between
/// any of our ports and a remote endpoint, which tells at once whether a port is left towards it.
/// </summary>
struct Peer
{
    public Endpoint Remote;
    public ushort External;
    public NaptProtocol Protocol;
    public int Flows;
    public int Next;
}

/// <summary>A host of the LAN that holds ports or has flows.</summary>
struct Host
{
    public uint Address;
    public int Tcp, Udp, Icmp;
    public int Flows;
    public int Next;

    public readonly int Total => Tcp + Udp + Icmp;
}

/// <summary>The number spaces that share a port set, each with the whole of it.</summary>
enum NaptProtocol : byte
{
    Tcp,
    Udp,
    Icmp,
}

static class NaptProtocols
{
    public static bool TryOf(IpProtocol protocol, out NaptProtocol napt)
    {
        napt = protocol switch { IpProtocol.Tcp => NaptProtocol.Tcp, IpProtocol.Udp => NaptProtocol.Udp, _ => NaptProtocol.Icmp };
        return protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Icmp;
    }
}
