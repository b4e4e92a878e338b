using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using APlusP.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Daemons;
using APlusP.Node.WebProxy;
using Microsoft.Extensions.Logging;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp web-proxy</c>: IPv4 web traffic of hosts goes by IPv6 where it can.</summary>
static class WebProxyVerb
{
    public static Command Create()
    {
        var device = new Option<string[]>("--device", "-d") { Description = "A device towards hosts, whose connections to the web are taken. May be given several times.", Required = true };
        var port = new Option<int[]>("--port", "-p") { Description = "A port of web servers; 80 and 443 when left out.", DefaultValueFactory = _ => [80, 443] };
        var resolver = new Option<string[]>("--resolver", "-r") { Description = "A name server, IPv4 or IPv6; those of /etc/resolv.conf when left out." };
        var listen = new Option<int>("--listen") { Description = "The port of this machine that connections are led to; nobody reaches it from outside.", DefaultValueFactory = _ => WebProxyPlan.DefaultListen };
        var most = new Option<int>("--max-connections") { Description = "Connections at once; more have to wait.", DefaultValueFactory = _ => WebProxyPlan.DefaultMostConnections };
        var perServer = new Option<int>("--connections-per-server") { Description = "Connections by IPv4 to one server at most, shared by HTTP in clear of all hosts; 0 gives each connection of a host one of its own.", DefaultValueFactory = _ => 0 };
        var rank = new Option<bool>("--rank-sites") { Description = "Count by site what connections are for, without who or when; 'aplusp status' shows the most visited." };
        var socket = new Option<string>("--socket", "-s") { Description = "Control socket, where 'aplusp status' asks.", DefaultValueFactory = _ => WebProxyPlan.DefaultControlSocket };
        Option<string> format = LogOutput.FormatOption();
        var command = new Command("web-proxy", "Let IPv4 web traffic (HTTP, HTTPS) of hosts go by IPv6 wherever the server has it, undeciphered, so that it takes no port of the shared address. Ends with SIGTERM.")
        {
            device, port, resolver, listen, most, perServer, rank, socket, format,
        };
        device.Validators.Add(result => Refuse(result, result.GetValue(device), name => DeviceNames.IsName(name) ? null : $"'{name}' is {DeviceNames.Form}"));
        resolver.Validators.Add(result => Refuse(result, result.GetValue(resolver), address => IPAddress.TryParse(address, out _) ? null : $"'{address}' is no address of a name server; write it such as 2001:db8::53."));
        port.Validators.Add(result => Refuse(result, result.GetValue(port), FaultOfPort));
        listen.Validators.Add(result => Refuse(result, [result.GetValue(listen)], FaultOfPort));
        most.Validators.Add(result => Refuse(result, [result.GetValue(most)], number => number is >= 1 and <= 100_000 ? null : $"{number} connections at once cannot be: ask for 1 to 100000."));
        perServer.Validators.Add(result => Refuse(result, [result.GetValue(perServer)], number => number is >= 0 and <= 1000 ? null : $"{number} connections to a server cannot be: ask for 1 to 1000, or 0 for no sharing."));
        command.SetAction(parsed =>
        {
            using ILoggerFactory logging = LoggerFactory.Create(builder => LogOutput.Configure(builder, parsed.GetValue(format) == "json"));
            var log = new DaemonLog(logging.CreateLogger("aplusp"));
            using var proxy = new WebProxyDaemon(
                new WebProxyPlan(parsed.GetValue(device)!, parsed.GetValue(socket)!)
                {
                    Ports = parsed.GetValue(port)!,
                    Listen = parsed.GetValue(listen),
                    PerServer = parsed.GetValue(perServer),
                    RanksSites = parsed.GetValue(rank),
                    MostConnections = parsed.GetValue(most),
                    Resolvers = [.. (parsed.GetValue(resolver) ?? []).Select(IPAddress.Parse)],
                },
                log);
            using var interruption = new Interruption();
            proxy.Start();
            interruption.Token.WaitHandle.WaitOne();
            log.Stopping("it was told to");
        });
        return command;
    }

    static string? FaultOfPort(int number) => number is >= 1 and <= 65535 ? null : $"{number} is no port: those are 1 to 65535.";

    static void Refuse<T>(OptionResult result, IEnumerable<T>? values, Func<T, string?> fault)
    {
        foreach (string sentence in (values ?? []).Select(fault).OfType<string>()) result.AddError(sentence);
    }

    public static void Print(WebProxyStatus status)
    {
        AnsiConsole.WriteLine($"web-proxy for {string.Join(", ", status.Devices)}, port(s) {string.Join(", ", status.Ports)}: {status.Open:N0} connection(s) now, {status.PortsSaved:N0} of them by IPv6 and so without a shared port; {status.MostPortsSaved:N0} ports saved at most at once");
        Table table = StatusVerbs.NewTable("way", "connections");
        foreach ((string way, long connections) in ((string, long)[])
        [
            ("IPv6", status.OverIPv6), ("IPv4: no name in clear", status.NoName), ("IPv4: no IPv6 address", status.NoAddress), ("IPv4: the DNS was late", status.NameLate),
            ("IPv4: IPv6 did not answer", status.NotAnswering), ("neither answered", status.Unreachable),
        ]) table.AddRow(way, $"{connections:N0}");
        AnsiConsole.Write(table);
        if (status.Pooled > 0) AnsiConsole.WriteLine($"{status.Pooled:N0} of those by IPv4 shared connections to their servers");
        if (status.Sites is not { Count: > 0 } sites) return;
        Table visited = StatusVerbs.NewTable("site", "connections");
        foreach (SiteVisits site in sites) visited.AddRow(Markup.Escape(site.Name), $"{site.Connections:N0}");
        AnsiConsole.Write(visited);
    }
}
