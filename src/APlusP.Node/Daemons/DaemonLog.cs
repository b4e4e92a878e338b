using Microsoft.Extensions.Logging;

namespace APlusP.Node.Daemons;

/// <summary>Every message of the daemons. One line an event, none a packet.</summary>
public sealed partial class DaemonLog(ILogger logger)
{
    [LoggerMessage(1, LogLevel.Information, "{Role} {Version} runs: device {Device}, {Workers} worker(s), control socket {ControlSocket}, {What}")]
    public partial void Started(string role, string version, string device, int workers, string controlSocket, string what);

    [LoggerMessage(2, LogLevel.Information, "stops: {Why}")]
    public partial void Stopping(string why);

    [LoggerMessage(3, LogLevel.Information, "reloaded {Path}: {What}")]
    public partial void Reloaded(string path, string what);

    [LoggerMessage(4, LogLevel.Error, "reload of {Path} refused, nothing changed: {Fault}")]
    public partial void ReloadRefused(string path, string fault);

    [LoggerMessage(5, LogLevel.Warning, "the route {Route} exists already and is left as it is; packets for it reach us only if it leads to our device")]
    public partial void RouteExists(string route);

    [LoggerMessage(6, LogLevel.Information, "the softwire end {Address} is an address of this machine: its packets come by a raw socket")]
    public partial void SoftwireBySocket(string address);

    [LoggerMessage(7, LogLevel.Critical, "a worker cannot go on: {Fault}")]
    public partial void WorkerFailed(string fault);

    [LoggerMessage(8, LogLevel.Warning, "a control request failed: {Fault}")]
    public partial void ControlFailed(string fault);

    [LoggerMessage(9, LogLevel.Information, "fast path: {Hook} on {Devices}, {Bindings} binding(s)")]
    public partial void FastPath(string hook, string devices, int bindings);

    [LoggerMessage(12, LogLevel.Information, "fast path: {Hook} on {Devices}, {Flows} flow(s) from before")]
    public partial void FastPathOfFlows(string hook, string devices, int flows);

    [LoggerMessage(10, LogLevel.Warning, "no fast path, all packets go through this process: {Code}: {Fault}")]
    public partial void NoFastPath(string code, string fault);

    [LoggerMessage(11, LogLevel.Warning, "the fast path has no room for {Bindings} binding(s), whose packets go through this process; a reload makes room")]
    public partial void FastPathFull(int bindings);

    [LoggerMessage(13, LogLevel.Information, "waits for a softwire by DHCPv6 on {Interface}")]
    public partial void WaitsForDhcp(string @interface);

    [LoggerMessage(14, LogLevel.Warning, "DHCPv6 on {Interface} waits: {Why}")]
    public partial void DhcpWaits(string @interface, string why);

    [LoggerMessage(15, LogLevel.Information, "DHCPv6 on {Interface}: {Note}")]
    public partial void DhcpNote(string @interface, string note);

    [LoggerMessage(16, LogLevel.Warning, "DHCPv6 on {Interface} gives no softwire: {Why}")]
    public partial void DhcpUnusable(string @interface, string why);

    [LoggerMessage(17, LogLevel.Information, "softwire {Softwire} to {Prr}, {Ports} port(s) of {Address}, by {Mechanism}; {Ended} flow(s) ended")]
    public partial void SoftwireTold(string softwire, string prr, int ports, string address, string mechanism, int ended);

    [LoggerMessage(18, LogLevel.Warning, "the softwire is over: nobody says any more what it is. Its routes are taken back until somebody does")]
    public partial void SoftwireOver();

    [LoggerMessage(19, LogLevel.Warning, "[[forward]] of port {Port} is not in force: the port is not in the set that we were given, {Ports}")]
    public partial void ForwardOutside(int port, string ports);

    [LoggerMessage(20, LogLevel.Error, "the softwire cannot change to what was given: {Fault}. It stays as it was")]
    public partial void SoftwireRefused(string fault);

    [LoggerMessage(21, LogLevel.Information, "follows the registry at {Url}: {Leases} lease(s), {What}, in {Milliseconds} ms")]
    public partial void FollowsRegistry(string url, int leases, string what, long milliseconds);

    [LoggerMessage(22, LogLevel.Warning, "{Fault}. What there is, {Leases} lease(s), stays in force for as long as each runs")]
    public partial void RegistryAway(string fault, int leases);

    [LoggerMessage(23, LogLevel.Information, "{Leases} lease(s) from {Path}, as of version {Version}")]
    public partial void LeasesFromCopy(string path, int leases, string version);

    [LoggerMessage(24, LogLevel.Warning, "{Leases} lease(s) have run out while the registry is away, and so have their bindings")]
    public partial void LeasesOverdue(int leases);

