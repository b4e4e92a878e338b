using System.Runtime.InteropServices;

namespace APlusP.Linux.FastPath;

// The SMAP's maps as bpf/smap.h has them; each struct there has its twin here, field by field.

static class SmapLayout
{
    /// <summary>SMAP_LAYOUT_VERSION.</summary>
    public const int Version = 2;

    /// <summary>FORWARDS, in <see cref="FlowEntry.Seen"/>.</summary>
    public const byte Forwards = 0x80;

    // RESET and NOT_BELIEVED, in FlowEntry.Reset.
    public const byte Reset = 1, NotBelieved = 2;
}

[Flags]
enum SmapFlags : uint
{
    None = 0,
    RewritesIdentification = 1,
    SendsPlain = 2,
    RoutesKnown = ConfigFlags.RoutesKnown,
    TakesServices = ConfigFlags.TakesServices,
}

[StructLayout(LayoutKind.Sequential)]
unsafe struct SmapConfigEntry
{
    public ulong Secret;
    public NetworkAddress Smap;
    public uint Shared;
    public SmapFlags Flags;
    public uint OwnDevice;
    public uint Identifications;
    public uint Stride;
    public byte HopLimit;
    fixed byte _padding[3];
    public FlowIdentity Identity;
}

/// <summary>A digest of what flows stand on.</summary>
[StructLayout(LayoutKind.Sequential)]
readonly record struct FlowIdentity(ulong A, ulong B, ulong C, ulong D);

[StructLayout(LayoutKind.Sequential)]
readonly record struct FlowKey(uint Local, uint Remote, ushort LocalPort, ushort RemotePort, byte Protocol, byte Inwards, ushort Padding);

[StructLayout(LayoutKind.Sequential)]
struct FlowEntry
{
    public uint Sequence;
    public uint Inside, Remote;
    public ushort InsidePort, RemotePort, External;
    public byte Protocol;
    public byte End;
    public byte Seen;
    public byte FinOut, FinIn, Reset;
    public uint LastOut, LastIn;
    public ulong OutPackets, OutOctets, InPackets, InOctets;

    /// <summary>Under which the program finds it for packets from the home.</summary>
    public readonly FlowKey Outwards => new(Inside, Remote, InsidePort, RemotePort, Protocol, 0, 0);

    /// <summary>Under which it finds it for packets from outside.</summary>
    public readonly FlowKey Inwards => new(0, Remote, External, RemotePort, Protocol, 1, 0);
}

[StructLayout(LayoutKind.Sequential)]
struct FarEndEntry
{
    public uint Sequence;
    public uint PayloadMtu;
    public NetworkAddress Address;
    public uint Large;
    readonly uint _padding;
}

/// <summary>Four identifications.</summary>
[StructLayout(LayoutKind.Sequential)]
unsafe struct IdentificationsEntry
{
    public fixed ushort Of[4];
}
