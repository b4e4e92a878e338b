using APlusP.Core;
using APlusP.Linux;
using APlusP.Node.Control;
using APlusP.Node.Daemons;
using APlusP.Node.Lan;
using APlusP.Node.Services;

namespace APlusP.Node.WebNames;

/// <summary>
/// Web servers by name behind shared addresses: visitors of ports 80 and 443 that nobody is bound to come to an HAProxy of our own, which leads them to the subscriber whose name they say. The data plane
/// gives their packets back to the kernel out of the device, where a table of nftables hands them over; so who is bound to such a port has it before any name. Names change without a connection noticing.
/// </summary>
sealed class WebNamesService : IDisposable
{
    static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(500);

    const string FilterOfAll = "net/ipv4/conf/all/rp_filter";

    /// <summary>Of mark, rule and routing table.</summary>
    const int Number = 6347;

    readonly WebNamesPlan _plan;
    readonly Func<IReadOnlyList<WebSite>> _sites;
    readonly Action<bool> _take;
    readonly DaemonLog _log;
    readonly string _directory, _device;
    readonly MarkedDelivery _delivery;
    readonly Sysctls _sysctls = new();
    readonly OwnTable _table;
    readonly HaproxySocket _socket;
    readonly SupervisedProgram _haproxy;
    readonly ManualResetEventSlim _stop = new();
    readonly Thread _looking;
    readonly Lock _counting = new();
    readonly Dictionary<string, long> _before = new(StringComparer.Ordinal), _now = new(StringComparer.Ordinal);
    (string Http, string Https) _maps;
    (string Http, string Https, int? Process) _known;
    int _count, _counted;
    long _open;
    string? _fault;

    /// <param name="plan">The settings.</param>
    /// <param name="device">The data plane's device.</param>
    /// <param name="directory">For what need not outlive the daemon.</param>
    /// <param name="sites">Where names lead now.</param>
    /// <param name="take">Told whether visitors' packets are to be given to the kernel: only while it knows what to do with them.</param>
    /// <param name="log">Told of everything.</param>
    public WebNamesService(WebNamesPlan plan, string device, string directory, Func<IReadOnlyList<WebSite>> sites, Action<bool> take, DaemonLog log)
    {
        (_plan, _device, _directory, _sites, _take, _log) = (plan, device, directory, sites, take, log);
        Directory.CreateDirectory(directory);
        Directory.CreateDirectory(HaproxyConfiguration.RootIn(directory));
        string configuration = Path.Combine(directory, "haproxy.cfg");
        File.WriteAllText(configuration, HaproxyConfiguration.Text(plan, directory));
        _socket = new HaproxySocket(HaproxyConfiguration.SocketIn(directory));
        WriteMaps();

        // Visitors' packets come out of a device that is not on the way back to them, and those of this machine itself too. Loose filtering (2) does not let them in: the device has no address.
        _sysctls.Set($"net/ipv4/conf/{device}/rp_filter", "0");
        _sysctls.Set($"net/ipv4/conf/{device}/accept_local", "1");
        _delivery = new MarkedDelivery(Number);
        _table = new OwnTable("ip", device, log);
        _haproxy = new SupervisedProgram(new ProgramPlan("haproxy", "haproxy", Path.Combine(directory, "haproxy.pid"), ["haproxy", "-db", "-f", configuration]), log);
        Look();
        _looking = new Thread(KeepLooking) { IsBackground = true, Name = "web-names" };
        _looking.Start();
    }

    public ServiceStatus Service => _haproxy.Status;

    public WebNamesStatus Status
    {
        get
        {
            Count();
            lock (_counting) return new WebNamesStatus(_count, Sum(Http) + Sum(Tls), Sum(Unknown), Sum(Unreached), _open) { Fault = _fault };
        }
    }

    /// <summary>What is counted since the start.</summary>
    public static IReadOnlyList<string> CounterNames { get; } = [Http, Tls, Unknown, Unreached];

    const string Http = "web-names-http", Tls = "web-names-tls", Unknown = "web-names-unknown", Unreached = "web-names-unreached";

    public IEnumerable<KeyValuePair<string, long>> Counters()
    {
        Count();
        lock (_counting) return [.. CounterNames.Select(n => KeyValuePair.Create(n, Sum(n)))];
    }

