using System.Runtime.CompilerServices;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Linux;
using APlusP.Linux.Bpf;
using APlusP.Linux.FastPath;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.WebNames;

namespace APlusP.Node.Daemons;

/// <summary>A PRR as a process: one binding table, and a <see cref="PortRangeRouter"/> for each queue of the device.</summary>
public sealed class PrrDaemon : Daemon
{
    const int ManyBindings = 10_000;

    readonly BindingTable _table;
    readonly LiveBindings _live;
    readonly PortRangeRouter[] _routers;
    readonly FollowedRegistry? _registry;
    PrrConfiguration _configuration;
    WebNamesService? _webNames;
    bool _takesNames;

    public PrrDaemon(string configurationPath, DaemonLog log)
        : base("prr", configurationPath, log)
    {
        (_configuration, _table, SubscriberNames names) = Load();
        _live = new LiveBindings(_table, Route);
        _live.Load(_configuration, names, () => { });
        if (_configuration.Registry is { } registry) _registry = new FollowedRegistry(registry, _table, _live, log, TimeProvider.System);

        // What reading left behind goes back to the system while no packet waits for it.
        if (_table.Count > ManyBindings) GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        Paths = new PathMtuTable(_configuration.Discovery, TimeProvider.System, Secret);
        _routers = [.. Enumerable.Range(0, _configuration.Workers).Select(_ => new PortRangeRouter(_table, _configuration.Options, TimeProvider.System, Paths))];
    }

    /// <summary>Reads the configuration. The kernel forwards into and out of the TUN, and takes one from the TTL as it does.</summary>
    LoadedPrr Load()
    {
        LoadedPrr loaded = ConfigurationFile.LoadPrrTable(ConfigurationPath);
        return loaded with { Configuration = loaded.Configuration with { Options = Named(loaded.Configuration.Options with { TtlAlreadyTaken = true, Secret = Secret }) } };
    }

    /// <summary>Visitors' packets are given to the kernel only while it knows what to do with them.</summary>
    PrrOptions Named(PrrOptions options) => options with { NamedPorts = _takesNames ? WebNamesPlan.Ports : [] };

    void TakeNames(bool take) => Exclusively(() =>
    {
        if (take == _takesNames) return;
        _takesNames = take;
        _configuration = _configuration with { Options = Named(_configuration.Options) };
        foreach (PortRangeRouter router in _routers) router.Options = _configuration.Options;
    });

    private protected override ILineStream? Stream(string verb) => verb == "bindings" ? new BindingStream(_live) : null;

    private protected override PathMtuTable Paths { get; }

    private protected override Origin Outside => Origin.FromInternet;

    private protected override Origin Inside => Origin.FromSmap;

    public void Start()
    {
        Start(
            StartValues.Of(_configuration), _routers, Origin.FromInternet, Origin.FromSmap,
            () => Claims.Route(Routes(_configuration)),
            $"{_table.Count} binding(s) on {_table.AddressCount} address(es), {_configuration.Rules.Count} mapping rule(s)");
        _registry?.Start(MakeRoomBesideChanges);
        if (_configuration.WebNames is { } plan)
            _webNames = new WebNamesService(plan, _configuration.Device, Path.ChangeExtension(Path.GetFullPath(_configuration.ControlSocket), "web-names"), _registry!.Leased.Sites, TakeNames, Log);
    }

    /// <summary>Before the start there is no device to route to: all routes are made then.</summary>
    void Route(IPv4Address address, bool wanted)
    {
        if (Claims is { } claims) claims.Route(KernelClaims.RouteTo(new IPv4Prefix(address, 32)), wanted);
    }

    void MakeRoomBesideChanges()
    {
        lock (_live.Changing) MakeRoom();
    }

    private protected override void StopFollowing()
    {
        _webNames?.Dispose();
        _registry?.Dispose();
    }

    private protected override AttachedFastPath MakeFastPath(string pins, BpfHook hook) => new PrrFastPath(new PrrFastPathPlan
    {
        Directory = pins,
        Hook = hook,
        Options = _configuration.Options,
        Devices = _configuration.FastPathDevices,
        OwnDevice = Device.Index,
        Table = _table,
        Paths = Paths,
    });

