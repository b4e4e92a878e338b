using System.CommandLine;
using System.Text.Json;
using APlusP.Node.Control;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp status</c>, <c>counters</c> and <c>reload</c>: asking the daemons that run here.</summary>
static class StatusVerbs
{
    const int TopDrops = 5;

    internal static Option<string?> SocketOption() => new("--socket", "-s") { Description = $"Control socket of the daemon; all of {ControlClient.DefaultDirectory}/*.sock when left out." };

    internal static Option<bool> JsonOption() => new("--json") { Description = "Print JSON." };

    public static Command CreateStatus()
    {
        Option<string?> socket = SocketOption();
        Option<bool> json = JsonOption();
        var command = new Command("status", "Show what runs here and how it fares.") { socket, json };
        command.SetAction(parsed =>
        {
            foreach (string path in ControlClient.Sockets(parsed.GetValue(socket)))
            {
                ControlAnswer answer = ControlClient.Ask(path, "status");
                if (answer.WebProxy is { } proxy)
                {
                    if (parsed.GetValue(json)) Console.WriteLine(JsonSerializer.Serialize(proxy, ControlJson.Default.WebProxyStatus));
                    else WebProxyVerb.Print(proxy);
                }
                else if (parsed.GetValue(json)) Console.WriteLine(JsonSerializer.Serialize(answer.Status!, ControlJson.Default.StatusDocument));
                else Print(answer.Status!);
            }
        });
        return command;
    }

    public static Command CreateCounters()
    {
        Option<string?> socket = SocketOption();
        Option<bool> json = JsonOption();
        var all = new Option<bool>("--all") { Description = "Counters at zero too." };
        var command = new Command("counters", "Show what became of every packet; docs/counters.md explains each line.") { socket, json, all };
        command.SetAction(parsed =>
        {
            foreach (string path in ControlClient.Sockets(parsed.GetValue(socket)))
            {
                Dictionary<string, long> counters = ControlClient.Ask(path, "counters").Counters!;
                if (parsed.GetValue(json))
                {
                    Console.WriteLine(JsonSerializer.Serialize(counters, ControlJson.Default.DictionaryStringInt64));
                    continue;
                }

                Table table = NewTable("counter", "value");
                foreach ((string name, long value) in counters)
                    if (value != 0 || parsed.GetValue(all)) table.AddRow(name, $"{value:N0}");
                AnsiConsole.WriteLine(path);
                AnsiConsole.Write(table);
            }
        });
        return command;
    }

    public static Command CreateReload()
    {
        Option<string?> socket = SocketOption();
        var command = new Command("reload", "Let a daemon read its configuration again; a faulty file changes nothing.") { socket };
        command.SetAction(parsed =>
        {
            foreach (string path in ControlClient.Sockets(parsed.GetValue(socket)))
                Console.WriteLine($"{path}: {ControlClient.Ask(path, "reload").Reloaded}");
        });
        return command;
    }

