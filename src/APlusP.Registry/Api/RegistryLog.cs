using Microsoft.Extensions.Logging;

namespace APlusP.Registry.Api;

/// <summary>Every message of the registry. Leases are not logged: they are in the memory.</summary>
sealed partial class RegistryLog(ILogger logger)
{
    [LoggerMessage(1, LogLevel.Information, "registry {Version} runs: {Addresses}, database {Database}, pools {Pools}, loopback without token: {Loopback}")]
    public partial void Started(string version, string addresses, string database, string pools, string loopback);

    [LoggerMessage(2, LogLevel.Information, "the first operator's token is in {Path}")]
    public partial void TokenWritten(string path);

    [LoggerMessage(3, LogLevel.Information, "{Who} asked who had {Address}:{Port} at {At}: {Answer}")]
    public partial void Asked(string who, string address, int port, string at, string answer);

    [LoggerMessage(4, LogLevel.Warning, "a wrong token from {Address}")]
    public partial void WrongToken(string address);

    [LoggerMessage(5, LogLevel.Error, "{Method} {Path} failed")]
    public partial void RequestFailed(Exception error, string method, string path);

    [LoggerMessage(6, LogLevel.Error, "leases could not be looked after: {Fault}")]
    public partial void UpkeepFailed(string fault);

    [LoggerMessage(7, LogLevel.Information, "stops")]
    public partial void Stopping();

    [LoggerMessage(9, LogLevel.Warning, "a client certificate from {Address}: {Fault}")]
    public partial void WrongCertificate(string address, string fault);

    [LoggerMessage(10, LogLevel.Information, "certificates were read again")]
    public partial void Reloaded();

    [LoggerMessage(11, LogLevel.Error, "certificates were not read again, and those of before stay in force: {Fault}")]
    public partial void NotReloaded(string fault);

    [LoggerMessage(12, LogLevel.Information, "block events go to the IPFIX collector {Collector}, from event {Seq} on")]
    public partial void Exporting(string collector, long seq);

    [LoggerMessage(13, LogLevel.Warning, "the IPFIX collector {Collector} is away, and block events wait for it: {Fault}")]
    public partial void NotExporting(string collector, string fault);

    [LoggerMessage(40, LogLevel.Information, "answers DHCPv6 on {Interfaces}")]
    public partial void DhcpListens(string interfaces);

    [LoggerMessage(41, LogLevel.Warning, "a DHCPv6 message was not answered: {Fault}")]
    public partial void DhcpFailed(string fault);

    [LoggerMessage(42, LogLevel.Information, "answers PCP at {Addresses} to {Clients}")]
    public partial void PcpListens(string addresses, string clients);

    [LoggerMessage(43, LogLevel.Warning, "a PCP request was not answered: {Fault}")]
    public partial void PcpFailed(string fault);

    [LoggerMessage(8, LogLevel.Warning, "{Warning}")]
    public partial void Warn(string warning);

    [LoggerMessage(9, LogLevel.Information, "{Who} gets all bindings: {Why}")]
    public partial void Snapshot(string who, string why);
}
