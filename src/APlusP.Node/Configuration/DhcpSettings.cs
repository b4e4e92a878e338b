using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;

namespace APlusP.Node.Configuration;

/// <summary>How a SMAP asks by DHCPv6 what its softwire is, or beside <c>[registry]</c> or <c>[pcp]</c> for its own address and prefix alone: <c>[dhcpv6]</c>.</summary>
public sealed record DhcpSettings
{
    /// <summary>The device towards the operator.</summary>
    public required string Interface { get; init; }

    /// <summary>Who we are; null for the device's Ethernet address.</summary>
    public Duid? Duid { get; init; }

    /// <summary>Whether an address of the link is asked for.</summary>
    public bool Address { get; init; }

    /// <summary>Whether a prefix is asked for. Without either, only information is.</summary>
    public bool Prefix { get; init; } = true;

    /// <summary>The length that we would like; 0 for any.</summary>
    public int PrefixLength { get; init; }

    public bool RapidCommit { get; init; }

    /// <summary>Containers that are asked for; none where a registry or a PCP server says what the softwire is.</summary>
    public IReadOnlyList<DhcpOption> Mechanisms { get; init; } = Usual;

    /// <summary>What else is asked for: where the registry or the PCP server is, when the file does not say.</summary>
    public IReadOnlyList<DhcpOption> Places { get; init; } = [];

    static IReadOnlyList<DhcpOption> Usual { get; } = [DhcpOption.S46Lightweight, DhcpOption.S46MapE];

    /// <summary>A prefix that we have by other means.</summary>
    public IPv6Prefix? EndUser { get; init; }

    static readonly string[] s_told = ["softwire-address", "prr-address", "shared-address", "ports", "psid", "rule"];

    /// <summary>The table of a SMAP's file; null where it has none.</summary>
    internal static DhcpSettings? Read(SectionReader top)
    {
        if (top.Section("dhcpv6", ConfigurationSchema.Smap) is not { } section) return null;
        bool besideLease = top.Has("registry") || top.Has("pcp");
        foreach (string key in s_told)
            if (!besideLease && top.Has(key)) top.Refuse(key, ErrorCodes.ConfigurationContradiction, $"'{key}' is what [dhcpv6] asks for; keep one of the two ways to say it.");
        section.Require("interface", "\"eth0\"");
        string name = section.Text("interface", "");
        if (section.Has("interface") && !DeviceNames.IsName(name)) section.Refuse("interface", ErrorCodes.ConfigurationBadValue, $"'interface' is {DeviceNames.Form}");
        Duid? duid = null;
        if (section.Has("duid") && !Duid.TryParse(section.Text("duid", ""), out duid))
            section.Refuse("duid", ErrorCodes.ConfigurationBadValue, "'duid' is not a DUID: 3 to 130 octets in hexadecimal digits, such as \"00:03:00:01:52:54:00:12:34:56\".");
        bool prefix = section.Flag("prefix", otherwise: true);
        if (!prefix && section.Has("prefix-length")) section.Refuse("prefix-length", ErrorCodes.ConfigurationContradiction, "'prefix-length' is of a prefix that 'prefix = false' does not ask for; keep one of the two.");
        if (besideLease && section.Has("mechanisms")) section.Refuse("mechanisms", ErrorCodes.ConfigurationContradiction, "'mechanisms' asks for softwires, and who gives the lease ([registry], [pcp]) tells that; keep one of them.");
        return new DhcpSettings
        {
            Interface = name,
            Duid = duid,
            Address = section.Flag("address", otherwise: false),
            Prefix = prefix,
            PrefixLength = section.Has("prefix-length") ? section.Number("prefix-length", 0, 1, 128, "bits") : 0,
            RapidCommit = section.Flag("rapid-commit", otherwise: false),
            Mechanisms = besideLease ? [] : SoftwireMechanisms.Read(section, Usual),
            EndUser = top.IPv6Prefix("end-user-prefix"),
        };
    }

    /// <summary>All of it in a line, by which one is told from another.</summary>
    public override string ToString() => string.Join(", ", (string[])
    [
        Interface, $"address {Address}", $"prefix {Prefix} {PrefixLength}", $"rapid-commit {RapidCommit}", $"mechanisms {string.Join(' ', Mechanisms.Select(SoftwireMechanisms.NameOf))}", $"duid {Duid}", $"end-user-prefix {EndUser}",
    ]);
}
