using System.Text;
using APlusP.Core;

namespace APlusP.Lab;

/// <summary>Makes a topology real, by iproute2.</summary>
public static class LabBuilder
{
    /// <summary>Makes all namespaces and links of the topology, names prefixed. What fails leaves pieces behind; the caller removes them.</summary>
    /// <exception cref="APlusPException">AP5002 or AP5003.</exception>
    public static void Build(LabTopology topology, string prefix)
    {
        Check();
        string Namespace(string host) => prefix + host;
        var all = new StringBuilder();
        foreach (LabHost host in topology.Hosts) all.Append("netns add ").AppendLine(Namespace(host.Name));
        Commands.Require(["ip", "-batch", "-"], all.ToString());

        foreach (LabHost host in topology.Hosts)
        {
            // Before the links, so that "default" applies to them.
            string settings = string.Join('\n', host.Sysctls.Select(s => $"echo {s.Value} > /proc/sys/{s.Name.Replace('.', '/')}"));
            NetworkNamespace.Open(Namespace(host.Name)).Shell(settings);
        }

        all.Clear();
        foreach (LabLink link in topology.Links)
            all.Append("link add ").Append(link.A.Interface).Append(" mtu ").Append(link.Mtu).Append(" netns ").Append(Namespace(link.A.Host))
                .Append(" type veth peer name ").Append(link.B.Interface).Append(" mtu ").Append(link.Mtu).Append(" netns ").AppendLine(Namespace(link.B.Host));
        Commands.Require(["ip", "-batch", "-"], all.ToString());

        foreach (LabHost host in topology.Hosts)
        {
            string[] interfaces = [.. topology.Links.SelectMany(link => (LinkEnd[])[link.A, link.B]).Where(end => end.Host == host.Name).Select(end => end.Interface)];
            NetworkNamespace at = NetworkNamespace.Open(Namespace(host.Name));
            at.Ip(Lines(host, interfaces));

            // Super-packets would hide what really travels a link of 1280; checksums left to a device that never computes them
            // would look wrong in every capture.
            at.Shell(string.Join('\n', interfaces.Select(i => $"ethtool -K {i} tx off tso off gso off gro off >/dev/null")));
        }
    }

    static IEnumerable<string> Lines(LabHost host, string[] interfaces)
    {
        yield return "link set lo up";
        foreach (string bridge in host.Bridges) yield return $"link add {bridge} type bridge";
        foreach ((string name, string mac) in host.Macs) yield return $"link set {name} address {mac}";
        foreach ((string name, int mtu) in host.Mtus) yield return $"link set {name} mtu {mtu}";
        foreach (string name in interfaces)
        {
            string? bridge = host.Bridges.FirstOrDefault(b => name.StartsWith(b + "-", StringComparison.Ordinal));
            yield return bridge is null ? $"link set {name} up" : $"link set {name} up master {bridge} addrgenmode none";
        }

        foreach (string bridge in host.Bridges) yield return $"link set {bridge} up";
        foreach ((string name, string address) in host.Addresses) yield return $"addr add {address} dev {name}";
        if (host.SegmentSource is not null) yield return $"sr tunsrc set {host.SegmentSource}";
        foreach (string route in host.Routes) yield return $"route add {route}";
    }

    // Said at once and by name, before anything is made.
    static void Check()
    {
        Programs.Require("ip", "ethtool", "setsid", "nginx", "openssl", "dnsmasq", "udhcpc");
        if (!Environment.IsPrivilegedProcess)
            throw new APlusPException(ErrorCodes.LabNotPossible, "the lab makes network namespaces, which takes root. Run it with sudo.");
        if (!File.Exists("/dev/net/tun"))
            throw new APlusPException(ErrorCodes.LabNotPossible, "/dev/net/tun is missing; the daemons receive their packets from a TUN device. Load the module with 'modprobe tun', or allow the device in your container.");
    }
}
