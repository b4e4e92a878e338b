using System.Net;
using System.Net.Sockets;
using APlusP.Core.Addresses;

namespace APlusP.Node.Lan;

/// <summary>The resolvers that hosts of the home are answered by, all of them asked by IPv6, so that names take no port of the shared address (RFC 6333 section 5.5).</summary>
static class LanResolvers
{
    /// <summary>
    /// Those that the file names, or else those that the network tells by DHCPv6, or else those that its routers advertise, or else this machine's own: of these not loopback, which may be somebody who asks us,
    /// and none that has a zone.
    /// </summary>
    public static IReadOnlyList<IPv6Address> Choose(IReadOnlyList<IPv6Address> written, IReadOnlyList<IPv6Address> told, IReadOnlyList<IPv6Address> advertised, IReadOnlyList<IPAddress> own) =>
        written.Count > 0 ? written : told.Count > 0 ? told : advertised.Count > 0 ? advertised
        : [.. own.Where(a => a is { AddressFamily: AddressFamily.InterNetworkV6, IsIPv6LinkLocal: false } && !IPAddress.IsLoopback(a)).Select(a => IPv6Address.Read(a.GetAddressBytes()))];
}
