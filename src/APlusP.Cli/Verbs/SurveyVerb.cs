using System.CommandLine;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Connections;
using APlusP.Survey;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Readers;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp survey</c>: how many ports hosts and applications use.</summary>
static class SurveyVerb
{
    public static Command Create()
    {
        Command command = SurveyCollectVerb.Create();
        command.Add(Import());
        command.Add(Stats());
        command.Add(Rules());
        return command;
    }

    static Command Import()
    {
        var options = new SurveyOptions();
        var files = new Argument<string[]>("file") { Description = "Saved tables: /proc/net/nf_conntrack, conntrack -L, or counts under a heading 'Date Ports DNS ...'.", Arity = ArgumentArity.OneOrMore };
        var at = new Option<string?>("--at") { Description = "When the first file was taken: seconds since 1970, or 2026-11-24T14:03:00Z. When left out: one period after the survey's last sample, or when the file was written." };
        var every = new Option<string>("--every") { Description = "How long after each file the next was taken.", DefaultValueFactory = _ => "10" };
        var command = new Command("import", "Add saved files to a survey, each a sample.") { files, options.Store, at, every, options.Inside, options.Rules, options.Addresses, options.Key };
        command.SetAction(parsed =>
        {
            var clock = new ImportClock(parsed.GetValue(at) is { } text ? SurveyOptions.Time("--at", text) : null, SurveyOptions.Period("--every", parsed.GetValue(every)!));
            ApplicationRules rules = options.ReadRules(parsed);
            InsideNetworks inside = options.ReadInside(parsed);
            string[] paths = parsed.GetValue(files)!;
            using SurveyStore store = options.OpenToAdd(parsed, rules);
            Importer.Import(store, paths, clock, rules, inside, Tell);
            Console.Error.WriteLine($"{store.Path}: {store.Samples:N0} sample(s) of {store.Hosts.Count:N0} host(s)");
        });
        return command;
    }

    /// <summary>Lines that were left out, where they are.</summary>
    static void Tell(string file, FileResult result)
    {
        foreach ((long line, string what) in result.Faults.First) Console.Error.WriteLine($"{file}:{line}: warning {ErrorCodes.SurveyLineFault}: {what}");
        if (result.Faults.Count > result.Faults.First.Count) Console.Error.WriteLine($"{file}: {result.Faults.Count - result.Faults.First.Count:N0} more lines were not understood");
        if (result.Beyond > 0) Console.Error.WriteLine($"{file}: {result.Beyond:N0} connections more than the {TickCounter.DefaultLimit:N0} that are counted were left out");
    }

    static Command Stats()
    {
        var options = new SurveyOptions();
        var command = new Command("stats", "Tell how many ports a host has in use, and for what.") { options.Store, options.Family, options.Host, options.Key, options.Json };
        command.SetAction(parsed =>
        {
            using SurveyStore store = options.Open(parsed);
            SurveyStatistics statistics = SurveyStatistics.Of(store, options.ReadPart(parsed, store));
            if (parsed.GetValue(options.Json)) Console.WriteLine(JsonSerializer.Serialize(StatisticsDocument.Of(statistics), SurveyJson.Default.StatisticsDocument));
            else Print(statistics);
        });
        return command;
    }

    static void Print(SurveyStatistics statistics)
    {
        AnsiConsole.WriteLine($"{statistics.Samples:N0} sample(s), {statistics.Hosts:N0} host(s); a value is one host at one sample");
        Table ports = Simple("ports of a host", "mean", "max", "p50", "p95", "p99");
        AddRow(ports, "in use (endpoint-independent NAPT)", statistics.Ports);
        if (statistics.MinimumPorts.Count > 0) AddRow(ports, "least (5-tuple NAPT)", statistics.MinimumPorts);
        if (statistics.PeakPorts.Sum > statistics.Ports.Sum) AddRow(ports, "peak between samples", statistics.PeakPorts);
        AnsiConsole.Write(ports);

        Table applications = Simple("application", "mean", "share");
        for (int i = 0; i < statistics.Applications.Count; i++)
            if (statistics.ByApplication[i] > 0) applications.AddRow(statistics.Applications[i], $"{statistics.MeanOf(i):0.00}", $"{statistics.ShareOf(i):0.00} %");
        AnsiConsole.Write(applications);

        Table others = Simple("protocol", "share");
        foreach ((string name, long count) in new[] { "tcp", "udp", "icmp", "unknown or other" }.Zip(statistics.ByProtocol))
            if (count > 0) others.AddRow(name, $"{100.0 * count / statistics.Ports.Sum:0.00} %");
        AnsiConsole.Write(others);
        if (statistics.ByProtocol[0] == 0) return;
        Table states = Simple("TCP state", "share");
        foreach (TcpState state in Enum.GetValues<TcpState>())
            if (statistics.ByState[(int)state] is > 0 and var count) states.AddRow(state.ToString(), $"{100.0 * count / statistics.ByProtocol[0]:0.00} %");
        AnsiConsole.Write(states);
    }

    static Table Simple(string first, params string[] others)
    {
        Table table = new Table { Border = TableBorder.Simple }.AddColumn(first);
        foreach (string other in others) table.AddColumn(new TableColumn(other).RightAligned());
        return table;
    }

    static void AddRow(Table table, string what, Distribution values) =>
        table.AddRow(what, $"{values.Mean:0.00}", $"{values.Max:N0}", $"{values.Percentile(50):N0}", $"{values.Percentile(95):N0}", $"{values.Percentile(99):N0}");

    static Command Rules()
    {
        var command = new Command("rules", "Print which application a port is of, as a file to begin one's own with.");
        command.SetAction(_ => Console.Write(ApplicationRules.StandardText));
        return command;
    }
}
