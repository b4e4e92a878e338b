namespace APlusP.Configuration;

/// <summary>Collects faults and warnings as a file is read, so that all are told at once.</summary>
sealed class DiagnosticList
{
    /// <summary>More than this nobody reads; the rest is counted.</summary>
    public const int Limit = 1000;

    readonly List<(Place Place, DiagnosticSeverity Severity, string Code, string Message, string? Suggestion)> _found = [];

    public int Errors { get; private set; }

    /// <summary>Found beyond <see cref="Limit"/> and not kept.</summary>
    public int Omitted { get; private set; }

    public bool HasErrors => Errors > 0;

    public void Error(Place place, string code, string message, string? suggestion = null)
    {
        Errors++;
        Add(place, DiagnosticSeverity.Error, code, message, suggestion);
    }

    public void Warn(Place place, string code, string message, string? suggestion = null) =>
        Add(place, DiagnosticSeverity.Warning, code, message, suggestion);

    void Add(Place place, DiagnosticSeverity severity, string code, string message, string? suggestion)
    {
        if (_found.Count < Limit)
        {
            _found.Add((place, severity, code, message, suggestion));
            return;
        }

        // A fault must not be lost behind a thousand warnings.
        Omitted++;
        if (severity == DiagnosticSeverity.Error && Errors <= Limit && _found.FindLastIndex(f => f.Severity == DiagnosticSeverity.Warning) is var last and >= 0)
            _found[last] = (place, severity, code, message, suggestion);
    }

    /// <summary>All, in the order of the files' lines, with the lines themselves.</summary>
    public IReadOnlyList<Diagnostic> Finish()
    {
        var lines = new Dictionary<SourceText, Dictionary<int, string>>();
        foreach (var group in _found.GroupBy(f => f.Place.Source)) lines[group.Key] = group.Key.Lines(group.Select(f => f.Place.Line).ToHashSet());
        List<SourceText> order = [.. lines.Keys];
        return [.. _found.OrderBy(f => order.IndexOf(f.Place.Source)).ThenBy(f => f.Place.Line).ThenBy(f => f.Place.Column).Select(f => new Diagnostic(
            f.Severity, f.Code, f.Place.Source.Path, f.Place.Line, f.Place.Column, f.Place.Length, f.Message, f.Suggestion,
            lines[f.Place.Source].GetValueOrDefault(f.Place.Line, "")))];
    }
}
