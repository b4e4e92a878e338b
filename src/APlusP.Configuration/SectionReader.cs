using System.Globalization;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Configuration;

/// <summary>Takes the keys of one table by their types. Whatever does not fit is told, and the default goes on, so that all faults are found in one run.</summary>
sealed class SectionReader
{
    readonly TomlTable _table;
    readonly DiagnosticList _diagnostics;

    public SectionReader(TomlTable table, IReadOnlyDictionary<string, string[]> schema, DiagnosticList diagnostics)
    {
        _table = table;
        _diagnostics = diagnostics;
        string[] known = schema[table.Path];
        foreach ((string key, TomlValue value) in table.Values)
            if (!known.Contains(key)) RefuseUnknown(key, value.Key, known, schema);
    }

    void RefuseUnknown(string key, Place place, string[] known, IReadOnlyDictionary<string, string[]> schema)
    {
        string where = _table.Path.Length == 0 ? "at the top of the file" : $"in [{_table.Path}]";
        string? elsewhere = schema.Where(section => section.Value.Contains(key)).Select(section => section.Key).FirstOrDefault();
        string hint = elsewhere switch
        {
            null => "",
            "" => $" '{key}' stands at the top of the file, before the first table.",
            _ => $" '{key}' belongs in [{elsewhere}].",
        };
        string? suggestion = elsewhere is null ? Spelling.Suggest(key, known) : null;
        string choice = elsewhere is null && suggestion is null ? $" Known are {string.Join(", ", known)}." : "";
        _diagnostics.Error(place, ErrorCodes.ConfigurationUnknownKey, $"There is no key '{Shorten(key)}' {where}.{hint}{choice}", suggestion);
    }

    public bool Has(string key) => _table.Values.ContainsKey(key);

    public Place PlaceOf(string key) => _table.Values.TryGetValue(key, out TomlValue? value) ? value.Value : _table.Place;

    public SectionReader? Section(string key, IReadOnlyDictionary<string, string[]> schema) =>
        Take<TomlTable>(key, $"a table; write [{(_table.Path.Length == 0 ? key : $"{_table.Path}.{key}")}]") is { } table
            ? new SectionReader(table, schema, _diagnostics) : null;

    /// <summary>The tables of <c>[[key]]</c>.</summary>
    public IEnumerable<SectionReader> Sections(string key, IReadOnlyDictionary<string, string[]> schema)
    {
        foreach (TomlValue item in Take<List<TomlValue>>(key, $"a list of tables; write [[{key}]] above each") ?? [])
        {
            if (item.Content is TomlTable table) yield return new SectionReader(table, schema, _diagnostics);
            else WrongType(item, key, $"a list of tables; write [[{key}]] above each");
        }
    }

    public void Require(string key, string example)
    {
        if (!Has(key)) _diagnostics.Error(_table.Place, ErrorCodes.ConfigurationMissingKey, $"'{key}' is missing {(_table.Path.Length == 0 ? "at the top of the file" : $"in this [{_table.Path}]")}; write {key} = {example}");
    }

    public string Text(string key, string otherwise) => Take<string>(key, "a string in quotes") ?? otherwise;

    public bool Flag(string key, bool otherwise) => TakeValue<bool>(key, "true or false, without quotes") ?? otherwise;

    public int Number(string key, int otherwise, int least, int most, string unit = "", string code = ErrorCodes.ConfigurationOutOfRange)
    {
        if (TakeValue<long>(key, "an integer, without quotes") is not { } number) return otherwise;
        if (number >= least && number <= most) return (int)number;
        Refuse(key, code, $"'{key}' is {number}, but it is from {least} to {most}{(unit.Length == 0 ? "" : $" {unit}")}.");
        return otherwise;
    }

    /// <summary>A number that may have a fraction.</summary>
    public double Decimal(string key, double otherwise, double least, double most)
    {
        if (!_table.Values.TryGetValue(key, out TomlValue? value) || value.Content is null) return otherwise;
        double? number = value.Content switch { long whole => whole, double fraction => fraction, _ => null };
        if (number is null) WrongType(value, key, "a number, without quotes");
        else if (number >= least && number <= most) return number.Value;
        else Refuse(key, ErrorCodes.ConfigurationOutOfRange, string.Create(CultureInfo.InvariantCulture, $"'{key}' is {number}, but it is from {least} to {most}."));
        return otherwise;
    }

    public int Word(string key, int otherwise, IReadOnlyList<string> words)
    {
        string list = string.Join(", ", words.Select(w => $"\"{w}\""));
        if (Take<string>(key, $"one of {list}") is not { } written) return otherwise;
        for (int i = 0; i < words.Count; i++)
            if (words[i] == written) return i;
        Refuse(key, ErrorCodes.ConfigurationBadValue, $"'{Shorten(written)}' is not a value of '{key}'; it is one of {list}.", Spelling.Suggest(written, words));
        return otherwise;
    }

