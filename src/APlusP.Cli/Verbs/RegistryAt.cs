using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Api;
using APlusP.Registry.Configuration;
using APlusP.Registry.Storage;

namespace APlusP.Cli.Verbs;

/// <summary>Which registry a command asks, and with whose token, by options of the command.</summary>
class RegistryAt
{
    readonly Option<string> _server = new("--server") { Description = "The registry.", DefaultValueFactory = _ => $"http://127.0.0.1:{RegistrySettings.DefaultPort}" };

    readonly Option<FileInfo?> _token = new("--token-file") { Description = "A file with an operator's token; not needed on the registry's own machine." };

    /// <summary>The options stand behind those that the command has.</summary>
    public RegistryAt(Command command)
    {
        command.Add(_server);
        command.Add(_token);
    }

    /// <summary>Has a command ask the registry one thing, and say the answer.</summary>
    public static Command Asking(Command command, Func<RegistryClient, ParseResult, Task<string>> ask)
    {
        var registry = new RegistryAt(command);
        command.SetAction(async parsed => Console.WriteLine(await ask(registry.Client(parsed), parsed)));
        return command;
    }

    /// <summary>Has a command list what the registry answers, a line for each or as JSON.</summary>
    public static Command Listing<T>(Command command, Func<RegistryClient, ParseResult, Task<IReadOnlyList<T>>> ask, Func<T, string> describe, JsonTypeInfo<IReadOnlyList<T>> json)
    {
        var asJson = new Option<bool>("--json") { Description = "Print JSON." };
        command.Add(asJson);
        var registry = new RegistryAt(command);
        command.SetAction(async parsed =>
        {
            IReadOnlyList<T> all = await ask(registry.Client(parsed), parsed);
            if (parsed.GetValue(asJson)) Console.WriteLine(JsonSerializer.Serialize(all, json));
            else foreach (T one in all) Console.WriteLine(describe(one));
        });
        return command;
    }

    public RegistryClient Client(ParseResult parsed) => new(Server(parsed.GetValue(_server)!), Token(parsed.GetValue(_token)));

    /// <summary>An address and port as an argument, and what it says.</summary>
    public static Argument<string> EndpointArgument() => new("address:port") { Description = "Such as 192.0.2.1:4242." };

    /// <inheritdoc cref="EndpointArgument"/>
    public static (IPv4Address Address, ushort Port) ReadEndpoint(string text)
    {
        int colon = text.LastIndexOf(':');
        return colon > 0 && IPv4Address.TryParse(text.AsSpan(0, colon), out IPv4Address address) && ushort.TryParse(text.AsSpan(colon + 1), out ushort port) ? (address, port)
            : throw new APlusPException(ErrorCodes.BadRequest, $"'{text}' is not an IPv4 address and port such as 192.0.2.1:4242.");
    }

    static Uri Server(string text) => Uri.TryCreate(text.EndsWith('/') ? text : text + "/", UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https" ? uri!
        : throw new APlusPException(ErrorCodes.BadRequest, $"'{text}' is not a registry's address such as https://registry.example:8646.");

    static string? Token(FileInfo? file)
    {
        if (file is null) return null;
        try
        {
            return File.ReadAllText(file.FullName).Trim();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.NotAuthenticated, $"the token file {file.FullName} cannot be read: {error.Message}", error);
        }
    }
}

/// <summary>A registry, or its database.</summary>
sealed class RegistryOrDatabase : RegistryAt
{
    readonly Option<string?> _data = new("--data", "-d") { Description = "Read the database in this directory, in place of asking a registry." };

    readonly Option<string?> _database = new("--database") { Description = "Read this PostgreSQL, in place of asking a registry." };

    /// <inheritdoc/>
    public RegistryOrDatabase(Command command)
        : base(command)
    {
        command.Add(_data);
        command.Add(_database);
    }

    /// <summary>What the database says where one is named, or else the registry.</summary>
    public async Task<T> Read<T>(ParseResult parsed, Func<RegistryDatabase, T> offline, Func<RegistryClient, Task<T>> ask)
    {
        (string? data, string? database) = (parsed.GetValue(_data), parsed.GetValue(_database));
        if (data is null && database is null) return await ask(Client(parsed));
        using RegistryDatabase opened = RegistryDatabase.Open(database, data ?? "");
        return offline(opened);
    }
}
