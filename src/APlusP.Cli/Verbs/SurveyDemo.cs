using System.CommandLine;
using APlusP.Lab;
using APlusP.Lab.Traffic;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp demo survey</c>: a live lab is surveyed, and a report and a plan are left.</summary>
static class SurveyDemo
{
    const string Name = "demosurvey";

    public static Command Create()
    {
        var output = new Option<string>("--out", "-o") { Description = "Where the report, its pictures, the plan and the survey go.", DefaultValueFactory = _ => "demo-survey", HelpName = "DIRECTORY" };
        var command = new Command("survey", "Survey four homes whose hosts play traffic models, and leave a report and a plan (root, a minute).") { output };
        command.SetAction(parsed => Run(parsed.GetValue(output)!));
        return command;
    }

    static int Run(string directory)
    {
        using var interruption = new Interruption();
        RunningLab.Down(Name);
        try
        {
            RunningLab lab = RunningLab.Up(SurveyDemonstration.LabOf(Name), LabVerb.Executable, DemoVerb.Progress, interruption.Token);
            SurveyDemonstration shown = SurveyDemonstration.Run(lab, directory, DemoVerb.Progress, interruption.Token);
            Show(shown);
            return shown.Succeeded ? 0 : 1;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("aplusp: interrupted; the lab is removed.");
            return 130;
        }
        finally
        {
            RunningLab.Down(Name);
        }
    }

    static void Show(SurveyDemonstration shown)
    {
        AnsiConsole.WriteLine();
        SurveyVerb.Print(shown.Statistics);
        PlanVerb.Print(shown.Plan);
        AnsiConsole.WriteLine();
        foreach (string file in shown.Files) AnsiConsole.WriteLine($"  {Path.GetFullPath(file)}");
        AnsiConsole.WriteLine();
        foreach (DemonstratedFact fact in shown.Facts) DemoVerb.Show(fact);
    }
}
