using System.Text.Json.Serialization.Metadata;
using APlusP.Registry.Access;
using APlusP.Registry.Leases;
using APlusP.Registry.Pcp;
using APlusP.Registry.Storage;
using Microsoft.AspNetCore.Http;

namespace APlusP.Registry.Api;

/// <summary>One thing that can be asked: its method and path, what it needs, and what answers it.</summary>
sealed record Route(string Method, string Path, Needs Needs, Func<Request, Task> Answer);

/// <summary>A request that was let in, with what its answer needs.</summary>
sealed record Request(HttpContext Context, Caller Caller, Registrar Registrar, RegistryLog Log)
{
    /// <summary>How requests by PCP went.</summary>
    public required PcpCounters Pcp { get; init; }

    public string? Id => (string?)Context.Request.RouteValues["id"];

    /// <summary>Changes leases once for each Request-Id.</summary>
    /// <param name="body">The body as it came: the same id with another is refused.</param>
    /// <param name="change">The change, its status, and the document of its answer.</param>
    public async Task ChangeOnce<T>(string body, Func<LeaseBook, (int Status, T Document)> change, JsonTypeInfo<T> json, Func<T, string>? location = null)
    {
        T? made = default;
        StoredAnswer answer = await Registrar.Once(RequestId(), $"{Context.Request.Method} {Context.Request.Path}{Context.Request.QueryString} {body}", transaction =>
        {
            (int status, made) = change(new LeaseBook(transaction, Registrar.Policy, Caller.Name));
            return new StoredAnswer(status, System.Text.Json.JsonSerializer.Serialize(made, json));
        });
        Context.Response.StatusCode = answer.Status;
        if (made is not null && answer.Status == StatusCodes.Status201Created && location is not null) Context.Response.Headers.Location = location(made);
        Context.Response.ContentType = "application/json; charset=utf-8";
        await Context.Response.WriteAsync(answer.Body, Context.RequestAborted);
    }

    /// <summary>Changes credentials. Answers with secrets are not kept, so a Request-Id does nothing here.</summary>
    public Task<T> ChangeCredentials<T>(Func<CredentialBook, T> change) => Registrar.Change((Transaction transaction) => change(new CredentialBook(transaction, Caller.Name)));

    public Task Reply<T>(T document, JsonTypeInfo<T> json, int status = StatusCodes.Status200OK)
    {
        Context.Response.StatusCode = status;
        return Context.Response.WriteAsJsonAsync(document, json, cancellationToken: Context.RequestAborted);
    }

    /// <summary>The request's id together with who asks, since two may choose the same.</summary>
    string? RequestId()
    {
        if (Context.Request.Headers["Request-Id"] is not { Count: > 0 } header) return null;
        if (header is [{ Length: >= 1 and <= 128 } id] && id.All(c => c is > ' ' and <= '~')) return $"{Caller.Credential?.Id ?? "local"}/{id}";
        throw new Refusal(Core.ErrorCodes.BadRequest, "The header Request-Id is not one word of 1 to 128 visible ASCII characters, such as a UUID.");
    }
}
