using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Linux;
using APlusP.Node.Configuration;
using APlusP.Node.Control;

namespace APlusP.Node.Daemons;

/// <summary>A PRR as a process: one binding table, and a <see cref="PortRangeRouter"/> for each queue of the device.</summary>
public sealed class PrrDaemon : Daemon
{
    readonly BindingTable _table;
    readonly PortRangeRouter[] _routers;
    PrrConfiguration _configuration;

    public PrrDaemon(string configurationPath, DaemonLog log)
        : base("prr", configurationPath, log)
    {
        _configuration = AroundTun(ConfigurationFile.LoadPrr(configurationPath));
        _table = BindingTable.Build(_configuration.Bindings, _configuration.Rules);
        Paths = new PathMtuTable(_configuration.Discovery, TimeProvider.System, Secret);
        _routers = [.. Enumerable.Range(0, _configuration.Workers).Select(_ => new PortRangeRouter(_table, _configuration.Options, TimeProvider.System, Paths))];
    }

    private protected override PathMtuTable Paths { get; }

    private protected override Origin[] Origins => [Origin.FromInternet, Origin.FromSmap];

    public void Start() => Start(
        StartValues.Of(_configuration), _routers, Origin.FromInternet, Origin.FromSmap,
        () => Claims.Route(Routes(_configuration)),
        $"{_table.Count} binding(s) on {SharedAddresses(_configuration)} address(es), {_configuration.Rules.Count} mapping rule(s)");

    /// <summary>The kernel forwards into and out of the TUN, and takes one from the TTL as it does.</summary>
    PrrConfiguration AroundTun(PrrConfiguration configuration) =>
        configuration with { Options = configuration.Options with { TtlAlreadyTaken = true, Secret = Secret } };

    static int SharedAddresses(PrrConfiguration configuration) => configuration.Bindings.Select(b => b.Address).Distinct().Count();

    /// <summary>
    /// Each shared address and each rule's IPv4 prefix. Without an MTU: above it the kernel would fragment the inner packet, which is ours to carry whole
    /// (RFC 6333 section 5.3).
    /// </summary>
    static IEnumerable<DeviceRoute> Routes(PrrConfiguration configuration) =>
        configuration.Bindings.Select(b => new IPv4Prefix(b.Address, 32)).Concat(configuration.Rules.Select(r => r.Rule.IPv4)).Distinct().Select(KernelClaims.RouteTo)
            .Concat(SoftwireRoutes(configuration.Options.SoftwireAddresses));

    private protected override string ReloadConfiguration()
    {
        PrrConfiguration next = AroundTun(ConfigurationFile.LoadPrr(ConfigurationPath));
        RefuseChange(StartValues.Of(_configuration), StartValues.Of(next));

        // The faults of a list as a whole are found in a table that nobody reads.
        BindingTable.Build(next.Bindings, next.Rules);
        IReadOnlyList<RuleBinding> rulesBefore = _configuration.Rules;
        Dictionary<IPv6Address, Binding> before = _configuration.Bindings.ToDictionary(b => b.Softwire);
        Dictionary<IPv6Address, Binding> after = next.Bindings.ToDictionary(b => b.Softwire);
        List<Binding> gone = [.. before.Values.Where(b => !after.ContainsKey(b.Softwire))];
        List<Binding> added = [.. after.Values.Where(b => !before.ContainsKey(b.Softwire))];
        List<Binding> changed = [.. after.Values.Where(b => before.TryGetValue(b.Softwire, out Binding? had) && had != b)];

        // Who moves between a rule and a binding has one of both at any time: the rules of before are asked last until all is done.
        _table.SetRules([.. next.Rules], keepBefore: true);

        // Ports may move from one subscriber to another: all are given back before any is given out. Whoever keeps ports keeps them
        // throughout; only who wants what another has not given back yet (or divides an address anew) is taken out until they have.
        foreach (Binding binding in gone) _table.Remove(binding.Softwire);
        foreach (Binding binding in changed)
        {
            try
            {
                _table.Replace(binding);
            }
            catch (APlusPException conflict) when (conflict.Code == ErrorCodes.BindingConflict)
            {
                _table.Remove(binding.Softwire);
                added.Add(binding);
            }
        }

        foreach (Binding binding in added) _table.Add(binding);
        _table.SetRules([.. next.Rules]);
        foreach (PortRangeRouter router in _routers) router.Options = next.Options;
        Paths.Options = next.Discovery;
        Claims.Route(Routes(next));
        _configuration = next;
        string rules = next.Rules.Count + rulesBefore.Count == 0 ? ""
            : $"; rules +{next.Rules.Except(rulesBefore).Count()} -{rulesBefore.Except(next.Rules).Count()}, {next.Rules.Count} in all";
        return $"bindings +{after.Count - before.Count + gone.Count} -{gone.Count} ~{changed.Count}, {_table.Count} in all{rules}";
    }

    private protected override StatusDocument Complete(StatusDocument status) => status with
    {
        SoftwireAddresses = [.. _configuration.Options.SoftwireAddresses.Select(a => a.ToString())],
        Prr = new PrrStatus(_table.Count, SharedAddresses(_configuration))
        {
            Rules = [.. _configuration.Rules.Select(r => new RuleStatus(
                r.Name, $"{r.Rule.IPv4}", $"{r.Rule.IPv6}", r.Rule.EaLength, r.Rule.PsidOffset, r.Rule.PsidLength, $"{r.Prr}", r.PayloadMtu, r.Rule.Capacity))],
        },
    };
}
