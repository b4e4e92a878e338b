using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace APlusP.Core.Addresses;

/// <summary>An IPv6 address as one number in host order.</summary>
public readonly record struct IPv6Address(UInt128 Value) : IComparable<IPv6Address>
{
    /// <summary>Octets on the wire.</summary>
    public const int Size = 16;

    /// <summary>The unspecified address, "::", which no softwire can have.</summary>
    public static IPv6Address Unspecified => default;

    public static IPv6Address Read(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt128BigEndian(bytes));

    public void Write(Span<byte> bytes) => BinaryPrimitives.WriteUInt128BigEndian(bytes, Value);

    /// <summary>ff00::/8, RFC 4291 section 2.7.</summary>
    public bool IsMulticast => (byte)(Value >> 120) == 0xff;

    /// <summary>Neither unspecified, loopback nor multicast: may be the source or destination of a softwire packet.</summary>
    public bool IsUnicast => Value > 1 && !IsMulticast;

    /// <summary>Whether it is in fe80::/10, and so means something on its link alone (RFC 4291 section 2.5.6).</summary>
    public bool IsLinkLocal => Value >> 118 == 0x3FA;

    public static IPv6Address Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out IPv6Address address)
            ? address
            : throw new FormatException($"'{text}' is not an IPv6 address; write it such as 2001:db8::1, without a prefix length or zone.");

    public static bool TryParse(ReadOnlySpan<char> text, out IPv6Address result)
    {
        result = default;
        if (text.ContainsAny('%', '/', '[') || !IPAddress.TryParse(text, out IPAddress? address)
            || address.AddressFamily != AddressFamily.InterNetworkV6) return false;
        Span<byte> bytes = stackalloc byte[Size];
        address.TryWriteBytes(bytes, out _);
        result = Read(bytes);
        return true;
    }

    public int CompareTo(IPv6Address other) => Value.CompareTo(other.Value);

    public static bool operator <(IPv6Address left, IPv6Address right) => left.Value < right.Value;

    public static bool operator <=(IPv6Address left, IPv6Address right) => left.Value <= right.Value;

    public static bool operator >(IPv6Address left, IPv6Address right) => left.Value > right.Value;

    public static bool operator >=(IPv6Address left, IPv6Address right) => left.Value >= right.Value;

    /// <summary>The same for sockets.</summary>
    /// <param name="scope">The link of a link-local or multicast address.</param>
    public IPAddress ToIPAddress(long scope = 0)
    {
        Span<byte> bytes = stackalloc byte[Size];
        Write(bytes);
        return new IPAddress(bytes, scope);
    }

    public override string ToString() => ToIPAddress().ToString();
}
