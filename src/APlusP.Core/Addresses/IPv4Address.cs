using System.Buffers.Binary;

namespace APlusP.Core.Addresses;

/// <summary>An IPv4 address as one number in host order, so that comparing, hashing and arithmetic are single instructions.</summary>
public readonly record struct IPv4Address(uint Value) : IComparable<IPv4Address>
{
    /// <summary>Octets on the wire.</summary>
    public const int Size = 4;

    public static IPv4Address Read(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt32BigEndian(bytes));

    public void Write(Span<byte> bytes) => BinaryPrimitives.WriteUInt32BigEndian(bytes, Value);

    /// <summary>
    /// Whether a packet with this destination may leave a router towards one host: not "this network" (0/8), loopback (127/8),
    /// multicast (224/4) or reserved and broadcast (240/4). RFC 1122 section 3.2.1.3, RFC 1812 section 5.3.7.
    /// </summary>
    public bool IsUnicast => Value >> 24 is > 0 and < 224 and not 127;

    public static IPv4Address Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out IPv4Address address)
            ? address
            : throw new FormatException($"'{text}' is not an IPv4 address; write four numbers from 0 to 255, such as 192.0.2.1.");

    /// <summary>Takes the dotted form of four decimal numbers only; the forms of inet_aton (0x7f.1, 10) are refused.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out IPv4Address result)
    {
        result = default;
        uint value = 0;
        int position = 0;
        for (int part = 0; part < 4; part++)
        {
            if (part > 0 && (position >= text.Length || text[position++] != '.')) return false;
            int digits = 0;
            uint number = 0;
            while (position < text.Length && char.IsAsciiDigit(text[position]) && digits < 3)
            {
                number = number * 10 + (uint)(text[position++] - '0');
                digits++;
            }

            if (digits == 0 || number > 255 || (digits > 1 && text[position - digits] == '0')) return false;
            value = value << 8 | number;
        }

        if (position != text.Length) return false;
        result = new IPv4Address(value);
        return true;
    }

    public int CompareTo(IPv4Address other) => Value.CompareTo(other.Value);

    public static bool operator <(IPv4Address left, IPv4Address right) => left.Value < right.Value;

    public static bool operator <=(IPv4Address left, IPv4Address right) => left.Value <= right.Value;

    public static bool operator >(IPv4Address left, IPv4Address right) => left.Value > right.Value;

    public static bool operator >=(IPv4Address left, IPv4Address right) => left.Value >= right.Value;

    public override string ToString() => $"{Value >> 24}.{(byte)(Value >> 16)}.{(byte)(Value >> 8)}.{(byte)Value}";
}
