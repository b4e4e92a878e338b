using System.Globalization;
using APlusP.Core;
using APlusP.Core.Addresses;

namespace APlusP.Node.Configuration;

/// <summary>A network of the home that the SMAP is the router of: <c>[[lan]]</c>.</summary>
/// <param name="Device">The device that leads to it.</param>
/// <param name="Address">The SMAP's own address there.</param>
/// <param name="Network">The network that it is of.</param>
public sealed record SmapLan(string Device, IPv4Address Address, IPv4Prefix Network)
{
    /// <summary>Addresses that are given out.</summary>
    public (IPv4Address First, IPv4Address Last) Range { get; init; }

    /// <summary>For how long.</summary>
    public TimeSpan LeaseTime { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Its IPv6 prefix of 64 bits; null for one of those that are delegated.</summary>
    public IPv6Prefix? Prefix { get; init; }

    /// <summary>Whether its hosts have IPv4.</summary>
    public bool HasIPv4 { get; init; } = true;

    /// <summary>Whether its hosts and those of other LANs do not reach each other.</summary>
    public bool IsIsolated { get; init; }

    /// <summary>What its hosts may not do.</summary>
    public LanPolicy Policy { get; init; } = LanPolicy.None;

    /// <summary>Hosts that always have the same address.</summary>
    public IReadOnlyList<LanHost> Hosts { get; init; } = [];

    /// <summary>What of policies does not go together with the rest of the file.</summary>
    internal static void CheckPolicies(SectionReader top, SmapConfiguration configuration)
    {
        SmapLan[] limited = [.. configuration.Lans.Where(l => l.Policy != LanPolicy.None)];
        if (limited.Length == 0) return;
        if (configuration.FastPath != FastPathMode.Off)
            top.Refuse("fast-path", ErrorCodes.ConfigurationContradiction, $"'fast-path' sends packets past nftables, which keeps the policy of '{limited[0].Device}' (udp, resolver, daily-volume); leave 'fast-path' out, or the policy.");
        if (limited.FirstOrDefault(l => l.Policy.DailyVolume > 0) is { } counted && configuration.Programs.PagePort is null)
            top.Refuse("lan", ErrorCodes.ConfigurationContradiction, $"'{counted.Device}' has a daily-volume, and hosts that have used it up are told so by the page of [household]; add that table.");
    }

    static readonly string[] s_onOff = ["on", "off"];

    // RFC 3021: a network of 31 bits has two hosts and no broadcast address; one of 32 has nobody to serve.
    const int ShortestLength = 8, LongestLength = 30;

    // The first ones, of each network a quarter but at most so many, are left for what has its address by hand.
    const uint MostByHand = 64, MostGiven = 4096;

    /// <summary>Every LAN of a SMAP's file that is sound.</summary>
    /// <param name="top">The file.</param>
    /// <param name="device">The SMAP's own device, which is no LAN.</param>
    internal static IReadOnlyList<SmapLan> Read(SectionReader top, string device)
    {
        var read = new List<SmapLan>();
        int ipv4 = top.Word("ipv4", 0, s_onOff);
        if (top.Has("ipv4") && !top.Has("lan")) top.Refuse("ipv4", ErrorCodes.ConfigurationContradiction, "'ipv4' is for hosts of LANs, and the file has no [[lan]]; a SMAP that serves none is stopped where IPv4 is to end.");
        foreach (SectionReader section in top.Sections("lan", ConfigurationSchema.Smap))
        {
            section.Require("device", "\"br-lan\"");
            section.Require("address", "\"192.168.2.1/24\"");
            string name = section.Text("device", "");
            bool isNamed = DeviceNames.IsName(name) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '@');
            if (section.Has("device") && !isNamed) section.Refuse("device", ErrorCodes.ConfigurationBadValue, "'device' is not a name that a LAN's device may have: 1 to 15 letters, digits, hyphens, underscores, dots and at-signs.");
            var lease = TimeSpan.FromSeconds(section.Number("lease-time", 3600, 120, 604_800, "seconds"));
            IPv6Prefix? prefix = ReadPrefix(section);
            var policy = LanPolicy.Read(section);
            bool hasIPv4 = section.Word("ipv4", ipv4, s_onOff) == 0, isIsolated = section.Flag("isolated", false);
            if (section.IPv4Interface("address", ShortestLength, LongestLength) is not var (address, network) || !isNamed) continue;
            if (name == device)
                section.Refuse("device", ErrorCodes.ConfigurationContradiction, $"'{name}' is the SMAP's own device, which carries the softwire; write the one that leads to the hosts of the home.");
            else if (read.FirstOrDefault(l => l.Device == name) is { } same)
                section.Refuse("device", ErrorCodes.ConfigurationTwice, $"'{name}' is the device of {same.Network} already; a LAN has a device of its own, so take a bridge port or a VLAN for this one.");
            else if (read.FirstOrDefault(l => l.Network.Overlaps(network)) is { } other)
                section.Refuse("address", ErrorCodes.ConfigurationTwice, $"The networks {network} of '{name}' and {other.Network} of '{other.Device}' overlap; give one of them other addresses.");
            else if (prefix is { } own && read.FirstOrDefault(l => l.Prefix == own) is { } neighbour)
                section.Refuse("prefix", ErrorCodes.ConfigurationTwice, $"{own} is the prefix of '{neighbour.Device}' already; each LAN has its own.");
            else
                read.Add(new SmapLan(name, address, network) { Range = ReadRange(section, address, network), LeaseTime = lease, Prefix = prefix, HasIPv4 = hasIPv4, IsIsolated = isIsolated, Policy = policy, Hosts = ReadHosts(section, address, network) });
        }

        return read.Count == 0 ? [] : read;
    }

