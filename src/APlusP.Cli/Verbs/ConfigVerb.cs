using System.CommandLine;
using System.Text.Json;
using APlusP.Core;
using APlusP.Node.Configuration;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp config</c>: what is wrong with a configuration, before a daemon meets it.</summary>
static class ConfigVerb
{
    public static Command Create() => new("config", "Check configuration files, and read or write the format of the 2010 report.") { Check(), Import(), Export() };

    static Command Check()
    {
        var file = new Argument<string>("file") { Description = "The configuration of a PRR or SMAP." };
        var kind = new Option<string?>("--kind") { Description = "prr or smap; told by the keys where left out." };
        kind.AcceptOnlyFromAmong("prr", "smap");
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("check", "Tell every fault of a configuration at once. Exit status 0: none (warnings allowed), 1: faults, 2: cannot be read.") { file, kind, json };
        command.SetAction(parse =>
        {
            string path = parse.GetValue(file)!, text;
            try
            {
                text = ConfigurationFile.ReadText(path);
            }
            catch (APlusPException error)
            {
                Console.Error.WriteLine($"aplusp: {error.Code}: {error.Message}");
                return 2;
            }

            bool smap = parse.GetValue(kind) is { } given ? given == "smap" : ConfigurationFile.IsSmap(path, text);
            (IReadOnlyList<Diagnostic> found, int omitted, bool sound) = smap
                ? Result(ConfigurationFile.CheckSmap(path, text)) : Result(ConfigurationFile.CheckPrr(path, text));
            if (parse.GetValue(json)) PrintJson(smap, found, omitted, sound);
            else Print(path, smap, found, omitted, sound);
            return sound ? 0 : 1;
        });
        return command;
    }

    static Command Import()
    {
        var file = new Argument<string>("file") { Description = "A file of PrrAddrV4, PrrAddrV6, IPv4Shared, CpeNAddrV6 and CpeNPortRange lines." };
        var output = new Option<string?>("--output", "-o") { Description = "Where to write prr.toml; standard output where left out. An existing file is not overwritten." };
        var command = new Command("import", "Turn a configuration of the 2010 report into prr.toml. Exit status as of check.") { file, output };
        command.SetAction(parse =>
        {
            string path = parse.GetValue(file)!;
            ConfigurationCheck<ReportFormat> check = ReportFormat.Read(path, ConfigurationFile.ReadText(path));
            if (check.Diagnostics.Count > 0) Console.Error.WriteLine(DiagnosticRenderer.Render(check.Diagnostics));
            if (check.Configuration is not { } report) return 1;
            if (parse.GetValue(output) is not { } target)
            {
                Console.Write(report.ToToml());
                return 0;
            }

            try
            {
                using var writer = new StreamWriter(new FileStream(target, FileMode.CreateNew, FileAccess.Write));
                writer.Write(report.ToToml());
                return 0;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new APlusPException(ErrorCodes.ConfigurationUnreadable, $"cannot write {target}: {error.Message}", error);
            }
        });
        return command;
    }

    static Command Export()
    {
        var file = new Argument<string>("file") { Description = "The configuration of a PRR." };
        var command = new Command("export", "Print a PRR's configuration in the format of the 2010 report, where that can say it.") { file };
        command.SetAction(parse => Console.Write(ReportFormat.From(ConfigurationFile.LoadPrr(parse.GetValue(file)!)).ToString()));
        return command;
    }

    static (IReadOnlyList<Diagnostic> Found, int Omitted, bool Sound) Result<T>(ConfigurationCheck<T> check)
        where T : class => (check.Diagnostics, check.Omitted, check.Configuration is not null);

    static void Print(string path, bool smap, IReadOnlyList<Diagnostic> found, int omitted, bool sound)
    {
        foreach (Diagnostic diagnostic in found) Console.WriteLine(DiagnosticRenderer.Render(diagnostic));
        int faults = found.Count(d => d.Severity == DiagnosticSeverity.Error), warnings = found.Count - faults;
        string more = omitted > 0 ? $", and {omitted} more that are not shown" : "";
        Console.WriteLine($"{path}: {(sound ? "a sound" : "a faulty")} {(smap ? "SMAP" : "PRR")} configuration: {faults} fault(s), {warnings} warning(s){more}");
    }

    static void PrintJson(bool smap, IReadOnlyList<Diagnostic> found, int omitted, bool sound)
    {
        using Stream output = Console.OpenStandardOutput();
        using (var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteString("kind", smap ? "smap" : "prr");
            writer.WriteBoolean("sound", sound);
            writer.WriteNumber("omitted", omitted);
            writer.WriteStartArray("diagnostics");
            foreach (Diagnostic diagnostic in found)
            {
                writer.WriteStartObject();
                writer.WriteString("severity", diagnostic.Severity == DiagnosticSeverity.Error ? "error" : "warning");
                writer.WriteString("code", diagnostic.Code);
                writer.WriteString("file", diagnostic.File);
                writer.WriteNumber("line", diagnostic.Line);
                writer.WriteNumber("column", diagnostic.Column);
                writer.WriteNumber("length", diagnostic.Length);
                writer.WriteString("message", diagnostic.Message);
                writer.WriteString("suggestion", diagnostic.Suggestion);
                writer.WriteString("source-line", diagnostic.SourceLine);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        output.Write("\n"u8);
    }
}
