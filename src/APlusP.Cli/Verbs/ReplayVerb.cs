using System.CommandLine;
using System.Text.Json;
using APlusP.Node.Configuration;
using APlusP.Node.Offline;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp replay</c>: captures in, captures and counters out, through the data plane of a PRR or a SMAP.</summary>
static class ReplayVerb
{
    public static Command Create()
    {
        var config = new Option<string?>("--config") { Description = "The PRR's configuration; its captures are the four of Internet and SMAP." };
        var smap = new Option<string?>("--smap") { Description = "The SMAP's configuration, instead; its captures are the four of LAN and PRR." };
        Option<string?> fromInternet = Input("--from-internet", "IPv4 that comes from the Internet."), fromSmap = Input("--from-smap", "IPv6 that comes from SMAPs.");
        Option<string?> toInternet = Output("--to-internet", "IPv4 that goes to the Internet."), toSmap = Output("--to-smap", "IPv6 that goes to SMAPs.");
        Option<string?> fromLan = Input("--from-lan", "IPv4 that comes from the LAN."), fromPrr = Input("--from-prr", "IPv6 that comes from the PRR.");
        Option<string?> toLan = Output("--to-lan", "IPv4 that goes to the LAN."), toPrr = Output("--to-prr", "IPv6 that goes to the PRR.");
        Option<string?> counters = Output("--counters", "Every counter, as one JSON object {name: integer}.");
        var json = new Option<bool>("--json") { Description = "Print the counters to standard output as JSON, instead of a summary." };
        Option<string?>[] ofPrr = [fromInternet, fromSmap, toInternet, toSmap], ofSmap = [fromLan, fromPrr, toLan, toPrr];
        var command = new Command("replay", "Run captures through the data plane offline, and write what it would send.")
        {
            config, smap, fromInternet, fromSmap, toInternet, toSmap, fromLan, fromPrr, toLan, toPrr, counters, json,
        };
        command.Validators.Add(result =>
        {
            bool isPrr = result.GetResult(config) is not null, isSmap = result.GetResult(smap) is not null;
            if (isPrr == isSmap)
            {
                result.AddError("Give either --config PRR.TOML or --smap SMAP.TOML.");
                return;
            }

            foreach (Option<string?> stray in isPrr ? ofSmap : ofPrr)
                if (result.GetResult(stray) is not null) result.AddError($"{stray.Name} belongs to {(isPrr ? "--smap, not to --config" : "--config, not to --smap")}.");
            if ((isPrr ? ofPrr : ofSmap).Take(2).All(input => result.GetResult(input) is null))
                result.AddError($"Give a capture to replay: {(isPrr ? "--from-internet or --from-smap" : "--from-lan or --from-prr")}, or both.");
        });
        command.SetAction(parse =>
        {
            ReplayFiles Files(Option<string?>[] four) =>
                new(parse.GetValue(four[0]), parse.GetValue(four[1]), parse.GetValue(four[2]), parse.GetValue(four[3]));
            ReplayResult result = parse.GetValue(config) is { } prr
                ? Replay.OfPrr(ConfigurationFile.LoadPrr(prr), Files(ofPrr))
                : Replay.OfSmap(ConfigurationFile.LoadWholeSmap(parse.GetValue(smap)!), Files(ofSmap));
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
