using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using APlusP.Registry.Api;
using APlusP.Registry.Configuration;

namespace APlusP.Tests.Registry;

/// <summary>A registry with its server on a port of loopback that nobody else has, and a client of it.</summary>
sealed class ApiScene : IAsyncDisposable
{
    readonly string _directory;
    readonly RegistryServer _server;
    readonly HttpClient _client;

    ApiScene(string directory, RegistryServer server, HttpClient client)
    {
        _directory = directory;
        _server = server;
        _client = client;
    }

    public string Token { get; private init; } = "";

    public string TokenPath => Path.Combine(_directory, RegistryServer.TokenFile);

    public Uri Address => new(_server.Addresses[0]);

    public RegistryServer Server => _server;

    public static async Task<ApiScene> Start(Func<RegistrySettings, RegistrySettings>? change = null, HttpMessageHandler? handler = null)
    {
        string directory = Path.Combine(Path.GetTempPath(), $"aplusp-api-{Guid.NewGuid():N}");
        var settings = new RegistrySettings { Directory = directory, Listen = [new IPEndPoint(IPAddress.Loopback, 0)], Policy = RegistryScene.Policy() };
        RegistryServer server;
        try
        {
            server = await RegistryServer.Start(change?.Invoke(settings) ?? settings, _ => { });
        }
        catch
        {
            Directory.Delete(directory, recursive: true);
            throw;
        }

        var client = new HttpClient(handler ?? new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(server.Addresses[0]), Timeout = TimeSpan.FromSeconds(60) };
        return new ApiScene(directory, server, client) { Token = (await File.ReadAllTextAsync(Path.Combine(directory, RegistryServer.TokenFile))).Trim() };
    }

    /// <summary>One request; what came back as status and JSON.</summary>
    public async Task<Answer> Ask(string method, string path, string? body = null, string? token = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (token is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return await Send(request);
    }

    public async Task<Answer> Send(HttpRequestMessage request)
    {
        using HttpResponseMessage response = await _client.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        bool json = response.Content.Headers.ContentType?.MediaType is "application/json" or "application/problem+json";
        return new Answer((int)response.StatusCode, text, json ? JsonDocument.Parse(text).RootElement.Clone() : default, response.Headers, response.Content.Headers.ContentType?.MediaType, response.Version);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}

sealed record Answer(int Status, string Text, JsonElement Json, HttpResponseHeaders Headers, string? Type, Version Version)
{
    public string this[string name] => Json.GetProperty(name).ToString();
}
