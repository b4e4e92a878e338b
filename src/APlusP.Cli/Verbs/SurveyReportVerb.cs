using System.CommandLine;
using APlusP.Survey.Reports;
using APlusP.Survey.Storage;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp survey report</c>: a survey in tables and charts.</summary>
static class SurveyReportVerb
{
    public static Command Create()
    {
        var options = new SurveyOptions();
        var output = new Option<string>("--out", "-o") { Description = "The report: one HTML file that needs neither a network nor scripts.", Required = true, HelpName = "FILE" };
        var svg = new Option<string?>("--svg-dir") { Description = "Write each chart as SVG too, into this directory.", HelpName = "DIRECTORY" };
        var png = new Option<bool>("--png") { Description = "Write each chart as PNG too, beside the SVG files, or beside the report." };
        var command = new Command("report", "Show a survey in tables and charts: one HTML file.") { options.Store, options.Family, options.Host, options.Key, options.Baseline, output, svg, png };
        command.SetAction(parsed =>
        {
            string page = parsed.GetValue(output)!;
            string? svgs = parsed.GetValue(svg), pngs = parsed.GetValue(png) ? svgs ?? Path.GetDirectoryName(Path.GetFullPath(page)) : null;
            using SurveyStore store = options.Open(parsed);
            foreach (string file in SurveyReport.Write(store, options.ReadPart(parsed, store), page, svgs, pngs, DateTimeOffset.UtcNow, options.ReadBaseline(parsed, store))) Console.Error.WriteLine($"{file} written");
        });
        return command;
    }
}
