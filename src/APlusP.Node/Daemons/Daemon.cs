using System.Buffers.Binary;
using System.Reflection;
using System.Security.Cryptography;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;
using APlusP.Linux;
using APlusP.Linux.Bpf;
using APlusP.Linux.FastPath;
using APlusP.Node.Configuration;
using APlusP.Node.Control;

namespace APlusP.Node.Daemons;

/// <summary>
/// What PRR and SMAP have in common as processes: a TUN device with a worker for each queue, claims on the kernel, a control socket,
/// and taking all of it back at the end.
/// </summary>
public abstract class Daemon : IDisposable
{
    readonly DateTimeOffset _started = TimeProvider.System.GetUtcNow();
    readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly List<IDisposable> _held = [];
    readonly Lock _reloading = new();
    IReadOnlyList<DataPlane> _dataPlanes = [];
    string? _lastReload;

    protected Daemon(string role, string configurationPath, DaemonLog log)
    {
        Role = role;
        ConfigurationPath = configurationPath;
        Log = log;
    }

    /// <summary>"prr" or "smap".</summary>
    public string Role { get; }

    public string ConfigurationPath { get; }

    /// <summary>What nobody outside can foretell, for flow labels, identifications and probes.</summary>
    private protected ulong Secret { get; } = BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(ulong))) | 1;

    /// <summary>What the paths of the softwires carry.</summary>
    private protected abstract PathMtuTable Paths { get; }

    /// <summary>Faults when the daemon cannot go on.</summary>
    public Task Failure => _failed.Task;

    private protected DaemonLog Log { get; }

    private protected TunDevice Device { get; private set; } = null!;

    private protected KernelClaims Claims { get; private set; } = null!;

    private protected IReadOnlyList<Worker> Workers { get; private set; } = [];

    public static string ProgramVersion => typeof(Daemon).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    /// <summary>Starts everything in the order that loses no packet: data plane, then routes to it, then the control socket that says it is ready.</summary>
    private protected void Start(StartValues values, IReadOnlyList<DataPlane> dataPlanes, Origin ipv4, Origin ipv6, Action claim, string what)
    {
        // First, since another daemon that answers there must not be disturbed.
        ControlServer control = Hold(new ControlServer(values.ControlSocket, Answer, Stream, Log));
        _controlSocket = values.ControlSocket;
        if (values.FastPath == FastPathMode.Off && File.Exists(LeftBeside(values.ControlSocket).Settings)) Detach(values.Device, values.ControlSocket);
        Device = Hold(TunDevice.Create(values.Device, dataPlanes.Count, mayBeThere: values.FastPath != FastPathMode.Off));

        OwnAddressSocket? own = values.IcmpSource is { } address && KernelClaims.IsAddressOfThisMachine(address.ToString())
            ? Hold(new OwnAddressSocket(address)) : null;

        AttachedFastPath? Load() => values.FastPath == FastPathMode.Off ? null : LoadFastPath(values.FastPath == FastPathMode.Xdp ? BpfHook.Xdp : BpfHook.Tc);
        AttachedFastPath? fastPath = NeedsFlowsFirst ? Load() : null;
        _dataPlanes = dataPlanes;
        Workers = [.. dataPlanes.Select((dataPlane, i) => Hold(new Worker(
            $"{Role}-{i}", new TunQueue(Device, i, ipv4, ipv6, own), dataPlane, Fail)))];
        Workers[0].Softwires = SocketsFor(values.SoftwireEnds);
        Hold(new FragmentWatch(dataPlanes, values.Fragments.WarnAt, Log, TimeProvider.System));
        foreach (Worker worker in Workers) worker.Start();

        Claims = Hold(new KernelClaims(Device, Log));
        Claims.Forwarding();
        claim();

        // Packets go by the workers while the maps of a million bindings are filled.
        if (!NeedsFlowsFirst) fastPath = Load();
        if (fastPath is not null) AttachFastPath(fastPath);
        control.Start();
        Log.Started(Role, ProgramVersion, values.Device, Workers.Count, values.ControlSocket, what);
    }

    /// <summary>Sockets for what comes to softwire ends that are addresses of this machine, whose packets the kernel keeps from the device.</summary>
    private protected IReadOnlyList<SoftwireSocket> SocketsFor(IEnumerable<IPv6Address> ends)
    {
        var sockets = new List<SoftwireSocket>();
        foreach (IPv6Address end in ends.Where(e => KernelClaims.IsAddressOfThisMachine(e.ToString())))
        {
            sockets.Add(new SoftwireSocket(end));
            sockets.Add(new SoftwireSocket(end, IpProtocol.IcmpV6));
            Log.SoftwireBySocket(end.ToString());
        }

        return sockets;
    }

    // ---- The fast path, which stays when the process ends

    private protected AttachedFastPath? FastPath { get; private set; }

    string _controlSocket = "";
    string? _fastPathFault;

    /// <summary>Where the kernel's part of a daemon is pinned, and where what it must put back is written down.</summary>
    static (string Pins, string Settings) LeftBeside(string controlSocket) => (Path.ChangeExtension(controlSocket, "bpf"), Path.ChangeExtension(controlSocket, "settings"));

    AttachedFastPath? LoadFastPath(BpfHook hook)
    {
        try
        {
            return Hold(MakeFastPath(LeftBeside(_controlSocket).Pins, hook));
        }
        catch (APlusPException fault)
        {
            GoWithoutFastPath(fault);
            return null;
        }
    }

    void AttachFastPath(AttachedFastPath fastPath)
    {
        try
        {
            // The one of before in this process lets go first: its monitor would put its own programs back. They run until these are in their place.
            if (FastPath is { } before) LetGo(before);
            FastPath = null;
            fastPath.Attach();
            Claims.Stay(LeftBeside(_controlSocket).Settings);
            FastPath = fastPath;
            LogFastPath(fastPath);
        }
        catch (APlusPException fault)
        {
            DismissFastPath();
            LetGo(fastPath);
            GoWithoutFastPath(fault);
        }
    }

    void LetGo(AttachedFastPath fastPath)
    {
        _held.Remove(fastPath);
        fastPath.Dispose();
    }

    void GoWithoutFastPath(APlusPException fault)
    {
        if (FastPath is { } before) LetGo(before);
        FastPath = null;

        // Programs that a process before has left would go on by what it knew.
        AttachedFastPath.Detach(LeftBeside(_controlSocket).Pins);
        _fastPathFault = $"{fault.Code}: {fault.Message}";
        Log.NoFastPath(fault.Code, fault.Message);
    }

    /// <summary>Makes room for what the fast path has none for, by larger maps in the place of these. Nobody changes what it forwards by meanwhile.</summary>
    private protected void MakeRoom()
    {
        if (FastPath is { LeftOut: > 0, Hook: var hook } && LoadFastPath(hook) is { } larger) AttachFastPath(larger);
    }

    void LogFastPath(AttachedFastPath fastPath)
    {
        string hook = fastPath.Hook == BpfHook.Xdp ? "XDP" : "tc", devices = string.Join(", ", fastPath.Devices);
        if (fastPath is PrrFastPath) Log.FastPath(hook, devices, fastPath.Count);
        else Log.FastPathOfFlows(hook, devices, fastPath.Count);
        if (fastPath is PrrFastPath { LeftOut: > 0 }) Log.FastPathFull(fastPath.LeftOut);
    }

    /// <summary>The fast path of this daemon, filled.</summary>
    /// <exception cref="APlusPException">The kernel refuses.</exception>
    private protected abstract AttachedFastPath MakeFastPath(string pins, BpfHook hook);

    /// <summary>Whether the fast path is there before the workers, since it knows flows whose packets may come at once, and goes after them.</summary>
    private protected virtual bool NeedsFlowsFirst => false;

    /// <summary>The fast path was made, but goes: nothing may use it any more.</summary>
    private protected virtual void DismissFastPath()
    {
    }

    /// <summary>
    /// Whether the fast path, the device and the routes stay when this is disposed: plain traffic goes on, and the next process takes over. Without a fast path nothing stays.
    /// </summary>
    public bool Leaves { get; set; }

    /// <summary>Takes away what a daemon has left in the kernel.</summary>
    /// <exception cref="APlusPException">AP3003: it runs.</exception>
    public static void Detach(string device, string controlSocket)
    {
        if (ControlClient.Answers(controlSocket))
            throw new APlusPException(ErrorCodes.AlreadyRunning, $"a daemon answers at {controlSocket}; stop it first, then detach.");
        (string pins, string settings) = LeftBeside(controlSocket);
        AttachedFastPath.Detach(pins);
        KernelClaims.TakeAway(device, settings);
    }

    void Fail(Exception error)
    {
        Log.WorkerFailed(error.Message);
        _failed.TrySetException(error);
    }

    private protected T Hold<T>(T resource)
        where T : IDisposable
    {
        _held.Add(resource);
        return resource;
    }

    /// <summary>Routes that the softwire ends need: those that no interface has.</summary>
    private protected static IEnumerable<DeviceRoute> SoftwireRoutes(IEnumerable<IPv6Address> ends) =>
        ends.Where(e => !KernelClaims.IsAddressOfThisMachine(e.ToString())).Select(KernelClaims.RouteTo);

    ControlAnswer Answer(string verb) => verb switch
    {
        "status" => new ControlAnswer { Status = Status() },
        "counters" => new ControlAnswer { Counters = Counters() },
        "reload" => new ControlAnswer { Reloaded = Reload() },
        _ when AnswerOwn(verb) is { } own => own,
        _ => throw new APlusPException(ErrorCodes.ControlRequestFailed, $"'{verb}' is no request to a {Role}; there are status, counters and reload, bindings of a PRR, flows, mappings and forward of a SMAP, and release of one with a lease."),
    };

    /// <summary>Answers what daemons of the other role do not know; null for what is nothing here either.</summary>
    private protected virtual ControlAnswer? AnswerOwn(string verb) => null;

    /// <summary>The stream of requests that a verb begins; null where it is a question.</summary>
    private protected virtual ILineStream? Stream(string verb) => null;

    /// <summary>Reads the configuration file again. A faulty one changes nothing.</summary>
    /// <returns>What changed, for people.</returns>
    /// <exception cref="APlusPException">The file is faulty, or asks for what cannot change while the daemon runs.</exception>
    public string Reload()
    {
        lock (_reloading)
        {
            try
            {
                string what = ReloadConfiguration();
                Log.Reloaded(ConfigurationPath, what);
                _lastReload = "ok";
                return what;
            }
            catch (APlusPException error)
            {
                Log.ReloadRefused(ConfigurationPath, error.Message);
                _lastReload = $"{error.Code}: {error.Message}";
                throw;
            }
        }
    }

    private protected abstract string ReloadConfiguration();

    /// <summary>Changes something while no reload does.</summary>
    private protected void Exclusively(Action change)
    {
        lock (_reloading) change();
    }

    /// <summary>Counters that daemons of the other role have not.</summary>
    private protected virtual IEnumerable<KeyValuePair<string, long>> OwnCounters() => [];

    private protected abstract StatusDocument Complete(StatusDocument status);

    /// <summary>The sides that packets come from: for the shared address, and from it.</summary>
    private protected abstract Origin Outside { get; }

    private protected abstract Origin Inside { get; }

    /// <summary>Both, in the order that they are told in.</summary>
    Origin[] Origins => Outside < Inside ? [Outside, Inside] : [Inside, Outside];

    /// <exception cref="APlusPException">AP3005: what the file now has takes a restart.</exception>
    private protected void RefuseChange(StartValues before, StartValues after)
    {
        if (before.FirstDifference(after) is var (key, now, wanted))
            throw new APlusPException(ErrorCodes.NeedsRestart, $"{ConfigurationPath} changes `{key}` from {now} to {wanted}, which takes a restart of the daemon. Nothing was changed.");
    }

    private protected ForwardingCounters Sum()
    {
        var sum = new ForwardingCounters();
        foreach (Worker worker in Workers) sum.Add(worker.Forwarder.Counters);
        if (FastPath?.Counters() is { } fast)
        {
            sum.Add(Outside, Fate.Forwarded, (long)fast.InPackets, (long)fast.InOctets);
            sum.Add(Inside, Fate.Forwarded, (long)fast.OutPackets, (long)fast.OutOctets);
            sum.Add(Inside, Fate.Hairpinned, (long)fast.HairpinPackets, (long)fast.HairpinOctets);
        }

        return sum;
    }

    Dictionary<string, long> Counters()
    {
        var counters = new Dictionary<string, long>(Sum().Named(Origins), StringComparer.Ordinal)
        {
            ["path-mtu-lowered-by-message"] = Paths.LoweredByMessage,
            ["path-mtu-lowered-by-probing"] = Paths.LoweredByProbe,
            ["path-mtu-raised"] = Paths.Raised,
            ["path-mtu-probes-sent"] = Paths.ProbesSent,
            ["device-send-failures"] = Workers.Sum(w => w.SendFailures),
        };
        foreach ((string name, long value) in OwnCounters()) counters.Add(name, value);
        if (FastPath?.Counters() is not { } fast) return counters;
        foreach ((string name, long value) in fast.Named(Outside, Inside)) counters.Add(name, value);
        return counters;
    }

    StatusDocument Status()
    {
        ForwardingCounters counters = Sum();
        TimeSpan uptime = TimeProvider.System.GetUtcNow() - _started;
        return Complete(new StatusDocument
        {
            Role = Role,
            Program = ProgramVersion,
            Configuration = ConfigurationPath,
            Device = Device.Name,
            Started = _started,
            UptimeSeconds = (long)uptime.TotalSeconds,
            LastReload = _lastReload,
            SoftwireAddresses = [],
            Traffic = [.. Origins.Select(o => new TrafficStatus(
                ForwardingCounters.Kebab(o), counters.Received(o), counters.ReceivedOctets(o), counters.Packets(o, Fate.Forwarded),
                counters.Packets(o, Fate.Hairpinned), counters.Packets(o, Fate.Answered), counters.Packets(o, Fate.Consumed), counters.Packets(o, Fate.Dropped),
                counters.Packets(o, Fate.Held)))],
            Drops = [.. from origin in Origins
                        from reason in Enum.GetValues<DropReason>()
                        let packets = counters.Drops(origin, reason)
                        where packets > 0
                        orderby packets descending
                        select new DropStatus(ForwardingCounters.Kebab(origin), ForwardingCounters.Kebab(reason), packets)],
            FastPath = FastPath is { } fast ? Describe(fast)
                : _fastPathFault is not null ? new FastPathStatus("off", [], 0, 0, _fastPathFault) : null,
            SendFailures = Workers.Sum(w => w.SendFailures),
            Fragments = [
                FragmentStatusOf("softwire packets", _dataPlanes.Select(d => d.FragmentUse.Outer)),
                FragmentStatusOf("IPv4 packets", _dataPlanes.Select(d => d.FragmentUse.Inner))],
            NarrowPaths = [.. Paths.Narrowed().Select(p => new PathStatus(p.Softwire.ToString(), p.PathMtu, p.Configured))],
        });
    }

    FastPathStatus Describe(AttachedFastPath fast)
    {
        bool isPrr = fast is PrrFastPath;
        return new FastPathStatus(fast.Hook.ToString().ToLowerInvariant(), fast.Devices, isPrr ? fast.Count : 0, fast.LeftOut, fast.Fault) { Flows = isPrr ? null : fast.Count };
    }

    static FragmentStatus FragmentStatusOf(string kind, IEnumerable<FragmentUse> workers)
    {
        FragmentUse sum = workers.Aggregate((a, b) => a + b);
        return new FragmentStatus(kind, sum.Packets, sum.MaxPackets, sum.Octets, sum.MaxOctets);
    }

    /// <summary>Ends what changes the rest by itself, before that goes.</summary>
    private protected virtual void StopFollowing()
    {
    }

    /// <summary>Takes everything back, last first: routes before the workers that serve them, the device at the end.</summary>
    public void Dispose()
    {
        StopFollowing();
        bool stays = FastPath is not null && Leaves;
        if (stays) Claims.Leave();
        else if (FastPath is not null) Device.Stays(false);
        for (int i = _held.Count - 1; i >= 0; i--) _held[i].Dispose();
        _held.Clear();
        if (FastPath is not null && !stays)
        {
            (string pins, string settings) = LeftBeside(_controlSocket);
            AttachedFastPath.Detach(pins);
            File.Delete(settings);
        }

        GC.SuppressFinalize(this);
    }
}
