using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>What a PRR's fast path is made of.</summary>
public sealed record PrrFastPathPlan
{
    /// <summary>A directory for a BPF file system of its own.</summary>
    public required string Directory { get; init; }

    public required BpfHook Hook { get; init; }

    public required PrrOptions Options { get; init; }

    /// <summary>Names of the devices to stand on; none for every Ethernet device that is no port of a bridge.</summary>
    public IReadOnlyList<string> Devices { get; init; } = [];

    /// <summary>Index of the device that leads to tier 1; 0 for none.</summary>
    public int OwnDevice { get; init; }

    /// <summary>The bindings and rules of tier 1, which the programs are kept by.</summary>
    public required BindingTable Table { get; init; }

    /// <summary>What tier 1 knows of path MTUs; while it finds them out, only what every path carries goes without asking it first.</summary>
    public PathMtuTable? Paths { get; init; }
}

/// <summary>
/// The PRR's fast path: eBPF programs on the devices, and the maps that they forward by. Programs and maps are pinned, and outlive this
/// process; the next one puts its own in their place, with no packet between them that meets neither, and takes their counters over.
/// </summary>
public sealed class PrrFastPath : IDisposable
{
    readonly PrrFastPathPlan _plan;
    readonly BpfObject _object;
    readonly RouteTables _tables = new();
    readonly MappedArray<ConfigEntry> _config;
    readonly MappedArray<NextHopEntry> _nextHopEntries;
    readonly NextHops _nextHops;
    readonly PrrMaps _maps;
    readonly BpfMap _counters;
    readonly Lock _changing = new();
    Dictionary<IPv6Address, (Binding Binding, bool ByRule)> _large = [];
    Thread? _monitor;
    volatile bool _stopping;

    /// <summary>Loads the programs and the bindings; they stand on no device yet.</summary>
    /// <exception cref="APlusPException">AP2010: the kernel refuses them.</exception>
    public PrrFastPath(PrrFastPathPlan plan)
    {
        _plan = plan;
        _object = BpfObject.Load(plan.Hook == BpfHook.Tc ? "prr.tc.o" : "prr.xdp.o", PrrMaps.EntriesFor(plan.Table.Bindings));
        _config = _object.Map("config").Share<ConfigEntry>();
        _nextHopEntries = _object.Map("next_hops").Share<NextHopEntry>();
        _counters = _object.Map("counters");
        _tables.ReadLinksAndNeighbours();
        _tables.ReadRoutes();
        _nextHops = new NextHops(_tables, _nextHopEntries, _object.Map("routes"), _object.Map("devices"), plan.OwnDevice);
        _nextHops.Refresh();
        _maps = new PrrMaps(_object, _nextHops.Towards);
        Options = plan.Options;

        // Nobody changes the table before the daemon answers.
        foreach (Binding binding in plan.Table.Bindings) Take(new BindingChange(null, binding));
        plan.Table.Changed += Take;
        plan.Table.RulesChanged += TakeRules;
        TakeRules();
    }

    /// <summary>Bindings that the programs know.</summary>
    public int Count => _maps.Count;

    /// <summary>Bindings that had no room: a restart makes some.</summary>
    public int LeftOut => _maps.LeftOut;

    public BpfHook Hook => _plan.Hook;

    public PrrOptions Options
    {
        get => field;
        set
        {
            lock (_changing)
            {
                field = value;
                WriteConfig();
            }
        }
    }

    void WriteConfig()
    {
        ConfigFlags flags = (Options.AllowIcmpFromInternet ? ConfigFlags.IcmpFromInternet : 0) | (Options.Hairpinning ? ConfigFlags.Hairpinning : 0)
            | (_nextHops.KnowsIPv4 ? ConfigFlags.RoutesKnown : 0) | (_maps.HasRules ? ConfigFlags.HasRules : 0);
        ref ConfigEntry config = ref _config[0];
        config.HopLimit = Options.HopLimit;
        config.Secret = Options.Secret;
        config.Flags = flags;
    }

    bool Discovers => _plan.Paths?.Options.IsOn ?? false;

    void Take(BindingChange change)
    {
        lock (_changing) _maps.Take(change, Discovers);
    }

