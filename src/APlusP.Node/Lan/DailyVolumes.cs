using System.Text.Json;
using System.Text.Json.Serialization;
using APlusP.Node.Home;

namespace APlusP.Node.Lan;

/// <summary>
/// How many octets each host of a LAN has used today, from counters that begin anew whenever the kernel's table is made anew. A day ends at midnight of this machine's clock. It is kept on the disk, so that who is
/// over its volume stays so when the SMAP is killed.
/// </summary>
/// <param name="path">The file.</param>
/// <param name="clock">The time, and the zone that days are of.</param>
sealed class DailyVolumes(string path, TimeProvider clock)
{
    /// <summary>Hosts of a day at most: an Ethernet address is soon made up.</summary>
    internal const int MostHosts = 16_384;

    /// <summary>What a power cut may lose.</summary>
    static readonly TimeSpan s_save = TimeSpan.FromSeconds(10);

    Dictionary<string, long> _last = new(StringComparer.Ordinal);
    SavedVolumes _today = Read(path);
    DateTimeOffset _saved;
    bool _isNew;

    DateOnly Day => DateOnly.FromDateTime(clock.GetLocalNow().DateTime);

    /// <summary>The midnight at which all begins anew.</summary>
    public DateTimeOffset Midnight => new(Day.AddDays(1).ToDateTime(TimeOnly.MinValue), clock.GetLocalNow().Offset);

    /// <summary>Octets by LAN and host, "br-lan 52:54:00:12:34:56".</summary>
    public IReadOnlyDictionary<string, long> Today => _today.Hosts;

    /// <summary>What is in the volume of a host.</summary>
    public static string Key(string lan, string mac) => $"{lan} {mac}";

    /// <summary>Takes what the kernel's counters are now.</summary>
    /// <param name="counters">All of them, by counter and key: a host has one for each way. Null where nobody knows.</param>
    public void Count(IEnumerable<(string Counter, string Key, long Octets)>? counters)
    {
        string day = $"{Day:yyyy-MM-dd}";
        if (_today.Day != day) (_today, _isNew) = (new SavedVolumes(day, new Dictionary<string, long>(StringComparer.Ordinal)), true);
        if (counters is null) return;
        var last = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach ((string counter, string key, long octets) in counters)
        {
            // One that is smaller than it was, or was not there, has begun anew.
            string name = $"{counter} {key}";
            long before = _last.GetValueOrDefault(name), more = octets < before ? octets : octets - before;
            last[name] = octets;
            if (more == 0 || (!_today.Hosts.ContainsKey(key) && _today.Hosts.Count >= MostHosts)) continue;
            _today.Hosts[key] = _today.Hosts.GetValueOrDefault(key) + more;
            _isNew = true;
        }

        _last = last;
    }

    /// <summary>Writes it down where there is something new and some time has passed.</summary>
    /// <param name="now">Without waiting for that.</param>
    public void Save(bool now = false)
    {
        DateTimeOffset moment = clock.GetUtcNow();
        if (!_isNew || (!now && moment - _saved < s_save)) return;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!, StateFile.OwnerOnly | UnixFileMode.UserExecute);
        StateFile.Replace(path, file => JsonSerializer.Serialize(file, _today, VolumeJson.Default.SavedVolumes));
        (_isNew, _saved) = (false, moment);
    }

    static SavedVolumes Read(string path)
    {
        try
        {
            if (File.Exists(path) && JsonSerializer.Deserialize(File.ReadAllBytes(path), VolumeJson.Default.SavedVolumes) is { Day: not null, Hosts: not null } saved) return saved;
        }
        catch (JsonException)
        {
            // Somebody has written into it; the day begins anew.
        }

        return new SavedVolumes("", new Dictionary<string, long>(StringComparer.Ordinal));
    }
}

/// <summary>A day, and the octets of its hosts.</summary>
sealed record SavedVolumes(string Day, Dictionary<string, long> Hosts);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SavedVolumes))]
sealed partial class VolumeJson : JsonSerializerContext;
