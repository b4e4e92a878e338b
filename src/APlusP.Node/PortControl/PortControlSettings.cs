using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortControl;
using APlusP.Node.Configuration;

namespace APlusP.Node.PortControl;

/// <summary>How hosts of the LAN may ask for ports: <c>[port-control]</c>.</summary>
/// <param name="State">The directory of mappings that outlive a restart, and of the household's forwards.</param>
public sealed record PortControlSettings(string State)
{
    public static IReadOnlyList<string> Keys { get; } = ["pcp", "upnp", "max-per-host", "max-lifetime", "state"];

    /// <summary>Whether PCP and NAT-PMP are answered.</summary>
    public bool Pcp { get; init; } = true;

    /// <summary>Whether UPnP is. Off by default: any program of a host, and with luck any page in its browser, opens ports by it.</summary>
    public bool Upnp { get; init; }

    public MappingLimits Limits { get; init; } = new();

    /// <param name="top">The file.</param>
    /// <param name="otherwise">Where mappings are kept when the file does not say.</param>
    /// <param name="directory">Where the file is: relative paths begin there.</param>
    internal static PortControlSettings Read(SectionReader top, string otherwise, string directory)
    {
        if (top.Section("port-control", ConfigurationSchema.Smap) is not { } section) return new PortControlSettings(Path.Combine(directory, otherwise));
        string state = section.Text("state", otherwise);
        if (state.Length == 0) section.Refuse("state", ErrorCodes.ConfigurationBadValue, "'state' is empty; write a directory, or leave the key out.");
        return new PortControlSettings(Path.Combine(directory, state))
        {
            Pcp = section.Flag("pcp", true),
            Upnp = section.Flag("upnp", false),
            Limits = new MappingLimits
            {
                PerHost = section.Number("max-per-host", 0, 0, MappingLimits.Most, "ports"),
                LongestSeconds = (uint)section.Number("max-lifetime", 86_400, 120, 31_536_000, "seconds (RFC 6887 section 15)"),
            },
        };
    }
}
