using System.Numerics;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration.Formats;

/// <summary>
/// Writes one home for OpenWrt: an interface of the protocol <c>map</c> (package network/ipv6/map) in /etc/config/network.
/// </summary>
public sealed class UciFormat
{
    readonly StringBuilder _text = new("config interface 'map'\n\toption proto 'map'\n");
    readonly List<string> _unsaid = [];

    UciFormat()
    {
    }

    /// <summary>A SMAP as an OpenWrt interface.</summary>
    /// <exception cref="APlusPException">AP1031: no PSID says its ports.</exception>
    public static (string Text, IReadOnlyList<string> Unsaid) Write(SmapConfiguration configuration)
    {
        SmapOptions options = configuration.Options, standard = new()
        {
            SoftwireAddress = options.SoftwireAddress,
            PrrAddress = options.PrrAddress,
            SharedAddress = options.SharedAddress,
            Ports = options.Ports,
            PayloadMtu = options.PayloadMtu,
            HopLimit = options.HopLimit,
            TtlAlreadyTaken = options.TtlAlreadyTaken,
            ForwardingRules = options.ForwardingRules,
            OwnPrefix = options.OwnPrefix,
            Outgoing = options.Outgoing,
            Forwards = options.Forwards,
        };
        var uci = new UciFormat();
        uci.WriteHome(options.SharedAddress, options.Ports, options.SoftwireAddress, options.PrrAddress, options.PayloadMtu, options.HopLimit, "the SMAP's");
        if (options != standard) uci._unsaid.Add("[napt], [icmp], [fragments], clamp-mss, ignore-df and icmp-source have no counterpart: all this is the Linux kernel's on OpenWrt, as its firewall sets it.");
        if (options.ForwardingRules.Count > 0 || options.OwnPrefix is not null || options.Outgoing != SmapOutgoing.Softwire)
            uci._unsaid.Add("forwarding rules, a whole IPv4 prefix and 'outgoing' were left out: this interface sends all through the PRR, from one address.");
        if (options.Forwards.Count > 0) uci._unsaid.Add("forwards were left out: on OpenWrt they are redirects of /etc/config/firewall.");
        if (!configuration.DefaultRoute) uci._unsaid.Add("default-route = false has no counterpart: the protocol 'map' always sets the IPv4 default route.");
        return (uci._text.ToString(), uci._unsaid);
    }

    /// <summary>The home of a PRR's binding as an OpenWrt interface.</summary>
    /// <param name="configuration">The PRR's.</param>
    /// <param name="name">The binding's name, or its softwire (IPv6) address.</param>
    /// <exception cref="APlusPException">AP1031: no such binding, or no PSID says its ports.</exception>
    public static (string Text, IReadOnlyList<string> Unsaid) Write(PrrConfiguration configuration, string name)
    {
        IPv6Address? softwire = configuration.Names.Where(n => n.Value == name).Select(n => (IPv6Address?)n.Key).FirstOrDefault()
            ?? (IPv6Address.TryParse(name, out IPv6Address address) ? address : null);
        if (configuration.Bindings.FirstOrDefault(b => b.Softwire == softwire) is not { } binding)
            throw new APlusPException(ErrorCodes.NotExportable, $"no binding has the name or softwire '{name}'.{(Spelling.Suggest(name, configuration.Names.Values) is { } near ? $" Did you mean '{near}'?" : "")}");
        var uci = new UciFormat();
        uci.WriteHome(binding.Address, binding.Ports, binding.Softwire, binding.Prr, binding.PayloadMtu, configuration.Options.HopLimit, "the binding's");
        return (uci._text.ToString(), uci._unsaid);
    }

