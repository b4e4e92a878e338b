using System.Globalization;

namespace APlusP.Survey;

/// <summary>Times as seconds since 1970, with a fraction where there is one: so tables and the command line have them.</summary>
public static class EpochSeconds
{
    // The end of the year 9999, beyond which there is no date.
    const decimal Last = 253_402_300_799;

    public static bool TryParse(string text, out DateTimeOffset at)
    {
        at = default;
        if (!decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal seconds) || seconds > Last) return false;
        at = DateTimeOffset.FromUnixTimeMilliseconds((long)(seconds * 1000));
        return true;
    }

    public static string Write(DateTimeOffset at) => (at.ToUnixTimeMilliseconds() / 1000m).ToString("0.###");
}
