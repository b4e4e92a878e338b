using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Dhcpv6;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.PortControl.Upnp;
using APlusP.Core.PortSets;
using APlusP.Linux;
using APlusP.Linux.Bpf;
using APlusP.Linux.FastPath;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Dhcpv6;
using APlusP.Node.Doctor;
using APlusP.Node.Home;
using APlusP.Node.Lan;
using APlusP.Node.PortControl;
using APlusP.Node.Services;

namespace APlusP.Node.Daemons;

/// <summary>A SMAP as a process: one worker, since its NAPT is one table.</summary>
public sealed class SmapDaemon : Daemon
{
    /// <summary>How long a start waits for a DHCPv6 server where a fast path of before may go on by the same softwire.</summary>
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    /// <summary>How often it is looked whether the line is dead.</summary>
    static readonly TimeSpan s_look = TimeSpan.FromSeconds(5);

    readonly Func<SmapConfiguration> _load;
    readonly Smap _smap;
    SmapConfiguration _file, _configuration;
    SoftwireParameters? _told;
    DhcpSource? _dhcp;
    LeasedHome? _home;
    IDisposable? _following;
    LanService? _lan;
    readonly List<SupervisedProgram> _programs = [];
    readonly LineWatch _line;
    readonly Lock _looking = new();
    PortControlService? _ports;

    public SmapDaemon(string configurationPath, DaemonLog log)
        : this(configurationPath, () => ConfigurationFile.LoadSmap(configurationPath), log)
    {
    }

    /// <param name="name">How the configuration is called.</param>
    /// <param name="load">Reads it.</param>
    /// <param name="log">Told of everything.</param>
    public SmapDaemon(string name, Func<SmapConfiguration> load, DaemonLog log)
        : base("smap", name, log)
    {
        _load = load;
        _configuration = _file = AroundTun(load());
        Paths = new PathMtuTable(_configuration.Discovery, TimeProvider.System, Secret);
        _smap = new Smap(_configuration.Options, TimeProvider.System, paths: Paths);
        _line = new LineWatch(() => PathProbe.Ping(_configuration.Options.PrrAddress));
    }

    private protected override PathMtuTable Paths { get; }

    private protected override Origin Outside => Origin.FromPrr;

    private protected override Origin Inside => Origin.FromLan;

    /// <summary>Who tells what the softwire is, where the file does not: the registry or PCP server, where there is one.</summary>
    ISoftwireSource? Source => _home ?? (ISoftwireSource?)_dhcp;

    /// <summary>Starts. Where the file does not say what the softwire is, and nobody else has yet, nothing is forwarded until somebody does.</summary>
    /// <exception cref="OperationCanceledException">It was disposed before that.</exception>
    public void Start()
    {
        // Held first, so that what was given goes back when nothing uses it any more; and not before a next start, which is to have it again.
        if (_file.Dhcpv6 is { } settings) _dhcp = Hold(new DhcpSource(settings, Log, givesBack: () => !Leaves && !Failure.IsCompleted));
        if (((SmapHome?)_file.Registry ?? _file.Pcp) is { } home) _home = Hold(new LeasedHome(home, Surroundings(), Log, TimeProvider.System));
        else if (_file.FastPath != FastPathMode.Off) _dhcp?.WaitForFirst(s_patience);
        _configuration = With(_told = Source?.Current);
        _ports = Hold(new PortControlService(_configuration, errand => Workers[0].Between(() => errand(_smap)), WanTotals, Log));
        _smap.Options = _ports.With(_configuration);
        Start(StartValues.Of(_configuration), [_smap], Origin.FromLan, Origin.FromPrr, () => Claim(_configuration), What);
        _ports.Serve(_configuration);
        _following = Source?.Follow(told => Exclusively(() => Adopt(told)));
        Hold(new Timer(_ => WatchLine(), null, s_look, s_look));
        if (_file.Lans.Count == 0) return;
        string directory = Path.ChangeExtension(_file.ControlSocket, "lan");
        _lan = Hold(new LanService(AroundLans(), directory, Log));
        foreach (ProgramPlan plan in _file.Programs.Plans(_file, directory)) _programs.Add(Hold(new SupervisedProgram(plan, Log)));
    }

