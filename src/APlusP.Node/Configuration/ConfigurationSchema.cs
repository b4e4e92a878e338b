using APlusP.Core.Forwarding;
using APlusP.Node.PortControl;
using APlusP.Node.Registry;

namespace APlusP.Node.Configuration;

/// <summary>Every key that a configuration file may hold, by table; "" is the top of the file. Each stands in docs/configuration.md.</summary>
public static class ConfigurationSchema
{
    static readonly string[] RuleKeys = ["name", .. MappingRuleSection.Keys, "interface-identifier"];

    static string[] Fragments { get; } = ["reassembly-timeout", "follow-timeout", "max-packets", "max-memory", "warn-at"];

    static string[] Discovery { get; } = ["enabled", "probing", "raise-after", "probes-per-second", "max-paths"];

    public static IReadOnlyDictionary<string, string[]> Prr { get; } = new Dictionary<string, string[]>
    {
        [""] = ["softwire-address", "icmp-source", "path-mtu", "device", "control-socket", "workers", "hop-limit", "hairpinning", "bindings-file", "anycast", "clamp-mss",
            "ignore-df", "dscp", "fast-path", "fast-path-devices", "icmp", "fragments", "discovery", "registry", "web-names", "binding", "rule"],
        ["registry"] = [.. RegistryAddress.Keys, "copy", "keep-overdue"],
        ["web-names"] = ["enabled", "listen", "most-connections"],
        ["icmp"] = ["allow-from-internet", "send-v4-errors", "send-v6-errors", "errors-per-second", "errors-per-host"],
        ["fragments"] = Fragments,
        ["discovery"] = Discovery,
        ["binding"] = ["name", "address", "ports", "psid", "softwire", "prr", "path-mtu"],
        ["binding.psid"] = ["offset", "length", "psid"],
        ["rule"] = [.. RuleKeys, "prr", "path-mtu"],
    };

    public static IReadOnlyDictionary<string, string[]> Smap { get; } = new Dictionary<string, string[]>
    {
        [""] =
        [
            "softwire-address", "prr-address", "shared-address", "ports", "psid", "path-mtu", "device", "control-socket", "default-route", "icmp-source", "hop-limit",
            "clamp-mss", "ignore-df", "dscp", "fast-path", "fast-path-devices", "end-user-prefix", "outgoing", "napt", "icmp", "fragments", "discovery", "gateways", "forward", "rule",
            "dhcpv6", "registry", "pcp", "ipv4", "lan", "lan-leases", "dns", "firewall", "port-control", "web-proxy", "household",
        ],
        ["web-proxy"] = ["enabled", "ports", "connections-per-server", "rank-sites"],
        ["household"] = ["enabled", "port", "names"],
        ["lan"] = ["device", "address", "range", "lease-time", "prefix", "ipv4", "isolated", .. LanPolicy.Keys, "hosts"],
        ["lan.hosts"] = ["mac", "address", "name"],
        ["dns"] = ["upstream"],
        ["firewall"] = ["enabled", "allow"],
        ["firewall.allow"] = ["to", "port", "protocol"],
        ["dhcpv6"] = ["interface", "address", "prefix", "prefix-length", "rapid-commit", "mechanisms", "duid"],
        ["psid"] = ["offset", "length", "psid"],
        ["rule"] = [.. RuleKeys, "forwarding"],
        ["napt"] = ["mode", "filtering", "hairpinning", "ports-per-host", "flows-per-host", "max-flows", "rewrite-identification", "timers"],
        ["napt.timers"] = ["udp", "tcp-established", "tcp-transitory", "tcp-opening", "tcp-closing", "tcp-reset", "icmp"],
        ["registry"] = [.. RegistryAddress.Keys, .. SmapHome.Keys, "check-every"],
        ["pcp"] = ["server", "lifetime", .. SmapHome.Keys],
        ["port-control"] = [.. PortControlSettings.Keys],
        ["gateways"] = ["ftp", "sip", "sip-port", "sip-callers"],
        ["forward"] = ["port", "to", "protocol"],
        ["icmp"] = ["send-errors", "exhaustion-code", "errors-per-second", "errors-per-host"],
        ["fragments"] = Fragments,
        ["discovery"] = Discovery,
    };

    /// <summary>Words of <c>mode</c> in <c>[napt]</c>, in the order of <see cref="Core.Forwarding.NaptMode"/>.</summary>
    public static IReadOnlyList<string> Modes => NaptModes.Names;

    /// <summary>Words of <c>filtering</c> in <c>[napt]</c>, in the order of <see cref="Core.Forwarding.NaptFiltering"/>.</summary>
    public static IReadOnlyList<string> Filterings { get; } = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];

    /// <summary>Words of <c>outgoing</c>, in the order of <see cref="Core.Forwarding.SmapOutgoing"/>.</summary>
    public static IReadOnlyList<string> Outgoings { get; } = ["softwire", "plain"];

    /// <summary>Words of <c>dscp</c>, RFC 2983 section 3.1; the second is true.</summary>
    public static IReadOnlyList<string> ServiceModels { get; } = ["pipe", "uniform"];

    /// <summary>Words of <c>sip-callers</c> in <c>[gateways]</c>, in the order of <see cref="Core.Forwarding.SipCallers"/>.</summary>
    public static IReadOnlyList<string> SipCallers { get; } = ["registrar", "anyone"];

    /// <summary>Words of <c>protocol</c> in <c>[[forward]]</c>.</summary>
    public static IReadOnlyList<string> ForwardProtocols { get; } = ["tcp", "udp", "both"];

    /// <summary>Words of <c>fast-path</c>, in the order of <see cref="FastPathMode"/>.</summary>
    public static IReadOnlyList<string> FastPathModes { get; } = ["off", "auto", "tc", "xdp"];
}
