using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Configuration;

/// <summary>The parameters of a <c>[[rule]]</c>, as PRR, SMAP and registry have them, called as in RFC 7598 section 4.1 and RFC 8676.</summary>
static class MappingRuleSection
{
    public static string[] Keys { get; } = ["rule-ipv6-prefix", "rule-ipv4-prefix", "ea-length", "psid-offset", "psid-length", "psid"];

    /// <summary>Words of <c>interface-identifier</c>, in the order of <see cref="InterfaceIdentifierForm"/>.</summary>
    public static IReadOnlyList<string> InterfaceIdentifiers { get; } = ["rfc7597", "draft-03"];

    /// <summary>What the table says; null where that is no rule, which is told.</summary>
    public static MappingRule? Read(SectionReader section)
    {
        section.Require("rule-ipv6-prefix", "\"2001:db8::/40\"");
        section.Require("rule-ipv4-prefix", "\"192.0.2.0/24\"");
        section.Require("ea-length", "16");
        IPv6Prefix? ipv6 = section.IPv6Prefix("rule-ipv6-prefix");
        IPv4Prefix? ipv4 = section.IPv4Prefix("rule-ipv4-prefix");
        int? ea = section.WholeNumber("ea-length", null), offset = section.WholeNumber("psid-offset", MappingRule.DefaultPsidOffset);
        int? length = section.WholeNumber("psid-length", null), psid = section.WholeNumber("psid", null);
        var form = (InterfaceIdentifierForm)section.Word("interface-identifier", 0, InterfaceIdentifiers);
        if (ipv6 is null || ipv4 is null || ea is null || offset is null || (length is null && section.Has("psid-length")) || (psid is null && section.Has("psid"))) return null;
        var rule = new MappingRule(ipv6.Value, ipv4.Value, ea.Value) { PsidOffset = offset.Value, ExplicitPsidLength = length, ExplicitPsid = psid, Form = form };
        if (rule.Fault is not { } fault) return rule;
        section.Refuse(section.Has("psid-length") ? "psid-length" : "ea-length", ErrorCodes.NotAMappingRule, $"This is not a mapping rule: {fault}.");
        return null;
    }
}
