using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using APlusP.Core;
using APlusP.Registry.Access;

namespace APlusP.Tests.Registry;

/// <summary>SMAPs that show a certificate in place of a key.</summary>
public sealed class ClientCertificateTests : IDisposable
{
    readonly Authority _homes = new(DateTimeOffset.UtcNow);

    public void Dispose() => _homes.Dispose();

    ClientIdentity Judge(X509Certificate2 certificate, string? revoked = null, string? authorities = null, params X509Certificate2[] sent) =>
        new ClientCertificates(authorities ?? _homes.File, revoked).Judge(certificate, [.. sent], _homes.Now);

    [Theory]
    [InlineData("cpe-1", "CN=cpe-1")]
    [InlineData("cpe-1.example", "CN=something else", "cpe-1.example")]
    [InlineData("cpe-1.example", "O=homes", "cpe-1.example")]
    public void It_names_its_subscriber_by_the_alternative_name_or_the_common_name(string subscriber, string subject, params string[] dns) =>
        Assert.Equal(new ClientIdentity(subscriber, null), Judge(_homes.Issue(subject, dns.Length > 0 ? dns : null)));

    [Fact]
    public void One_without_purposes_is_good_for_clients_too() => Assert.Null(Judge(_homes.Issue("CN=cpe-1", purpose: null)).Fault);