    public IPv4Address? IPv4(string key)
    {
        const string form = "an IPv4 address such as \"192.0.2.1\"";
        if (Take<string>(key, form) is not { } text) return null;
        if (!IPv4Address.TryParse(text, out IPv4Address address)) return Bad<IPv4Address>(PlaceOf(key), text, form);
        if (address.IsUnicast) return address;
        Refuse(key, ErrorCodes.ConfigurationNotUnicast, $"{address} is not an address that a host can have (this network, loopback, multicast or reserved); write one of the Internet's.");
        return null;
    }

    /// <summary>An address and a port that a server in the home may have.</summary>
    public (IPv4Address Address, ushort Port)? IPv4Endpoint(string key)
    {
        const string form = "an IPv4 address and a port such as \"192.168.2.10:80\"";
        if (Take<string>(key, form) is not { } text) return null;
        string[] parts = text.Split(':');
        if (parts.Length != 2 || !IPv4Address.TryParse(parts[0], out IPv4Address address)
            || !ushort.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) || port == 0) return Bad<(IPv4Address, ushort)>(PlaceOf(key), text, form);
        if (address.IsUnicast) return (address, port);
        Refuse(key, ErrorCodes.ConfigurationNotUnicast, $"{address} is not an address that a host can have; write that of the server in the home.");
        return null;
    }

    /// <summary>A router's own address in a network, with the length of that network's prefix.</summary>
    public (IPv4Address Address, IPv4Prefix Network)? IPv4Interface(string key, int shortest, int longest)
    {
        const string form = "an IPv4 address with the length of its network such as \"192.168.2.1/24\"";
        if (Take<string>(key, form) is not { } text) return null;
        string[] parts = text.Split('/');
        if (parts.Length != 2 || !IPv4Address.TryParse(parts[0], out IPv4Address address) || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int length))
            return Bad<(IPv4Address, IPv4Prefix)>(PlaceOf(key), text, form);
        if (length < shortest || length > longest)
        {
            Refuse(key, ErrorCodes.ConfigurationOutOfRange, $"'{key}' has a network of {length} bits, but it is of {shortest} to {longest}.");
            return null;
        }

        var network = Core.Addresses.IPv4Prefix.Of(address, length);
        if (address.IsUnicast && address != network.Address && address != network.Last) return (address, network);
        Refuse(key, ErrorCodes.ConfigurationNotUnicast, $"{address} is not an address that a host of {network} can have; write another of it.");
        return null;
    }

    public IPv6Address? IPv6(string key) =>
        Take<string>(key, IPv6Form) is { } text ? IPv6(text, PlaceOf(key)) : null;

    const string IPv6Form = "an IPv6 address such as \"2001:db8::1\"";

    /// <summary>One address, or an array of them.</summary>
    public List<IPv6Address> IPv6s(string key)
    {
        var addresses = new List<IPv6Address>();
        if (!_table.Values.TryGetValue(key, out TomlValue? value) || value.Content is null) return addresses;
        List<TomlValue> items = value.Content as List<TomlValue> ?? [value];
        if (items.Count == 0) Refuse(key, ErrorCodes.ConfigurationBadValue, $"'{key}' is empty; it is {IPv6Form}, or several.");
        foreach (TomlValue item in items)
        {
            if (item.Content is null) continue;
            if (item.Content is not string text) WrongType(item, key, $"{IPv6Form}, or an array of them");
            else if (IPv6(text, item.Value) is not { } address) continue;
            else if (addresses.Contains(address)) _diagnostics.Error(item.Value, ErrorCodes.ConfigurationTwice, $"{address} stands twice in '{key}'.");
            else addresses.Add(address);
        }

        return addresses;
    }

    /// <summary>An array of strings, none of them empty; none where the key is absent.</summary>
    public List<string> Texts(string key)
    {
        const string form = "an array of strings in quotes, such as [\"eth0\", \"eth1\"]";
        var texts = new List<string>();
        if (!_table.Values.TryGetValue(key, out TomlValue? value) || value.Content is null) return texts;
        if (value.Content is not List<TomlValue> items)
        {
            WrongType(value, key, form);
            return texts;
        }

        foreach (TomlValue item in items)
        {
            if (item.Content is null) continue;
            if (item.Content is not string text) WrongType(item, key, form);
            else if (text.Length == 0) _diagnostics.Error(item.Value, ErrorCodes.ConfigurationBadValue, $"an entry of '{key}' is empty; leave it out.");
            else texts.Add(text);
        }

        return texts;
    }

    IPv6Address? IPv6(string text, Place place)
    {
        if (!IPv6Address.TryParse(text, out IPv6Address address)) return Bad<IPv6Address>(place, text, $"{IPv6Form}, without prefix length or zone");
        if (address.IsUnicast) return address;
        _diagnostics.Error(place, ErrorCodes.ConfigurationNotUnicast, $"{address} is not a unicast address; a softwire ends at one host's own.");
        return null;
    }

    public IPv4Prefix? IPv4Prefix(string key)
    {
        if (Take<string>(key, "an IPv4 prefix such as \"192.0.2.0/24\"") is not { } text) return null;
        if (Core.Addresses.IPv4Prefix.TryParse(text, out IPv4Prefix prefix, out string error)) return prefix;
        Refuse(key, ErrorCodes.ConfigurationBadValue, $"{Capital(Shorten(error))}.");
        return null;
    }

    public IPv6Prefix? IPv6Prefix(string key)
    {
        if (Take<string>(key, "an IPv6 prefix such as \"2001:db8::/40\"") is not { } text) return null;
        if (Core.Addresses.IPv6Prefix.TryParse(text, out IPv6Prefix prefix, out string error)) return prefix;
        Refuse(key, ErrorCodes.ConfigurationBadValue, $"{Capital(Shorten(error))}.");
        return null;
    }

    static string Capital(string text) => $"{char.ToUpperInvariant(text[0])}{text[1..]}";

    /// <summary><c>ports</c> or <c>psid</c>, of which exactly one is needed.</summary>
    public PortSet? Ports(IReadOnlyDictionary<string, string[]> schema)
    {
        bool ranges = Has("ports"), psid = Has("psid");
        if (ranges && psid) Refuse("psid", ErrorCodes.ConfigurationContradiction, "'psid' and 'ports' both say which ports; keep one of them.");
        if (!ranges && !psid)
            _diagnostics.Error(_table.Place, ErrorCodes.ConfigurationMissingKey, "'ports' is missing; write ports = \"10000-11000\" or psid = { offset = 6, length = 8, psid = 52 }");
        return ranges ? Ranges() : psid ? Identifier(schema) : null;
    }

    PortSet? Ranges()
    {
        TomlValue value = _table.Values["ports"];
        string? text = value.Content switch
        {
            string one => one,
            List<TomlValue> list when list.All(item => item.Content is string) => string.Join(',', list.Select(item => (string)item.Content!)),
            _ => null,
        };
        if (text is null)
        {
            if (value.Content is not null) WrongType(value, "ports", "\"10000-11000\", an array of such ranges, or \"all\"");
            return null;
        }

        if (PortSet.TryParse(text, out PortSet? set, out string error)) return set;
        Refuse("ports", ErrorCodes.NotAPortSet, $"'{Shorten(text)}' is not a port set: {error}.");
        return null;
    }

    PortSet? Identifier(IReadOnlyDictionary<string, string[]> schema)
    {
        if (Section("psid", schema) is not { } section) return null;
        section.Require("length", "8");
        section.Require("psid", "52");
        if (section.WholeNumber("offset", 0) is not { } offset || section.WholeNumber("length", null) is not { } length
            || section.WholeNumber("psid", null) is not { } value) return null;
        if (new Psid(offset, length, value).Fault is { } fault)
        {
            Refuse("psid", ErrorCodes.NotAPortSet, $"This is not a port set: {fault}.");
            return null;
        }

        return PortSet.FromPsid(offset, length, value);
    }

    public int? WholeNumber(string key, int? otherwise) =>
        !Has(key) ? otherwise : TakeValue<long>(key, "an integer, without quotes") is { } number ? (int)Math.Clamp(number, int.MinValue, int.MaxValue) : null;

    public void Refuse(string key, string code, string message, string? suggestion = null) => _diagnostics.Error(PlaceOf(key), code, message, suggestion);

    public void Warn(string key, string code, string message) => _diagnostics.Warn(PlaceOf(key), code, message);

    T? Bad<T>(Place place, string text, string form)
        where T : struct
    {
        _diagnostics.Error(place, ErrorCodes.ConfigurationBadValue, $"'{Shorten(text)}' is not {form}.");
        return null;
    }

    T? Take<T>(string key, string form)
        where T : class
    {
        if (!_table.Values.TryGetValue(key, out TomlValue? value) || value.Content is null) return null;
        if (value.Content is T content) return content;
        WrongType(value, key, form);
        return null;
    }

    T? TakeValue<T>(string key, string form)
        where T : struct
    {
        if (!_table.Values.TryGetValue(key, out TomlValue? value) || value.Content is null) return null;
        if (value.Content is T content) return content;
        WrongType(value, key, form);
        return null;
    }

    void WrongType(TomlValue value, string key, string form) =>
        _diagnostics.Error(value.Value, ErrorCodes.ConfigurationWrongType, $"'{key}' is {value.Kind}, but it must be {form}.");

    static string Shorten(string text)
    {
        string plain = new([.. text.Take(80).Select(c => char.IsControl(c) ? '?' : c)]);
        return text.Length > 80 ? $"{plain}..." : plain;
    }
}
