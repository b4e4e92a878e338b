using System.Diagnostics;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>The report's rooms, of which the second has a path of 1280 octets; each SMAP serves its LAN.</summary>
public sealed class LanRoomLab() : LabFixture(LabPlan.Fig22("tlanroom"));

/// <summary>One network has two MTUs: 1240 for IPv4 by DHCP, 1280 for IPv6 by router advertisement. The report had to leave IPv6 out of this room.</summary>
[Collection(Alone.Name)]
public sealed class LanRoomTests(LanRoomLab lab) : IClassFixture<LanRoomLab>
{
    [Fact]
    public void A_host_by_dhcp_and_advertisement_alone_gets_megabytes_by_ipv4_at_1240_and_by_ipv6_at_1280() => lab.Test(() =>
    {
        Assert.True(lab.Lab.Process("smap2", "aplusp")!.Stop(TimeSpan.FromSeconds(20)));
        Assert.Equal("", lab["smap2"].Do("ip", "-4", "-o", "addr", "show", "dev", "lan"));
        long boot = Stopwatch.GetTimestamp();
        lab.Lab.StartDaemon("smap2", wait: false);
        lab.Lab.Boot("A");
        Assert.Contains("mtu 1240", lab["A"].Do("ip", "route", "show", "default"));
        lab["A"].Do("curl", "-4sS", "-m", "10", "-o", "/dev/null", "http://www4.example/");
        Assert.True(Wait.Until(() => lab["A"].Run("ping", "-6", "-c", "1", "-w", "2", LabTopology.Www6AddressV6).Succeeded, TimeSpan.FromSeconds(30)), "no IPv6");
        TimeSpan online = Stopwatch.GetElapsedTime(boot);
        TestContext.Current.TestOutputHelper?.WriteLine($"from the start of the SMAP to a page by name and IPv4, and to IPv6, at a host that asks by DHCP: {online.TotalSeconds:0.0} s");
        Assert.True(online < TimeSpan.FromSeconds(10), $"the host was online after {online.TotalSeconds:0.0} s");
        Assert.Equal("1280", Mtu("A"));

        foreach (string host in (string[])[LabTopology.Www4Address, $"[{LabTopology.Www6AddressV6}]"])
            Assert.InRange(long.Parse(lab["A"].Do("curl", "-sS", "-m", "60", "-o", "/dev/null", "-w", "%{size_download}", $"http://{host}/film.mp4")), 3_900_000, 4_100_000);

        // The largest packets pass whole, and what is an octet larger does not leave the host.
        lab["A"].Do("ping", "-c", "1", "-w", "5", "-M", "do", "-s", $"{1240 - 28}", LabTopology.Www4Address);
        lab["A"].Do("ping", "-6", "-c", "1", "-w", "5", "-M", "do", "-s", $"{1280 - 48}", LabTopology.Www6AddressV6);
        Assert.False(lab["A"].Run("ping", "-c", "1", "-w", "2", "-M", "do", "-s", $"{1241 - 28}", LabTopology.Www4Address).Succeeded);
    });

    [Fact]
    public void When_the_path_becomes_narrow_hosts_hear_of_it_by_advertisement_and_by_their_next_DHCP() => lab.Test(() =>
    {
        Assert.Equal("1460", Mtu("B"));
        lab.Lab.SetMtu("core", "prr", 1280);
        try
        {
            // A packet that no longer fits: the SMAP hears Packet Too Big, and tells its LAN.
            lab["B"].Run("ping", "-M", "dont", "-s", $"{1420 - 28}", "-c", "2", "-i", "0.2", "-W", "1", LabTopology.Www4Address);
            Assert.True(Wait.Until(() => Mtu("B") == "1280", TimeSpan.FromSeconds(20)), $"B has {Mtu("B")} for IPv6");
            lab.Lab.Boot("B");
            Assert.Contains("mtu 1240", lab["B"].Do("ip", "route", "show", "default"), StringComparison.Ordinal);
            lab["B"].Do("ping", "-c", "1", "-w", "5", "-M", "do", "-s", $"{1240 - 28}", LabTopology.Www4Address);
        }
        finally
        {
            lab.Lab.SetMtu("core", "prr", 1500);
        }
    });

    string Mtu(string host) => lab[host].Do("cat", "/proc/sys/net/ipv6/conf/eth0/mtu");
}
