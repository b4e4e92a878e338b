namespace APlusP.Node.Doctor;

/// <summary>What a doctor may find wrong. Each is a heading of docs/troubleshooting.md, and stays what it is called, for programs.</summary>
static class Faults
{
    public const string NoDaemon = "no-daemon";
    public const string NoRouterAdvertisement = "no-router-advertisement";
    public const string NoIpv6Address = "no-ipv6-address";
    public const string OnlyIpv4 = "only-ipv4";
    public const string OnlyLocalIpv6 = "only-local-ipv6";
    public const string RegistryNotFound = "registry-not-found";
    public const string RegistryUnreachable = "registry-unreachable";
    public const string ClockWrong = "clock-wrong";
    public const string LeaseRefused = "lease-refused";
    public const string LeaseNotRenewed = "lease-not-renewed";
    public const string TokenRevoked = "token-revoked";
    public const string PoolFull = "pool-full";
    public const string NoSoftwire = "no-softwire";
    public const string PortsUsedUp = "ports-used-up";
    public const string PrrUnreachable = "prr-unreachable";
    public const string MtuTooSmall = "mtu-too-small";
    public const string ProtocolFourFiltered = "protocol-4-filtered";
    public const string SoftwireNotBound = "softwire-not-bound";
    public const string FastPathFault = "fast-path-fault";
}
