using APlusP.Core;
using APlusP.Core.Dhcpv6;

namespace APlusP.Configuration;

/// <summary>What DHCPv6 can tell of a softwire, in the words of SMAP and registry.</summary>
static class SoftwireMechanisms
{
    static readonly Dictionary<string, DhcpOption> s_words = new()
    {
        ["lw4o6"] = DhcpOption.S46Lightweight,
        ["map-e"] = DhcpOption.S46MapE,
    };

    public static string NameOf(DhcpOption mechanism) => s_words.First(m => m.Value == mechanism).Key;

    /// <summary>The array <c>mechanisms</c>; <paramref name="otherwise"/> where it is absent.</summary>
    public static IReadOnlyList<DhcpOption> Read(SectionReader section, IReadOnlyList<DhcpOption> otherwise)
    {
        if (!section.Has("mechanisms")) return otherwise;
        var mechanisms = new List<DhcpOption>();
        List<string> words = section.Texts("mechanisms");
        foreach (string word in words)
        {
            if (!s_words.TryGetValue(word, out DhcpOption mechanism)) section.Refuse("mechanisms", ErrorCodes.ConfigurationBadValue, $"'{word}' is no mechanism that aplusp knows; there are {string.Join(", ", s_words.Keys)}.");
            else if (mechanisms.Contains(mechanism)) section.Refuse("mechanisms", ErrorCodes.ConfigurationTwice, $"'{word}' stands twice in 'mechanisms'.");
            else mechanisms.Add(mechanism);
        }

        if (words.Count == 0) section.Refuse("mechanisms", ErrorCodes.ConfigurationBadValue, "'mechanisms' is empty; leave it out for what is usual.");
        return mechanisms;
    }
}
