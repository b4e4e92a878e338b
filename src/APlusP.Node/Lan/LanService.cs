using System.Diagnostics;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Linux;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Daemons;
using APlusP.Node.Dhcpv6;
using APlusP.Node.Names;
using APlusP.Node.Services;

namespace APlusP.Node.Lan;

/// <summary>What the service of LANs has to know of the daemon, asked for again and again.</summary>
/// <param name="Configuration">The file's.</param>
/// <param name="PathMtu">What the path of the softwire carries.</param>
/// <param name="Delegated">Prefixes that a server has delegated.</param>
/// <param name="Resolvers">Resolvers that it has told.</param>
/// <param name="Softwire">Our end of the softwire; null while there is none.</param>
/// <param name="Policy">What the operator forbids hosts, beside the file.</param>
sealed record LanSurroundings(Func<SmapConfiguration> Configuration, Func<int> PathMtu, Func<IReadOnlyList<DelegatedPrefix>> Delegated, Func<IReadOnlyList<IPv6Address>> Resolvers, Func<IPv6Address?> Softwire, Func<LanPolicy> Policy);

/// <summary>
/// The SMAP as the router of its LANs: it has its addresses there, and runs a dnsmasq of its own, which knows nothing of the host's. Twice a second it looks whether anything has changed, and a dnsmasq that
/// is started anew advertises at once.
/// </summary>
sealed class LanService : IDisposable
{
    static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(500);

    /// <summary>A dnsmasq that sees an address go tells hosts at once that its prefix is over; one that is started anew takes a moment longer, and does not know of a prefix that is another LAN's now.</summary>
    static readonly TimeSpan s_told = TimeSpan.FromSeconds(3);

    /// <summary>How long the first dnsmasq waits for routers that are asked for resolvers, where there are none: they may take so long (MAX_RA_DELAY_TIME, RFC 4861 section 10).</summary>
    static readonly TimeSpan s_asked = TimeSpan.FromMilliseconds(500), s_glance = TimeSpan.FromMilliseconds(50);

    readonly LanSurroundings _around;
    readonly DaemonLog _log;
    readonly string _configuration, _leases;
    readonly LanAddresses _addresses;
    readonly OwnTable _inbound, _forwarded;
    readonly LeaseNames _names;
    readonly HeldPrefixes _held;
    readonly AdvertisedResolvers _advertised = new(TimeProvider.System);
    readonly LanRules _rules;
    readonly SupervisedProgram _dnsmasq;
    readonly ManualResetEventSlim _stop = new();
    readonly Thread _looking;
    string _served = "";
    HashSet<string> _faults = [];

    /// <param name="around">The daemon.</param>
    /// <param name="directory">For what need not outlive it.</param>
    /// <param name="log">Told of everything.</param>
    public LanService(LanSurroundings around, string directory, DaemonLog log)
    {
        _around = around;
        _log = log;
        Directory.CreateDirectory(directory);
        _configuration = Path.Combine(directory, "dnsmasq.conf");
        _leases = Path.GetFullPath(around.Configuration().LanLeases);
        Directory.CreateDirectory(Path.GetDirectoryName(_leases)!);
        _names = new LeaseNames(_leases);
        _held = new HeldPrefixes($"{_leases}.prefixes", TimeProvider.System);
        _addresses = new LanAddresses(Path.Combine(directory, "addresses"));
        _inbound = new OwnTable("ip6", around.Configuration().Device, log);
        _forwarded = new OwnTable("ip", around.Configuration().Device, log);
        _rules = new LanRules(around.Configuration().Device, _names, new DailyVolumes(Path.Combine(around.Configuration().PortControl.State, "volumes.json"), TimeProvider.System), log);
        for (long began = Stopwatch.GetTimestamp(); Resolvers().Count == 0 && Stopwatch.GetElapsedTime(began) < s_asked;) Thread.Sleep(s_glance);
        Look();
        _dnsmasq = new SupervisedProgram(new ProgramPlan("dnsmasq", "dnsmasq-base", Path.Combine(directory, "dnsmasq.pid"), ["dnsmasq", $"--conf-file={_configuration}"]), log);
        _looking = new Thread(KeepLooking) { IsBackground = true, Name = "lan" };
        _looking.Start();
    }

    public ServiceStatus Status => _dnsmasq.Status;

    /// <summary>What a host calls itself; null for nothing.</summary>
    public string? NameOf(string address) => _names.Names.GetValueOrDefault(address);

    /// <summary>How the policies of LANs stand.</summary>
    public IReadOnlyList<PolicyStatus> Policies => _rules.Status(Ruled);

    /// <summary>The LANs, with what file and operator forbid.</summary>
    IReadOnlyList<SmapLan> Ruled => [.. _around.Configuration().Lans.Select(l => l with { Policy = l.Policy.And(_around.Policy()) })];

