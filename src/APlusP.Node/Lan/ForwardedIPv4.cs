using APlusP.Node.Configuration;

namespace APlusP.Node.Lan;

/// <summary>
/// What IPv4 of LANs is not forwarded: from one LAN to another where one is isolated; and all of those where IPv4 is over, whose hosts are given none, and what has an address by itself is told that the way
/// into the softwire is closed (ICMPv4 3/13), and counted.
/// </summary>
static class ForwardedIPv4
{
    /// <summary>The chain of its table; empty where all is forwarded.</summary>
    public static string Chains(SmapConfiguration configuration)
    {
        string rules = IsolatedLans.Rules(configuration, "icmp admin-prohibited");
        string without = string.Join(", ", configuration.Lans.Where(l => !l.HasIPv4).Select(l => $"\"{l.Device}\""));
        if (without.Length > 0) rules += $"        iifname {{ {without} }} oifname \"{configuration.Device}\" counter reject with icmp admin-prohibited\n";
        return ForwardChain.Of(rules);
    }
}
