using System.Buffers.Binary;
using System.Text;

namespace APlusP.Survey.Readers;

/// <summary>What a TLS client says in the clear: the server's name (RFC 6066 section 3) and the protocols that it offers (ALPN, RFC 7301). Neither is stored; they tell the application.</summary>
/// <remarks>
/// <code>
/// 16 | version 2 | length 2 || 01 | length 3 | version 2 | random 32 | session id 1+n | cipher suites 2+n | compression 1+n | extensions 2+n
/// extension: type 2 | length 2 | data
/// </code>
/// </remarks>
static class ClientHello
{
    const byte Handshake = 0x16, Hello = 1;
    const int ServerName = 0, Alpn = 16, BeforeSessionId = 5 + 4 + 2 + 32;

    /// <summary>Reads as much as the first segment holds; false where it is no ClientHello, or names nothing.</summary>
    public static bool TryRead(ReadOnlySpan<byte> segment, out string? serverName, out IReadOnlyList<string> alpn)
    {
        serverName = null;
        alpn = [];
        if (segment.Length < BeforeSessionId || segment[0] != Handshake || segment[5] != Hello) return false;
        ReadOnlySpan<byte> rest = segment[BeforeSessionId..];
        if (!TryTake(ref rest, 1, out _) || !TryTake(ref rest, 2, out _) || !TryTake(ref rest, 1, out _) || rest.Length < 2) return false;
        rest = rest[2..];
        while (rest.Length >= 2)
        {
            int type = BinaryPrimitives.ReadUInt16BigEndian(rest);
            rest = rest[2..];
            if (!TryTake(ref rest, 2, out ReadOnlySpan<byte> extension)) break;
            if (type == ServerName) serverName = NameOf(extension);
            else if (type == Alpn) alpn = ProtocolsOf(extension);
        }

        return serverName is not null || alpn.Count > 0;
    }

    /// <summary>A list of 2+n, of which each is type 1 and 2+n; type 0 is a host's name.</summary>
    static string? NameOf(ReadOnlySpan<byte> extension)
    {
        if (!TryTake(ref extension, 2, out ReadOnlySpan<byte> list) || list.Length < 3 || list[0] != 0) return null;
        list = list[1..];
        return TryTake(ref list, 2, out ReadOnlySpan<byte> name) ? Encoding.ASCII.GetString(name) : null;
    }

    static List<string> ProtocolsOf(ReadOnlySpan<byte> extension)
    {
        var protocols = new List<string>();
        if (!TryTake(ref extension, 2, out ReadOnlySpan<byte> list)) return protocols;
        while (TryTake(ref list, 1, out ReadOnlySpan<byte> protocol)) protocols.Add(Encoding.ASCII.GetString(protocol));
        return protocols;
    }

    /// <summary>Takes a vector: its length in so many octets, and the octets.</summary>
    static bool TryTake(ref ReadOnlySpan<byte> rest, int lengthOctets, out ReadOnlySpan<byte> vector)
    {
        vector = default;
        if (rest.Length < lengthOctets) return false;
        int length = lengthOctets == 1 ? rest[0] : BinaryPrimitives.ReadUInt16BigEndian(rest);
        if (rest.Length < lengthOctets + length) return false;
        vector = rest.Slice(lengthOctets, length);
        rest = rest[(lengthOctets + length)..];
        return true;
    }
}
