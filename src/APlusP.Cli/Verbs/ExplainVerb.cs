using System.CommandLine;
using System.Text.Json;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Offline;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp explain</c>: whose port this is, or what becomes of a packet and why, by the data plane's own code.</summary>
static class ExplainVerb
{
    public static Command Create()
    {
        var config = new Option<string>("--config", "-c") { Description = "The PRR's configuration.", Required = true };
        var what = new Argument<string>("what")
        {
            Description = "ADDRESS:PORT, or a packet such as 'tcp 198.51.100.7:443 > 192.0.2.1:10050'; with 'via 2001:db8:1::1' behind it, from that softwire.",
        };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("explain", "Say whose a port is, or follow a packet through the PRR step by step.") { config, what, json };
        command.SetAction(parsed =>
        {
            PrrConfiguration configuration = ConfigurationFile.LoadPrr(parsed.GetValue(config)!);
            var table = BindingTable.Build(configuration.Bindings, configuration.Rules);
            string text = parsed.GetValue(what)!.Trim();
            if (text.Contains(' ')) Follow(configuration, table, PacketSentence.Parse(text), parsed.GetValue(json));
            else Own(configuration, table, text, parsed.GetValue(json));
        });
        return command;
    }

    static void Own(PrrConfiguration configuration, BindingTable table, string text, bool json)
    {
        (IPv4Address address, ushort port) = PacketSentence.ParseEndpoint(text, text);
        BindingLookup lookup = table.Find(address, port, out BindingHit hit);
        Binding? binding = lookup == BindingLookup.Found ? table.BindingOf(hit.Softwire) : null;
        RuleBinding? rule = binding is not null && !table.HasBinding(hit.Softwire) ? table.Rules?.RuleOf(hit.Softwire) : null;
        MappedSubscriber? byRule = null;
        rule?.Rule.TryMapPort(address, port, out byRule, out _);
        string? name = binding is not null ? configuration.Names.GetValueOrDefault(binding.Softwire) : null;
        if (json)
        {
            WriteJson(writer =>
            {
                writer.WriteString("address", address.ToString());
                writer.WriteNumber("port", port);
                writer.WriteString("lookup", ForwardingCounters.Kebab(lookup));
                if (binding is null) return;
                writer.WriteString("subscriber", name);
                writer.WriteString("ports", binding.Ports.ToString());
                writer.WriteString("softwire", binding.Softwire.ToString());
                writer.WriteString("prr", binding.Prr.ToString());
                writer.WriteNumber("payloadMtu", binding.PayloadMtu);
                if (rule is null) return;
                writer.WriteString("rule", rule.Name);
                writer.WriteString("ruleIpv4Prefix", rule.Rule.IPv4.ToString());
                writer.WriteString("endUserPrefix", byRule!.EndUser.ToString());
            });
            return;
        }

        if (binding is not null)
        {
            Console.WriteLine($"{address}:{port} belongs to {name ?? (byRule is null ? "a subscriber without a name" : $"the subscriber with {byRule.EndUser}")}");
            if (rule is not null) Console.WriteLine($"  rule      {(rule.Name is null ? "" : $"{rule.Name}: ")}{rule.Rule.IPv4} over {rule.Rule.IPv6}, {rule.Rule.EaLength} EA bits");
            Console.WriteLine($"  ports     {(byRule is { PsidLength: 0 } ? "all" : binding.Ports)} of {byRule?.AddressText ?? address.ToString()} ({binding.Ports.Count})");
            Console.WriteLine($"  softwire  {binding.Softwire} to {binding.Prr}, payload MTU {binding.PayloadMtu}");
            return;
        }

        Console.WriteLine($"{address}:{port} is nobody's: " + (lookup == BindingLookup.NotShared ? configuration.Rules.Count == 0 ? "no binding names this address" : "no binding names this address, and no rule has it" : "the address is shared, but nobody has this port"));
        if (lookup == BindingLookup.NotShared) return;

        // The neighbours show whether a range was meant to reach further.
        Binding? below = null, above = null;
        int last = -1, first = 65536;
        foreach (Binding each in configuration.Bindings.Where(b => b.Address == address))
        {
            foreach (var range in each.Ports.Ranges)
            {
                if (range.Last < port && range.Last > last) (below, last) = (each, range.Last);
                if (range.First > port && range.First < first) (above, first) = (each, range.First);
            }
        }

        if (below is not null) Console.WriteLine($"  nearest below: {last}, of {configuration.Names.GetValueOrDefault(below.Softwire) ?? below.Softwire.ToString()}");
        if (above is not null) Console.WriteLine($"  nearest above: {first}, of {configuration.Names.GetValueOrDefault(above.Softwire) ?? above.Softwire.ToString()}");
    }

    static void Follow(PrrConfiguration configuration, BindingTable table, PacketSentence sentence, bool json)
    {
        IPv6Address prr = sentence.Via is { } via && table.TryFindSoftwire(via, out BindingHit hit, out _) ? hit.Prr : configuration.Options.SoftwireAddresses[0];
        PacketJourney journey = PortRangeRouter.Explain(table, configuration.Options, sentence.Origin, sentence.ToPacket(prr));
        if (!json)
        {
            int width = journey.Steps.Max(s => s.Name.Length);
            foreach (JourneyStep step in journey.Steps) Console.WriteLine($"{step.Name.PadRight(width)}  {step.Text}");
            return;
        }

        WriteJson(writer =>
        {
            writer.WriteString("from", ForwardingCounters.Kebab(sentence.Origin));
            writer.WriteString("fate", ForwardingCounters.Kebab(journey.Verdict.Fate));
            if (journey.Verdict.Fate == Fate.Dropped) writer.WriteString("reason", ForwardingCounters.Kebab(journey.Verdict.Reason));
            writer.WriteStartArray("steps");
            foreach (JourneyStep step in journey.Steps)
            {
                writer.WriteStartObject();
                writer.WriteString("name", step.Name);
                writer.WriteString("text", step.Text);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        });
    }

    static void WriteJson(Action<Utf8JsonWriter> body)
    {
        using Stream output = Console.OpenStandardOutput();
        using (var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            body(writer);
            writer.WriteEndObject();
        }

        output.Write("\n"u8);
    }
}
