using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>What a PRR's fast path is made of.</summary>
public sealed record PrrFastPathPlan : FastPathPlan
{
    public required PrrOptions Options { get; init; }

    /// <summary>The bindings and rules of tier 1, which the programs are kept by.</summary>
    public required BindingTable Table { get; init; }
}

/// <summary>The PRR's fast path: the maps that its programs forward by, kept by the changes of the binding table.</summary>
public sealed class PrrFastPath : AttachedFastPath
{
    readonly PrrFastPathPlan _plan;
    readonly MappedArray<ConfigEntry> _config;
    readonly PrrEnds _ends;
    readonly PrrMaps _maps;
    readonly PrrRuleMaps _rules;
    Dictionary<IPv6Address, (Binding Binding, bool ByRule)> _large = [];

    /// <summary>Loads the programs and the bindings; they stand on no device yet.</summary>
    /// <exception cref="APlusPException">AP2010: the kernel refuses them.</exception>
    public PrrFastPath(PrrFastPathPlan plan)
        : base(plan, BpfObject.Load(plan.Hook == BpfHook.Tc ? "prr.tc.o" : "prr.xdp.o", PrrMaps.EntriesFor(plan.Table.Bindings)), "prr", Layout.Version)
    {
        _plan = plan;
        _config = Object.Map("config").Share<ConfigEntry>();
        _ends = new PrrEnds(Object);
        _maps = new PrrMaps(Object, _ends, NextHops.Towards);
        _rules = new PrrRuleMaps(Object, _ends, NextHops.TowardsAll);
        Options = plan.Options;

        // Nobody changes the table before the daemon answers.
        _maps.Load(plan.Table.Bindings, Discovers);
        _maps.IsRead = true;
        plan.Table.Changed += Take;
        plan.Table.RulesChanged += TakeRules;
        TakeRules();
        if (Discovers) TakePathsOver(plan.Paths!);
    }

    /// <summary>Bindings that the programs know.</summary>
    public override int Count => _maps.Count;

    /// <summary>Bindings that had no room: a restart makes some.</summary>
    public override int LeftOut => _maps.LeftOut;

    public PrrOptions Options
    {
        get => field;
        set
        {
            lock (Changing)
            {
                field = value;
                WriteConfig();
            }
        }
    }

    void WriteConfig()
    {
        ConfigFlags flags = (Options.AllowIcmpFromInternet ? ConfigFlags.IcmpFromInternet : 0) | (Options.Hairpinning ? ConfigFlags.Hairpinning : 0)
            | (NextHops.KnowsIPv4 ? ConfigFlags.RoutesKnown : 0) | (_rules.HasRules ? ConfigFlags.HasRules : 0) | (Options.UniformServices ? ConfigFlags.TakesServices : 0);
        ref ConfigEntry config = ref _config[0];
        config.Buckets = _maps.Buckets;
        config.HopLimit = Options.HopLimit;
        config.Secret = Options.Secret;
        config.Flags = flags;
    }

    void Take(BindingChange change)
    {
        lock (Changing) _maps.Take(change, Discovers);
    }

    void TakeRules()
    {
        IReadOnlyList<RuleBinding> rules = _plan.Table.Rules?.Rules ?? [];
        lock (Changing)
        {
            _rules.SetRules(rules, Discovers);
            WriteConfig();
        }
    }

    private protected override IReadOnlyList<string> PinnedMaps { get; } = ["addresses", "places", "softwires", "paths", "counters"];

    /// <summary>
    /// Large packets that went by the programs of before go by ours from the first on. Those who had to ask this process would wait until it answers, and be lost with it where it is killed before.
    /// </summary>
    void TakePathsOver(PathMtuTable paths)
    {
        BpfFileSystem.Mount(_plan.Directory);
        foreach ((IPv6Address softwire, int payloadMtu) in PinnedPaths.Read(Pins).Take(paths.Options.MaxPaths))
        {
            if (_plan.Table.BindingOf(softwire) is not { } binding) continue;
            int carried = Math.Min(payloadMtu, binding.PayloadMtu);
            bool byRule = !_plan.Table.HasBinding(softwire);
            paths.TakeOver(binding.Prr, new KnownPathMtu(softwire, carried + IPv6Header.Size, binding.PayloadMtu + IPv6Header.Size));
            Allow(binding, byRule, carried);
            _large[softwire] = (binding, byRule);
        }
    }

    /// <summary>What the programs of before counted goes on in ours.</summary>
    private protected override void TakeOver()
    {
        using var before = PinnedCounters.Open(Pins);
        if (before is null) return;
        AddCounters(before.Counters);
        for (int slot = 0; slot < _maps.Top; slot++)
        {
            ref SoftwireEntry entry = ref _maps[slot];
            if (entry.Address != 0) before.AddTo(ref entry);
        }
    }

    private protected override void FollowRoutes()
    {
        _maps.RefreshNextHops();
        _rules.RefreshNextHops();
        WriteConfig();
    }

    /// <summary>Along a path that is left alone large packets go up again.</summary>
    private protected override void FollowPaths(PathMtuTable paths)
    {
        // Asked without holding our lock: whoever changes the table holds its own when it takes ours.
        var active = new Dictionary<IPv6Address, (Binding Binding, bool ByRule)>();
        IReadOnlyList<KnownPathMtu> known = paths.Active();
        foreach (KnownPathMtu path in known)
            if (_plan.Table.BindingOf(path.Softwire) is { } binding) active[path.Softwire] = (binding, !_plan.Table.HasBinding(path.Softwire));

        lock (Changing)
        {
            foreach (KnownPathMtu path in known)
            {
                if (!active.TryGetValue(path.Softwire, out (Binding Binding, bool ByRule) there)) continue;
                if (Allow(there.Binding, there.ByRule, Math.Min(path.PathMtu - IPv6Header.Size, there.Binding.PayloadMtu))) paths.NoteLarge(path.Softwire);
            }

            foreach ((IPv6Address softwire, (Binding idle, bool byRule)) in _large)
            {
                if (active.ContainsKey(softwire)) continue;
                if (byRule) _rules.ForgetPath(softwire);
                else Allow(idle, byRule, PrrMaps.FirstMtu(idle.PayloadMtu, discovers: true));
            }
        }

        _large = active;
    }

    /// <summary>Says what goes to a softwire without asking tier 1.</summary>
    /// <returns>Whether a large packet has gone since the last time.</returns>
    bool Allow(Binding binding, bool byRule, int payloadMtu)
    {
        if (byRule) return _rules.SetPath(binding.Softwire, payloadMtu);
        int slot = _maps.Find(binding);
        if (slot == 0) return false;
        _maps.SetMtu(slot, payloadMtu);
        bool wasLarge = _maps[slot].Large != 0;
        if (wasLarge) _maps[slot].Large = 0;
        return wasLarge;
    }

    private protected override void DisposeMaps()
    {
        _plan.Table.Changed -= Take;
        _plan.Table.RulesChanged -= TakeRules;
        _maps.Dispose();
        _ends.Dispose();
        _config.Dispose();
    }
}
