using System.CommandLine;
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
        return RegistryAt.Asking(new Command("add", "Give a subscriber a port of its address.") { endpoint, subscriber }, async (registry, parsed) =>
        {
            (IPv4Address address, ushort port) = RegistryAt.ReadEndpoint(parsed.GetValue(endpoint)!);
            return Describe(await registry.GivePort(new ServicePortDocument(parsed.GetValue(subscriber)!, $"{address}", port)));
        });
    }

    static Command RemovePort()
    {
        Argument<string> endpoint = RegistryAt.EndpointArgument();
        return RegistryAt.Asking(new Command("remove", "Take a port back. It rests, like others, before another can have it.") { endpoint }, async (registry, parsed) =>
        {
            (IPv4Address address, ushort port) = RegistryAt.ReadEndpoint(parsed.GetValue(endpoint)!);
            ServicePortDocument gone = await registry.TakePort(address, port);
            return $"{gone.Subscriber} no longer has {gone.Address}:{gone.Port}.";
        });
    }

    static Command ListPorts() =>
        RegistryAt.Listing(new Command("list", "List who has which."), (registry, _) => registry.ServicePorts(), Describe, ApiJson.Plain.IReadOnlyListServicePortDocument);

    static Command Reserve()
    {
        Option<string> subscriber = Subscriber("For whom they are kept.");
        var address = new Option<string>("--address") { Description = "A shared IPv4 address of a pool.", Required = true };
        var ports = new Option<string>("--ports") { Description = "Whole blocks of the pool, one after the other, such as 1024-1279.", Required = true };
        return RegistryAt.Asking(new Command("add", "Keep ports for a subscriber.") { subscriber, address, ports }, async (registry, parsed) =>
        {
            if (!IPv4Address.TryParse(parsed.GetValue(address)!, out IPv4Address shared)) throw new APlusPException(ErrorCodes.BadRequest, $"--address: '{parsed.GetValue(address)}' is not an IPv4 address such as 192.0.2.1.");
            if (!PortSet.TryParse(parsed.GetValue(ports)!, out PortSet? set, out string fault)) throw new APlusPException(ErrorCodes.BadRequest, $"--ports: '{parsed.GetValue(ports)}' is not a set of ports: {fault}.");
            return Describe(await registry.Reserve(parsed.GetValue(subscriber)!, shared, set!));
        });
    }

    static Command Unreserve()
    {
        Option<string> subscriber = Subscriber("For whom they were kept.");
        return RegistryAt.Asking(new Command("remove", "Keep a subscriber's ports no longer. A lease of them runs on.") { subscriber }, async (registry, parsed) =>
        {
            ReservationDocument gone = await registry.Unreserve(parsed.GetValue(subscriber)!);
            return $"{PortsOf(gone)} of {gone.Address} are no longer kept for {gone.Subscriber}.";
        });
    }

    static Command ListReservations() =>
        RegistryAt.Listing(new Command("list", "List what is kept for whom."), (registry, _) => registry.Reservations(), Describe, ApiJson.Plain.IReadOnlyListReservationDocument);

    static Option<string> Subscriber(string description) => new("--subscriber", "-s") { Description = description, Required = true };

    static string Describe(ServicePortDocument port) => $"{port.Address}:{port.Port}: {port.Subscriber}";

    static string Describe(ReservationDocument reservation) => $"{reservation.Subscriber}: {PortsOf(reservation)} of {reservation.Address}";

    static string PortsOf(ReservationDocument reservation) => string.Join(',', reservation.Ranges.Select(r => new PortRange((ushort)r[0], (ushort)r[1])));
}
