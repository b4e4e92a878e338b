using System.Net;
using System.Runtime.InteropServices;
using APlusP.Core.Addresses;

namespace APlusP.Linux;

/// <summary>An address with the length of the prefix of its network.</summary>
/// <param name="Octets">4 or 16.</param>
/// <param name="PrefixLength">Its length.</param>
public readonly record struct NetworkAddress(ReadOnlyMemory<byte> Octets, int PrefixLength)
{
    public override string ToString() => $"{new IPAddress(Octets.Span)}/{PrefixLength}";

    /// <summary>Reads what <see cref="ToString"/> gives; null for anything else.</summary>
    public static NetworkAddress? Parse(string text) =>
        text.Split('/') is [var address, var length] && IPAddress.TryParse(address, out IPAddress? octets) && int.TryParse(length, out int number)
            ? new NetworkAddress(octets.GetAddressBytes(), number) : null;
}

/// <summary>Addresses of devices.</summary>
public sealed unsafe partial class RouteSocket
{
    const ushort RtmNewAddress = 20, RtmDelAddress = 21, IfaAddress = 1, IfaLocal = 2, IfaCacheInfo = 6, IfaFlags = 8;

    // linux/if_addr.h
    const int NoPrefixRoute = 0x200;

    /// <summary>Gives a device an address, or one that it has other times.</summary>
    internal void SetAddress(TimedAddress address, int device)
    {
        BeginAddress(RtmNewAddress, FlagRequest | FlagAck | FlagCreate | FlagReplace, address.Address, device);
        AppendTimes(address.Preferred, address.Valid);
        Exchange($"give device {device} the address {address.Address}");
    }

    void AppendTimes(uint preferred, uint valid)
    {
        Span<byte> times = stackalloc byte[16];
        times.Clear();
        MemoryMarshal.Write(times, preferred);
        MemoryMarshal.Write(times[4..], valid);
        AppendAttribute(IfaCacheInfo, times);
    }

    /// <summary>Takes an address from a device; false where it has lost it already.</summary>
    internal bool TryRemoveAddress(IPv6Address address, int device)
    {
        BeginAddress(RtmDelAddress, FlagRequest | FlagAck, address, device);
        return Exchange($"take the address {address} from device {device}", AddressNotAvailable, NoSuchDevice);
    }

    void BeginAddress(ushort type, ushort flags, IPv6Address address, int device)
    {
        Span<byte> octets = stackalloc byte[IPv6Address.Size];
        address.Write(octets);
        BeginAddress(type, flags, octets, 128, device);
    }

    void BeginAddress(ushort type, ushort flags, ReadOnlySpan<byte> octets, int prefixLength, int device)
    {
        Begin(type, flags);
        Span<byte> message = Append(8);
        message[0] = (byte)(octets.Length == IPv4Address.Size ? LibC.AF_INET : LibC.AF_INET6);
        message[1] = (byte)prefixLength;
        MemoryMarshal.Write(message[4..], in device);
        AppendAttribute(IfaLocal, octets);
        AppendAttribute(IfaAddress, octets);
    }

    /// <summary>Gives a device an address, and a route to the network that it is of; false where it has the address already.</summary>
    public bool TryAddAddress(NetworkAddress address, int device)
    {
        BeginAddress(RtmNewAddress, FlagRequest | FlagAck | FlagCreate | FlagExclusive, address.Octets.Span, address.PrefixLength, device);
        return Exchange($"give device {device} the address {address}", LibC.EEXIST);
    }

    /// <summary>Says for how many seconds an address that a device has is for something new; <see cref="uint.MaxValue"/> for ever.</summary>
    public void SetPreferred(NetworkAddress address, uint seconds, int device)
    {
        BeginAddress(RtmNewAddress, FlagRequest | FlagAck | FlagCreate | FlagReplace, address.Octets.Span, address.PrefixLength, device);
        AppendTimes(seconds, valid: uint.MaxValue);
        Exchange($"give the address {address} of device {device} another time");
    }

    /// <summary>Gives a device an address that is for nothing new, and whose network is not reached by the device; false where it has the address already.</summary>
    public bool TryAddDeprecatedAddress(NetworkAddress address, int device)
    {
        BeginAddress(RtmNewAddress, FlagRequest | FlagAck | FlagCreate | FlagExclusive, address.Octets.Span, address.PrefixLength, device);
        AppendTimes(preferred: 0, valid: uint.MaxValue);
        AppendAttribute(IfaFlags, NoPrefixRoute);
        return Exchange($"give device {device} the address {address}", LibC.EEXIST);
    }

    /// <summary>Takes an address from a device; false where it has lost it already.</summary>
    public bool TryRemoveAddress(NetworkAddress address, int device)
    {
        BeginAddress(RtmDelAddress, FlagRequest | FlagAck, address.Octets.Span, address.PrefixLength, device);
        return Exchange($"take the address {address} from device {device}", AddressNotAvailable, NoSuchDevice);
    }

    const int AddressNotAvailable = 99, NoSuchDevice = 19;
}
