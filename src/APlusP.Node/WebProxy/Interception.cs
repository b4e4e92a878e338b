using APlusP.Core;
using APlusP.Linux;
using APlusP.Node.Daemons;
using APlusP.Node.Lan;
using APlusP.Node.Services;

namespace APlusP.Node.WebProxy;

/// <summary>
/// What the kernel is asked for so that connections of hosts come to our socket: a table of nftables marks their packets and hands them to the socket, and <see cref="MarkedDelivery"/> brings marked ones
/// here. With nobody listening, as when we were killed, the first lets them pass: they go by IPv4 as if we had never been.
/// </summary>
sealed class Interception : IDisposable
{
    /// <summary>Of mark, rule and routing table.</summary>
    const int Number = 6345;

    const string BridgesToo = "net/bridge/bridge-nf-call-iptables";

    readonly MarkedDelivery _delivery;
    readonly Sysctls _sysctls = new();
    readonly OwnTable _table;
    readonly string _settings, _chains;
    readonly Lock _keeping = new();
    bool _isOver;

    /// <exception cref="APlusPException">AP3030: a device is the port of a bridge; or AP2003, AP2005, AP2006.</exception>
    public Interception(WebProxyPlan plan, DaemonLog log)
    {
        // Settings as they were, for the next one to put back if this one is killed.
        _settings = Path.ChangeExtension(plan.ControlSocket, "settings");
        if (File.Exists(_settings)) _sysctls.TakeOver(File.ReadAllLines(_settings));
        foreach (string device in plan.Devices)
        {
            string files = $"/sys/class/net/{device}";
            if (File.Exists($"{files}/brport/port_no"))
                throw new APlusPException(ErrorCodes.WebProxyNotStarted, $"'{device}' is a port of the bridge '{Path.GetFileName(File.ResolveLinkTarget($"{files}/master", returnFinalTarget: false)!.FullName)}', which its packets come in by; name that in its place.");

            // With it, a bridge asks nftables about a packet before the network layer does, which then forgets the socket that it was handed to.
            if (!Directory.Exists($"{files}/bridge") || Sysctls.Get(BridgesToo) != "1") continue;
            _sysctls.Set(BridgesToo, "0");
            File.WriteAllLines(_settings, _sysctls.Remember());
            log.BridgeIsLeftAlone(device);
        }

        _delivery = new MarkedDelivery(Number);
        _table = new OwnTable("ip", "aplusp-web", log);
        _chains = Chains(plan);
        Keep();
    }

    /// <summary>Somebody may have emptied the ruleset; then all would go by IPv4. To be called now and then.</summary>
    /// <exception cref="APlusPException">AP2006.</exception>
    public void Keep()
    {
        lock (_keeping)
            if (!_isOver) _table.Set(_chains);
    }

    /// <summary>The table's chain. Private destinations are left alone, and so are this machine's own addresses.</summary>
    internal static string Chains(WebProxyPlan plan) => $$"""
          chain divert {
            type filter hook prerouting priority mangle; policy accept;
            meta mark != {{PolicyTables.ToNotice}} iifname { {{string.Join(", ", plan.Devices.Select(d => $"\"{d}\""))}} } tcp dport { {{string.Join(", ", plan.Ports)}} } ip daddr != { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 224.0.0.0/3 } fib daddr type != local tproxy to 127.0.0.1:{{plan.Listen}} meta mark set {{Number}} accept
          }
        """;

    public void Dispose()
    {
        lock (_keeping)
        {
            _isOver = true;
            _table.Dispose();
        }

        _delivery.Dispose();
        _sysctls.Dispose();
        File.Delete(_settings);
    }
}
