using System.Net;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Pcp;
using APlusP.Registry.Allocation;
using APlusP.Registry.Configuration;

namespace APlusP.Registry.Pcp;

/// <summary>Reads <c>[pcp]</c> of a registry's file.</summary>
static class ReadPcpServer
{
    /// <summary>What it says; null where there is no such table.</summary>
    public static PcpServerSettings? Read(SectionReader top, LeasePolicy policy)
    {
        if (top.Section("pcp", RegistryConfigurationFile.Schema) is not { } section) return null;
        section.Require("listen", "\"2001:db8:ffff::2\"");
        section.Require("clients", "[\"2001:db8:1000::/36\"]");
        var settings = new PcpServerSettings
        {
            Listen = [.. section.IPv6s("listen").Select(a => new IPEndPoint(a.ToIPAddress(), PcpNumbers.ServerPort))],
            Clients = ReadClients(section),
            HomeLength = section.Number("home-prefix-length", PcpServerSettings.DefaultHomeLength, 1, 128, "bits"),
            Class = section.Has("class") ? section.Text("class", "") : null,
            RequestsPerSecond = section.Number("requests-per-second", 1000, 1, 1_000_000),
            RequestsPerHome = section.Number("requests-per-home", 10, 1, 1_000_000),
        };
        foreach (IPv6Prefix prefix in settings.Clients.Where(p => p.Length > settings.HomeLength))
            section.Refuse("clients", ErrorCodes.ConfigurationContradiction, $"{prefix} is longer than a home's prefix of {settings.HomeLength} bits; write a shorter one, or a longer 'home-prefix-length'.");
        if (settings.Class is { } unknown && policy.ClassOf(unknown) is null)
            section.Refuse("class", ErrorCodes.ConfigurationContradiction, policy.NoClass(unknown));
        else if (policy.ClassOf(settings.Class ?? SubscriberClass.Default) is { } subscribers && policy.Pools.Count > 0 && !policy.Pools.Any(p => p.Serves(subscribers) && p.Layout.RangeEnd(0) > 0))
            section.Refuse("class", ErrorCodes.ConfigurationContradiction, $"No pool of class '{subscribers.Name}' has ports in a row, which is all that PCP can tell: with a PSID offset they are many ranges. Divide one into blocks, or by a PSID with offset = 0.");
        return settings;
    }

    static List<IPv6Prefix> ReadClients(SectionReader section)
    {
        var clients = new List<IPv6Prefix>();
        foreach (string text in section.Texts("clients"))
        {
            if (IPv6Prefix.TryParse(text, out IPv6Prefix prefix, out string error)) clients.Add(prefix);
            else section.Refuse("clients", ErrorCodes.ConfigurationBadValue, $"'{text}' is not an IPv6 prefix: {error}.");
        }

        return clients;
    }
}
