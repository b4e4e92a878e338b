using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using APlusP.Core;
using APlusP.Core.Forwarding;
using APlusP.Lab.Traffic;
using APlusP.Survey.Models;
using APlusP.Survey.Planning;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp lab whatif</c>: the same load at each size of port set, predicted and measured.</summary>
static class LabWhatIfVerb
{
    public static Command Create()
    {
        var ports = new Option<string>("--ports") { Description = "Sizes of port sets to try.", DefaultValueFactory = _ => "10,50,200,1000" };
        var model = new Option<string[]>("--model") { Description = "What each user does: a model of `aplusp lab models`, or a file of your own. May be given several times, the same too. When left out: two loads, 'work' (surfing and mail) and 'everything' (all models).", HelpName = "NAME|FILE" };
        var users = new Option<int>("--users") { Description = "Hosts of each home; each does all of it, at other times.", DefaultValueFactory = _ => 1 };
        var seed = new Option<int>("--seed") { Description = "The same seed gives the same flows.", DefaultValueFactory = _ => 1 };
        var duration = new Option<string>("--duration") { Description = "How long the load lasts, in its own time: seconds, or 15m, 2h.", DefaultValueFactory = _ => "600" };
        var scale = new Option<double>("--time-scale") { Description = "How many times as fast it is played. The SMAPs' timers are shorter by as much.", DefaultValueFactory = _ => 10 };
        var mode = new Option<string>("--mode") { Description = "How the SMAPs give ports: endpoint-independent, their default, or five-tuple.", DefaultValueFactory = _ => NaptModes.NameOf(NaptMode.EndpointIndependent) };
        mode.AcceptOnlyFromAmong([.. NaptModes.Names]);
        var name = new Option<string>("--name") { Description = "Name of the lab that is built for it, and removed.", DefaultValueFactory = _ => "whatif" };
        var predict = new Option<bool>("--predict") { Description = "Only say what is to be expected: plays nothing, and takes no root." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("whatif", "Play the same load at several sizes of port set, through real SMAPs, and hold what they refuse against what the planner expects (root, a minute).") { ports, model, users, seed, duration, scale, mode, predict, name, json };
        command.SetAction(parsed =>
        {
            var settings = new WhatIfSettings(
                [.. PlanVerb.Sizes(parsed.GetValue(ports)!).Distinct().Order()], Loads(parsed.GetValue(model) ?? []), parsed.GetValue(users), parsed.GetValue(seed),
                SurveyOptions.Period("--duration", parsed.GetValue(duration)!), parsed.GetValue(scale), Enum.GetValues<NaptMode>().Single(m => NaptModes.NameOf(m) == parsed.GetValue(mode)));
            settings.Check();
            return parsed.GetValue(predict) ? Predict(settings, parsed.GetValue(json)) : Play(parsed.GetValue(name)!, settings, parsed.GetValue(json));
        });
        return command;
    }

    static IReadOnlyList<WhatIfLoad> Loads(string[] models) => models.Length == 0 ? WhatIfLoad.Standard : [new WhatIfLoad("load", [.. models.Select(ModelLibrary.Find)])];

    static int Predict(WhatIfSettings settings, bool json)
    {
        (int Ports, WhatIfLoad Load, LoadForecast Forecast)[] lines = [.. settings.Sizes.SelectMany(size => settings.Loads.Select(load => (size, load, settings.Forecast(load, size))))];
        if (json)
        {
            WhatIfSizeDocument[] sizes = [.. lines.GroupBy(line => line.Ports).Select(size => new WhatIfSizeDocument(size.Key, null, [.. size.Select(line => WhatIfLoadDocument.Of(line.Load.Name, line.Forecast))]))];
            Console.WriteLine(JsonSerializer.Serialize(WhatIfDocument.Of(settings, sizes), WhatIfJson.Default.WhatIfDocument));
            return 0;
        }

        Table table = Simple("ports", "load", "flows", "would be refused", "share", "plan");
        foreach ((int size, WhatIfLoad load, LoadForecast forecast) in lines) table.AddRow($"{size:N0}", load.Name, $"{forecast.Offered:N0}", $"{forecast.Refused:N0}", Percent(forecast.Share), Percent(forecast.PlannerShare));
        AnsiConsole.Write(table);
        foreach (WhatIfLoad load in settings.Loads) AnsiConsole.WriteLine($"{load.Name}: {settings.Forecast(load, 1).Wanted:N0} ports are enough for all of it");
        return 0;
    }

    static int Play(string name, WhatIfSettings settings, bool json)
    {
        using var interruption = new Interruption();
        Console.Error.WriteLine($"{settings.Sizes.Count} sizes and {settings.Loads.Count} load(s), all at the same time: this takes about {settings.Takes.TotalSeconds:0} seconds");
        try
        {
            IReadOnlyList<WhatIfLine> lines = WhatIf.Run(name, LabVerb.Executable, settings, step => Console.Error.WriteLine($"{step} ..."), interruption.Token);
            if (json)
            {
                WhatIfSizeDocument[] sizes = [.. lines.GroupBy(line => line.Ports).Select(size => new WhatIfSizeDocument(size.Key, WhatIf.VerdictOf(size), [.. size.Select(WhatIfLoadDocument.Of)]))];
                Console.WriteLine(JsonSerializer.Serialize(WhatIfDocument.Of(settings, sizes) with { LargestError = lines.Max(line => line.Error) }, WhatIfJson.Default.WhatIfDocument));
            }
            else Print(lines);
            return lines.All(line => line.Error <= WhatIf.Margin) ? 0 : 1;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("aplusp: interrupted; the lab is removed.");
            return 130;
        }
    }

    static void Print(IReadOnlyList<WhatIfLine> lines)
    {
        Table table = Simple("ports", "load", "flows", "predicted", "measured", "plan", "verdict");
        foreach (WhatIfLine line in lines)
            table.AddRow(
                $"{line.Ports:N0}", line.Load, $"{line.Forecast.Offered:N0}", $"{line.Forecast.Refused:N0} ({Percent(line.Forecast.Share)})", $"{line.RefusedByNapt:N0} ({Percent(line.Measured)})", Percent(line.Forecast.PlannerShare),
                line.Verdict.ToString().ToLowerInvariant());
        AnsiConsole.WriteLine("flows that find no port, as predicted and as the SMAPs counted them");
        AnsiConsole.Write(table);
        foreach (IGrouping<int, WhatIfLine> size in lines.GroupBy(line => line.Ports)) AnsiConsole.WriteLine($"{size.Key,7:N0} ports: {WhatIf.VerdictOf(size)}");
        double error = lines.Max(line => line.Error);
        AnsiConsole.WriteLine($"Predicted and measured differ by at most {100 * error:0.00} of 100 flows; {100 * WhatIf.Margin:0.##} are allowed{(error > WhatIf.Margin ? ", so this is WRONG" : "")}.");
        foreach (WhatIfLine line in lines)
            if (line.Refused != line.RefusedByNapt || line.TimedOut + line.Failed > 0)
                AnsiConsole.WriteLine($"{line.Ports:N0} ports, {line.Load}: the sockets heard of {line.Refused:N0} refusals; {line.TimedOut:N0} flows were never answered, {line.Failed:N0} failed otherwise{(line.Fault is null ? "" : $" ({line.Fault})")}.");
    }

    static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.0} %");