    [LoggerMessage(25, LogLevel.Warning, "{Leases} lease(s) of the registry are not in force here, since they contradict the configuration. One of the reasons: {Why}")]
    public partial void LeasesRefused(int leases, string why);

    [LoggerMessage(26, LogLevel.Warning, "{Fault} Until the registry tells all anew, a restart begins with older leases")]
    public partial void CopyNotKept(string fault);

    [LoggerMessage(27, LogLevel.Warning, "fragments of {Kind} have reached {Percent} % of what [fragments] lets a worker hold: {Packets} of {MaxPackets} packets, {Kibibytes} of {MaxKibibytes} KiB. "
        + "At the end of it those of whoever holds most are dropped (fragments-exceeded); raise max-packets and max-memory if they are no attack. Told once a minute at most")]
    public partial void FragmentsRunShort(string kind, int percent, int packets, int maxPackets, long kibibytes, long maxKibibytes);

    [LoggerMessage(28, LogLevel.Information, "[web-names]: {Sites} site(s) are led to their servers by name")]
    public partial void NamesServed(int sites);

    [LoggerMessage(29, LogLevel.Warning, "[web-names]: {Why}")]
    public partial void NamesNotServed(string why);

    [LoggerMessage(40, LogLevel.Information, "{State}: {Sentence}")]
    public partial void Home(string state, string sentence);

    [LoggerMessage(41, LogLevel.Warning, "{State}: {Sentence}")]
    public partial void HomeFault(string state, string sentence);

    [LoggerMessage(42, LogLevel.Warning, "what is kept in {Directory} is of another machine, whose disk this one's is a copy of: this one begins anew as {Subscriber}")]
    public partial void HomeIsCopy(string directory, string subscriber);

    [LoggerMessage(43, LogLevel.Error, "the lease goes on, but would not outlive a restart: {Code}: {Fault}")]
    public partial void HomeNotKept(string code, string fault);

    [LoggerMessage(50, LogLevel.Information, "web proxy {Version} runs: TCP to port(s) {Ports} from {Devices} goes by IPv6 where the server has it; control socket {ControlSocket}")]
    public partial void WebProxyStarted(string version, string ports, string devices, string controlSocket);

    [LoggerMessage(51, LogLevel.Warning, "{Connections} connections are open, as many as may be; others wait. Told once a minute at most")]
    public partial void WebProxyFull(int connections);

    [LoggerMessage(52, LogLevel.Warning, "a connection was not taken: {Fault}")]
    public partial void WebConnectionFailed(string fault);

    [LoggerMessage(53, LogLevel.Information, "net.bridge.bridge-nf-call-iptables is 0 as long as this runs: with 1, packets of the bridge {Bridge} cannot be handed to the proxy")]
    public partial void BridgeIsLeftAlone(string bridge);

    [LoggerMessage(54, LogLevel.Warning, "connections may not come to the web proxy, and go by IPv4 then: {Fault}")]
    public partial void WebProxyWaits(string fault);

    [LoggerMessage(60, LogLevel.Information, "hosts of {Device} may ask {Address} for ports, by {How}")]
    public partial void PortControlListens(string device, string address, string how);

    [LoggerMessage(61, LogLevel.Warning, "hosts of {Device} cannot ask {Address} for ports yet: {Fault}")]
    public partial void PortControlWaits(string device, string address, string fault);

    [LoggerMessage(62, LogLevel.Warning, "a request for a port was not answered: {Fault}")]
    public partial void PortControlFailed(string fault);

    [LoggerMessage(63, LogLevel.Error, "ports are mapped, but mappings would not outlive a restart: {Code}: {Fault}")]
    public partial void MappingsNotKept(string code, string fault);

    [LoggerMessage(64, LogLevel.Warning, "port mappings in {Path} are damaged: {Fault} They are put aside as {Aside}, and the SMAP goes on without: programs ask for their ports again, forwards of the household are to be added again")]
    public partial void MappingsDamaged(string path, string fault, string aside);

    [LoggerMessage(70, LogLevel.Information, "{Program}: {Line}")]
    public partial void ProgramSays(string program, string line);

    [LoggerMessage(71, LogLevel.Warning, "{Program} is down: {Why}. It is started again in {Seconds} s")]
    public partial void ProgramEnded(string program, string why, double seconds);

    [LoggerMessage(72, LogLevel.Warning, "{Program}: process {ProcessId} was left behind by a daemon that was killed, and is ended")]
    public partial void ProgramLeft(string program, int processId);

    [LoggerMessage(73, LogLevel.Warning, "[[lan]]: {Why}")]
    public partial void LanWaits(string why);

    [LoggerMessage(74, LogLevel.Warning, "somebody has taken the nftables table {Family} {Table} away, as `nft flush ruleset` does: it is put in place again")]
    public partial void TableTaken(string family, string table);
}
