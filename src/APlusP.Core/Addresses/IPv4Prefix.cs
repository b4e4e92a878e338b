using System.Globalization;

namespace APlusP.Core.Addresses;

/// <summary>An IPv4 prefix such as 192.0.2.0/24. The bits behind its length are zero.</summary>
/// <param name="Address">The first address of it.</param>
/// <param name="Length">0 to 32.</param>
public readonly record struct IPv4Prefix(IPv4Address Address, int Length)
{
    public static IPv4Prefix Of(IPv4Address address, int length) => new(new IPv4Address(address.Value & MaskOf(length)), length);

    /// <summary>Ones in the first <paramref name="length"/> bits.</summary>
    public static uint MaskOf(int length) => length == 0 ? 0 : uint.MaxValue << (32 - length);

    public IPv4Address Last => new(Address.Value | ~MaskOf(Length));

    public bool Contains(IPv4Address address) => (address.Value & MaskOf(Length)) == Address.Value;

    /// <summary>Whether every address of the other is in this one.</summary>
    public bool Contains(IPv4Prefix other) => other.Length >= Length && Contains(other.Address);

    public bool Overlaps(IPv4Prefix other) => Contains(other) || other.Contains(this);

    /// <summary>Reads "192.0.2.0/24". On failure <paramref name="error"/> says what is wrong and what to write.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out IPv4Prefix prefix, out string error)
    {
        prefix = default;
        error = $"'{text}' is not an IPv4 prefix such as 192.0.2.0/24";
        int slash = text.IndexOf('/');
        if (slash < 0 || !IPv4Address.TryParse(text[..slash], out IPv4Address address)
            || !int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int length)) return false;
        if (length > 32)
        {
            error = $"the length of the prefix '{text}' is not from 0 to 32";
            return false;
        }

        prefix = Of(address, length);
        if (prefix.Address == address)
        {
            error = "";
            return true;
        }

        error = $"'{text}' has bits behind its length; write {prefix}";
        return false;
    }

    public static IPv4Prefix Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out IPv4Prefix prefix, out string error) ? prefix : throw new FormatException($"{error}.");

    public override string ToString() => $"{Address}/{Length}";
}
