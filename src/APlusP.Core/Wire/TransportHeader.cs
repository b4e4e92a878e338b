using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace APlusP.Core.Wire;

/// <summary>Flags of the TCP header, RFC 9293 section 3.1.</summary>
[Flags]
public enum TcpFlags : byte
{
    None = 0,
    Fin = 0x01,
    Syn = 0x02,
    Rst = 0x04,
    Psh = 0x08,
    Ack = 0x10,
}

/// <summary>
/// The ports that begin every transport header that has them: TCP (RFC 9293), UDP (RFC 768), UDP-Lite (RFC 3828), DCCP (RFC 4340) and
/// SCTP (RFC 9260); and of TCP and UDP the checksum, which address translation must mend.
/// </summary>
public readonly ref struct TransportHeader
{
    /// <summary>Octets that <see cref="TryReadPorts"/> needs: ports alone, as in the packet that an ICMP error embeds.</summary>
    public const int PortsSize = 4;

    const int UdpSize = 8;
    const int TcpMinSize = 20;

    readonly ref byte _at;

    TransportHeader(ref byte at) => _at = ref at;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool HasPorts(IpProtocol protocol) =>
        protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Dccp or IpProtocol.Sctp;

    /// <summary>Checks that both ports are there, and no more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadPorts(Span<byte> bytes, out TransportHeader header)
    {
        header = new TransportHeader(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= PortsSize;
    }

    /// <summary>Checks that the whole TCP header is there, its options included.</summary>
    public static bool TryReadTcp(Span<byte> bytes, out TransportHeader header)
    {
        header = new TransportHeader(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= TcpMinSize && bytes[12] >> 4 >= 5 && (bytes[12] >> 4) * 4 <= bytes.Length;
    }

    /// <summary>
    /// Checks that the UDP header is there, and that its length is that of a whole header at least and no more than there is; a first fragment
    /// has less.
    /// </summary>
    public static bool TryReadUdp(Span<byte> bytes, out TransportHeader header, bool isFragment = false)
    {
        header = new TransportHeader(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= UdpSize && BigEndian.Read16(ref bytes[0], 4) is var length && length >= UdpSize && (isFragment || length <= bytes.Length);
    }

    public ushort SourcePort
    {
        get => BigEndian.Read16(ref _at, 0);
        set => BigEndian.Write16(ref _at, 0, value);
    }

    public ushort DestinationPort
    {
        get => BigEndian.Read16(ref _at, 2);
        set => BigEndian.Write16(ref _at, 2, value);
    }

    /// <summary>Of a header read by <see cref="TryReadTcp"/>.</summary>
    public TcpFlags TcpFlags => (TcpFlags)Unsafe.Add(ref _at, 13);

    /// <summary>Of a header read by <see cref="TryReadTcp"/>.</summary>
    public ushort TcpChecksum
    {
        get => BigEndian.Read16(ref _at, 16);
        set => BigEndian.Write16(ref _at, 16, value);
    }

    /// <summary>Of a header read by <see cref="TryReadUdp"/>; 0 says that the sender made none.</summary>
    public ushort UdpChecksum
    {
        get => BigEndian.Read16(ref _at, 6);
        set => BigEndian.Write16(ref _at, 6, value);
    }
}
