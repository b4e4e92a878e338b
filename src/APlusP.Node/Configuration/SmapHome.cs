using APlusP.Core;
using APlusP.Node.Home;

namespace APlusP.Node.Configuration;

/// <summary>What a SMAP has a lease by, whom ever it asks for one: <c>[registry]</c> or <c>[pcp]</c>.</summary>
/// <param name="State">The directory of the SMAP's identity, key and lease.</param>
public abstract record SmapHome(string State)
{
    /// <summary>The device towards the PRR; null for that of the IPv6 default route.</summary>
    public string? Interface { get; init; }

    public SizePolicy Size { get; init; } = new(ShrinkAfter: TimeSpan.FromMinutes(10));

    /// <summary>Keys that both tables have.</summary>
    public static IReadOnlyList<string> Keys { get; } = ["state", "interface", "grow-at", "shrink-at", "shrink-after"];

    static readonly string[] s_told = ["shared-address", "ports", "psid", "end-user-prefix", "rule"];

    /// <summary>Those keys.</summary>
    internal readonly record struct Common(string State, string? Interface, SizePolicy Size);

    private protected const int MostSeconds = 86400;

    /// <summary>Reads them, and refuses what the file says beside and is asked for.</summary>
    /// <param name="top">The file.</param>
    /// <param name="section">The table.</param>
    /// <param name="who">Who tells.</param>
    /// <param name="directory">Where the file is: relative paths begin there.</param>
    private protected static Common Read(SectionReader top, SectionReader section, string who, string directory)
    {
        foreach (string key in s_told)
            if (top.Has(key)) top.Refuse(key, ErrorCodes.ConfigurationContradiction, $"'{key}' is what {who} tells; keep one of them.");
        string state = section.Text("state", "/var/lib/aplusp/smap");
        if (state.Length == 0) section.Refuse("state", ErrorCodes.ConfigurationBadValue, "'state' is empty; write a directory, or leave the key out.");
        int growAt = section.Number("grow-at", 70, 1, 100, "per cent"), shrinkAt = section.Number("shrink-at", 40, 0, 100, "per cent"), shrinkAfter = section.Number("shrink-after", 600, 0, MostSeconds, "seconds");
        if (shrinkAt >= growAt) section.Refuse("shrink-at", ErrorCodes.ConfigurationContradiction, $"'shrink-at' is {shrinkAt} and 'grow-at' {growAt}: what it gives back it would ask for again at once; keep shrink-at well below grow-at.");
        string link = section.Text("interface", "");
        if (section.Has("interface") && !DeviceNames.IsName(link)) section.Refuse("interface", ErrorCodes.ConfigurationBadValue, $"'interface' is {DeviceNames.Form}");
        return new Common(Path.Combine(directory, state), link.Length > 0 ? link : null, new SizePolicy(growAt, shrinkAt, TimeSpan.FromSeconds(shrinkAfter)));
    }
}
