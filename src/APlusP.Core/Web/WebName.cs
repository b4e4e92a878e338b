namespace APlusP.Core.Web;

/// <summary>What the first octets of a connection say of whom it is for.</summary>
public enum NameSearch
{
    /// <summary>More octets may say it.</summary>
    More,

    /// <summary>They say it.</summary>
    Found,

    /// <summary>They do not, and more will not either.</summary>
    None,
}

/// <summary>The name of the server that a connection of the web is for, as its client says it in clear: TLS in its hello (SNI), HTTP in its Host field.</summary>
public static class WebName
{
    /// <summary>Who has not said it in so many octets does not say it: a TLS record holds 16384 (RFC 8446 section 5.1).</summary>
    public const int MostOctets = 5 + 16384;

    const int LongestName = 253, LongestLabel = 63;

    /// <summary>Looks for it in what a client has sent so far.</summary>
    /// <param name="octets">From the connection's beginning.</param>
    /// <param name="name">In lower case; null unless found.</param>
    public static NameSearch Find(ReadOnlySpan<byte> octets, out string? name)
    {
        name = null;
        if (octets.IsEmpty) return NameSearch.More;
        NameSearch search = IsTls(octets) ? ClientHello.FindName(octets, out name) : RequestHead.FindName(octets, out name);
        if (search == NameSearch.More && octets.Length >= MostOctets) return NameSearch.None;
        if (search != NameSearch.Found || IsHostName(name!)) return search;
        name = null;
        return NameSearch.None;
    }

    /// <summary>Whether a connection that begins so is one of TLS, and no HTTP in clear.</summary>
    public static bool IsTls(ReadOnlySpan<byte> octets) => octets is [ClientHello.RecordType, ..];

    /// <summary>Whether this is the full name of a host, and no address: labels of letters, digits, hyphens and underscores, two at least, of which the last begins with a letter.</summary>
    public static bool IsHostName(string name)
    {
        string[] labels = name.Split('.');
        return name.Length <= LongestName && labels.Length > 1 && char.IsAsciiLetter(labels[^1].FirstOrDefault())
            && labels.All(label => label.Length is > 0 and <= LongestLabel && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
    }

    /// <summary>Octets as text; what is not ASCII makes no name.</summary>
    internal static string Text(ReadOnlySpan<byte> octets)
    {
        string text = System.Text.Encoding.Latin1.GetString(octets).ToLowerInvariant();
        return text.EndsWith('.') ? text[..^1] : text;
    }
}