    static IPv6Prefix? ReadPrefix(SectionReader section)
    {
        if (section.IPv6Prefix("prefix") is not { } prefix || prefix.Length == 64) return section.IPv6Prefix("prefix");
        section.Refuse("prefix", ErrorCodes.ConfigurationBadValue, $"{prefix} has {prefix.Length} bits, but hosts make themselves addresses in prefixes of 64 bits alone (RFC 4862 section 5.5.3).");
        return null;
    }

    static (IPv4Address First, IPv4Address Last) ReadRange(SectionReader section, IPv4Address own, IPv4Prefix network)
    {
        uint first = network.Address.Value + 1, last = network.Last.Value - 1, byHand = Math.Min(MostByHand, (last - first + 1) / 4);
        var otherwise = (new IPv4Address(first + byHand), new IPv4Address(Math.Min(last, first + byHand + MostGiven - 1)));
        if (!section.Has("range")) return otherwise;
        string text = section.Text("range", "");
        if (text.Split('-') is not [var from, var to] || !IPv4Address.TryParse(from.Trim(), out IPv4Address begins) || !IPv4Address.TryParse(to.Trim(), out IPv4Address ends))
            section.Refuse("range", ErrorCodes.ConfigurationBadValue, $"'range' is not two addresses such as \"{otherwise.Item1}-{otherwise.Item2}\".");
        else if (begins.Value < first || ends.Value > last || begins.Value > ends.Value || (begins == own && ends == own))
            section.Refuse("range", ErrorCodes.ConfigurationOutOfRange, $"'range' goes from {begins} to {ends}; the hosts of {network} have {new IPv4Address(first)} to {new IPv4Address(last)}, but for {own}, which is the SMAP's.");
        else return (begins, ends);
        return otherwise;
    }

    static List<LanHost> ReadHosts(SectionReader section, IPv4Address own, IPv4Prefix network)
    {
        var hosts = new List<LanHost>();
        foreach (SectionReader host in section.Sections("hosts", ConfigurationSchema.Smap))
        {
            host.Require("mac", "\"52:54:00:12:34:56\"");
            host.Require("address", "\"192.168.2.10\"");
            string mac = host.Text("mac", "").ToLowerInvariant(), name = host.Text("name", "");
            if (host.Has("mac") && !IsMac(mac)) host.Refuse("mac", ErrorCodes.ConfigurationBadValue, "'mac' is not an Ethernet address such as \"52:54:00:12:34:56\".");
            if (name.Length > 0 && !IsHostName(name)) host.Refuse("name", ErrorCodes.ConfigurationBadValue, "'name' is not a host's: 1 to 63 letters, digits and hyphens, no hyphen at either end.");
            if (host.IPv4("address") is not { } address) continue;
            if (!network.Contains(address) || address == network.Address || address == network.Last || address == own)
                host.Refuse("address", ErrorCodes.ConfigurationOutOfRange, $"{address} is not an address that a host of {network} can have beside the SMAP's, {own}.");
            else if (hosts.Any(h => h.Mac == mac || h.Address == address))
                host.Refuse("mac", ErrorCodes.ConfigurationTwice, $"{mac} or {address} stands twice; one host has one address.");
            else hosts.Add(new LanHost(mac, address, name.Length > 0 ? name : null));
        }

        return hosts;
    }

    static bool IsMac(string text) =>
        text.Split(':') is { Length: 6 } octets && octets.All(o => o.Length == 2 && byte.TryParse(o, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _));

    static bool IsHostName(string text) => text.Length <= 63 && text[0] != '-' && text[^1] != '-' && text.All(c => char.IsAsciiLetterOrDigit(c) || c == '-');
}

/// <summary>A host that always has the same address.</summary>
/// <param name="Mac">By which it is known.</param>
/// <param name="Address">What it has.</param>
/// <param name="Name">What it is called in the DNS of the home; null for what it calls itself.</param>
public sealed record LanHost(string Mac, IPv4Address Address, string? Name);
