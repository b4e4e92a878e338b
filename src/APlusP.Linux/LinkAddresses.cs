using System.Globalization;
using APlusP.Core.Addresses;

namespace APlusP.Linux;

/// <summary>An address that a device has for a time.</summary>
/// <param name="Address">It.</param>
/// <param name="Preferred">Seconds for new uses; <see cref="uint.MaxValue"/> for ever.</param>
/// <param name="Valid">Seconds for any use.</param>
public readonly record struct TimedAddress(IPv6Address Address, uint Preferred, uint Valid);

/// <summary>
/// Addresses that a device has from us, and loses at the end: of 128 bits, since nothing follows from them for the rest of the link (RFC 8415 section 18.2.10.1). The kernel looks whether another has them
/// (RFC 4862 section 5.4).
/// </summary>
public sealed class LinkAddresses(int device) : IDisposable
{
    const string Table = "/proc/net/if_inet6";

    // linux/if_addr.h
    const int DuplicateFlag = 0x08;

    readonly RouteSocket _netlink = new();
    readonly HashSet<IPv6Address> _ours = [];

    public int Device => device;

    /// <summary>Makes the addresses these and no others; those that stay have these times from now on.</summary>
    /// <exception cref="Core.APlusPException">The kernel refuses.</exception>
    public void Set(IReadOnlyList<TimedAddress> wanted)
    {
        foreach (TimedAddress address in wanted)
        {
            _netlink.SetAddress(address, device);
            _ours.Add(address.Address);
        }

        foreach (IPv6Address gone in _ours.Except(wanted.Select(a => a.Address)).ToArray()) Remove(gone);
    }

    void Remove(IPv6Address address)
    {
        _netlink.TryRemoveAddress(address, device);
        _ours.Remove(address);
    }

    /// <summary>Those that another on the link has already.</summary>
    public IReadOnlyList<IPv6Address> Duplicates()
    {
        var found = new List<IPv6Address>();
        foreach (string line in File.ReadLines(Table))
        {
            // address, device, prefix length, scope and flags in hexadecimal digits, and the device's name
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 5 || Number(fields[1]) != device || (Number(fields[4]) & DuplicateFlag) == 0) continue;
            var address = IPv6Address.Read(Convert.FromHexString(fields[0]));
            if (_ours.Contains(address)) found.Add(address);
        }

        return found;

        static int Number(string digits) => int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        foreach (IPv6Address address in _ours.ToArray()) Remove(address);
        _netlink.Dispose();
    }
}
