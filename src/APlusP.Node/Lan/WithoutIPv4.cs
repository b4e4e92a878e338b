using APlusP.Node.Configuration;

namespace APlusP.Node.Lan;

/// <summary>
/// LANs where IPv4 is over: their hosts are given none, and what has an address by itself is told that the way into the softwire is closed (ICMPv4 3/13), and counted.
/// </summary>
static class WithoutIPv4
{
    /// <summary>The chain of its table; empty where all LANs have IPv4.</summary>
    public static string Chains(SmapConfiguration configuration)
    {
        string lans = string.Join(", ", configuration.Lans.Where(l => !l.HasIPv4).Select(l => $"\"{l.Device}\""));
        return lans.Length == 0 ? "" : $$"""
                chain forward {
                    type filter hook forward priority filter; policy accept;
                    iifname { {{lans}} } oifname "{{configuration.Device}}" counter reject with icmp admin-prohibited
                }
            """;
    }
}
