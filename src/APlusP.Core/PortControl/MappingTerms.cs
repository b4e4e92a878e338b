using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;

namespace APlusP.Core.PortControl;

/// <summary>What hosts of the LAN may have mapped.</summary>
public sealed record MappingLimits
{
    /// <summary>Ports that one host may have, each protocol by itself; 0 is three quarters of the set.</summary>
    public int PerHost { get; init; }

    /// <summary>How long a mapping stands at most that is not asked for again.</summary>
    public uint LongestSeconds { get; init; } = 86_400;

    /// <summary>The most mappings that there may be, of one protocol.</summary>
    public const int Most = SmapOptions.MaxForwards / 4;

    /// <summary>No more of all hosts together, each protocol by itself: outgoing flows need ports too.</summary>
    internal static int MostOf(PortSet ports) => Math.Clamp(ports.Count * 3 / 4, 1, Most);

    internal int PerHostOf(PortSet ports) => PerHost > 0 ? PerHost : MostOf(ports);
}

/// <summary>What mappings stand on: an address, its ports, and what the household has given away of them already.</summary>
/// <param name="Address">The shared address; null while there is none.</param>
/// <param name="Ports">Our ports of it.</param>
/// <param name="Forwards">The static forwards of the configuration.</param>
/// <param name="Limits">What hosts may have.</param>
public sealed record MappingTerms(IPv4Address? Address, PortSet Ports, IReadOnlyList<PortForward> Forwards, MappingLimits Limits)
{
    /// <summary>Forwards of the configuration that are not in force.</summary>
    public IReadOnlyList<PortForward> ForwardsOutside { get; init; } = [];

    /// <summary>Those of a SMAP. Ports that are about to be given back are ours no more: a mapping would keep them from going.</summary>
    public static MappingTerms Of(SmapOptions options, MappingLimits limits)
    {
        PortSet? ports = options.RestingPorts is { } resting ? options.Ports.Except(resting) : options.Ports;
        return new MappingTerms(options.IsSuspended || ports is null ? null : options.SharedAddress, ports ?? options.Ports, options.Forwards, limits) { ForwardsOutside = options.ForwardsOutside };
    }
}