    static Table Simple(params string[] columns)
    {
        var table = new Table { Border = TableBorder.Simple };
        foreach (string name in columns)
        {
            // Narrow enough for eighty columns.
            TableColumn column = new TableColumn(name).NoWrap().PadLeft(1).PadRight(0);
            table.AddColumn(name is "load" or "verdict" ? column : column.RightAligned());
        }

        return table;
    }
}

/// <summary>What <c>aplusp lab whatif --json</c> prints. Shares are from 0 to 1; what was not measured is left out.</summary>
sealed record WhatIfDocument(double Seconds, double TimeScale, int Users, int Seed, string Mode, double Margin, IReadOnlyList<WhatIfSizeDocument> Sizes)
{
    public double? LargestError { get; init; }

    public static WhatIfDocument Of(WhatIfSettings settings, IReadOnlyList<WhatIfSizeDocument> sizes) => new(
        settings.Length.TotalSeconds, settings.Scale, settings.Users, settings.Seed, NaptModes.NameOf(settings.Mode), WhatIf.Margin, sizes);
}

sealed record WhatIfSizeDocument(int Ports, string? Verdict, IReadOnlyList<WhatIfLoadDocument> Loads);

/// <summary>A load at one size.</summary>
/// <param name="Load">Its name.</param>
/// <param name="Flows">IPv4 flows that were wanted.</param>
/// <param name="Wanted">Ports that all of it would use.</param>
/// <param name="Predicted">Flows that were to be refused.</param>
/// <param name="PredictedShare">Their share.</param>
/// <param name="PlannerShare">The share by the planner's replay of a survey.</param>
sealed record WhatIfLoadDocument(string Load, int Flows, int Wanted, int Predicted, double PredictedShare, double PlannerShare)
{
    /// <summary>By the SMAP's counters.</summary>
    public long? Measured { get; init; }

    public double? MeasuredShare { get; init; }

    /// <summary>By the sockets.</summary>
    public int? Refused { get; init; }

    public int? TimedOut { get; init; }

    public int? Failed { get; init; }

    public static WhatIfLoadDocument Of(string load, LoadForecast forecast) => new(load, forecast.Offered, forecast.Wanted, forecast.Refused, forecast.Share, forecast.PlannerShare);

    public static WhatIfLoadDocument Of(WhatIfLine line) => Of(line.Load, line.Forecast) with
    {
        Measured = line.RefusedByNapt,
        MeasuredShare = line.Measured,
        Refused = line.Refused,
        TimedOut = line.TimedOut,
        Failed = line.Failed,
    };
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(WhatIfDocument))]
sealed partial class WhatIfJson : JsonSerializerContext;
