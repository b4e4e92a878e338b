using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>What a SMAP's fast path is made of.</summary>
public sealed record SmapFastPathPlan : FastPathPlan
{
    public required SmapOptions Options { get; init; }
}

/// <summary>
/// The SMAP's fast path. Its flows are those of the process before, where address, mode and size are the same and the layout is: programs of before and after forward by the same maps.
/// </summary>
public sealed unsafe class SmapFastPath : AttachedFastPath
{
    static readonly string[] s_flowMaps = ["flows", "states", "ended", "ends", "counters"];

    readonly SmapFastPathPlan _plan;
    readonly bool _adopted;
    readonly FarEnds _ends;
    readonly SmapFlows _flows;

    /// <summary>Loads the programs, and finds the flows that a process before has left; they stand on no device yet.</summary>
    /// <exception cref="APlusPException">AP2010, AP2013: the kernel refuses.</exception>
    public SmapFastPath(SmapFastPathPlan plan)
        : this(plan, OpenPins(plan))
    {
    }

    SmapFastPath(SmapFastPathPlan plan, IReadOnlyDictionary<string, BpfMap> left)
        : base(plan, Load(plan, left), "smap", SmapLayout.Version)
    {
        foreach (BpfMap map in left.Values) _ = LibC.Close(map.Fd);
        _plan = plan;
        _adopted = left.Count > 0;
        _ends = new FarEnds(Object);
        _flows = new SmapFlows(Object, _ends);
        Options = plan.Options;
        if (!_adopted) return;
        _flows.Adopt();
        if (Discovers) TakePathsOver(plan.Paths!);
    }

    /// <summary>Large packets of adopted flows go on without asking this process, which may not answer yet.</summary>
    void TakePathsOver(PathMtuTable paths)
    {
        foreach ((IPv6Address end, int payloadMtu) in _ends.Large().ToArray())
            paths.TakeOver(Options.SoftwireAddress, new KnownPathMtu(end, payloadMtu + IPv6Header.Size, Options.PayloadMtu + IPv6Header.Size));
        _known = paths.Active();
    }

    static BpfObject Load(SmapFastPathPlan plan, IReadOnlyDictionary<string, BpfMap> left) => BpfObject.Load("smap.tc.o", SmapFlows.EntriesFor(plan.Options.MaxFlows), reused: left);

    /// <summary>The maps of flows that stand on the same as ours would; none where there are no such.</summary>
    static Dictionary<string, BpfMap> OpenPins(SmapFastPathPlan plan)
    {
        BpfFileSystem.Mount(plan.Directory);
        string pins = PinsOf(plan.Directory, SmapLayout.Version);
        var left = new Dictionary<string, BpfMap>(StringComparer.Ordinal);
        if (BpfPin.Open(Path.Combine(pins, "config")) is not { } config) return left;
        bool isSame = config.TryGet(0u, out SmapConfigEntry before) && before.Identity == IdentityOf(plan.Options);
        _ = LibC.Close(config.Fd);
        if (!isSame) return left;
        foreach (string name in s_flowMaps)
            if (BpfPin.Open(Path.Combine(pins, name)) is { } map) left[name] = map;
        if (left.Count == s_flowMaps.Length && left["states"].Entries == SmapFlows.EntriesFor(plan.Options.MaxFlows)["states"]) return left;
        foreach (BpfMap map in left.Values) _ = LibC.Close(map.Fd);
        left.Clear();
        return left;
    }

    /// <summary>RFC 7596 section 5.1: who has another address forgets all flows; and so does who has another mode or size. Of another port set the NAPT takes those that it has ports for.</summary>
    static FlowIdentity IdentityOf(SmapOptions options) =>
        MemoryMarshal.Read<FlowIdentity>(SHA256.HashData(Encoding.UTF8.GetBytes($"{options.SharedAddress} {options.Mode} {options.MaxFlows}")));

