namespace APlusP.LabTests;

// Linux itself as the other end of a softwire, by code that nobody of this project wrote: SRv6 with one segment and the reduced header is plain IPv4 in IPv6 (RFC 8986 section 5.2), and End.DX4 takes it out again.
sealed partial class MapDomain
{
    // Of the veth's 1500 octets; Linux does not reckon with the outer header by itself.
    const int LinuxMtu = 1460;

    /// <summary>
    /// Makes Linux a CE by its own means: IPv4 into IPv6 towards the PRR, and what the rule computes for other CEs by a route for each.
    /// </summary>
    public void StartLinux(params MapHome[] peers)
    {
        this["linux"].Shell("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        this["linux"].Ip(
            $"sr tunsrc set {LinuxCe.Ce}",
            $"addr add {LinuxCe.Address}/32 dev lo",
            $"route add default encap seg6 mode encap.red segs {Border} dev wan src {LinuxCe.Address} mtu {LinuxMtu}",
            $"route add {LinuxCe.Ce}/128 encap seg6local action End.DX4 nh4 0.0.0.0 dev wan");
        foreach (MapHome peer in peers) this["linux"].Ip($"route add {peer.Address} encap seg6 mode encap.red segs {peer.Ce} dev wan src {LinuxCe.Address} mtu {LinuxMtu}");
    }

    /// <summary>
    /// Makes Linux the border router in the PRR's place, of homes that have the whole of an address each (as it cannot know PSIDs).
    /// </summary>
    public void StartLinuxBorder(params MapHome[] homes)
    {
        StartLinuxBorder();
        foreach (MapHome home in homes) this["prr"].Ip($"route add {home.Address} {Into(home)}");
    }

    /// <summary>Makes Linux the lwAFTR of homes that share one address by ranges of ports: its rules look at ports. ICMP, which has none, is the first home's.</summary>
    public void StartLinuxBorder(string address, params (MapHome Home, string Ports)[] homes)
    {
        StartLinuxBorder();
        int table = 100;
        foreach ((MapHome home, string ports) in homes)
        {
            this["prr"].Ip($"route add {address} {Into(home)} table {++table}");
            foreach (string protocol in (string[])["tcp", "udp"]) this["prr"].Ip($"rule add to {address} ipproto {protocol} dport {ports} lookup {table}");
        }

        this["prr"].Ip($"rule add to {address} ipproto icmp lookup 101");
    }

    static string Into(MapHome home) => $"encap seg6 mode encap.red segs {home.Ce} dev wan mtu {LinuxMtu}";

    void StartLinuxBorder()
    {
        this["prr"].Shell("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        this["prr"].Ip($"sr tunsrc set {Border}", $"route add {Border}/128 encap seg6local action End.DX4 nh4 0.0.0.0 dev uplink");
    }
}
