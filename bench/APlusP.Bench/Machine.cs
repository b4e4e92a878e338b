using System.Runtime.InteropServices;

namespace APlusP.Bench;

/// <summary>What it was measured on.</summary>
static class Machine
{
    public static string Describe() =>
        $"{Field("/proc/cpuinfo", "model name")} (family {Field("/proc/cpuinfo", "cpu family")}, model {Field("/proc/cpuinfo", "model")}), {Environment.ProcessorCount} CPUs, "
        + $"Linux {File.ReadAllText("/proc/sys/kernel/osrelease").Trim()}, {RuntimeInformation.FrameworkDescription}";

    /// <summary>How many threads wanted to run in the last minute; what others take, no figure has.</summary>
    public static string Load() => File.ReadAllText("/proc/loadavg").Split(' ')[0];

    static string Field(string file, string name) =>
        File.ReadLines(file).Select(line => line.Split(':', 2)).FirstOrDefault(pair => pair[0].Trim() == name)?[^1].Trim() ?? "unknown";
}
