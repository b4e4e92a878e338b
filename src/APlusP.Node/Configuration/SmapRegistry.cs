using APlusP.Node.Registry;

namespace APlusP.Node.Configuration;

/// <summary>A registry that a SMAP has its lease of: <c>[registry]</c>.</summary>
/// <param name="Address">Where it is.</param>
/// <param name="State">The directory of the SMAP's identity, key and lease.</param>
public sealed record SmapRegistry(RegistryAddress Address, string State) : SmapHome(State)
{
    /// <summary>How often it asks whether its lease still stands.</summary>
    public TimeSpan CheckEvery { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The table of a SMAP's file; null where it has none, or a faulty one.</summary>
    /// <param name="top">The file.</param>
    /// <param name="directory">Where it is: relative paths begin there.</param>
    internal static SmapRegistry? Read(SectionReader top, string directory)
    {
        if (top.Section("registry", ConfigurationSchema.Smap) is not { } section) return null;
        Common common = Read(top, section, "the registry of [registry]", directory);
        int checkEvery = section.Number("check-every", 60, 1, MostSeconds, "seconds");
        return RegistryAddress.Read(section, directory, mayBeFound: true) is not { } address ? null : new SmapRegistry(address, common.State)
        {
            Interface = common.Interface,
            Size = common.Size,
            CheckEvery = TimeSpan.FromSeconds(checkEvery),
        };
    }
}
