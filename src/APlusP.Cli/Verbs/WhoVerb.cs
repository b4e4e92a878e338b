using System.CommandLine;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Api;
using APlusP.Registry.Memory;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp who</c>: who had an address and port at a time.</summary>
static class WhoVerb
{
    public static Command Create()
    {
        Argument<string> endpoint = RegistryAt.EndpointArgument();
        var at = new Option<string?>("--at") { Description = "When: 2026-11-24T14:03:00Z, UTC unless it says otherwise; now when left out." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("who", "Tell who had an address and port at a time. Exit status 0: somebody, 3: nobody.") { endpoint, at, json };
        var registry = new RegistryOrDatabase(command);
        command.SetAction(async parsed =>
        {
            (IPv4Address address, ushort port) = RegistryAt.ReadEndpoint(parsed.GetValue(endpoint)!);
            DateTimeOffset? moment = parsed.GetValue(at) is not { } text ? null : Moment.TryParse(text, out DateTimeOffset read) ? read
                : throw new APlusPException(ErrorCodes.BadRequest, $"'{text}' is not {Moment.Form}.");
            WhoDocument answer = await registry.Read(
                parsed, opened => OfflineMemory.Who(opened, address, port, moment ?? TimeProvider.System.GetUtcNow()), client => client.Who(address, port, moment));
            Console.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(answer, ApiJson.Plain.WhoDocument) : answer.Answer);
            return answer.Subscriber is null ? 3 : 0;
        });
        return command;
    }
}
