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
        var endpoint = new Argument<string>("address:port") { Description = "Such as 192.0.2.1:4242." };
        var at = new Option<string?>("--at") { Description = "When: 2026-11-24T14:03:00Z, UTC unless it says otherwise; now when left out." };
        Option<string> server = RegistryAt.ServerOption();
        Option<FileInfo?> token = RegistryAt.TokenOption();
        Option<string?> data = RegistryAt.DataOption(), database = RegistryAt.DatabaseOption();
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("who", "Tell who had an address and port at a time. Exit status 0: somebody, 3: nobody.") { endpoint, at, server, token, data, database, json };
        command.SetAction(async parsed =>
        {
            (IPv4Address address, ushort port) = Endpoint(parsed.GetValue(endpoint)!);
            DateTimeOffset? moment = parsed.GetValue(at) is not { } text ? null : Moment.TryParse(text, out DateTimeOffset read) ? read
                : throw new APlusPException(ErrorCodes.BadRequest, $"'{text}' is not {Moment.Form}.");
            WhoDocument answer = await RegistryAt.Read(
                parsed.GetValue(data), parsed.GetValue(database), opened => OfflineMemory.Who(opened, address, port, moment ?? TimeProvider.System.GetUtcNow()),
                () => RegistryClient.Who(RegistryAt.Server(parsed.GetValue(server)!), RegistryAt.Token(parsed.GetValue(token)), address, port, moment));
            Console.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(answer, ApiJson.Plain.WhoDocument) : answer.Answer);
            return answer.Subscriber is null ? 3 : 0;
        });
        return command;
    }

    static (IPv4Address, ushort) Endpoint(string text)
    {
        int colon = text.LastIndexOf(':');
        return colon > 0 && IPv4Address.TryParse(text.AsSpan(0, colon), out IPv4Address address) && ushort.TryParse(text.AsSpan(colon + 1), out ushort port) ? (address, port)
            : throw new APlusPException(ErrorCodes.BadRequest, $"'{text}' is not an IPv4 address and port such as 192.0.2.1:4242.");
    }
}
