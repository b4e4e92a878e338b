using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Access;
using APlusP.Registry.Memory;
using Microsoft.AspNetCore.Http;

namespace APlusP.Registry.Api;

/// <summary>The fields of a request, from its JSON body or its query. Every fault is collected, and <see cref="Check"/> refuses with all of them at once.</summary>
sealed class RequestFields
{
    const int MostShown = 80;

    readonly Dictionary<string, object?> _values = new(StringComparer.Ordinal);
    readonly List<(string Field, string Fault)> _faults = [];

    RequestFields()
    {
    }

    /// <summary>The body as text, and its fields; an empty body has none.</summary>
    public static async Task<(RequestFields Fields, string Text)> OfBody(HttpContext context, params string[] known)
    {
        var fields = new RequestFields();
        using var reader = new StreamReader(context.Request.Body, new System.Text.UTF8Encoding(false, throwOnInvalidBytes: true));
        string text;
        try
        {
            text = await reader.ReadToEndAsync(context.RequestAborted);
        }
        catch (System.Text.DecoderFallbackException)
        {
            throw new Refusal(ErrorCodes.BadRequest, "The body is not UTF-8. Send a JSON object in UTF-8.");
        }

        if (string.IsNullOrWhiteSpace(text)) return (fields, "");
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 8, AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new Refusal(ErrorCodes.BadRequest, $"The body is not a JSON object. Send one such as {{\"{(known.Length > 0 ? known[0] : "name")}\": ...}}.");
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (known.Contains(property.Name)) fields._values[property.Name] = ValueOf(property.Value);
                else fields.Fault(Shorten(property.Name), $"is no field of this request{(Spelling.Suggest(property.Name.Length > 64 ? "" : property.Name, known) is { } meant ? $"; did you mean '{meant}'?" : known.Length > 0 ? $"; there are {string.Join(", ", known)}" : "")}");
            }
        }
        catch (JsonException error)
        {
            throw new Refusal(ErrorCodes.BadRequest, $"The body is not JSON: {Shorten(error.Message, 200)}");
        }
        catch (InvalidOperationException)
        {
            throw new Refusal(ErrorCodes.BadRequest, "The body holds text that is no Unicode: half of a surrogate pair. Write whole characters.");
        }

        return (fields, text);
    }

    public static RequestFields OfQuery(HttpContext context, params string[] known)
    {
        var fields = new RequestFields();
        foreach ((string name, Microsoft.Extensions.Primitives.StringValues values) in context.Request.Query)
        {
            if (!known.Contains(name)) fields.Fault(Shorten(name), $"is no parameter of this request; there are {string.Join(", ", known)}");
            else if (values.Count > 1) fields.Fault(name, "stands more than once");
            else fields._values[name] = values[0] ?? "";
        }

        return fields;
    }

    static object? ValueOf(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => element.TryGetInt64(out long whole) ? (object)whole : double.NaN,
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Null => null,
        JsonValueKind.Array => element.EnumerateArray().Select(ValueOf).ToArray(),
        _ => new object(),
    };

    public void Fault(string field, string fault) => _faults.Add((field, fault));

    /// <summary>Refuses the request where a field was at fault.</summary>
    public void Check()
    {
        if (_faults.Count == 0) return;
        throw new Refusal(ErrorCodes.BadRequest, $"{string.Join("; ", _faults.Select(f => $"'{f.Field}' {f.Fault}"))}. Nothing was changed.") { Fields = _faults };
    }

    /// <summary>Text of 1 to so many characters, none of them a control character; null where it is absent or at fault.</summary>
    public string? Text(string field, bool required, int most = Names.Longest)
    {
        if (Find(field, required) is not { } value) return null;
        if (value is not string text) return Bad(field, "must be a string");
        return Names.FaultOf(text, most) is { } fault ? Bad(field, fault) : text;
    }

    public string? Word(string field, bool required, params string[] words) =>
        Text(field, required) is not { } text ? null : words.Contains(text) ? text : Bad(field, $"must be one of {string.Join(", ", words)}");

    public IPv6Address? Softwire(string field, bool required)
    {
        if (Find(field, required) is not { } value) return null;
        if (value is string text && text.Length <= 64 && IPv6Address.TryParse(text, out IPv6Address address) && address.IsUnicast) return address;
        Bad(field, $"must be a unicast IPv6 address such as \"2001:db8::1\", without prefix length or zone{Was(value)}");
        return null;
    }

    public IPv6Prefix? Prefix(string field)
    {
        if (Find(field, required: false) is not { } value) return null;
        string error = "";
        if (value is string text && text.Length <= 64 && IPv6Prefix.TryParse(text, out IPv6Prefix prefix, out error)) return prefix;
        Bad(field, $"must be an IPv6 prefix such as \"2001:db8:1::/48\"{(error.Length > 0 ? $"; {error}" : Was(value))}");
        return null;
    }

    public IPv4Address? Address(string field, bool required)
    {
        if (Find(field, required) is not { } value) return null;
        if (value is string text && text.Length <= 64 && IPv4Address.TryParse(text, out IPv4Address address)) return address;
        Bad(field, $"must be an IPv4 address such as 192.0.2.1{Was(value)}");
        return null;
    }

    public long? Number(string field, bool required, long least, long most)
    {
        if (Find(field, required) is not { } value) return null;
        if (value is string text && long.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out long parsed) && _fromQuery) value = parsed;
        if (value is long number && number >= least && number <= most) return number;
        Bad(field, $"must be a whole number from {least} to {most}{Was(value)}");
        return null;
    }

    bool _fromQuery;

    /// <summary>In a query numbers are text.</summary>
    public RequestFields WithNumbersAsText()
    {
        _fromQuery = true;
        return this;
    }

    public DateTimeOffset? Time(string field)
    {
        if (Find(field, required: false) is not string text) return null;

        // A plus sign that was not escaped arrives as a blank.
        if (Moment.TryParse(text, out DateTimeOffset moment) || (text.LastIndexOf(' ') is var blank and > 10 && Moment.TryParse($"{text[..blank]}+{text[(blank + 1)..]}", out moment))) return moment;
        Bad(field, $"must be {Moment.Form}{Was(text)}");
        return null;
    }

    /// <summary>[[first, last], ...].</summary>
    public PortSet? Ranges(string field, bool required)
    {
        const string form = "must be ranges of ports such as [[2000, 2127]]";
        if (Find(field, required) is not { } value) return null;
        if (value is not object?[] { Length: > 0 and <= 4096 } list)
        {
            Bad(field, form);
            return null;
        }

        var ranges = new List<PortRange>();
        foreach (object? item in list)
        {
            if (item is object?[] and [long first and >= 0 and <= 65535, long last and >= 0 and <= 65535]) ranges.Add(new PortRange((ushort)first, (ushort)last));
            else
            {
                Bad(field, form);
                return null;
            }
        }

        try
        {
            return PortSet.FromRanges(ranges);
        }
        catch (ArgumentException error)
        {
            Bad(field, error.Message);
            return null;
        }
    }

    public bool? Flag(string field)
    {
        if (Find(field, required: false) is not { } value) return null;
        if (value is bool flag) return flag;
        Bad(field, $"must be true or false{Was(value)}");
        return null;
    }

    /// <summary>An array of texts; none where it is absent or at fault.</summary>
    public IReadOnlyList<string> Texts(string field, int most)
    {
        if (Find(field, required: false) is not { } value) return [];
        if (value is object?[] list && list.Length <= most && list.All(i => i is string)) return [.. list.Cast<string>()];
        Bad(field, $"must be an array of at most {most} strings");
        return [];
    }

    object? Find(string field, bool required)
    {
        if (_values.TryGetValue(field, out object? value) && value is not null) return value;
        if (required) Fault(field, "is missing");
        return null;
    }

    string? Bad(string field, string fault)
    {
        Fault(field, fault);
        return null;
    }

    static string Was(object value) => value is string or long or bool ? $", not '{Shorten(value.ToString()!)}'" : "";

    /// <summary>Text of a request as a message may show it.</summary>
    public static string Shorten(string text, int most = MostShown)
    {
        string plain = new([.. text.Take(most).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c)]);
        return text.Length > most ? $"{plain}..." : plain;
    }
}
