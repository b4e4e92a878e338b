using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration.Formats;

/// <summary>
/// Writes a PRR's configuration by the YANG module ietf-softwire-br (RFC 8676 section 6) in the JSON encoding of RFC 7951.
/// </summary>
public static class SoftwireYangWriter
{
    // As many softwires as there are numbers for: our table has no limit of its own.
    const uint NoLimit = uint.MaxValue;

    /// <summary>Writes the configuration.</summary>
    /// <returns>What the module has no word for, a line each.</returns>
    /// <exception cref="APlusPException">AP1031: bindings whose ports no PSID says; nothing was written.</exception>
    public static IReadOnlyList<string> Write(PrrConfiguration configuration, Stream output)
    {
        if (configuration.Rules.Count > 0) RefuseRules(configuration);
        Psid[] psids = Psids(configuration);
        using var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true });
        writer.WriteStartObject();
        writer.WriteStartObject("ietf-softwire-br:br-instances");
        ILookup<int, int> byMtu = Enumerable.Range(0, psids.Length).ToLookup(i => configuration.Bindings[i].PayloadMtu);
        if (configuration.Rules.Count > 0)
        {
            writer.WriteStartObject("algorithm");
            writer.WriteStartArray("algo-instance");
            for (int i = 0; i < configuration.Rules.Count; i++) WriteRule(writer, configuration.Rules[i], $"aplusp-{i + 1}");
        }
        else
        {
            writer.WriteStartObject("binding");
            writer.WriteStartArray("bind-instance");
            foreach (IGrouping<int, int> instance in byMtu)
                WriteInstance(writer, configuration, byMtu.Count == 1 ? "aplusp" : $"aplusp-mtu-{instance.Key}", instance.Key, instance, psids);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.Flush();
        output.Write("\n"u8);
        return Unsaid(configuration, byMtu.Count);
    }

    /// <summary>
    /// Each binding's PSID. All sets of one address have one layout (RFC 7597 section 5.1), so plain ranges become a PSID only where that fits
    /// the others of their address.
    /// </summary>
    static Psid[] Psids(PrrConfiguration configuration)
    {
        IReadOnlyList<Binding> bindings = configuration.Bindings;
        var psids = new Psid[bindings.Count];
        var layouts = new Dictionary<IPv4Address, (int, int)>();
        foreach (Binding binding in bindings)
            if (binding.Ports.Psid is { Length: > 0 } written) layouts[binding.Address] = (written.Offset, written.Length);

        var faults = new List<string>();
        int more = 0;
        for (int i = 0; i < psids.Length; i++)
        {
            Binding binding = bindings[i];
            if (PsidForm.Of(binding.Ports) is { Length: <= 15 } psid && (layouts.TryAdd(binding.Address, (psid.Offset, psid.Length)) || layouts[binding.Address] == (psid.Offset, psid.Length)))
            {
                psids[i] = psid;
                continue;
            }

            string who = configuration.Names.GetValueOrDefault(binding.Softwire) ?? binding.Softwire.ToString(), ports = binding.Ports.ToString();
            if (faults.Count < 20) faults.Add($"{who}: {(ports.Length > 80 ? $"{ports[..80]}..." : ports)} of {binding.Address}");
            else more++;
        }

        if (faults.Count > 0)
            throw new APlusPException(ErrorCodes.NotExportable, $"RFC 8676 says port sets by a psid-len of 0 to 15 and a PSID, all of one address alike; it has no words for these:\n  {string.Join("\n  ", faults)}{(more > 0 ? $"\n  and {more} more" : "")}");
        return psids;
    }

    /// <summary>A router has either bindings or rules in the module: its <c>br-type</c> is a choice.</summary>
    static void RefuseRules(PrrConfiguration configuration)
    {
        var faults = new List<string>();
        if (configuration.Bindings.Count > 0) faults.Add($"{configuration.Bindings.Count} binding(s) beside {configuration.Rules.Count} mapping rule(s): a router has one of the two (choice br-type)");
        foreach (RuleBinding binding in configuration.Rules)
        {
            string who = binding.Name ?? $"{binding.Rule.IPv4}";
            if (binding.Rule.Form != InterfaceIdentifierForm.Rfc7597) faults.Add($"{who}: the interface identifier of draft-03");
            if (binding.Rule is { EaLength: > 0, ExplicitPsid: not null }) faults.Add($"{who}: one PSID of those that the EA bits say");
            if (binding.Rule.PsidLength > 15) faults.Add($"{who}: a PSID of 16 bits");
        }

        if (faults.Count > 0) throw new APlusPException(ErrorCodes.NotExportable, $"RFC 8676 has no words for this:\n  {string.Join("\n  ", faults)}");
    }

    static void WriteRule(Utf8JsonWriter writer, RuleBinding binding, string otherwise)
    {
        MappingRule rule = binding.Rule;
        writer.WriteStartObject();
        writer.WriteString("name", binding.Name ?? otherwise);
        writer.WriteBoolean("enable", true);
        writer.WriteString("br-ipv6-addr", binding.Prr.ToString());
        writer.WriteNumber("ea-len", rule.EaLength);
        writer.WriteString("rule-ipv6-prefix", rule.IPv6.ToString());
        writer.WriteString("rule-ipv4-prefix", rule.IPv4.ToString());
        writer.WriteBoolean("forwarding", true);
        writer.WriteStartObject("port-set");
        writer.WriteNumber("psid-offset", rule.PsidOffset);
        writer.WriteNumber("psid-len", rule.PsidLength);
        writer.WriteNumber("psid", rule.ExplicitPsid ?? 0);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    static void WriteInstance(Utf8JsonWriter writer, PrrConfiguration configuration, string name, int payloadMtu, IEnumerable<int> indices, Psid[] psids)
    {
        PrrOptions options = configuration.Options;
        writer.WriteStartObject();
        writer.WriteString("name", name);
        writer.WriteNumber("softwire-num-max", NoLimit);
        writer.WriteNumber("softwire-payload-mtu", payloadMtu);
        writer.WriteNumber("softwire-path-mru", Math.Min(payloadMtu + ReadBindings.Overhead, ushort.MaxValue));
        writer.WriteBoolean("enable-hairpinning", options.Hairpinning);
        writer.WriteStartObject("binding-table");
        writer.WriteStartArray("binding-entry");
        foreach (int i in indices)
        {
            WriteEntry(writer, configuration.Bindings[i], psids[i]);
            if (writer.BytesPending > 1 << 16) writer.Flush();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteStartObject("icmp-policy");
        writer.WriteStartObject("icmpv4-errors");
        writer.WriteBoolean("allow-incoming-icmpv4", options.AllowIcmpFromInternet);
        writer.WriteBoolean("generate-icmpv4-errors", options.SendIcmpV4Errors);
        writer.WriteEndObject();
        writer.WriteStartObject("icmpv6-errors");
        writer.WriteBoolean("generate-icmpv6-errors", options.SendIcmpV6Errors);
        writer.WriteNumber("icmpv6-rate", options.IcmpErrorsPerSecond);
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    static void WriteEntry(Utf8JsonWriter writer, Binding binding, Psid psid)
    {
        writer.WriteStartObject();
        writer.WriteString("binding-ipv6info", binding.Softwire.ToString());
        writer.WriteString("binding-ipv4-addr", binding.Address.ToString());
        writer.WriteStartObject("port-set");
        writer.WriteNumber("psid-offset", psid.Offset);
        writer.WriteNumber("psid-len", psid.Length);
        writer.WriteNumber("psid", psid.Value);
        writer.WriteEndObject();
        writer.WriteString("br-ipv6-addr", binding.Prr.ToString());
        writer.WriteEndObject();
    }

    static List<string> Unsaid(PrrConfiguration configuration, int instances)
    {
        PrrOptions options = configuration.Options, standard = new() { SoftwireAddresses = [] };
        var unsaid = new List<string>();
        if (instances > 1) unsaid.Add($"an instance has one softwire-payload-mtu: the bindings became {instances} instances, one for each MTU.");
        if (options.IcmpSource is { } source) unsaid.Add($"icmp-source ({source}) has no counterpart in RFC 8676.");
        if (options.HopLimit != standard.HopLimit) unsaid.Add($"hop-limit ({options.HopLimit}) has no counterpart in RFC 8676.");
        if (configuration.Names.Count > 0) unsaid.Add($"names of bindings ({configuration.Names.Count}) have no counterpart in RFC 8676.");
        if (configuration.Rules.Count > 0)
        {
            unsaid.Add("[icmp] and hairpinning have no counterpart beside mapping rules in RFC 8676.");
            unsaid.Add($"path-mtu ({string.Join(", ", configuration.Rules.Select(r => r.PayloadMtu + ReadBindings.Overhead).Distinct())}) has no counterpart beside mapping rules in RFC 8676.");
        }
        else if (options.SendIcmpV4Errors) unsaid.Add("errors-per-second limits ICMP errors of both families; RFC 8676 has a rate for those of ICMPv6, which was given, and none for ICMPv4 errors that are sent.");
        return unsaid;
    }
}
