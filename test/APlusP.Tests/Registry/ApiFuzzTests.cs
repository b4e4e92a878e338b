using System.Text.Json;
using APlusP.Core;
using APlusP.Registry.Api;

namespace APlusP.Tests.Registry;

/// <summary>Whatever comes in: a clear answer, never a fault of ours, and of what is refused nothing is stored.</summary>
public class ApiFuzzTests
{
    /// <summary>Values that no field takes, or few do; as JSON.</summary>
    static readonly string[] s_odd =
    [
        "null", "true", "0", "-1", "1.5", "1e400", "99999999999999999999999999", "[]", "{}", "[[]]", "[[1,2,3]]", "[[5,1]]", "[[1,70000]]", "[[1,2],[2,3]]", "[null]", "\"\"", "\" \"", "\"\\u0000\"", "\"a\\nb\"",
        "\"\\ud800\"", "\"\\u202e\"", "\"'; DROP TABLE lease; --\"", "\"<script>alert(1)</script>\"", "\"%00\"", "\"../../etc/passwd\"", "\"=cmd|' /C calc'!A0\"", "\"::\"", "\"::1\"", "\"ff02::1\"", "\"fe80::1%eth0\"",
        "\"2001:db8::/64\"", "\"192.0.2.1\"", "\"0x7f000001\"", "\"1\"", "\"999.1.1.1\"", "\"cpe-1\"", "\"home\"", "\"2001:db8::1\"",
    ];

    static readonly string s_long = $"\"{new string('x', 5000)}\"";

    static string State(ApiScene scene) => scene.Server.Registrar.Read(s => s.One(
        "SELECT (SELECT COUNT(*) FROM lease) || ' ' || (SELECT COUNT(*) FROM block) || ' ' || (SELECT COUNT(*) FROM event) || ' ' || (SELECT COUNT(*) FROM reservation) || ' ' || (SELECT COUNT(*) FROM credential) || ' ' || (SELECT COUNT(*) FROM request) || ' ' || (SELECT COUNT(*) FROM service_port) || ' ' || (SELECT COUNT(*) FROM server_name)",
        r => r.GetString(0)))!;

    [Theory]
    [InlineData("/v1/leases", """{"subscriber": "cpe-1", "softwire": "2001:db8::1", "class": "home"}""")]
    [InlineData("/v1/leases", """{"subscriber": "cpe-1", "softwire": "2001:db8::1", "address": "192.0.2.1", "ranges": [[2048, 2175]]}""")]
    [InlineData("/v1/reservations", """{"subscriber": "cpe-1", "address": "192.0.2.1", "ranges": [[1024, 1151]]}""")]
    [InlineData("/v1/service-ports", """{"subscriber": "cpe-1", "address": "192.0.2.1", "port": 25}""")]
    [InlineData("/v1/names", """{"name": "www.example.org", "subscriber": "cpe-1", "http": 1024, "https": 1025, "proxied": true, "services": ["_sip._udp:1026"]}""")]
    [InlineData("/v1/credentials", """{"kind": "enrolment", "name": "n", "class": "home", "prefix": "2001:db8::/32", "uses": 2, "seconds": 60}""")]
    [InlineData("/v1/credentials", """{"kind": "operator", "name": "n", "role": "read", "seconds": 60}""")]
    [InlineData("/v1/enrol", """{"subscriber": "cpe-9"}""")]
    [InlineData("/v1/leases/LEASE/grow", """{"ports": 128}""")]
    [InlineData("/v1/leases/LEASE/shrink", """{"ports": 128}""")]
    [InlineData("/v1/leases/LEASE/renew", "{}")]
    [InlineData("/v1/keys/rotate", "{}")]
    public async Task Every_field_of_every_body_with_every_odd_value(string path, string good)
    {
        await using ApiScene scene = await ApiScene.Start();
        string lease = (await scene.Ask("POST", "/v1/leases", """{"subscriber": "cpe-0", "softwire": "2001:db8::ff"}"""))["id"];
        string enrolment = (await scene.Ask("POST", "/v1/credentials", """{"kind": "enrolment", "name": "n", "uses": 1000}""", scene.Token))["secret"];
        string key = (await scene.Ask("POST", "/v1/enrol", """{"subscriber": "smap"}""", enrolment))["key"];
        string token = path == "/v1/enrol" ? enrolment : path == "/v1/keys/rotate" ? key : scene.Token;
        path = path.Replace("LEASE", lease, StringComparison.Ordinal);
        using JsonDocument sound = JsonDocument.Parse(good);
        Dictionary<string, string> fields = sound.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetRawText());
        string Body(IEnumerable<KeyValuePair<string, string>> with) => $"{{{string.Join(',', with.Select(f => $"{JsonSerializer.Serialize(f.Key)}: {f.Value}"))}}}";

