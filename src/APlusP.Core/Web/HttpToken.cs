using System.Buffers;

namespace APlusP.Core.Web;

/// <summary>What methods and names of fields of HTTP are made of, RFC 9110 section 5.6.2.</summary>
static class HttpToken
{
    const string Characters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    static readonly SearchValues<char> s_characters = SearchValues.Create(Characters);
    static readonly SearchValues<byte> s_octets = SearchValues.Create(System.Text.Encoding.ASCII.GetBytes(Characters));

    /// <summary>Whether there is nothing else in it; an empty one is the beginning of any.</summary>
    public static bool IsIn(ReadOnlySpan<char> text) => !text.ContainsAnyExcept(s_characters);

    /// <inheritdoc cref="IsIn(ReadOnlySpan{char})"/>
    public static bool IsIn(ReadOnlySpan<byte> octets) => !octets.ContainsAnyExcept(s_octets);
}
