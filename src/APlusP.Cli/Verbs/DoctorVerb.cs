using System.CommandLine;
using System.Text.Json;
using APlusP.Node.Control;
using APlusP.Node.Doctor;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp doctor</c>: what is wrong with the SMAP of this machine, and what to do about it.</summary>
static class DoctorVerb
{
    public static Command Create()
    {
        Option<string?> socket = StatusVerbs.SocketOption();
        Option<bool> json = StatusVerbs.JsonOption();
        var command = new Command("doctor", "Say what is wrong with the SMAP of this machine and its line, and what to do. Exit status 0: all is well, 1: there is a fault.") { socket, json };
        command.SetAction(async parsed =>
        {
            DoctorDocument diagnosis = await HomeDoctor.Examine(parsed.GetValue(socket));
            if (parsed.GetValue(json)) Console.WriteLine(JsonSerializer.Serialize(diagnosis, ControlJson.Default.DoctorDocument));
            else Print(diagnosis);
            return diagnosis.IsWell ? 0 : 1;
        });
        return command;
    }

    static void Print(DoctorDocument diagnosis)
    {
        foreach (Finding finding in diagnosis.Findings)
        {
            Console.WriteLine($"{finding.State,-8}{finding.Check,-12}{finding.Sentence}{(finding.Sentence[^1] is '?' or '.' ? "" : ".")}");
            if (finding.Remedy is { } remedy) Console.WriteLine($"{"",-20}{remedy} More: docs/troubleshooting.md, {finding.Fault}.");
        }
    }
}
