using System.Text;

namespace APlusP.Configuration;

public enum DiagnosticSeverity
{
    /// <summary>The configuration is taken, but somebody should look at this.</summary>
    Warning,

    /// <summary>The configuration is refused.</summary>
    Error,
}

/// <summary>One fault of a configuration, or a warning, with its place.</summary>
/// <param name="Severity">Whether the configuration is refused for it.</param>
/// <param name="Code">One of <see cref="Core.ErrorCodes"/>.</param>
/// <param name="File">The file, as it was named.</param>
/// <param name="Line">From 1.</param>
/// <param name="Column">From 1, in UTF-16 units.</param>
/// <param name="Length">How much of the line is meant, at least 1.</param>
/// <param name="Message">What is wrong, and what to write.</param>
/// <param name="Suggestion">What was probably meant, ready to be written in place; several are told apart by " or ".</param>
/// <param name="SourceLine">The line itself.</param>
public sealed record Diagnostic(
    DiagnosticSeverity Severity, string Code, string File, int Line, int Column, int Length, string Message, string? Suggestion, string SourceLine);

/// <summary>Prints diagnostics for people: place, code, message, the line, and a caret under what is meant.</summary>
public static class DiagnosticRenderer
{
    // A line may be a whole file; a screen shows this much around the place.
    const int Shown = 120;

    public static string Render(Diagnostic diagnostic)
    {
        var text = new StringBuilder();
        string severity = diagnostic.Severity == DiagnosticSeverity.Error ? "error" : "warning";
        text.Append($"{diagnostic.File}:{diagnostic.Line}:{diagnostic.Column}: {severity} {diagnostic.Code}: {diagnostic.Message}");
        if (diagnostic.Suggestion is { } suggestion) text.Append($" Did you mean {string.Join(" or ", suggestion.Split(" or ").Select(s => $"'{s}'"))}?");
        text.Append('\n');
        string line = diagnostic.SourceLine;
        int column = Math.Min(diagnostic.Column - 1, line.Length), from = column < Shown ? 0 : column - Shown / 2;
        string shown = line.Substring(from, Math.Min(Shown, line.Length - from));
        text.Append($"{diagnostic.Line,6} | {Printable(shown)}\n       | ");

        // Tabs stay tabs, so that the caret stands under its place whatever their width.
        foreach (char c in shown.AsSpan(0, column - from)) text.Append(c == '\t' ? '\t' : ' ');
        text.Append('^', 1).Append('~', Math.Clamp(Math.Min(diagnostic.Length, shown.Length - (column - from)) - 1, 0, Shown));
        return text.ToString();
    }

    public static string Render(IEnumerable<Diagnostic> diagnostics) => string.Join('\n', diagnostics.Select(Render));

    static string Printable(string text) => string.Create(text.Length, text, static (span, from) =>
    {
        for (int i = 0; i < span.Length; i++) span[i] = char.IsControl(from[i]) && from[i] != '\t' ? '?' : from[i];
    });
}
