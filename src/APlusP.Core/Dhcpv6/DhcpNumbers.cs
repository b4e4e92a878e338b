namespace APlusP.Core.Dhcpv6;

/// <summary>Types of DHCPv6 messages, RFC 8415 section 7.3.</summary>
public enum DhcpMessageType : byte
{
    Solicit = 1,
    Advertise = 2,
    Request = 3,
    Confirm = 4,
    Renew = 5,
    Rebind = 6,
    Reply = 7,
    Release = 8,
    Decline = 9,
    Reconfigure = 10,
    InformationRequest = 11,
    RelayForward = 12,
    RelayReply = 13,
}

/// <summary>Codes of DHCPv6 options that aplusp knows by name: RFC 8415 section 21, RFC 3646, RFC 7598, RFC 7291, RFC 8026, RFC 6334.</summary>
public enum DhcpOption : ushort
{
    ClientId = 1,
    ServerId = 2,
    IaNa = 3,
    IaTa = 4,
    IaAddress = 5,
    Requested = 6,
    Preference = 7,
    ElapsedTime = 8,
    RelayMessage = 9,
    StatusCode = 13,
    RapidCommit = 14,
    InterfaceId = 18,
    DnsServers = 23,
    DomainList = 24,
    IaPd = 25,
    IaPrefix = 26,
    InformationRefreshTime = 32,
    AftrName = 64,
    SolMaxRt = 82,
    InfMaxRt = 83,
    PcpServer = 86,
    S46Rule = 89,
    S46Br = 90,
    S46Dmr = 91,
    S46V4V6Bind = 92,
    S46PortParameters = 93,
    S46MapE = 94,
    S46MapT = 95,
    S46Lightweight = 96,
    S46Priority = 111,
}

/// <summary>Codes of the Status Code option, RFC 8415 section 21.13.</summary>
public enum DhcpStatusCode : ushort
{
    Success = 0,
    UnspecFail = 1,
    NoAddrsAvail = 2,
    NoBinding = 3,
    NotOnLink = 4,
    UseMulticast = 5,
    NoPrefixAvail = 6,
}
