using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;

namespace APlusP.Linux.FastPath;

// The maps as bpf/layout.h has them; each struct there has its twin here, field by field.

static class Layout
{
    /// <summary>LAYOUT_VERSION.</summary>
    public const int Version = 4;

    public const ushort AskKernel = 0, ByRoute = 0xfffe, PassUp = 0xffff;

    /// <summary>Above a device's address: XDP cannot hand it frames.</summary>
    public const ulong TakesNoFrames = 1UL << 48;

    /// <summary>From here to <see cref="EndChange"/> programs leave an entry alone.</summary>
    public static void BeginChange(ref uint sequence)
    {
        Volatile.Write(ref sequence, sequence | 1);
        Volatile.WriteBarrier();
    }

    public static void EndChange(ref uint sequence)
    {
        Volatile.WriteBarrier();
        Volatile.Write(ref sequence, sequence + 1);
    }
}

[Flags]
enum ConfigFlags : uint
{
    None = 0,
    IcmpFromInternet = 1,
    Hairpinning = 2,
    RoutesKnown = 4,
    HasRules = 8,
    TakesServices = 16,
}

[StructLayout(LayoutKind.Sequential)]
unsafe struct ConfigEntry
{
    public ulong Secret;
    public ConfigFlags Flags;
    public uint Buckets;
    public byte HopLimit;
    fixed byte _padding[7];
}

/// <summary>What <see cref="PortsEntry.At"/> leads to.</summary>
enum PortsKind : byte
{
    None,
    One,
    Row,
    Index,
    Ranges,
    Lists,
}

/// <summary>How the ports of an address are divided: union ports, read and written as one number.</summary>
[StructLayout(LayoutKind.Sequential)]
struct PortsEntry
{
    public uint At;
    public ushort What;
    byte _kindAndOffset;
    public byte Length;

    public PortsKind Kind
    {
        readonly get => (PortsKind)(_kindAndOffset & 15);
        set => _kindAndOffset = (byte)(_kindAndOffset & 0xf0 | (byte)value);
    }

    public byte Offset
    {
        readonly get => (byte)(_kindAndOffset >> 4);
        set => _kindAndOffset = (byte)(_kindAndOffset & 15 | value << 4);
    }
}

[StructLayout(LayoutKind.Sequential)]
struct AddressEntry
{
    public uint Address;
    readonly uint _padding;
    public ulong Ports;
}

/// <summary>A cache line of records.</summary>
[InlineArray(Records)]
struct BucketEntry
{
    public const int Records = 4, Most = 8;

    AddressEntry _first;
}

/// <summary>union place: a range, or a PSID as a range of one, with its slot; two slots; or two lengths.</summary>
[StructLayout(LayoutKind.Explicit)]
struct PlaceEntry
{
    [FieldOffset(0)]
    public ushort First;

    [FieldOffset(2)]
    public ushort Last;

    [FieldOffset(4)]
    public uint Slot;

    [FieldOffset(0)]
    public uint Even;

    [FieldOffset(4)]
    public uint Odd;

    [FieldOffset(0)]
    public uint Ranges;

    [FieldOffset(4)]
    public uint Psids;
}

[StructLayout(LayoutKind.Sequential)]
struct SoftwireEntry
{
    public uint Sequence;
    public uint Address;
    public ushort PayloadMtu, Prr, NextHop, Large;
    public NetworkAddress Smap;
    public ulong InPackets, InOctets, OutPackets, OutOctets;

    /// <summary>Adds what another entry has counted, while programs count in this one.</summary>
    public void TakeCounters(in SoftwireEntry other)
    {
        Interlocked.Add(ref InPackets, other.InPackets);
        Interlocked.Add(ref InOctets, other.InOctets);
        Interlocked.Add(ref OutPackets, other.OutPackets);
        Interlocked.Add(ref OutOctets, other.OutOctets);
    }
}

/// <summary>An IPv6 address as it stands in a packet.</summary>
[StructLayout(LayoutKind.Sequential)]
readonly record struct NetworkAddress
{
    readonly ulong _high, _low;

    public NetworkAddress(IPv6Address address)
    {
        _high = BinaryPrimitives.ReverseEndianness((ulong)(address.Value >> 64));
        _low = BinaryPrimitives.ReverseEndianness((ulong)address.Value);
    }

    public IPv6Address Address => new(new UInt128(BinaryPrimitives.ReverseEndianness(_high), BinaryPrimitives.ReverseEndianness(_low)));

    /// <summary>An IPv4 address as it stands in a packet.</summary>
    public static uint Of(IPv4Address address) => BinaryPrimitives.ReverseEndianness(address.Value);
}

