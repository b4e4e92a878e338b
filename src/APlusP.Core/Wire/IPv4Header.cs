using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using APlusP.Core.Addresses;

namespace APlusP.Core.Wire;

/// <summary>The IPv4 header, RFC 791 section 3.1.</summary>
/// <remarks>
/// <code>
///   0                   1                   2                   3
///   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///  |Version|  IHL  |Type of Service|          Total Length         |
///  |         Identification        |Flags|      Fragment Offset    |
///  |  Time to Live |    Protocol   |         Header Checksum       |
///  |                       Source Address                          |
///  |                    Destination Address                        |
/// </code>
/// </remarks>
public readonly ref struct IPv4Header
{
    /// <summary>Octets without options.</summary>
    public const int MinSize = 20;

    readonly ref byte _at;

    IPv4Header(ref byte at) => _at = ref at;

    /// <summary>
    /// Checks that the octets begin with a whole IPv4 header and hold as much as its total length says; more is allowed, as links pad.
    /// The checksum is not looked at, see <see cref="HasValidChecksum"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead(Span<byte> bytes, out IPv4Header header)
    {
        header = new IPv4Header(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= MinSize && header.Version == 4 && header.Size is >= MinSize && header.TotalLength >= header.Size
            && header.TotalLength <= bytes.Length;
    }

    /// <summary>As <see cref="TryRead"/>, for the packet inside an ICMP error, of which only the beginning need be there: the header and eight octets.</summary>
    public static bool TryReadEmbedded(Span<byte> bytes, out IPv4Header header)
    {
        header = new IPv4Header(ref MemoryMarshal.GetReference(bytes));
        return bytes.Length >= MinSize && header.Version == 4 && header.Size is >= MinSize && header.TotalLength >= header.Size
            && bytes.Length >= header.Size + 8;
    }

    public int Version => _at >> 4;

    /// <summary>Octets of the header with its options.</summary>
    public int Size => (_at & 0xf) * 4;

    public byte TrafficClass
    {
        get => Unsafe.Add(ref _at, 1);
        set
        {
            HeaderChecksum = Checksum.Update(HeaderChecksum, BigEndian.Read16(ref _at, 0), (ushort)(_at << 8 | value));
            Unsafe.Add(ref _at, 1) = value;
        }
    }

    public ushort TotalLength
    {
        get => BigEndian.Read16(ref _at, 2);
        set
        {
            HeaderChecksum = Checksum.Update(HeaderChecksum, TotalLength, value);
            BigEndian.Write16(ref _at, 2, value);
        }
    }

    public ushort Identification
    {
        get => BigEndian.Read16(ref _at, 4);
        set
        {
            HeaderChecksum = Checksum.Update(HeaderChecksum, Identification, value);
            BigEndian.Write16(ref _at, 4, value);
        }
    }

    public bool DontFragment => (Unsafe.Add(ref _at, 6) & 0x40) != 0;

    /// <summary>Takes the don't-fragment flag away.</summary>
    public void AllowFragments()
    {
        ushort old = BigEndian.Read16(ref _at, 6), now = (ushort)(old & ~0x4000);
        BigEndian.Write16(ref _at, 6, now);
        HeaderChecksum = Checksum.Update(HeaderChecksum, old, now);
    }

    /// <summary>A part of a larger packet: more fragments follow, or this is not the first.</summary>
    public bool IsFragment => (BigEndian.Read16(ref _at, 6) & 0x3fff) != 0;

    /// <summary>A part that does not begin with the transport header.</summary>
    public bool IsLaterFragment => (BigEndian.Read16(ref _at, 6) & 0x1fff) != 0;

    public bool MoreFragments => (Unsafe.Add(ref _at, 6) & 0x20) != 0;

    /// <summary>Where a fragment's payload stands in that of the whole packet, in octets.</summary>
    public int FragmentOffset => (BigEndian.Read16(ref _at, 6) & 0x1fff) * 8;

    public byte TimeToLive
    {
        get => Unsafe.Add(ref _at, 8);
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        set
        {
            ushort old = BigEndian.Read16(ref _at, 8);
            ushort now = (ushort)(value << 8 | old & 0xff);
            BigEndian.Write16(ref _at, 8, now);
            HeaderChecksum = Checksum.Update(HeaderChecksum, old, now);
        }
    }

    public IpProtocol Protocol => (IpProtocol)Unsafe.Add(ref _at, 9);

    public ushort HeaderChecksum
    {
        get => BigEndian.Read16(ref _at, 10);
        private set => BigEndian.Write16(ref _at, 10, value);
    }

    public IPv4Address Source
    {
        get => new(BigEndian.Read32(ref _at, 12));
        set
        {
            HeaderChecksum = Checksum.Update(HeaderChecksum, Source.Value, value.Value);
            BigEndian.Write32(ref _at, 12, value.Value);
        }
    }

    public IPv4Address Destination
    {
        get => new(BigEndian.Read32(ref _at, 16));
        set
        {
            HeaderChecksum = Checksum.Update(HeaderChecksum, Destination.Value, value.Value);
            BigEndian.Write32(ref _at, 16, value.Value);
        }
    }

    /// <summary>Whether the options hold a loose or strict source route, RFC 791 section 3.1.</summary>
    public bool HasSourceRoute
    {
        get
        {
            const byte endOfOptions = 0, noOperation = 1, looseSourceRoute = 131, strictSourceRoute = 137;
            ReadOnlySpan<byte> options = MemoryMarshal.CreateReadOnlySpan(ref Unsafe.Add(ref _at, MinSize), Size - MinSize);
            while (!options.IsEmpty && options[0] != endOfOptions)
            {
                if (options[0] is looseSourceRoute or strictSourceRoute) return true;
                int length = options[0] == noOperation ? 1 : options.Length < 2 ? 0 : options[1];
                if (length < 1 || length > options.Length) return false;
                options = options[length..];
            }

            return false;
        }
    }

    /// <summary>Whether the header's octets sum to the checksum that it carries.</summary>
    public bool HasValidChecksum
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if (Size > MinSize) return Checksum.Of(MemoryMarshal.CreateReadOnlySpan(ref _at, Size)) == 0;

            // RFC 1071 section 2 (B): the sum does not depend on the order of octets, as long as it is that of the machine throughout.
            ulong sum = Word(0) + Word(4) + Word(8) + Word(12) + Word(16);
            sum = (sum & 0xffffffff) + (sum >> 32);
            sum = (sum & 0xffff) + (sum >> 16);
            return Checksum.Fold((uint)sum) == 0xffff;
        }
    }

    ulong Word(int offset) => Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref _at, offset));

    /// <summary>Takes one from the TTL, as every router does, RFC 1812 section 5.3.1.</summary>
    public void DecrementTimeToLive() => TimeToLive--;

    /// <summary>Writes a header without options and with its checksum.</summary>
    public static void Write(Span<byte> bytes, byte trafficClass, int totalLength, byte timeToLive, IpProtocol protocol,
        IPv4Address source, IPv4Address destination, ushort identification = 0, bool dontFragment = true)
    {
        ref byte at = ref MemoryMarshal.GetReference(bytes[..MinSize]);
        BigEndian.Write16(ref at, 0, (ushort)(0x4500 | trafficClass));
        BigEndian.Write16(ref at, 2, (ushort)totalLength);
        BigEndian.Write16(ref at, 4, identification);
        BigEndian.Write16(ref at, 6, (ushort)(dontFragment ? 0x4000 : 0));
        BigEndian.Write16(ref at, 8, (ushort)(timeToLive << 8 | (int)protocol));
        BigEndian.Write16(ref at, 10, 0);
        BigEndian.Write32(ref at, 12, source.Value);
        BigEndian.Write32(ref at, 16, destination.Value);
        BigEndian.Write16(ref at, 10, Checksum.Of(bytes[..MinSize]));
    }
}
