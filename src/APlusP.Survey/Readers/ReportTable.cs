using System.Globalization;
using System.Text;
using APlusP.Core;
using APlusP.Survey.Counting;

namespace APlusP.Survey.Readers;

/// <summary>
/// Counts that somebody made already, as in table I of the report of 2010: a heading <c>Date Ports DNS HTTP HTTPS</c>, and a row for each tick of one host. Columns
/// are parted by spaces, tabs, commas or semicolons; the date is in seconds since 1970. <c>aplusp survey export</c> writes the same.
/// </summary>
sealed class ReportTable
{
    static readonly char[] s_between = [' ', '\t', ',', ';'];

    readonly int[] _columns;
    readonly ApplicationRules _rules;

    ReportTable(int[] columns, ApplicationRules rules)
    {
        _columns = columns;
        _rules = rules;
    }

    public static bool IsHeading(ReadOnlySpan<byte> line) => Split(line) is [var date, var ports, ..] && IsWord(date, "date") && IsWord(ports, "ports");

    static bool IsWord(string word, string wanted) => word.Equals(wanted, StringComparison.OrdinalIgnoreCase);

    static string[] Split(ReadOnlySpan<byte> line) => Encoding.Latin1.GetString(line).Split(s_between, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <exception cref="APlusPException">AP7002: a column is of an application that the rules do not name.</exception>
    public static ReportTable OfHeading(ReadOnlySpan<byte> line, string file, ApplicationRules rules)
    {
        string[] columns = Split(line)[2..];
        int[] applications = [.. columns.Select(column => rules.Names.ToList().FindIndex(name => IsWord(column, name)))];
        int unknown = Array.IndexOf(applications, -1);
        return unknown < 0 ? new ReportTable(applications, rules)
            : throw new APlusPException(ErrorCodes.NotASurveyFile, $"{file}:1: '{columns[unknown]}' is no application of the rules. They name {string.Join(", ", rules.Names)}.");
    }

    /// <summary>Reads a row; where it is none, <paramref name="fault"/> says what is wrong with it.</summary>
    public bool TryRead(ReadOnlySpan<byte> line, out DateTimeOffset at, out HostCounts counts, out string fault)
    {
        string[] cells = Split(line);
        counts = new HostCounts { MinimumPorts = -1, ByApplication = new int[_rules.Names.Count] };
        at = default;
        fault = $"it has {cells.Length} columns, but the heading has {_columns.Length + 2}";
        if (cells.Length != _columns.Length + 2) return false;
        fault = "its date is not in seconds since 1970";
        if (!EpochSeconds.TryParse(cells[0], out at)) return false;
        fault = "a count is not a whole number";
        if (!int.TryParse(cells[1], NumberStyles.None, CultureInfo.InvariantCulture, out int ports)) return false;
        for (int i = 0; i < _columns.Length; i++)
        {
            if (!int.TryParse(cells[i + 2], NumberStyles.None, CultureInfo.InvariantCulture, out int count)) return false;
            counts.ByApplication[_columns[i]] = count;
        }

        long named = counts.ByApplication.Sum(count => (long)count);
        fault = "its applications have more ports than there are";
        if (named > ports) return false;
        counts.Ports = counts.PeakPorts = counts.Flows = ports;
        counts.ByApplication[^1] += ports - (int)named;

        // Which protocols they were of nobody wrote down.
        counts.ByProtocol[^1] = ports;
        return true;
    }
}
