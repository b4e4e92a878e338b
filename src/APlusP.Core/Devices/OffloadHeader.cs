using System.Runtime.InteropServices;

namespace APlusP.Core.Devices;

/// <summary>
/// What stands in front of a packet between the kernel and a device that takes part in segmentation offload: struct virtio_net_hdr of the Virtual I/O Device specification,
/// section 5.1.6, in the machine's order. All zero for a packet that is nothing but itself.
/// </summary>
/// <param name="Flags">Whether the checksum is still to be made.</param>
/// <param name="Type">What the packet is to be cut into.</param>
/// <param name="HeadersLength">Octets of all headers, of a packet that is to be cut.</param>
/// <param name="SegmentSize">Octets of payload in each part.</param>
/// <param name="ChecksumStart">From where on the checksum counts.</param>
/// <param name="ChecksumOffset">Where it stands, from there; it holds the sum of the pseudo header.</param>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public readonly record struct OffloadHeader(OffloadFlags Flags, OffloadType Type, ushort HeadersLength, ushort SegmentSize, ushort ChecksumStart, ushort ChecksumOffset)
{
    /// <summary>Octets.</summary>
    public const int Size = 10;

    public bool NeedsChecksum => (Flags & OffloadFlags.NeedsChecksum) != 0;

    /// <summary>Whether this is a TCP packet over IPv4 that stands for several.</summary>
    public bool IsTcpV4 => (Type & ~OffloadType.Ecn) == OffloadType.TcpV4;

    public static OffloadHeader Read(ReadOnlySpan<byte> bytes) => MemoryMarshal.Read<OffloadHeader>(bytes);
}

/// <summary>VIRTIO_NET_HDR_F_*.</summary>
[Flags]
public enum OffloadFlags : byte
{
    None = 0,
    NeedsChecksum = 1,
}

/// <summary>VIRTIO_NET_HDR_GSO_*.</summary>
[Flags]
public enum OffloadType : byte
{
    None = 0,
    TcpV4 = 1,

    /// <summary>The first part alone says that the congestion window was reduced (RFC 3168 section 6.1.2).</summary>
    Ecn = 0x80,
}
