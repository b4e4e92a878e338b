using APlusP.Core;
using APlusP.Linux;
using APlusP.Node.Configuration;

namespace APlusP.Node.Lan;

/// <summary>
/// LANs where IPv4 is over: their hosts are given none, and what has an address by itself is told that the way into the softwire is closed (ICMPv4 3/13), and counted. One table of nftables, named for the SMAP's device.
/// </summary>
sealed class WithoutIPv4(string device) : IDisposable
{
    const string Family = "ip";

    string _chains = "";

    /// <summary>Its chain; empty where all LANs have IPv4.</summary>
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

    /// <summary>Puts it in force, where it has changed.</summary>
    /// <exception cref="APlusPException">AP2006.</exception>
    public void Set(SmapConfiguration configuration)
    {
        string chains = Chains(configuration);
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
