using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace APlusP.Core.Wire;

/// <summary>Types of ICMP messages, RFC 792, 950 and 8335.</summary>
public enum IcmpV4Type : byte
{
    EchoReply = 0,
    DestinationUnreachable = 3,
    SourceQuench = 4,
    Redirect = 5,
    Echo = 8,
    TimeExceeded = 11,
    ParameterProblem = 12,
    Timestamp = 13,
    TimestampReply = 14,
}

/// <summary>The ICMP header, RFC 792: of a query with its identifier, of an error with the packet that it is about.</summary>
public readonly ref struct IcmpV4Header
{
    public const int Size = 8;

    // Codes of Destination Unreachable, RFC 792 and RFC 1812 section 5.2.7.1.
    public const byte HostUnreachable = 1;
    public const byte ProtocolUnreachable = 2;
    public const byte PortUnreachable = 3;
    public const byte FragmentationNeeded = 4;
    public const byte AdministrativelyProhibited = 13;

    readonly ref byte _at;

    IcmpV4Header(ref byte at) => _at = ref at;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead(Span<byte> bytes, out IcmpV4Header header)
    {
        header = new IcmpV4Header(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= Size;
    }

    public IcmpV4Type Type
    {
        get => (IcmpV4Type)_at;
        set
        {
            Checksum = Wire.Checksum.Update(Checksum, BigEndian.Read16(ref _at, 0), (ushort)((int)value << 8 | Code));
            _at = (byte)value;
        }
    }

    public byte Code => Unsafe.Add(ref _at, 1);

    public ushort Checksum
    {
        get => BigEndian.Read16(ref _at, 2);
        set => BigEndian.Write16(ref _at, 2, value);
    }

    /// <summary>The identifier of a query, which serves as its port (RFC 7596 section 8.1); setting it mends the checksum.</summary>
    public ushort Identifier
    {
        get => BigEndian.Read16(ref _at, 4);
        set
        {
            Checksum = Wire.Checksum.Update(Checksum, Identifier, value);
            BigEndian.Write16(ref _at, 4, value);
        }
    }

    /// <summary>A message with an identifier: a request or its reply (RFC 5508 section 1: query).</summary>
    public bool IsQuery => Type is IcmpV4Type.Echo or IcmpV4Type.EchoReply or IcmpV4Type.Timestamp or IcmpV4Type.TimestampReply;

    /// <summary>A message about a packet, which it embeds behind its header. Redirects are none of a router's business to pass on.</summary>
    public bool IsError => Type is IcmpV4Type.DestinationUnreachable or IcmpV4Type.TimeExceeded or IcmpV4Type.ParameterProblem
        or IcmpV4Type.SourceQuench;

    /// <summary>Writes type, code and the four octets behind the checksum, which is left 0.</summary>
    public static void Write(Span<byte> bytes, IcmpV4Type type, byte code, uint rest)
    {
        ref byte at = ref MemoryMarshal.GetReference(bytes[..Size]);
        BigEndian.Write32(ref at, 0, (uint)type << 24 | (uint)code << 16);
        BigEndian.Write32(ref at, 4, rest);
    }
}
