using System.CommandLine;
using System.Text.Json;
using APlusP.Core;
using APlusP.Survey.Planning;
using APlusP.Survey.Storage;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp plan</c>: how many ports a subscriber needs, and how many addresses that takes.</summary>
static class PlanVerb
{
    const string StandardSizes = "10,50,100,128,200,256,400,500,1000,2000";

    public static Command Create()
    {
        var survey = new Option<string?>("--survey") { Description = "What was measured: a file of 'aplusp survey'.", HelpName = "FILE" };
        var assume = new Option<string[]>("--assume") { Description = "In place of a survey: erlangs=100 (mean ports in use), or ports=500; and ipv6-share=0.8. May be given several times.", HelpName = "KEY=VALUE" };
        var refusal = new Option<double>("--refusal") { Description = "The share of flows that may be refused.", DefaultValueFactory = _ => 0.001 };
        var percentile = new Option<double>("--percentile") { Description = "Of a survey: for so many hosts in 100.", DefaultValueFactory = _ => 99 };
        var population = new Option<int?>("--population") { Description = "Subscribers to be served." };
        var block = new Option<int>("--block") { Description = "Of a survey: ports of a block, where they are given as they are needed (RFC 6346 section 5.2).", DefaultValueFactory = _ => 128 };
        var sizes = new Option<string>("--ports") { Description = "Of a survey: sizes of port sets to tell of.", DefaultValueFactory = _ => StandardSizes };
        var write = new Option<string?>("--write") { Description = "Write the plan as a registry's configuration; takes --pool.", HelpName = "FILE" };
        var pool = new Option<string[]>("--pool") { Description = "A prefix of shared IPv4 addresses for --write. May be given several times.", HelpName = "PREFIX" };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("plan", "Tell how many ports a subscriber needs, and how many subscribers an address serves.") { survey, assume, refusal, percentile, population, block, sizes, write, pool, json };
        command.Validators.Add(result =>
        {
            bool measured = result.GetResult(survey) is not null, assumed = result.GetResult(assume) is not null;
            if (measured == assumed) result.AddError("Give either --survey FILE or --assume KEY=VALUE.");
            if (result.GetResult(write) is not null && result.GetResult(pool) is null) result.AddError("--write takes --pool PREFIX, the addresses that are shared.");
        });
        command.SetAction(parsed =>
        {
            PlanQuestion question = Question(parsed.GetValue(refusal), parsed.GetValue(population), parsed.GetValue(block), parsed.GetValue(percentile), parsed.GetValue(sizes)!);
            PlanDocument plan;
            if (parsed.GetValue(survey) is { } path)
            {
                using SurveyStore store = SurveyStore.Open(path);
                plan = Plan.Survey(store, question);
            }
            else
            {
                plan = Plan.Assume(Assumptions.Read(parsed.GetValue(assume)!), question);
            }

            if (parsed.GetValue(write) is { } file) Write(file, PoolConfiguration.Write(plan, parsed.GetValue(pool) ?? []));
            if (parsed.GetValue(json)) Console.WriteLine(JsonSerializer.Serialize(plan, PlanJson.Default.PlanDocument));
            else Print(plan);
        });
        return command;
    }

    static PlanQuestion Question(double refusal, int? population, int block, double percentile, string sizes)
    {
        if (refusal is not (> 0 and < 1)) throw Wrong($"--refusal is {refusal}, but it is a share above 0 and less than 1, such as 0.001");
        if (population is < 1 or > 1_000_000_000) throw Wrong($"--population is {population}, but it is from 1 to a milliard");
        if (block is < 1 or > Plan.PortsOfAddress) throw Wrong($"--block is {block}, but it is from 1 to {Plan.PortsOfAddress}");
        if (percentile is not (> 0 and <= 100)) throw Wrong($"--percentile is {percentile}, but it is above 0 and at most 100");
        return new PlanQuestion(refusal, population, block, percentile, Sizes(sizes));
    }

