using System.Globalization;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration;

/// <summary>
/// The configuration format of the A+P experiment of 2010: a key and a value a line. <c>PrrAddrV4</c>, <c>PrrAddrV6</c> and
/// <c>IPv4Shared</c> once, <c>CpeNAddrV6</c> and <c>CpeNPortRange</c> for each home, in any order.
/// </summary>
public sealed record ReportFormat(IPv4Address PrrAddrV4, IPv6Address PrrAddrV6, IPv4Address IPv4Shared, IReadOnlyList<ReportFormat.Cpe> Cpes)
{
    static readonly string[] s_singles = ["PrrAddrV4", "PrrAddrV6", "IPv4Shared"];
    static readonly string[] s_keys = [.. s_singles, "CpeNAddrV6", "CpeNPortRange"];

    /// <summary>One home.</summary>
    public sealed record Cpe(int Number, IPv6Address AddrV6, PortRange Range);

    /// <summary>Reads the format and tells everything that is wrong at once. Spaces, tabs, empty lines, # comments and CRLF are taken.</summary>
    public static ConfigurationCheck<ReportFormat> Read(string path, string text)
    {
        var diagnostics = new DiagnosticList();
        var source = new SourceText(path, text);
        var singles = new Dictionary<string, string>(StringComparer.Ordinal);
        var homes = new SortedDictionary<int, (IPv6Address? Address, PortRange? Range, Place Place)>();
        IPv4Address prr4 = default, shared = default;
        IPv6Address prr6 = default;

        int at = 0;
        foreach (string raw in text.Split('\n'))
        {
            ReadLine(raw, at);
            at += raw.Length + 1;
        }

        foreach (string key in s_singles)
            if (!singles.ContainsKey(key)) diagnostics.Error(source.At(0, 1), ErrorCodes.ConfigurationMissingKey, $"'{key}' is missing.");
        foreach ((int number, (IPv6Address? address, PortRange? range, Place place)) in homes)
        {
            if (address is null) diagnostics.Error(place, ErrorCodes.ConfigurationMissingKey, $"'Cpe{number}AddrV6' is missing.");
            if (range is null) diagnostics.Error(place, ErrorCodes.ConfigurationMissingKey, $"'Cpe{number}PortRange' is missing.");
        }

        var bindings = new ReadBindings(singles.ContainsKey("PrrAddrV6") ? [prr6] : [], 1500, diagnostics);
        foreach ((IPv6Address? address, PortRange? range, Place place) in homes.Values)
            if (address is { } a && range is { } r) bindings.Add(shared, PortSet.FromRanges(r), a, null, null, null, place);
        if (!diagnostics.HasErrors) bindings.CheckTogether();

        Cpe[] cpes = diagnostics.HasErrors ? [] : [.. homes.Select(h => new Cpe(h.Key, h.Value.Address!.Value, h.Value.Range!.Value))];
        return new ConfigurationCheck<ReportFormat>(
            diagnostics.HasErrors ? null : new ReportFormat(prr4, prr6, shared, cpes), diagnostics.Finish(), diagnostics.Omitted);

        void ReadLine(string raw, int start)
        {
            string line = raw.Split('#')[0];
            string[] words = line.Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0) return;
            Place whole = source.At(start + line.IndexOf(words[0], StringComparison.Ordinal), words[0].Length);
            if (words.Length != 2)
            {
                diagnostics.Error(whole, ErrorCodes.ConfigurationSyntax, $"A line is a key and a value, such as 'Cpe1PortRange 10000-11000'; this one has {words.Length} words.");
                return;
            }

            (string key, string value) = (words[0], words[1]);
            Place place = source.At(start + line.IndexOf(value, line.IndexOf(key, StringComparison.Ordinal) + key.Length, StringComparison.Ordinal), value.Length);
            if (s_singles.Contains(key))
            {
                if (!singles.TryAdd(key, value)) diagnostics.Error(whole, ErrorCodes.ConfigurationTwice, $"'{key}' stands twice.");
                bool right = key switch
                {
                    "PrrAddrV4" => IPv4Address.TryParse(value, out prr4),
                    "IPv4Shared" => IPv4Address.TryParse(value, out shared),
                    _ => IPv6Address.TryParse(value, out prr6),
                };
                if (!right) BadValue(place, value, key == "PrrAddrV6" ? "an IPv6 address" : "an IPv4 address");
                return;
            }

            if (!TryReadCpeKey(key, out int number, out bool isAddress))
            {
                diagnostics.Error(whole, ErrorCodes.ConfigurationUnknownKey, $"'{key}' is no key of this format; there are {string.Join(", ", s_keys)}, with a number for N.", Spelling.Suggest(key, s_keys));
                return;
            }

            (IPv6Address? Address, PortRange? Range, Place Place) home = homes.TryGetValue(number, out (IPv6Address?, PortRange?, Place) had) ? had : (null, null, whole);
            if (isAddress ? home.Address is not null : home.Range is not null) diagnostics.Error(whole, ErrorCodes.ConfigurationTwice, $"'{key}' stands twice.");
            if (isAddress)
            {
                if (IPv6Address.TryParse(value, out IPv6Address address)) home.Address = address;
                else BadValue(place, value, "an IPv6 address");
            }
            else if (PortRange.TryParse(value, out PortRange range, out string error))
            {
                home.Range = range;
            }
            else
            {
                diagnostics.Error(place, ErrorCodes.ConfigurationBadValue, $"'{value}' is not a port range: {error}.");
            }

            homes[number] = home;
        }

