using System.Net;
using System.Text.Json.Serialization;
using APlusP.Core;
using APlusP.Node.Configuration;
using APlusP.Node.Registry;
using APlusP.Tests.Registry;

namespace APlusP.Tests.Daemons;

/// <summary>How daemons speak with a registry, a real one.</summary>
public sealed partial class ApiEndpointTests : IDisposable
{
    readonly string _tokenFile = Path.GetTempFileName();

    public void Dispose() => File.Delete(_tokenFile);

    internal sealed record Lease(string Id, string Subscriber, string Address);

    internal sealed record Wanted(string Subscriber, string Softwire);

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
    [JsonSerializable(typeof(Lease))]
    [JsonSerializable(typeof(Wanted))]
    internal sealed partial class Json : JsonSerializerContext;

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    static Task<Lease> Ask(ApiEndpoint registry, string subscriber = "cpe-1", string? id = null) =>
        registry.Post("v1/leases", new Wanted(subscriber, "2001:db8::1"), Json.Default.Wanted, Json.Default.Lease, id, Cancel);

    static async Task<ApiFault> Fails(RegistryAddress address)
    {
        using var registry = new ApiEndpoint(address);
        return await Assert.ThrowsAsync<ApiFault>(() => Ask(registry));
    }

    void WriteToken(string token, UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite)
    {
        File.WriteAllText(_tokenFile, token);
        File.SetUnixFileMode(_tokenFile, mode);
    }

    [Fact]
    public async Task What_is_asked_is_answered_and_what_is_refused_is_told_with_the_registry_s_code()
    {
        await using ApiScene scene = await ApiScene.Start();
        using var registry = new ApiEndpoint(new RegistryAddress(scene.Address));
        Lease lease = await Ask(registry, id: "one");
        Assert.Equal(lease, await registry.Get($"v1/leases/{lease.Id}", Json.Default.Lease, Cancel));
        ApiFault used = await Assert.ThrowsAsync<ApiFault>(() => Ask(registry, "cpe-2", id: "one"));
        Assert.Equal((ErrorCodes.RequestIdUsed, HttpStatusCode.UnprocessableEntity), (used.Code, used.Status));
        Assert.Contains($"the registry at {scene.Address} refuses: This Request-Id was used", used.Message, StringComparison.Ordinal);
        Assert.Equal(lease.Id, (await registry.Delete($"v1/leases/{lease.Id}", Json.Default.Lease, null, Cancel)).Id);
        ApiFault soon = await Assert.ThrowsAsync<ApiFault>(async () =>
        {
            Lease again = await Ask(registry);
            for (int i = 0; i < 2; i++) await registry.Post($"v1/leases/{again.Id}/grow", new Wanted("", ""), Json.Default.Wanted, Json.Default.Lease, null, Cancel);
        });
        Assert.Equal(ErrorCodes.BadRequest, soon.Code);
    }

    [Fact]
    public async Task Nobody_there_and_somebody_else_there_are_told_apart_from_a_refusal()
    {
        ApiFault nobody = await Fails(new RegistryAddress(new Uri("http://127.0.0.1:1/")));
        Assert.Equal((ErrorCodes.NoRegistry, null), (nobody.Code, nobody.Status));
        Assert.Contains("does not answer: Connection refused", nobody.Message, StringComparison.Ordinal);
        await using ApiScene scene = await ApiScene.Start();
        using var registry = new ApiEndpoint(new RegistryAddress(scene.Address));
        ApiFault page = await Assert.ThrowsAsync<ApiFault>(() => registry.Get("try.js", Json.Default.Lease, Cancel));
        Assert.Equal((ErrorCodes.NoRegistry, HttpStatusCode.OK), (page.Code, page.Status));
    }

    [Fact]
    public async Task Over_tls_the_registry_is_known_by_its_authority_or_by_its_certificate_and_by_nothing_else()
    {
        using var tls = new TestCertificate(IPAddress.Loopback);
        using var other = new TestCertificate(IPAddress.Loopback);
        await using ApiScene scene = await ApiScene.Start(s => s with { Certificate = tls.Certificate, Key = tls.Key });
        WriteToken(scene.Token + "\n");
        var address = new RegistryAddress(scene.Address) { TokenFile = _tokenFile };
        foreach (RegistryAddress known in new[] { address with { CaFile = tls.Authority }, address with { Pin = tls.Pin } })
        {
            using var registry = new ApiEndpoint(known);
            Assert.Equal("cpe-1", (await Ask(registry)).Subscriber);
            using HttpResponseMessage stream = await registry.Open("v1/bindings", Cancel);
            Assert.Equal(HttpVersion.Version20, stream.Version);
        }

        foreach (RegistryAddress unknown in new[] { address, address with { CaFile = other.Authority }, address with { Pin = other.Pin } })
            Assert.Equal(ErrorCodes.NoRegistry, (await Fails(unknown)).Code);

        // Another name than the certificate is for.
        var named = new UriBuilder(scene.Address) { Host = "localhost" };
        Assert.Equal(ErrorCodes.NoRegistry, (await Fails(address with { Url = named.Uri, CaFile = tls.Authority })).Code);
        Assert.Equal(ErrorCodes.RegistryCredential, Assert.Throws<APlusPException>(() => new ApiEndpoint(address with { CaFile = tls.Key })).Code);
        Assert.Equal(ErrorCodes.RegistryCredential, Assert.Throws<APlusPException>(() => new ApiEndpoint(address with { CaFile = "/nonexistent/ca.pem" })).Code);
    }

