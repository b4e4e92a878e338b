using System.Text;
using APlusP.Core.Addresses;
using APlusP.Node.Configuration;

namespace APlusP.Node.Lan;

/// <summary>What the LANs of a home are served with now.</summary>
/// <param name="Lans">As the file has them.</param>
/// <param name="PathMtu">The largest IPv6 packet that the path of the softwire carries now; IPv4 packets are 40 octets smaller.</param>
sealed record LanState(IReadOnlyList<SmapLan> Lans, int PathMtu)
{
    /// <summary>Whom names are asked of.</summary>
    public IReadOnlyList<IPv6Address> Resolvers { get; init; } = [];

    /// <summary>The prefixes of its hosts.</summary>
    public IReadOnlyList<LanPrefix> Prefixes { get; init; } = [];

    /// <summary>Those that they had, and may still hold.</summary>
    public IReadOnlyList<LanPrefix> OldPrefixes { get; init; } = [];
}

/// <summary>The configuration of dnsmasq, which serves the LANs: DHCPv4, router advertisements and DNS.</summary>
static class DnsmasqConfiguration
{
    /// <summary>RFC 4861 section 6.2.1: MaxRtrAdvInterval, and the lifetime of the router, which is three of these and more.</summary>
    const int AdvertisementSeconds = 200, RouterSeconds = 1800;

    /// <summary>
    /// The valid lifetime of an old prefix, three times the interval, which is dnsmasq's least. A host keeps what it has left of less than two hours (RFC 4862 section 5.5.3 (e)), so it is not held for longer by it.
    /// </summary>
    const int OldSeconds = 3 * AdvertisementSeconds;

    /// <param name="state">What is served.</param>
    /// <param name="leases">The file that keeps leases.</param>
    public static string Text(LanState state, string leases)
    {
        var text = new StringBuilder();
        text.Append($"""
            # Made by the SMAP, which makes it anew when something changes.
            keep-in-foreground
            log-facility=-
            quiet-dhcp
            quiet-dhcp6
            quiet-ra
            pid-file=
            bind-dynamic
            except-interface=lo
            no-hosts
            dhcp-authoritative
            dhcp-leasefile={leases}
            domain=home.arpa
            local=/home.arpa/
            domain-needed
            bogus-priv
            no-resolv
            all-servers
            edns-packet-max=1232
            cache-size=1000
            enable-ra

            """);
        foreach (IPv6Address resolver in state.Resolvers) text.AppendLine($"server={resolver}");
        for (int i = 0; i < state.Lans.Count; i++) Append(text, $"lan{i}", state.Lans[i], state);
        return text.ToString();
    }

    static void Append(StringBuilder text, string tag, SmapLan lan, LanState state)
    {
        text.Append($"\ninterface={lan.Device}\n");
        if (lan.HasIPv4) AppendIPv4(text, tag, lan, state.PathMtu);

        // Which prefixes there are it sees by the addresses of the device. The lease time is that of the addresses that hosts make themselves.
        text.AppendLine($"dhcp-range=::,constructor:{lan.Device},ra-stateless,ra-names,64,{(int)HeldPrefixes.Lifetime.TotalSeconds}");
        LanPrefix[] old = [.. state.OldPrefixes.Where(p => p.Device == lan.Device)];
        foreach (LanPrefix each in old)
        {
            // What is deprecated has no time of its own (it would be infinite): that is what the second is for.
            text.AppendLine($"dhcp-range={each.Prefix.Address},ra-only,64,deprecated");
            text.AppendLine($"dhcp-range={each.Prefix.Address},ra-only,64,{OldSeconds}");
        }

        // Who has old prefixes alone is no way out (RFC 7084 G-5).
        bool leads = old.Length == 0 || state.Prefixes.Any(p => p.Device == lan.Device);
        text.AppendLine($"ra-param={lan.Device},mtu:{state.PathMtu},{AdvertisementSeconds},{(leads ? RouterSeconds : 0)}");
    }

    static void AppendIPv4(StringBuilder text, string tag, SmapLan lan, int pathMtu)
    {
        var mask = new IPv4Address(IPv4Prefix.MaskOf(lan.Network.Length));
        text.Append($"""
            dhcp-range=set:{tag},{lan.Range.First},{lan.Range.Last},{mask},{(int)lan.LeaseTime.TotalSeconds}
            dhcp-option-force=tag:{tag},option:mtu,{pathMtu - ReadBindings.Overhead}

            """);
        foreach (LanHost host in lan.Hosts)
            text.AppendLine($"dhcp-host={host.Mac},{host.Address}{(host.Name is null ? "" : $",{host.Name}")}");
    }
}
