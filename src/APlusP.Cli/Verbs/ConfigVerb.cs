using System.CommandLine;
using System.Text.Json;
using APlusP.Core;
using APlusP.Node.Configuration;
using APlusP.Registry.Configuration;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp config</c>: what is wrong with a configuration, before a daemon meets it.</summary>
static partial class ConfigVerb
{
    public static Command Create() => new("config", "Check configuration files, and read or write those of other programs.") { Check(), Import(), Export() };

    static Command Check()
    {
        var file = new Argument<string>("file") { Description = "The configuration of a PRR, SMAP or registry." };
        var kind = new Option<string?>("--kind") { Description = "prr, smap or registry; told by the keys where left out." };
        kind.AcceptOnlyFromAmong("prr", "smap", "registry");
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("check", "Tell every fault of a configuration at once. Exit status 0: none (warnings allowed), 1: faults, 2: cannot be read.") { file, kind, json };
        command.SetAction(parse =>
        {
            string path = parse.GetValue(file)!, text;
            try
            {
                text = ConfigurationText.Read(path);
            }
            catch (APlusPException error)
            {
                Console.Error.WriteLine($"aplusp: {error.Code}: {error.Message}");
                return 2;
            }

            string role = parse.GetValue(kind) ?? (RegistryConfigurationFile.IsRegistry(path, text) ? "registry" : ConfigurationFile.IsSmap(path, text) ? "smap" : "prr");
            (IReadOnlyList<Diagnostic> found, int omitted, bool sound) = role switch
            {
                "registry" => Result(RegistryConfigurationFile.Check(path, text)),
                "smap" => Result(ConfigurationFile.CheckSmap(path, text)),
                _ => Result(ConfigurationFile.CheckPrr(path, text)),
            };
            if (parse.GetValue(json)) PrintJson(role, found, omitted, sound);
            else Print(path, role, found, omitted, sound);
            return sound ? 0 : 1;
        });
        return command;
    }

    static (IReadOnlyList<Diagnostic> Found, int Omitted, bool Sound) Result<T>(ConfigurationCheck<T> check)
        where T : class => (check.Diagnostics, check.Omitted, check.Configuration is not null);

    static void Print(string path, string role, IReadOnlyList<Diagnostic> found, int omitted, bool sound)
    {
        foreach (Diagnostic diagnostic in found) Console.WriteLine(DiagnosticRenderer.Render(diagnostic));
        int faults = found.Count(d => d.Severity == DiagnosticSeverity.Error), warnings = found.Count - faults;
        string more = omitted > 0 ? $", and {omitted} more that are not shown" : "";
        Console.WriteLine($"{path}: {(sound ? "a sound" : "a faulty")} {(role == "registry" ? role : role.ToUpperInvariant())} configuration: {faults} fault(s), {warnings} warning(s){more}");
    }

    static void PrintJson(string role, IReadOnlyList<Diagnostic> found, int omitted, bool sound)
    {
        using Stream output = Console.OpenStandardOutput();
        using (var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteString("kind", role);
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
