using System.Text.Json;
using System.Text.Json.Serialization;
using APlusP.Node.Home;

namespace APlusP.Node.Lan;

/// <summary>
/// How many octets each host of a LAN has used today, from counters that begin anew whenever the kernel's table is made anew. A day ends at midnight of this machine's clock. It is kept on the disk, so that who is
/// over its volume stays so when the SMAP is killed. A clock may be wrong for a while, most of all that of a router that has just started: days are put aside, and taken up again when they come again.
/// </summary>
/// <param name="path">The file.</param>
/// <param name="clock">The time, and the zone that days are of.</param>
sealed class DailyVolumes(string path, TimeProvider clock)
{
    /// <summary>Hosts of a day at most: an Ethernet address is soon made up.</summary>
    internal const int MostHosts = 16_384;

    /// <summary>Days that are put aside: a clock that is wrong may be so by another day at each start.</summary>
    const int MostDays = 3;

    /// <summary>What a power cut may lose.</summary>
    static readonly TimeSpan s_save = TimeSpan.FromSeconds(10);

    Dictionary<string, long> _last = new(StringComparer.Ordinal);
    SavedVolumes _today = Read(path);
    Dictionary<string, long> _counted = new(StringComparer.Ordinal); // by us, since the day began or was taken up
    long? _saved;
    bool _isNew;

    DateOnly Day => DateOnly.FromDateTime(clock.GetLocalNow().DateTime);

    /// <summary>The midnight at which all begins anew.</summary>
    public DateTimeOffset Midnight
    {
        get
        {
            // Its offset may be another than that of now; where it comes twice, the first ends the day.
            DateTime midnight = Day.AddDays(1).ToDateTime(TimeOnly.MinValue);
            TimeZoneInfo zone = clock.LocalTimeZone;
            return new DateTimeOffset(midnight, zone.IsAmbiguousTime(midnight) ? zone.GetAmbiguousTimeOffsets(midnight).Max() : zone.GetUtcOffset(midnight));
        }
    }

    /// <summary>Octets by LAN and host, "br-lan 52:54:00:12:34:56".</summary>
    public IReadOnlyDictionary<string, long> Today => _today.Hosts;

    /// <summary>What is in the volume of a host.</summary>
    public static string Key(string lan, string mac) => $"{lan} {mac}";

    /// <summary>Takes what the kernel's counters are now.</summary>
    /// <param name="counters">All of them, by counter and key: a host has one for each way. Null where nobody knows.</param>
    public void Count(IEnumerable<(string Counter, string Key, long Octets)>? counters)
    {
        string day = $"{Day:yyyy-MM-dd}";
        if (_today.Day != day) Turn(day);
        if (counters is null) return;
        var last = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach ((string counter, string key, long octets) in counters)
        {
            // One that is smaller than it was, or was not there, has begun anew.
            string name = $"{counter} {key}";
            long before = _last.GetValueOrDefault(name), more = octets < before ? octets : octets - before;
            last[name] = octets;
            if (more == 0 || !Add(key, more)) continue;
            _counted[key] = _counted.GetValueOrDefault(key) + more;
            _isNew = true;
        }

        _last = last;
    }

    bool Add(string key, long octets)
    {
        if (!_today.Hosts.ContainsKey(key) && _today.Hosts.Count >= MostHosts) return false;
        _today.Hosts[key] = _today.Hosts.GetValueOrDefault(key) + octets;
        return true;
    }

    /// <summary>Goes on to another day, or back to one that was put aside: then what was counted meanwhile was of that day too.</summary>
    void Turn(string day)
    {
        List<SavedVolumes> aside = [.. _today.Before ?? []];
        SavedVolumes? again = aside.Find(d => d.Day == day);
        if (again is not null) aside.Remove(again);
        if (_today.Hosts.Count > 0) aside.Insert(0, _today with { Before = null });
        _today = (again ?? new SavedVolumes(day, new Dictionary<string, long>(StringComparer.Ordinal))) with { Before = [.. aside.Take(MostDays)] };
        if (again is not null)
        {
            foreach ((string key, long octets) in _counted) Add(key, octets);
        }

        _counted = new Dictionary<string, long>(StringComparer.Ordinal);
        _isNew = true;
    }

    /// <summary>Writes it down where there is something new and some time has passed.</summary>
    /// <param name="now">Without waiting for that.</param>
    public void Save(bool now = false)
    {
        if (!_isNew || (!now && _saved is { } last && clock.GetElapsedTime(last) < s_save)) return;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!, StateFile.OwnerOnly | UnixFileMode.UserExecute);
        StateFile.Replace(path, file => JsonSerializer.Serialize(file, _today, VolumeJson.Default.SavedVolumes));
        (_isNew, _saved) = (false, clock.GetTimestamp());
    }

    static SavedVolumes Read(string path)
    {
        try
        {
            if (File.Exists(path) && JsonSerializer.Deserialize(File.ReadAllBytes(path), VolumeJson.Default.SavedVolumes) is { Day: not null, Hosts: not null } saved)
                return saved with { Before = [.. (saved.Before ?? []).Where(d => d is { Day: not null, Hosts: not null })] };
        }
        catch (JsonException)
        {
            // Somebody has written into it; the day begins anew.
        }

        return new SavedVolumes("", new Dictionary<string, long>(StringComparer.Ordinal));
    }
}

/// <summary>A day, and the octets of its hosts.</summary>
sealed record SavedVolumes(string Day, Dictionary<string, long> Hosts)
{
    /// <summary>Days that were put aside, the last one first; null in files of before there were any.</summary>
    public IReadOnlyList<SavedVolumes>? Before { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(SavedVolumes))]
sealed partial class VolumeJson : JsonSerializerContext;
