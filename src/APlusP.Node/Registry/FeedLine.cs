using System.Text.Json;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Core.Web;

namespace APlusP.Node.Registry;

/// <summary>What a line of the registry's feed says.</summary>
enum FeedLineKind
{
    /// <summary>Every lease follows: who is not among them has none.</summary>
    Snapshot,

    /// <summary>Changes follow, since the version that was asked for.</summary>
    Changes,

    /// <summary>A softwire has these ports.</summary>
    Lease,

    /// <summary>A softwire has none any more.</summary>
    Gone,

    /// <summary>The lines before it are complete, and make this version of what was there; or it is the same as before, and the registry is alive.</summary>
    Version,
}

/// <summary>A name of a subscriber's web servers, and its ports where visitors of 80 and 443 go; 0 for nowhere.</summary>
/// <param name="IsProxied">Whether the server expects the PROXY protocol.</param>
sealed record ServedName(string Name, ushort Http, ushort Https, bool IsProxied);

/// <summary>A line of <c>GET /v1/bindings</c> (docs/registry.md).</summary>
struct FeedLine
{
    public FeedLineKind Kind;
    public IPv6Address Softwire;
    public IPv4Address Address;
    public PortSet? Ports;

    /// <summary>When the lease ends, in ms since 1970 by the registry's clock, as the other times.</summary>
    public long Until;

    /// <summary>Names of the subscriber's web servers; null for none.</summary>
    public ServedName[]? Names;

    /// <summary>Why everything is told anew.</summary>
    public string? Why;

    public string? Version;

    /// <summary>The version that the changes follow; null behind a snapshot.</summary>
    public string? After;

    /// <summary>Lines that belong to the version.</summary>
    public long Lines;

    /// <summary>When the last event of the version was, and when the registry said so.</summary>
    public long At, Now;
}

/// <summary>Reads lines of the feed. A million of them make no object but the port sets, of which subscribers of different addresses share a few hundred.</summary>
sealed class FeedLineReader
{
    const int MostSets = 65536, LongestAddress = 64;

    readonly Dictionary<string, PortSet> _sets = new(StringComparer.Ordinal);

    /// <exception cref="FormatException">It is none; the message says why.</exception>
    public FeedLine Read(ReadOnlySpan<byte> line)
    {
        try
        {
            return ReadObject(line);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new FormatException($"it is not JSON of the expected form: {error.Message}", error);
        }
    }

    FeedLine ReadObject(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line);
        var read = new FeedLine { Kind = (FeedLineKind)(-1) };
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw new FormatException("it is not a JSON object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("softwire"u8)) (read.Kind, read.Softwire) = (FeedLineKind.Lease, Softwire(ref reader));
            else if (reader.ValueTextEquals("address"u8)) read.Address = Address(ref reader);
            else if (reader.ValueTextEquals("ports"u8)) read.Ports = Ports(ref reader);
            else if (reader.ValueTextEquals("until"u8)) read.Until = Number(ref reader);
            else if (reader.ValueTextEquals("names"u8)) read.Names = Names(ref reader);
            else if (reader.ValueTextEquals("gone"u8)) (read.Kind, read.Softwire) = (FeedLineKind.Gone, Softwire(ref reader));
            else if (reader.ValueTextEquals("version"u8)) (read.Kind, read.Version) = (FeedLineKind.Version, Text(ref reader));
            else if (reader.ValueTextEquals("after"u8)) read.After = Text(ref reader);
            else if (reader.ValueTextEquals("lines"u8)) read.Lines = Number(ref reader);
            else if (reader.ValueTextEquals("at"u8)) read.At = Number(ref reader);
            else if (reader.ValueTextEquals("now"u8)) read.Now = Number(ref reader);
            else if (reader.ValueTextEquals("why"u8)) read.Why = Text(ref reader);
            else if (reader.ValueTextEquals("begins"u8)) read.Kind = Text(ref reader) switch
            {
                "snapshot" => FeedLineKind.Snapshot,
                "changes" => FeedLineKind.Changes,
                var other => throw new FormatException($"'{other}' begins, which is not known"),
            };
            else reader.Skip(); // What a newer registry says beside.
        }

        bool isWhole = read.Kind switch
        {
            FeedLineKind.Lease => read is { Ports: not null, Until: > 0 } && read.Address != default,
            FeedLineKind.Version => read is { Version: not null, Now: > 0 },
            _ => read.Kind >= 0,
        };
        return isWhole ? read : throw new FormatException("it lacks what belongs to it");
    }

    static ServedName[]? Names(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray) throw new FormatException("names are no array");
        var names = new List<ServedName>();
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            var read = new ServedName("", 0, 0, IsProxied: false);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("name"u8)) read = read with { Name = Text(ref reader) };
                else if (reader.ValueTextEquals("http"u8)) read = read with { Http = Port(ref reader) };
                else if (reader.ValueTextEquals("https"u8)) read = read with { Https = Port(ref reader) };
                else if (reader.ValueTextEquals("proxied"u8)) read = read with { IsProxied = reader.Read() && reader.GetBoolean() };
                else reader.Skip();
            }

            // It stands in the configuration of the program that serves it.
            names.Add(WebName.IsHostName(read.Name) ? read with { Name = read.Name.ToLowerInvariant() } : throw new FormatException($"'{read.Name}' is not the name of a host"));
        }

        return names.Count > 0 ? [.. names] : null;
    }

    static ushort Port(ref Utf8JsonReader reader)
    {
        long port = Number(ref reader);
        return port is > 0 and <= ushort.MaxValue ? (ushort)port : throw new FormatException($"{port} is not a port");
    }

    static string Text(ref Utf8JsonReader reader)
    {
        reader.Read();
        return reader.GetString() ?? throw new FormatException("a text is null");
    }

    static long Number(ref Utf8JsonReader reader)
    {
        reader.Read();
        return reader.GetInt64();
    }

    static IPv6Address Softwire(ref Utf8JsonReader reader)
    {
        Span<char> text = stackalloc char[LongestAddress];
        return IPv6Address.TryParse(text[..Copy(ref reader, text)], out IPv6Address address) ? address : throw new FormatException("a softwire is not an IPv6 address");
    }

    static IPv4Address Address(ref Utf8JsonReader reader)
    {
        Span<char> text = stackalloc char[LongestAddress];
        return IPv4Address.TryParse(text[..Copy(ref reader, text)], out IPv4Address address) ? address : throw new FormatException("an address is not an IPv4 address");
    }

    static int Copy(ref Utf8JsonReader reader, scoped Span<char> text)
    {
        reader.Read();
        return reader.TokenType == JsonTokenType.String && reader.ValueSpan.Length <= text.Length ? reader.CopyString(text) : throw new FormatException("an address is too long");
    }

    PortSet Ports(ref Utf8JsonReader reader)
    {
        const int usual = 128;
        reader.Read();
        if (reader.TokenType != JsonTokenType.String || reader.ValueSpan.Length > usual) return Parse(reader.GetString() ?? "");
        Span<char> text = stackalloc char[usual];
        text = text[..reader.CopyString(text)];
        if (_sets.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(text, out PortSet? known)) return known;
        PortSet ports = Parse(text);
        if (_sets.Count < MostSets) _sets.Add(new string(text), ports);
        return ports;
    }

    static PortSet Parse(ReadOnlySpan<char> text) => PortSet.TryParse(text, out PortSet? ports, out string error) ? ports! : throw new FormatException($"'{text}' is not a port set: {error}");
}
