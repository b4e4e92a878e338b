using System.Globalization;
using APlusP.Core.Addresses;

namespace APlusP.Linux;

/// <summary>An IPv6 address that this machine has for good: assigned, not tentative, not deprecated, and not one of those that change for privacy (RFC 8981).</summary>
public readonly record struct OwnAddress(string Device, IPv6Address Address, int PrefixLength);

/// <summary>A default route of IPv6.</summary>
public readonly record struct DefaultRouter(string Device, uint Metric);

/// <summary>
/// The machine's own IPv6 addresses and default routes, which the kernel takes from router advertisements, and word that they have changed.
/// </summary>
public sealed unsafe class AddressWatch : IDisposable
{
    // RTNLGRP_LINK, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE.
    static readonly uint s_groups = NetlinkSocket.Group(1) | NetlinkSocket.Group(9) | NetlinkSocket.Group(11);

    // IFA_F_TEMPORARY, IFA_F_DADFAILED, IFA_F_DEPRECATED and IFA_F_TENTATIVE of linux/if_addr.h.
    const uint Unfit = 0x01 | 0x08 | 0x20 | 0x40;

    readonly int _fd = NetlinkSocket.Open(NetlinkSocket.Route, s_groups, "listen for changes of addresses", RouteSocket.Refused);

    /// <summary>Waits until something has changed, at most so many milliseconds; whether it has. What was lost for want of room has changed too.</summary>
    public bool Wait(int milliseconds)
    {
        const int some = 4096;
        byte* buffer = stackalloc byte[some];
        var poll = new PollFd { Fd = _fd, Events = LibC.POLLIN };
        bool changed = false;
        for (; LibC.Poll(&poll, 1, milliseconds) > 0; milliseconds = 0)
        {
            _ = LibC.Receive(_fd, buffer, some, 0);
            changed = true;
        }

        return changed;
    }

    /// <summary>Addresses of global scope, ready for use.</summary>
    public static IReadOnlyList<OwnAddress> Addresses() => ReadAddresses(Lines("/proc/net/if_inet6"));

    /// <summary>Default routes, nearest first.</summary>
    public static IReadOnlyList<DefaultRouter> DefaultRouters() => ReadRouters(Lines("/proc/net/ipv6_route"));

    /// <summary>Devices of the IPv4 default routes.</summary>
    public static IReadOnlyList<string> DefaultDevicesV4() => ReadDefaultDevicesV4(Lines("/proc/net/route"));

    // A kernel without IPv6 has no such file, and no addresses.
    static IEnumerable<string> Lines(string path) => File.Exists(path) ? File.ReadLines(path) : [];

    /// <summary>Reads lines of <c>address index length scope flags device</c>, all but the last hexadecimal.</summary>
    public static IReadOnlyList<OwnAddress> ReadAddresses(IEnumerable<string> lines)
    {
        var addresses = new List<OwnAddress>();
        foreach (string line in lines)
        {
            string[] parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            const int globalScope = 0;
            if (parts.Length == 6 && Hex(parts[3]) == globalScope && (Hex(parts[4]) & Unfit) == 0)
                addresses.Add(new OwnAddress(parts[5], new IPv6Address(UInt128.Parse(parts[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture)), (int)Hex(parts[2])));
        }

        return addresses;
    }

    /// <summary>Reads lines of <c>destination length source length gateway metric users uses flags device</c>, as hexadecimal.</summary>
    public static IReadOnlyList<DefaultRouter> ReadRouters(IEnumerable<string> lines)
    {
        // The kernel lists routes that refuse everything here too, on the loopback device.
        return [.. lines.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(p => p.Length == 10 && p[1] == "00" && p[3] == "00" && p[9] != "lo")
            .Where(p => UInt128.Parse(p[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture) == 0)
            .Select(p => new DefaultRouter(p[9], Hex(p[5]))).OrderBy(r => r.Metric)];
    }

    /// <summary>Reads lines of <c>device destination gateway flags count use metric mask</c> and more, below a line of headings.</summary>
    public static IReadOnlyList<string> ReadDefaultDevicesV4(IEnumerable<string> lines) =>
        [.. lines.Select(line => line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).Where(p => p.Length >= 8 && p[1] == "00000000" && p[7] == "00000000").Select(p => p[0])];

    static uint Hex(string text) => uint.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    public void Dispose() => _ = LibC.Close(_fd);
}