[StructLayout(LayoutKind.Sequential)]
unsafe struct NextHopEntry
{
    public uint Sequence;
    public uint Device;
    public fixed byte To[6];
    public fixed byte From[6];
    public ushort Mtu;
    fixed byte _padding[10];
}

[StructLayout(LayoutKind.Sequential)]
readonly record struct RouteKey(uint Length, uint Address);

[StructLayout(LayoutKind.Sequential, Pack = 4)]
readonly record struct Route6Key(uint Length, NetworkAddress Address);

[StructLayout(LayoutKind.Sequential)]
struct RuleEntry
{
    public ulong PrefixHigh, PrefixLow;
    public ulong IdentifierMask;
    public uint Address, RuleMask, SubscriberMask;
    public int OnlyPsid;
    public ushort PayloadMtu, Prr;
    public byte SuffixShift, PsidLength, EaShift, HasEa, BlockShift, PsidShift, FirstBlock, AddressShift, PsidAt;
    public byte Up;
    public ushort NextHop;
}

[StructLayout(LayoutKind.Sequential)]
struct PathEntry
{
    public uint PayloadMtu;
    public uint Large;
}

/// <summary>Why a packet went up to tier 1; each is a counter.</summary>
public enum PassUpReason
{
    NoBinding,
    Header,
    Fragment,
    Protocol,
    Icmp,
    Syn,
    Ttl,
    TooBig,
    Source,
    Congestion,
    Destination,
    Hairpin,
    NoRoute,
    Changing,
    Room,
    NoFlow,
}

/// <summary>What the fast path has forwarded, and what it has passed up. One set for each CPU; sums are made of copies.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct FastPathCounters
{
    /// <summary>Values of <see cref="PassUpReason"/>.</summary>
    public const int Reasons = 16;

    public ulong InPackets, InOctets;
    public ulong OutPackets, OutOctets;
    public ulong HairpinPackets, HairpinOctets;
    fixed ulong _upIn[Reasons];
    fixed ulong _upOut[Reasons];

    /// <summary>Packets that a SMAP's program had half translated when the kernel had no memory.</summary>
    public ulong LostIn, LostOut;

    /// <summary>Packets that came from outside, or else from subscribers or the home, and were passed up for this reason.</summary>
    public readonly ulong PassedUp(bool fromOutside, PassUpReason reason) => fromOutside ? _upIn[(int)reason] : _upOut[(int)reason];

    /// <summary>Why the programs of a PRR, or else of a SMAP, pass packets up.</summary>
    public static IEnumerable<PassUpReason> ReasonsOf(bool isPrr) =>
        Enum.GetValues<PassUpReason>().Where(r => r != (isPrr ? PassUpReason.NoFlow : PassUpReason.NoBinding) && (isPrr || r != PassUpReason.Destination));

    /// <summary>Each counter by its public name: <c>fast-path-from-internet-forwarded</c>, <c>fast-path-from-smap-up-syn</c> and so on.</summary>
    /// <param name="outside">The side that packets come in from: the Internet of a PRR, the PRR of a SMAP.</param>
    /// <param name="inside">The other.</param>
    public readonly IEnumerable<KeyValuePair<string, long>> Named(Origin outside, Origin inside)
    {
        string from = $"fast-path-{ForwardingCounters.Kebab(outside)}", to = $"fast-path-{ForwardingCounters.Kebab(inside)}";
        bool isPrr = outside == Origin.FromInternet;
        var named = new List<KeyValuePair<string, long>> { new($"{from}-forwarded", (long)InPackets), new($"{to}-forwarded", (long)OutPackets) };
        if (isPrr) named.Add(new($"{to}-hairpinned", (long)HairpinPackets));
        else named.AddRange([new($"{from}-lost", (long)LostIn), new($"{to}-lost", (long)LostOut)]);
        foreach (PassUpReason reason in ReasonsOf(isPrr)) named.Add(new($"{from}-up-{ForwardingCounters.Kebab(reason)}", (long)PassedUp(true, reason)));
        foreach (PassUpReason reason in ReasonsOf(isPrr)) named.Add(new($"{to}-up-{ForwardingCounters.Kebab(reason)}", (long)PassedUp(false, reason)));
        return named;
    }

    public void Add(in FastPathCounters other)
    {
        InPackets += other.InPackets;
        InOctets += other.InOctets;
        OutPackets += other.OutPackets;
        OutOctets += other.OutOctets;
        HairpinPackets += other.HairpinPackets;
        HairpinOctets += other.HairpinOctets;
        LostIn += other.LostIn;
        LostOut += other.LostOut;
        for (int i = 0; i < Reasons; i++)
        {
            _upIn[i] += other._upIn[i];
            _upOut[i] += other._upOut[i];
        }
    }
}
