using APlusP.Core;
using APlusP.Node.Home;
using APlusP.Node.Registry;

namespace APlusP.Node.Configuration;

/// <summary>A registry that a SMAP has its lease of: <c>[registry]</c>.</summary>
/// <param name="Address">Where it is.</param>
/// <param name="State">The directory of the SMAP's identity, key and lease.</param>
public sealed record SmapRegistry(RegistryAddress Address, string State)
{
    /// <summary>The device towards the PRR; null for that of the IPv6 default route.</summary>
    public string? Interface { get; init; }

    /// <summary>How often it asks whether its lease still stands.</summary>
    public TimeSpan CheckEvery { get; init; } = TimeSpan.FromSeconds(60);

    public SizePolicy Size { get; init; } = new(ShrinkAfter: TimeSpan.FromMinutes(10));

    static readonly string[] s_told = ["shared-address", "ports", "psid", "end-user-prefix", "rule"];

    /// <summary>The table of a SMAP's file; null where it has none, or a faulty one.</summary>
    /// <param name="top">The file.</param>
    /// <param name="directory">Where it is: relative paths begin there.</param>
    internal static SmapRegistry? Read(SectionReader top, string directory)
    {
        if (top.Section("registry", ConfigurationSchema.Smap) is not { } section) return null;
        foreach (string key in s_told)
            if (top.Has(key)) top.Refuse(key, ErrorCodes.ConfigurationContradiction, $"'{key}' is what the registry of [registry] tells; keep one of them.");
        const int mostSeconds = 86400;
        string state = section.Text("state", "/var/lib/aplusp/smap");
        if (state.Length == 0) section.Refuse("state", ErrorCodes.ConfigurationBadValue, "'state' is empty; write a directory, or leave the key out.");
        int growAt = section.Number("grow-at", 70, 1, 100, "per cent"), shrinkAt = section.Number("shrink-at", 40, 0, 100, "per cent"), shrinkAfter = section.Number("shrink-after", 600, 0, mostSeconds, "seconds");
        if (shrinkAt >= growAt) section.Refuse("shrink-at", ErrorCodes.ConfigurationContradiction, $"'shrink-at' is {shrinkAt} and 'grow-at' {growAt}: what it gives back it would ask for again at once; keep shrink-at well below grow-at.");
        int checkEvery = section.Number("check-every", 60, 1, mostSeconds, "seconds");
        string link = section.Text("interface", "");
        if (section.Has("interface") && !DeviceNames.IsName(link)) section.Refuse("interface", ErrorCodes.ConfigurationBadValue, $"'interface' is {DeviceNames.Form}");
        return RegistryAddress.Read(section, directory, mayBeFound: true) is not { } address ? null : new SmapRegistry(address, Path.Combine(directory, state))
        {
            Interface = link.Length > 0 ? link : null,
            CheckEvery = TimeSpan.FromSeconds(checkEvery),
            Size = new SizePolicy(growAt, shrinkAt, TimeSpan.FromSeconds(shrinkAfter)),
        };
    }
}