    void WatchLine()
    {
        if (_configuration.Options is { IsSuspended: true } or { Outgoing: SmapOutgoing.Plain } || !_looking.TryEnter()) return;
        try
        {
            ForwardingCounters sum = Sum();
            _line.Look(sum.Packets(Origin.FromLan, Fate.Forwarded), sum.Received(Origin.FromPrr));
        }
        finally
        {
            _looking.Exit();
        }
    }

    LanSurroundings AroundLans() => new(() => _file, LivePathMtu, () => _dhcp?.Leased ?? [], () => _dhcp?.Places.Resolvers ?? [], () => _configuration.Options.IsSuspended ? null : _configuration.Options.SoftwireAddress, () => _home?.Policy ?? LanPolicy.None);

    /// <summary>The narrowest path of all that we send along, or what is configured.</summary>
    int LivePathMtu()
    {
        int configured = _configuration.Options.PayloadMtu + ReadBindings.Overhead;
        return Paths.Narrowed().Select(p => p.PathMtu).Append(configured).Min();
    }

    private protected override void StopFollowing()
    {
        _following?.Dispose();
        _ports?.Stop();
    }

    private protected override IEnumerable<KeyValuePair<string, long>> OwnCounters() =>
        [.. _ports?.Counters ?? [], .. (_lan?.Refused ?? []).Select(r => KeyValuePair.Create($"lan-refused-{r.Key}", r.Value))];

    WanTotals WanTotals()
    {
        ForwardingCounters sum = Sum();
        return new WanTotals(sum.Packets(Origin.FromLan, Fate.Forwarded), sum.ReceivedOctets(Origin.FromLan), sum.Packets(Origin.FromPrr, Fate.Forwarded), sum.ReceivedOctets(Origin.FromPrr));
    }

    string What => _configuration.Options.IsSuspended ? "no softwire yet" : $"{_configuration.Options.Ports.Count} port(s) of {_configuration.Options.SharedAddress}";

    HomeSurroundings Surroundings() => new()
    {
        Softwire = Known(_file.Options.SoftwireAddress),
        Prr = Known(_file.Options.PrrAddress),
        Delegated = () => _dhcp?.Delegated ?? [],
        Places = () => _dhcp?.Places ?? ServicePlaces.None,
        Use = Use,
    };

    static IPv6Address? Known(IPv6Address address) => address == default ? null : address;

    /// <summary>How the ports are used, whether those that rest are idle, and what the PRR has against us.</summary>
    PortsUsed Use(PortSet? resting)
    {
        NaptUse use = null!;
        bool isIdle = false;
        Workers[0].Between(() =>
        {
            use = _smap.Use();
            isIdle = resting is not null && _smap.IsIdle(resting);
        });
        return new PortsUsed(use.Ports.Max(p => p.Used), use.Exhausted, isIdle) { Disowned = _smap.Refusals };
    }

    private protected override ILineStream? Stream(string verb) => verb != "flows" ? null : new FlowStream((first, into) =>
    {
        int next = 0;
        Workers[0].Between(() => next = _smap.ListFlows(first, into));
        return next;
    });

    private protected override ControlAnswer? AnswerOwn(string verb) => verb != "release" ? _ports?.Answer(verb)
        : _home is null ? throw new APlusPException(ErrorCodes.LeaseNotReleased, "this SMAP has no registry or PCP server, and so no lease to give back.")
        : new ControlAnswer { Released = _home.Release() };

