using System.CommandLine;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Api;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp registry service-port</c> and <c>reservation</c>: ports that an operator gives or keeps, before any lease.</summary>
static class KeptPortsVerb
{
    public static Command CreateServicePort() =>
        new("service-port", "Single ports that everybody knows, such as 25 or 443: one subscriber has one of an address besides its set.") { AddPort(), RemovePort(), ListPorts() };

    public static Command CreateReservation() =>
        new("reservation", "Ports that are kept for a subscriber, whether it has a lease or not: its next lease is of them.") { Reserve(), Unreserve(), ListReservations() };

    static Command AddPort()
    {
        Argument<string> endpoint = RegistryAt.EndpointArgument();
        Option<string> subscriber = Subscriber("Who is to have it.");
        var command = new Command("add", "Give a subscriber a port of its address.") { endpoint, subscriber };
        var registry = new RegistryAt(command);
        command.SetAction(async parsed =>
        {
            (IPv4Address address, ushort port) = RegistryAt.ReadEndpoint(parsed.GetValue(endpoint)!);
            Console.WriteLine(Describe(await registry.Client(parsed).GivePort(new ServicePortDocument(parsed.GetValue(subscriber)!, $"{address}", port))));
        });
        return command;
    }

    static Command RemovePort()
    {
        Argument<string> endpoint = RegistryAt.EndpointArgument();
        var command = new Command("remove", "Take a port back. It rests, like others, before another can have it.") { endpoint };
        var registry = new RegistryAt(command);
        command.SetAction(async parsed =>
        {
            (IPv4Address address, ushort port) = RegistryAt.ReadEndpoint(parsed.GetValue(endpoint)!);
            ServicePortDocument gone = await registry.Client(parsed).TakePort(address, port);
            Console.WriteLine($"{gone.Subscriber} no longer has {gone.Address}:{gone.Port}.");
        });
        return command;
    }

    static Command ListPorts()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("list", "List who has which.") { json };
        var registry = new RegistryAt(command);
        command.SetAction(async parsed =>
        {
            IReadOnlyList<ServicePortDocument> ports = await registry.Client(parsed).ServicePorts();
            if (parsed.GetValue(json)) Console.WriteLine(JsonSerializer.Serialize(ports, ApiJson.Plain.IReadOnlyListServicePortDocument));
            else foreach (ServicePortDocument port in ports) Console.WriteLine(Describe(port));
        });
        return command;
    }

    static Command Reserve()
    {
        Option<string> subscriber = Subscriber("For whom they are kept.");
        var address = new Option<string>("--address") { Description = "A shared IPv4 address of a pool.", Required = true };
        var ports = new Option<string>("--ports") { Description = "Whole blocks of the pool, one after the other, such as 1024-1279.", Required = true };
        var command = new Command("add", "Keep ports for a subscriber.") { subscriber, address, ports };
        var registry = new RegistryAt(command);
        command.SetAction(async parsed =>
        {
            if (!IPv4Address.TryParse(parsed.GetValue(address)!, out IPv4Address shared)) throw new APlusPException(ErrorCodes.BadRequest, $"--address: '{parsed.GetValue(address)}' is not an IPv4 address such as 192.0.2.1.");
            if (!PortSet.TryParse(parsed.GetValue(ports)!, out PortSet? set, out string fault)) throw new APlusPException(ErrorCodes.BadRequest, $"--ports: '{parsed.GetValue(ports)}' is not a set of ports: {fault}.");
            Console.WriteLine(Describe(await registry.Client(parsed).Reserve(parsed.GetValue(subscriber)!, shared, set!)));
        });
        return command;
    }

    static Command Unreserve()
    {
        Option<string> subscriber = Subscriber("For whom they were kept.");
        var command = new Command("remove", "Keep a subscriber's ports no longer. A lease of them runs on.") { subscriber };
        var registry = new RegistryAt(command);
        command.SetAction(async parsed =>
        {
            ReservationDocument gone = await registry.Client(parsed).Unreserve(parsed.GetValue(subscriber)!);
            Console.WriteLine($"{PortsOf(gone)} of {gone.Address} are no longer kept for {gone.Subscriber}.");
        });
        return command;
    }

    static Command ListReservations()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("list", "List what is kept for whom.") { json };
        var registry = new RegistryAt(command);
        command.SetAction(async parsed =>
        {
            IReadOnlyList<ReservationDocument> reservations = await registry.Client(parsed).Reservations();
            if (parsed.GetValue(json)) Console.WriteLine(JsonSerializer.Serialize(reservations, ApiJson.Plain.IReadOnlyListReservationDocument));
            else foreach (ReservationDocument reservation in reservations) Console.WriteLine(Describe(reservation));
        });
        return command;
    }

    static Option<string> Subscriber(string description) => new("--subscriber", "-s") { Description = description, Required = true };

    static string Describe(ServicePortDocument port) => $"{port.Address}:{port.Port}: {port.Subscriber}";

    static string Describe(ReservationDocument reservation) => $"{reservation.Subscriber}: {PortsOf(reservation)} of {reservation.Address}";

    static string PortsOf(ReservationDocument reservation) => string.Join(',', reservation.Ranges.Select(r => new PortRange((ushort)r[0], (ushort)r[1])));
}
