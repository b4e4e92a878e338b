using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Linux;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Daemons;

namespace APlusP.Node.Lan;

/// <summary>Keeps LANs to their policy: puts it in force, counts what hosts use, and tells how it stands.</summary>
/// <param name="table">The name of its tables.</param>
/// <param name="names">What hosts are called.</param>
/// <param name="volumes">What they have used today.</param>
/// <param name="log">Told when somebody takes a table away.</param>
sealed class LanRules(string table, LeaseNames names, DailyVolumes volumes, DaemonLog log) : IDisposable
{
    /// <summary>How long a host may go on that has used its volume up.</summary>
    static readonly TimeSpan s_look = TimeSpan.FromSeconds(2);

    readonly string _stoppingTable = $"{table}-over";
    readonly OwnTable _counting = new("netdev", table, log), _refusing = new("inet", table, log), _stopping = new("netdev", $"{table}-over", log);
    readonly Dictionary<string, long> _refused = PolicyTables.Reasons.ToDictionary(r => r, _ => 0L, StringComparer.Ordinal), _last = new(StringComparer.Ordinal);
    IReadOnlyList<IReadOnlyCollection<string>> _over = [];
    readonly Lock _lock = new();
    bool _isInForce;
    long _looked = long.MinValue / 2;

    /// <summary>Packets refused since the start, by reason.</summary>
    public IEnumerable<KeyValuePair<string, long>> Refused
    {
        get
        {
            lock (_lock) return [.. _refused];
        }
    }

    /// <summary>Puts the policy in force as it is to be now.</summary>
    /// <exception cref="APlusPException">AP2006: it is not in force.</exception>
    /// <param name="configuration">The LANs.</param>
    /// <param name="softwire">Our end of the softwire; null while there is none.</param>
    public void Keep(SmapConfiguration configuration, IPv6Address? softwire)
    {
        lock (_lock) KeepNow(configuration, softwire);
    }

    void KeepNow(SmapConfiguration configuration, IPv6Address? softwire)
    {
        IReadOnlyList<SmapLan> lans = configuration.Lans;
        if (lans.All(l => l.Policy == LanPolicy.None))
        {
            _refusing.Set("");
            _counting.Set("");
            _stopping.Set("");
            _over = [];
            return;
        }

        bool isSame = _over.Count == lans.Count;
        if (isSame && Environment.TickCount64 - _looked < s_look.TotalMilliseconds) return;
        _looked = Environment.TickCount64;
        _isInForce = false;
        if (configuration.FastPath != FastPathMode.Off) throw new APlusPException(ErrorCodes.ConfigurationContradiction, "the operator's policy (udp, resolver, daily-volume) is not kept, since 'fast-path' sends packets past nftables; leave 'fast-path' out.");
        volumes.Count(isSame ? Read(lans) : null);
        _over = [.. lans.Select(OverOf)];
        _counting.Set(PolicyTables.Counting(lans));
        _stopping.Set(PolicyTables.Stopping(lans, _over));
        _refusing.Set(PolicyTables.Refusing(lans, _over, configuration.Programs.PagePort, InboundFirewall.Untracked(table, softwire, isMixed: true)));
        _isInForce = true;
        volumes.Save();
    }

    /// <summary>What the tables count; null where they are not there, because making them has failed, or somebody has emptied the ruleset.</summary>
    List<(string Counter, string Key, long Octets)>? Read(IReadOnlyList<SmapLan> lans)
    {
        try
        {
            CountRefused("inet", table);
            if (_over.Any(o => o.Count > 0)) CountRefused("netdev", _stoppingTable);
            return Counters(lans);
        }
        catch (APlusPException)
        {
            return null;
        }
    }

    HashSet<string> OverOf(SmapLan lan) => lan.Policy.DailyVolume == 0 ? []
        : [.. volumes.Today.Where(v => v.Value >= lan.Policy.DailyVolume && v.Key.StartsWith($"{lan.Device} ", StringComparison.Ordinal)).Select(v => v.Key[(lan.Device.Length + 1)..])];

