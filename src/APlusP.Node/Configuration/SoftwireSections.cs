using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Forwarding.PathMtus;

namespace APlusP.Node.Configuration;

/// <summary>The tables that PRR and SMAP have alike: how fragments are kept, and how the path MTU is found out.</summary>
static class SoftwireSections
{
    const int Mebibyte = 1 << 20;

    public static FragmentOptions Fragments(SectionReader top, IReadOnlyDictionary<string, string[]> schema)
    {
        var standard = new FragmentOptions();
        if (top.Section("fragments", schema) is not { } section) return standard;
        return new FragmentOptions
        {
            ReassemblyTimeout = section.Number("reassembly-timeout", standard.ReassemblyTimeout, 1, 60, "seconds (RFC 8200 section 4.5)"),
            FollowTimeout = section.Number("follow-timeout", standard.FollowTimeout, 1, 60, "seconds"),
            MaxPackets = section.Number("max-packets", standard.MaxPackets, 16, 1_048_576, "packets"),
            MaxOctets = section.Number("max-memory", standard.MaxOctets / Mebibyte, 1, 1024, "MiB") * Mebibyte,
            WarnAt = section.Number("warn-at", standard.WarnAt, 1, 100, "percent (RFC 6333 section 6.3)"),
        };
    }

    /// <param name="top">The file.</param>
    /// <param name="schema">Its schema.</param>
    /// <param name="otherwise">Whether it is on where the file does not say.</param>
    public static DiscoveryOptions Discovery(SectionReader top, IReadOnlyDictionary<string, string[]> schema, bool otherwise)
    {
        var standard = new DiscoveryOptions { IsOn = otherwise };
        if (top.Section("discovery", schema) is not { } section) return standard;
        return new DiscoveryOptions
        {
            IsOn = section.Flag("enabled", standard.IsOn),
            Probes = section.Flag("probing", standard.Probes),
            RaiseAfter = section.Number("raise-after", standard.RaiseAfter, 1, 86_400, "seconds (RFC 8899 section 5.1.1, RFC 8201 section 4)"),
            ProbesPerSecond = section.Number("probes-per-second", standard.ProbesPerSecond, 1, 100_000),
            MaxPaths = section.Number("max-paths", standard.MaxPaths, 1, 1_048_576, "softwires"),
        };
    }
}
