using System.ComponentModel;
using System.Diagnostics;
using APlusP.Core;

namespace APlusP.Lab;

/// <summary>What a command did: its exit code and its words.</summary>
public readonly record struct CommandResult(int ExitCode, string Output, string Error)
{
    public bool Succeeded => ExitCode == 0;

    /// <summary>Both outputs, as a person would have seen them.</summary>
    public string Text => Error.Length == 0 ? Output : Output + Error;
}

/// <summary>Runs programs to their end.</summary>
public static class Commands
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    /// <summary>Runs a program and waits for it; at the timeout (30 s by default) it is killed and its exit code is -1.</summary>
    /// <exception cref="APlusPException">The program is not installed (AP5001).</exception>
    public static CommandResult Run(IReadOnlyList<string> command, string? input = null, TimeSpan? timeout = null)
    {
        var start = new ProcessStartInfo(command[0])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        for (int i = 1; i < command.Count; i++) start.ArgumentList.Add(command[i]);

        using Process process = Start(start);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        try
        {
            if (input is not null) process.StandardInput.Write(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The program ended without reading; its exit code tells.
        }

        bool ended = process.WaitForExit(timeout ?? s_patience);
        if (!ended) process.Kill(entireProcessTree: true);
        Task.WaitAll(output, error);
        return new CommandResult(ended ? process.ExitCode : -1, output.Result,
            ended ? error.Result : $"{error.Result}(killed after {(timeout ?? s_patience).TotalSeconds} s)\n");
    }

    /// <inheritdoc cref="Run(IReadOnlyList{string}, string?, TimeSpan?)"/>
    public static CommandResult Run(params string[] command) => Run(command, input: null);

    /// <summary>Runs a program that must succeed; gives its standard output.</summary>
    /// <exception cref="APlusPException">It is not installed (AP5001) or failed (AP5002).</exception>
    public static string Require(IReadOnlyList<string> command, string? input = null, TimeSpan? timeout = null)
    {
        CommandResult result = Run(command, input, timeout);
        if (result.Succeeded) return result.Output;
        string given = input is null ? "" : $"\nIts input was:\n{input}";
        throw new APlusPException(ErrorCodes.LabCommandFailed, $"`{string.Join(' ', command)}` failed with {result.ExitCode}: {result.Text.Trim()}{given}");
    }

    /// <inheritdoc cref="Require(IReadOnlyList{string}, string?, TimeSpan?)"/>
    public static string Require(params string[] command) => Require(command, input: null);

    internal static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception error)
        {
            throw new APlusPException(ErrorCodes.LabProgramMissing, $"cannot run '{start.FileName}': {error.Message}. {Programs.Advice(start.FileName)}", error);
        }
    }
}
