using System.CommandLine;
using APlusP.Core;
using APlusP.Registry.Configuration;
using APlusP.Registry.Storage;

namespace APlusP.Cli.Verbs;

/// <summary>Which registry a command asks, and with whose token.</summary>
static class RegistryAt
{
    public static Option<string> ServerOption() => new("--server") { Description = "The registry.", DefaultValueFactory = _ => $"http://127.0.0.1:{RegistrySettings.DefaultPort}" };

    public static Option<FileInfo?> TokenOption() => new("--token-file") { Description = "A file with an operator's token; not needed on the registry's own machine." };

    public static Option<string?> DataOption() => new("--data", "-d") { Description = "Read the database in this directory, in place of asking a registry." };

    public static Option<string?> DatabaseOption() => new("--database") { Description = "Read this PostgreSQL, in place of asking a registry." };

    /// <summary>What a database says where one is named, or else a registry.</summary>
    public static async Task<T> Read<T>(string? data, string? database, Func<RegistryDatabase, T> offline, Func<Task<T>> ask)
    {
        if (data is null && database is null) return await ask();
        using RegistryDatabase opened = RegistryDatabase.Open(database, data ?? "");
        return offline(opened);
    }

    public static Uri Server(string text) => Uri.TryCreate(text.EndsWith('/') ? text : text + "/", UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https" ? uri!
        : throw new APlusPException(ErrorCodes.BadRequest, $"'{text}' is not a registry's address such as https://registry.example:8646.");

    public static string? Token(FileInfo? file)
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
