using System.Buffers;
using System.Text;
using APlusP.Core.Addresses;

namespace APlusP.Core.Forwarding.Gateways;

/// <summary>Reads addresses where they stand in a text.</summary>
static class AddressText
{
    static readonly SearchValues<byte> s_digitsAndDots = SearchValues.Create("0123456789."u8);

    /// <summary>An IPv4 address at the beginning of a text.</summary>
    public static bool TryRead(ReadOnlySpan<byte> text, out uint address, out int length)
    {
        address = 0;
        length = text.IndexOfAnyExcept(s_digitsAndDots);
        if (length < 0) length = text.Length;
        if (length is < 7 or > 15) return false;
        Span<char> characters = stackalloc char[15];
        Ascii.ToUtf16(text[..length], characters, out int written);
        if (!IPv4Address.TryParse(characters[..written], out IPv4Address read)) return false;
        address = read.Value;
        return true;
    }
}
