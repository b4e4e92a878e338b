using System.CommandLine;
using System.Text.Json;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp smap mappings</c> and <c>aplusp smap forward</c>: ports of a home that lead to its hosts.</summary>
static class MappingVerbs
{
    public static Command CreateMappings()
    {
        (Option<string> socket, Option<bool> json) = Options();
        var command = new Command("mappings", "Show which ports of the SMAP that runs here lead to which host: forwards of the configuration and of the household, and what hosts asked for by PCP, NAT-PMP and UPnP.") { socket, json };
        command.SetAction(parsed => Ask(parsed.GetValue(socket)!, "mappings", parsed.GetValue(json)));
        return command;
    }

    public static Command CreateForward() => new("forward", "Add ports that always lead to a server of the home, kept over restarts beside those of the configuration file; and remove these, or ports that hosts asked for.") { CreateAdd(), CreateRemove() };

    static Command CreateAdd()
    {
        Argument<string> port = Port();
        var to = new Argument<string>("to") { Description = "The server's IPv4 address in the home and its port, such as 192.168.2.10:80." };
        Option<string> protocol = Protocol();
        (Option<string> socket, Option<bool> json) = Options();
        var command = new Command("add", "Let a port lead to a server.") { port, to, protocol, socket, json };
        command.SetAction(parsed => Ask(parsed.GetValue(socket)!, $"forward add {parsed.GetValue(port)} {parsed.GetValue(to)} {parsed.GetValue(protocol)}", parsed.GetValue(json)));
        return command;
    }

    static Command CreateRemove()
    {
        Argument<string> port = Port();
        Option<string> protocol = Protocol();
        (Option<string> socket, Option<bool> json) = Options();
        var command = new Command("remove", "Let a port lead nowhere any more, whether the household added it or a host asked for it by PCP, NAT-PMP or UPnP; a host may ask again. What stands in the configuration file stays.") { port, protocol, socket, json };
        command.SetAction(parsed => Ask(parsed.GetValue(socket)!, $"forward remove {parsed.GetValue(port)} {parsed.GetValue(protocol)}", parsed.GetValue(json)));
        return command;
    }

    static Argument<string> Port() => new("port") { Description = "One of the home's ports." };

    static (Option<string> Socket, Option<bool> Json) Options() => (DaemonVerbs.SmapSocketOption("-s"), new Option<bool>("--json") { Description = "Print what the daemon answers, as JSON." });

    static Option<string> Protocol()
    {
        var option = new Option<string>("--protocol") { Description = "tcp, udp or both.", DefaultValueFactory = _ => "tcp" };
        option.AcceptOnlyFromAmong([.. ConfigurationSchema.ForwardProtocols]);
        return option;
    }

    static void Ask(string socket, string verb, bool json)
    {
        MappingsDocument mappings = ControlClient.Ask(socket, verb).Mappings!;
        if (json) Console.WriteLine(JsonSerializer.Serialize(mappings, ControlJson.Default.MappingsDocument));
        else Print(mappings);
    }

    static void Print(MappingsDocument mappings)
    {
        AnsiConsole.WriteLine(mappings.Address is { } address ? $"{address}, ports {mappings.Ports}" : "no shared address now: what is kept waits for one");
        if (mappings.Entries.Count == 0) return;
        var table = new Table { Border = TableBorder.Simple };
        foreach (string column in (string[])["protocol", "port", "leads to", "by", "for", "description"]) table.AddColumn(new TableColumn(column) { Alignment = column is "port" ? Justify.Right : Justify.Left });
        foreach (MappingEntry entry in mappings.Entries)
            table.AddRow(entry.Protocol, $"{entry.Port}", $"{entry.Host}:{entry.HostPort}", entry.By, TimeOf(entry), (entry.Description ?? "").EscapeMarkup());
        AnsiConsole.Write(table);
    }

    static string TimeOf(MappingEntry entry) => !entry.IsInForce ? "not in force" : entry.SecondsLeft is { } seconds ? $"{TimeSpan.FromSeconds(seconds)}" : "ever";
}
