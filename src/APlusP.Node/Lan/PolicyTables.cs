using System.Text;
using APlusP.Node.Configuration;

namespace APlusP.Node.Lan;

/// <summary>
/// The tables of nftables that keep LANs to their policy. Hosts are known by their Ethernet addresses, so that IPv4 and IPv6 of one are one. What they may not do is refused before anybody else sees it, the web proxy
/// too, and at once: by a reset, or by ICMP's "administratively prohibited" (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1).
/// </summary>
static class PolicyTables
{
    /// <summary>Hosts that are counted at once, and how long one is remembered that says nothing: what was counted before is in the sum.</summary>
    const int MostHosts = 4096;

    const string Remembered = "2h";

    /// <summary>The mark of packets on their way to the notice, which the web proxy leaves alone: whatever its chain's priority, the kernel changes their destination only behind it, at -100.</summary>
    public const int ToNotice = 6346;

    /// <summary>What names of counters begin with.</summary>
    public const string Refused = "refused-";

    /// <summary>What is refused and why, as counters are named; of each there is one for all LANs.</summary>
    public static IReadOnlyList<string> Reasons { get; } = ["udp", "resolver", "volume"];

    /// <summary>The table "netdev" that counts octets of hosts, where a LAN has a daily volume. What is between a host and the SMAP itself is not counted.</summary>
    public static string Counting(IReadOnlyList<SmapLan> lans)
    {
        var text = new StringBuilder();
        for (int i = 0; i < lans.Count; i++)
        {
            if (lans[i].Policy.DailyVolume == 0) continue;
            foreach (string way in (string[])[$"up{i}", $"down{i}"]) text.AppendLine($"    set {way} {{ type ether_addr; size {MostHosts}; flags dynamic, timeout; timeout {Remembered}; counter; }}");
            text.AppendLine($"    chain in{i} {{ type filter hook ingress device \"{lans[i].Device}\" priority 0; policy accept; ip daddr {lans[i].Address} accept; ip6 daddr {{ fe80::/10, ff00::/8 }} accept; meta protocol {{ ip, ip6 }} update @up{i} {{ ether saddr }}; }}");
            text.AppendLine($"    chain out{i} {{ type filter hook egress device \"{lans[i].Device}\" priority 0; policy accept; ip saddr {lans[i].Address} accept; ip6 saddr fe80::/10 accept; meta protocol {{ ip, ip6 }} update @down{i} {{ ether daddr }}; }}");
        }

        return text.ToString();
    }

    /// <summary>
    /// The table "netdev" that stops what comes by UDP for hosts whose volume is used up, before it is counted: its sender needs no word of theirs to go on. TCP ends without that. What the SMAP itself says goes on.
    /// </summary>
    /// <param name="lans">The LANs.</param>
    /// <param name="over">Of each the hosts whose volume is used up.</param>
    public static string Stopping(IReadOnlyList<SmapLan> lans, IReadOnlyList<IReadOnlyCollection<string>> over)
    {
        if (over.All(o => o.Count == 0)) return "";
        var text = new StringBuilder($"    counter {Refused}volume {{ }}\n");
        foreach ((int i, SmapLan lan) in lans.Index())
            if (over[i].Count > 0) text.AppendLine($"    chain out{i} {{ type filter hook egress device \"{lan.Device}\" priority -10; policy accept; ip saddr {lan.Address} accept; ip6 saddr fe80::/10 accept; ether daddr {{ {string.Join(", ", over[i].Order(StringComparer.Ordinal))} }} meta protocol {{ ip, ip6 }} meta l4proto udp counter name {Refused}volume drop; }}");
        return text.ToString();
    }

    /// <summary>The table "inet" that refuses.</summary>
    /// <param name="lans">The LANs.</param>
    /// <param name="over">Of each the hosts whose volume is used up.</param>
    /// <param name="noticePort">Where the page is that tells hosts why; null for none.</param>
    /// <param name="untracked">The chain that keeps the kernel from following the softwire's packets.</param>
    public static string Refusing(IReadOnlyList<SmapLan> lans, IReadOnlyList<IReadOnlyCollection<string>> over, int? noticePort, string untracked)
    {
        var text = new StringBuilder();
        int[] limited = [.. lans.Index().Where(l => l.Item.Policy != LanPolicy.None).Select(l => l.Index)];
        if (limited.Length == 0) return "";
        foreach (string reason in Reasons) text.AppendLine($"    counter {Refused}{reason} {{ }}");
        text.AppendLine(untracked);
        text.AppendLine("    chain hosts {\n        type filter hook prerouting priority -160; policy accept;");
        foreach (int i in limited) text.AppendLine($"        iifname \"{lans[i].Device}\" jump lan{i}");
        text.AppendLine("    }");
        foreach (int i in limited)
        {
            LanPolicy policy = lans[i].Policy;
            text.AppendLine($"    chain lan{i} {{\n        fib daddr type {{ local, broadcast, multicast }} accept");
            if (over[i].Count > 0)
                text.AppendLine($$"""
                            ether saddr @over{{i}} meta nfproto ipv4 tcp dport 80 ct state new meta mark set {{ToNotice}} accept
                            ether saddr @over{{i}} meta nfproto ipv4 tcp dport 80 ct status dnat meta mark set {{ToNotice}} accept
                            ether saddr @over{{i}} meta l4proto tcp counter name refused-volume reject with tcp reset
                            ether saddr @over{{i}} counter name refused-volume reject with icmpx admin-prohibited
                    """);
            if (policy.OwnResolver) text.AppendLine("        meta l4proto { tcp, udp } th dport { 53, 853 } counter name refused-resolver reject with icmpx admin-prohibited");
            if (policy.DnsAlone) text.AppendLine("        udp dport != 53 counter name refused-udp reject with icmpx admin-prohibited");
            text.AppendLine("    }");
            if (policy.DnsAlone) text.AppendLine($"    chain inward{i} {{ type filter hook forward priority filter; policy accept; iifname != \"{lans[i].Device}\" oifname \"{lans[i].Device}\" udp sport != 53 counter name refused-udp drop; }}");
            if (over[i].Count == 0) continue;
            text.AppendLine($"    set over{i} {{ type ether_addr; elements = {{ {string.Join(", ", over[i].Order(StringComparer.Ordinal))} }}; }}");
            if (noticePort is { } port) text.AppendLine($"    chain notice{i} {{ type nat hook prerouting priority dstnat; policy accept; iifname \"{lans[i].Device}\" ether saddr @over{i} meta nfproto ipv4 tcp dport 80 fib daddr type != local redirect to :{port}; }}");
        }

        return text.ToString();
    }
}
