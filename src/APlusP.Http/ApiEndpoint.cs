using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using APlusP.Core;

namespace APlusP.Http;

/// <summary>Which of our servers is spoken to.</summary>
/// <param name="Name">As people call it.</param>
/// <param name="Absent">The error where it does not answer.</param>
public sealed record ApiKind(string Name, string Absent)
{
    public static ApiKind Registry { get; } = new("registry", ErrorCodes.NoRegistry);
}

/// <summary>Where a server of ours is, and how it and we know each other.</summary>
/// <param name="Url">Its address.</param>
public record ApiAddress(Uri Url)
{
    /// <summary>A file with our token; null where the server asks for none, which it does on its own machine.</summary>
    public string? TokenFile { get; init; }

    /// <summary>A PEM file of the authorities that its certificate may be from; null for those that this system trusts.</summary>
    public string? CaFile { get; init; }

    /// <summary>SHA-256 of the one certificate that it may have, in place of any authority.</summary>
    public string? Pin { get; init; }

    /// <summary>A pin as <c>openssl x509 -fingerprint -sha256</c> writes it, with or without colons; null where it is none.</summary>
    public static string? PinOf(string text)
    {
        string digits = text.Replace(":", "", StringComparison.Ordinal);
        return digits.Length == 2 * SHA256.HashSizeInBytes && digits.All(char.IsAsciiHexDigit) ? digits.ToUpperInvariant() : null;
    }
}

/// <summary>Speaks with one server of ours over HTTP: 2 or 1.1, with TLS 1.2 or 1.3 where its address says so. What it refuses, and its absence, is a <see cref="ApiFault"/>.</summary>
sealed class ApiEndpoint : IDisposable
{
    /// <summary>An answer that is waited for at once takes no longer.</summary>
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    static readonly TimeSpan s_connecting = TimeSpan.FromSeconds(5);

    // A name may lead to another machine tomorrow.
    static readonly TimeSpan s_connectionLifetime = TimeSpan.FromMinutes(5);

    const int LargestAnswer = 1 << 20, LargestProblem = 64 * 1024;

    readonly Func<string?> _token;
    readonly HttpClient _client;
    readonly ApiKind _kind;

