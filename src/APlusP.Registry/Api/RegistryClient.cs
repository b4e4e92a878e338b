using System.Net.Http.Headers;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Memory;

namespace APlusP.Registry.Api;

/// <summary>Asks a registry over its API.</summary>
public static class RegistryClient
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    /// <exception cref="APlusPException">AP6007: nobody answers, or it refuses.</exception>
    public static async Task<WhoDocument> Who(Uri server, string? token, IPv4Address address, ushort port, DateTimeOffset? at)
    {
        string time = at is { } moment ? $"&at={Uri.EscapeDataString(Moment.Write(moment))}" : "";
        try
        {
            using var client = new HttpClient { BaseAddress = server, Timeout = s_patience };
            if (token is not null) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
            using HttpResponseMessage answer = await client.GetAsync(new Uri($"v1/who?address={address}&port={port}{time}", UriKind.Relative));
            await using Stream body = await answer.Content.ReadAsStreamAsync();
            if (answer.IsSuccessStatusCode) return (await JsonSerializer.DeserializeAsync(body, ApiJson.Plain.WhoDocument))!;
            ProblemDocument problem = (await JsonSerializer.DeserializeAsync(body, ApiJson.Plain.ProblemDocument))!;
            throw new APlusPException(problem.Code, problem.Detail);
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException or JsonException)
        {
            throw new APlusPException(ErrorCodes.NoRegistry, $"no registry answers at {server}: {error.Message} Name it by --server, or read its database by --data DIR.", error);
        }
    }
}
