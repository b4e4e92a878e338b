using System.Diagnostics;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>The bench itself: its rows run, say which way packets went, and leave nothing behind.</summary>
[Collection(Alone.Name)]
public sealed class BenchTests
{
    [Theory]
    [InlineData("xdp", "kernel 100.0 %")]
    [InlineData("rtt", "PRR: kernel 100.0 %")]
    public async Task A_row_is_measured_and_leaves_nothing_behind(string row, string carriedBy)
    {
        string[] arguments = [Path.Combine(AppContext.BaseDirectory, "APlusP.Bench.dll"), "--executable", LabFixture.Executable, "--quick", "--only", row];
        using Process bench = Process.Start(new ProcessStartInfo("dotnet", arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = bench.StandardOutput.ReadToEndAsync(), error = bench.StandardError.ReadToEndAsync();
        await bench.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(2));
        Assert.True(bench.ExitCode == 0, await error);
        Assert.Contains(carriedBy, await output);
        Assert.Empty(Traces(bench.Id));
    }

    static IEnumerable<string> Traces(int process) =>
    [
        .. NetworkNamespace.FindAll($"ap-bench-{process}-").Select(n => n.Name),
        .. Directory.GetDirectories(Path.GetTempPath(), $"aplusp-bench-{process}"),
        .. File.ReadLines("/proc/mounts").Where(line => line.Contains($"aplusp-bench-{process}/", StringComparison.Ordinal)),
    ];
}
