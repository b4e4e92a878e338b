using System.Text;
using APlusP.Core;
using Tomlyn;
using Tomlyn.Parsing;
using Tomlyn.Syntax;

namespace APlusP.Configuration;

/// <summary>A value of a TOML file with its place; a table of them is a <see cref="TomlTable"/>.</summary>
/// <param name="Key">Where the key stands.</param>
/// <param name="Value">Where the value stands.</param>
/// <param name="Content">A string, long, bool, double, DateTime text, <see cref="TomlTable"/>, or a list of <see cref="TomlValue"/>; null where the syntax is at fault.</param>
sealed record TomlValue(Place Key, Place Value, object? Content)
{
    public string Kind => Content switch
    {
        string => "a string",
        long => "an integer",
        bool => "true or false",
        double => "a number with a fraction",
        TomlTable => "a table",
        List<TomlValue> => "an array",
        _ => "a date",
    };
}

/// <summary>A table: its path in the schema, and the values by key.</summary>
sealed class TomlTable(string path, Place place)
{
    public string Path { get; } = path;

    public Place Place { get; } = place;

    public Dictionary<string, TomlValue> Values { get; } = new(StringComparer.Ordinal);
}

/// <summary>Reads TOML into tables with places, by the syntax tree: no reflection, and every fault has its column.</summary>
static class TomlTree
{
    public static TomlTable Parse(SourceText source, DiagnosticList diagnostics)
    {
        var root = new TomlTable("", source.At(0, 1));
        DocumentSyntax document;
        try
        {
            document = SyntaxParser.Parse(source.Text!, source.Path, validate: true);
        }
        catch (TomlException error)
        {
            diagnostics.Error(source.At(0, 1), ErrorCodes.ConfigurationSyntax, $"This cannot be read as TOML: {error.Message}");
            return root;
        }

        var told = new HashSet<int>();
        foreach (DiagnosticMessage message in document.Diagnostics)
        {
            // What follows on one line from a first fault only repeats it.
            Place place = source.At(message.Span.Offset, message.Span.Length);
            if (told.Add(place.Line)) diagnostics.Error(place, ErrorCodes.ConfigurationSyntax, $"{Plain(message.Message)}.");
        }

        var reader = new Builder(source);
        foreach (KeyValueSyntax pair in document.KeyValues) reader.Put(root, pair);
        foreach (TableSyntaxBase table in document.Tables) reader.Put(root, table);
        return root;
    }

    static string Plain(string message)
    {
        var text = new StringBuilder(message.Length);
        foreach (char c in message.Length > 300 ? message[..300] : message) text.Append(char.IsControl(c) ? ' ' : c);
        return text.ToString().TrimEnd('.', ' ');
    }

    sealed class Builder(SourceText source)
    {
        public void Put(TomlTable root, TableSyntaxBase syntax)
        {
            if (syntax.Name is not { Key: not null } name) return;
            List<(string Text, Place Place)> path = Path(name);
            TomlTable? at = Descend(root, path[..^1]);
            if (at is null) return;
            (string last, Place place) = path[^1];
            var table = new TomlTable(Join(at.Path, last), place);
            if (syntax is TableArraySyntax)
            {
                if (!at.Values.TryGetValue(last, out TomlValue? list)) at.Values[last] = list = new TomlValue(place, place, new List<TomlValue>());
                if (list.Content is List<TomlValue> items) items.Add(new TomlValue(place, place, table));
            }
            else if (at.Values.TryGetValue(last, out TomlValue? there))
            {
                if (there.Content is not TomlTable known) return;
                table = known;
            }
            else at.Values[last] = new TomlValue(place, place, table);

            foreach (KeyValueSyntax pair in syntax.Items) Put(table, pair);
        }

        public void Put(TomlTable table, KeyValueSyntax pair)
        {
            if (pair.Key is not { Key: not null } key) return;
            List<(string Text, Place Place)> path = Path(key);
            if (Descend(table, path[..^1]) is not { } at) return;
            (string last, Place place) = path[^1];
            at.Values.TryAdd(last, Value(pair.Value, place, Join(at.Path, last)));
        }

        static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";

        static TomlTable? Descend(TomlTable table, IEnumerable<(string Text, Place Place)> path)
        {
            foreach ((string text, Place place) in path)
            {
                if (!table.Values.TryGetValue(text, out TomlValue? value))
                    table.Values[text] = value = new TomlValue(place, place, new TomlTable(Join(table.Path, text), place));
                object? content = value.Content is List<TomlValue> { Count: > 0 } list ? list[^1].Content : value.Content;
                if (content is not TomlTable next) return null;
                table = next;
            }

            return table;
        }

        List<(string Text, Place Place)> Path(KeySyntax key)
        {
            var path = new List<(string, Place)> { (Text(key.Key), At(key.Key!)) };
            foreach (DottedKeyItemSyntax item in key.DotKeys)
                if (item.Key is { } part) path.Add((Text(part), At(part)));
            return path;
        }

        static string Text(BareKeyOrStringValueSyntax? key) => key switch
        {
            BareKeySyntax bare => bare.Key?.Text ?? "",
            StringValueSyntax text => text.Value ?? "",
            _ => "",
        };

        TomlValue Value(ValueSyntax? value, Place key, string path)
        {
            Place place = value is null ? key : At(value);
            return new TomlValue(key, place, value switch
            {
                StringValueSyntax text => text.Value ?? "",
                IntegerValueSyntax integer => integer.Value,
                BooleanValueSyntax boolean => boolean.Value,
                FloatValueSyntax number => number.Value,
                DateTimeValueSyntax date => date.Value,
                ArraySyntax array => Array(array, key, path),
                InlineTableSyntax table => Inline(table, path, place),
                _ => null,
            });
        }

        List<TomlValue> Array(ArraySyntax array, Place key, string path)
        {
            var items = new List<TomlValue>();
            foreach (ArrayItemSyntax item in array.Items) items.Add(Value(item.Value, key, path));
            return items;
        }

        TomlTable Inline(InlineTableSyntax syntax, string path, Place place)
        {
            var table = new TomlTable(path, place);
            foreach (InlineTableItemSyntax item in syntax.Items)
                if (item.KeyValue is { } pair) Put(table, pair);
            return table;
        }

        Place At(SyntaxNode node) => source.At(node.Span.Offset, node.Span.Length);
    }
}
