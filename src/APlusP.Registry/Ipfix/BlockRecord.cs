using System.Data.Common;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Ipfix;

/// <summary>natEvent (information element 230) of records about blocks, by IANA's registry of NAT event types.</summary>
enum NatEvent : byte
{
    PortBlockAllocation = 16,
    PortBlockDeallocation = 17,
}

/// <summary>One contiguous block of ports that was given or taken back: what RFC 8158 section 5.2 has a record for.</summary>
/// <param name="At">When, in ms since 1970.</param>
/// <param name="Softwire">The subscriber's side: its IPv6 address.</param>
sealed record BlockRecord(long At, NatEvent Event, IPv6Address Softwire, IPv4Address Address, PortRange Ports, string Subscriber)
{
    /// <summary>The records of an event of the memory, one for each range; none for what concerns no ports of a lease.</summary>
    public static IEnumerable<BlockRecord> Of(DbDataReader row)
    {
        RegistryEvent change = RegistryEvent.Read(row);
        NatEvent? kind = change.Kind switch
        {
            // A lease that moved has its ports at another softwire from then on, which a collector learns by their being given anew.
            "granted" or "grown" or "moved" => NatEvent.PortBlockAllocation,
            "shrunk" or "released" or "expired" => NatEvent.PortBlockDeallocation,
            _ => null,
        };
        if (kind is not { } what || change is not { Softwire: { } softwire, Address: { } address, Ports: { } ports, Subscriber: { } subscriber }) yield break;

        // The registry may notice later that a lease is over than it was.
        long at = change is { Kind: "expired", Until: { } until } ? until : row.GetInt64(1);
        foreach (PortRange range in Rows.Ports(ports).Ranges)
            yield return new BlockRecord(at, what, IPv6Address.Parse(softwire), new IPv4Address((uint)address), range, subscriber);
    }
}
