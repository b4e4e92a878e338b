using System.CommandLine;
using APlusP.Core;
using APlusP.Registry.Api;
using APlusP.Registry.Memory;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp registry name</c> and <c>zone</c>: names of subscribers' servers.</summary>
static class NameVerb
{
    const int UsualTtl = 300;

    public static Command Create() =>
        new("name", "Names of subscribers' servers: web visitors of the shared address come to the subscriber's own ports by them.") { Set(), Remove(), List() };

    static Command Set()
    {
        Argument<string> name = NameArgument();
        var subscriber = new Option<string>("--subscriber", "-s") { Description = "Whose server it is.", Required = true };
        var http = new Option<int?>("--http") { Description = "The subscriber's port for visitors of port 80." };
        var https = new Option<int?>("--https") { Description = "The same for port 443; TLS is passed on as it is." };
        var proxied = new Option<bool>("--proxied") { Description = "The server expects the PROXY protocol, version 2, which tells it who visits." };
        var service = new Option<string[]>("--service") { Description = "Another service and its port, such as _xmpp-client._tcp:1222, for SRV records. May be given several times." };
        return RegistryAt.Asking(
            new Command("set", "Give a subscriber a name, or change what it leads to.") { name, subscriber, http, https, proxied, service },
            async (registry, parsed) => Describe(await registry.GiveName(new ServerNameRequest(
                parsed.GetValue(name)!, parsed.GetValue(subscriber)!, parsed.GetValue(http), parsed.GetValue(https), parsed.GetValue(proxied), parsed.GetValue(service) ?? []))));
    }

    static Command Remove()
    {
        Argument<string> name = NameArgument();
        return RegistryAt.Asking(new Command("remove", "Take a name away.") { name }, async (registry, parsed) =>
        {
            ServerNameDocument gone = await registry.TakeName(parsed.GetValue(name)!);
            return $"{gone.Name} is no longer a name of {gone.Subscriber}.";
        });
    }

    static Command List()
    {
        var subscriber = new Option<string?>("--subscriber", "-s") { Description = "Names of this one alone." };
        return RegistryAt.Listing(
            new Command("list", "List names, and where they lead.") { subscriber },
            (registry, parsed) => registry.Names(parsed.GetValue(subscriber)), Describe, ApiJson.Plain.IReadOnlyListServerNameDocument);
    }

    public static Command CreateZone()
    {
        var origin = new Option<string?>("--origin") { Description = "The zone, such as example.org: only names in it. All when left out." };
        var ttl = new Option<int>("--ttl") { Description = "For how many seconds resolvers may keep a line.", DefaultValueFactory = _ => UsualTtl };
        var https = new Option<bool>("--https-records") { Description = "Also HTTPS records, by which some browsers come to the subscriber's port directly." };
        var command = new Command("zone", "Write the names as lines of a DNS zone, for $INCLUDE: addresses, and SRV records of services.") { origin, ttl, https };
        var registry = new RegistryOrDatabase(command);
        command.SetAction(async parsed =>
        {
            int seconds = parsed.GetValue(ttl) is var given and >= 0 ? given : throw new APlusPException(ErrorCodes.BadRequest, "--ttl is a number of seconds, 0 or more.");
            IReadOnlyList<ServerNameDocument> names = await registry.Read(parsed, OfflineMemory.Names, client => client.Names(subscriber: null));
            foreach (string line in ZoneLines.Write(names, parsed.GetValue(origin), seconds, parsed.GetValue(https))) Console.WriteLine(line);
        });
        return command;
    }

    static Argument<string> NameArgument() => new("name") { Description = "A host's full name, such as www.example.org." };

    static string Describe(ServerNameDocument name)
    {
        string[] ways =
        [
            .. name.Http is { } http ? [$"80 to {http}"] : Array.Empty<string>(),
            .. name.Https is { } https ? [$"443 to {https}"] : Array.Empty<string>(),
            .. name.Services,
        ];
        string where = name.Address is null ? "which has no lease now" : $"at {name.Address}";
        return $"{name.Name}: {name.Subscriber}, {where}: {string.Join(", ", ways)}{(name.Proxied ? ", by the PROXY protocol" : "")}"
            + (name.Address is not null && name.Idle.Count > 0 ? $"; not in its set, and so idle: {string.Join(", ", name.Idle)}" : "");
    }
}