    List<(string Counter, string Key, long Octets)> Counters(IReadOnlyList<SmapLan> lans)
    {
        var counters = new List<(string, string, long)>();
        if (lans.All(l => l.Policy.DailyVolume == 0)) return counters;
        using var listed = JsonDocument.Parse(Nftables.List("netdev", table));
        foreach (JsonElement entry in listed.RootElement.GetProperty("nftables").EnumerateArray())
        {
            if (!entry.TryGetProperty("set", out JsonElement set) || !set.TryGetProperty("elem", out JsonElement elements)) continue;
            string way = set.GetProperty("name").GetString()!;
            SmapLan lan = lans[int.Parse(way.AsSpan().TrimStart("updown"))];
            foreach (JsonElement each in elements.EnumerateArray())
            {
                JsonElement element = each.GetProperty("elem");
                string mac = element.GetProperty("val").GetString()!;

                // Broadcasts are nobody's (the lowest bit of the first octet).
                if ((Convert.ToByte(mac[..2], 16) & 1) == 0) counters.Add((way, DailyVolumes.Key(lan.Device, mac), element.GetProperty("counter").GetProperty("bytes").GetInt64()));
            }
        }

        return counters;
    }

    // Before the table is made anew, and with it its counters.
    void CountRefused(string family, string name)
    {
        using var listed = JsonDocument.Parse(Nftables.List(family, name));
        foreach (JsonElement entry in listed.RootElement.GetProperty("nftables").EnumerateArray())
        {
            if (!entry.TryGetProperty("counter", out JsonElement counter)) continue;
            string reason = counter.GetProperty("name").GetString()![PolicyTables.Refused.Length..];
            long packets = counter.GetProperty("packets").GetInt64(), before = _last.GetValueOrDefault($"{family} {reason}");
            _refused[reason] += packets < before ? packets : packets - before;
            _last[$"{family} {reason}"] = packets;
        }
    }

    /// <summary>How each LAN that has a policy stands.</summary>
    public IReadOnlyList<PolicyStatus> Status(IReadOnlyList<SmapLan> lans)
    {
        lock (_lock) return [.. lans.Where(l => l.Policy != LanPolicy.None).Select(lan => new PolicyStatus(lan.Device)
        {
            IsInForce = _isInForce,
            DnsAlone = lan.Policy.DnsAlone,
            OwnResolver = lan.Policy.OwnResolver,
            DailyVolume = lan.Policy.DailyVolume,
            Until = volumes.Midnight,
            Hosts = lan.Policy.DailyVolume == 0 ? [] : HostsOf(lan),
        })];
    }

    List<VolumeUse> HostsOf(SmapLan lan)
    {
        ILookup<string, string> neighbours = Neighbours(lan.Device);
        return
        [
            .. volumes.Today.Where(v => v.Key.StartsWith($"{lan.Device} ", StringComparison.Ordinal)).OrderByDescending(v => v.Value).Select(v =>
            {
                string mac = v.Key[(lan.Device.Length + 1)..];
                string[] addresses = [.. neighbours[mac].Concat(names.AddressesOf(mac)).Distinct(StringComparer.Ordinal)];
                return new VolumeUse(mac, v.Value, v.Value >= lan.Policy.DailyVolume) { Addresses = addresses, Name = addresses.Select(a => names.Names.GetValueOrDefault(a)).FirstOrDefault(n => n is not null) };
            }),
        ];
    }

    /// <summary>IPv4 addresses by the Ethernet addresses that the kernel has for them (proc_net(5), arp).</summary>
    static ILookup<string, string> Neighbours(string device) => File.ReadLines("/proc/net/arp").Skip(1).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(f => f.Length >= 6 && f[5] == device).ToLookup(f => f[3], f => f[0], StringComparer.Ordinal);

    public void Dispose()
    {
        _refusing.Dispose();
        _stopping.Dispose();
        _counting.Dispose();
        volumes.Save(now: true);
    }
}
