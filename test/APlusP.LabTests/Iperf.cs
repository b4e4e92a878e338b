using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Reports of iperf3 in JSON.</summary>
static class Iperf
{
    /// <summary>Whether a transfer came to its end. Where it did not, iperf3 says so in its report alone: it ends with 0 even so.</summary>
    public static bool HasEnded(CommandResult run)
    {
        if (!run.Succeeded) return false;
        using JsonDocument report = JsonDocument.Parse(run.Output);
        return !report.RootElement.TryGetProperty("error", out _);
    }

    /// <summary>Bits a second that arrived; null of a transfer that did not come to its end.</summary>
    public static double? BitsPerSecond(CommandResult run)
    {
        if (!HasEnded(run)) return null;
        using JsonDocument report = JsonDocument.Parse(run.Output);
        return report.RootElement.GetProperty("end").GetProperty("sum_received").GetProperty("bits_per_second").GetDouble();
    }
}
