using System.Buffers.Binary;
using System.Globalization;
using APlusP.Core.Addresses;

namespace APlusP.Core.Pcp;

/// <summary>The mapping nonce, 96 bits that nobody else knows: whoever has another may not change or delete the mapping.</summary>
public readonly record struct PcpNonce(ulong High, uint Low)
{
    public const int Size = 12;

    public static PcpNonce Read(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]));

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, High);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[8..], Low);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{High:x16}{Low:x8}");
}

/// <summary>
/// What the opcode MAP has, in requests and in responses alike, RFC 6887 section 11.1.
/// <code>
///  |                mapping nonce, 96 bits                 |
///  | protocol, 8 bits |         reserved, 24 bits          |
///  | internal port, 16 bits | external port, 16 bits       |
///  |             external address, 128 bits                |
/// </code>
/// </summary>
/// <param name="Nonce">By which the mapping is the client's.</param>
/// <param name="Protocol">0 for all of them.</param>
/// <param name="InternalPort">0 for all of them.</param>
/// <param name="ExternalPort">Suggested, or assigned.</param>
/// <param name="ExternalAddress">Suggested, or assigned; IPv4 as ::ffff:192.0.2.1.</param>
public readonly record struct PcpMap(PcpNonce Nonce, byte Protocol, ushort InternalPort, ushort ExternalPort, IPv6Address ExternalAddress)
{
    /// <summary>Octets.</summary>
    public const int Size = 36;

    const ulong Mapped = 0xffff;

    public static PcpMap Read(ReadOnlySpan<byte> bytes) => new(
        PcpNonce.Read(bytes), bytes[12], BinaryPrimitives.ReadUInt16BigEndian(bytes[16..]), BinaryPrimitives.ReadUInt16BigEndian(bytes[18..]), IPv6Address.Read(bytes[20..]));

    public void Write(Span<byte> bytes)
    {
        bytes[..Size].Clear();
        Nonce.Write(bytes);
        bytes[12] = Protocol;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[16..], InternalPort);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[18..], ExternalPort);
        ExternalAddress.Write(bytes[20..]);
    }

    /// <summary>The IPv4 address that the external one is; null where it is none, or the one that stands for any.</summary>
    public IPv4Address? External => ExternalAddress.Value >> 32 == Mapped && (uint)ExternalAddress.Value != 0 ? new IPv4Address((uint)ExternalAddress.Value) : null;

    /// <summary>An IPv4 address in the field of 128 bits, RFC 6887 section 5; 0.0.0.0 is any.</summary>
    public static IPv6Address Written(IPv4Address address) => new((UInt128)Mapped << 32 | address.Value);
}
