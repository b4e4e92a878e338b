using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Node.Registry;

namespace APlusP.Node.Home;

// What is sent to a registry and read of its answers; docs/registry.md.
sealed record EnrolRequest(string Subscriber);

sealed record EnrolAnswer(string Subscriber, string Key);

sealed record LeaseRequest(string Softwire);

sealed record ResizeRequest(int? Ports);

sealed record NoFields;

sealed record PsidAnswer(int Offset, int Length, int Psid);

sealed record LeaseAnswer(
    string Id, string Softwire, string Address, IReadOnlyList<int[]> Ranges, PsidAnswer? Psid, DateTimeOffset Until,
    [property: JsonPropertyName("br-ipv6-addr")] string? Prr, [property: JsonPropertyName("softwire-payload-mtu")] int? PayloadMtu)
{
    /// <summary>What hosts may not do; a registry that knows of no such thing says nothing.</summary>
    public LanPolicy? Policy { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = false)]
[JsonSerializable(typeof(EnrolRequest))]
[JsonSerializable(typeof(EnrolAnswer))]
[JsonSerializable(typeof(LeaseRequest))]
[JsonSerializable(typeof(ResizeRequest))]
[JsonSerializable(typeof(NoFields))]
[JsonSerializable(typeof(LeaseAnswer))]
sealed partial class HomeRegistryJson : JsonSerializerContext;

/// <summary>The questions of a SMAP to its registry, each with its answer as an event.</summary>
sealed class RegistryCalls : IHomeCalls
{
    readonly RegistryAddress _address;
    readonly HomeStore _store;
    readonly HomeSurroundings _around;
    readonly TimeProvider _time;
    ApiEndpoint? _found;
    bool _isEnrolling;

    // The same while one growth or shrinkage is asked for again, so that it happens once even where its answer gets lost.
    (Wish Wish, string Id) _repeated;

    /// <param name="address">Where the registry is.</param>
    /// <param name="store">Who we are.</param>
    /// <param name="around">The PRR where the registry names none, and where it may be found.</param>
    /// <param name="time">The clock.</param>
    public RegistryCalls(RegistryAddress address, HomeStore store, HomeSurroundings around, TimeProvider time)
    {
        _address = address;
        _store = store;
        _around = around;
        _time = time;

        // A file of authorities that cannot be used is told at the start.
        if (address.Url.Scheme != RegistryAddress.Found) _found = EndpointAt(address.Url);
    }

    ApiEndpoint EndpointAt(Uri url) => new(_address with { Url = url }, () => _isEnrolling ? Token() : _store.Saved.Key);

    // By the DNS it is looked for until it is found, and again when it does not answer; among several, each in its turn.
    int _turn;

    async Task<ApiEndpoint> Endpoint(CancellationToken cancel)
    {
        if (_found is not null) return _found;
        IReadOnlyList<Uri> urls = await ServiceLookup.Find(_address.Url.Host, _around.Places().Domains, cancel);
        return _found = EndpointAt(urls[_turn++ % urls.Count]);
    }

    void LookAgain()
    {
        if (_address.Url.Scheme != RegistryAddress.Found) return;
        _found?.Dispose();
        _found = null;
    }

    string Token() => TokenFile.Read(_address.TokenFile ?? throw new APlusPException(ErrorCodes.RegistryCredential, "no enrolment token is given: set `token-file` in [registry], or --token-file, to a file with one that the registry's operator made (POST /v1/credentials)."));

    public bool IsEnrolled => _store.Saved.Key is not null;

    public string Url => $"{_address.Url}";

    public bool HasNewToken()
    {
        try
        {
            return _address.TokenFile is not null && _store.Saved.TokenDigest is { } used && Digest(Token()) != used;
        }
        catch (APlusPException)
        {
            return false;
        }
    }