    /// <summary>Sizes of port sets, between commas.</summary>
    internal static IReadOnlyList<int> Sizes(string sizes) => [.. sizes.Split(',', StringSplitOptions.TrimEntries).Select(text =>
        int.TryParse(text, out int size) && size is >= 1 and <= 65536 ? size : throw Wrong($"--ports: '{text}' is no size of a port set, from 1 to 65536"))];

    static APlusPException Wrong(string what) => new(ErrorCodes.PlanAssumption, $"{what}.");

    static void Write(string file, string text)
    {
        try
        {
            File.WriteAllText(file, text);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new APlusPException(ErrorCodes.SurveySettings, $"{file} cannot be written: {error.Message}", error);
        }
    }

    internal static void Print(PlanDocument plan)
    {
        AnsiConsole.WriteLine($"{plan.PortsPerSubscriber:N0} ports for each subscriber, {plan.SubscribersPerAddress:N0} subscribers an address{(plan.SubscribersPerAddressShared is { } shared ? $"; {shared:N0} where ports are shared as they are needed" : "")}");
        if (plan.EndpointIndependent is { } one) PrintReplay("endpoint-independent NAPT", one);
        if (plan.FiveTuple is { } other) PrintReplay("5-tuple NAPT", other);
        if (plan.JointPeaks is { } joint)
        {
            Table table = Simple("users", "ports at once", "95 of 100 draws");
            foreach (JointPeakLine line in joint) table.AddRow($"{line.Users:N0}", $"{line.Mean:N0}", $"{line.Low:N0} to {line.High:N0}");
            AnsiConsole.WriteLine($"peaks of users together, in blocks of {plan.Block:N0} ports");
            AnsiConsole.Write(table);
        }

        if (plan.Alternatives is { } ways)
        {
            Table table = Simple($"for {plan.Population:N0} subscribers", "addresses", "log a day", "octets more a packet", "flows are known");
            foreach (AlternativeDocument way in ways)
                table.AddRow(way.Way, $"{way.Addresses:N0}", way.LogOctetsPerDay == 0 ? "a line a lease" : $"{way.LogOctetsPerDay / 1e9:N1} GB", $"{way.HeaderOctets}", way.State == "home" ? "in the home" : "at the operator");
            AnsiConsole.Write(table);
        }

        if (plan.IPv6Share is { } v6) AnsiConsole.WriteLine($"IPv6 has {v6:P1} of all ports in use, and takes none of these");
        if (plan.Savings is { Count: > 0 } savings)
        {
            Table table = Simple("what frees ports", "share", "then a set has", "subscribers an address");
            foreach (SavingDocument saving in savings) table.AddRow(saving.Measure, $"{saving.Freed:P1}", $"{saving.PortsPerSubscriber:N0}", $"{saving.SubscribersPerAddress:N0}");
            AnsiConsole.Write(table);
        }

        if (plan.Recommendation is { } recommended) AnsiConsole.WriteLine($"Recommended: {(recommended == "fixed" ? "fixed port sets" : "blocks as they are needed")}.");
        foreach (string reason in plan.Reasons ?? []) AnsiConsole.WriteLine($"- {reason}");
    }

    static void PrintReplay(string mode, ReplayDocument replay)
    {
        AnsiConsole.WriteLine($"{mode}: {replay.Enough:N0} ports are enough; at most {replay.Most:N0} were wanted, {replay.Mean:0.0} in the mean; by Erlang's formula {replay.ErlangPorts:N0}");
        Table table = Simple("ports", "time short: median host", "p95", "p99", "worst", "flows refused: median host", "p95", "p99", "worst");
        foreach (ReplayLine line in replay.Sizes)
            table.AddRow([$"{line.Ports:N0}", .. Cells(line.Time), .. Cells(line.Flows)]);
        AnsiConsole.Write(table);
    }

    static IEnumerable<string> Cells(HostShares shares) => new[] { shares.P50, shares.P95, shares.P99, shares.Worst }.Select(share => $"{share:P2}");

    static Table Simple(params string[] columns)
    {
        var table = new Table { Border = TableBorder.Simple };
        foreach (string column in columns) table.AddColumn(new TableColumn(column).RightAligned());
        return table;
    }
}
