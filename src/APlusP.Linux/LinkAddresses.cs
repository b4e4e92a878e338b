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
    const int DuplicateFlag = 0x08, TentativeFlag = 0x40;

    readonly RouteSocket _netlink = new();
    readonly Dictionary<IPv6Address, TimedAddress> _ours = [];
    readonly HashSet<IPv6Address> _alone = [];

    public int Device => device;

    /// <summary>Makes the addresses these and no others; those that stay have these times from now on.</summary>
    /// <exception cref="Core.APlusPException">The kernel refuses.</exception>
    public void Set(IReadOnlyList<TimedAddress> wanted)
    {
        foreach (TimedAddress address in wanted)
        {
            // The kernel removes an address of limited time that another has, without a trace: until it has looked, the time has no end.
            _netlink.SetAddress(_alone.Contains(address.Address) ? address : address with { Valid = uint.MaxValue }, device);
            _ours[address.Address] = address;
        }

        foreach (IPv6Address gone in _ours.Keys.Except(wanted.Select(a => a.Address)).ToArray()) Remove(gone);
    }

    void Remove(IPv6Address address)
    {
        _netlink.TryRemoveAddress(address, device);
        _ours.Remove(address);
        _alone.Remove(address);
    }

    /// <summary>Hears what the kernel has found out meanwhile: addresses that nobody else has get their times, and the others are given.</summary>
    public IReadOnlyList<IPv6Address> Duplicates()
    {
        var found = new List<IPv6Address>();
        foreach (string line in File.ReadAllLines(Table))
        {
            // address, device, prefix length, scope and flags in hexadecimal digits, and the device's name
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 5 || Number(fields[1]) != device || !_ours.TryGetValue(IPv6Address.Read(Convert.FromHexString(fields[0])), out TimedAddress ours)) continue;
            int flags = Number(fields[4]);
            if ((flags & DuplicateFlag) != 0) found.Add(ours.Address);
            else if ((flags & TentativeFlag) == 0 && _alone.Add(ours.Address)) _netlink.SetAddress(ours, device);
        }

        return found;

        static int Number(string digits) => int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        foreach (IPv6Address address in _ours.Keys.ToArray()) Remove(address);
        _netlink.Dispose();
    }
}