    static void Print(StatusDocument status)
    {
        AnsiConsole.WriteLine($"{status.Role} {status.Program}, up {TimeSpan.FromSeconds(status.UptimeSeconds)}, device {status.Device}, {status.Configuration}");
        AnsiConsole.WriteLine($"softwire end {string.Join(", ", status.SoftwireAddresses)}");
        if (status.LastReload is { } reload) AnsiConsole.WriteLine($"last reload {reload}");
        if (status.Prr is { } prr)
        {
            AnsiConsole.WriteLine($"{prr.Bindings:N0} binding(s) on {prr.SharedAddresses:N0} IPv4 address(es)"
                + (prr.ChangesSinceLoad > 0 ? $"; {prr.ChangesSinceLoad:N0} change(s) by `aplusp binding` since the file was read, which has them not" : ""));
        }

        if (status.Prr?.Registry is { } registry) Print(registry);
        if (status.Prr?.WebNames is { } names)
        {
            AnsiConsole.WriteLine($"web names: {names.Sites:N0} site(s), {names.Open:N0} connection(s) open, {names.Visits:N0} visit(s) led to a server, {names.Unknown:N0} with a name that is nobody's, {names.Unreached:N0} attempt(s) to reach a server failed"
                + (names.Fault is null ? "" : $"; {names.Fault}"));
        }

        if (status.Prr is { Rules.Count: > 0 } ruled) Print(ruled.Rules);
        if (status.Smap is { } smap) Print(smap);
        if (status.FastPath is { } fast) AnsiConsole.WriteLine(Describe(fast));
        foreach (ServiceStatus service in status.Services) AnsiConsole.WriteLine(Describe(service));

        Table traffic = NewTable("from", "received", "forwarded", "hairpinned", "answered", "consumed", "dropped", "held");
        foreach (TrafficStatus side in status.Traffic)
            traffic.AddRow(side.From["from-".Length..], $"{side.Received:N0}", $"{side.Forwarded:N0}", $"{side.Hairpinned:N0}", $"{side.Answered:N0}", $"{side.Consumed:N0}", $"{side.Dropped:N0}", $"{side.Held:N0}");
        AnsiConsole.Write(traffic);
        foreach (FragmentStatus held in status.Fragments.Where(f => f.Packets > 0))
            AnsiConsole.WriteLine($"fragments of {held.Packets:N0} of {held.MaxPackets:N0} {held.Of} are known, {held.Octets / 1024:N0} of {held.MaxOctets / 1024:N0} KiB wait");
        foreach (PathStatus path in status.NarrowPaths.Take(TopDrops))
            AnsiConsole.WriteLine($"the path to {path.Softwire} carries {path.PathMtu} octets, {path.Configured} configured");

        if (status.SendFailures > 0) AnsiConsole.WriteLine($"{status.SendFailures:N0} packets were not taken by the kernel");
        if (status.Drops.Count == 0) return;
        Table drops = NewTable("dropped from", "reason", "packets");
        foreach (DropStatus drop in status.Drops.Take(TopDrops)) drops.AddRow(drop.From["from-".Length..], drop.Reason, $"{drop.Packets:N0}");
        AnsiConsole.Write(drops);
    }

    static string Describe(FastPathStatus fast) =>
        fast.Hook == "off" ? $"no fast path: {fast.Fault}"
        : $"fast path: {fast.Hook} on {string.Join(", ", fast.Devices)}, " + (fast.Flows is { } flows ? $"{flows:N0} flow(s)" : $"{fast.Bindings:N0} binding(s)")
            + (fast.LeftOut > 0 ? $", {fast.LeftOut:N0} had no room" : "") + (fast.Fault is null ? "" : $"; {fast.Fault}");

    static string Describe(ServiceStatus service) =>
        $"{service.Name}: {service.State} since {service.Since:yyyy-MM-ddTHH:mm:ssZ}" + (service.Restarts > 0 ? $", started again {service.Restarts:N0} time(s); {service.LastFault}" : "");

    static void Print(RegistryStatus registry)
    {
        string since = $"{registry.Since:yyyy-MM-ddTHH:mm:ssZ}";
        AnsiConsole.WriteLine(registry.State == "connected"
            ? $"registry {registry.Url}: connected since {since}, {registry.Leases:N0} lease(s), version {registry.Version}" + (registry.LagMilliseconds is { } lag ? $", the last change was in force after {lag:N0} ms" : "")
            : $"registry {registry.Url}: away since {since}, {registry.Leases:N0} lease(s) as of "
                + (registry.Version is null ? "never" : $"version {registry.Version}, {(registry.LastHeard is { } heard ? $"last heard at {heard:yyyy-MM-ddTHH:mm:ssZ}" : "from the copy on the disk")}")
                + (registry.Fault is null ? "" : $"; {registry.Fault}"));
        if (registry.Refused > 0) AnsiConsole.WriteLine($"{registry.Refused:N0} lease(s) are not in force here: {registry.RefusedBecause}");
        if (registry.CopyFault is { } fault) AnsiConsole.WriteLine(fault);
    }

    static void Print(IReadOnlyList<RuleStatus> rules)
    {
        Table table = NewTable("rule", "IPv4", "IPv6", "EA bits", "PSID bits", "room for");
        foreach (RuleStatus rule in rules) table.AddRow((rule.Name ?? "-").EscapeMarkup(), rule.RuleIpv4Prefix, rule.RuleIpv6Prefix, $"{rule.EaLength}", $"{rule.PsidLength}", $"{rule.Capacity:N0}");
        AnsiConsole.Write(table);
    }

    static string Describe(DhcpStatusDocument dhcp) =>
        $"DHCPv6 on {dhcp.Interface}: {dhcp.State}" + (dhcp.Mechanism is null ? "" : $", {dhcp.Mechanism}") + (dhcp.Server is null ? "" : $", server {dhcp.Server}")
            + (dhcp.Leases.Count == 0 ? "" : $", {string.Join(", ", dhcp.Leases)}") + (dhcp.ValidSeconds is { } seconds ? $" for {seconds:N0} s" : "") + (dhcp.Why is null ? "" : $"; {dhcp.Why}");

