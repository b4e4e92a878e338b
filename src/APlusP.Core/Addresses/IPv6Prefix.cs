using System.Globalization;

namespace APlusP.Core.Addresses;

/// <summary>An IPv6 prefix such as 2001:db8::/32. The bits behind its length are zero.</summary>
/// <param name="Address">The first address of it.</param>
/// <param name="Length">0 to 128.</param>
public readonly record struct IPv6Prefix(IPv6Address Address, int Length)
{
    public static IPv6Prefix Of(IPv6Address address, int length) => new(new IPv6Address(address.Value & MaskOf(length)), length);

    /// <summary>Ones in the first <paramref name="length"/> bits.</summary>
    public static UInt128 MaskOf(int length) => length == 0 ? 0 : UInt128.MaxValue << (128 - length);

    public IPv6Address Last => new(Address.Value | ~MaskOf(Length));

    public bool Contains(IPv6Address address) => (address.Value & MaskOf(Length)) == Address.Value;

    /// <summary>Whether every address of the other is in this one.</summary>
    public bool Contains(IPv6Prefix other) => other.Length >= Length && Contains(other.Address);

    public bool Overlaps(IPv6Prefix other) => Contains(other) || other.Contains(this);

    /// <summary>Reads "2001:db8::/32". On failure <paramref name="error"/> says what is wrong and what to write.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out IPv6Prefix prefix, out string error)
    {
        prefix = default;
        error = $"'{text}' is not an IPv6 prefix such as 2001:db8::/32";
        int slash = text.IndexOf('/');
        if (slash < 0 || !IPv6Address.TryParse(text[..slash], out IPv6Address address)
            || !int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int length)) return false;
        if (length > 128)
        {
            error = $"the length of the prefix '{text}' is not from 0 to 128";
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

    public static IPv6Prefix Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out IPv6Prefix prefix, out string error) ? prefix : throw new FormatException($"{error}.");

    public override string ToString() => $"{Address}/{Length}";
}
