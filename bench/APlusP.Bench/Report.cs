using System.Globalization;
using System.Text;
using APlusP.Node.Offline;

namespace APlusP.Bench;

/// <summary>The table, as Markdown: it is read in a terminal too.</summary>
static class Report
{
    static readonly string[] s_head = ["what", "measured", "", "baseline", "ratio", "must reach", "", "generator", "carried by"];

    /// <summary>Where and when, a line each.</summary>
    public static string Heading(DateTimeOffset at, int rounds, TimeSpan window) => $"""
        # ./dev bench

        {at.UtcDateTime.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)} UTC
        {Machine.Describe()}; load before: {Machine.Load()}
        Median of {rounds} rounds, least and greatest in brackets; each figure of a round beside its baseline, {window.TotalSeconds:0.#} s or more each. A ratio is the median of the rounds' ratios.

        """;

    public static string Row(IRow row, IReadOnlyList<Line> lines)
    {
        string[][] cells = [s_head, .. lines.Select(Cells)];
        int[] widths = [.. Enumerable.Range(0, s_head.Length).Select(column => Math.Max(3, cells.Max(line => line[column].Length)))];
        var text = new StringBuilder();
        text.AppendLine($"\n## {row.Name}: {row.Title}\n");
        for (int i = 0; i < cells.Length; i++)
        {
            text.AppendLine($"| {string.Join(" | ", cells[i].Select((cell, column) => cell.PadRight(widths[column])))} |");
            if (i == 0) text.AppendLine($"|{string.Join('|', widths.Select(width => new string('-', width + 2)))}|");
        }

        return text.ToString();
    }

    static string[] Cells(Line line) =>
    [
        line.What,
        Figure(Spread.Of(line.Measured)),
        line.Unit,
        line.Baseline.Count == 0 ? "" : $"{Figure(Spread.Of(line.Baseline))} {line.BaselineName}",
        line.Ratio is { } ratio && line.Goal is not { IsMost: true } ? Figure(ratio) : "",
        $"{line.Goal}",
        line.IsMet switch { true => "met", false => "missed", null => "" },
        line.Generator.Count == 0 ? "" : Number(Spread.Of(line.Generator).Median),
        line.CarriedBy,
    ];

    static string Figure(Spread spread) => $"{Number(spread.Median)} ({Number(spread.Min)}..{Number(spread.Max)})";

    static string Number(double value) => value.ToString(Math.Abs(value) >= 1000 ? "#,0" : Math.Abs(value) >= 10 ? "0.0" : "0.00", CultureInfo.InvariantCulture);
}
