using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Dhcpv6;

/// <summary>OPTION_S46_CONT_LW, RFC 7598 section 5.3: a softwire of lightweight 4over6 (RFC 7596).</summary>
/// <param name="BorderRelays">lwAFTRs; one at least.</param>
/// <param name="Binding">What the CE has; null where that is told otherwise.</param>
public sealed record LightweightSoftwire(IReadOnlyList<IPv6Address> BorderRelays, AddressBinding? Binding)
{
    public void Write(DhcpWriter writer)
    {
        using DhcpWriter.Scope container = writer.Open(DhcpOption.S46Lightweight);
        foreach (IPv6Address relay in BorderRelays) SoftwireOptions.WriteRelay(writer, relay);
        Binding?.Write(writer);
    }
}

/// <summary>OPTION_S46_V4V6BIND, RFC 7598 section 4.4.</summary>
/// <param name="Address">The IPv4 address, whole or shared.</param>
/// <param name="Prefix">By which the CE finds which of its prefixes the softwire comes from.</param>
/// <param name="Ports">Its ports of a shared address.</param>
public sealed record AddressBinding(IPv4Address Address, IPv6Prefix Prefix, Psid? Ports)
{
    public void Write(DhcpWriter writer)
    {
        using DhcpWriter.Scope option = writer.Open(DhcpOption.S46V4V6Bind);
        writer.Address(Address);
        writer.ShortPrefix(Prefix);
        if (Ports is { } ports) SoftwireOptions.WritePorts(writer, ports);
    }
}

/// <summary>OPTION_S46_CONT_MAPE, RFC 7598 section 5.1: a MAP-E domain (RFC 7597).</summary>
/// <param name="Rules">One at least.</param>
/// <param name="BorderRelays">One at least.</param>
public sealed record MapDomain(IReadOnlyList<SoftwireRule> Rules, IReadOnlyList<IPv6Address> BorderRelays)
{
    public void Write(DhcpWriter writer)
    {
        using DhcpWriter.Scope container = writer.Open(DhcpOption.S46MapE);
        foreach (SoftwireRule rule in Rules) rule.Write(writer);
        foreach (IPv6Address relay in BorderRelays) SoftwireOptions.WriteRelay(writer, relay);
    }
}

/// <summary>OPTION_S46_CONT_MAPT, RFC 7598 section 5.2. It is understood, so that what a server says can be told, but nobody here translates.</summary>
/// <param name="Rules">One at least.</param>
/// <param name="DefaultRule">The prefix of the border relay: OPTION_S46_DMR, section 4.3.</param>
public sealed record MapTDomain(IReadOnlyList<SoftwireRule> Rules, IPv6Prefix DefaultRule)
{
    public void Write(DhcpWriter writer)
    {
        using DhcpWriter.Scope container = writer.Open(DhcpOption.S46MapT);
        foreach (SoftwireRule rule in Rules) rule.Write(writer);
        using DhcpWriter.Scope option = writer.Open(DhcpOption.S46Dmr);
        writer.ShortPrefix(DefaultRule);
    }
}

/// <summary>OPTION_S46_RULE, RFC 7598 section 4.1.</summary>
/// <param name="Rule">The mapping rule.</param>
/// <param name="Forwarding">The F flag: whether it is a Forwarding Mapping Rule too.</param>
public sealed record SoftwireRule(MappingRule Rule, bool Forwarding)
{
    internal const byte ForwardingFlag = 1;

    public void Write(DhcpWriter writer)
    {
        using DhcpWriter.Scope option = writer.Open(DhcpOption.S46Rule);
        writer.Number8(Forwarding ? ForwardingFlag : (byte)0);
        writer.Number8((byte)Rule.EaLength);
        writer.Number8((byte)Rule.IPv4.Length);
        writer.Address(Rule.IPv4.Address);
        writer.ShortPrefix(Rule.IPv6);

        // An offset of 6 is MAP's own (RFC 7597 section 5.1), and what EA bits say needs no second witness.
        if (Rule.PsidOffset != MappingRule.DefaultPsidOffset || Rule.ExplicitPsidLength > 0)
            SoftwireOptions.WritePorts(writer, new Psid(Rule.PsidOffset, Rule.ExplicitPsidLength ?? 0, Rule.ExplicitPsid ?? 0));
    }
}
