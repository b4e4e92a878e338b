using System.Globalization;
using System.Text;
using APlusP.Core.Addresses;
using APlusP.Node.Home;

namespace APlusP.Node.Lan;

/// <summary>A prefix that hosts of a LAN have addresses of.</summary>
readonly record struct LanPrefix(string Device, IPv6Prefix Prefix);

/// <summary>
/// The prefixes that hosts of LANs may hold: those that are advertised, and those that were, which have to be advertised as deprecated until nobody can hold them any more (RFC 9096 section 3.5). They are kept on the disk,
/// since who has lost power is often given another prefix, and hosts have not noticed. What is left of their time is counted by a clock that nobody sets; that of the wall is for the file alone.
/// </summary>
sealed class HeldPrefixes
{
    /// <summary>What hosts are told (RFC 9096 section 3.4: 45 and 90 minutes at most): dnsmasq has one time for both.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(45);

    /// <summary>One that is advertised is written down with more than its time, so that a write lasts for a while. A host that sleeps holds an address for longer than it was told, too.</summary>
    static readonly TimeSpan s_written = 2 * Lifetime;

    /// <summary>How long a prefix of before is waited for at the start: most are given again, and hosts need not know that it was away.</summary>
    static readonly TimeSpan s_back = TimeSpan.FromSeconds(30);

    /// <summary>A clock on the wall that has moved by so much was set.</summary>
    static readonly TimeSpan s_set = TimeSpan.FromMinutes(1);

    readonly string _path;
    readonly TimeProvider _clock;
    readonly long _began;
    readonly Dictionary<LanPrefix, Held> _held = [];
    (DateTimeOffset Wall, long At)? _saved;

    /// <param name="path">The file.</param>
    /// <param name="clock">The time.</param>
    public HeldPrefixes(string path, TimeProvider clock)
    {
        _path = path;
        _clock = clock;
        _began = clock.GetTimestamp();
        Read();
    }

    /// <summary>One that hosts may hold.</summary>
    /// <param name="Left">For how long, from the moment <paramref name="At"/> on.</param>
    /// <param name="At">By the clock that nobody sets.</param>
    /// <param name="IsCurrent">It is advertised.</param>
    /// <param name="IsOfBefore">It has not been advertised since the start.</param>
    readonly record struct Held(TimeSpan Left, long At, bool IsCurrent, bool IsOfBefore);

    /// <summary>Why it cannot be written down; empty where it can.</summary>
    public string Fault { get; private set; } = "";

    /// <summary>Takes note of what is advertised from now on, and gives what is to be advertised as deprecated.</summary>
    public IReadOnlyList<LanPrefix> Look(IReadOnlyList<LanPrefix> now)
    {
        long moment = _clock.GetTimestamp();
        bool isNew = false;
        foreach (LanPrefix prefix in now)
        {
            if (_held.TryGetValue(prefix, out Held held) && held.IsCurrent && LeftOf(held, moment) >= Lifetime) continue;
            _held[prefix] = new Held(s_written, moment, IsCurrent: true, IsOfBefore: false);
            isNew = true;
        }

        foreach ((LanPrefix prefix, Held held) in _held.ToArray())
        {
            if (now.Contains(prefix)) continue;
            if (held.IsCurrent) _held[prefix] = new Held(Lifetime, moment, IsCurrent: false, IsOfBefore: false);
            else if (LeftOf(held, moment) <= TimeSpan.Zero) _held.Remove(prefix);
            else continue;
            isNew = true;
        }

        if (isNew || WasSet(moment)) Save(moment);
        bool waits = _clock.GetElapsedTime(_began, moment) < s_back;

        // A prefix that another LAN has now cannot be told apart: dnsmasq takes prefixes for all devices.
        return [.. _held.Where(h => now.All(n => n.Prefix != h.Key.Prefix) && !(waits && h.Value.IsOfBefore && now.All(n => n.Device != h.Key.Device))).Select(h => h.Key).OrderBy(k => k.Device, StringComparer.Ordinal).ThenBy(k => k.Prefix.Address.Value)];
    }

    TimeSpan LeftOf(Held held, long moment) => held.Left - _clock.GetElapsedTime(held.At, moment);

    bool WasSet(long moment) => Fault.Length > 0 || (_saved is { } saved && (_clock.GetUtcNow() - saved.Wall - _clock.GetElapsedTime(saved.At, moment)).Duration() > s_set);

    void Read()
    {
        try
        {
            DateTimeOffset wall = _clock.GetUtcNow();
            foreach (string line in File.Exists(_path) ? File.ReadAllLines(_path) : [])
            {
                // A line that somebody has spoilt says nothing.
                if (line.Split(' ') is not [{ Length: > 0 } device, var text, var end] || !IPv6Prefix.TryParse(text, out IPv6Prefix prefix, out _) || !long.TryParse(end, NumberStyles.None, CultureInfo.InvariantCulture, out long seconds)) continue;
                double left = seconds - (wall - DateTimeOffset.UnixEpoch).TotalSeconds;

                // A machine without a clock of its own is in the past until somebody tells it.
                if (left > 0) _held[new LanPrefix(device, prefix)] = new Held(left > s_written.TotalSeconds ? s_written : TimeSpan.FromSeconds(left), _began, IsCurrent: false, IsOfBefore: true);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Fault = error.Message;
        }
    }

    void Save(long moment)
    {
        DateTimeOffset wall = _clock.GetUtcNow();
        try
        {
            string text = string.Concat(_held.Select(h => string.Create(CultureInfo.InvariantCulture, $"{h.Key.Device} {h.Key.Prefix} {(wall + LeftOf(h.Value, moment)).ToUnixTimeSeconds()}\n")));
            StateFile.Replace(_path, file => file.Write(Encoding.UTF8.GetBytes(text)));
            (_saved, Fault) = ((wall, moment), "");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It is tried again at the next look; until then it is known here.
            Fault = error.Message;
        }
    }
}
