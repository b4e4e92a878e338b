using System.CommandLine;
using APlusP.Survey.Models;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp lab models</c>: the traffic models that come along.</summary>
static class LabModelsVerb
{
    public static Command Create()
    {
        var name = new Argument<string?>("name") { Description = "Print the file of this model, to read, or to begin one's own with.", Arity = ArgumentArity.ZeroOrOne };
        var check = new Option<string?>("--check") { Description = "Read a file of your own, say what is wrong with it, and what it comes to.", HelpName = "FILE" };
        var command = new Command("models", "List the traffic models that come along: what applications do on the network, in numbers.") { name, check };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(name) is { } one) Console.Write(ModelLibrary.TextOf(one));
            else if (parsed.GetValue(check) is { } file) Print([ModelLibrary.Find(file)]);
            else Print([.. ModelLibrary.Names.Select(ModelLibrary.Get)]);
        });
        return command;
    }

    static void Print(IReadOnlyList<TrafficModel> models)
    {
        Table table = new Table { Border = TableBorder.Simple }.AddColumn("model").AddColumn(new TableColumn("seconds").RightAligned()).AddColumn(new TableColumn("flows").RightAligned())
            .AddColumn("most ports at once").AddColumn("what it is");
        foreach (TrafficModel model in models)
        {
            var timeline = Timeline.Of(model, seed: 1);
            string[] applications = [.. timeline.Flows.Select(flow => flow.Remote.Application).Distinct()];
            table.AddRow(
                new Text(model.Name), new Text($"{model.Length.TotalSeconds:0}"), new Text($"{timeline.Flows.Count:N0}"),
                new Text(string.Join(", ", applications.Select(application => $"{application} {timeline.Peak(PortLifetimes.OfConntrack, flow => flow.Remote.Application == application):N0}"))), new Text(model.About));
        }

        AnsiConsole.Write(table);
        AnsiConsole.WriteLine("Ports are counted as Linux tracks connections: a question of DNS for 30 s, a closed connection of TCP for 120 s.");
    }
}
