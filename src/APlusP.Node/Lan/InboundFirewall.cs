using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Linux;
using APlusP.Node.Configuration;

namespace APlusP.Node.Lan;

/// <summary>
/// Keeps IPv6 from outside away from the hosts of LANs, but for what the file allows and what RFC 6092 has every home let in. One table, named for the SMAP's device, put in place and taken away whole; others' tables
/// are not touched, and what they drop stays dropped.
/// </summary>
sealed class InboundFirewall(string device) : IDisposable
{
    const string Family = "ip6";

    string _chains = "";

    /// <summary>Its chains. They are of IPv6 alone, so that the kernel tracks no IPv4 for them, and let the softwire's own packets by before the kernel would put them together from fragments.</summary>
    /// <param name="configuration">The LANs and the exceptions.</param>
    /// <param name="softwire">Our end of the softwire; null while there is none.</param>
    public static string Chains(SmapConfiguration configuration, IPv6Address? softwire)
    {
        string lans = string.Join(", ", configuration.Lans.Select(l => $"\"{l.Device}\""));
        var text = new StringBuilder($$"""
                chain softwire {
                    type filter hook prerouting priority -450; policy accept;
                    iifname "{{configuration.Device}}" notrack

            """);
        if (softwire is { } end) text.AppendLine($"        ip6 daddr {end} notrack");
        text.Append($$"""
                }
                chain forward {
                    type filter hook forward priority filter; policy accept;
                    iifname != { {{lans}} } oifname { {{lans}} } jump inbound
                }
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

    /// <summary>Puts them in force, where they have changed.</summary>
    /// <exception cref="APlusPException">AP2006.</exception>
    public void Set(SmapConfiguration configuration, IPv6Address? softwire)
    {
        string chains = configuration.KeepsOutIPv6 ? Chains(configuration, softwire) : "";
        if (chains == _chains) return;
        if (chains.Length == 0) Nftables.Remove(Family, device);
        else Nftables.Replace(Family, device, chains);
        _chains = chains;
    }

    public void Dispose()
    {
        if (_chains.Length > 0) Nftables.Remove(Family, device);
    }
}
