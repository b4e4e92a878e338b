using System.Text;

namespace APlusP.Configuration;

/// <summary>Part of one line of a file: line and column from 1.</summary>
readonly record struct Place(SourceText Source, int Line, int Column, int Length)
{
    public override string ToString() => $"{Source.Path}:{Line}:{Column}";
}

/// <summary>A file that diagnostics point into. A file that may be long is not kept in memory: its lines are read again when one is asked for.</summary>
sealed class SourceText
{
    readonly int[]? _lineStarts;
    readonly Func<Stream>? _open;

    /// <param name="path">How the file is called.</param>
    /// <param name="open">Opens what it holds, from its beginning, as often as is asked.</param>
    public SourceText(string path, Func<Stream> open)
    {
        Path = path;
        _open = open;
    }

    public SourceText(string path, string text)
    {
        Path = path;
        Text = text;
        var starts = new List<int> { 0 };
        for (int i = 0; i < text.Length; i++)
            if (text[i] == '\n') starts.Add(i + 1);
        _lineStarts = [.. starts];
    }

    public string Path { get; }

    public string? Text { get; }

    public Place At(int offset, int length)
    {
        int index = Array.BinarySearch(_lineStarts!, Math.Clamp(offset, 0, Text!.Length));
        if (index < 0) index = ~index - 1;
        int column = Math.Clamp(offset, 0, Text.Length) - _lineStarts![index];
        return new Place(this, index + 1, column + 1, Math.Max(1, Math.Min(length, LineAt(index).Length - column)));
    }

    string LineAt(int index)
    {
        int start = _lineStarts![index], end = index + 1 < _lineStarts.Length ? _lineStarts[index + 1] : Text!.Length;
        return Text![start..end].TrimEnd('\r', '\n');
    }

    /// <summary>The lines of these numbers (from 1).</summary>
    public Dictionary<int, string> Lines(IReadOnlySet<int> numbers)
    {
        var lines = new Dictionary<int, string>();
        if (_lineStarts is not null)
        {
            foreach (int number in numbers) lines[number] = number >= 1 && number <= _lineStarts.Length ? LineAt(number - 1) : "";
            return lines;
        }

        int last = numbers.Max();
        using var reader = new StreamReader(_open!(), Encoding.UTF8);
        for (int number = 1; number <= last && reader.ReadLine() is { } line; number++)
            if (numbers.Contains(number)) lines[number] = line;
        return lines;
    }
}
