using System.Xml.Linq;
using APlusP.Core;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Reports;

/// <summary>What <c>aplusp survey report</c> writes: a page, and its charts as files where those are asked for.</summary>
public static class SurveyReport
{
    /// <param name="svgDirectory">Where each chart goes as SVG; null for nowhere.</param>
    /// <param name="pngDirectory">Where each chart goes as PNG; null for nowhere.</param>
    /// <param name="baseline">When hosts did nothing of what is looked at; null where that is not known.</param>
    /// <returns>The files that were written.</returns>
    /// <exception cref="APlusPException">AP7009: there is nothing to show. AP7010: it cannot be drawn or written.</exception>
    public static IReadOnlyList<string> Write(SurveyStore store, SurveyPart part, string page, string? svgDirectory, string? pngDirectory, DateTimeOffset now, BaselineTime? baseline = null)
    {
        SurveyFigures figures = SurveyFigures.Of(store, part);
        ApplicationProfile? profile = baseline is { } time ? ApplicationProfile.Of(store, part, time) : null;
        IReadOnlyList<ReportChart> charts = ReportChart.Drawn(() => ReportCharts.Of(figures, profile));
        string name = Path.GetFileName(store.Path) + (part.Host is { } host ? $", {host.Name}" : "") + part.IsIPv6 switch { true => ", IPv6", false => ", IPv4", null => "" };
        var files = new List<(string Path, byte[] Octets)> { (page, System.Text.Encoding.UTF8.GetBytes(ReportPage.Of(figures, profile, name, charts, now))) };
        foreach (ReportChart chart in charts)
        {
            if (svgDirectory is not null) files.Add((Path.Combine(svgDirectory, $"{chart.Name}.svg"), System.Text.Encoding.UTF8.GetBytes($"{chart.Svg().ToString(SaveOptions.DisableFormatting)}\n")));
            if (pngDirectory is not null) files.Add((Path.Combine(pngDirectory, $"{chart.Name}.png"), chart.Png()));
        }

        foreach ((string path, byte[] octets) in files) Write(path, octets);
        return [.. files.Select(file => file.Path)];
    }

    static void Write(string path, byte[] octets)
    {
        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } directory) Directory.CreateDirectory(directory);
            File.WriteAllBytes(path, octets);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new APlusPException(ErrorCodes.ReportNotWritten, $"the report's file {path} cannot be written: {error.Message} Check that its directory may be written.", error);
        }
    }
}