    /// <summary>Goes by what the softwire now is. Without any, nothing is forwarded, nor routed here, until there is one again.</summary>
    void Adopt(SoftwireParameters? told)
    {
        if (Equals(told, _told)) return;
        _told = told;
        try
        {
            int ended = Apply(With(told));
            if (told is null) Log.SoftwireOver();
            else Log.SoftwireTold($"{told.Softwire}", $"{told.Prr}", told.Ports.Count, $"{told.Address}", SoftwireMechanisms.NameOf(told.Mechanism), ended);
        }
        catch (APlusPException fault)
        {
            Log.SoftwireRefused(fault.Message);
        }
    }

    private protected override bool NeedsFlowsFirst => true;

    private protected override AttachedFastPath MakeFastPath(string pins, BpfHook hook)
    {
        var fastPath = new SmapFastPath(new SmapFastPathPlan
        {
            Directory = pins,
            Hook = hook,
            Options = _configuration.Options,
            Devices = _configuration.FastPathDevices,
            OwnDevice = Device.Index,
            Paths = Paths,
        });
        _smap.Entrust(fastPath.Flows);
        return fastPath;
    }

    private protected override void DismissFastPath() => Workers[0].Between(_smap.Dismiss);

    SmapConfiguration AroundTun(SmapConfiguration configuration) =>
        configuration with { Options = configuration.Options with { TtlAlreadyTaken = true, Secret = Secret } };

    // Routing table and rules of plain outgoing packets. The rules stand before that of the main table (32766).
    const int PlainTable = 6346, SpecificFirst = 6346, ThenToUs = 6347;

    /// <summary>
    /// The IPv4 default route. Without an MTU, as the PRR's routes. Where packets leave as plain IPv4, the machine keeps its own default route for what comes out of our device, and all
    /// else that has no nearer route comes to us first; the shared address is ours too, so that reverse path filters see whence its packets come.
    /// </summary>
    void Claim(SmapConfiguration configuration)
    {
        if (configuration.Options.IsSuspended)
        {
            Claims.Route([]);
            Claims.Choose([]);
            Claims.AnswerFor(null);
            return;
        }

        bool plain = configuration.DefaultRoute && configuration.Options.Outgoing == SmapOutgoing.Plain;
        Claims.AnswerFor(_told?.Link is { } link ? (link, _told.Softwire) : null);
        var routes = new List<DeviceRoute>(SoftwireRoutes([configuration.Options.SoftwireAddress]));
        if (_told is not null) routes.AddRange(_told.Delegated.Select(KernelClaims.RouteTo));
        if (plain) routes.Add(KernelClaims.RouteTo(new IPv4Prefix(configuration.Options.SharedAddress, 32)));
        if (configuration.DefaultRoute) routes.Add(KernelClaims.DefaultRoute() with { Table = plain ? PlainTable : DeviceRoute.MainTable });
        Claims.Route(routes);
        Claims.Choose(plain ? PlainRules(configuration.Device) : []);
    }

    static PolicyRule[] PlainRules(string device) =>
        [new PolicyRule(SpecificFirst, DeviceRoute.MainTable) { WithoutDefault = true }, new PolicyRule(ThenToUs, PlainTable) { NotFrom = device }];

    /// <summary>Takes away what a SMAP has left in the kernel.</summary>
    /// <exception cref="APlusPException">AP3003: it runs.</exception>
    public static void Detach(SmapConfiguration configuration)
    {
        Detach(configuration.Device, configuration.ControlSocket);
        KernelClaims.Remove(PlainRules(configuration.Device));
    }

    private protected override string ReloadConfiguration()
    {
        SmapConfiguration file = AroundTun(_load());
        RefuseChange(StartValues.Of(_file), StartValues.Of(file));
        _file = file;
        int ended = Apply(With(_told));
        _ports!.Serve(_file);
        return What + (ended > 0 ? $"; {ended} flow(s) stood in the way and ended" : "");
    }

