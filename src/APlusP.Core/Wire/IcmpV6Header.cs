using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace APlusP.Core.Wire;

/// <summary>Types of ICMPv6 messages, RFC 4443 section 2.1; those under 128 are errors.</summary>
public enum IcmpV6Type : byte
{
    DestinationUnreachable = 1,
    PacketTooBig = 2,
    TimeExceeded = 3,
    ParameterProblem = 4,
    EchoRequest = 128,
    EchoReply = 129,
}

/// <summary>The ICMPv6 header, RFC 4443 section 2.1.</summary>
public readonly ref struct IcmpV6Header
{
    public const int Size = 8;

    /// <summary>Code of Destination Unreachable: the source address failed ingress policy (RFC 4443 section 3.1, RFC 7596 section 6.2).</summary>
    public const byte SourceAddressFailedPolicy = 5;

    /// <summary>Code of Time Exceeded: fragments of a packet did not come in time (RFC 4443 section 3.3, RFC 8200 section 4.5).</summary>
    public const byte ReassemblyTimeExceeded = 1;

    readonly ref byte _at;

    IcmpV6Header(ref byte at) => _at = ref at;

    public static bool TryRead(Span<byte> bytes, out IcmpV6Header header)
    {
        header = new IcmpV6Header(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= Size;
    }

    public IcmpV6Type Type => (IcmpV6Type)_at;

    public byte Code => Unsafe.Add(ref _at, 1);

    public bool IsError => _at < 128;

    /// <summary>The four octets behind the checksum: of Packet Too Big the MTU, of an echo its identifier and sequence number.</summary>
    public uint Rest => BigEndian.Read32(ref _at, 4);

    public ushort Checksum
    {
        get => BigEndian.Read16(ref _at, 2);
        set => BigEndian.Write16(ref _at, 2, value);
    }

    /// <summary>Writes type, code and the four octets behind the checksum, which is left 0.</summary>
    public static void Write(Span<byte> bytes, IcmpV6Type type, byte code, uint rest)
    {
        ref byte at = ref MemoryMarshal.GetReference(bytes[..Size]);
        BigEndian.Write32(ref at, 0, (uint)type << 24 | (uint)code << 16);
        BigEndian.Write32(ref at, 4, rest);
    }
}
