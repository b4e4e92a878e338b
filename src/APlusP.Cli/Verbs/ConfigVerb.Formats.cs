using System.CommandLine;
using System.Text;
using APlusP.Core;
using APlusP.Node.Configuration;
using APlusP.Node.Configuration.Formats;

namespace APlusP.Cli.Verbs;

// Import and export: what other programs read and write.
static partial class ConfigVerb
{
    static Command Import()
    {
        var file = new Argument<string>("file") { Description = "The other program's configuration." };
        var from = new Option<string>("--from")
        {
            Description = "Its format: report (the experiment of 2010: PrrAddrV4, PrrAddrV6, IPv4Shared, CpeNAddrV6 and CpeNPortRange lines), snabb (lwAFTR), vpp (commands of its MAP plug-in) or ietf-softwire (RFC 8676 in JSON).",
            DefaultValueFactory = _ => "report",
        };
        from.AcceptOnlyFromAmong("report", "snabb", "vpp", "ietf-softwire");
        var instance = new Option<string?>("--instance") { Description = "With ietf-softwire: take this instance alone." };
        var output = new Option<string?>("--output", "-o")
        {
            Description = $"Where to write prr.toml; more than {PrrToml.ManyBindings} bindings go to a bindings-file beside it. Standard output where left out. No existing file is overwritten.",
        };
        var command = new Command("import", "Turn another program's configuration into prr.toml. What cannot be carried over is listed on standard error. Exit status as of check.") { file, from, instance, output };
        command.SetAction(parse =>
        {
            try
            {
                string path = parse.GetValue(file)!;
                return parse.GetValue(from) switch
                {
                    "snabb" => Write(SnabbFormat.Read(ForeignFile.At(path)), $"From {path}, a configuration of a Snabb lwAFTR.", parse.GetValue(output)),
                    "vpp" => Write(VppFormat.Read(ForeignFile.At(path)), $"From {path}, commands of VPP's MAP.", parse.GetValue(output)),
                    "ietf-softwire" => Write(SoftwireYangReader.Read(ForeignFile.At(path), parse.GetValue(instance)), $"From {path}, a configuration by RFC 8676.", parse.GetValue(output)),
                    _ => ImportReport(path, parse.GetValue(output)),
                };
            }
            catch (APlusPException error) when (error.Code == ErrorCodes.ConfigurationUnreadable)
            {
                Console.Error.WriteLine($"aplusp: {error.Code}: {error.Message}");
                return 2;
            }
        });
        return command;
    }

    static int ImportReport(string path, string? output)
    {
        ConfigurationCheck<ReportFormat> check = ReportFormat.Read(path, ConfigurationFile.ReadText(path));
        if (check.Diagnostics.Count > 0) Console.Error.WriteLine(DiagnosticRenderer.Render(check.Diagnostics));
        if (check.Configuration is not { } report) return 1;
        if (output is null) Console.Write(report.ToToml());
        else
            WriteNew(output, writer => writer.Write(report.ToToml()));
        return 0;
    }

    static int Write(ImportResult result, string comment, string? output)
    {
        foreach (Diagnostic diagnostic in result.Diagnostics) Console.Error.WriteLine(DiagnosticRenderer.Render(diagnostic));
        if (result.Omitted > 0) Console.Error.WriteLine($"and {result.Omitted} more that are not shown");
        foreach (ImportNote note in result.Notes) Console.Error.WriteLine(note);
        if (result.Configuration is not { } configuration) return 1;
        if (output is null)
        {
            using var writer = new StreamWriter(Console.OpenStandardOutput(), bufferSize: 1 << 16);
            PrrToml.Write(configuration, comment, writer, null, "");
            return 0;
        }

        // The bindings-file first: a prr.toml that exists is whole.
        string bindings = Path.ChangeExtension(output, ".bindings");
        bool many = configuration.Bindings.Count > PrrToml.ManyBindings;
        if (File.Exists(output)) throw new APlusPException(ErrorCodes.ConfigurationUnreadable, $"{output} exists, and is not overwritten; name another.");
        var toml = new StringWriter();
        if (many) WriteNew(bindings, writer => PrrToml.Write(configuration, comment, toml, writer, Path.GetFileName(bindings)));
        else PrrToml.Write(configuration, comment, toml, null, "");
        WriteNew(output, writer => writer.Write(toml.ToString()));
        Console.Error.WriteLine($"{configuration.Bindings.Count:N0} binding(s) of {configuration.Bindings.Select(b => b.Address).Distinct().Count():N0} address(es) in {output}{(many ? $" and {bindings}" : "")}");
        return 0;
    }

    /// <exception cref="APlusPException">AP1001: the file exists, or cannot be made.</exception>
    static void WriteNew(string path, Action<StreamWriter> write)
    {
        try
        {
            using var writer = new StreamWriter(new FileStream(path, FileMode.CreateNew, FileAccess.Write), new UTF8Encoding(false), 1 << 16);
            write(writer);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.ConfigurationUnreadable, $"cannot write {path}: {error.Message}", error);
        }
    }

    static Command Export()
    {
        var file = new Argument<string>("file") { Description = "The configuration of a PRR." };
        var to = new Option<string>("--to")
        {
            Description = "The format: report (the experiment of 2010) or ietf-softwire (RFC 8676 in JSON).",
            DefaultValueFactory = _ => "report",
        };
        to.AcceptOnlyFromAmong("report", "ietf-softwire");
        var command = new Command("export", "Print a configuration in another program's format. What that has no words for is listed on standard error.") { file, to };
        command.SetAction(parse =>
        {
            PrrConfiguration configuration = ConfigurationFile.LoadPrr(parse.GetValue(file)!);
            if (parse.GetValue(to) != "ietf-softwire")
            {
                Console.Write(ReportFormat.From(configuration).ToString());
                return;
            }

            using var output = new BufferedStream(Console.OpenStandardOutput(), 1 << 16);
            TellUnsaid(SoftwireYangWriter.Write(configuration, output));
        });
        return command;
    }

    static void TellUnsaid(IReadOnlyList<string> unsaid)
    {
        foreach (string line in unsaid) Console.Error.WriteLine($"aplusp: {ErrorCodes.NotCarriedOver}: {line}");
    }
}
