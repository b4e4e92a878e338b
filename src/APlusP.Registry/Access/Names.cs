using System.Globalization;

namespace APlusP.Registry.Access;

/// <summary>What names of subscribers, classes and operators may be, wherever they come from.</summary>
static class Names
{
    public const int Longest = 128;

    /// <summary>What is wrong with a name, such as "begins or ends with a blank"; null for nothing.</summary>
    public static string? FaultOf(string text, int most = Longest) =>
        text.Length == 0 || text.Length > most ? $"must have 1 to {most} characters, and has {text.Length}"
        : text.Any(c => char.IsControl(c) || char.IsSurrogate(c) || char.GetUnicodeCategory(c) is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator) ? "holds characters that cannot be seen"
        : text.Trim().Length != text.Length ? "begins or ends with a blank"
        : null;
}
