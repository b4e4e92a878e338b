namespace APlusP.Core.Addresses;

/// <summary>An IPv4 or IPv6 address as one number, so that hosts of both families sort and compare alike: IPv4 as its mapped form, ::ffff:192.0.2.1 (RFC 4291 section 2.5.5.2).</summary>
public readonly record struct HostAddress(UInt128 Value) : IComparable<HostAddress>
{
    const uint Mapped = 0xffff;

    public static HostAddress Of(IPv4Address address) => new((UInt128)Mapped << 32 | address.Value);

    public static HostAddress Of(IPv6Address address) => new(address.Value);

    public bool IsIPv6 => Value >> 32 != Mapped;

    public IPv4Address IPv4 => new((uint)Value);

    public IPv6Address IPv6 => new(Value);

    public static bool TryParse(ReadOnlySpan<char> text, out HostAddress address)
    {
        if (IPv4Address.TryParse(text, out IPv4Address four))
        {
            address = Of(four);
            return true;
        }

        bool read = IPv6Address.TryParse(text, out IPv6Address six);
        address = Of(six);
        return read;
    }

    /// <summary>Whether a flow from or to this address stays on its link or in its machine, and so never meets a NAT: loopback, link-local, multicast, broadcast, none.</summary>
    public bool IsLocal => IsIPv6
        ? Value <= 1 || Value >> 118 == 0xfe80 >> 6 || IPv6.IsMulticast
        : IPv4.Value >> 16 == 0xa9fe || !IPv4.IsUnicast;

    public int CompareTo(HostAddress other) => Value.CompareTo(other.Value);

    public static bool operator <(HostAddress left, HostAddress right) => left.Value < right.Value;

    public static bool operator <=(HostAddress left, HostAddress right) => left.Value <= right.Value;

    public static bool operator >(HostAddress left, HostAddress right) => left.Value > right.Value;

    public static bool operator >=(HostAddress left, HostAddress right) => left.Value >= right.Value;

    public override string ToString() => IsIPv6 ? IPv6.ToString() : IPv4.ToString();
}
