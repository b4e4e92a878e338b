namespace APlusP.Core.Dhcpv6;

/// <summary>What a client or server is known by as long as it lives, RFC 8415 section 11. To everybody else it is octets that are equal or not.</summary>
public sealed class Duid : IEquatable<Duid>
{
    /// <summary>A type of two octets, and 1 to 128 more (RFC 8415 section 11.1).</summary>
    public const int ShortestSize = 3, LongestSize = 130;

    const ushort LinkLayer = 3, Uuid = 4, Ethernet = 1;

    readonly byte[] _bytes;

    Duid(ReadOnlySpan<byte> bytes) => _bytes = bytes.ToArray();

    public static bool TryRead(ReadOnlySpan<byte> bytes, out Duid? duid)
    {
        duid = bytes.Length is >= ShortestSize and <= LongestSize ? new Duid(bytes) : null;
        return duid is not null;
    }

    /// <summary>The one that a message names in this option, where it does so soundly.</summary>
    public static bool TryRead(DhcpOptions options, DhcpOption role, out Duid? duid)
    {
        duid = null;
        return options.TryFind(role, out ReadOnlySpan<byte> value) && TryRead(value, out duid);
    }

    /// <summary>Of an Ethernet address (DUID-LL), RFC 8415 section 11.4.</summary>
    public static Duid OfEthernet(ReadOnlySpan<byte> address) => new([0, (byte)LinkLayer, 0, (byte)Ethernet, .. address]);

    /// <summary>Of a UUID (DUID-UUID), RFC 8415 section 11.5 and RFC 6355.</summary>
    public static Duid OfUuid(Guid uuid) => new([0, (byte)Uuid, .. uuid.ToByteArray(bigEndian: true)]);

    /// <summary>Reads hexadecimal digits, with or without colons between the octets.</summary>
    public static bool TryParse(string text, out Duid? duid)
    {
        duid = null;
        string digits = text.Replace(":", "", StringComparison.Ordinal);
        if (digits.Length % 2 != 0 || digits.Length > 2 * LongestSize || !digits.All(char.IsAsciiHexDigit)) return false;
        return TryRead(Convert.FromHexString(digits), out duid);
    }

    public ReadOnlySpan<byte> Bytes => _bytes;

    public bool Equals(Duid? other) => other is not null && _bytes.AsSpan().SequenceEqual(other._bytes);

    public override bool Equals(object? obj) => Equals(obj as Duid);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(_bytes);
        return hash.ToHashCode();
    }

    /// <summary>"00:03:00:01:52:54:00:12:34:56".</summary>
    public override string ToString() => string.Join(':', _bytes.Select(octet => octet.ToString("x2", null)));
}
