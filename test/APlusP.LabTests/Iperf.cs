using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Reports of iperf3 in JSON.</summary>
static class Iperf
{
    /// <summary>Bits a second that arrived; null of a transfer that did not come to its end, which iperf3 says in its report alone: it ends with 0 even so.</summary>
    public static double? BitsPerSecond(CommandResult run)
    {
        if (!run.Succeeded) return null;
        using JsonDocument report = JsonDocument.Parse(run.Output);
        return report.RootElement.TryGetProperty("error", out _) ? null : report.RootElement.GetProperty("end").GetProperty("sum_received").GetProperty("bits_per_second").GetDouble();
    }
}