    void TakeRules()
    {
        IReadOnlyList<RuleBinding> rules = _plan.Table.Rules?.Rules ?? [];
        lock (_changing)
        {
            _maps.SetRules(rules, Discovers);
            WriteConfig();
        }
    }

    // ---- On the devices, and over to the next process

    /// <summary>Directory of the pins; another layout has another.</summary>
    static string PinsOf(string directory) => Path.Combine(directory, $"v{Layout.Version}");

    string LinkPin(int device) => Path.Combine(PinsOf(_plan.Directory), $"{_plan.Hook.ToString().ToLowerInvariant()}_{device}");

    /// <summary>
    /// Puts the programs on the devices, in the place of those of a process before, and pins them. Bindings and rules should be in by now. From then on a thread follows
    /// devices, routes and neighbours.
    /// </summary>
    /// <exception cref="APlusPException">AP2012, AP2013: the kernel refuses.</exception>
    public void Attach()
    {
        BpfFileSystem.Mount(_plan.Directory);
        Directory.CreateDirectory(PinsOf(_plan.Directory));
        lock (_changing)
        {
            AttachDevices();
            using (var before = PinnedCounters.Open(PinsOf(_plan.Directory)))
            {
                if (before is not null) TakeOver(before);
            }

            foreach (string map in (string[])["addresses", "ranges", "softwires", "counters"]) BpfPin.Replace(_object.Map(map).Fd, Path.Combine(PinsOf(_plan.Directory), map));
        }

        _monitor = new Thread(Follow) { Name = "fast-path", IsBackground = true };
        _monitor.Start();
    }

    bool IsWanted(LinkState link) => link.IsEthernet && (_plan.Devices.Count > 0 ? _plan.Devices.Contains(link.Name) : !link.HasMaster);

    /// <summary>Names of the devices that the programs stand on.</summary>
    public IReadOnlyList<string> Devices { get; private set; } = [];

    /// <summary>What the kernel last said where a program could not be put on a device that appeared later; null where all is well.</summary>
    public string? Fault { get; private set; }

    void AttachDevices()
    {
        Dictionary<int, LinkState> wanted = _tables.Links.Where(l => IsWanted(l.Value)).ToDictionary();
        int program = _object.Program("prr");
        foreach ((int index, LinkState link) in wanted) BpfLink.Attach(program, _plan.Hook, index, link.Name, LinkPin(index));
        foreach (string pin in Directory.GetFiles(PinsOf(_plan.Directory)).Where(p => Path.GetFileName(p).Contains('_', StringComparison.Ordinal)))
            if (!wanted.Keys.Any(index => LinkPin(index) == pin)) File.Delete(pin);
        Devices = [.. wanted.Values.Select(l => l.Name)];
    }

    /// <summary>The programs of before run no more: what they counted goes on in ours.</summary>
    void TakeOver(PinnedCounters before)
    {
        Span<FastPathCounters> each = stackalloc FastPathCounters[ProcessorCount];
        _counters.ReadPerCpu(0, each);
        each[0].Add(Sum(before.Counters));
        _counters.WritePerCpu<FastPathCounters>(0, each);
        for (int slot = 0; slot < _maps.Top; slot++)
        {
            ref SoftwireEntry entry = ref _maps[slot];
            if (entry.Address != 0) before.AddTo(ref entry);
        }
    }

    void Follow()
    {
        const int settle = 20, second = 1000;
        int pause = _plan.Paths is null ? second : 100;
        long fresh = 0;
        while (!_stopping)
        {
            // Changes come in swarms.
            if (_tables.Wait(pause)) Thread.Sleep(settle);
            try
            {
                // Whoever changes bindings meanwhile asks for next hops too.
                lock (_changing)
                {
                    Take(_tables.TakeChanges());
                    if (Environment.TickCount64 - fresh >= second)
                    {
                        fresh = Environment.TickCount64;
                        _nextHops.KeepFresh();
                    }
                }

                FollowPaths();
            }
            catch (APlusPException fault)
            {
                Fault = fault.Message;
            }
        }
    }