    /// <summary>
    /// The table's chain. A connection that stands is kept from the data plane: its socket is found before routing too, and the kernel forwards no packet that has one. What the data plane writes to its device
    /// for an address whose way leads into that device again is a visitor's, for HAProxy. Without one they are refused, and never go around again.
    /// </summary>
    internal static string Chains(WebNamesPlan plan, string device)
    {
        string shared = $"fib daddr oifname \"{device}\"", ours = $"iifname \"{device}\" {shared}";
        return $$"""
              chain names {
                type filter hook prerouting priority mangle; policy accept;
                tcp dport { {{WebNamesPlan.Http}}, {{WebNamesPlan.Https}} } {{shared}} socket transparent 1 meta mark set {{Number}} accept
                {{ours}} tcp dport {{WebNamesPlan.Http}} tproxy to 127.0.0.1:{{plan.Listen}} meta mark set {{Number}} accept
                {{ours}} tcp dport {{WebNamesPlan.Https}} tproxy to 127.0.0.1:{{plan.Listen + 1}} meta mark set {{Number}} accept
                {{ours}} icmp type destination-unreachable meta mark set {{Number}} accept
                {{ours}} meta l4proto tcp reject with tcp reset
                {{ours}} drop
              }
            """;
    }

    void KeepLooking()
    {
        while (!_stop.Wait(s_look))
        {
            Look();
            Count();
        }
    }

    void Look()
    {
        string? fault = KeepTable() ?? KeepMaps();
        if (fault is not null && fault != _fault) _log.NamesNotServed(fault);
        _fault = fault;
    }

    /// <summary>Somebody may have emptied the ruleset; then packets of visitors would go around.</summary>
    string? KeepTable()
    {
        try
        {
            if (Sysctls.Get(FilterOfAll) is { } filter and not "0")
                throw new APlusPException(ErrorCodes.SysctlRefused, $"net.ipv4.conf.all.rp_filter is {filter}, and has visitors' packets dropped. Set it to 0, and to {filter} for the devices that need it (net.ipv4.conf.DEVICE.rp_filter): of both the greater counts.");
            _table.Set(Chains(_plan, _device));
            _take(true);
            return null;
        }
        catch (APlusPException error)
        {
            _take(false);
            return error.Message;
        }
    }

    /// <summary>Has the files say what is now, for an HAProxy that starts, and tells the one that runs.</summary>
    string? KeepMaps()
    {
        try
        {
            WriteMaps();
            int? process = _haproxy.Status.ProcessId;
            if (process is null || (_maps.Http, _maps.Https, process) == _known) return null;
            (string http, string https) = HaproxyConfiguration.MapsIn(_directory);
            _socket.Replace(http, _maps.Http);
            _socket.Replace(https, _maps.Https);
            _known = (_maps.Http, _maps.Https, process);
            if (_counted != _count) _log.NamesServed(_count);
            _counted = _count;
            return null;
        }
        catch (IOException error)
        {
            // One that has just been started does not listen yet.
            return _known.Process == _haproxy.Status.ProcessId ? error.Message : null;
        }
    }

    void WriteMaps()
    {
        IReadOnlyList<WebSite> sites = _sites();
        (string Http, string Https) maps = HaproxyConfiguration.Maps(sites);
        if (maps == _maps) return;
        (string http, string https) = HaproxyConfiguration.MapsIn(_directory);
        Write(http, maps.Http);
        Write(https, maps.Https);
        (_maps, _count) = (maps, sites.Count);
    }

    static void Write(string path, string text)
    {
        File.WriteAllText($"{path}.new", text);
        File.Move($"{path}.new", path, overwrite: true);
    }

    /// <summary>Adds what HAProxy has counted to what those before it had.</summary>
    void Count()
    {
        try
        {
            IReadOnlyDictionary<string, Dictionary<string, long>> told = _socket.Counters();
            lock (_counting)
            {
                Set(Http, Of(HaproxyConfiguration.Http, "stot"));
                Set(Tls, Of(HaproxyConfiguration.Tls, "stot"));
                Set(Unknown, Of(HaproxyConfiguration.Unknown, "stot"));
                Set(Unreached, Of([.. HaproxyConfiguration.Http, .. HaproxyConfiguration.Tls], "econ"));
                _open = Of(HaproxyConfiguration.Frontends, "scur");
            }

            long Of(IReadOnlyList<string> proxies, string counter) => proxies.Sum(p => told.TryGetValue(p, out Dictionary<string, long>? counters) ? counters.GetValueOrDefault(counter) : 0);
        }
        catch (IOException)
        {
            // It is not there now.
            lock (_counting) _open = 0;
        }
    }

    void Set(string name, long value)
    {
        // One that was started anew begins at 0.
        if (_now.GetValueOrDefault(name) is var last && value < last) _before[name] = _before.GetValueOrDefault(name) + last;
        _now[name] = value;
    }

    long Sum(string name) => _before.GetValueOrDefault(name) + _now.GetValueOrDefault(name);

    public void Dispose()
    {
        _stop.Set();
        _looking.Join();
        _take(false);
        _haproxy.Dispose();
        _table.Dispose();
        _delivery.Dispose();
        _sysctls.Dispose();
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
        _stop.Dispose();
    }
}