    /// <param name="address">Where it is.</param>
    /// <param name="token">Our token at this moment, or null for none; by default what the address's token file holds.</param>
    /// <param name="kind">What it is; a registry when left out.</param>
    /// <exception cref="APlusPException">AP3010: the file of authorities cannot be used.</exception>
    public ApiEndpoint(ApiAddress address, Func<string?>? token = null, ApiKind? kind = null)
    {
        Url = address.Url;
        _kind = kind ?? ApiKind.Registry;
        _token = token ?? (() => address.TokenFile is { } file ? TokenFile.Read(file) : null);
        var handler = new SocketsHttpHandler
        {
            // Neither a proxy of the environment nor a redirection may see the token.
            UseProxy = false,
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = s_connecting,
            PooledConnectionLifetime = s_connectionLifetime,
            SslOptions = TlsTo(address),
        };
        _client = new HttpClient(handler)
        {
            BaseAddress = address.Url,
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = LargestAnswer,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
    }

    public Uri Url { get; }

    /// <summary>What the registry's clock said at its last answer, to the second; null before one.</summary>
    public DateTimeOffset? TheirClock { get; private set; }

    /// <summary>Asks for a document.</summary>
    /// <param name="path">Below the registry's address, such as "v1/leases".</param>
    /// <exception cref="ApiFault">It refuses, or does not answer.</exception>
    public Task<T> Get<T>(string path, JsonTypeInfo<T> json, CancellationToken cancel) => Ask(HttpMethod.Get, path, null, null, json, cancel);

    /// <summary>Sends a document, and gives the answer.</summary>
    /// <param name="requestId">The same for each repetition of one request, so that it is done once (docs/registry.md).</param>
    /// <inheritdoc cref="Get"/>
    public Task<T> Post<TBody, T>(string path, TBody body, JsonTypeInfo<TBody> bodyJson, JsonTypeInfo<T> json, string? requestId, CancellationToken cancel) =>
        Ask(HttpMethod.Post, path, JsonSerializer.Serialize(body, bodyJson), requestId, json, cancel);

    /// <summary>Ends something.</summary>
    /// <inheritdoc cref="Post"/>
    public Task<T> Delete<T>(string path, JsonTypeInfo<T> json, string? requestId, CancellationToken cancel) => Ask(HttpMethod.Delete, path, null, requestId, json, cancel);

    /// <summary>Begins an answer that goes on. It has come when this returns; reading it takes as long as it takes.</summary>
    /// <exception cref="ApiFault">It refuses, or does not answer.</exception>
    public async Task<HttpResponseMessage> Open(string path, CancellationToken cancel)
    {
        using HttpRequestMessage request = Request(HttpMethod.Get, path, null, null);
        return await Send(request, HttpCompletionOption.ResponseHeadersRead, cancel);
    }

    public void Dispose() => _client.Dispose();

    async Task<T> Ask<T>(HttpMethod method, string path, string? body, string? requestId, JsonTypeInfo<T> json, CancellationToken cancel)
    {
        using HttpRequestMessage request = Request(method, path, body, requestId);
        using HttpResponseMessage answer = await Send(request, HttpCompletionOption.ResponseContentRead, cancel);
        try
        {
            await using Stream content = await answer.Content.ReadAsStreamAsync(cancel);
            return await JsonSerializer.DeserializeAsync(content, json, cancel) ?? throw new JsonException("the answer is null");
        }
        catch (JsonException error)
        {
            throw new ApiFault(_kind.Absent, $"what answers at {Url} is no {_kind.Name}, or a much newer one: {error.Message}", error) { Status = answer.StatusCode };
        }
    }

    HttpRequestMessage Request(HttpMethod method, string path, string? body, string? requestId)
    {
        var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative)) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionOrLower };
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (requestId is not null) request.Headers.Add("Request-Id", requestId);
        try
        {
            if (_token() is { } token) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }
        catch (APlusPException error)
        {
            throw new ApiFault(error.Code, error.Message, error);
        }

        return request;
    }

    /// <summary>Gives an answer that is a success.</summary>
    async Task<HttpResponseMessage> Send(HttpRequestMessage request, HttpCompletionOption until, CancellationToken cancel)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        patience.CancelAfter(s_patience);
        HttpResponseMessage? answer = null;
        try
        {
            answer = await _client.SendAsync(request, until, patience.Token);
            TheirClock = answer.Headers.Date ?? TheirClock;
            return answer.IsSuccessStatusCode ? answer : throw await Refused(answer, patience.Token);
        }
        catch (OperationCanceledException error) when (!cancel.IsCancellationRequested)
        {
            answer?.Dispose();
            throw new ApiFault(_kind.Absent, $"the {_kind.Name} at {Url} did not answer within {s_patience.TotalSeconds:N0} s", error);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            answer?.Dispose();
            throw new ApiFault(_kind.Absent, $"the {_kind.Name} at {Url} does not answer: {Innermost(error)}", error);
        }
        catch
        {
            answer?.Dispose();
            throw;
        }
    }

    // "See inner exception" helps nobody: the innermost message has the kernel's words, or says what is wrong with a certificate.
    static string Innermost(Exception error) => error.GetBaseException().Message.ReplaceLineEndings(" ");

    /// <summary>Problem details (RFC 9457) as one sentence; their code is the registry's own.</summary>
    async Task<ApiFault> Refused(HttpResponseMessage answer, CancellationToken cancel)
    {
        Problem? problem = null;
        try
        {
            // Bounded, since this may be anybody's server.
            byte[] body = new byte[LargestProblem];
            await using Stream content = await answer.Content.ReadAsStreamAsync(cancel);
            int length = await content.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancel);
            problem = JsonSerializer.Deserialize(body.AsSpan(0, length), RegistryProblemJson.Default.Problem);
        }
        catch (JsonException)
        {
            // Not a registry's answer: the status has to do.
        }

        RetryConditionHeaderValue? retry = answer.Headers.RetryAfter;
        string code = problem?.Code is { Length: 6 } own && own.StartsWith("AP", StringComparison.Ordinal) ? own : _kind.Absent;
        return new ApiFault(code, $"the {_kind.Name} at {Url} refuses: {problem?.Detail ?? $"HTTP status {(int)answer.StatusCode}, {answer.ReasonPhrase}"}")
        {
            Status = answer.StatusCode,
            RetryAfter = retry?.Delta ?? retry?.Date - TimeProvider.System.GetUtcNow(),
        };
    }

    // ---- Whom we speak to

    static SslClientAuthenticationOptions TlsTo(ApiAddress address)
    {
        var tls = new SslClientAuthenticationOptions { EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13 };
        if (address.Pin is { } pin)
            tls.RemoteCertificateValidationCallback = (_, certificate, _, _) =>
                certificate is not null && CryptographicOperations.FixedTimeEquals(Convert.FromHexString(pin), SHA256.HashData(certificate.GetRawCertData()));
        if (address.CaFile is { } file)
        {
            tls.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            try
            {
                tls.CertificateChainPolicy.CustomTrustStore.ImportFromPemFile(file);
            }
            catch (Exception error) when (error is CryptographicException or IOException or UnauthorizedAccessException)
            {
                throw new APlusPException(ErrorCodes.RegistryCredential, $"the authorities in {file} cannot be used: {error.Message} It is a PEM file of certificates.", error);
            }

            if (tls.CertificateChainPolicy.CustomTrustStore.Count == 0)
                throw new APlusPException(ErrorCodes.RegistryCredential, $"{file} holds no certificate; it is a PEM file of those who may make the server's.");
        }

        return tls;
    }
}

/// <summary>What we read of problem details.</summary>
sealed record Problem(string? Detail, string? Code);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Problem))]
sealed partial class RegistryProblemJson : JsonSerializerContext;
