using APlusP.Core;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>What every fast path is made of.</summary>
public record FastPathPlan
{
    /// <summary>A directory for a BPF file system of its own.</summary>
    public required string Directory { get; init; }

    public required BpfHook Hook { get; init; }

    /// <summary>Names of the devices to stand on; none for every Ethernet device that is no port of a bridge.</summary>
    public IReadOnlyList<string> Devices { get; init; } = [];

    /// <summary>Index of the device that leads to tier 1; 0 for none.</summary>
    public int OwnDevice { get; init; }

    /// <summary>What tier 1 knows of path MTUs; while it finds them out, only what every path carries goes without asking it first.</summary>
    public PathMtuTable? Paths { get; init; }
}

/// <summary>
/// What the fast paths of PRR and SMAP have alike: eBPF programs on the devices, next hops that follow the kernel's, and pins, by which programs and maps outlive this
/// process. The next one puts its own programs in their place, with no packet between them that meets neither.
/// </summary>
public abstract class AttachedFastPath : IDisposable
{
    readonly FastPathPlan _plan;
    readonly string _program;
    readonly int _layout;
    readonly RouteTables _tables = new();
    readonly MappedArray<NextHopEntry> _nextHopEntries;
    readonly BpfMap _counters;
    Thread? _monitor;
    RouteTables.Changes _pending;
    string? _fault;
    volatile bool _stopping;

    /// <param name="plan">Where it stands.</param>
    /// <param name="loaded">The programs and maps; disposed with this.</param>
    /// <param name="program">The program to put on the devices.</param>
    /// <param name="layout">Version of the layout of what is pinned.</param>
    private protected AttachedFastPath(FastPathPlan plan, BpfObject loaded, string program, int layout)
    {
        _plan = plan;
        _program = program;
        _layout = layout;
        Object = loaded;
        _nextHopEntries = loaded.Map("next_hops").Share<NextHopEntry>();
        _counters = loaded.Map("counters");
        _tables.ReadLinksAndNeighbours();
        _tables.ReadRoutes();
        NextHops = new NextHops(_tables, _nextHopEntries, loaded, plan.OwnDevice, plan.Hook == BpfHook.Xdp ? new XdpFeatures() : null);
        NextHops.Refresh();
    }

    private protected BpfObject Object { get; }

    private protected NextHops NextHops { get; }

    /// <summary>Held while what the monitor reads, or the maps that it writes too, are changed.</summary>
    private protected Lock Changing { get; } = new();

    public BpfHook Hook => _plan.Hook;

    /// <summary>What it forwards for: bindings of a PRR, flows of a SMAP.</summary>
    public abstract int Count { get; }

    /// <summary>Of these, what had no room.</summary>
    public abstract int LeftOut { get; }

    private protected bool Discovers => _plan.Paths?.Options.IsOn ?? false;

    // ---- On the devices, and over to the next process

    /// <summary>Directory of the pins; another layout has another.</summary>
    private protected string Pins => PinsOf(_plan.Directory, _layout);

    private protected static string PinsOf(string directory, int layout) => Path.Combine(directory, $"v{layout}");

    string LinkPin(int device) => Path.Combine(Pins, $"{_plan.Hook.ToString().ToLowerInvariant()}_{device}");

    /// <summary>Maps that the next process takes something from.</summary>
    private protected abstract IReadOnlyList<string> PinnedMaps { get; }

    /// <summary>The programs stand on the devices, and those of a process before run no more: takes from its maps, by their pins, what is to be kept.</summary>
    private protected abstract void TakeOver();

    /// <summary>Routes or devices have changed.</summary>
    private protected abstract void FollowRoutes();

    /// <summary>
    /// What tier 1 has found out of the paths along which large packets go becomes what the programs may send there; what they have sent, tier 1 hears.
    /// </summary>
    private protected abstract void FollowPaths(PathMtuTable paths);

    /// <summary>
    /// Puts the programs on the devices, in the place of those of a process before, and pins them. What they forward by should be in by now. From then on a thread follows
    /// devices, routes and neighbours.
    /// </summary>
    /// <exception cref="APlusPException">AP2012, AP2013: the kernel refuses.</exception>
    public void Attach()
    {
        BpfFileSystem.Mount(_plan.Directory);
        Directory.CreateDirectory(Pins);
        lock (Changing)
        {
            AttachDevices();
            TakeOver();
            foreach (string map in PinnedMaps) BpfPin.Replace(Object.Map(map).Fd, Path.Combine(Pins, map));
        }

        _monitor = new Thread(Follow) { Name = "fast-path", IsBackground = true };
        _monitor.Start();
    }

