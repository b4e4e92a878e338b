using System.Text;
using APlusP.Core.Addresses;
using APlusP.Node.Configuration;

namespace APlusP.Node.Lan;

/// <summary>
/// Keeps IPv6 from outside away from the hosts of LANs, but for what the file allows and what RFC 6092 has every home let in; and that of one LAN from another where one is isolated.
/// </summary>
static class InboundFirewall
{
    /// <summary>A chain that has the kernel not follow the softwire's packets, of IPv6, nor put them together from fragments.</summary>
    /// <param name="device">The SMAP's own.</param>
    /// <param name="softwire">Our end of the softwire; null while there is none.</param>
    /// <param name="isMixed">Whether the table is of IPv4 too.</param>
    internal static string Untracked(string device, IPv6Address? softwire, bool isMixed) => $$"""
            chain softwire {
                type filter hook prerouting priority -450; policy accept;
                {{(isMixed ? "meta nfproto ipv6 " : "")}}iifname "{{device}}" notrack
                {{(softwire is { } end ? $"ip6 daddr {end} notrack" : "")}}
            }
        """;

    /// <summary>The chains of its table; empty where the file wants none. They are of IPv6 alone, so that the kernel tracks no IPv4 for them, and let the softwire's own packets by before the kernel would put them together from fragments.</summary>
    /// <param name="configuration">The LANs and the exceptions.</param>
    /// <param name="softwire">Our end of the softwire; null while there is none.</param>
    public static string Chains(SmapConfiguration configuration, IPv6Address? softwire)
    {
        string isolated = IsolatedLans.Rules(configuration, "icmpv6 admin-prohibited");
        if (!configuration.KeepsOutIPv6) return ForwardChain.Of(isolated);
        string lans = string.Join(", ", configuration.Lans.Select(l => $"\"{l.Device}\""));
        var text = new StringBuilder(Untracked(configuration.Device, softwire, isMixed: false));
        text.AppendLine().Append(ForwardChain.Of($"{isolated}        iifname != {{ {lans} }} oifname {{ {lans} }} jump inbound\n"));
        text.Append("""
                chain inbound {
                    ct state established,related accept
                    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, echo-reply } accept
                    meta l4proto { esp, ah } accept
                    udp dport 500 accept

            """);
        foreach (FirewallException allowed in configuration.Allowed)
        {
            string host = allowed.IsSuffix ? $"ip6 daddr & ::ffff:ffff:ffff:ffff == {allowed.To}" : $"ip6 daddr {allowed.To}";
            text.AppendLine($"        {host} {allowed.Protocol} dport {allowed.Port} accept");
        }

        text.Append("""
                    counter drop
                }
            """);
        return text.ToString();
    }
}