    /// <summary>For the NAPT.</summary>
    public IFlowOffload Flows => _flows;

    public override int Count => _flows.Count;

    public override int LeftOut => (int)Math.Min(_flows.LeftOut, int.MaxValue);

    /// <summary>To be exchanged by the worker alone, when the NAPT's are.</summary>
    public SmapOptions Options
    {
        get => field;
        set
        {
            lock (Changing)
            {
                field = value;
                _ends.FirstMtu = (ushort)PrrMaps.FirstMtu(value.PayloadMtu, Discovers);
                _ends.Prr = value.PrrAddress;
                WriteConfig();
            }
        }
    }

    void WriteConfig() => WriteConfig(Object, Options, _plan.OwnDevice, NextHops.KnowsIPv4);

    /// <summary>Tells the programs what tier 1 goes by.</summary>
    internal static void WriteConfig(BpfObject programs, SmapOptions options, int ownDevice, bool routesKnown)
    {
        WriteIdentifications(programs, options.Ports);
        using MappedArray<SmapConfigEntry> entries = programs.Map("config").Share<SmapConfigEntry>();
        ref SmapConfigEntry config = ref entries[0];
        config.Secret = options.Secret;
        config.Smap = new NetworkAddress(options.SoftwireAddress);
        config.Shared = NetworkAddress.Of(options.SharedAddress);
        config.OwnDevice = (uint)ownDevice;
        config.Identifications = (uint)options.Ports.Count;
        config.Stride = (uint)(options.Ports.Count / ProcessorCount);
        config.HopLimit = options.HopLimit;
        config.Identity = IdentityOf(options);
        config.Flags = (options.RewriteIdentification ? SmapFlags.RewritesIdentification : 0) | (options.Outgoing == SmapOutgoing.Plain ? SmapFlags.SendsPlain : 0)
            | (routesKnown ? SmapFlags.RoutesKnown : 0) | (options.UniformServices ? SmapFlags.TakesServices : 0);
    }

    static void WriteIdentifications(BpfObject programs, PortSet ports)
    {
        const int each = 4;
        using MappedArray<IdentificationsEntry> identifications = programs.Map("identifications").Share<IdentificationsEntry>();
        int at = 0;
        foreach (PortRange range in ports.Ranges)
            for (int port = range.First; port <= range.Last; port++, at++) identifications[at / each].Of[at % each] = (ushort)port;
    }

    private protected override IReadOnlyList<string> PinnedMaps { get; } = ["config", .. s_flowMaps];

    private protected override void TakeOver()
    {
        // Flows of before are forgotten, but what went is counted on.
        if (_adopted || BpfPin.Open(Path.Combine(Pins, "counters")) is not { } before) return;
        AddCounters(before);
        _ = LibC.Close(before.Fd);
    }

    private protected override void FollowRoutes()
    {
        WriteConfig();
        _ends.Tell((address, wasLarge) => (NextHops.Towards(address), MtuOf(address, wasLarge)));
    }

    IReadOnlyList<KnownPathMtu> _known = [];

    private protected override void FollowPaths(PathMtuTable paths)
    {
        _known = paths.Active();
        lock (Changing) _ends.Tell((address, wasLarge) => (NextHops.Towards(address), MtuOf(address, wasLarge)));
    }

    /// <summary>What goes to a far end without asking tier 1, which hears that a large packet went.</summary>
    ushort MtuOf(IPv6Address farEnd, bool wasLarge)
    {
        foreach (KnownPathMtu path in _known)
        {
            if (path.Softwire != farEnd) continue;
            if (wasLarge) _plan.Paths?.NoteLarge(farEnd);
            return (ushort)Math.Min(path.PathMtu - IPv6Header.Size, Options.PayloadMtu);
        }

        return (ushort)PrrMaps.FirstMtu(Options.PayloadMtu, Discovers);
    }

    private protected override void DisposeMaps()
    {
        _flows.Dispose();
        _ends.Dispose();
    }
}
