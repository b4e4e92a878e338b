using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Reports of iperf3 in JSON.</summary>
static class Iperf
{
    /// <summary>Whether a transfer came to its end. Where it did not, iperf3 says so in its report alone: it ends with 0 even so.</summary>
    public static bool HasEnded(CommandResult run)
    {
        using JsonDocument? report = Whole(run);
        return report is not null;
    }

    /// <summary>Bits a second that arrived; null of a transfer that did not come to its end.</summary>
    public static double? BitsPerSecond(CommandResult run)
    {
        using JsonDocument? report = Whole(run);
        return report?.RootElement.GetProperty("end").GetProperty("sum_received").GetProperty("bits_per_second").GetDouble();
    }

    /// <summary>The report of a transfer that came to its end; null of another.</summary>
    static JsonDocument? Whole(CommandResult run)
    {
        if (!run.Succeeded) return null;
        var report = JsonDocument.Parse(run.Output);
        if (!report.RootElement.TryGetProperty("error", out _)) return report;
        report.Dispose();
        return null;
    }
}