    void Take(RouteTables.Changes changes)
    {
        if ((changes & RouteTables.Changes.Links) != 0)
        {
            _tables.ReadLinksAndNeighbours();
            AttachDevices();
        }

        if (changes >= RouteTables.Changes.Links)
        {
            _tables.ReadRoutes();
            _nextHops.Refresh();
            _maps.RefreshNextHops();
            WriteConfig();
        }
        else if (changes != RouteTables.Changes.None) _nextHops.RefreshNeighbours();
    }

    /// <summary>
    /// What tier 1 has found out of the paths along which large packets go becomes what the programs may send there; what they have sent, tier 1 hears. Along a path that is left alone large packets
    /// go up again.
    /// </summary>
    void FollowPaths()
    {
        if (_plan.Paths is null) return;

        // Asked without holding our lock: whoever changes the table holds its own when it takes ours.
        var active = new Dictionary<IPv6Address, (Binding Binding, bool ByRule)>();
        IReadOnlyList<KnownPathMtu> paths = _plan.Paths.Active();
        foreach (KnownPathMtu path in paths)
            if (_plan.Table.BindingOf(path.Softwire) is { } binding) active[path.Softwire] = (binding, !_plan.Table.HasBinding(path.Softwire));

        lock (_changing)
        {
            foreach (KnownPathMtu path in paths)
            {
                if (!active.TryGetValue(path.Softwire, out (Binding Binding, bool ByRule) there)) continue;
                if (Allow(there.Binding, there.ByRule, Math.Min(path.PathMtu - IPv6Header.Size, there.Binding.PayloadMtu))) _plan.Paths.NoteLarge(path.Softwire);
            }

            foreach ((IPv6Address softwire, (Binding idle, bool byRule)) in _large)
            {
                if (active.ContainsKey(softwire)) continue;
                if (byRule) _maps.ForgetPath(softwire);
                else Allow(idle, byRule, PrrMaps.FirstMtu(idle.PayloadMtu, discovers: true));
            }
        }

        _large = active;
    }

    /// <summary>Says what goes to a softwire without asking tier 1.</summary>
    /// <returns>Whether a large packet has gone since the last time.</returns>
    bool Allow(Binding binding, bool byRule, int payloadMtu)
    {
        if (byRule) return _maps.SetPath(binding.Softwire, payloadMtu);
        int slot = _maps.Find(binding);
        if (slot < 0) return false;
        _maps.SetMtu(slot, payloadMtu);
        bool wasLarge = _maps[slot].Large != 0;
        if (wasLarge) _maps[slot].Large = 0;
        return wasLarge;
    }

    /// <summary>Takes programs and maps away, whichever process has put them there.</summary>
    public static void Detach(string directory)
    {
        if (!BpfFileSystem.IsMounted(directory)) return;
        foreach (string version in Directory.GetDirectories(directory))
        {
            foreach (string pin in Directory.GetFiles(version)) File.Delete(pin);
            Directory.Delete(version);
        }

        BpfFileSystem.Unmount(directory);
    }

    // ---- Counters

    /// <summary>Sum of the counters of all CPUs.</summary>
    public FastPathCounters Counters() => Sum(_counters);

    static FastPathCounters Sum(BpfMap counters)
    {
        Span<FastPathCounters> each = stackalloc FastPathCounters[ProcessorCount];
        counters.ReadPerCpu(0, each);
        FastPathCounters sum = default;
        foreach (ref readonly FastPathCounters one in each) sum.Add(one);
        return sum;
    }

    /// <summary>CPUs that the kernel may ever have: so many values has an entry of a per-CPU map.</summary>
    static int ProcessorCount { get; } = PossibleProcessors(File.ReadAllText("/sys/devices/system/cpu/possible").Trim());

    /// <summary>The list that the kernel writes as <c>0-3,8</c>.</summary>
    static int PossibleProcessors(string list) => list.Split(',').Select(part => part.Split('-')).Sum(ends => int.Parse(ends[^1]) - int.Parse(ends[0]) + 1);

    public void Dispose()
    {
        _plan.Table.Changed -= Take;
        _plan.Table.RulesChanged -= TakeRules;
        _stopping = true;
        _monitor?.Join();
        _maps.Dispose();
        _config.Dispose();
        _nextHopEntries.Dispose();
        _object.Dispose();
        _tables.Dispose();
    }
}
