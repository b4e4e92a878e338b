using APlusP.Core;
using APlusP.Linux;

namespace APlusP.Lab;

/// <summary>The programs that the lab drives, and the Debian packages that bring them (deploy/debian-packages.txt).</summary>
public static class Programs
{
    static readonly (string Program, string Package)[] s_packages =
    [
        ("aria2c", "aria2"),
        ("chromium", "chromium"),
        ("conntrack", "conntrack"),
        ("curl", "curl"),
        ("dhclient", "isc-dhcp-client"),
        ("dhcrelay", "isc-dhcp-relay"),
        ("dig", "bind9-dnsutils"),
        ("dnsmasq", "dnsmasq-base"),
        ("ethtool", "ethtool"),
        ("haproxy", "haproxy"),
        ("ip", "iproute2"),
        ("iperf3", "iperf3"),
        ("kea-dhcp6", "kea-dhcp6-server"),
        ("mtr", "mtr-tiny"),
        ("named-checkzone", "bind9-utils"),
        ("nfcapd", "nfdump"),
        ("nfdump", "nfdump"),
        ("nft", "nftables"),
        ("nginx", "nginx-light"),
        ("openssl", "openssl"),
        ("ping", "iputils-ping"),
        ("radvd", "radvd"),
        ("scp", "openssh-client"),
        ("setsid", "util-linux"),
        ("sipp", "sip-tester"),
        ("socat", "socat"),
        ("sqlite3", "sqlite3"),
        ("ss", "iproute2"),
        ("ssh", "openssh-client"),
        ("ssh-keygen", "openssh-client"),
        ("sshd", "openssh-server"),
        ("stun", "stun-client"),
        ("taskset", "util-linux"),
        ("tcpdump", "tcpdump"),
        ("traceroute", "traceroute"),
        ("transmission-create", "transmission-cli"),
        ("transmission-daemon", "transmission-daemon"),
        ("transmission-remote", "transmission-cli"),
        ("transmission-show", "transmission-cli"),
        ("tshark", "tshark"),
        ("turnserver", "coturn"),
        ("udhcpc", "udhcpc"),
        ("turnutils_natdiscovery", "coturn"),
    ];

    /// <inheritdoc cref="Executables.Find"/>
    public static string? Find(string program) => Executables.Find(program);

    /// <summary>Gives up at once when one of the programs is missing, naming all that are.</summary>
    /// <exception cref="APlusPException">AP5001.</exception>
    public static void Require(params string[] programs)
    {
        string[] missing = [.. programs.Where(program => Find(program) is null)];
        if (missing.Length == 0) return;
        string packages = string.Join(' ', missing.Select(PackageOf).Distinct());
        throw new APlusPException(ErrorCodes.LabProgramMissing, $"not installed: {string.Join(", ", missing)}. On Debian: apt-get install {packages}, or ./dev setup.");
    }

    internal static string Advice(string program) => $"On Debian: apt-get install {PackageOf(program)}, or ./dev setup.";

    static string PackageOf(string program) =>
        s_packages.FirstOrDefault(entry => entry.Program == Path.GetFileName(program)).Package ?? Path.GetFileName(program);
}
