using System.Globalization;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Configuration;

/// <summary>
/// The lines of the A+P experiment of 2010: a key and a value each, in any order. <c>PrrAddrV4</c>, <c>PrrAddrV6</c> and <c>IPv4Shared</c> are of the PRR;
/// <c>CpeNAddrV6</c> and <c>CpeNPortRange</c> of each home, which sends the two by itself. Spaces, tabs, empty lines, # comments and CRLF are taken.
/// </summary>
sealed class ReportLines
{
    static readonly string[] s_singles = ["PrrAddrV4", "PrrAddrV6", "IPv4Shared"];
    static readonly string[] s_keys = [.. s_singles, "CpeNAddrV6", "CpeNPortRange"];

    readonly SourceText _source;
    readonly DiagnosticList _diagnostics;
    readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    readonly SortedDictionary<int, Home> _homes = [];

    ReportLines(SourceText source, DiagnosticList diagnostics)
    {
        _source = source;
        _diagnostics = diagnostics;
    }

    /// <summary>One home; null is what is missing or at fault.</summary>
    public sealed record Home(int Number, IPv6Address? AddrV6, PortRange? Range, Place Place);

    public IPv4Address? PrrAddrV4 { get; private set; }

    public IPv6Address? PrrAddrV6 { get; private set; }

    public IPv4Address? IPv4Shared { get; private set; }

    /// <summary>By their numbers.</summary>
    public IReadOnlyCollection<Home> Homes => _homes.Values;

    /// <summary>Reads all lines and tells everything that is wrong with them, half homes too.</summary>
    public static ReportLines Read(SourceText source, DiagnosticList diagnostics)
    {
        var lines = new ReportLines(source, diagnostics);
        int at = 0;
        foreach (string raw in source.Text!.Split('\n'))
        {
            lines.ReadLine(raw, at);
            at += raw.Length + 1;
        }

        foreach (Home home in lines.Homes)
        {
            if (!lines._seen.Contains($"Cpe{home.Number}AddrV6")) diagnostics.Error(home.Place, ErrorCodes.ConfigurationMissingKey, $"'Cpe{home.Number}AddrV6' is missing.");
            if (!lines._seen.Contains($"Cpe{home.Number}PortRange")) diagnostics.Error(home.Place, ErrorCodes.ConfigurationMissingKey, $"'Cpe{home.Number}PortRange' is missing.");
        }

        return lines;
    }

    /// <summary>Tells what a PRR's file must have besides its homes, and has not.</summary>
    public void RequirePrr()
    {
        foreach (string key in s_singles)
            if (!_seen.Contains(key)) _diagnostics.Error(_source.At(0, 1), ErrorCodes.ConfigurationMissingKey, $"'{key}' is missing.");
    }

    void ReadLine(string raw, int start)
    {
        string line = raw.Split('#')[0];
        string[] words = line.Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0) return;
        Place whole = _source.At(start + line.IndexOf(words[0], StringComparison.Ordinal), words[0].Length);
        if (words.Length != 2)
        {
            _diagnostics.Error(whole, ErrorCodes.ConfigurationSyntax, $"A line is a key and a value, such as 'Cpe1PortRange 10000-11000'; this one has {words.Length} words.");
            return;
        }

        (string key, string value) = (words[0], words[1]);
        Place place = _source.At(start + line.IndexOf(value, line.IndexOf(key, StringComparison.Ordinal) + key.Length, StringComparison.Ordinal), value.Length);
        bool single = s_singles.Contains(key);
        (int number, bool isAddress) = (0, false);
        if (!single && !TryReadCpeKey(key, out number, out isAddress))
        {
            _diagnostics.Error(whole, ErrorCodes.ConfigurationUnknownKey, $"'{key}' is no key of this format; there are {string.Join(", ", s_keys)}, with a number for N.", Spelling.Suggest(key, s_keys));
            return;
        }

        if (!_seen.Add(key)) _diagnostics.Error(whole, ErrorCodes.ConfigurationTwice, $"'{key}' stands twice.");
        if (single) ReadSingle(key, value, place);
        else _homes[number] = ReadHome(_homes.GetValueOrDefault(number) ?? new Home(number, null, null, whole), isAddress, value, place);
    }

    void ReadSingle(string key, string value, Place place)
    {
        if (key == "PrrAddrV6") PrrAddrV6 = IPv6(value, place);
        else if (!IPv4Address.TryParse(value, out IPv4Address address)) BadValue(place, value, "an IPv4 address");
        else if (key == "PrrAddrV4") PrrAddrV4 = address;
        else IPv4Shared = address;
    }

    Home ReadHome(Home home, bool isAddress, string value, Place place)
    {
        if (isAddress) return home with { AddrV6 = IPv6(value, place) };
        if (PortRange.TryParse(value, out PortRange range, out string error)) return home with { Range = range };
        _diagnostics.Error(place, ErrorCodes.ConfigurationBadValue, $"'{value}' is not a port range: {error}.");
        return home;
    }

    IPv6Address? IPv6(string value, Place place)
    {
        if (IPv6Address.TryParse(value, out IPv6Address address)) return address;
        BadValue(place, value, "an IPv6 address");
        return null;
    }

    void BadValue(Place place, string value, string what) => _diagnostics.Error(place, ErrorCodes.ConfigurationBadValue, $"'{value}' is not {what}.");

    static bool TryReadCpeKey(string key, out int number, out bool isAddress)
    {
        number = 0;
        isAddress = key.EndsWith("AddrV6", StringComparison.Ordinal);
        string suffix = isAddress ? "AddrV6" : "PortRange";
        return key.StartsWith("Cpe", StringComparison.Ordinal) && key.EndsWith(suffix, StringComparison.Ordinal) && key.Length > 3 + suffix.Length
            && int.TryParse(key.AsSpan(3, key.Length - 3 - suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number) && key[3] != '0';
    }
}
