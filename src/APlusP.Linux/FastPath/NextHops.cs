using APlusP.Core.Addresses;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>
/// The next hops that programs send to: each is a device, and the Ethernet addresses of both ends, kept as the kernel's own neighbour table has them. Routes lead to them, of IPv4 in a
/// map of their own, of IPv6 by <see cref="Towards"/>.
/// </summary>
sealed unsafe class NextHops
{
    readonly RouteTables _tables;
    readonly MappedArray<NextHopEntry> _entries;
    readonly BpfMap _routes, _routes6, _devices;
    readonly int _own;
    readonly XdpFeatures? _features;
    readonly Dictionary<Neighbour, ushort> _indexes = [];
    readonly Dictionary<RouteKey, uint> _installed = [];
    readonly Dictionary<Route6Key, uint> _installed6 = [];
    int[] _lengths = [];
    bool _complete = true;

    /// <param name="tables">What the kernel says; read already.</param>
    /// <param name="entries">The next hops as the programs see them.</param>
    /// <param name="loaded">The programs' object, for routes and devices.</param>
    /// <param name="own">Index of the device that leads to tier 1.</param>
    /// <param name="features">Which devices take frames of XDP; null where that does not matter.</param>
    public NextHops(RouteTables tables, MappedArray<NextHopEntry> entries, BpfObject loaded, int own, XdpFeatures? features)
    {
        _tables = tables;
        _entries = entries;
        _routes = loaded.Map("routes");
        _routes6 = loaded.Map("routes6");
        _devices = loaded.Map("devices");
        _own = own;
        _features = features;
    }

    /// <summary>Whether the map of IPv4 routes says all that the kernel's does.</summary>
    public bool KnowsIPv4 => _tables.KnowsIPv4 && _complete;

    /// <summary>The next hop of an IPv6 packet: an index, or that the kernel is to be asked, or that the packet goes up.</summary>
    public ushort Towards(IPv6Address destination)
    {
        if (!_tables.KnowsIPv6) return Layout.AskKernel;
        foreach (int length in _lengths)
            if (_tables.IPv6.TryGetValue((destination.Value & Mask(length), length), out Route route)) return Of(route, isIPv4: false, destination);
        return Layout.AskKernel;
    }

    /// <summary>
    /// The next hop of all IPv6 packets into a prefix: as <see cref="Towards"/> where one route with a gateway has all of it; where there are several, the programs look at the routes themselves.
    /// </summary>
    public ushort TowardsAll(IPv6Prefix prefix)
    {
        if (!_tables.KnowsIPv6) return Layout.AskKernel;
        foreach ((UInt128 inside, int length) in _tables.IPv6.Keys)
            if (length > prefix.Length && prefix.Contains(new IPv6Address(inside))) return Layout.ByRoute;
        foreach (int length in _lengths)
            if (length <= prefix.Length && _tables.IPv6.TryGetValue((prefix.Address.Value & Mask(length), length), out Route route)) return OfMany(route, isIPv4: false);
        return Layout.AskKernel;
    }

    /// <summary>The next hop of a route for all that it has: hosts that need no gateway have none in common.</summary>
    ushort OfMany(Route route, bool isIPv4) => route is { Kind: RouteKind.Plain } && route.Gateway == default ? Layout.AskKernel : Of(route, isIPv4, default);

    static UInt128 Mask(int length) => length == 0 ? 0 : UInt128.MaxValue << 128 - length;

    ushort Of(Route route, bool isIPv4, IPv6Address destination)
    {
        if (route.Kind == RouteKind.Ask) return Layout.AskKernel;
        if (route.Kind == RouteKind.Up || route.Device == _own || !_tables.Links.TryGetValue(route.Device, out LinkState link) || !link.IsEthernet) return Layout.PassUp;
        return IndexOf(new Neighbour(route.Device, isIPv4, route.Gateway == default ? destination : route.Gateway));
    }

    /// <summary>The index of a next hop, a new one where it has none; where there is no room, the kernel is asked.</summary>
    ushort IndexOf(Neighbour neighbour)
    {
        if (_indexes.TryGetValue(neighbour, out ushort known)) return known;
        if (_indexes.Count + 1 >= _entries.Count) return Layout.AskKernel;

        // Entry 0 stands for asking the kernel.
        ushort index = (ushort)(_indexes.Count + 1);
        _indexes[neighbour] = index;
        Write(neighbour, index);
        return index;
    }

    /// <summary>Brings devices, IPv4 routes and next hops up to what the tables say now.</summary>
    public void Refresh()
    {
        _lengths = [.. _tables.IPv6.Keys.Select(k => k.Length).Distinct().OrderDescending()];
        foreach ((int index, LinkState link) in _tables.Links)
            if (link.IsEthernet) _devices.TrySet((uint)index, link.Address | (TakesFrames(index) ? 0 : Layout.TakesNoFrames), out _);
        foreach (uint index in _devices.Keys<uint>())
            if (!_tables.Links.ContainsKey((int)index)) _devices.Remove(index);
        RefreshNeighbours();
    }

