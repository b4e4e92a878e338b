using System.Text;
using APlusP.Core.Web;

namespace APlusP.Core.PortControl.Upnp;

/// <summary>The head of an HTTP request, over TCP or as SSDP has it over UDP. Strict: nobody who means well folds lines, or says a thing twice (RFC 9112 section 5).</summary>
/// <param name="Method">Such as POST.</param>
/// <param name="Target">A path, or "*".</param>
/// <param name="Fields">By their names in lower case.</param>
public sealed record HttpHead(string Method, string Target, IReadOnlyDictionary<string, string> Fields)
{
    /// <summary>Octets of the longest head that is read, and how many fields it may have.</summary>
    public const int Longest = 4096, MostFields = 48;

    /// <summary>Where a head ends, and what follows it begins; 0 while that has not come.</summary>
    public static int EndOf(ReadOnlySpan<byte> bytes) => bytes.IndexOf("\r\n\r\n"u8) is >= 0 and var at ? at + 4 : 0;

    /// <summary>Reads a whole head.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out HttpHead? head)
    {
        head = null;
        if (bytes.IsEmpty || bytes.Length > Longest || EndOf(bytes) != bytes.Length) return false;
        string[] lines = Encoding.Latin1.GetString(bytes[..^4]).Split("\r\n");
        string[] first = lines[0].Split(' ');
        if (first.Length != 3 || first[2] is not ("HTTP/1.1" or "HTTP/1.0") || !IsToken(first[0]) || first[1].Length == 0 || first[1].Any(c => c is <= ' ' or >= '\u007f') || lines.Length - 1 > MostFields) return false;
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string line in lines.AsSpan(1))
        {
            int colon = line.IndexOf(':');
            if (colon <= 0 || !IsToken(line.AsSpan(0, colon)) || line.Any(c => c is < ' ' and not '\t' or '\u007f')) return false;
            if (!fields.TryAdd(line[..colon].ToLowerInvariant(), line[(colon + 1)..].Trim(' ', '\t'))) return false;
        }

        head = new HttpHead(first[0], first[1], fields);
        return true;
    }

    static bool IsToken(ReadOnlySpan<char> text) => !text.IsEmpty && HttpToken.IsIn(text);

    public string? this[string field] => Fields.GetValueOrDefault(field);
}
