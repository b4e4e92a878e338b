using APlusP.Core;

namespace APlusP.Lab;

/// <summary>How what is behind the core gets its addresses: SMAPs by router advertisements, hosts of rooms by those and DHCP, both as they would anywhere.</summary>
static class LabBoot
{
    /// <summary>The advertisements of the core, on the devices that lead to SMAPs. What a path carries is for the softwires to find out: the link's MTU is not told.</summary>
    public static string[] Advertiser(LabPlan plan, string directory)
    {
        string configuration = Path.Combine(directory, "core-dnsmasq.conf");
        string devices = string.Concat(Served(plan).Select(room => $"interface={room.Smap}\ndhcp-range=::,constructor:{room.Smap},ra-only,64\nra-param={room.Smap},mtu:off,60,1800\n"));
        File.WriteAllText(configuration, $"""
            keep-in-foreground
            port=0
            user=root
            group=root
            pid-file=
            except-interface=lo
            enable-ra
            dhcp-option=option6:dns-server,[{LabTopology.DnsAddressV6}]
            dhcp-leasefile={directory}/core-dnsmasq.leases
            {devices}
            """);
        return ["dnsmasq", $"--conf-file={configuration}"];
    }

    /// <summary>The rooms whose SMAP serves them.</summary>
    public static IEnumerable<RoomPlan> Served(LabPlan plan) => plan.Rooms.Where(room => room.Kind == SmapKind.Aplusp);

    /// <summary>The resolver's file of a host as it begins: what is told its resolver has none before.</summary>
    public static string ResolverOf(LabPlan plan, string host) =>
        Served(plan).Any(room => room.Smap == host || room.Hosts.Any(h => h.Name == host)) ? ""
        : $"nameserver {LabTopology.DnsAddress}\noptions timeout:2 attempts:2\n";

    public const string ClientName = "udhcpc";

    /// <summary>
    /// A DHCP client that stays. Its script does as dhcpcd: the MTU of IPv4 is one of routes, for that of a device would be the end of IPv6 below 1280 octets. The
    /// resolver's file is mounted over that of the machine, so it is written in place.
    /// </summary>
    public static string[] Client(string directory)
    {
        string script = Path.Combine(directory, "dhcp.sh");
        if (!File.Exists(script))
        {
            File.WriteAllText(script, """
                #!/bin/sh
                case $1 in
                deconfig) ip -4 addr flush dev $interface ;;
                bound | renew)
                    ip -4 addr replace $ip/$mask dev $interface
                    ip -4 route replace default via $router dev $interface mtu $mtu
                    for each in $dns; do echo nameserver $each; done > /etc/resolv.conf
                    echo $1 $ip, router $router, mtu $mtu, dns $dns ;;
                esac

                """);
            File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        // As fast as it may ask, for the SMAP may not be there yet: three times, a second apart, and again after a second.
        return [ClientName, "-i", "eth0", "-f", "-t", "3", "-T", "1", "-A", "1", "-O", "mtu", "-s", script];
    }

    /// <summary>Lets a host begin on a device as when its cable is put in: without an address, and its IPv6 asks for routers at once.</summary>
    public static void Begin(NetworkNamespace host, string device) =>
        host.Shell($"ip -4 addr flush dev {device}; echo 1 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6; echo 0 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6");

    /// <summary>Whether a host is answered names.</summary>
    public static bool HasNames(NetworkNamespace host) => host.Run("dig", "+short", "+tries=1", "+time=1", "www4.example").Output.StartsWith(LabTopology.Www4Address, StringComparison.Ordinal);

    /// <summary>Whether a host has learnt of a router that forwards this family, -4 or -6.</summary>
    public static bool HasRouter(NetworkNamespace host, string family) => host.Run("ip", family, "route", "show", "default").Output.Length > 0;
}
