using System.Net;
using APlusP.Core.Addresses;

namespace APlusP.Node.Lan;

/// <summary>The resolvers that hosts of the home are answered by, all of them asked by IPv6, so that names take no port of the shared address (RFC 6333 section 5.5).</summary>
static class LanResolvers
{
    /// <summary>Those that the file names, or else those that the network tells, or else this machine's own.</summary>
    public static IReadOnlyList<IPv6Address> Choose(IReadOnlyList<IPv6Address> written, IReadOnlyList<IPv6Address> told, string resolvConf) =>
        written.Count > 0 ? written : told.Count > 0 ? told : [.. OfThisMachine(resolvConf)];

    /// <summary>IPv6 name servers of resolv.conf(5). Loopback is left out: it may be somebody who asks us.</summary>
    public static IEnumerable<IPv6Address> OfThisMachine(string resolvConf)
    {
        foreach (string line in resolvConf.Split('\n'))
        {
            if (line.Split((char[])[' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries) is ["nameserver", var text, ..] && IPv6Address.TryParse(text, out IPv6Address address) && address.IsUnicast
                && !IPAddress.IsLoopback(IPAddress.Parse(text))) yield return address;
        }
    }
}
