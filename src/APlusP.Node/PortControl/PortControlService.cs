using APlusP.Core.Forwarding;
using APlusP.Core.PortControl;
using APlusP.Core.PortControl.Upnp;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Daemons;

namespace APlusP.Node.PortControl;

/// <summary>All that a SMAP does about ports that lead to hosts of the LAN.</summary>
sealed class PortControlService : IDisposable
{
    readonly PortDesk _desk;
    readonly PortControlCounters _counters = new();
    readonly Func<WanTotals> _totals;
    readonly DaemonLog _log;
    PortControlServer? _server;
    PortControlSettings _settings;
    IReadOnlyList<LanNetwork> _lans = [];

    /// <param name="configuration">With which the SMAP starts.</param>
    /// <param name="between">Does something while no packet passes.</param>
    /// <param name="totals">What passed the softwire.</param>
    /// <param name="log">Told of everything.</param>
    /// <exception cref="Core.APlusPException">AP3016: what was kept cannot be read.</exception>
    public PortControlService(SmapConfiguration configuration, Action<Action<Smap>> between, Func<WanTotals> totals, DaemonLog log)
    {
        (_settings, _totals, _log) = (configuration.PortControl, totals, log);
        _desk = new PortDesk(configuration.PortControl, configuration.Options, between, log, TimeProvider.System, Uptime.Read);
    }

    /// <summary>A configuration's options with all ports that lead somewhere. For the worker, or before there is one.</summary>
    public SmapOptions With(SmapConfiguration configuration) => _desk.With(configuration.Options, configuration.PortControl);

    /// <summary>Serves the LANs of a configuration; what did not change goes on.</summary>
    public void Serve(SmapConfiguration configuration)
    {
        _desk.Begin();
        PortControlSettings settings = configuration.PortControl;
        IReadOnlyList<LanNetwork> lans = [.. configuration.Lans.Select(l => new LanNetwork(l.Device, l.Address, l.Network))];
        bool stays = _server is not null && (settings.Pcp, settings.Upnp) == (_settings.Pcp, _settings.Upnp) && lans.SequenceEqual(_lans);
        (_settings, _lans) = (settings, lans);
        if (stays) return;
        Stop();
        if (lans.Count > 0 && (settings.Pcp || settings.Upnp)) _server = new PortControlServer(_desk, lans, _counters, _totals, _log, TimeProvider.System);
    }

    /// <summary>Ends what asks the worker, before he goes.</summary>
    public void Stop()
    {
        _server?.Dispose();
        _server = null;
    }

    public IEnumerable<KeyValuePair<string, long>> Counters => _counters.Named();

    public ControlAnswer? Answer(string verb) => HouseholdForwards.Answer(verb, _desk);

    public PortControlStatus Status
    {
        get
        {
            (int mappings, int household) = _desk.Ask((book, _, _) => (book.Count, book.Household.Count));
            string[] by = _server is null ? [] : [.. Enum.GetValues<MappingProtocol>().Where(p => p == MappingProtocol.Upnp ? _settings.Upnp : _settings.Pcp).Select(MappingProtocols.NameOf)];
            return new PortControlStatus(by, mappings, household);
        }
    }

    public void Dispose() => _desk.Dispose();
}
