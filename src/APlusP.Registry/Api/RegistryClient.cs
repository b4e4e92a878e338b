using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Memory;

namespace APlusP.Registry.Api;

/// <summary>Asks a registry over its API.</summary>
public sealed class RegistryClient(Uri server, string? token)
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    /// <summary>Who had an address and port.</summary>
    /// <exception cref="APlusPException">AP6007: nobody answers; or what it refuses.</exception>
    public Task<WhoDocument> Who(IPv4Address address, ushort port, DateTimeOffset? at)
    {
        string time = at is { } moment ? $"&at={Uri.EscapeDataString(Moment.Write(moment))}" : "";
        return Ask(HttpMethod.Get, $"v1/who?address={address}&port={port}{time}", null, ApiJson.Plain.WhoDocument);
    }

    /// <summary>A lease of these very ports, which runs for its whole time from now.</summary>
    /// <inheritdoc cref="Who"/>
    public async Task<LeaseDocument> Grant(string subscriber, string? className, IPv6Address softwire, IPv4Address address, PortRange ports)
    {
        var wanted = new LeaseRequest(subscriber, $"{softwire}", className, $"{address}", [[ports.First, ports.Last]]);
        LeaseDocument lease = await Ask(HttpMethod.Post, "v1/leases", JsonContent.Create(wanted, ApiJson.Plain.LeaseRequest), ApiJson.Plain.LeaseDocument);
        return await Ask(HttpMethod.Post, $"v1/leases/{lease.Id}/renew", null, ApiJson.Plain.LeaseDocument);
    }

    /// <summary>The lease that a subscriber has; null for none.</summary>
    /// <inheritdoc cref="Who"/>
    public async Task<LeaseDocument?> Find(string subscriber) =>
        (await Ask(HttpMethod.Get, $"v1/leases?subscriber={Uri.EscapeDataString(subscriber)}", null, ApiJson.Plain.LeaseList)).Leases is [{ } lease, ..] ? lease : null;

    /// <summary>Names of servers, of one subscriber or of all.</summary>
    /// <inheritdoc cref="Who"/>
    public Task<IReadOnlyList<ServerNameDocument>> Names(string? subscriber) =>
        Ask(HttpMethod.Get, subscriber is null ? "v1/names" : $"v1/names?subscriber={Uri.EscapeDataString(subscriber)}", null, ApiJson.Plain.IReadOnlyListServerNameDocument);

    /// <summary>Gives a name, or changes what it leads to.</summary>
    /// <inheritdoc cref="Who"/>
    public Task<ServerNameDocument> GiveName(ServerNameRequest name) =>
        Ask(HttpMethod.Post, "v1/names", JsonContent.Create(name, ApiJson.Plain.ServerNameRequest), ApiJson.Plain.ServerNameDocument);

    /// <summary>Takes a name away.</summary>
    /// <inheritdoc cref="Who"/>
    public Task<ServerNameDocument> TakeName(string name) =>
        Ask(HttpMethod.Delete, $"v1/names?name={Uri.EscapeDataString(name)}", null, ApiJson.Plain.ServerNameDocument);

    /// <summary>Ports that subscribers have besides their sets.</summary>
    /// <inheritdoc cref="Who"/>
    public Task<IReadOnlyList<ServicePortDocument>> ServicePorts() => Ask(HttpMethod.Get, "v1/service-ports", null, ApiJson.Plain.IReadOnlyListServicePortDocument);

    /// <summary>Gives a subscriber a port besides its set.</summary>
    /// <inheritdoc cref="Who"/>
    public Task<ServicePortDocument> GivePort(ServicePortDocument port) =>
        Ask(HttpMethod.Post, "v1/service-ports", JsonContent.Create(port, ApiJson.Plain.ServicePortDocument), ApiJson.Plain.ServicePortDocument);

    /// <summary>Takes a port back.</summary>
    /// <inheritdoc cref="Who"/>
    public Task<ServicePortDocument> TakePort(IPv4Address address, ushort port) =>
        Ask(HttpMethod.Delete, $"v1/service-ports?address={address}&port={port}", null, ApiJson.Plain.ServicePortDocument);

    /// <summary>Ports that are kept for subscribers.</summary>
    /// <inheritdoc cref="Who"/>
    public Task<IReadOnlyList<ReservationDocument>> Reservations() => Ask(HttpMethod.Get, "v1/reservations", null, ApiJson.Plain.IReadOnlyListReservationDocument);

    /// <summary>Keeps ports for a subscriber.</summary>
    /// <inheritdoc cref="Who"/>
    public Task<ReservationDocument> Reserve(string subscriber, IPv4Address address, PortSet ports) => Ask(
        HttpMethod.Post, "v1/reservations", JsonContent.Create(new ReservationRequest(subscriber, $"{address}", RangePairs.Of(ports)), ApiJson.Plain.ReservationRequest), ApiJson.Plain.ReservationDocument);

    /// <summary>Keeps them no longer.</summary>
    /// <inheritdoc cref="Who"/>
    public Task<ReservationDocument> Unreserve(string subscriber) =>
        Ask(HttpMethod.Delete, $"v1/reservations?subscriber={Uri.EscapeDataString(subscriber)}", null, ApiJson.Plain.ReservationDocument);

    async Task<T> Ask<T>(HttpMethod method, string path, HttpContent? content, JsonTypeInfo<T> json)
    {
        try
        {
            using var client = new HttpClient { BaseAddress = server, Timeout = s_patience };
            if (token is not null) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
            using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative)) { Content = content };
            using HttpResponseMessage answer = await client.SendAsync(request);
            await using Stream body = await answer.Content.ReadAsStreamAsync();
            if (answer.IsSuccessStatusCode) return (await JsonSerializer.DeserializeAsync(body, json))!;
            ProblemDocument problem = (await JsonSerializer.DeserializeAsync(body, ApiJson.Plain.ProblemDocument))!;
            throw new APlusPException(problem.Code, problem.Detail);
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException or JsonException)
        {
            throw new APlusPException(ErrorCodes.NoRegistry, $"no registry answers at {server}: {error.Message} Name it by --server; `who` and `zone` can read its database by --data DIR.", error);
        }
    }
}
