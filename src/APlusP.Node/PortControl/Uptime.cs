using System.Globalization;

namespace APlusP.Node.PortControl;

/// <summary>How long a kernel has run: a clock that nobody sets, and that tells nothing after the next boot.</summary>
/// <param name="Boot">The boot that it counts from.</param>
/// <param name="Seconds">Since then, also those that the machine slept.</param>
readonly record struct Uptime(string Boot, double Seconds)
{
    /// <summary>This machine's; null where it does not say.</summary>
    public static Uptime? Read()
    {
        try
        {
            string boot = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim(), up = File.ReadAllText("/proc/uptime").Split(' ')[0];
            return double.TryParse(up, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) ? new Uptime(boot, seconds) : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