    /// <summary>Any home of a PRR's mapping rule as an OpenWrt interface: the prefix that is delegated to it says which home it is.</summary>
    /// <param name="configuration">The PRR's.</param>
    /// <param name="name">The rule's name, or its IPv4 prefix.</param>
    /// <exception cref="APlusPException">AP1031: no such rule, or OpenWrt does not reckon by it.</exception>
    public static (string Text, IReadOnlyList<string> Unsaid) WriteRule(PrrConfiguration configuration, string name)
    {
        if (configuration.Rules.FirstOrDefault(r => r.Name == name || r.Rule.IPv4.ToString() == name) is not { } binding)
            throw new APlusPException(ErrorCodes.NotExportable, $"no mapping rule has the name or IPv4 prefix '{name}'.{(Spelling.Suggest(name, configuration.Rules.Select(r => r.Name ?? $"{r.Rule.IPv4}")) is { } near ? $" Did you mean '{near}'?" : "")}");
        MappingRule rule = binding.Rule;
        if (rule.SubscriberLength < 32 || rule.EaLength == 0 || rule.ExplicitPsid is not null)
            throw new APlusPException(ErrorCodes.NotExportable, $"the rule {name} gives a home {(rule.SubscriberLength < 32 ? $"an IPv4 prefix of {rule.SubscriberLength} bits" : "a PSID that its EA bits do not say")}, and OpenWrt's protocol 'map' an address or a part of one, by EA bits.");
        var uci = new UciFormat();
        uci.Option("type", "map-e");
        uci.Option("peeraddr", binding.Prr);
        uci.Option("ipaddr", rule.IPv4.Address);
        uci.Option("ip4prefixlen", rule.IPv4.Length);
        uci.Option("ip6prefix", rule.IPv6.Address);
        uci.Option("ip6prefixlen", rule.IPv6.Length);
        uci.Option("ealen", rule.EaLength);
        uci.Option("offset", rule.PsidOffset);
        if (rule.Form == InterfaceIdentifierForm.Draft03) uci.Option("legacymap", 1);
        uci.WriteTunnel(binding.PayloadMtu, configuration.Options.HopLimit);
        return (uci._text.ToString(), uci._unsaid);
    }

    void WriteHome(IPv4Address address, PortSet ports, IPv6Address smap, IPv6Address prr, int payloadMtu, int hopLimit, string whose)
    {
        if (PsidForm.Of(ports) is not { } psid)
            throw new APlusPException(ErrorCodes.NotExportable, $"OpenWrt's protocol 'map' has ports by PSID only, and no PSID says {ports} of {address}. Give this home a PSID set; 'aplusp portset' shows what those are.");

        var home = IPv6Prefix.Of(smap, 64);
        IPv6Address made = MappingRule.CeAddress(home, address, psid.Value), shifted = MappingRule.CeAddress(home, address, psid.Value, InterfaceIdentifierForm.Draft03);
        bool legacy = smap != made && smap == shifted;
        ulong prefix = (ulong)(smap.Value >> 64);
        Option("type", "lw4o6");
        Option("peeraddr", prr);
        Option("ipaddr", address);
        Option("ip4prefixlen", 32);
        Option("ip6prefix", new IPv6Address((UInt128)prefix << 64));

        // OpenWrt takes the delegated prefix that lies in this one, and fills up with zeros: this is the shortest that can make the address.
        Option("ip6prefixlen", 64 - Math.Min(BitOperations.TrailingZeroCount(prefix), 64));
        Option("ealen", psid.Length);
        Option("psidlen", psid.Length);

        // Left-justified in 16 bits, as in the DHCPv6 option that OpenWrt's mapcalc was written for (RFC 7598 section 4.5).
        if (psid.Length > 0) Option("psid", psid.Value << (16 - psid.Length));
        Option("offset", psid.Offset);
        if (legacy) Option("legacymap", 1);
        WriteTunnel(payloadMtu, hopLimit);
        if (made != smap && !legacy)
            _unsaid.Add($"OpenWrt makes its end of the softwire of the delegated prefix, the IPv4 address and the PSID (RFC 7597 section 6): it will be {made}, where {whose} is {smap}. Set the PRR's binding to softwire = \"{made}\".");
    }

    void WriteTunnel(int payloadMtu, int hopLimit)
    {
        Option("mtu", payloadMtu);
        Option("ttl", hopLimit);

        // Else the kernel adds the option of RFC 2473 section 4.1.1, whose 8 octets no MTU here counts.
        Option("encaplimit", "ignore");
    }

    void Option(string name, object value) => _text.Append($"\toption {name} '{value}'\n");
}
