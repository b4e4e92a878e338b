using System.Buffers.Binary;
using System.Reflection;
using System.Security.Cryptography;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;
using APlusP.Linux;
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
    private protected void Start(StartValues values, IReadOnlyList<IForwarder> forwarders, Origin ipv4, Origin ipv6, Action claim, string what)
    {
        // First, since another daemon that answers there must not be disturbed.
        ControlServer control = Hold(new ControlServer(values.ControlSocket, Answer, Log));
        Device = Hold(TunDevice.Create(values.Device, forwarders.Count));

        var sockets = new List<SoftwireSocket>();
        foreach (IPv6Address end in values.SoftwireEnds.Where(e => KernelClaims.IsAddressOfThisMachine(e.ToString())))
        {
            sockets.Add(Hold(new SoftwireSocket(end)));
            sockets.Add(Hold(new SoftwireSocket(end, IpProtocol.IcmpV6)));
            Log.SoftwireBySocket(end.ToString());
        }

        OwnAddressSocket? own = values.IcmpSource is { } address && KernelClaims.IsAddressOfThisMachine(address.ToString())
            ? Hold(new OwnAddressSocket(address)) : null;

        Workers = [.. forwarders.Select((forwarder, i) => Hold(new Worker(
            $"{Role}-{i}", new TunQueue(Device, i, ipv4, ipv6, i == 0 ? sockets : [], own), forwarder, Fail)))];
        foreach (Worker worker in Workers) worker.Start();

        Claims = Hold(new KernelClaims(Device, Log));
        Claims.Forwarding();
        claim();
        control.Start();
        Log.Started(Role, ProgramVersion, values.Device, Workers.Count, values.ControlSocket, what);
    }

    void Fail(Exception error)
    {
        Log.WorkerFailed(error.Message);
        _failed.TrySetException(error);
    }

    T Hold<T>(T resource)
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
        _ => throw new APlusPException(ErrorCodes.ControlRequestFailed, $"'{verb}' is no request; there are status, counters and reload."),
    };

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

    private protected abstract StatusDocument Complete(StatusDocument status);

    private protected abstract Origin[] Origins { get; }

    /// <exception cref="APlusPException">AP3005: what the file now has takes a restart.</exception>
    private protected void RefuseChange(StartValues before, StartValues after)
    {
        if (before.FirstDifference(after) is var (key, now, wanted))
            throw new APlusPException(ErrorCodes.NeedsRestart, $"{ConfigurationPath} changes `{key}` from {now} to {wanted}, which takes a restart of the daemon. Nothing was changed.");
    }

    ForwardingCounters Sum()
    {
        var sum = new ForwardingCounters();
        foreach (Worker worker in Workers) sum.Add(worker.Forwarder.Counters);
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
            SendFailures = Workers.Sum(w => w.SendFailures),
            NarrowPaths = [.. Paths.Narrowed().Select(p => new PathStatus(p.Softwire.ToString(), p.PathMtu, p.Configured))],
        });
    }

    /// <summary>Takes everything back, last first: routes before the workers that serve them, the device at the end.</summary>
    public void Dispose()
    {
        for (int i = _held.Count - 1; i >= 0; i--) _held[i].Dispose();
        _held.Clear();
        GC.SuppressFinalize(this);
    }
}