    static void Print(SmapStatus smap)
    {
        if (smap.Lease is { } lease)
        {
            AnsiConsole.WriteLine($"{lease.State}: {lease.Sentence}");
            AnsiConsole.WriteLine((lease.Registry.StartsWith("pcp:", StringComparison.Ordinal) ? $"by {lease.Registry}" : $"{lease.Subscriber} of the registry {lease.Registry}") + (lease.Until is { } until ? $", lease {lease.Id} until {until:yyyy-MM-ddTHH:mm:ssZ}" : ""));
        }

        if (smap.Dhcpv6 is { } dhcp) AnsiConsole.WriteLine(Describe(dhcp));
        foreach (PolicyStatus policy in smap.Policies) Print(policy);
        if (smap.IsSuspended)
        {
            AnsiConsole.WriteLine("no softwire: nothing is forwarded");
            return;
        }

        if (smap.IsLineDead) AnsiConsole.WriteLine($"the line is dead: nothing comes back from the PRR {smap.PrrAddress}, or there is no way to it; `aplusp doctor` looks for the reason");
        AnsiConsole.WriteLine($"PRR {smap.PrrAddress}, {smap.PortCount:N0} ports of {smap.OwnPrefix ?? smap.SharedAddress}: {smap.Ports}");
        if (smap.ForwardingRules.Count > 0) AnsiConsole.WriteLine($"directly to subscribers of {string.Join(", ", smap.ForwardingRules)}");
        foreach (ForwardStatus forward in smap.Forwards) AnsiConsole.WriteLine($"{forward.Protocol} port {forward.Port} leads to {forward.To}{(forward.IsInForce ? "" : "; it is NOT in force, the port is not of this home now")}");
        if (smap.PortControl is { } control && control.By.Count + control.Mappings + control.Household > 0)
            AnsiConsole.WriteLine($"{control.Mappings:N0} port(s) that hosts asked for" + (control.By.Count == 0 ? "" : $" by {string.Join(", ", control.By)}") + $", {control.Household:N0} forward(s) of the household: `aplusp smap mappings`");
        if (smap.Outgoing != "softwire") AnsiConsole.WriteLine("packets leave as plain IPv4; only what comes in is in the softwire");
        AnsiConsole.WriteLine($"{smap.Flows:N0} of {smap.MaxFlows:N0} flows, {smap.Exhausted:N0} refused for want of a port");
        Table ports = NewTable("protocol", "ports in use", "peak", "of");
        foreach (PortUse use in smap.PortsInUse) ports.AddRow(use.Protocol, $"{use.Ports:N0}", $"{use.Peak:N0}", $"{smap.PortCount:N0}");
        AnsiConsole.Write(ports);
        if (smap.Hosts.Count == 0) return;
        Table hosts = NewTable("host", "ports");
        foreach (HostUse host in smap.Hosts) hosts.AddRow($"{host}".EscapeMarkup(), $"{host.Ports:N0}");
        AnsiConsole.Write(hosts);
    }

    static void Print(PolicyStatus policy)
    {
        IEnumerable<string> rules = [.. policy.DnsAlone ? ["no UDP but DNS"] : (string[])[], .. policy.OwnResolver ? ["names are asked of this SMAP alone"] : (string[])[], .. policy.DailyVolume > 0 ? [$"{PolicyStatus.Volume(policy.DailyVolume)} a day for each host"] : (string[])[]];
        AnsiConsole.WriteLine($"policy of {policy.Lan}: {string.Join(", ", rules)}{(policy.IsInForce ? "" : "; it is NOT in force, the log says why")}");
        if (policy.Hosts.Count == 0) return;
        Table hosts = NewTable("host", "today", "");
        foreach (VolumeUse host in policy.Hosts) hosts.AddRow($"{host}".EscapeMarkup(), PolicyStatus.Volume(host.Octets), host.IsOver ? "used up" : "");
        AnsiConsole.Write(hosts);
    }

    internal static Table NewTable(params string[] columns)
    {
        var table = new Table { Border = TableBorder.Simple };
        foreach (string column in columns) table.AddColumn(new TableColumn(column) { Alignment = column is "from" or "counter" or "host" or "protocol" or "way" or "what" or "reason" or "dropped from" or "rule" or "IPv4" or "IPv6" ? Justify.Left : Justify.Right });
        return table;
    }
}
