using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Dhcpv6;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Configuration;

namespace APlusP.Registry.Dhcpv6;

/// <summary>Reads <c>[dhcpv6]</c> of a registry's file.</summary>
static class ReadDhcpServer
{
    /// <summary>What it says; null where there is no such table.</summary>
    public static DhcpServerSettings? Read(SectionReader top, LeasePolicy policy)
    {
        if (top.Section("dhcpv6", RegistryConfigurationFile.Schema) is not { } section) return null;
        section.Require("interfaces", "[\"eth1\"]");
        section.Require("border-relay", "\"2001:db8::1\"");
        List<SoftwireRule> rules = ReadRules(section);
        var settings = new DhcpServerSettings
        {
            Interfaces = section.Texts("interfaces"),
            BorderRelays = section.IPv6s("border-relay"),
            Rules = rules,
            Mechanisms = ReadMechanisms(section, rules),
            Prefixes = section.IPv6Prefix("prefixes"),
            PrefixLength = section.Number("prefix-length", DhcpServerSettings.DefaultPrefixLength, 1, 128, "bits"),
            Class = section.Has("class") ? section.Text("class", "") : null,
            Preference = (byte)section.Number("preference", 0, 0, 255),
            RapidCommit = section.Flag("rapid-commit", otherwise: false),
        };
        foreach (string name in settings.Interfaces.Where(name => !DeviceNames.IsName(name))) section.Refuse("interfaces", ErrorCodes.ConfigurationBadValue, $"'{name}' is {DeviceNames.Form}");
        if (settings.Class is { } unknown && policy.ClassOf(unknown) is null)
            section.Refuse("class", ErrorCodes.ConfigurationContradiction, policy.NoClass(unknown));
        if (settings.Prefixes is { } prefixes && policy.Pools.Count > 0 && HomePrefixes.Fault(prefixes, settings.PrefixLength, policy) is { } fault)
            section.Refuse("prefixes", ErrorCodes.ConfigurationContradiction, fault);
        if (settings.Prefixes is null && rules.Count == 0) section.Require("prefixes", "\"2001:db8:1000::/36\"");
        else if (settings.Prefixes is null) CheckRules(section, settings, policy);
        return settings;
    }

    /// <summary>Without prefixes, rules must say whose the ports are that leases begin with, or nobody would get any.</summary>
    static void CheckRules(SectionReader section, DhcpServerSettings settings, LeasePolicy policy)
    {
        if (policy.ClassOf(settings.Class ?? SubscriberClass.Default) is not { } subscribers) return;
        var prefixes = new HomePrefixes(settings, policy);
        foreach (Pool pool in policy.Pools.Where(p => p.Serves(subscribers)))
        {
            PortSet ports = pool.Layout.PortsOf([new UnitRun(0, LeasePolicy.StartOf(subscribers, pool))]);
            if (prefixes.For(pool.Prefix.Address, ports) is null)
                section.Refuse("rule", ErrorCodes.ConfigurationContradiction, $"No [[dhcpv6.rule]] says whose {ports} of {pool.Prefix.Address} are, with which a lease of class '{subscribers.Name}' begins. Divide the pool as the rule does (psid), have the class start with one PSID, or write 'prefixes'.");
        }
    }

    static IReadOnlyList<DhcpOption> ReadMechanisms(SectionReader section, List<SoftwireRule> rules)
    {
        IReadOnlyList<DhcpOption> mechanisms = SoftwireMechanisms.Read(section, rules.Count > 0 ? [DhcpOption.S46Lightweight, DhcpOption.S46MapE] : [DhcpOption.S46Lightweight]);
        if (mechanisms.Contains(DhcpOption.S46MapE) && rules.Count == 0)
            section.Refuse("mechanisms", ErrorCodes.ConfigurationContradiction, "'mechanisms' has map-e, but there is no [[dhcpv6.rule]] to tell; write one, or leave map-e out.");
        return mechanisms;
    }

    static List<SoftwireRule> ReadRules(SectionReader section)
    {
        var rules = new List<SoftwireRule>();
        foreach (SectionReader one in section.Sections("rule", RegistryConfigurationFile.Schema))
        {
            bool forwarding = one.Flag("forwarding", otherwise: false);
            if (MappingRuleSection.Read(one) is { } rule) rules.Add(new SoftwireRule(rule, forwarding));
        }

        foreach (RuleTable.Conflict conflict in RuleTable.Conflicts([.. rules.Select(r => r.Rule)]))
            section.Refuse("rule", ErrorCodes.RuleConflict, $"{char.ToUpperInvariant(conflict.Message[0])}{conflict.Message[1..]}.");
        return rules;
    }
}
