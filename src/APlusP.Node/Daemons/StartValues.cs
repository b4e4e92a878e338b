using APlusP.Core.Addresses;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Node.Configuration;
using APlusP.Node.WebNames;

namespace APlusP.Node.Daemons;

/// <summary>What a daemon takes from its configuration when it starts, and keeps: a reload that wants other values is refused.</summary>
/// <param name="Device">Name of the TUN device.</param>
/// <param name="ControlSocket">Path of the control socket.</param>
/// <param name="FastPath">Whether the kernel itself forwards plain packets.</param>
/// <param name="FastPathDevices">Where.</param>
/// <param name="Workers">Workers, and queues of the device.</param>
/// <param name="SoftwireEnds">Our ends of softwires.</param>
/// <param name="IcmpSource">Source of ICMPv4 errors, where it is not that of the packet.</param>
/// <param name="Fragments">Bounds of fragment state, whose memory is taken at start.</param>
/// <param name="MaxPaths">Paths that are watched at once, likewise.</param>
/// <param name="Dhcpv6">How a SMAP asks what its softwire is; null where it does not.</param>
sealed record StartValues(
    string Device, string ControlSocket, FastPathMode FastPath, IReadOnlyList<string> FastPathDevices, int Workers, IReadOnlyList<IPv6Address> SoftwireEnds,
    IPv4Address? IcmpSource, FragmentOptions Fragments, int MaxPaths, DhcpSettings? Dhcpv6)
{
    /// <summary>The registry that a PRR follows.</summary>
    public PrrRegistry? Registry { get; init; }

    /// <summary>How a PRR has web servers found by name.</summary>
    public WebNamesPlan? WebNames { get; init; }

    /// <summary>The registry that a SMAP has its lease of.</summary>
    public SmapRegistry? SmapRegistry { get; init; }

    /// <summary>The PCP server that a SMAP has its ports of.</summary>
    public SmapPcp? Pcp { get; init; }

    /// <summary>Whether a SMAP serves LANs, and the file that keeps what their hosts have.</summary>
    public string? LanLeases { get; init; }

    /// <summary>What a SMAP's own programs for its LANs are started with.</summary>
    public string Programs { get; init; } = "";

    public static StartValues Of(PrrConfiguration c) =>
        new(c.Device, c.ControlSocket, c.FastPath, c.FastPathDevices, c.Workers, c.Options.SoftwireAddresses, c.Options.IcmpSource, c.Options.Fragments, c.Discovery.MaxPaths, null) { Registry = c.Registry, WebNames = c.WebNames };

    public static StartValues Of(SmapConfiguration c) =>
        new(c.Device, c.ControlSocket, c.FastPath, c.FastPathDevices, 1, c.Options.SoftwireAddress == default ? [] : [c.Options.SoftwireAddress], c.Options.IcmpSource, c.Options.Fragments, c.Discovery.MaxPaths, c.Dhcpv6) { SmapRegistry = c.Registry, Pcp = c.Pcp, LanLeases = c.Lans.Count > 0 ? c.LanLeases : null, Programs = string.Join("; ", c.Programs.Plans(c, "").Select(p => string.Join(' ', p.Command.Skip(1)))) };

    /// <summary>The first key, if any, whose value is another, with both for people.</summary>
    public (string Key, string Now, string Wanted)? FirstDifference(StartValues wanted)
    {
        foreach (((string key, string now), (_, string other)) in ByKey.Zip(wanted.ByKey))
            if (now != other) return (key, now, other);
        return null;
    }

    IEnumerable<(string Key, string Value)> ByKey =>
    [
        ("device", Device),
        ("control-socket", ControlSocket),
        ("fast-path", ConfigurationSchema.FastPathModes[(int)FastPath]),
        ("fast-path-devices", string.Join(", ", FastPathDevices)),
        ("workers", $"{Workers}"),
        ("[dhcpv6]", $"{Dhcpv6}"),
        ("softwire-address", string.Join(", ", SoftwireEnds)),
        ("icmp-source", $"{IcmpSource}"),
        ("[fragments]", $"{Fragments}"),
        ("max-paths", $"{MaxPaths}"),
        ("[registry]", $"{Registry}{SmapRegistry}"),
        ("[web-proxy], [household]", Programs),
        ("[web-names]", $"{WebNames}"),
        ("[pcp]", $"{Pcp}"),
        ("[[lan]] and lan-leases", LanLeases ?? "none"),
    ];
}
