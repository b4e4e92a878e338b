namespace APlusP.Survey.Readers;

/// <summary>Lines of a file that were not understood: the first few by their number, and how many there were.</summary>
public sealed class LineFaults
{
    /// <summary>More than this nobody reads; the rest is counted.</summary>
    public const int Told = 10;

    readonly List<(long Line, string What)> _first = [];

    public long Count { get; private set; }

    public IReadOnlyList<(long Line, string What)> First => _first;

    public void Add(long line, string what)
    {
        if (Count++ < Told) _first.Add((line, what));
    }
}
