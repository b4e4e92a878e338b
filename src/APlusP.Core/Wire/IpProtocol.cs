namespace APlusP.Core.Wire;

/// <summary>Numbers of the protocol field of IPv4 and the next header field of IPv6 that aplusp knows by name (IANA protocol numbers).</summary>
public enum IpProtocol : byte
{
    HopByHopOptions = 0,
    Icmp = 1,
    IPv4 = 4,
    Tcp = 6,
    Udp = 17,
    Dccp = 33,
    Routing = 43,
    Fragment = 44,
    IcmpV6 = 58,
    NoNextHeader = 59,
    DestinationOptions = 60,
    Sctp = 132,
    UdpLite = 136,
}
