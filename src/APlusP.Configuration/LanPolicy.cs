using System.Globalization;
using APlusP.Core;

namespace APlusP.Configuration;

/// <summary>What hosts of a LAN may not do, as campuses have it; nothing is forbidden unless the file says so.</summary>
/// <param name="DnsAlone">Of UDP nothing but DNS.</param>
/// <param name="OwnResolver">Names are asked of the SMAP alone.</param>
/// <param name="DailyVolume">Octets that a host has a day, both ways and of both families; 0 for no limit.</param>
public sealed record LanPolicy(bool DnsAlone, bool OwnResolver, long DailyVolume)
{
    public static LanPolicy None { get; } = new(false, false, 0);

    /// <summary>The keys by which a file says it, of a LAN or of a pool.</summary>
    public static IReadOnlyList<string> Keys { get; } = ["udp", "resolver", "daily-volume"];

    /// <summary>What both forbid.</summary>
    public LanPolicy And(LanPolicy other) => new(
        DnsAlone || other.DnsAlone, OwnResolver || other.OwnResolver, DailyVolume == 0 ? other.DailyVolume : other.DailyVolume == 0 ? DailyVolume : Math.Min(DailyVolume, other.DailyVolume));

    static readonly string[] s_udp = ["on", "dns-only"], s_resolver = ["any", "ours"];

    static readonly (string Unit, long Octets)[] s_units = [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];

    const long Least = 1_000_000;

    internal static LanPolicy Read(SectionReader lan) => new(lan.Word("udp", 0, s_udp) == 1, lan.Word("resolver", 0, s_resolver) == 1, ReadVolume(lan));

    static long ReadVolume(SectionReader lan)
    {
        if (!lan.Has("daily-volume")) return 0;
        string text = lan.Text("daily-volume", "");
        if (text.Length > 0 && TryParseVolume(text, out long octets))
        {
            if (octets >= Least) return octets;
            lan.Refuse("daily-volume", ErrorCodes.ConfigurationOutOfRange, $"'daily-volume' is {text}, less than a page takes; write 1 MB at least, or leave the key out for no limit.");
        }
        else if (text.Length > 0) lan.Refuse("daily-volume", ErrorCodes.ConfigurationBadValue, $"'daily-volume' is '{text}'; write a number and its unit (kB, MB, GB or TB, by thousands), such as \"1.5 GB\".");
        return 0;
    }

    /// <summary>"1.5 GB" as octets.</summary>
    public static bool TryParseVolume(string text, out long octets)
    {
        octets = 0;
        string number = text.TrimEnd(), unit = "";
        int end = number.Length;
        while (end > 0 && char.IsAsciiLetter(number[end - 1])) end--;
        (number, unit) = (number[..end].Trim(), number[end..]);
        long factor = s_units.FirstOrDefault(u => u.Unit.Equals(unit, StringComparison.OrdinalIgnoreCase)).Octets;
        if (factor == 0 || !decimal.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal count) || count * factor > long.MaxValue / 2) return false;
        octets = (long)(count * factor);
        return true;
    }

    /// <summary>Octets as people write them.</summary>
    public static string Write(long octets)
    {
        (string unit, long factor) = s_units.LastOrDefault(u => octets >= u.Octets, s_units[0]);
        return string.Create(CultureInfo.InvariantCulture, $"{(decimal)octets / factor:0.##} {unit}");
    }
}