        var bodies = new List<string>();
        foreach (string field in fields.Keys)
        {
            bodies.AddRange(s_odd.Append(s_long).Select(odd => Body(new Dictionary<string, string>(fields) { [field] = odd })));
            bodies.Add(Body(fields.Where(f => f.Key != field)));
            bodies.Add(Body(fields.Append(new(field, fields[field]))));
        }

        bodies.Add(Body(fields.Append(new("softwir", "1"))));
        bodies.AddRange(["[]", "null", "1", "\"x\"", "{", "{\"a\":}", new string('[', 200), "\u0001", "{\"a\": 1, \"a\": 2}"]);
        foreach (string body in bodies) await AssertClear(scene, "POST", path, body, token);
    }

    [Theory]
    [InlineData("/v1/leases", "subscriber", "softwire", "limit", "after")]
    [InlineData("/v1/who", "address", "port", "at")]
    [InlineData("/v1/names", "subscriber")]
    public async Task Every_parameter_of_every_query_with_every_odd_value(string path, params string[] parameters)
    {
        await using ApiScene scene = await ApiScene.Start();
        Dictionary<string, string> good = new() { ["address"] = "192.0.2.1", ["port"] = "1024", ["at"] = "2026-11-24T14:03:00Z", ["subscriber"] = "cpe-1", ["softwire"] = "2001:db8::1", ["limit"] = "10", ["after"] = "a" };
        foreach (string parameter in parameters)
            foreach (string odd in (string[])["", " ", "\0", "-1", "1.5", "99999999999999999999", "a&b=c", "%", "\u202e", "'; --", "0", "65536", "2026-02-30", "2026-11-24T25:00", "24.11.2026", "now", "9999-12-31T23:59:59.9999999Z", "0001-01-01", new string('x', 3000)])
                await AssertClear(scene, "GET", $"{path}?{string.Join('&', parameters.Select(p => $"{p}={Uri.EscapeDataString(p == parameter ? odd : good[p])}"))}", null, scene.Token);
        Assert.Equal(400, (await scene.Ask("GET", $"{path}?wrong=1")).Status);
        Assert.Equal(400, (await scene.Ask("GET", $"{path}?{parameters[0]}=a&{parameters[0]}=b")).Status);
    }

    [Fact]
    public async Task Ids_of_every_odd_kind_are_not_there()
    {
        await using ApiScene scene = await ApiScene.Start();
        foreach (Route route in RegistryServer.Routes.Where(r => r.Path.Contains("{id}", StringComparison.Ordinal)))
            foreach (string odd in (string[])["x", "..%2f..", "'%20OR%20'1'='1", new string('9', 2000), "%E2%80%AE"])
                await AssertClear(scene, route.Method, route.Path.Replace("{id}", odd, StringComparison.Ordinal), null, scene.Token);
    }

    [Fact]
    public async Task A_body_that_is_too_large_or_not_utf_8_is_refused()
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer large = await scene.Ask("POST", "/v1/leases", $"{{\"subscriber\": \"{new string('x', 70_000)}\"}}");
        Assert.Equal((413, ErrorCodes.BadRequest), (large.Status, large["code"]));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/leases") { Content = new ByteArrayContent([0x7b, 0xff, 0xfe, 0x7d]) };
        Assert.Equal(400, (await scene.Send(request)).Status);
        Assert.Equal("0 0 1 0 1 0 0 0", State(scene));
    }

    [Fact]
    public async Task All_faults_of_a_request_are_told_at_once_with_what_was_meant()
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer answer = await scene.Ask("POST", "/v1/leases", """{"subscriber": 7, "softwir": "2001:db8::1", "class": "palace\u0007"}""");
        Assert.Equal(400, answer.Status);
        Assert.Equal(["softwir", "subscriber", "class", "softwire"], answer.Json.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("field").GetString()));
        Assert.Contains("did you mean 'softwire'?", answer["detail"], StringComparison.Ordinal);
    }

    static async Task AssertClear(ApiScene scene, string method, string path, string? body, string token)
    {
        string before = State(scene);
        Answer answer = await scene.Ask(method, path, body, token);
        string what = $"{method} {path} {body}\n{answer.Status} {answer.Text}";
        if (answer.Status < 300) return;
        Assert.True(answer.Status is >= 400 and < 500, what);
        Assert.True(answer.Type == "application/problem+json", what);
        Assert.True(answer["detail"].Length > 10 && answer["code"].StartsWith("AP60", StringComparison.Ordinal), what);
        Assert.True(before == State(scene), $"stored by {what}");
    }
}