    static string Digest(string token) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    public async Task<HomeEvent> Ask(Ask ask, CancellationToken cancel)
    {
        if (_repeated.Wish != ask.Wish) _repeated = (ask.Wish, $"{Guid.NewGuid():N}");
        try
        {
            ApiEndpoint endpoint = await Endpoint(cancel);
            HomeEvent answer = ask.Wish == Wish.Enrol ? await Enrol(endpoint, cancel) : Told(await AskLease(endpoint, ask, _repeated.Id, cancel), endpoint.TheirClock);
            _repeated = default;
            if (answer is LeaseIs) _turn = 0;
            return answer;
        }
        catch (ApiFault fault)
        {
            // What was refused was not done, and is another request the next time.
            if (fault.Status is { } status && (int)status < 500) _repeated = default;
            if (fault.Status is null) LookAgain();
            return new Failed(ask.Wish, fault.Code, WithClock(fault.Message), fault.RetryAfter);
        }
        catch (APlusPException fault)
        {
            return new Failed(ask.Wish, fault.Code, fault.Message);
        }
        catch (Exception fault) when (fault is FormatException or ArgumentException)
        {
            return new Failed(ask.Wish, ErrorCodes.NoRegistry, $"what answers at {_found?.Url} is no registry: {fault.Message}");
        }
    }

    async Task<HomeEvent> Enrol(ApiEndpoint endpoint, CancellationToken cancel)
    {
        _isEnrolling = true;
        try
        {
            string token = Token();
            EnrolAnswer answer = await endpoint.Post("v1/enrol", new EnrolRequest(_store.Saved.Subscriber), HomeRegistryJson.Default.EnrolRequest, HomeRegistryJson.Default.EnrolAnswer, null, cancel);
            _store.Save(saved => saved with { Subscriber = answer.Subscriber, Key = answer.Key, TokenDigest = Digest(token) });
            return new Enrolled();
        }
        finally
        {
            _isEnrolling = false;
        }
    }

    static Task<LeaseAnswer> AskLease(ApiEndpoint endpoint, Ask ask, string requestId, CancellationToken cancel)
    {
        string lease = $"v1/leases/{ask.Lease?.Id}";
        return ask.Wish switch
        {
            Wish.Lease => endpoint.Post("v1/leases", new LeaseRequest($"{ask.Softwire}"), HomeRegistryJson.Default.LeaseRequest, HomeRegistryJson.Default.LeaseAnswer, null, cancel),
            Wish.Renew => endpoint.Post($"{lease}/renew", new NoFields(), HomeRegistryJson.Default.NoFields, HomeRegistryJson.Default.LeaseAnswer, null, cancel),
            Wish.Grow => endpoint.Post($"{lease}/grow", new ResizeRequest(null), HomeRegistryJson.Default.ResizeRequest, HomeRegistryJson.Default.LeaseAnswer, requestId, cancel),
            Wish.Shrink => endpoint.Post($"{lease}/shrink", new ResizeRequest(ask.Ports), HomeRegistryJson.Default.ResizeRequest, HomeRegistryJson.Default.LeaseAnswer, requestId, cancel),
            _ => endpoint.Get(lease, HomeRegistryJson.Default.LeaseAnswer, cancel),
        };
    }

    public async Task Release(HeldLease lease, CancellationToken cancel) => await (await Endpoint(cancel)).Delete($"v1/leases/{lease.Id}", HomeRegistryJson.Default.LeaseAnswer, null, cancel);

    /// <summary>How long a lease runs is told by the registry's clock alone: ours may be wrong for as long as no time server is reached.</summary>
    LeaseIs Told(LeaseAnswer answer, DateTimeOffset? theirClock) => new(
        new HeldLease(answer.Id, IPv6Address.Parse(answer.Softwire), IPv4Address.Parse(answer.Address), PortsOf(answer), answer.Until)
        {
            Prr = answer.Prr is { } prr ? IPv6Address.Parse(prr) : _around.Prr,
            PayloadMtu = answer.PayloadMtu,
            Policy = answer.Policy ?? LanPolicy.None,
        },
        answer.Until - (theirClock ?? _time.GetUtcNow()));

    static PortSet PortsOf(LeaseAnswer answer) => answer.Psid is { } psid
        ? PortSet.FromPsid(psid.Offset, psid.Length, psid.Psid)
        : PortSet.Parse(string.Join(',', answer.Ranges.Select(r => r is [>= 0 and <= 65535 and var first, >= 0 and <= 65535 and var last] ? $"{first}-{last}" : throw new FormatException("a range of ports is not two numbers"))));

    /// <summary>A certificate that is not valid yet, or no more, may be a clock that is wrong.</summary>
    string WithClock(string message) =>
        message.Contains("NotTimeValid", StringComparison.Ordinal) ? $"{message}; this machine's clock says {_time.GetUtcNow():yyyy-MM-dd HH:mm} UTC: is that right?" : message;

    public void Dispose() => _found?.Dispose();
}