    /// <summary>Packets that they had refused, by reason.</summary>
    public IEnumerable<KeyValuePair<string, long>> Refused => _rules.Refused;

    void KeepLooking()
    {
        bool waits = false;
        while (!_stop.Wait(s_look))
        {
            waits |= Look();
            if (!waits || Stopwatch.GetElapsedTime(_addresses.Taken) < s_told) continue;
            _dnsmasq.Restart();
            waits = false;
        }
    }

    /// <summary>Puts what is to be served now in place; gives whether dnsmasq has to read it anew.</summary>
    bool Look()
    {
        try
        {
            SmapConfiguration configuration = _around.Configuration();

            // Before there are addresses that could be reached.
            _inbound.Set(InboundFirewall.Chains(configuration, _around.Softwire()));
            _forwarded.Set(ForwardedIPv4.Chains(configuration));
            _rules.Keep(configuration with { Lans = Ruled }, _around.Softwire());
            IReadOnlyList<DelegatedPrefix> leased = _around.Delegated();
            IReadOnlyList<IPv6Prefix> delegated = [.. leased.Select(l => l.Prefix)];
            IReadOnlyList<IPv6Prefix?> prefixes = LanPrefixes.Choose([.. configuration.Lans.Select(l => l.Prefix)], delegated);
            LanPrefix[] now = [.. configuration.Lans.Zip(prefixes).Where(l => l.Second is not null).Select(l => new LanPrefix(l.First.Device, l.Second!.Value))];
            IReadOnlyList<LanPrefix> old = [.. _held.Look(now).Where(o => configuration.Lans.Any(l => l.Device == o.Device))];
            IReadOnlyList<string> missing = _addresses.Set([.. configuration.Lans.Select(AddressOf), .. now.Select(p => During(leased, p.Prefix, AddressOf(p, isOld: false))), .. old.Select(p => AddressOf(p, isOld: true))]);
            Tell([missing.Count == 0 ? "" : $"there is no device {string.Join(", ", missing.Distinct())}; it is served as soon as there is", LanPrefixes.Missing(configuration.Lans, prefixes, delegated), _held.Fault]);
            var state = new LanState(configuration.Lans, _around.PathMtu()) { Resolvers = Resolvers(), Prefixes = now, OldPrefixes = old };
            return WriteIfNew(DnsmasqConfiguration.Text(state, _leases));
        }
        catch (Exception error) when (error is APlusPException or IOException or UnauthorizedAccessException)
        {
            Tell([error.Message]);
            return false;
        }
    }

    IReadOnlyList<IPv6Address> Resolvers()
    {
        (IReadOnlyList<IPv6Address> named, IReadOnlyList<IPv6Address> told) = (_around.Configuration().Resolvers, _around.Resolvers());
        return LanResolvers.Choose(named, told, _advertised.Read(IsOutside, asks: named.Count == 0 && told.Count == 0), NameServers.Read().Servers);
    }

    /// <summary>Routers of the home's own networks have nothing to say here.</summary>
    bool IsOutside(string device) => device != _around.Configuration().Device && _around.Configuration().Lans.All(l => l.Device != device);

    /// <summary>Each once, however often it is seen.</summary>
    void Tell(IReadOnlyList<string> faults)
    {
        foreach (string fault in faults.Where(f => f.Length > 0 && !_faults.Contains(f))) _log.LanWaits(fault);
        _faults = [.. faults];
    }

    static LanAddress AddressOf(SmapLan lan)
    {
        byte[] octets = new byte[IPv4Address.Size];
        lan.Address.Write(octets);
        return new LanAddress(lan.Device, new NetworkAddress(octets, lan.Network.Length));
    }

    /// <summary>An address is preferred for no longer than the prefix that it is of.</summary>
    static LanAddress During(IReadOnlyList<DelegatedPrefix> leased, IPv6Prefix prefix, LanAddress address) =>
        leased.FirstOrDefault(l => l.Prefix.Contains(prefix)) is { PreferredUntil.Ticks: > 0 } lease
            ? address with { PreferredUntil = lease.PreferredUntil } : address;

    static LanAddress AddressOf(LanPrefix lan, bool isOld)
    {
        byte[] octets = new byte[IPv6Address.Size];
        LanPrefixes.RouterOf(lan.Prefix).Write(octets);
        return new LanAddress(lan.Device, new NetworkAddress(octets, lan.Prefix.Length), isOld);
    }

    bool WriteIfNew(string text)
    {
        if (text == _served) return false;
        File.WriteAllText(_configuration, text);
        _served = text;
        return true;
    }

    public void Dispose()
    {
        _stop.Set();
        _looking.Join();
        _dnsmasq.Dispose();
        _addresses.Dispose();
        _inbound.Dispose();
        _forwarded.Dispose();
        _rules.Dispose();
        _advertised.Dispose();
        File.Delete(_configuration);
        _stop.Dispose();
    }
}
