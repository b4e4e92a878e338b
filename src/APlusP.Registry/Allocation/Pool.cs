using APlusP.Core.Addresses;

namespace APlusP.Registry.Allocation;

/// <summary>Addresses that are shared in one way.</summary>
/// <param name="Prefix">The addresses; also what the pool is called.</param>
/// <param name="Layout">How the ports of each are divided.</param>
public sealed record Pool(IPv4Prefix Prefix, PoolLayout Layout)
{
    /// <summary>The longest pools have a row for each of these many addresses.</summary>
    public const int ShortestPrefix = 12;

    /// <summary>Classes whose subscribers are served from it; none for all.</summary>
    public IReadOnlyList<string> Classes { get; init; } = [];

    /// <summary>The PRR's end of the softwires of its subscribers; null where SMAPs know it otherwise.</summary>
    public IPv6Address? Prr { get; init; }

    /// <summary>Largest IPv4 packet that their softwires carry; null where SMAPs know it otherwise.</summary>
    public int? PayloadMtu { get; init; }

    /// <summary>What the hosts of its subscribers may not do, which their SMAPs keep.</summary>
    public LanPolicy Policy { get; init; } = LanPolicy.None;

    public string Name => Prefix.ToString();

    public bool Serves(SubscriberClass subscribers) => Classes.Count == 0 || Classes.Contains(subscribers.Name);
}