    [Fact]
    public void One_of_an_authority_between_is_believed_whether_that_is_in_our_file_or_sent()
    {
        using var between = new Authority(_homes.Now, "homes of the north", above: _homes);
        X509Certificate2 home = between.Issue("CN=cpe-1");
        Assert.Equal("cpe-1", Judge(home, sent: between.Certificate).Subscriber);
        Assert.Equal("cpe-1", Judge(home, authorities: _homes.Write(File.ReadAllText(_homes.File) + File.ReadAllText(between.File))).Subscriber);
        Assert.Contains("none of the authorities", Judge(home).Fault, StringComparison.Ordinal);
        Assert.Contains("took it back", Judge(home, _homes.Revoke(5, between.Certificate), sent: between.Certificate).Fault, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_not_believed_is_told_with_the_reason()
    {
        using var strangers = new Authority(_homes.Now);
        X509Certificate2 home = _homes.Issue("CN=cpe-1"), other = _homes.Issue("CN=cpe-2");
        void Faulty(string why, ClientIdentity judged)
        {
            Assert.Equal("", judged.Subscriber);
            Assert.Contains(why, judged.Fault, StringComparison.Ordinal);
        }

        Faulty("none of the authorities", Judge(strangers.Issue("CN=cpe-1")));
        Faulty("was valid until", Judge(_homes.Issue("CN=cpe-1", fromDays: -3, untilDays: -2)));
        Faulty("is valid from", Judge(_homes.Issue("CN=cpe-1", fromDays: 1, untilDays: 2)));
        Faulty("is not that of clients", Judge(_homes.Issue("CN=cpe-1", purpose: Authority.ForServers)));
        Faulty("names 0 subscribers", Judge(_homes.Issue("O=homes")));
        Faulty("names 2 subscribers", Judge(_homes.Issue("CN=cpe-1", ["a.example", "b.example"])));
        Faulty("must have 1 to 128 characters", Judge(_homes.Issue("CN=")));
        Faulty("took it back", Judge(home, _homes.Revoke(5, other, home)));
        Faulty("was good until", Judge(home, _homes.Revoke(-1)));
        Assert.Null(Judge(home, _homes.Revoke(5, other)).Fault);
    }

    [Fact]
    public void A_list_that_is_no_list_of_these_authorities_is_refused_when_it_is_read()
    {
        using var strangers = new Authority(_homes.Now, "strangers");
        using var impostor = new Authority(_homes.Now);
        string Refused(string file) => Assert.Throws<CryptographicException>(() => new ClientCertificates(_homes.File, file)).Message;
        Assert.Contains("of none of the authorities", Refused(strangers.Revoke(5)), StringComparison.Ordinal);
        Assert.Contains("is not signed by that authority", Refused(impostor.Revoke(5)), StringComparison.Ordinal);
        Assert.Contains(_homes.File, Refused(_homes.File), StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_lists_are_refused_and_never_anything_else()
    {
        string text = File.ReadAllText(_homes.Revoke(5, _homes.Issue("CN=x")));
        byte[] good = Convert.FromBase64String(text[PemEncoding.Find(text).Base64Data]);
        var random = new Random(1);
        string path = _homes.Write("");
        for (int i = 0; i < 2000; i++)
        {
            byte[] damaged = (byte[])good.Clone();
            for (int n = random.Next(1, 4); n > 0; n--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(path, damaged[..random.Next(1, damaged.Length + 1)]);
            try
            {
                RevocationList.ReadFile(path, [_homes.Certificate]);
            }
            catch (CryptographicException)
            {
                // As it should be.
            }
        }
    }

    /// <summary>A registry that believes these authorities, and a client that shows a certificate.</summary>
    async Task<(ApiScene Scene, Authority Servers)> Start(X509Certificate2? shown, string? revoked = null)
    {
        var servers = new Authority(_homes.Now, "servers");
        X509Certificate2 server = servers.Issue("CN=localhost", purpose: Authority.ForServers);
        string certificate = servers.Write(server.ExportCertificatePem()), key = servers.Write(server.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        var handler = new SocketsHttpHandler { UseProxy = false, PooledConnectionLifetime = TimeSpan.Zero, SslOptions = { RemoteCertificateValidationCallback = (_, seen, _, _) => seen?.GetCertHashString() == server.GetCertHashString() } };
        if (shown is not null) handler.SslOptions.ClientCertificates = [shown];
        return (await ApiScene.Start(s => s with { Certificate = certificate, Key = key, ClientAuthority = _homes.File, Revoked = revoked }, handler), servers);
    }

    const string Mine = """{"softwire": "2001:db8::1"}""";

    [Fact]
    public async Task A_certificate_is_as_good_as_a_key_until_an_operator_revokes_it()
    {
        (ApiScene scene, Authority servers) = await Start(_homes.Issue("CN=cpe-1"));
        await using ApiScene disposed = scene;
        using Authority too = servers;
        Answer lease = await scene.Ask("POST", "/v1/leases", Mine);
        Assert.Equal((201, "cpe-1"), (lease.Status, lease["subscriber"]));
        Assert.Equal(200, (await scene.Ask("POST", $"/v1/leases/{lease["id"]}/renew")).Status);
        Assert.Equal(403, (await scene.Ask("POST", "/v1/leases", """{"subscriber": "cpe-2", "softwire": "2001:db8::2"}""")).Status);
        foreach ((string method, string path) in new[] { ("GET", "/v1/pools"), ("GET", "/v1/credentials"), ("POST", "/v1/keys/rotate"), ("POST", "/v1/enrol") })
            Assert.Equal(403, (await scene.Ask(method, path)).Status);

        // A token beside it says who asks.
        var known = (await scene.Ask("GET", "/v1/credentials", token: scene.Token)).Json.EnumerateArray().Single(c => c.GetProperty("kind").GetString() == "certificate");
        Assert.Equal("cpe-1", known.GetProperty("name").GetString());
        Assert.Equal(200, (await scene.Ask("DELETE", $"/v1/credentials/{known.GetProperty("id").GetString()}", token: scene.Token)).Status);
        Answer refused = await scene.Ask("POST", "/v1/leases", Mine);
        Assert.Equal((401, ErrorCodes.NotAuthenticated), (refused.Status, refused["code"]));
        Assert.Contains("was revoked", refused["detail"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_is_not_believed_is_refused_in_words_and_none_is_not_needed_with_a_token()
    {
        using var strangers = new Authority(_homes.Now, "strangers");
        (ApiScene scene, Authority servers) = await Start(strangers.Issue("CN=cpe-1"));
        await using (scene)
        {
            Answer refused = await scene.Ask("POST", "/v1/leases", Mine);
            Assert.Equal((401, ErrorCodes.NotAuthenticated), (refused.Status, refused["code"]));
            Assert.Contains("none of the authorities", refused["detail"], StringComparison.Ordinal);
        }

        servers.Dispose();
        (scene, servers) = await Start(shown: null);
        await using (scene) Assert.Equal(200, (await scene.Ask("GET", "/v1/pools", token: scene.Token)).Status);
        servers.Dispose();
    }

    [Fact]
    public async Task Certificates_and_lists_are_read_again_without_a_restart_and_bad_ones_change_nothing()
    {
        X509Certificate2 home = _homes.Issue("CN=cpe-1");
        string list = _homes.Revoke(5);
        (ApiScene scene, Authority servers) = await Start(home, list);
        await using ApiScene disposed = scene;
        using Authority too = servers;
        Assert.Equal(201, (await scene.Ask("POST", "/v1/leases", Mine)).Status);
        File.Copy(_homes.Revoke(5, home), list, overwrite: true);
        Assert.Equal(200, (await scene.Ask("POST", "/v1/leases", Mine)).Status);
        scene.Server.Reload();
        Answer refused = await scene.Ask("POST", "/v1/leases", Mine);
        Assert.Equal(401, refused.Status);
        File.WriteAllText(list, "nothing of the kind");
        scene.Server.Reload();
        Assert.Equal(refused.Text, (await scene.Ask("POST", "/v1/leases", Mine)).Text);
        File.Copy(_homes.Revoke(5), list, overwrite: true);
        scene.Server.Reload();
        Assert.Equal(200, (await scene.Ask("POST", "/v1/leases", Mine)).Status);
    }
}
