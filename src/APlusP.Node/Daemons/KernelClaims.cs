using System.Net.NetworkInformation;
using APlusP.Core.Addresses;
using APlusP.Linux;

namespace APlusP.Node.Daemons;

/// <summary>
/// What a daemon has asked of the kernel: routes to its device, and settings. Taken back when it ends, exactly that and nothing of the host's.
/// </summary>
sealed class KernelClaims(TunDevice device, DaemonLog log) : IDisposable
{
    readonly RouteSocket _netlink = new();
    readonly Sysctls _sysctls = new();
    readonly Dictionary<string, DeviceRoute> _routes = new(StringComparer.Ordinal);
    readonly HashSet<PolicyRule> _rules = [];
    string? _settings;

    /// <summary>
    /// Lets the kernel forward both families. A host that takes its own IPv6 address from router advertisements would stop doing so as a
    /// router, unless accept_ra is 2 (Documentation/networking/ip-sysctl.rst); those devices get that first.
    /// </summary>
    public void Forwarding()
    {
        if (Sysctls.Get("net/ipv6/conf/all/forwarding") == "0")
        {
            foreach (NetworkInterface each in NetworkInterface.GetAllNetworkInterfaces())
                if (Sysctls.Get($"net/ipv6/conf/{each.Name}/accept_ra") == "1" && each.Name != device.Name && each.NetworkInterfaceType != NetworkInterfaceType.Loopback)
                    _sysctls.Set($"net/ipv6/conf/{each.Name}/accept_ra", "2");
        }

        _sysctls.Set("net/ipv4/ip_forward", "1");
        _sysctls.Set("net/ipv6/conf/all/forwarding", "1");
    }

    /// <summary>Makes the routes to the device these and no others; a packet of a route that stays meets it all the time.</summary>
    public void Route(IEnumerable<DeviceRoute> wanted)
    {
        var now = wanted.ToDictionary(r => r.ToString(), StringComparer.Ordinal);
        foreach (DeviceRoute route in now.Values) Route(route, wanted: true);
        foreach (string name in _routes.Keys.Except(now.Keys, StringComparer.Ordinal).ToArray()) Route(_routes[name], wanted: false);
    }

    /// <summary>Makes one route to the device, or removes it, and leaves the others.</summary>
    public void Route(DeviceRoute route, bool wanted)
    {
        string name = route.ToString();
        if (!wanted)
        {
            if (_routes.Remove(name)) _netlink.TryRemoveRoute(route, device.Index);
        }
        else if (!_routes.ContainsKey(name))
        {
            if (TryClaim(route)) _routes[name] = route;
            else log.RouteExists(name);
        }
    }

    /// <summary>A route that is there may be one that a process before has left, through the same device: only such a one can be removed.</summary>
    bool TryClaim(DeviceRoute route) =>
        _netlink.TryAddRoute(route, device.Index)
        || (device.WasThere && _netlink.TryRemoveRoute(route, device.Index) && _netlink.TryAddRoute(route, device.Index));

    // ---- Over to the next process

    /// <summary>Has all of it stay when this process ends, and the settings of before written down, for the next one or for <see cref="TakeAway"/>.</summary>
    /// <param name="file">Where.</param>
    public void Stay(string file)
    {
        if (device.WasThere && File.Exists(file)) _sysctls.TakeOver(File.ReadAllLines(file));
        _settings = file;
        File.WriteAllLines(file, _sysctls.Remember());
        device.Stays(true);
    }

    /// <summary>Nothing of it is taken back when this is disposed.</summary>
    public void Leave()
    {
        _rules.Clear();
        _routes.Clear();
        _proxied = null;
        _sysctls.Keep();
    }

    /// <summary>Takes away what a process has left: the device, the routes through it, and the settings.</summary>
    public static void TakeAway(string deviceName, string file)
    {
        TunDevice.Remove(deviceName);
        if (!File.Exists(file)) return;
        using (var sysctls = new Sysctls()) sysctls.TakeOver(File.ReadAllLines(file));
        File.Delete(file);
    }

    /// <summary>Removes rules that a process has left; that there are none is fine.</summary>
    public static void Remove(IEnumerable<PolicyRule> rules)
    {
        using var netlink = new RouteSocket();
        foreach (PolicyRule rule in rules) netlink.TryRemoveRule(rule);
    }

    /// <summary>Makes the rules that choose routing tables these and no others.</summary>
    public void Choose(IReadOnlyCollection<PolicyRule> wanted)
    {
        foreach (PolicyRule rule in wanted.Except(_rules).ToArray())
        {
            // One that is there already is what a daemon that was killed has left behind.
            _netlink.TryAddRule(rule);
            _rules.Add(rule);
        }

        foreach (PolicyRule rule in _rules.Except(wanted).ToArray())
        {
            _netlink.TryRemoveRule(rule);
            _rules.Remove(rule);
        }
    }

    /// <summary>Whether an interface of this machine has the address, so that the kernel keeps its packets from the device.</summary>
    public static bool IsAddressOfThisMachine(string address) =>
        NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(i => i.GetIPProperties().UnicastAddresses)
            .Any(a => a.Address.ToString().Split('%')[0] == address);

    // ---- An address of a link that no interface has

    (string Device, IPv6Address Address)? _proxied;

    /// <summary>
    /// Has the kernel answer neighbour solicitations for one address of a device's link, whose packets a route then takes to our device: the softwire's end is an address of its own, and not the
    /// machine's. Null for none.
    /// </summary>
    public void AnswerFor((string Device, IPv6Address Address)? wanted)
    {
        if (wanted == _proxied) return;
        byte[] octets = new byte[IPv6Address.Size];
        if (_proxied is { } before && RouteSocket.Find(before.Device) is { } left)
        {
            before.Address.Write(octets);
            _netlink.TryRemoveProxy(octets, left);
        }

        _proxied = null;
        if (wanted is not { } now || RouteSocket.Find(now.Device) is not { } device) return;
        _sysctls.Set($"net/ipv6/conf/{now.Device}/proxy_ndp", "1");

        // Without it the kernel waits up to 0.8 s before it answers.
        _sysctls.Set($"net/ipv6/neigh/{now.Device}/proxy_delay", "0");
        now.Address.Write(octets);
        _netlink.AddProxy(octets, device);
        _proxied = now;
        if (_settings is not null) File.WriteAllLines(_settings, _sysctls.Remember());
    }

    public static DeviceRoute RouteTo(IPv4Prefix prefix)
    {
        byte[] bytes = new byte[IPv4Address.Size];
        prefix.Address.Write(bytes);
        return new DeviceRoute(bytes, prefix.Length);
    }

    public static DeviceRoute RouteTo(IPv6Address address) => RouteTo(new IPv6Prefix(address, 128));

    public static DeviceRoute RouteTo(IPv6Prefix prefix)
    {
        byte[] bytes = new byte[IPv6Address.Size];
        prefix.Address.Write(bytes);
        return new DeviceRoute(bytes, prefix.Length);
    }

    public static DeviceRoute DefaultRoute() => new(new byte[IPv4Address.Size], 0);

    public void Dispose()
    {
        Choose([]);
        AnswerFor(null);
        foreach (DeviceRoute route in _routes.Values) _netlink.TryRemoveRoute(route, device.Index);
        _routes.Clear();
        _sysctls.Dispose();
        _netlink.Dispose();
    }
}
