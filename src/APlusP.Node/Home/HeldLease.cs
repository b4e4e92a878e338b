using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Node.Home;

/// <summary>A lease that a registry has given to this SMAP.</summary>
/// <param name="Id">By which the registry knows it.</param>
/// <param name="Softwire">Our end of the softwire, as the registry knows it.</param>
/// <param name="Address">The shared IPv4 address.</param>
/// <param name="Ports">Our ports of it.</param>
/// <param name="Until">When it runs out, by the registry's clock.</param>
public sealed record HeldLease(string Id, IPv6Address Softwire, IPv4Address Address, PortSet Ports, DateTimeOffset Until)
{
    /// <summary>The PRR's end of the softwire; null where neither registry nor configuration says.</summary>
    public IPv6Address? Prr { get; init; }

    /// <summary>Largest IPv4 packet of the softwire, where the registry says.</summary>
    public int? PayloadMtu { get; init; }

    /// <summary>What the hosts of our LANs may not do, as the operator has it.</summary>
    public LanPolicy Policy { get; init; } = LanPolicy.None;

    /// <summary>Ports by which it has grown, the last ones last: they go in the blocks in which they came.</summary>
    public IReadOnlyList<PortSet> Growths { get; init; } = [];

    /// <summary>Whether a data plane that goes by one may go on by the other as it is.</summary>
    public bool IsAlike(HeldLease other) =>
        (Softwire, Address, Prr, PayloadMtu) == (other.Softwire, other.Address, other.Prr, other.PayloadMtu) && Ports.Equals(other.Ports);

    /// <summary>The same lease as the registry tells it now: what it has more than before is a growth, and of the growths of before those are left that it still has.</summary>
    public HeldLease Follow(HeldLease? before)
    {
        if (before is null || before.Id != Id || before.Address != Address) return this;
        List<PortSet> growths = [.. before.Growths.Where(g => g.Except(Ports) is null)];
        if (Ports.Except(before.Ports) is { } added) growths.Add(added);
        return this with { Growths = growths };
    }
}
