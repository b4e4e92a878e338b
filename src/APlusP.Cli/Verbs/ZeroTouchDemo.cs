using System.CommandLine;
using APlusP.Lab;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp demo zero-touch</c>: homes that nobody configured come up, grow and are revoked.</summary>
static class ZeroTouchDemo
{
    const int Homes = 3;

    public static Command Create()
    {
        var command = new Command("zero-touch", "Show homes that come up with a token alone, from a registry and a PRR without a binding: one grows under load, one is revoked (root, some seconds).");
        command.SetAction(_ => Run());
        return command;
    }

    static int Run()
    {
        using var interruption = new Interruption();
        try
        {
            using var lab = new ZeroTouchLab("zero-touch", LabVerb.Executable, Homes);
            ZeroTouchDemonstration shown = ZeroTouchDemonstration.Run(lab, DemoVerb.Progress, interruption.Token);
            Show(shown);
            return shown.Succeeded ? 0 : 1;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("aplusp: interrupted; the lab is removed.");
            return 130;
        }
    }

    static void Show(ZeroTouchDemonstration shown)
    {
        AnsiConsole.WriteLine();
        AnsiConsole.MarkupLineInterpolated($"[bold]{shown.Homes.Count} homes that nobody configured[/]");
        var table = new Table { Border = TableBorder.Rounded };
        table.AddColumns("Home", "Its name", "Its end of the softwire", "Its ports", "First page after", "The server saw");
        foreach ((int number, DemonstratedHome home) in shown.Homes.Index())
            table.AddRow(new Text($"{number + 1}"), new Text(home.Subscriber), new Text(home.Softwire), new Text(home.Ports), new Text($"{home.Took.TotalSeconds:F1} s"), new Text($"{home.Seen}"));
        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated($"Home 1 opened {shown.Growth.Connections} connections: it had {shown.Growth.Before} ports, and has {shown.Growth.After}.");
        AnsiConsole.MarkupLineInterpolated($"Home {shown.Homes.Count} was revoked. Its SMAP is {shown.Farewell}");
        AnsiConsole.WriteLine();
        foreach ((string question, string answer) in shown.Answers)
        {
            AnsiConsole.MarkupLineInterpolated($"[bold]$ {question}[/]");
            AnsiConsole.MarkupLineInterpolated($"{answer}");
        }

        AnsiConsole.WriteLine();
        foreach (DemonstratedFact fact in shown.Facts) DemoVerb.Show(fact);
    }
}
