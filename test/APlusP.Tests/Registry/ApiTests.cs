using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Api;
using APlusP.Registry.Configuration;

namespace APlusP.Tests.Registry;

/// <summary>The registry as its clients see it, over HTTP.</summary>
public class ApiTests
{
    const string Cpe1 = """{"subscriber": "cpe-1", "softwire": "2001:db8::1", "class": "home"}""";

    [Fact]
    public async Task From_nothing_a_subscriber_gets_a_lease_and_the_same_when_it_asks_again()
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer first = await scene.Ask("POST", "/v1/leases", Cpe1), again = await scene.Ask("POST", "/v1/leases", Cpe1);
        Assert.Equal((201, 200, first.Text), (first.Status, again.Status, again.Text));
        Assert.Equal($"/v1/leases/{first["id"]}", first.Headers.Location?.ToString());
        Assert.Equal(("cpe-1", "home", "2001:db8::1", "192.0.2.0", "[[1024,1151]]", "128"), (first["subscriber"], first["class"], first["softwire"], first["address"], first["ranges"], first["ports"]));
        Assert.Equal(TimeSpan.FromHours(1), DateTimeOffset.Parse(first["until"]) - DateTimeOffset.Parse(first["from"]));
        Assert.Equal(first.Text, (await scene.Ask("GET", $"/v1/leases/{first["id"]}")).Text);
        Assert.Equal($"{{\"leases\":[{first.Text}],\"next\":null}}", (await scene.Ask("GET", "/v1/leases?subscriber=cpe-1")).Text);
        Assert.Equal("{\"leases\":[],\"next\":null}", (await scene.Ask("GET", "/v1/leases?subscriber=cpe-2")).Text);
    }

    [Fact]
    public async Task A_service_port_is_given_listed_and_taken_and_not_to_who_cannot_be_told()
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer given = await scene.Ask("POST", "/v1/service-ports", """{"subscriber": "cpe-1", "address": "192.0.2.1", "port": 25}""");
        Assert.Equal((201, """{"subscriber":"cpe-1","address":"192.0.2.1","port":25}"""), (given.Status, given.Text));
        Assert.Equal($"[{given.Text}]", (await scene.Ask("GET", "/v1/service-ports")).Text);
        Assert.Equal(409, (await scene.Ask("POST", "/v1/service-ports", """{"subscriber": "cpe-2", "address": "192.0.2.1", "port": 25}""")).Status);
        Answer refused = await scene.Ask("POST", "/v1/service-ports", """{"subscriber": "duid-00030001525400123456", "address": "192.0.2.1", "port": 80}""");
        Assert.Equal(400, refused.Status);
        Assert.Contains("DHCPv6 or PCP", refused.Text, StringComparison.Ordinal);
        Assert.Equal(200, (await scene.Ask("DELETE", "/v1/service-ports?address=192.0.2.1&port=25")).Status);
        Assert.Equal("[]", (await scene.Ask("GET", "/v1/service-ports")).Text);
    }

    [Fact]
    public async Task A_name_is_given_changed_listed_and_taken()
    {
        await using ApiScene scene = await ApiScene.Start();
        await scene.Ask("POST", "/v1/leases", Cpe1);
        Answer given = await scene.Ask("POST", "/v1/names", """{"name": "WWW.example.org", "subscriber": "cpe-1", "http": 1024, "services": ["_xmpp-client._tcp:1030"]}""");
        Assert.Equal((201, """{"name":"www.example.org","subscriber":"cpe-1","address":"192.0.2.0","http":1024,"https":null,"proxied":false,"services":["_xmpp-client._tcp:1030"],"idle":[]}"""), (given.Status, given.Text));
        Assert.Equal($"[{given.Text}]", (await scene.Ask("GET", "/v1/names")).Text);
        Assert.Equal("[]", (await scene.Ask("GET", "/v1/names?subscriber=cpe-2")).Text);
        Assert.Equal(200, (await scene.Ask("POST", "/v1/names", """{"name": "www.example.org", "subscriber": "cpe-1", "https": 1025, "proxied": true}""")).Status);
        Assert.Equal(409, (await scene.Ask("POST", "/v1/names", """{"name": "www.example.org", "subscriber": "cpe-2", "https": 1025}""")).Status);
        Answer outside = await scene.Ask("POST", "/v1/names", """{"name": "b.example.org", "subscriber": "cpe-1", "http": 8080, "https": 1025}""");
        Assert.Equal(400, outside.Status);
        Assert.Contains("8080: not in the set of cpe-1, which has 1024-1151 of 192.0.2.0", outside.Text, StringComparison.Ordinal);
        Assert.Contains("\"field\":\"http\"", outside.Text, StringComparison.Ordinal);

        // One that its subscriber cannot use yet.
        Assert.Contains("\"address\":null", (await scene.Ask("POST", "/v1/names", """{"name": "c.example.org", "subscriber": "cpe-3", "http": 8080}""")).Text, StringComparison.Ordinal);
        await scene.Ask("POST", "/v1/leases", """{"subscriber": "cpe-3", "softwire": "2001:db8::3"}""");
        Assert.Contains("\"idle\":[8080]", (await scene.Ask("GET", "/v1/names?subscriber=cpe-3")).Text, StringComparison.Ordinal);
        Assert.Equal(200, (await scene.Ask("DELETE", "/v1/names?name=Www.Example.Org")).Status);
        Assert.Equal(404, (await scene.Ask("DELETE", "/v1/names?name=www.example.org")).Status);
    }

    [Theory]
    [InlineData("""{"subscriber": "cpe-1", "http": 1024}""", "'name' is missing")]
    [InlineData("""{"name": "localhost", "subscriber": "cpe-1", "http": 1024}""", "'name' must be the full name of a host")]
    [InlineData("""{"name": "192.0.2.1", "subscriber": "cpe-1", "http": 1024}""", "'name' must be the full name of a host")]
    [InlineData("""{"name": "münchen.example", "subscriber": "cpe-1", "http": 1024}""", "A-label")]
    [InlineData("""{"name": "a.example", "subscriber": "cpe-1"}""", "say which of the subscriber's ports")]
    [InlineData("""{"name": "a.example", "subscriber": "cpe-1", "http": "1024"}""", "'http' must be a whole number from 1 to 65535")]
    [InlineData("""{"name": "a.example", "subscriber": "cpe-1", "services": ["xmpp:1024"]}""", "must be services and ports such as")]
    [InlineData("""{"name": "a.example", "subscriber": "cpe-1", "services": ["_a._tcp:1024", "_a._tcp:1025"]}""", "each service once")]
    [InlineData("""{"name": "a.example", "subscriber": "cpe-1", "services": "_a._tcp:1024"}""", "'services' must be an array")]
    [InlineData("""{"name": "a.example", "subscriber": "cpe-1", "services": ["_a._tcp:1024"], "proxied": true}""", "'proxied' is for http and https")]
    [InlineData("""{"name": "a.example", "subscriber": "cpe-1", "http": 1024, "proxied": "yes"}""", "'proxied' must be true or false")]
    public async Task A_name_that_cannot_be_is_refused_in_words(string body, string why)
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer refused = await scene.Ask("POST", "/v1/names", body);
        Assert.Equal(400, refused.Status);
        Assert.Contains(why, refused.Text, StringComparison.Ordinal);
        Assert.Equal("[]", (await scene.Ask("GET", "/v1/names")).Text);
    }

    [Fact]
    public async Task A_lease_says_what_hosts_may_not_do_where_its_pool_has_such_rules()
    {
        await using ApiScene free = await ApiScene.Start();
        Assert.Contains("\"policy\":null", (await free.Ask("POST", "/v1/leases", Cpe1)).Text, StringComparison.Ordinal);
        await using ApiScene scene = await ApiScene.Start(s => s with { Policy = s.Policy with { Pools = [.. s.Policy.Pools.Select(p => p with { Policy = new LanPolicy(DnsAlone: true, OwnResolver: false, 1_500_000_000) })] } });
        Answer lease = await scene.Ask("POST", "/v1/leases", Cpe1);
        Assert.Contains("\"policy\":{\"dnsAlone\":true,\"ownResolver\":false,\"dailyVolume\":1500000000}", lease.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_lease_says_where_its_softwire_ends_and_what_that_carries()
    {
        await using ApiScene scene = await ApiScene.Start(s => s with { Policy = s.Policy with { Pools = [.. s.Policy.Pools.Select(p => p with { Prr = IPv6Address.Parse("2001:db8:9::1"), PayloadMtu = 1440 })] } });
        Answer lease = await scene.Ask("POST", "/v1/leases", Cpe1);
        Assert.Equal(("2001:db8:9::1", "1440"), (lease["br-ipv6-addr"], lease["softwire-payload-mtu"]));
        Assert.Equal(lease.Text, (await scene.Ask("GET", $"/v1/leases/{lease["id"]}")).Text);
    }

    [Fact]
    public async Task A_lease_is_renewed_grown_shrunk_and_released_by_its_id()
    {
        await using ApiScene scene = await ApiScene.Start(s => s with { Policy = s.Policy with { ChangeInterval = TimeSpan.Zero } });
        Answer lease = await scene.Ask("POST", "/v1/leases", Cpe1);
        string path = $"/v1/leases/{lease["id"]}";
        Assert.Equal(200, (await scene.Ask("POST", $"{path}/renew")).Status);
        Assert.Equal("[[1024,1407]]", (await scene.Ask("POST", $"{path}/grow", """{"ports": 256}"""))["ranges"]);
        Assert.Equal("[[1024,1535]]", (await scene.Ask("POST", $"{path}/grow"))["ranges"]);
        Assert.Equal("[[1024,1407]]", (await scene.Ask("POST", $"{path}/shrink"))["ranges"]);
        Assert.Equal(200, (await scene.Ask("DELETE", path)).Status);
        Answer gone = await scene.Ask("DELETE", path);
        Assert.Equal((404, ErrorCodes.NotThere, "application/problem+json"), (gone.Status, gone["code"], gone.Type));
        Assert.Equal(404, (await scene.Ask("GET", path)).Status);
    }

    [Fact]
    public async Task A_change_that_comes_too_soon_says_when_to_ask_again()
    {
        await using ApiScene scene = await ApiScene.Start();
        string path = $"/v1/leases/{(await scene.Ask("POST", "/v1/leases", Cpe1))["id"]}/grow";
        Assert.Equal(200, (await scene.Ask("POST", path)).Status);
        Answer soon = await scene.Ask("POST", path);
        Assert.Equal((429, ErrorCodes.TooSoon), (soon.Status, soon["code"]));
        Assert.InRange(soon.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
    }

    [Fact]
    public async Task The_same_request_id_grows_a_lease_once()
    {
        await using ApiScene scene = await ApiScene.Start(s => s with { Policy = s.Policy with { ChangeInterval = TimeSpan.Zero } });
        string path = $"/v1/leases/{(await scene.Ask("POST", "/v1/leases", Cpe1))["id"]}";
        Answer first = await scene.Ask("POST", $"{path}/grow", null, null, ("Request-Id", "42")), again = await scene.Ask("POST", $"{path}/grow", null, null, ("Request-Id", "42"));
        Assert.Equal((200, first.Text), (again.Status, again.Text));
        Assert.Equal("256", (await scene.Ask("GET", path))["ports"]);
        Assert.Equal(422, (await scene.Ask("POST", $"{path}/shrink", null, null, ("Request-Id", "42"))).Status);
        Assert.Equal("512", (await scene.Ask("POST", $"{path}/grow", """{"ports": 256}""", scene.Token, ("Request-Id", "42")))["ports"]);
        Assert.Equal(400, (await scene.Ask("POST", $"{path}/grow", null, null, ("Request-Id", new string('x', 200)))).Status);
    }

    [Fact]
    public async Task Leases_are_listed_page_by_page_each_once_in_the_order_of_their_ids()
    {
        await using ApiScene scene = await ApiScene.Start();
        for (int i = 1; i <= 25; i++) Assert.Equal(201, (await scene.Ask("POST", "/v1/leases", $$"""{"subscriber": "cpe-{{i}}", "softwire": "2001:db8::{{i}}"}""")).Status);
        var seen = new List<(string Id, string Subscriber)>();
        string? next = "/v1/leases?limit=10";
        while (next is not null)
        {
            Answer page = await scene.Ask("GET", next);
            seen.AddRange(page.Json.GetProperty("leases").EnumerateArray().Select(l => (l.GetProperty("id").GetString()!, l.GetProperty("subscriber").GetString()!)));
            next = page.Json.GetProperty("next").GetString();
        }

        // Ids begin with the millisecond; of two within one either may come first.
        Assert.Equal(seen.Select(l => l.Id).Order(StringComparer.Ordinal), seen.Select(l => l.Id));
        Assert.Equal(Enumerable.Range(1, 25).Select(i => $"cpe-{i}").Order(StringComparer.Ordinal), seen.Select(l => l.Subscriber).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_softwire_of_another_is_refused_and_no_port_is_lost_by_that()
    {
        await using ApiScene scene = await ApiScene.Start();
        await scene.Ask("POST", "/v1/leases", Cpe1);
        string before = (await scene.Ask("GET", "/v1/pools")).Text;
        Answer refused = await scene.Ask("POST", "/v1/leases", Cpe1.Replace("cpe-1", "cpe-2", StringComparison.Ordinal));
        Assert.Equal((409, "AP6014"), (refused.Status, refused["code"]));
        Assert.Equal(before, (await scene.Ask("GET", "/v1/pools")).Text);
    }

    [Fact]
    public async Task Who_had_a_port_is_answered_with_somebody_or_a_clear_nobody()
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer lease = await scene.Ask("POST", "/v1/leases", Cpe1);
        Answer who = await scene.Ask("GET", "/v1/who?address=192.0.2.0&port=1100");
        Assert.Equal(("cpe-1", lease["id"], lease["from"], lease["until"]), (who["subscriber"], who["lease"], who["from"], who["until"]));
        Answer at = await scene.Ask("GET", $"/v1/who?address=192.0.2.0&port=1100&at={Uri.EscapeDataString(lease["from"])}");
        Assert.Equal("cpe-1", at["subscriber"]);
        Answer nobody = await scene.Ask("GET", "/v1/who?address=192.0.2.0&port=1152&at=2020-01-01T00:00:00Z");
        Assert.Equal((200, JsonValueKind.Null), (nobody.Status, nobody.Json.GetProperty("subscriber").ValueKind));
        Assert.StartsWith("nobody had 192.0.2.0:1152 at 2020-01-01T00:00:00.000Z", nobody["answer"], StringComparison.Ordinal);
        Assert.Equal(400, (await scene.Ask("GET", "/v1/who?address=192.0.2.0&port=1&at=2999-01-01")).Status);
    }

    [Fact]
    public async Task The_first_token_is_for_its_owner_alone_and_works()
    {
        await using ApiScene scene = await ApiScene.Start();
        foreach (string file in Directory.EnumerateFiles(Path.GetDirectoryName(scene.TokenPath)!)) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.Equal(200, (await scene.Ask("GET", "/v1/credentials", token: scene.Token)).Status);
        Answer without = await scene.Ask("GET", "/v1/credentials");
        Assert.Equal((401, ErrorCodes.NotAuthenticated, "Bearer"), (without.Status, without["code"], without.Headers.WwwAuthenticate.Single().Scheme));
    }

    [Fact]
    public async Task Operators_have_roles_and_are_revoked()
    {
        await using ApiScene scene = await ApiScene.Start(s => s with { Loopback = LoopbackAccess.Token });
        Assert.Equal(401, (await scene.Ask("POST", "/v1/leases", Cpe1)).Status);
        Answer reader = await scene.Ask("POST", "/v1/credentials", """{"kind": "operator", "name": "auditor", "role": "read"}""", scene.Token);
        Assert.Equal(201, reader.Status);
        Assert.Equal(200, (await scene.Ask("GET", "/v1/leases", token: reader["secret"])).Status);
        Assert.Equal(200, (await scene.Ask("GET", "/v1/who?address=192.0.2.1&port=1", token: reader["secret"])).Status);
        Assert.Equal((403, 403), ((await scene.Ask("POST", "/v1/leases", Cpe1, reader["secret"])).Status, (await scene.Ask("GET", "/v1/credentials", token: reader["secret"])).Status));
        Assert.Equal(200, (await scene.Ask("DELETE", $"/v1/credentials/{reader["id"]}", token: scene.Token)).Status);
        Assert.Equal(401, (await scene.Ask("GET", "/v1/leases", token: reader["secret"])).Status);
        Assert.DoesNotContain(reader["secret"], (await scene.Ask("GET", "/v1/credentials", token: scene.Token)).Text, StringComparison.Ordinal);

        // The last operator cannot lock everybody out.
        string last = (await scene.Ask("GET", "/v1/credentials", token: scene.Token)).Json.EnumerateArray().First(c => c.GetProperty("role").GetString() == "operate").GetProperty("id").GetString()!;
        Assert.Equal(409, (await scene.Ask("DELETE", $"/v1/credentials/{last}", token: scene.Token)).Status);
    }

    [Fact]
    public async Task A_smap_enrols_gets_its_own_lease_and_no_others_and_changes_its_key()
    {
        await using ApiScene scene = await ApiScene.Start(s => s with { Loopback = LoopbackAccess.Token });
        string token = (await scene.Ask("POST", "/v1/credentials", """{"kind": "enrolment", "name": "boxes", "class": "gamer", "uses": 2}""", scene.Token))["secret"];
        Answer mine = await scene.Ask("POST", "/v1/enrol", """{"subscriber": "cpe-1"}""", token), other = await scene.Ask("POST", "/v1/enrol", "{}", token);
        Assert.Equal(("cpe-1", 201, 201), (mine["subscriber"], mine.Status, other.Status));
        Assert.Equal(403, (await scene.Ask("POST", "/v1/enrol", "{}", token)).Status);
        Assert.Equal(403, (await scene.Ask("GET", "/v1/leases", token: token)).Status);
        string key = mine["key"];
        Answer lease = await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8::1"}""", key);
        Assert.Equal((201, "cpe-1", "gamer"), (lease.Status, lease["subscriber"], lease["class"]));
        Assert.Equal(403, (await scene.Ask("POST", "/v1/leases", """{"subscriber": "cpe-2", "softwire": "2001:db8::2"}""", key)).Status);
        Assert.Equal(403, (await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8::1", "class": "server"}""", key)).Status);
        Answer others = await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8::9"}""", other["key"]);
        foreach ((string method, string path) in new[] { ("GET", ""), ("DELETE", ""), ("POST", "/renew"), ("POST", "/grow"), ("POST", "/shrink") })
            Assert.Equal(403, (await scene.Ask(method, $"/v1/leases/{others["id"]}{path}", token: key)).Status);
        Assert.Equal(403, (await scene.Ask("GET", "/v1/who?address=192.0.2.1&port=1024", token: key)).Status);
        Assert.Equal(lease.Text, (await scene.Ask("GET", "/v1/leases", token: key)).Json.GetProperty("leases").EnumerateArray().Single().GetRawText());
        Assert.Equal(200, (await scene.Ask("POST", $"/v1/leases/{lease["id"]}/renew", token: key)).Status);
        string next = (await scene.Ask("POST", "/v1/keys/rotate", token: key))["key"];
        Assert.Equal((200, 200, 401), ((await scene.Ask("GET", "/v1/leases", token: key)).Status, (await scene.Ask("GET", "/v1/leases", token: next)).Status, (await scene.Ask("GET", "/v1/leases", token: key)).Status));
    }

    [Fact]
    public async Task An_enrolment_token_for_a_prefix_gives_keys_that_claim_softwires_there_alone()
    {
        await using ApiScene scene = await ApiScene.Start(s => s with { Loopback = LoopbackAccess.Token });
        Answer issued = await scene.Ask("POST", "/v1/credentials", """{"kind": "enrolment", "name": "boxes of the north", "prefix": "2001:db8:1::/48"}""", scene.Token);
        Assert.Equal((201, "2001:db8:1::/48"), (issued.Status, issued["prefix"]));
        string key = (await scene.Ask("POST", "/v1/enrol", "{}", issued["secret"]))["key"];
        key = (await scene.Ask("POST", "/v1/keys/rotate", token: key))["key"];
        Answer refused = await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8:2::1"}""", key);
        Assert.Equal((403, ErrorCodes.NotAllowed), (refused.Status, refused["code"]));
        Assert.Contains("2001:db8:1::/48", refused["detail"], StringComparison.Ordinal);
        Assert.Equal(201, (await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8:1::1"}""", key)).Status);
        Assert.Equal(403, (await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8:2::1"}""", key)).Status);
        Assert.Equal(400, (await scene.Ask("POST", "/v1/credentials", """{"kind": "operator", "name": "n", "role": "read", "prefix": "2001:db8::/32"}""", scene.Token)).Status);
        Assert.Equal(400, (await scene.Ask("POST", "/v1/credentials", """{"kind": "enrolment", "name": "n", "prefix": "2001:db8::1/32"}""", scene.Token)).Status);
    }

    [Fact]
    public async Task Who_was_enrolled_for_no_class_has_the_usual_one_unless_an_operator_gave_another()
    {
        await using ApiScene scene = await ApiScene.Start(s => s with { Loopback = LoopbackAccess.Token });
        string token = (await scene.Ask("POST", "/v1/credentials", """{"kind": "enrolment", "name": "boxes", "uses": 2}""", scene.Token))["secret"];
        string key = (await scene.Ask("POST", "/v1/enrol", """{"subscriber": "cpe-1"}""", token))["key"], other = (await scene.Ask("POST", "/v1/enrol", """{"subscriber": "cpe-2"}""", token))["key"];
        Answer refused = await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8::1", "class": "server"}""", key);
        Assert.Equal((403, ErrorCodes.NotAllowed), (refused.Status, refused["code"]));
        Answer usual = await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8::1", "class": "home"}""", key);
        Assert.Equal((201, "home"), (usual.Status, usual["class"]));

        Assert.Equal(201, (await scene.Ask("POST", "/v1/leases", """{"subscriber": "cpe-2", "softwire": "2001:db8::2", "class": "server"}""", scene.Token)).Status);
        Answer given = await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8::2"}""", other);
        Assert.Equal((200, "server"), (given.Status, given["class"]));
    }

    [Fact]
    public async Task One_client_cannot_exhaust_a_pool_by_whatever_it_asks()
    {
        await using ApiScene scene = await ApiScene.Start(s => s with { Loopback = LoopbackAccess.Token, Policy = s.Policy with { ChangeInterval = TimeSpan.Zero } });
        string token = (await scene.Ask("POST", "/v1/credentials", """{"kind": "enrolment", "name": "boxes", "uses": 3, "class": "home"}""", scene.Token))["secret"];
        var keys = new List<string>();
        for (int i = 0; i < 10; i++)
            if (await scene.Ask("POST", "/v1/enrol", "{}", token) is { Status: 201 } enrolled) keys.Add(enrolled["key"]);
        Assert.Equal(3, keys.Count);
        for (int i = 0; i < 150; i++)
        {
            string key = keys[i % 3];
            Answer lease = await scene.Ask("POST", "/v1/leases", $$"""{"softwire": "2001:db8::{{i:x}}"}""", key);
            if (lease.Status is not (200 or 201)) continue;
            await scene.Ask("POST", $"/v1/leases/{lease["id"]}/grow", """{"ports": 65536}""", key);
            await scene.Ask("DELETE", $"/v1/leases/{lease["id"]}", token: key);
        }

        // Three keys of a class with 8 blocks at most, and as many that rest.
        JsonElement pool = (await scene.Ask("GET", "/v1/pools", token: scene.Token)).Json[0];
        Assert.InRange(pool.GetProperty("blocks").GetInt32() - pool.GetProperty("freeBlocks").GetInt32(), 8, 3 * 16);
    }

    [Fact]
    public async Task Exact_ports_are_an_operators_to_ask_for()
    {
        await using ApiScene scene = await ApiScene.Start();
        const string exact = """{"subscriber": "cpe-1", "softwire": "2001:db8::1", "address": "192.0.2.1", "ranges": [[2048, 2175]]}""";
        Answer lease = await scene.Ask("POST", "/v1/leases", exact);
        Assert.Equal((201, "192.0.2.1", "[[2048,2175]]"), (lease.Status, lease["address"], lease["ranges"]));
        Assert.Equal((200, lease.Text), ((await scene.Ask("POST", "/v1/leases", exact)) is var again ? again.Status : 0, again.Text));
        Assert.Equal(400, (await scene.Ask("POST", "/v1/leases", """{"subscriber": "cpe-2", "softwire": "2001:db8::2", "address": "192.0.2.1"}""")).Status);
        Assert.Equal(400, (await scene.Ask("POST", "/v1/leases", """{"subscriber": "cpe-2", "softwire": "2001:db8::2", "ranges": [[4096, 4223]]}""")).Status);
        string token = (await scene.Ask("POST", "/v1/credentials", """{"kind": "enrolment", "name": "boxes"}""", scene.Token))["secret"];
        string key = (await scene.Ask("POST", "/v1/enrol", "{}", token))["key"];
        Assert.Equal(403, (await scene.Ask("POST", "/v1/leases", """{"softwire": "2001:db8::2", "address": "192.0.2.1", "ranges": [[4096, 4223]]}""", key)).Status);
    }

    [Fact]
    public async Task A_pool_of_psids_from_a_file_gives_each_set_once_and_no_system_port()
    {
        RegistrySettings settings = RegistryConfigurationFile.Check("registry.toml", """
            data = "/nonexistent"
            [[pool]]
            prefix = "192.0.2.0/31"
            psid = { offset = 6, length = 4 }
            [[class]]
            name = "home"
            start = 4032
            limit = 8064
            """).Configuration!;
        await using ApiScene scene = await ApiScene.Start(s => s with { Policy = settings.Policy with { ChangeInterval = TimeSpan.Zero } });
        var sets = new HashSet<string>();
        for (int i = 0; i < 32; i++)
        {
            Answer lease = await scene.Ask("POST", "/v1/leases", $$"""{"subscriber": "cpe-{{i}}", "softwire": "2001:db8::{{i:x}}"}""");
            Assert.Equal(201, lease.Status);
            JsonElement psid = lease.Json.GetProperty("psid");
            var ports = APlusP.Core.PortSets.PortSet.FromPsid(psid.GetProperty("offset").GetInt32(), psid.GetProperty("length").GetInt32(), psid.GetProperty("psid").GetInt32());
            Assert.Equal(ports.Ranges.Select(r => new int[] { r.First, r.Last }), lease.Json.GetProperty("ranges").EnumerateArray().Select(r => new int[] { r[0].GetInt32(), r[1].GetInt32() }));
            Assert.Equal((4032, true), (ports.Count, ports.Ranges.First().First >= 1024));
            sets.Add($"{lease["address"]} {psid}");
        }

        Assert.Equal(32, sets.Count);
        Assert.Equal(503, (await scene.Ask("POST", "/v1/leases", """{"subscriber": "late", "softwire": "2001:db8::ff"}""")).Status);
    }

    /// <summary>Every route refuses whoever brings nothing from elsewhere, but those that tell nothing of anybody.</summary>
    [Fact]
    public async Task No_route_answers_a_stranger_but_those_that_tell_nothing()
    {
        await using ApiScene scene = await ApiScene.Start();
        foreach (Route route in RegistryServer.Routes)
        {
            Answer proxied = await scene.Ask(route.Method, route.Path.Replace("{id}", "x", StringComparison.Ordinal), null, null, ("X-Forwarded-For", "203.0.113.9"));
            Assert.Equal(route.Needs == Needs.Nothing ? 200 : 401, proxied.Status);
        }

        Assert.Equal(["/v1/health", "/v1/openapi.json", "/", "/try.js", "/try.css"], RegistryServer.Routes.Where(r => r.Needs == Needs.Nothing).Select(r => r.Path));
    }

    [Theory]
    [InlineData("Origin", "https://evil.example")]
    [InlineData("Host", "evil.example")]
    [InlineData("Forwarded", "for=203.0.113.9")]
    public async Task A_page_of_somebody_else_in_a_browser_here_is_not_this_machine(string header, string value)
    {
        await using ApiScene scene = await ApiScene.Start();
        Assert.Equal(401, (await scene.Ask("POST", "/v1/leases", Cpe1, null, (header, value))).Status);
    }

    [Fact]
    public async Task Wrong_tokens_are_slowed_down_and_right_ones_are_not()
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer[] wrong = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => scene.Ask("GET", "/v1/leases", token: $"aplusp-guess-{i}")));
        Assert.All(wrong, answer => Assert.Contains(answer.Status, new[] { 401, 429 }));
        Assert.Contains(wrong, answer => answer.Status == 429);
        long start = TimeProvider.System.GetTimestamp();
        Assert.Equal(401, (await scene.Ask("GET", "/v1/leases", token: "aplusp-one-more")).Status);
        Assert.True(TimeProvider.System.GetElapsedTime(start) > TimeSpan.FromSeconds(1));

        // A wrong one waits for 5 s now. On a busy machine the right one may take as long; were it slowed down, it would every time.
        bool isFaster = false;
        for (int i = 0; i < 5 && !isFaster; i++)
        {
            Task<Answer> waiting = scene.Ask("GET", "/v1/leases", token: "aplusp-one-more");
            Assert.Equal(200, (await scene.Ask("GET", "/v1/leases", token: scene.Token)).Status);
            isFaster = !waiting.IsCompleted;
            await waiting;
        }

        Assert.True(isFaster);
    }

    [Fact]
    public async Task Beyond_loopback_there_is_no_registry_without_a_certificate()
    {
        APlusPException error = await Assert.ThrowsAsync<APlusPException>(() => ApiScene.Start(s => s with { Listen = [new IPEndPoint(IPAddress.Any, 0)] }));
        Assert.Equal(ErrorCodes.RegistryNotListening, error.Code);
        Assert.Contains("--certificate", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_a_certificate_it_speaks_tls_in_http_1_and_2_and_asks_strangers_for_a_token()
    {
        (string certificate, string key) = MakeCertificate();
        try
        {
            using X509Certificate2 known = X509CertificateLoader.LoadCertificateFromFile(certificate);
            using var handler = new SocketsHttpHandler { UseProxy = false, SslOptions = { RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.GetCertHashString() == known.GetCertHashString() } };
            await using ApiScene scene = await ApiScene.Start(s => s with { Certificate = certificate, Key = key }, handler);
            Assert.Equal("https", scene.Address.Scheme);
            foreach (Version version in new[] { HttpVersion.Version11, HttpVersion.Version20 })
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/health") { Version = version, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
                Answer answer = await scene.Send(request);
                Assert.Equal((200, version), (answer.Status, answer.Version));
            }

            Assert.Equal(201, (await scene.Ask("POST", "/v1/leases", Cpe1, scene.Token)).Status);
        }
        finally
        {
            File.Delete(certificate);
            File.Delete(key);
        }
    }

    static (string Certificate, string Key) MakeCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        string path = Path.Combine(Path.GetTempPath(), $"aplusp-{Guid.NewGuid():N}");
        File.WriteAllText(path + ".crt", certificate.ExportCertificatePem());
        File.WriteAllText(path + ".key", key.ExportPkcs8PrivateKeyPem());
        return (path + ".crt", path + ".key");
    }

    [Fact]
    public async Task A_second_registry_at_the_same_address_is_told_so()
    {
        await using ApiScene scene = await ApiScene.Start();
        APlusPException error = await Assert.ThrowsAsync<APlusPException>(() => ApiScene.Start(s => s with { Listen = [new IPEndPoint(IPAddress.Loopback, scene.Address.Port)] }));
        Assert.Equal(ErrorCodes.RegistryNotListening, error.Code);
    }

    [Fact]
    public async Task Reservations_are_made_listed_and_taken_back()
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer made = await scene.Ask("POST", "/v1/reservations", """{"subscriber": "vip/1", "address": "192.0.2.1", "ranges": [[1024, 1151]]}""");
        Assert.Equal((201, "[[1024,1151]]"), (made.Status, made["ranges"]));
        Assert.Equal("vip/1", (await scene.Ask("GET", "/v1/reservations")).Json[0].GetProperty("subscriber").GetString());
        Assert.Equal("[[1024,1151]]", (await scene.Ask("POST", "/v1/leases", """{"subscriber": "vip/1", "softwire": "2001:db8::7"}"""))["ranges"]);
        Assert.Equal(200, (await scene.Ask("DELETE", made.Headers.Location!.ToString())).Status);
        Assert.Equal(404, (await scene.Ask("DELETE", made.Headers.Location!.ToString())).Status);
        Answer pools = await scene.Ask("GET", "/v1/pools");
        Assert.Equal(("192.0.2.0/30", 4, 2016, 2015), (pools.Json[0].GetProperty("prefix").GetString(), pools.Json[0].GetProperty("addresses").GetInt32(), pools.Json[0].GetProperty("blocks").GetInt32(), pools.Json[0].GetProperty("freeBlocks").GetInt32()));
    }

    [Fact]
    public async Task The_page_and_the_description_come_from_the_registry_and_name_every_route()
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer page = await scene.Ask("GET", "/");
        Assert.Equal("text/html", page.Type);
        Assert.Contains("default-src 'none'", string.Join(' ', page.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
        foreach (string path in new[] { "/", "/try.js", "/try.css" })
            Assert.DoesNotContain("://", (await scene.Ask("GET", path)).Text, StringComparison.Ordinal);
        JsonElement paths = (await scene.Ask("GET", "/v1/openapi.json")).Json.GetProperty("paths");
        string[] described = [.. paths.EnumerateObject().SelectMany(p => p.Value.EnumerateObject().Select(m => $"{m.Name.ToUpperInvariant()} {p.Name}")).Order()];
        Assert.Equal(RegistryServer.Routes.Where(r => r.Path.StartsWith("/v1/", StringComparison.Ordinal)).Select(r => $"{r.Method} {r.Path}").Order(), described);
    }

    [Fact]
    public async Task A_lease_answer_has_the_fields_that_its_description_requires()
    {
        await using ApiScene scene = await ApiScene.Start();
        JsonElement schemas = (await scene.Ask("GET", "/v1/openapi.json")).Json.GetProperty("components").GetProperty("schemas");
        void Conforms(string schema, JsonElement answer) => Assert.Equal(
            schemas.GetProperty(schema).GetProperty("properties").EnumerateObject().Select(p => p.Name).Order(), answer.EnumerateObject().Select(p => p.Name).Order());
        Conforms("Lease", (await scene.Ask("POST", "/v1/leases", Cpe1)).Json);
        Conforms("LeaseList", (await scene.Ask("GET", "/v1/leases")).Json);
        Conforms("Who", (await scene.Ask("GET", "/v1/who?address=192.0.2.0&port=1024")).Json);
        Conforms("Pool", (await scene.Ask("GET", "/v1/pools")).Json[0]);
        Conforms("Pcp", (await scene.Ask("GET", "/v1/pcp")).Json);
        Conforms("Credential", (await scene.Ask("GET", "/v1/credentials", token: scene.Token)).Json[0]);
        Conforms("Problem", (await scene.Ask("GET", "/v1/leases/nothing")).Json);
        Conforms("Health", (await scene.Ask("GET", "/v1/health")).Json);
    }

    [Theory]
    [InlineData("GET", "/nothing", 404)]
    [InlineData("GET", "/v1/leases/a/b/c", 404)]
    [InlineData("PUT", "/v1/leases", 405)]
    [InlineData("GET", "/v1/leases/1/renew", 405)]
    [InlineData("PATCH", "/v1/leases/1", 405)]
    public async Task Paths_and_methods_that_there_are_not_are_problems_too(string method, string path, int status)
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer answer = await scene.Ask(method, path);
        Assert.Equal((status, "application/problem+json"), (answer.Status, answer.Type));
    }
}
