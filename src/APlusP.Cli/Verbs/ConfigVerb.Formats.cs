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
        var rfc7597 = new Option<bool>("--rfc7597-ports")
        {
            Description = "With snabb: take reserved-ports-bit-count for the PSID offset of RFC 7597, as homes do that were configured by it, and not as Snabb itself does.",
        };
        var output = new Option<string?>("--output", "-o")
        {
            Description = $"Where to write prr.toml; more than {PrrToml.ManyBindings} bindings go to a bindings-file beside it. Standard output where left out. No existing file is overwritten.",
        };
        var command = new Command("import", "Turn another program's configuration into prr.toml. What cannot be carried over is listed on standard error. Exit status as of check.") { file, from, instance, rfc7597, output };
        command.SetAction(parse =>
        {
            try
            {
                string path = parse.GetValue(file)!, format = parse.GetValue(from)!;
                int status = format switch
                {
                    "snabb" => Write(SnabbFormat.Read(ForeignFile.At(path), parse.GetValue(rfc7597)), $"From {path}, a configuration of a Snabb lwAFTR.", parse.GetValue(output)),
                    "vpp" => Write(VppFormat.Read(ForeignFile.At(path)), $"From {path}, commands of VPP's MAP.", parse.GetValue(output)),
                    "ietf-softwire" => Write(SoftwireYangReader.Read(ForeignFile.At(path), parse.GetValue(instance)), $"From {path}, a configuration by RFC 8676.", parse.GetValue(output)),
                    _ => ImportReport(path, parse.GetValue(output)),
                };
                if (status != 0 && ForeignFile.At(path).GuessFormat() is { } likely && likely != format)
                    Console.Error.WriteLine($"aplusp: {ErrorCodes.ForeignSyntax}: {path} was read as of the format '{format}', but looks like '{likely}'. Try --from {likely}.");
                return status;
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
        ConfigurationCheck<ReportFormat> check = ReportFormat.Read(path, ConfigurationText.Read(path));
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
        if (bindings == output) bindings += ".bindings";
        bool many = configuration.Bindings.Count > PrrToml.ManyBindings;
        if (File.Exists(output)) throw new APlusPException(ErrorCodes.ConfigurationUnreadable, $"{output} exists, and is not overwritten; name another.");
        var toml = new StringWriter();
        if (many) WriteNew(bindings, writer => PrrToml.Write(configuration, comment, toml, writer, Path.GetFileName(bindings)));
        else PrrToml.Write(configuration, comment, toml, null, "");
        try
        {
            WriteNew(output, writer => writer.Write(toml.ToString()));
        }
        catch (APlusPException) when (many)
        {
            File.Delete(bindings);
            throw;
        }

        Console.Error.WriteLine($"{(configuration.Rules.Count == 0 ? "" : $"{configuration.Rules.Count:N0} mapping rule(s) and ")}{configuration.Bindings.Count:N0} binding(s) of {configuration.Bindings.Select(b => b.Address).Distinct().Count():N0} address(es) in {output}{(many ? $" and {bindings}" : "")}");
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
        var file = new Argument<string>("file") { Description = "The configuration of a PRR, or with uci of a SMAP." };
        var to = new Option<string>("--to")
        {
            Description = "The format: report (the experiment of 2010), ietf-softwire (RFC 8676 in JSON), or uci (one home as an OpenWrt interface).",
            DefaultValueFactory = _ => "report",
        };
        to.AcceptOnlyFromAmong("report", "ietf-softwire", "uci");
        var binding = new Option<string?>("--binding") { Description = "With uci and a PRR: which home, by its binding's name or softwire address." };
        var rule = new Option<string?>("--rule") { Description = "With uci and a PRR: the homes of this mapping rule, by its name or IPv4 prefix." };
        var command = new Command("export", "Print a configuration in another program's format. What that has no words for is listed on standard error.") { file, to, binding, rule };
        command.SetAction(parse =>
        {
            string path = parse.GetValue(file)!;
            switch (parse.GetValue(to))
            {
                case "uci":
                    ExportHome(path, parse.GetValue(binding), parse.GetValue(rule));
                    break;
                case "ietf-softwire":
                    PrrConfiguration configuration = ConfigurationFile.LoadPrr(path);
                    using (var output = new BufferedStream(Console.OpenStandardOutput(), 1 << 16)) TellUnsaid(SoftwireYangWriter.Write(configuration, output));
                    break;
                default:
                    Console.Write(ReportFormat.From(ConfigurationFile.LoadPrr(path)).ToString());
                    break;
            }
        });
        return command;
    }

    static void ExportHome(string path, string? binding, string? rule)
    {
        (string text, IReadOnlyList<string> unsaid) = rule is not null ? UciFormat.WriteRule(ConfigurationFile.LoadPrr(path), rule)
            : binding is not null ? UciFormat.Write(ConfigurationFile.LoadPrr(path), binding)
            : ConfigurationFile.IsSmap(path, ConfigurationText.Read(path)) ? UciFormat.Write(ConfigurationFile.LoadWholeSmap(path))
            : throw new APlusPException(ErrorCodes.NotExportable, $"{path} is a PRR's configuration, and OpenWrt's is of one home; name it by --binding NAME, or its mapping rule by --rule NAME.");
        TellUnsaid(unsaid);
        Console.Write(text);
    }

    static void TellUnsaid(IReadOnlyList<string> unsaid)
    {
        foreach (string line in unsaid) Console.Error.WriteLine($"aplusp: {ErrorCodes.NotCarriedOver}: {line}");
    }
}
