using APlusP.Core;
using APlusP.Core.Addresses;

namespace APlusP.Node.Configuration;

/// <summary>A PCP server that a SMAP has its ports of: <c>[pcp]</c>.</summary>
/// <param name="Server">Its address; null where DHCPv6 is to tell it.</param>
/// <param name="State">The directory of the SMAP's identity and lease.</param>
public sealed record SmapPcp(IPv6Address? Server, string State) : SmapHome(State)
{
    /// <summary>How long the mapping is asked for; a server may give less.</summary>
    public TimeSpan Lifetime { get; init; } = TimeSpan.FromSeconds(DefaultLifetime);

    const int DefaultLifetime = 86_400, LeastLifetime = 120;

    /// <summary>The table of a SMAP's file; null where it has none, or a faulty one.</summary>
    /// <param name="top">The file.</param>
    /// <param name="directory">Where it is: relative paths begin there.</param>
    internal static SmapPcp? Read(SectionReader top, string directory)
    {
        if (top.Section("pcp", ConfigurationSchema.Smap) is not { } section) return null;
        if (top.Has("registry")) top.Refuse("pcp", ErrorCodes.ConfigurationContradiction, "[pcp] and [registry] are two ways to the same ports; keep one of them.");
        Common common = Read(top, section, "the PCP server of [pcp]", directory);
        if (!top.Has("dhcpv6")) section.Require("server", "\"2001:db8:ffff::2\"");
        int lifetime = section.Number("lifetime", DefaultLifetime, LeastLifetime, int.MaxValue, "seconds (RFC 6887 section 15)");
        return new SmapPcp(section.IPv6("server"), common.State)
        {
            Interface = common.Interface,
            Size = common.Size,
            Lifetime = TimeSpan.FromSeconds(lifetime),
        };
    }
}
