using System.Diagnostics;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>The report's second room, whose path carries 1280 octets, with a SMAP that serves its LAN.</summary>
public sealed class LanRoomLab : LabFixture
{
    public LanRoomLab()
        : base(LabPlan.Fig22("tlanroom"))
    {
    }
}

/// <summary>One network has two MTUs: 1240 for IPv4 by DHCP, 1280 for IPv6 by router advertisement. The report had to leave IPv6 out of this room.</summary>
public sealed class LanRoomTests(LanRoomLab lab) : IClassFixture<LanRoomLab>
{
    const string Prefix = "2001:660:7301:a002::";

    [Fact]
    public void A_host_by_dhcp_and_advertisement_alone_gets_megabytes_by_ipv4_at_1240_and_by_ipv6_at_1280() => lab.Test(() =>
    {
        string path = lab.Lab.ConfigurationPath("smap2");
        Assert.True(lab.Lab.Process("smap2", "aplusp")!.Stop(TimeSpan.FromSeconds(20)));
        File.WriteAllText(path, $"lan-leases = \"{lab.Lab.Directory}/smap2.dhcp\"\n{File.ReadAllText(path)}\n[[lan]]\ndevice = \"lan\"\naddress = \"192.168.2.1/24\"\nprefix = \"{Prefix}/64\"\n");
        lab["core"].Ip($"route add {Prefix}/64 via 2001:660:7301:e002::2");
        lab["A"].Shell("ip addr flush dev eth0; ip link set eth0 mtu 1500; echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_ra");
        long boot = Stopwatch.GetTimestamp();
        lab.Lab.StartDaemon("smap2");

        // As dhcpcd does it: the MTU of IPv4 is one of routes, for that of a device would switch IPv6 off.
        string script = Path.Combine(lab.Lab.Directory, "dhcp.sh");
        File.WriteAllText(script, "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr replace $ip/$mask dev $interface\nip route replace default via $router mtu $mtu\necho told $mtu\n");
        File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        string said = lab["A"].Do("udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "20", "-T", "1", "-O", "mtu", "-s", script);
        Assert.Contains("told 1240", said);
        lab["A"].Do("curl", "-4sS", "-m", "10", "-o", "/dev/null", $"http://{LabTopology.Www4Address}/");
        TimeSpan online = Stopwatch.GetElapsedTime(boot);
        Assert.True(Wait.Until(() => lab["A"].Run("ip", "-6", "route", "show", "default").Output.Contains("dev eth0", StringComparison.Ordinal), TimeSpan.FromSeconds(30)), "no router is heard");
        Assert.True(Wait.Until(() => lab["A"].Run("ping", "-6", "-c", "1", "-w", "2", LabTopology.Www6AddressV6).Succeeded, TimeSpan.FromSeconds(30)), "no IPv6");
        TimeSpan both = Stopwatch.GetElapsedTime(boot);
        TestContext.Current.TestOutputHelper?.WriteLine($"from the start of the SMAP to a page by IPv4 at a host that asks by DHCP: {online.TotalSeconds:0.0} s, to IPv6 as well: {both.TotalSeconds:0.0} s");
        Assert.True(both < TimeSpan.FromSeconds(10), $"the host was online after {online.TotalSeconds:0.0} s by IPv4, after {both.TotalSeconds:0.0} s by both");
        Assert.Equal("1280", lab["A"].Do("cat", "/proc/sys/net/ipv6/conf/eth0/mtu"));

        foreach (string host in (string[])[LabTopology.Www4Address, $"[{LabTopology.Www6AddressV6}]"])
            Assert.InRange(long.Parse(lab["A"].Do("curl", "-sS", "-m", "60", "-o", "/dev/null", "-w", "%{size_download}", $"http://{host}/film.mp4")), 3_900_000, 4_100_000);

        // The largest packets pass whole, and what is an octet larger does not leave the host.
        lab["A"].Do("ping", "-c", "1", "-w", "5", "-M", "do", "-s", $"{1240 - 28}", LabTopology.Www4Address);
        lab["A"].Do("ping", "-6", "-c", "1", "-w", "5", "-M", "do", "-s", $"{1280 - 48}", LabTopology.Www6AddressV6);
        Assert.False(lab["A"].Run("ping", "-c", "1", "-w", "2", "-M", "do", "-s", $"{1241 - 28}", LabTopology.Www4Address).Succeeded);
    });
}