    /// <summary>The file's configuration with what we were told beside it.</summary>
    SmapConfiguration With(SoftwireParameters? told)
    {
        if (told is null) return _file;
        foreach (PortForward outside in _file.Options.Forwards.Where(f => !told.Ports.Contains(f.Port))) Log.ForwardOutside(outside.Port, $"{told.Ports}");
        return _file with
        {
            Options = _file.Options with
            {
                SoftwireAddress = told.Softwire,
                PrrAddress = told.Prr,
                SharedAddress = told.Address,
                Ports = told.Ports,
                RestingPorts = told.Resting,
                PayloadMtu = Math.Min(_file.Options.PayloadMtu, told.PayloadMtu ?? int.MaxValue),
                IsSuspended = false,
                OwnPrefix = told.OwnPrefix,
                ForwardingRules = told.ForwardingRules,
                Forwards = [.. _file.Options.Forwards.Where(f => told.Ports.Contains(f.Port))],
                ForwardsOutside = [.. _file.Options.Forwards.Where(f => !told.Ports.Contains(f.Port))],
            },
        };
    }

    /// <summary>Puts a configuration in force; gives how many flows ended by it.</summary>
    int Apply(SmapConfiguration next)
    {
        int ended = 0;
        Workers[0].Between(() =>
        {
            ended = _smap.Use().Flows;
            _smap.Options = _ports!.With(next);
            ended -= _smap.Use().Flows;
            if (next.Options.SoftwireAddress != _configuration.Options.SoftwireAddress) Workers[0].Softwires = SocketsFor([next.Options.SoftwireAddress]);
            (FastPath as SmapFastPath)?.Options = next.Options;
        });
        Paths.Options = next.Discovery;
        Claim(next);
        _configuration = next;
        return ended;
    }

    static ForwardStatus StatusOf(PortForward forward, bool isInForce) => new(forward.Protocol.ToString().ToLowerInvariant(), forward.Port, $"{forward.Host}:{forward.HostPort}", isInForce);

    private protected override StatusDocument Complete(StatusDocument status)
    {
        NaptUse use = null!;
        long refusals = 0;
        Workers[0].Between(() => (use, refusals) = (_smap.Use(), _smap.Refusals));
        SmapOptions options = _configuration.Options;
        return status with
        {
            SoftwireAddresses = options.IsSuspended ? [] : [options.SoftwireAddress.ToString()],
            Services = _lan is null ? [] : [_lan.Status, .. _programs.Select(p => p.Status)],
            Smap = new SmapStatus
            {
                IsSuspended = options.IsSuspended,
                IsLineDead = !options.IsSuspended && _line.IsDead,
                SharedAddress = options.SharedAddress.ToString(),
                PrrAddress = options.PrrAddress.ToString(),
                OwnPrefix = options.OwnPrefix?.ToString(),
                ForwardingRules = [.. options.ForwardingRules.Select(r => $"{r.IPv4}")],
                Outgoing = ConfigurationSchema.Outgoings[(int)options.Outgoing],
                Ports = options.IsSuspended ? "none" : options.Ports.ToString(),
                PortCount = options.IsSuspended ? 0 : options.Ports.Count,
                PayloadMtu = options.PayloadMtu,
                Refusals = refusals,
                PortsInUse = [.. use.Ports.Select(p => new PortUse(p.Protocol, p.Used, p.Peak))],
                Flows = use.Flows,
                MaxFlows = options.MaxFlows,
                Exhausted = use.Exhausted,
                Dhcpv6 = _dhcp?.Status,
                Lease = _home?.Status,
                PortControl = _ports?.Status,
                Policies = _lan?.Policies ?? [],
                Forwards = [.. options.Forwards.Select(f => StatusOf(f, !options.IsSuspended)), .. options.ForwardsOutside.Select(f => StatusOf(f, false))],
                Hosts = [.. use.Hosts.Select(h => new HostUse(h.Address.ToString(), h.Ports) { Name = _lan?.NameOf(h.Address.ToString()) })],
            },
        };
    }
}
