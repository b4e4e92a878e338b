using System.CommandLine;
using System.Text.Json;
using APlusP.Node.Configuration;
using APlusP.Node.Offline;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp replay</c>: captures in, captures and counters out, through the data plane of a PRR.</summary>
static class ReplayVerb
{
    public static Command Create()
    {
        var config = new Option<string?>("--config") { Description = "The PRR's configuration.", Required = true, HelpName = "FILE" };
        Option<string?> fromInternet = Input("--from-internet", "IPv4 that comes from the Internet."), fromSmap = Input("--from-smap", "IPv6 that comes from SMAPs.");
        Option<string?> toInternet = Output("--to-internet", "IPv4 that goes to the Internet."), toSmap = Output("--to-smap", "IPv6 that goes to SMAPs.");
        Option<string?> counters = Output("--counters", "Every counter, as one JSON object {name: integer}.");
        var json = new Option<bool>("--json") { Description = "Print the counters to standard output as JSON, instead of a summary." };
        var command = new Command("replay", "Run captures through the data plane offline, and write what it would send.")
        {
            config, fromInternet, fromSmap, toInternet, toSmap, counters, json,
        };
        command.Validators.Add(result =>
        {
            if (result.GetResult(fromInternet) is null && result.GetResult(fromSmap) is null)
                result.AddError("Give a capture to replay: --from-internet or --from-smap, or both.");
        });
        command.SetAction(parse =>
        {
            var files = new ReplayFiles(parse.GetValue(fromInternet), parse.GetValue(fromSmap), parse.GetValue(toInternet), parse.GetValue(toSmap));
            ReplayResult result = Replay.OfPrr(ConfigurationFile.LoadPrr(parse.GetValue(config)!), files);
            if (parse.GetValue(counters) is { } path) CaptureFile.WriteJson(path, result.WriteJson);
            if (parse.GetValue(json)) PrintJson(result);
            else PrintSummary(result);
        });
        return command;
    }

    static Option<string?> Input(string name, string what) => new(name) { Description = what + " A pcap or pcapng file.", HelpName = "CAPTURE" };

    static Option<string?> Output(string name, string what) => new(name) { Description = what, HelpName = "FILE" };

    static void PrintJson(ReplayResult result)
    {
        using Stream output = Console.OpenStandardOutput();
        using (var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true })) result.WriteJson(writer);
        output.Write("\n"u8);
    }

    /// <summary>To standard error: the results are in files, and standard output stays free for --json.</summary>
    static void PrintSummary(ReplayResult result)
    {
        foreach (string line in result.Summary()) Console.Error.WriteLine(line);
    }
}
