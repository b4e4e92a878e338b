using System.Buffers;
using System.Buffers.Binary;

namespace APlusP.Core.Web;

/// <summary>
/// The first message of a TLS client (RFC 8446 section 4.1.2), which names the server in clear (RFC 6066 section 3).
/// <code>
///   record     type 22 | version 3.x | length | fragment of the handshake, 1 to 16384 octets; a hello may stand in several (section 5.1)
///   handshake  type 1 | length, 3 octets | version | random, 32 | session id, 1+ | cipher suites, 2+ | compression, 1+ | extensions, 2+
///   extension  type 0 | length | list length | type 0 | length | host name
/// </code>
/// </summary>
static class ClientHello
{
    public const byte RecordType = 22;

    const int RecordHeader = 5, LargestRecord = 16384, HandshakeHeader = 4, VersionAndRandom = 34;
    const byte HelloType = 1, MajorVersion = 3, HostNameType = 0;
    const ushort ServerName = 0;

    public static NameSearch FindName(ReadOnlySpan<byte> octets, out string? name)
    {
        name = null;
        byte[] room = ArrayPool<byte>.Shared.Rent(octets.Length);
        try
        {
            NameSearch records = Gather(octets, room, out int length);
            ReadOnlySpan<byte> handshake = room.AsSpan(0, length);
            if (handshake.Length > 0 && handshake[0] != HelloType) return NameSearch.None;
            if (handshake.Length < HandshakeHeader) return records;
            int whole = HandshakeHeader + (handshake[1] << 16 | handshake[2] << 8 | handshake[3]);
            if (whole > WebName.MostOctets) return NameSearch.None;
            if (handshake.Length < whole) return records;
            name = ReadName(handshake[HandshakeHeader..whole]);
            return name is null ? NameSearch.None : NameSearch.Found;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(room);
        }
    }

    /// <summary>Puts together what the records hold; "none" where one of them is no handshake.</summary>
    static NameSearch Gather(ReadOnlySpan<byte> octets, Span<byte> into, out int length)
    {
        length = 0;
        while (octets.Length > 0)
        {
            if (octets[0] != RecordType) return NameSearch.None;
            if (octets.Length < RecordHeader) break;
            int record = BinaryPrimitives.ReadUInt16BigEndian(octets[3..]);
            if (octets[1] != MajorVersion || record is 0 or > LargestRecord) return NameSearch.None;
            int here = Math.Min(record, octets.Length - RecordHeader);
            octets.Slice(RecordHeader, here).CopyTo(into[length..]);
            length += here;
            octets = octets[(RecordHeader + here)..];
        }

        return NameSearch.More;
    }

    static string? ReadName(ReadOnlySpan<byte> hello)
    {
        if (hello.Length < VersionAndRandom) return null;
        hello = hello[VersionAndRandom..];
        if (!TryTake(ref hello, 1, out _) || !TryTake(ref hello, 2, out _) || !TryTake(ref hello, 1, out _) || !TryTake(ref hello, 2, out ReadOnlySpan<byte> extensions)) return null;
        while (extensions.Length >= 2)
        {
            ushort type = BinaryPrimitives.ReadUInt16BigEndian(extensions);
            extensions = extensions[2..];
            if (!TryTake(ref extensions, 2, out ReadOnlySpan<byte> data)) return null;
            if (type != ServerName) continue;
            if (!TryTake(ref data, 2, out ReadOnlySpan<byte> list)) return null;
            while (list.Length > 0)
            {
                byte kind = list[0];
                list = list[1..];
                if (!TryTake(ref list, 2, out ReadOnlySpan<byte> host)) return null;
                if (kind == HostNameType) return WebName.Text(host);
            }

            return null;
        }

        return null;
    }

    /// <summary>Takes a field that begins with its length, of so many octets.</summary>
    static bool TryTake(ref ReadOnlySpan<byte> from, int lengthOctets, out ReadOnlySpan<byte> field)
    {
        field = default;
        if (from.Length < lengthOctets) return false;
        int length = lengthOctets == 1 ? from[0] : BinaryPrimitives.ReadUInt16BigEndian(from);
        if (from.Length < lengthOctets + length) return false;
        field = from.Slice(lengthOctets, length);
        from = from[(lengthOctets + length)..];
        return true;
    }
}
