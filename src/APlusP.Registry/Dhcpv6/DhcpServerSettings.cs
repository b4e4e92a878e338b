using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;

namespace APlusP.Registry.Dhcpv6;

/// <summary>What a registry tells by DHCPv6, and on which links: <c>[dhcpv6]</c>.</summary>
public sealed record DhcpServerSettings
{
    /// <summary>Devices by which clients, or relay agents, reach it.</summary>
    public required IReadOnlyList<string> Interfaces { get; init; }

    /// <summary>PRRs: the first is the one that SMAPs take.</summary>
    public required IReadOnlyList<IPv6Address> BorderRelays { get; init; }

    /// <summary>What is told, the preferred one first (RFC 8026).</summary>
    public IReadOnlyList<DhcpOption> Mechanisms { get; init; } = [DhcpOption.S46Lightweight];

    /// <summary>What prefixes of homes are cut from, where no rule says theirs; null for none.</summary>
    public IPv6Prefix? Prefixes { get; init; }

    /// <summary>The length of a home's prefix.</summary>
    public int PrefixLength { get; init; } = DefaultPrefixLength;

    public const int DefaultPrefixLength = 56;

    /// <summary>Mapping rules, told as MAP-E; where one says who has the ports of a lease, its prefix is that home's.</summary>
    public IReadOnlyList<SoftwireRule> Rules { get; init; } = [];

    /// <summary>Class of new leases; null for the default.</summary>
    public string? Class { get; init; }

    /// <summary>Among several servers (RFC 8415 section 21.8).</summary>
    public byte Preference { get; init; }

    /// <summary>Whether two messages will do (RFC 8415 section 21.14): where this is the only server.</summary>
    public bool RapidCommit { get; init; }
}

/// <summary>
/// Which IPv6 prefix a home has beside its ports. Nothing of it is stored: a mapping rule computes it, or it is as far into <c>prefixes</c> as the lease's first unit of ports is into the pools,
/// which no two leases have alike. What a lease has is read back from its softwire.
/// </summary>
sealed class HomePrefixes(DhcpServerSettings settings, LeasePolicy policy)
{
    /// <summary>How many units all pools have.</summary>
    static long UnitsOf(LeasePolicy policy) => policy.Pools.Sum(UnitsOf);

    static long UnitsOf(Pool pool) => ((long)pool.Prefix.Last.Value - pool.Prefix.Address.Value + 1) * pool.Layout.UnitCount;

    /// <summary>Why the prefixes are too few for the pools, or null.</summary>
    public static string? Fault(IPv6Prefix prefixes, int length, LeasePolicy policy)
    {
        if (length < prefixes.Length) return $"'prefix-length' is {length}, shorter than 'prefixes' itself, which is {prefixes}.";
        int bits = length - prefixes.Length;
        long units = UnitsOf(policy);
        if (bits >= 63 || units <= 1L << bits) return null;
        int needed = 64 - System.Numerics.BitOperations.LeadingZeroCount((ulong)units - 1);
        return $"{prefixes} has {1L << bits:N0} prefixes of /{length}, but the pools have {units:N0} blocks of ports, each of which may be a home's; write a prefix of /{Math.Max(0, length - needed)} or shorter, longer prefixes for homes, or larger blocks.";
    }

    /// <summary>The prefix that goes with these ports; null where there is none.</summary>
    public IPv6Prefix? For(IPv4Address address, PortSet ports)
    {
        if (RuleOf(address, ports) is { } subscriber) return subscriber.EndUser;
        if (settings.Prefixes is not { } prefixes) return null;
        long index = 0;
        foreach (Pool pool in policy.Pools)
        {
            if (!pool.Prefix.Contains(address))
            {
                index += UnitsOf(pool);
                continue;
            }

            index += (long)(address.Value - pool.Prefix.Address.Value) * pool.Layout.UnitCount + pool.Layout.UnitsOf(ports).First();
            return new IPv6Prefix(new IPv6Address(prefixes.Address.Value | (UInt128)index << (128 - settings.PrefixLength)), settings.PrefixLength);
        }

        return null;
    }

    /// <summary>Our end of the softwire of a home with these ports: RFC 7596 section 5.1, RFC 7597 section 6.</summary>
    public IPv6Address? SoftwireFor(IPv4Address address, PortSet ports) =>
        For(address, ports) is { } prefix ? MappingRule.CeAddress(prefix, address, PsidForm.Of(ports)?.Value ?? 0) : null;

    /// <summary>The prefix of ours that a softwire is in; null where the home has it from elsewhere.</summary>
    public IPv6Prefix? Of(IPv6Address softwire)
    {
        foreach (SoftwireRule rule in settings.Rules)
            if (rule.Rule.TryReadCe(softwire, out _, out _)) return IPv6Prefix.Of(softwire, rule.Rule.EndUserLength);
        return settings.Prefixes is { } prefixes && prefixes.Contains(softwire) ? IPv6Prefix.Of(softwire, settings.PrefixLength) : null;
    }

    MappedSubscriber? RuleOf(IPv4Address address, PortSet ports)
    {
        foreach (SoftwireRule rule in settings.Rules)
            if (rule.Rule.TryMapPort(address, ports.Ranges.First().First, out MappedSubscriber? subscriber, out _) && subscriber!.Ports.Ranges.SequenceEqual(ports.Ranges)) return subscriber;
        return null;
    }
}
