using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp rule</c>: what a mapping rule (RFC 7597 section 5) gives to a subscriber, asked from either side.</summary>
static class RuleVerb
{
    const int RangesShown = 4;

    public static Command Create()
    {
        var rule6 = new Option<string>("--rule6") { Description = "Rule IPv6 prefix, such as 2001:db8::/40.", Required = true };
        var rule4 = new Option<string>("--rule4") { Description = "Rule IPv4 prefix, such as 192.0.2.0/24.", Required = true };
        var ea = new Option<int>("--ea") { Description = "EA-bits length, 0 to 48.", Required = true };
        var offset = new Option<int>("--offset", "-a") { Description = "PSID offset a, 0 to 15.", DefaultValueFactory = _ => MappingRule.DefaultPsidOffset };
        var length = new Option<int?>("--psid-len", "-k") { Description = "PSID length, for a rule without EA bits (RFC 7598 section 4.5); with them it is checked." };
        var psid = new Option<int?>("--psid", "-p") { Description = "The PSID, likewise." };
        var draft = new Option<bool>("--draft03") { Description = "The interface identifier of draft-ietf-softwire-map-03, which some providers use." };
        var endUser = new Option<string?>("--end-user") { Description = "Ask by End-user IPv6 prefix, such as 2001:db8:12:3400::/56." };
        var address = new Option<string?>("--address") { Description = "Ask by IPv4 address, with --port." };
        var port = new Option<int?>("--port") { Description = "The port, or ICMP identifier, of the address; not needed where each address has one holder." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("rule", "Print what a mapping rule (MAP-E, RFC 7597) gives to a subscriber.")
        {
            rule6, rule4, ea, offset, length, psid, draft, endUser, address, port, json,
        };
        command.Validators.Add(result =>
        {
            bool byEndUser = Has(result, endUser), byAddress = Has(result, address);
            if (byEndUser == byAddress) result.AddError("Give either --end-user, or --address and --port.");
            else if (Has(result, port) && !byAddress) result.AddError("--port belongs to --address.");
        });
        command.SetAction(parse =>
        {
            var rule = new MappingRule(Prefix6("--rule6", parse.GetRequiredValue(rule6)), Prefix4("--rule4", parse.GetRequiredValue(rule4)), parse.GetValue(ea))
            {
                PsidOffset = parse.GetValue(offset),
                ExplicitPsidLength = parse.GetValue(length),
                ExplicitPsid = parse.GetValue(psid),
                Form = parse.GetValue(draft) ? InterfaceIdentifierForm.Draft03 : InterfaceIdentifierForm.Rfc7597,
            };
            if (rule.Fault is { } fault) throw new APlusPException(ErrorCodes.NotAMappingRule, $"this is not a mapping rule: {fault}.");
            MappedSubscriber subscriber = parse.GetValue(endUser) is { } prefix
                ? ByEndUser(rule, Prefix6("--end-user", prefix))
                : ByPort(rule, parse.GetRequiredValue(address)!, parse.GetValue(port));
            if (parse.GetValue(json)) PrintJson(subscriber);
            else Print(rule, subscriber);
        });
        return command;
    }

    static bool Has(CommandResult result, Option option) => result.GetResult(option) is { Implicit: false };

    static IPv6Prefix Prefix6(string option, string text) => IPv6Prefix.TryParse(text, out IPv6Prefix prefix, out string error)
        ? prefix : throw new APlusPException(ErrorCodes.NotAMappingRule, $"{option}: {error}.");

    static IPv4Prefix Prefix4(string option, string text) => IPv4Prefix.TryParse(text, out IPv4Prefix prefix, out string error)
        ? prefix : throw new APlusPException(ErrorCodes.NotAMappingRule, $"{option}: {error}.");

    static MappedSubscriber ByEndUser(MappingRule rule, IPv6Prefix endUser) => rule.TryMapEndUser(endUser, out MappedSubscriber? subscriber, out string error)
        ? subscriber! : throw new APlusPException(ErrorCodes.NotMapped, $"{error}.");

    static MappedSubscriber ByPort(MappingRule rule, string text, int? port)
    {
        if (!IPv4Address.TryParse(text, out IPv4Address address)) throw new APlusPException(ErrorCodes.NotMapped, $"--address: '{text}' is not an IPv4 address such as 192.0.2.1.");
        if (port is < 0 or > ushort.MaxValue) throw new APlusPException(ErrorCodes.NotMapped, $"--port: {port} is not from 0 to 65535.");
        if (port is null && !rule.IsWholeAddress) throw new APlusPException(ErrorCodes.NotMapped, $"2^{rule.PsidLength} subscribers share {address} by this rule; say which by --port.");
        return rule.TryMapPort(address, (ushort)(port ?? 0), out MappedSubscriber? subscriber, out string error)
            ? subscriber! : throw new APlusPException(ErrorCodes.NotMapped, $"{error}.");
    }

    static void Print(MappingRule rule, MappedSubscriber subscriber)
    {
        PortRange[] ranges = [.. subscriber.Ports.Ranges];
        string ports = subscriber.Ports.IsWholeAddress ? "all" : $"{subscriber.Ports.Count} in {ranges.Length} range{(ranges.Length == 1 ? "" : "s")}: "
            + string.Join(", ", ranges.Take(RangesShown)) + (ranges.Length > RangesShown ? $" ... {ranges[^1]}" : "");
        Console.WriteLine($"The subscriber with {subscriber.EndUser} has {(subscriber.Ports.IsWholeAddress ? "all" : subscriber.Ports.Count)} ports of {subscriber.AddressText}");
        Console.WriteLine($"  address   {subscriber.AddressText,-20}{Origin(rule, subscriber)}");
        Console.WriteLine(subscriber.PsidLength == 0
            ? "  PSID      none: nobody shares " + (subscriber.Prefix.Length == 32 ? "the address" : "the prefix")
            : $"  PSID      {$"{subscriber.Psid} (0x{subscriber.Psid:x})",-20}{(rule.EaLength == 0 ? "as given" : $"the last {rule.PsidLength} of the EA bits")}, offset {rule.PsidOffset}");
        Console.WriteLine($"  ports     {ports}");
        Console.WriteLine($"  CE        {subscriber.Ce}, its end of the softwire");
        Console.WriteLine($"The rule holds up to {rule.Capacity:N0} subscriber{(rule.Capacity == 1 ? "" : "s")}, "
            + (rule.PsidLength > 0 ? $"{1 << rule.PsidLength} on each address of {rule.IPv4}." : rule.SubscriberLength < 32 ? $"each with a /{rule.SubscriberLength} of {rule.IPv4}." : $"each with an address of {rule.IPv4}."));
        if (subscriber.EndUser.Address != IPv6Prefix.Of(subscriber.EndUser.Address, rule.EndUserLength).Address)
        {
            Console.WriteLine($"Beware: bits {rule.EndUserLength} to {subscriber.EndUser.Length - 1} of this End-user prefix are no part of the rule and not zero. PRR and other");
            Console.WriteLine("subscribers, who know the rule alone, send to another address.");
        }
    }

    static string Origin(MappingRule rule, MappedSubscriber subscriber)
    {
        if (rule.SuffixLength == 0) return "the Rule IPv4 prefix";
        uint suffix = (subscriber.Prefix.Address.Value & ~IPv4Prefix.MaskOf(rule.IPv4.Length)) >> (32 - rule.SubscriberLength);
        return $"{rule.IPv4}, then {rule.SuffixLength} EA bit{(rule.SuffixLength == 1 ? "" : "s")}, 0x{suffix:x}";
    }

    static void PrintJson(MappedSubscriber subscriber)
    {
        using Stream stream = Console.OpenStandardOutput();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            writer.WriteString("address", subscriber.AddressText);
            writer.WriteNumber("psid", subscriber.Psid);
            writer.WriteNumber("psidLength", subscriber.PsidLength);
            PortSetJson.WritePortsAndRanges(writer, subscriber.Ports);
            writer.WriteString("ce", subscriber.Ce.ToString());
            writer.WriteEndObject();
        }

        stream.Write("\n"u8);
    }
}
