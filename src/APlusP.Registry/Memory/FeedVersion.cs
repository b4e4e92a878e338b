using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace APlusP.Registry.Memory;

/// <summary>
/// A moment of the registry's history: the number of an event, and the beginning of its hash. The hash covers all events before (<see cref="RegistryEvent"/>), so of two databases that both know a
/// version the histories are alike up to it: a restored backup that went on otherwise, or another database, does not know it.
/// </summary>
/// <param name="Seq">The last event that it includes; 0 before the first.</param>
/// <param name="Hash">Of that event: its first octets, in hexadecimal.</param>
readonly record struct FeedVersion(long Seq, string Hash)
{
    const int HashDigits = 16;

    public static FeedVersion Of(long seq, byte[] hash) => new(seq, Convert.ToHexStringLower(hash.AsSpan(0, Math.Min(hash.Length, HashDigits / 2))));

    public override string ToString() => $"{Seq}:{Hash}";

    public static bool TryParse(string text, [NotNullWhen(true)] out FeedVersion? version)
    {
        int colon = text.IndexOf(':');
        version = colon > 0 && long.TryParse(text.AsSpan(0, colon), NumberStyles.None, CultureInfo.InvariantCulture, out long seq)
            && text.Length == colon + 1 + HashDigits && text.Skip(colon + 1).All(char.IsAsciiHexDigitLower) ? new FeedVersion(seq, text[(colon + 1)..]) : null;
        return version is not null;
    }
}
