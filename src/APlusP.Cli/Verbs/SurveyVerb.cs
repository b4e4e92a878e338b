using System.CommandLine;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Connections;
using APlusP.Survey;
using APlusP.Survey.Counting;
using APlusP.Survey.Export;
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
        command.Add(SurveyReportVerb.Create());
        command.Add(Export());
        foreach (Command sites in SurveySitesVerb.Create()) command.Add(sites);
        command.Add(Rules());
        command.Add(Bench());
        return command;
    }

    static Command Import()
    {
        var options = new SurveyOptions();
        var files = new Argument<string[]>("file") { Description = "Saved tables: /proc/net/nf_conntrack, conntrack -L, or counts under a heading 'Date Ports DNS ...'; or captures, pcap or pcapng; or page loads that a browser saved as HAR.", Arity = ArgumentArity.OneOrMore };
        var at = new Option<string?>("--at") { Description = "When the first file was taken: seconds since 1970, or 2026-11-24T14:03:00Z. When left out: one period after the survey's last sample, or when the file was written." };
        var every = new Option<string>("--every") { Description = "How long after each file the next was taken; and from one sample of a capture to the next.", DefaultValueFactory = _ => "10" };
        var command = new Command("import", "Add saved files to a survey: of each table a sample, of a capture or a page load one each period.") { files, options.Store, at, every, options.Inside, options.Rules, options.Addresses, options.Key };
        command.SetAction(parsed =>
        {
            DateTimeOffset? first = parsed.GetValue(at) is { } text ? SurveyOptions.Time("--at", text) : null;
            TimeSpan period = SurveyOptions.Period("--every", parsed.GetValue(every)!);
            ApplicationRules rules = options.ReadRules(parsed);
            var reading = new SurveyReading(rules, options.ReadInside(parsed), period);
            string[] paths = parsed.GetValue(files)!;
            using SurveyStore store = options.OpenToAdd(parsed, rules);
            Importer.Import(store, paths, first, reading, Tell);
            Console.Error.WriteLine($"{store.Path}: {store.Samples:N0} sample(s) of {store.Hosts.Count:N0} host(s)");
        });
        return command;
    }

    /// <summary>Lines that were left out, where they are.</summary>
    static void Tell(string file, FileResult result)
    {
        if (result.Damage is { } damage) Console.Error.WriteLine($"{file}: warning {ErrorCodes.CaptureDamaged}: {damage} What came before was kept.");
        foreach ((long line, string what) in result.Faults.First) Console.Error.WriteLine($"{file}:{line}: warning {ErrorCodes.SurveyLineFault}: {what}");
        if (result.Faults.Count > result.Faults.First.Count) Console.Error.WriteLine($"{file}: {result.Faults.Count - result.Faults.First.Count:N0} more lines were not understood");
        if (result.Beyond > 0) Console.Error.WriteLine($"{file}: {result.Beyond:N0} connections more than the {TickCounter.DefaultLimit:N0} that are counted were left out");
    }

    static Command Stats()
    {
        var options = new SurveyOptions();
        var byHost = new Option<bool>("--by-host") { Description = "Which host had how many, and for what: with --family 4, who still needs IPv4." };
        var command = new Command("stats", "Tell how many ports a host has in use, and for what.") { options.Store, options.Family, options.Host, options.Key, options.Baseline, byHost, options.Json };
        command.SetAction(parsed =>
        {
            using SurveyStore store = options.Open(parsed);
            SurveyPart part = options.ReadPart(parsed, store);
            SurveyStatistics statistics = SurveyStatistics.Of(store, part);
            IReadOnlyList<HostUse>? hosts = parsed.GetValue(byHost) ? HostUse.Of(store, part) : null;
            ApplicationProfile? profile = options.ReadBaseline(parsed, store) is { } baseline ? ApplicationProfile.Of(store, part, baseline) : null;
            if (parsed.GetValue(options.Json))
            {
                StatisticsDocument document = StatisticsDocument.Of(statistics) with
                {
                    Profile = profile is null ? null : ProfileDocument.Of(profile),
                    ByHost = hosts is null ? null : [.. hosts.Select(h => HostUseDocument.Of(h, store.Applications))],
                };
                Console.WriteLine(JsonSerializer.Serialize(document, SurveyJson.Default.StatisticsDocument));
                return;
            }

            Print(statistics);
            if (profile is not null) Print(profile);
            if (hosts is not null) Print(hosts, store.Applications);
        });
        return command;
    }

    internal static void Print(SurveyStatistics statistics)
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

    static void Print(ApplicationProfile profile)
    {
        AnsiConsole.WriteLine($"ports of all hosts above the baseline ({profile.BaselineSamples:N0} sample(s), their medians)");
        Table table = Simple("application", "baseline", "max", "mean", "at the end");
        foreach (int i in profile.Ranking) table.AddRow(profile.Applications[i], $"{profile.BaselineOf(i):N0}", $"{profile.MostOf(i):N0}", $"{profile.MeanOf(i):0.00}", $"{profile.LastOf(i):N0}");
        AnsiConsole.Write(table);
    }

    static void Print(IReadOnlyList<HostUse> hosts, IReadOnlyList<string> applications)
    {
        Table table = Simple("host", "samples", "mean", "max").AddColumn("for what (mean)");
        foreach (HostUse host in hosts)
            table.AddRow(host.Host.Name.EscapeMarkup(), $"{host.Samples:N0}", $"{host.Mean:0.00}", $"{host.Most:N0}", string.Join(", ", host.Applications.Select(a => $"{applications[a.Application]} {a.Mean:0.00}")).EscapeMarkup());
        AnsiConsole.Write(table);
    }

    static Table Simple(string first, params string[] others)
    {
        Table table = new Table { Border = TableBorder.Simple }.AddColumn(first);
        foreach (string other in others) table.AddColumn(new TableColumn(other).RightAligned());
        return table;
    }

    static void AddRow(Table table, string what, Distribution values) =>
        table.AddRow(what, $"{values.Mean:0.00}", $"{values.Max:N0}", $"{values.Percentile(50):N0}", $"{values.Percentile(95):N0}", $"{values.Percentile(99):N0}");

    static Command Export()
    {
        var options = new SurveyOptions();
        var hosts = new Option<bool>("--hosts") { Description = "A row for each host at each sample, in place of one for all of them." };
        var parquet = new Option<string?>("--parquet") { Description = "Write Parquet to this file, in place of CSV to the terminal.", HelpName = "FILE" };
        var command = new Command("export", "Print a survey as CSV: a row for each sample, as the report's table I; 'survey import' reads that again.") { options.Store, options.Family, options.Host, options.Key, hosts, parquet };
        command.SetAction(async (parsed, _) =>
        {
            using SurveyStore store = options.Open(parsed);
            SurveyPart part = options.ReadPart(parsed, store);
            ExportTable table = parsed.GetValue(hosts) ? ExportTable.OfHosts(store, part) : ExportTable.OfSamples(store, part);
            if (parsed.GetValue(parquet) is { } path) await WriteParquet(table, path);
            else WriteCsv(table);
        });
        return command;
    }

    static void WriteCsv(ExportTable table)
    {
        using var output = new StreamWriter(Console.OpenStandardOutput(), bufferSize: 1 << 16);
        CsvExport.Write(table, output);
    }

    static async Task WriteParquet(ExportTable table, string path)
    {
        try
        {
            await using FileStream output = File.Create(path);
            await ParquetExport.Write(table, output);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.SurveySettings, $"--parquet: {path} cannot be written: {error.Message}", error);
        }
    }

    static Command Bench()
    {
        var store = new Option<string>("--store", "-s") { Description = "An empty survey, which then is good for nothing else.", Required = true, HelpName = "FILE" };
        var hosts = new Option<int>("--hosts") { Description = "Hosts, all of them there at each sample.", DefaultValueFactory = _ => 500 };
        var days = new Option<double>("--days") { Description = "How long it has run, at ten seconds.", DefaultValueFactory = _ => 7 };
        var command = new Command("bench", "Measure a survey of a size: how large it gets, and how long it takes to ask.") { store, hosts, days };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(hosts) is < 1 or > 100_000 || parsed.GetValue(days) is not (> 0 and <= 366)) throw new APlusPException(ErrorCodes.SurveySettings, "--hosts is from 1 to 100,000, --days above 0 and at most 366.");
            foreach (SurveyBenchLine line in SurveyBench.Run(parsed.GetValue(store)!, parsed.GetValue(hosts), parsed.GetValue(days))) Console.WriteLine($"{line.What}: {line.Value:0.00} {line.Unit}");
        });
        return command;
    }

    static Command Rules()
    {
        var command = new Command("rules", "Print which application a port is of, as a file to begin one's own with.");
        command.SetAction(_ => Console.Write(ApplicationRules.StandardText));
        return command;
    }
}
