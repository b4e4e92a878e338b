using System.Diagnostics;

namespace APlusP.Tests.Cli;

/// <summary>The executable as a shell sees it.</summary>
static class Executable
{
    public static string Path { get; } = System.IO.Path.Combine(AppContext.BaseDirectory, "aplusp");

    public static (int Exit, string Output, string Error) Run(string directory, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(Path, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = directory })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }
}
