using System.CommandLine;
using System.Text.Json;
using APlusP.Node.Control;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Live;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp survey</c> itself: samples of this machine's connections, with a view of the last one.</summary>
static class SurveyCollectVerb
{
    public static Command Create()
    {
        var options = new SurveyOptions();
        var every = new Option<string>("--every") { Description = "From one sample to the next: seconds, or 15m, 2h.", DefaultValueFactory = _ => "10" };
        var duration = new Option<string?>("--duration") { Description = "How long; until Ctrl-C when left out." };
        var source = new Option<string>("--source") { Description = "netlink, which sees what happens between samples too; proc: /proc/net/nf_conntrack; smap: the flows of the SMAP that runs here.", DefaultValueFactory = _ => "netlink" };
        source.AcceptOnlyFromAmong("netlink", "proc", "smap");
        Option<string> socket = DaemonVerbs.SmapSocketOption();
        var command = new Command("survey", "Measure how many ports hosts and applications use: samples of this machine's connections, from now on.")
        {
            options.Store, every, duration, source, socket, options.Inside, options.Rules, options.Addresses, options.Key, options.Json,
        };
        command.SetAction(parsed =>
        {
            var settings = new CollectorSettings(
                SurveyOptions.Period("--every", parsed.GetValue(every)!), parsed.GetValue(duration) is { } text ? SurveyOptions.Period("--duration", text) : null);
            ApplicationRules rules = options.ReadRules(parsed);
            InsideNetworks inside = options.ReadInside(parsed);
            using IConnectionSource connections = parsed.GetValue(source) switch
            {
                "proc" => TableSource.Proc(),
                "smap" => OfSmap(parsed.GetValue(socket)!),
                _ => new NetlinkSource(),
            };
            using SurveyStore store = options.OpenToAdd(parsed, rules);
            var collector = new Collector(store, connections, rules, inside, settings, TimeProvider.System);
            using var interruption = new Interruption();
            Run(collector, rules, settings, parsed.GetValue(options.Json), interruption.Token);
            if (!parsed.GetValue(options.Json)) Console.WriteLine($"{store.Path}: {store.Samples:N0} sample(s) of {store.Hosts.Count:N0} host(s)");
        });
        return command;
    }

    static TableSource OfSmap(string socket) => new($"the list of flows of the SMAP at {socket}", () => FlowList.Open(socket), "It may have stopped meanwhile; start it, and the survey again: it goes on in the same store.");

    static void Run(Collector collector, ApplicationRules rules, CollectorSettings settings, bool json, CancellationToken stop)
    {
        if (json)
        {
            collector.Run(sample => Console.WriteLine(JsonSerializer.Serialize(SampleDocument.Of(sample, rules), SurveyJson.Default.SampleDocument)), stop);
        }
        else if (AnsiConsole.Profile.Capabilities.Interactive && !Console.IsOutputRedirected)
        {
            AnsiConsole.Live(new Markup("waiting for the first sample")).Start(view => collector.Run(sample => view.UpdateTarget(View(sample, rules, settings)), stop));
        }
        else
        {
            collector.Run(sample => Console.WriteLine(Line(SampleDocument.Of(sample, rules))), stop);
        }
    }

    static string Line(SampleDocument sample) =>
        $"{sample.At}  {sample.Hosts:N0} host(s), {sample.Ports:N0} port(s), at most {sample.Most:N0} of one, {sample.Peak:N0} between samples; took {sample.Milliseconds:0} ms{(sample.EventsMissed ? "; events were missed" : "")}";

    static Table View(CollectedSample taken, ApplicationRules rules, CollectorSettings settings)
    {
        SampleDocument sample = SampleDocument.Of(taken, rules);
        Table table = new Table { Border = TableBorder.Simple, ShowHeaders = false }.AddColumn("").AddColumn(new TableColumn("").RightAligned());
        table.AddRow("sample", sample.At);
        table.AddRow("elapsed", $"{taken.Elapsed:d\\.hh\\:mm\\:ss}{(settings.Duration is { } whole ? $" of {whole:d\\.hh\\:mm\\:ss}" : "")}");
        table.AddRow("hosts", $"{sample.Hosts:N0}");
        table.AddRow("ports", $"{sample.Ports:N0}");
        table.AddRow("most of one host", $"{sample.Most:N0}");
        table.AddRow("its peak between samples", $"{sample.Peak:N0}");
        foreach ((string name, int ports) in sample.Applications)
            if (ports > 0) table.AddRow($"  {name}", $"{ports:N0}");
        table.AddRow("dump and count", $"{sample.Milliseconds:0} ms{(sample.EventsMissed ? ", events missed" : "")}");
        return table;
    }
}