    [Theory]
    [InlineData("", UnixFileMode.UserRead, "does not hold a token")]
    [InlineData("two words", UnixFileMode.UserRead, "does not hold a token")]
    [InlineData("token", UnixFileMode.UserRead | UnixFileMode.OtherRead, "others may read")]
    [InlineData("token", UnixFileMode.UserRead | UnixFileMode.GroupWrite, "others may read")]
    public void A_token_that_others_may_read_or_that_is_none_is_not_sent(string token, UnixFileMode mode, string why)
    {
        WriteToken(token, mode);
        APlusPException error = Assert.Throws<APlusPException>(() => TokenFile.Read(_tokenFile));
        Assert.Equal(ErrorCodes.RegistryCredential, error.Code);
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_new_token_in_the_file_counts_at_once()
    {
        await using ApiScene scene = await ApiScene.Start();
        using var registry = new ApiEndpoint(new RegistryAddress(scene.Address) { TokenFile = _tokenFile });
        WriteToken("wrong");
        Assert.Equal(ErrorCodes.NotAuthenticated, (await Assert.ThrowsAsync<ApiFault>(() => Ask(registry))).Code);
        WriteToken(scene.Token, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        Assert.Equal("cpe-1", (await Ask(registry)).Subscriber);
        File.Delete(_tokenFile);
        Assert.Equal(ErrorCodes.RegistryCredential, (await Assert.ThrowsAsync<ApiFault>(() => Ask(registry))).Code);
        WriteToken("");
    }

    const string Top = "softwire-address = \"2001:db8::1\"\ncontrol-socket = \"/run/aplusp/edge.sock\"\n[registry]\n";

    [Fact]
    public void The_file_of_a_prr_names_it()
    {
        PrrRegistry registry = ConfigurationFile.CheckPrr("/etc/aplusp/prr.toml", $"{Top}url = \"https://registry.example:8646\"\ntoken-file = \"prr.token\"\npin = \"{string.Join(':', Enumerable.Repeat("ab", 32))}\"\n").Configuration!.Registry!;
        Assert.Equal(new RegistryAddress(new Uri("https://registry.example:8646/")) { TokenFile = "/etc/aplusp/prr.token", Pin = string.Concat(Enumerable.Repeat("AB", 32)) }, registry.Address);
        Assert.Equal(("/var/lib/aplusp/edge.leases", false), (registry.Copy, registry.KeepOverdue));
        Assert.Null(ConfigurationFile.CheckPrr("prr.toml", "softwire-address = \"2001:db8::1\"\n").Configuration!.Registry);
    }

    [Theory]
    [InlineData("", ErrorCodes.ConfigurationMissingKey)]
    [InlineData("url = \"registry.example\"", ErrorCodes.ConfigurationBadValue)]
    [InlineData("url = \"ftp://registry.example\"", ErrorCodes.ConfigurationBadValue)]
    [InlineData("url = \"http://registry.example:8646\"", ErrorCodes.ConfigurationBadValue)]
    [InlineData("url = \"https://me:secret@registry.example\"", ErrorCodes.ConfigurationBadValue)]
    [InlineData("url = \"https://registry.example\"\npin = \"abc\"", ErrorCodes.ConfigurationBadValue)]
    [InlineData("url = \"https://registry.example\"\ncopy = \"\"", ErrorCodes.ConfigurationBadValue)]
    [InlineData("url = \"https://registry.example\"\nca-file = \"a\"\npin = \"abababababababababababababababababababababababababababababababab\"", ErrorCodes.ConfigurationContradiction)]
    [InlineData("url = \"https://registry.example\"\ntoken = \"x\"", ErrorCodes.ConfigurationUnknownKey)]
    public void What_cannot_be_in_the_file_is_told(string section, string code) =>
        Assert.Equal(code, Assert.Single(ConfigurationFile.CheckPrr("prr.toml", $"{Top}{section}\n").Diagnostics).Code);

    [Theory]
    [InlineData("http://127.0.0.1:8646")]
    [InlineData("http://[::1]:8646")]
    [InlineData("http://localhost:8646")]
    public void On_its_own_machine_it_may_speak_without_tls(string url) =>
        Assert.Empty(ConfigurationFile.CheckPrr("prr.toml", $"{Top}url = \"{url}\"\n").Diagnostics);
}
