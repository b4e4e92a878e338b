using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Dhcpv6;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Linux;
using APlusP.Linux.Bpf;
using APlusP.Linux.FastPath;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Dhcpv6;

namespace APlusP.Node.Daemons;

/// <summary>A SMAP as a process: one worker, since its NAPT is one table.</summary>
public sealed class SmapDaemon : Daemon
{
    readonly Smap _smap;
    SmapConfiguration _file, _configuration;
    DhcpSource? _source;

    public SmapDaemon(string configurationPath, DaemonLog log)
        : base("smap", configurationPath, log)
    {
        _configuration = _file = AroundTun(ConfigurationFile.LoadSmap(configurationPath));
        Paths = new PathMtuTable(_configuration.Discovery, TimeProvider.System, Secret);
        _smap = new Smap(_configuration.Options, TimeProvider.System, paths: Paths);
    }

    private protected override PathMtuTable Paths { get; }

    private protected override Origin Outside => Origin.FromPrr;

    private protected override Origin Inside => Origin.FromLan;

    /// <summary>Starts, where the file does not say what the softwire is as soon as a DHCPv6 server does.</summary>
    /// <exception cref="OperationCanceledException">It was disposed before that.</exception>
    public void Start()
    {
        if (_configuration.Dhcpv6 is { } settings)
        {
            // Held first, so that what was given goes back when nothing uses it any more; and not before a next start, which is to have it again.
            _source = Hold(new DhcpSource(settings, Log, givesBack: () => !Leaves && !Failure.IsCompleted));
            _configuration = With(_source.WaitForFirst());
            _smap.Options = _configuration.Options;
        }

        Start(
            StartValues.Of(_configuration), [_smap], Origin.FromLan, Origin.FromPrr,
            () => Claim(_configuration),
            $"{_configuration.Options.Ports.Count} port(s) of {_configuration.Options.SharedAddress}");
        if (_source is not null) Hold(_source.Follow(told => Exclusively(() => Adopt(told))));
    }

    /// <summary>Goes by what the softwire now is. Without any, nothing is routed here until there is one again.</summary>
    void Adopt(SoftwireParameters? told)
    {
        try
        {
            if (told is null)
            {
                Claims.Route([]);
                Claims.Choose([]);
                Log.SoftwireOver();
            }
            else if (KernelClaims.IsAddressOfThisMachine(told.Softwire.ToString()))
            {
                Log.SoftwireRefused($"{told.Softwire} is an address of this machine, whose packets the kernel keeps to itself; restart the daemon");
            }
            else
            {
                Log.SoftwireTold($"{told.Softwire}", $"{told.Prr}", told.Ports.Count, $"{told.Address}", SoftwireMechanisms.NameOf(told.Mechanism), Apply(With(told)));
            }
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
        bool plain = configuration.DefaultRoute && configuration.Options.Outgoing == SmapOutgoing.Plain;
        var routes = new List<DeviceRoute>(SoftwireRoutes([configuration.Options.SoftwireAddress]));
        if (_source?.Current is { } told) routes.AddRange(told.Delegated.Select(KernelClaims.RouteTo));
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
        SmapConfiguration file = AroundTun(ConfigurationFile.LoadSmap(ConfigurationPath));
        RefuseChange(StartValues.Of(_file), StartValues.Of(file));
        _file = file;
        if (_source is { Current: null }) return "no softwire now; it is in force when there is one";
        SmapConfiguration next = _source?.Current is { } told ? With(told) : file;
        int ended = Apply(next);
        return $"{next.Options.Ports.Count} port(s) of {next.Options.SharedAddress}{(ended > 0 ? $"; {ended} flow(s) stood in the way and ended" : "")}";
    }

    /// <summary>The file's configuration with what we were told beside it.</summary>
    SmapConfiguration With(SoftwireParameters told)
    {
        foreach (PortForward outside in _file.Options.Forwards.Where(f => !told.Ports.Contains(f.Port))) Log.ForwardOutside(outside.Port, $"{told.Ports}");
        return _file with
        {
            Options = _file.Options with
            {
                SoftwireAddress = told.Softwire,
                PrrAddress = told.Prr,
                SharedAddress = told.Address,
                Ports = told.Ports,
                OwnPrefix = told.OwnPrefix,
                ForwardingRules = told.ForwardingRules,
                Forwards = [.. _file.Options.Forwards.Where(f => told.Ports.Contains(f.Port))],
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
            _smap.Options = next.Options;
            ended -= _smap.Use().Flows;
            (FastPath as SmapFastPath)?.Options = next.Options;
        });
        Paths.Options = next.Discovery;
        Claim(next);
        _configuration = next;
        return ended;
    }

    private protected override StatusDocument Complete(StatusDocument status)
    {
        NaptUse use = null!;
        Workers[0].Between(() => use = _smap.Use());
        SmapOptions options = _configuration.Options;
        return status with
        {
            SoftwireAddresses = [options.SoftwireAddress.ToString()],
            Smap = new SmapStatus
            {
                SharedAddress = options.SharedAddress.ToString(),
                PrrAddress = options.PrrAddress.ToString(),
                OwnPrefix = options.OwnPrefix?.ToString(),
                ForwardingRules = [.. options.ForwardingRules.Select(r => $"{r.IPv4}")],
                Outgoing = ConfigurationSchema.Outgoings[(int)options.Outgoing],
                Ports = options.Ports.ToString(),
                PortCount = options.Ports.Count,
                PortsInUse = [.. use.Ports.Select(p => new PortUse(p.Protocol, p.Used, p.Peak))],
                Flows = use.Flows,
                MaxFlows = options.MaxFlows,
                Exhausted = use.Exhausted,
                Dhcpv6 = _source?.Status,
                Forwards = [.. options.Forwards.Select(f => new ForwardStatus(f.Protocol.ToString().ToLowerInvariant(), f.Port, $"{f.Host}:{f.HostPort}"))],
                Hosts = [.. use.Hosts.Select(h => new HostUse(h.Address.ToString(), h.Ports))],
            },
        };
    }
}