        void BadValue(Place place, string value, string what) => diagnostics.Error(place, ErrorCodes.ConfigurationBadValue, $"'{value}' is not {what}.");
    }

    static bool TryReadCpeKey(string key, out int number, out bool isAddress)
    {
        number = 0;
        isAddress = key.EndsWith("AddrV6", StringComparison.Ordinal);
        string suffix = isAddress ? "AddrV6" : "PortRange";
        return key.StartsWith("Cpe", StringComparison.Ordinal) && key.EndsWith(suffix, StringComparison.Ordinal) && key.Length > 3 + suffix.Length
            && int.TryParse(key.AsSpan(3, key.Length - 3 - suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number) && key[3] != '0';
    }

    /// <summary>The same as a configuration of aplusp.</summary>
    public string ToToml()
    {
        var text = new StringBuilder($"""
            softwire-address = "{PrrAddrV6}"
            icmp-source = "{PrrAddrV4}"

            """);
        foreach (Cpe cpe in Cpes)
            text.Append($"""

                [[binding]]
                name = "cpe {cpe.Number}"
                address = "{IPv4Shared}"
                ports = "{cpe.Range}"
                softwire = "{cpe.AddrV6}"

                """);
        return text.ToString();
    }

    /// <summary>Writes the format.</summary>
    public override string ToString()
    {
        var text = new StringBuilder($"PrrAddrV4 {PrrAddrV4}\nPrrAddrV6 {PrrAddrV6}\nIPv4Shared {IPv4Shared}\n");
        foreach (Cpe cpe in Cpes) text.Append($"Cpe{cpe.Number}AddrV6 {cpe.AddrV6}\nCpe{cpe.Number}PortRange {cpe.Range.First}-{cpe.Range.Last}\n");
        return text.ToString();
    }

    /// <summary>Says a configuration in this format, homes numbered from 1 in their order.</summary>
    /// <exception cref="APlusPException">AP1031: the format cannot say it; the message lists what it cannot.</exception>
    public static ReportFormat From(PrrConfiguration configuration)
    {
        var faults = new List<string>();
        if (configuration.Options.SoftwireAddresses.Count != 1) faults.Add($"{configuration.Options.SoftwireAddresses.Count} PRR addresses; it has one PrrAddrV6");
        if (configuration.Options.IcmpSource is null) faults.Add("no icmp-source; it needs PrrAddrV4");
        if (configuration.Rules.Count > 0) faults.Add($"{configuration.Rules.Count} mapping rule(s); it has a range for each home");
        IPv4Address[] addresses = [.. configuration.Bindings.Select(b => b.Address).Distinct()];
        if (addresses.Length != 1) faults.Add($"{addresses.Length} shared addresses; it has one IPv4Shared");
        foreach (Binding binding in configuration.Bindings)
            if (binding.Ports.Ranges.Skip(1).Any()) faults.Add($"{configuration.Names.GetValueOrDefault(binding.Softwire) ?? binding.Softwire.ToString()}: {binding.Ports} is more than one range");
        if (faults.Count > 0)
            throw new APlusPException(ErrorCodes.NotExportable, $"the report's format cannot say this configuration:\n  {string.Join("\n  ", faults)}");
        return new ReportFormat(
            configuration.Options.IcmpSource!.Value, configuration.Options.SoftwireAddresses[0], addresses[0],
            [.. configuration.Bindings.Select((b, i) => new Cpe(i + 1, b.Softwire, b.Ports.Ranges.First()))]);
    }
}
