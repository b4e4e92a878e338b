using System.Text;
using APlusP.Core;

namespace APlusP.Node.Configuration.Formats;

/// <summary>A configuration of another program.</summary>
/// <param name="Path">How it is called in messages.</param>
/// <param name="Open">Opens what it holds. Called again where a message shows a line of it, so that the file need not be kept in memory.</param>
public sealed record ForeignFile(string Path, Func<Stream> Open)
{
    /// <exception cref="APlusPException">AP1001: the file cannot be read.</exception>
    public static ForeignFile At(string path)
    {
        ConfigurationText.EnsureReadable(path);
        return new ForeignFile(path, () => new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan));
    }

    /// <summary>The format that the file's beginning looks like, as <c>--from</c> names it; null where it looks like none.</summary>
    public string? GuessFormat()
    {
        using var reader = new StreamReader(Open(), Encoding.UTF8);
        char[] buffer = new char[1 << 16];
        var beginning = new string(buffer, 0, reader.ReadBlock(buffer));
        return beginning.TrimStart().StartsWith('{') ? "ietf-softwire"
            : beginning.Contains("softwire-config", StringComparison.Ordinal) ? "snabb"
            : beginning.Contains("map add ", StringComparison.Ordinal) ? "vpp"
            : beginning.Contains("PrrAddrV", StringComparison.Ordinal) ? "report"
            : null;
    }
}

/// <summary>What an import found.</summary>
/// <param name="Configuration">The file's content as ours; null where it has faults.</param>
/// <param name="Diagnostics">All faults, by line.</param>
/// <param name="Omitted">Faults beyond the thousand that are told.</param>
/// <param name="Notes">What was not carried over, by line.</param>
public sealed record ImportResult(PrrConfiguration? Configuration, IReadOnlyList<Diagnostic> Diagnostics, int Omitted, IReadOnlyList<ImportNote> Notes);

/// <summary>What was not carried over, or not as it was: where first, how often, and what takes its place.</summary>
public sealed record ImportNote(string File, int Line, string Message, int Count)
{
    /// <summary>One line.</summary>
    public override string ToString() => $"{File}:{Line}: warning {ErrorCodes.NotCarriedOver}: {Message}{(Count == 1 ? "" : $" ({Count} times; this is the first)")}";
}

/// <summary>Collects <see cref="ImportNote"/>s; the same one a million times is one.</summary>
sealed class ImportNotes
{
    readonly Dictionary<string, (Place First, int Count)> _notes = new(StringComparer.Ordinal);

    public void Add(Place place, string message) => _notes[message] = _notes.TryGetValue(message, out var known) ? (known.First, known.Count + 1) : (place, 1);

    public IReadOnlyList<ImportNote> Finish() =>
        [.. _notes.OrderBy(n => n.Value.First.Line).ThenBy(n => n.Value.First.Column).Select(n => new ImportNote(n.Value.First.Source.Path, n.Value.First.Line, n.Key, n.Value.Count))];
}

/// <summary>Ends the reading of a file whose rest cannot be understood. Caught by the reader that throws it.</summary>
sealed class ForeignSyntaxException(Place place, string message) : Exception(message)
{
    public Place Place { get; } = place;
}
