using System.Text;

namespace APlusP.Configuration;

/// <summary>Writes what TOML reads.</summary>
public static class TomlText
{
    /// <summary>A basic string, in quotation marks.</summary>
    public static string Quoted(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (char c in text)
            if (c is '"' or '\\') quoted.Append('\\').Append(c);
            else if (char.IsControl(c)) quoted.Append($"\\u{(int)c:x4}");
            else quoted.Append(c);
        return quoted.Append('"').ToString();
    }
}