    /// <summary>Whether the programs can hand frames to a device: XDP not to each.</summary>
    bool TakesFrames(int device) => _features?.TakesFrames(device) ?? true;

    /// <summary>Names of the Ethernet devices that take no frames.</summary>
    public IReadOnlyList<string> Refusing => [.. _tables.Links.Where(l => l.Value.IsEthernet && !TakesFrames(l.Key)).Select(l => l.Value.Name)];

    /// <summary>Asks again which devices take frames: that changes with what their other ends do. Whether it has.</summary>
    public bool RefreshFeatures()
    {
        if (_features is null || !_features.Refresh()) return false;
        Refresh();
        return true;
    }

    /// <summary>Brings the next hops alone up to date, and the hosts that are reached without a gateway.</summary>
    public void RefreshNeighbours()
    {
        foreach ((Neighbour neighbour, ushort index) in _indexes) Write(neighbour, index);
        RefreshRoutes();
    }

    void Write(Neighbour neighbour, ushort index)
    {
        ref NextHopEntry entry = ref _entries[index];
        bool usable = _tables.Neighbours.TryGetValue(neighbour, out NeighbourState to) & _tables.Links.TryGetValue(neighbour.Device, out LinkState link) && link.IsUp && TakesFrames(neighbour.Device);
        var next = new NextHopEntry { Sequence = entry.Sequence, Device = usable ? (uint)neighbour.Device : 0, Mtu = (ushort)Math.Min(link.Mtu, ushort.MaxValue) };
        for (int i = 0; usable && i < 6; i++)
        {
            next.To[i] = (byte)(to.Ethernet >> 8 * i);
            next.From[i] = (byte)(link.Address >> 8 * i);
        }

        fixed (NextHopEntry* there = &entry)
            if (new ReadOnlySpan<byte>(there, sizeof(NextHopEntry)).SequenceEqual(new ReadOnlySpan<byte>(&next, sizeof(NextHopEntry)))) return;
        Layout.BeginChange(ref entry.Sequence);
        next.Sequence = entry.Sequence;
        entry = next;
        Layout.EndChange(ref entry.Sequence);
    }

    void RefreshRoutes()
    {
        var wanted = new Dictionary<RouteKey, uint>();
        if (_tables.KnowsIPv4)
        {
            foreach (((uint prefix, int length), Route route) in _tables.IPv4)
                wanted[Key(prefix, length)] = length == 32 ? Of(route, isIPv4: true, new IPv6Address(prefix)) : OfMany(route, isIPv4: true);

            // Hosts that need no gateway are told one by one, as far as they are known.
            foreach (Neighbour neighbour in _tables.Neighbours.Keys)
            {
                if (!neighbour.IsIPv4) continue;
                uint address = (uint)neighbour.Address.Value;
                if (Find(address) is { Kind: RouteKind.Plain } route && route.Gateway == default && route.Device == neighbour.Device) wanted[Key(address, 32)] = IndexOf(neighbour);
            }
        }

        // A route that is missing would let a shorter one speak for it.
        _complete = Install(_routes, _installed, wanted);
        var wanted6 = new Dictionary<Route6Key, uint>();
        if (_tables.KnowsIPv6)
            foreach (((UInt128 prefix, int length), Route route) in _tables.IPv6)
                wanted6[new Route6Key((uint)length, new NetworkAddress(new IPv6Address(prefix)))] = length == 128 ? Of(route, isIPv4: false, new IPv6Address(prefix)) : OfMany(route, isIPv4: false);
        Install(_routes6, _installed6, wanted6);
    }

    /// <summary>Makes a map of routes these. False where one has no room.</summary>
    static bool Install<TKey>(BpfMap map, Dictionary<TKey, uint> installed, Dictionary<TKey, uint> wanted)
        where TKey : unmanaged
    {
        bool complete = true;
        foreach ((TKey key, uint nextHop) in wanted)
        {
            if (installed.TryGetValue(key, out uint there) && there == nextHop) continue;
            if (map.TrySet(key, nextHop, out _)) installed[key] = nextHop;
            else complete = false;
        }

        foreach (TKey key in installed.Keys.Except(wanted.Keys).ToArray())
        {
            map.Remove(key);
            installed.Remove(key);
        }

        return complete;
    }

    Route? Find(uint address)
    {
        for (int length = 32; length >= 0; length--)
            if (_tables.IPv4.TryGetValue((length == 0 ? 0 : address & uint.MaxValue << 32 - length, length), out Route route)) return route;
        return null;
    }

    static RouteKey Key(uint prefix, int length) => new((uint)length, NetworkAddress.Of(new IPv4Address(prefix)));

    /// <summary>Has the kernel look after the neighbours that programs send to.</summary>
    public void KeepFresh()
    {
        foreach (Neighbour neighbour in _indexes.Keys) _tables.Use(neighbour);
    }
}