    bool IsWanted(LinkState link) => link.IsEthernet && (_plan.Devices.Count > 0 ? _plan.Devices.Contains(link.Name) : !link.HasMaster);

    /// <summary>Names of the devices that the programs stand on.</summary>
    public IReadOnlyList<string> Devices { get; private set; } = [];

    /// <summary>What the kernel last said where a program could not be put on a device that appeared later, or which devices XDP cannot hand frames to; null where all is well.</summary>
    public string? Fault => _fault ?? (NextHops.Refusing is { Count: > 0 } refusing ? $"{ErrorCodes.FastPathDeviceRefuses}: XDP cannot hand frames to {string.Join(", ", refusing)}; what leaves there goes by the daemon. On a veth, set `ethtool -K DEVICE gro on` at its other end." : null);

    void AttachDevices()
    {
        Dictionary<int, LinkState> wanted = _tables.Links.Where(l => IsWanted(l.Value)).ToDictionary();
        int program = Object.Program(_program);
        foreach ((int index, LinkState link) in wanted) BpfLink.Attach(program, _plan.Hook, index, link.Name, LinkPin(index));
        foreach (string pin in Directory.GetFiles(Pins).Where(p => Path.GetFileName(p).Contains('_', StringComparison.Ordinal)))
            if (!wanted.Keys.Any(index => LinkPin(index) == pin)) File.Delete(pin);
        Devices = [.. wanted.Values.Select(l => l.Name)];
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
                // Whoever changes the maps meanwhile asks for next hops too.
                lock (Changing)
                {
                    // What could not be done is tried again: a device may have gone while it was looked at.
                    _pending |= _tables.TakeChanges();
                    Take(_pending);
                    _pending = RouteTables.Changes.None;
                    if (Environment.TickCount64 - fresh >= second)
                    {
                        fresh = Environment.TickCount64;
                        NextHops.KeepFresh();
                        NextHops.RefreshFeatures();
                    }
                }

                if (_plan.Paths is { } paths) FollowPaths(paths);
            }
            catch (APlusPException fault)
            {
                _fault = fault.Message;
            }
        }
    }

    void Take(RouteTables.Changes changes)
    {
        if ((changes & RouteTables.Changes.Links) != 0)
        {
            _tables.ReadLinksAndNeighbours();
            AttachDevices();
            _fault = null;
        }

        if (changes >= RouteTables.Changes.Links)
        {
            _tables.ReadRoutes();
            NextHops.Refresh();
            FollowRoutes();
        }
        else if (changes != RouteTables.Changes.None) NextHops.RefreshNeighbours();
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

    /// <summary>Adds what the programs of a process before have counted.</summary>
    private protected void AddCounters(BpfMap before)
    {
        Span<FastPathCounters> each = stackalloc FastPathCounters[ProcessorCount];
        _counters.ReadPerCpu(0, each);
        each[0].Add(Sum(before));
        _counters.WritePerCpu<FastPathCounters>(0, each);
    }

    internal static FastPathCounters Sum(BpfMap counters)
    {
        Span<FastPathCounters> each = stackalloc FastPathCounters[ProcessorCount];
        counters.ReadPerCpu(0, each);
        FastPathCounters sum = default;
        foreach (ref readonly FastPathCounters one in each) sum.Add(one);
        return sum;
    }

    /// <summary>CPUs that the kernel may ever have: so many values has an entry of a per-CPU map.</summary>
    private protected static int ProcessorCount { get; } = PossibleProcessors(File.ReadAllText("/sys/devices/system/cpu/possible").Trim());

    /// <summary>The list that the kernel writes as <c>0-3,8</c>.</summary>
    static int PossibleProcessors(string list) => list.Split(',').Select(part => part.Split('-')).Sum(ends => int.Parse(ends[^1]) - int.Parse(ends[0]) + 1);

    public void Dispose()
    {
        _stopping = true;
        _monitor?.Join();
        DisposeMaps();
        _nextHopEntries.Dispose();
        Object.Dispose();
        _tables.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected abstract void DisposeMaps();
}