    /// <summary>
    /// Each shared address and each rule's IPv4 prefix. Without an MTU: above it the kernel would fragment the inner packet, which is ours to carry whole
    /// (RFC 6333 section 5.3).
    /// </summary>
    IEnumerable<DeviceRoute> Routes(PrrConfiguration configuration) =>
        _table.Addresses.Select(address => new IPv4Prefix(address, 32)).Concat(configuration.Rules.Select(r => r.Rule.IPv4)).Distinct().Select(KernelClaims.RouteTo)
            .Concat(SoftwireRoutes(configuration.Options.SoftwireAddresses));

    private protected override string ReloadConfiguration()
    {
        string what = TakeOverFile();

        // The table that was compared with goes before another comes. Not compacting: workers wait only while a few objects are marked.
        if (_table.Count > ManyBindings) GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: false);
        return what;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    string TakeOverFile()
    {
        (PrrConfiguration next, BindingTable wanted, SubscriberNames names) = Load();
        RefuseChange(StartValues.Of(_configuration), StartValues.Of(next));
        IReadOnlyList<RuleBinding> rulesBefore = _configuration.Rules;
        IReadOnlyList<BindingChange> changes = [];
        _live.Load(next, names, () =>
        {
            _registry?.Leased.Join(wanted, next);
            changes = _table.DifferencesTo(wanted);

            // Who moves between a rule and a binding has one of both at any time: the rules of before are asked last until all is done.
            _table.SetRules([.. next.Rules], keepBefore: true);
            Apply(changes);
            _table.SetRules([.. next.Rules]);
            (FastPath as PrrFastPath)?.Options = next.Options;
            foreach (PortRangeRouter router in _routers) router.Options = next.Options;
            Paths.Options = next.Discovery;
            Claims.Route(Routes(next));
            _configuration = next;
            MakeRoom();
        });
        string rules = next.Rules.Count + rulesBefore.Count == 0 ? ""
            : $"; rules +{next.Rules.Except(rulesBefore).Count()} -{rulesBefore.Except(next.Rules).Count()}, {next.Rules.Count} in all";
        return $"bindings +{changes.Count(c => c.Before is null)} -{changes.Count(c => c.After is null)} ~{changes.Count(c => c is { Before: not null, After: not null })}, {_table.Count} in all{rules}";
    }

    /// <summary>
    /// Makes changes that belong together. Ports may move from one subscriber to another: all are given back before any is given out. Whoever keeps ports keeps them throughout; only
    /// who wants what another has not given back yet (or divides an address anew) is taken out until they have.
    /// </summary>
    void Apply(IReadOnlyList<BindingChange> changes)
    {
        var last = new List<Binding>();
        foreach (BindingChange change in changes)
            if (change is { Before: { } gone, After: null }) _table.Remove(gone.Softwire);
        foreach (BindingChange change in changes)
        {
            if (change is not { Before: not null, After: { } changed }) continue;
            try
            {
                _table.Replace(changed);
            }
            catch (APlusPException conflict) when (conflict.Code == ErrorCodes.BindingConflict)
            {
                _table.Remove(changed.Softwire);
                last.Add(changed);
            }
        }

        foreach (BindingChange change in changes)
            if (change is { Before: null, After: { } added }) _table.Add(added);
        foreach (Binding binding in last) _table.Add(binding);
    }

    private protected override IEnumerable<KeyValuePair<string, long>> OwnCounters() => [.. _registry?.Counters() ?? [], .. _webNames?.Counters() ?? []];

    private protected override StatusDocument Complete(StatusDocument status) => status with
    {
        Services = _webNames is null ? [] : [_webNames.Service],
        SoftwireAddresses = [.. _configuration.Options.SoftwireAddresses.Select(a => a.ToString())],
        Prr = new PrrStatus(_table.Count, _table.AddressCount)
        {
            ChangesSinceLoad = _live.ChangesSinceLoad,
            Registry = _registry?.Status(),
            WebNames = _webNames?.Status,
            Rules = [.. _configuration.Rules.Select(r => new RuleStatus(
                r.Name, $"{r.Rule.IPv4}", $"{r.Rule.IPv6}", r.Rule.EaLength, r.Rule.PsidOffset, r.Rule.PsidLength, $"{r.Prr}", r.PayloadMtu, r.Rule.Capacity))],
        },
    };
}
