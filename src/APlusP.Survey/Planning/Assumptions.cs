using System.Globalization;
using APlusP.Core;

namespace APlusP.Survey.Planning;

/// <summary>What is assumed of subscribers where nobody measured: the ports of each, or the mean number of ports that each has in use.</summary>
/// <param name="Erlangs">Mean number of ports in use; null where <see cref="Ports"/> says how many each has.</param>
/// <param name="Ports">Ports of each.</param>
/// <param name="IPv6Share">Which share of connections goes by IPv6, from 0 to 1, and takes none of these ports.</param>
public sealed record Assumptions(double? Erlangs, int? Ports, double IPv6Share)
{
    const string Known = "erlangs=100, ports=500, ipv6-share=0.8";

    /// <exception cref="APlusPException">AP7020: something that cannot be assumed.</exception>
    public static Assumptions Read(IEnumerable<string> texts)
    {
        double? erlangs = null, ports = null;
        double share = 0;
        foreach (string text in texts.SelectMany(t => t.Split(',', StringSplitOptions.TrimEntries)))
        {
            if (text.Split('=') is not [var key, var value] || !double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
                throw Wrong($"'{text}' is no assumption; write such as {Known}");
            switch (key)
            {
                case "erlangs": erlangs = number is > 0 and <= Plan.PortsOfAddress ? number : throw Wrong($"erlangs is {number}, but it is above 0 and at most {Plan.PortsOfAddress}, the ports of an address"); break;
                case "ports": ports = number is >= 1 and <= Plan.PortsOfAddress && number == Math.Floor(number) ? number : throw Wrong($"ports is {number}, but it is a whole number from 1 to {Plan.PortsOfAddress}, the ports of an address"); break;
                case "ipv6-share": share = number is >= 0 and < 1 ? number : throw Wrong($"ipv6-share is {number}, but it is at least 0 and less than 1"); break;
                default: throw Wrong($"'{key}' is nothing that is assumed; write such as {Known}");
            }
        }

        if (erlangs is null == ports is null) throw Wrong(ports is null ? $"erlangs or ports is needed; write such as {Known}" : "erlangs and ports both say how many ports a subscriber has; keep one of them");
        return new Assumptions(erlangs, (int?)ports, share);
    }

    static APlusPException Wrong(string what) => new(ErrorCodes.PlanAssumption, $"--assume: {what}.");
}
