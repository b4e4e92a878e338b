using System.Runtime.InteropServices;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Fragments;

/// <summary>
/// What the fragments of one packet have in common: of IPv6 its addresses and identification (RFC 8200 section 4.5), of IPv4 the protocol too
/// (RFC 791 section 3.2), and the softwire that it came by, so that no subscriber meddles with another's.
/// </summary>
/// <param name="First">Outer source, or the softwire that it came by.</param>
/// <param name="Second">Outer destination, or both inner addresses.</param>
/// <param name="Identification">Its own.</param>
/// <param name="Sender">Whom its memory is reckoned to, as a number: the subscriber, or the host on the Internet or in the LAN.</param>
/// <param name="Protocol">Of the inner packet.</param>
/// <param name="Origin">Where it comes from.</param>
readonly record struct FragmentKey(UInt128 First, UInt128 Second, uint Identification, uint Sender, IpProtocol Protocol, Origin Origin)
{
    public static FragmentKey Of(in IPv6Header outer, uint identification, Origin origin) =>
        new(outer.Source.Value, outer.Destination.Value, identification, NumberOf(outer.Source), IpProtocol.IPv4, origin);

    public static FragmentKey Of(in IPv4Header header, IPv6Address softwire, Origin origin) =>
        new(softwire.Value, (UInt128)header.Source.Value << 32 | header.Destination.Value, header.Identification,
            origin == Origin.FromSmap ? NumberOf(softwire) : header.Source.Value, header.Protocol, origin);

    // Mixed, since the parts of an address that a mapping rule makes depend on each other, and would cancel out.
    static uint NumberOf(IPv6Address address) => (uint)Mix.Of(0, (ulong)address.Value, (ulong)(address.Value >> 64));

    // By hand, since the compiler's way goes through comparers that are allocated at their first use.
    public bool Equals(FragmentKey other) =>
        First == other.First && Second == other.Second && Identification == other.Identification && Protocol == other.Protocol && Origin == other.Origin;

    public override int GetHashCode() => HashCode.Combine(First, Second, Identification);
}

/// <summary>What is known of a packet of which fragments have come.</summary>
struct Datagram
{
    public FragmentKey Key;
    public long Expires;

    /// <summary>Fragments that wait, by offset where they are put together, else as they came; 0 where there are none.</summary>
    public int Parts;
    public int PartCount;

    /// <summary>No fragment of it is let through any more, and this is why.</summary>
    public DropReason Refused;

    /// <summary>The first fragment has come, and what follows is told by it.</summary>
    public bool IsKnown;

    // Outer packets: payload octets here, and in all once the last has come.
    public int Octets;
    public int Total;
    public IpProtocol NextHeader;
    public byte TrafficClass;
    public bool MetCongestion;

    // Inner packets.
    public FragmentFate Fate;
}

/// <summary>
/// Where a packet stands among others: in its hash chain, and by age among all and among those of its share. Numbers of other packets; 0 ends them. Apart from what is known of the packet, since
/// a flood follows these of many packets, and half a cache line each stays near.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
struct DatagramLinks
{
    /// <summary>Of its key: tells its chain, and most other packets in it apart.</summary>
    public uint Hash;

    /// <summary>Whose share of the table it counts to.</summary>
    public int Share;
    public int NextInChain;
    public int Older;
    public int Newer;
    public int OlderOfShare;
    public int NewerOfShare;
}

/// <summary>What the first fragment of an IPv4 packet says about the others: a PRR wants to know the ports, a SMAP what to make of them.</summary>
struct FragmentFate
{
    public ushort SourcePort;
    public ushort DestinationPort;
    public DropReason Portless;
    public IPv4Address Source;
    public IPv4Address Destination;
    public ushort Identification;
    public bool Hairpins;

    /// <summary>The other end of the softwire that the packet goes into.</summary>
    public IPv6Address Peer;
}

/// <summary>A fragment that waits.</summary>
struct Part
{
    public int Place;

    /// <summary>Octets of headers that are kept in front of it; not counted in <see cref="Length"/>.</summary>
    public int Headers;
    public int Length;
    public int Offset;
    public int Next;
    public int Share;
    public Origin Origin;
}
