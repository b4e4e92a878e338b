namespace APlusP.Core.Web;

/// <summary>
/// The head of the first request of HTTP/1 (RFC 9112 sections 3 and 5). Whom it is for stands in its target, where that is a whole address, else in its one Host field (section 3.2).
/// What a server would have to refuse, such as a request with two of them, names nobody: the server that the client chose shall say so.
/// </summary>
static class RequestHead
{
    const int LongestMethod = 32;

    public static NameSearch FindName(ReadOnlySpan<byte> octets, out string? name)
    {
        name = null;

        // A client may begin with an empty line (section 2.2).
        ReadOnlySpan<byte> head = octets.TrimStart("\r\n"u8);
        int blank = head[..Math.Min(head.Length, LongestMethod + 1)].IndexOf((byte)' ');
        ReadOnlySpan<byte> method = blank < 0 ? head : head[..blank];
        if (method.Length > LongestMethod || blank == 0 || !HttpToken.IsIn(method)) return NameSearch.None;
        if (!TryTakeLine(ref head, out ReadOnlySpan<byte> request)) return NameSearch.More;

        ReadOnlySpan<byte> rest = request[(method.Length + 1)..];
        int end = rest.IndexOf((byte)' ');
        if (end < 0 || !rest[(end + 1)..].StartsWith("HTTP/1."u8) || method.SequenceEqual("CONNECT"u8)) return NameSearch.None;
        ReadOnlySpan<byte> target = rest[..end];
        scoped ReadOnlySpan<byte> host = default;
        bool found = false;
        while (TryTakeLine(ref head, out ReadOnlySpan<byte> line))
        {
            if (line.IsEmpty)
            {
                if (TryReadAuthority(target, out ReadOnlySpan<byte> authority)) host = authority;
                else if (!found) return NameSearch.None;
                name = WebName.Text(WithoutPort(host));
                return NameSearch.Found;
            }

            int colon = line.IndexOf((byte)':');
            if (colon <= 0 || !HttpToken.IsIn(line[..colon])) return NameSearch.None;
            if (!System.Text.Ascii.EqualsIgnoreCase(line[..colon], "host"u8)) continue;
            if (found) return NameSearch.None;
            found = true;
            host = line[(colon + 1)..].Trim(" \t"u8);
        }

        return NameSearch.More;
    }

    /// <summary>Takes a line without its end, which may be a line feed alone (section 2.2).</summary>
    static bool TryTakeLine(ref ReadOnlySpan<byte> from, out ReadOnlySpan<byte> line)
    {
        int end = from.IndexOf((byte)'\n');
        line = end < 0 ? default : from[..end];
        if (end < 0) return false;
        if (line.EndsWith("\r"u8)) line = line[..^1];
        from = from[(end + 1)..];
        return true;
    }

    static bool TryReadAuthority(ReadOnlySpan<byte> target, out ReadOnlySpan<byte> authority)
    {
        authority = default;
        ReadOnlySpan<byte> scheme = "http://"u8;
        if (target.Length < scheme.Length || !System.Text.Ascii.EqualsIgnoreCase(target[..scheme.Length], scheme)) return false;
        authority = target[scheme.Length..];
        int end = authority.IndexOfAny("/?#"u8);
        if (end >= 0) authority = authority[..end];
        return true;
    }

    static ReadOnlySpan<byte> WithoutPort(ReadOnlySpan<byte> host)
    {
        int colon = host.LastIndexOf((byte)':');
        return colon >= 0 && !host[(colon + 1)..].ContainsAnyExceptInRange((byte)'0', (byte)'9') ? host[..colon] : host;
    }
}
