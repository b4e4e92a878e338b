using System.CommandLine;
using APlusP.Lab;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp demo</c>: two homes behind one IPv4 address, shown on one screen, then taken away.</summary>
static class DemoVerb
{
    const string Name = "demo";

    public static Command Create()
    {
        var keep = new Option<bool>("--keep") { Description = "Leave the lab up afterwards, to look around; `aplusp lab down demo` removes it." };
        var command = new Command("demo", "Show two homes sharing one IPv4 address, with real programs (root, some seconds).") { keep };
        command.SetAction(parse => Run(parse.GetValue(keep)));
        command.Add(ZeroTouchDemo.Create());
        command.Add(SurveyDemo.Create());
        return command;
    }

    static int Run(bool keep)
    {
        using var interruption = new Interruption();
        bool done = false;
        RunningLab.Down(Name);
        try
        {
            RunningLab lab = RunningLab.Up(LabPlan.Fig22(Name), LabVerb.Executable, Progress, interruption.Token);
            Demonstration shown = Demonstration.Run(lab, Progress, interruption.Token);
            Show(shown);
            done = shown.Succeeded;
            return done ? 0 : 1;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("aplusp: interrupted; the lab is removed.");
            return 130;
        }
        finally
        {
            if (keep && done) Console.WriteLine("The lab 'demo' stays up: `aplusp lab status demo`, `aplusp lab down demo`.");
            else RunningLab.Down(Name);
        }
    }

    internal static void Progress(string step) => AnsiConsole.MarkupLineInterpolated($"[grey]{step} ...[/]");

    static void Show(Demonstration shown)
    {
        AnsiConsole.WriteLine();
        AnsiConsole.MarkupLineInterpolated($"[bold]Two homes, {shown.Hosts.Count} hosts, one IPv4 address: {string.Join(", ", shown.Addresses)}[/]");
        var table = new Table { Border = TableBorder.Rounded };
        table.AddColumns("Home", "Its ports", "Host", "Pages", "In use", "Ports that servers saw");
        table.Columns[3].RightAligned();
        table.Columns[4].RightAligned();
        RoomPlan? previous = null;
        foreach (DemonstratedHost host in shown.Hosts)
        {
            bool first = host.Room != previous;
            previous = host.Room;
            table.AddRow(
                new Text(first ? host.Room.Name : ""),
                new Text(first ? host.Room.Ports : ""),
                new Text(host.Name),
                new Text($"{host.Requests}"),
                new Text($"{host.Held}"),
                new Text($"{host.Ports.Count}: {Shorten(host.Ports)}"));
        }

        AnsiConsole.Write(table);
        IReadOnlyDictionary<string, long> prr = shown.PrrCounters;
        foreach (RoomPlan room in shown.Hosts.Select(host => host.Room).Distinct())
            AnsiConsole.MarkupLineInterpolated($"[grey]{room.Name} is the softwire from {room.Softwire} to the PRR, path MTU {room.PathMtu}[/]");
        AnsiConsole.MarkupLineInterpolated($"All at the same time, in {shown.Elapsed.TotalSeconds:F1} s. The PRR's counters: {prr.GetValueOrDefault("from-smap-forwarded"):N0} packets");
        AnsiConsole.MarkupLineInterpolated($"forwarded to the Internet, {prr.GetValueOrDefault("from-internet-forwarded"):N0} to the rooms.");
        AnsiConsole.WriteLine();
        DemonstratedSpoof spoof = shown.Spoof;
        AnsiConsole.MarkupLine("[bold]One lie: room 1 sends from a port of room 2[/]");
        AnsiConsole.MarkupLineInterpolated($"  {spoof.Packet}");
        AnsiConsole.MarkupLineInterpolated($"  {spoof.Counter}: {spoof.Before} before, {spoof.After} after");
        AnsiConsole.MarkupLineInterpolated($"  at the server {(spoof.Arrived ? "it ARRIVED" : "nothing arrived")}");
        AnsiConsole.WriteLine();
        foreach (DemonstratedFact fact in shown.Facts)
            Show(fact);
    }

    internal static void Show(DemonstratedFact fact) => AnsiConsole.MarkupLine($"{(fact.True ? "[green]  ok  [/]" : "[red] WRONG[/]")} {Markup.Escape(fact.Text)}");

    static string Shorten(IReadOnlyList<int> ports) =>
        ports.Count <= 4 ? string.Join(' ', ports) : $"{ports[0]} {ports[1]} ... {ports[^1]}";
}
