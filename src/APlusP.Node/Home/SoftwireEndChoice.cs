using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using APlusP.Core.Addresses;
using APlusP.Linux;

namespace APlusP.Node.Home;

/// <summary>The address of our end of the softwire, and the link whose prefix it is of, where it is a link's; or why there is none yet.</summary>
readonly record struct SoftwireEndChoice(IPv6Address? Address, string? Device, string? Why)
{
    const int LinkPrefix = 64;

    /// <summary>
    /// Chooses an address of its own in a prefix that a server has delegated to us, which leads here by itself; else in the prefix of the link to the default router, as router advertisements
    /// have told the kernel. It is the same in the same prefix at each start, and another in another home, since it comes from what only this SMAP knows (as RFC 7217 has it).
    /// </summary>
    /// <param name="device">The link; null for that of the nearest default router.</param>
    /// <param name="secret">What only this SMAP knows.</param>
    /// <param name="delegated">Prefixes that are ours.</param>
    /// <param name="addresses">The machine's addresses.</param>
    /// <param name="routers">Its default routes.</param>
    /// <param name="before">The address that was chosen before, which is kept while its prefix is there.</param>
    public static SoftwireEndChoice Make(string? device, string secret, IReadOnlyList<IPv6Prefix> delegated, IReadOnlyList<OwnAddress> addresses, IReadOnlyList<DefaultRouter> routers, IPv6Address? before)
    {
        IPv6Prefix[] ours = [.. delegated.Where(p => p.Length <= LinkPrefix).Select(p => IPv6Prefix.Of(p.Address, LinkPrefix))];
        if (ours.Length > 0) return new SoftwireEndChoice(AddressIn(Kept(ours), secret), null, null);
        if (LinkOf(device, addresses, routers, out OwnAddress[] here) is { } why) return new SoftwireEndChoice(null, null, why);
        string link = here[0].Device;
        OwnAddress[] fitting = [.. here.Where(a => a.PrefixLength == LinkPrefix).OrderBy(a => IsLocal(a.Address))];
        if (fitting.Length == 0) return new SoftwireEndChoice(null, null, $"the device {link} has an address, {here[0].Address}, but no /64 prefix to take another one of; set `softwire-address`");
        IPv6Prefix[] prefixes = [.. fitting.Select(a => IPv6Prefix.Of(a.Address, LinkPrefix))];
        return new SoftwireEndChoice(AddressIn(Kept(prefixes), secret), link, null);

        IPv6Prefix Kept(IPv6Prefix[] among) => before is { } kept && among.Any(p => p.Contains(kept)) ? among.First(p => p.Contains(kept)) : among[0];
    }

    /// <summary>Chooses an address that the machine itself has on the link to the default router, from which it can ask too: the one of before while it is there, and no local one where there is another.</summary>
    /// <param name="device">The link; null for that of the nearest default router.</param>
    /// <param name="addresses">The machine's addresses.</param>
    /// <param name="routers">Its default routes.</param>
    /// <param name="before">The address that was chosen before.</param>
    public static SoftwireEndChoice OfMachine(string? device, IReadOnlyList<OwnAddress> addresses, IReadOnlyList<DefaultRouter> routers, IPv6Address? before)
    {
        if (LinkOf(device, addresses, routers, out OwnAddress[] here) is { } why) return new SoftwireEndChoice(null, null, why);
        return new SoftwireEndChoice(here.OrderBy(a => a.Address != before).ThenBy(a => IsLocal(a.Address)).First().Address, null, null);
    }

    /// <summary>The addresses of the link towards the PRR, with its name; or why there is none.</summary>
    static string? LinkOf(string? device, IReadOnlyList<OwnAddress> addresses, IReadOnlyList<DefaultRouter> routers, out OwnAddress[] here)
    {
        here = [];
        if (routers.Count == 0) return "no router has advertised itself, so there is no IPv6 default route; is the cable in, and does the router send advertisements?";
        string link = device ?? routers[0].Device;
        here = [.. addresses.Where(a => a.Device == link)];
        return here.Length > 0 ? null : $"the device {link} has no global IPv6 address; the router advertises no prefix to make one of, or the address is still being tried";
    }

    /// <summary>fc00::/7, RFC 4193: no PRR beyond the site answers such an address.</summary>
    public static bool IsLocal(IPv6Address address) => (byte)(address.Value >> 120) >> 1 == 0xfc >> 1;

    static IPv6Address AddressIn(IPv6Prefix prefix, string secret)
    {
        byte[] digest = SHA256.HashData(Encoding.UTF8.GetBytes($"softwire {secret} {prefix}"));

        // Beside the reserved ones: subnet-router anycast is all zeros, and the others begin with ones (RFC 5453).
        ulong identifier = BinaryPrimitives.ReadUInt64BigEndian(digest) & ~(1UL << 63) | 1;
        return new IPv6Address(prefix.Address.Value | identifier);
    }
}
