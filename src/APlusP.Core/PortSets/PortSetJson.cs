using System.Text.Json;
using System.Text.Json.Serialization;

namespace APlusP.Core.PortSets;

/// <summary>
/// The JSON form of a port set, with an exact inverse:
/// <code>{"ports": 1001, "ranges": [[10000, 11000]]}
/// {"ports": 252, "ranges": [[1232, 1235], ...], "psid": {"offset": 6, "length": 8, "psid": 52}}</code>
/// <c>ports</c> is how many there are, <c>ranges</c> are first and last port, ascending, none touching another. Reading takes the properties in any
/// order, at least one of ranges and psid; what is said twice must agree.
/// </summary>
public sealed class PortSetJson : JsonConverter<PortSet>
{
    /// <summary>Writes the set as an object.</summary>
    public override void Write(Utf8JsonWriter writer, PortSet value, JsonSerializerOptions options) => Write(writer, value);

    /// <inheritdoc cref="Write(Utf8JsonWriter, PortSet, JsonSerializerOptions)"/>
    public static void Write(Utf8JsonWriter writer, PortSet value)
    {
        writer.WriteStartObject();
        WritePortsAndRanges(writer, value);
        if (value.Psid is { } psid)
        {
            writer.WriteStartObject("psid");
            writer.WriteNumber("offset", psid.Offset);
            writer.WriteNumber("length", psid.Length);
            writer.WriteNumber("psid", psid.Value);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    /// <summary>Writes the properties that every set has, into an object that the caller has begun.</summary>
    public static void WritePortsAndRanges(Utf8JsonWriter writer, PortSet value)
    {
        writer.WriteNumber("ports", value.Count);
        writer.WriteStartArray("ranges");
        foreach (PortRange range in value.Ranges)
        {
            writer.WriteStartArray();
            writer.WriteNumberValue(range.First);
            writer.WriteNumberValue(range.Last);
            writer.WriteEndArray();
        }

        writer.WriteEndArray();
    }

    /// <exception cref="JsonException">It is not a port set; the message says why.</exception>
    public override PortSet Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => Read(ref reader);

    /// <inheritdoc cref="Read(ref Utf8JsonReader, Type, JsonSerializerOptions)"/>
    public static PortSet Read(ref Utf8JsonReader reader)
    {
        int? ports = null;
        PortSet? ranges = null, psid = null;
        if (reader.TokenType == JsonTokenType.None) reader.Read();
        Expect(ref reader, JsonTokenType.StartObject, "a port set", "an object");
        while (NextProperty(ref reader, out string name))
        {
            switch (name)
            {
                case "ports" when ports is null: ports = ReadNumber(ref reader, name); break;
                case "ranges" when ranges is null: ranges = ReadRanges(ref reader); break;
                case "psid" when psid is null: psid = ReadPsid(ref reader); break;
                case "ports" or "ranges" or "psid": throw new JsonException($"'{name}' of a port set stands twice.");
                default: throw new JsonException($"'{name}' does not belong into a port set, which has ports, ranges and psid.");
            }
        }

        PortSet set = psid ?? ranges ?? throw new JsonException("A port set needs ranges, such as [[10000, 11000]], or a psid.");
        if (psid is not null && ranges is not null && !psid.Ranges.SequenceEqual(ranges.Ranges))
            throw new JsonException($"The ranges of the port set are not those of its psid, {psid}.");
        if (ports is not null && ports != set.Count) throw new JsonException($"The port set says that it has {ports} ports, but its ranges have {set.Count}.");
        return set;
    }

    static PortSet ReadRanges(ref Utf8JsonReader reader)
    {
        var ranges = new List<PortRange>();
        Expect(ref reader, JsonTokenType.StartArray, "ranges", "an array of [first, last]");
        while (Next(ref reader) != JsonTokenType.EndArray)
        {
            Expect(ref reader, JsonTokenType.StartArray, "a range", "an array [first, last]");
            ushort first = ReadPort(ref reader), last = ReadPort(ref reader);
            Next(ref reader);
            Expect(ref reader, JsonTokenType.EndArray, "a range", "an array of two ports");
            ranges.Add(new PortRange(first, last));
        }

        try
        {
            return PortSet.FromRanges(ranges);
        }
        catch (ArgumentException fault)
        {
            throw new JsonException($"The ranges are not a port set: {fault.Message}.", fault);
        }
    }

    static PortSet ReadPsid(ref Utf8JsonReader reader)
    {
        int? offset = null, length = null, psid = null;
        Expect(ref reader, JsonTokenType.StartObject, "psid", "an object");
        while (NextProperty(ref reader, out string name))
        {
            switch (name)
            {
                case "offset" when offset is null: offset = ReadNumber(ref reader, name); break;
                case "length" when length is null: length = ReadNumber(ref reader, name); break;
                case "psid" when psid is null: psid = ReadNumber(ref reader, name); break;
                default: throw new JsonException($"'{name}' does not belong into a psid, or stands twice; it has offset, length and psid.");
            }
        }

        if (offset is null || length is null || psid is null) throw new JsonException("A psid needs offset, length and psid.");
        var value = new Psid(offset.Value, length.Value, psid.Value);
        return value.Fault is { } fault ? throw new JsonException($"The psid is not a port set: {fault}.") : PortSet.FromPsid(value.Offset, value.Length, value.Value);
    }

    static ushort ReadPort(ref Utf8JsonReader reader) =>
        Next(ref reader) == JsonTokenType.Number && reader.TryGetUInt16(out ushort port) ? port
            : throw new JsonException("A range is an array [first, last] of two ports, which are numbers from 0 to 65535.");

    static int ReadNumber(ref Utf8JsonReader reader, string name) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int number) ? number
            : throw new JsonException($"'{name}' is not a whole number.");

    /// <summary>Moves to the value of the next property. False at the end of the object.</summary>
    static bool NextProperty(ref Utf8JsonReader reader, out string name)
    {
        name = "";
        if (Next(ref reader) == JsonTokenType.EndObject) return false;
        name = reader.GetString()!;
        Next(ref reader);
        return true;
    }

    static JsonTokenType Next(ref Utf8JsonReader reader) =>
        reader.Read() ? reader.TokenType : throw new JsonException("The port set is cut short.");

    static void Expect(ref Utf8JsonReader reader, JsonTokenType expected, string what, string form)
    {
        if (reader.TokenType != expected) throw new JsonException($"This is not {what}: it should be {form}, such as {{\"ranges\": [[10000, 11000]]}}.");
    }
}
