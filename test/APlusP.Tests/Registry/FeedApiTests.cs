using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using APlusP.Core;
using APlusP.Registry.Configuration;

namespace APlusP.Tests.Registry;

/// <summary>GET /v1/bindings, as PRRs follow it.</summary>
public class FeedApiTests
{
    static async Task<Answer> Grant(ApiScene scene, int number)
    {
        Answer answer = await scene.Ask("POST", "/v1/leases", $$"""{"subscriber": "cpe-{{number}}", "softwire": "2001:db8::{{number}}"}""");
        Assert.Equal(201, answer.Status);
        return answer;
    }

    static JsonElement[] Lines(string text) => [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement.Clone())];

    [Fact]
    public async Task Names_stand_in_the_line_of_their_lease()
    {
        await using ApiScene scene = await ApiScene.Start();
        await Grant(scene, 1);
        await scene.Ask("POST", "/v1/names", """{"name": "www.example.org", "subscriber": "cpe-1", "http": 1024, "https": 1025, "proxied": true}""");
        await scene.Ask("POST", "/v1/names", """{"name": "a.example.org", "subscriber": "cpe-1", "https": 1026}""");
        JsonElement line = Lines((await scene.Ask("GET", "/v1/bindings")).Text)[1];
        Assert.Equal(["softwire", "address", "ports", "until", "names"], line.EnumerateObject().Select(p => p.Name));
        Assert.Equal(["""{"name":"a.example.org","https":1026}""", """{"name":"www.example.org","http":1024,"https":1025,"proxied":true}"""], line.GetProperty("names").EnumerateArray().Select(n => n.GetRawText()).Order());
    }

    [Fact]
    public async Task Without_a_version_all_bindings_come_and_with_one_what_changed_since()
    {
        await using ApiScene scene = await ApiScene.Start();
        Answer lease = await Grant(scene, 1);
        await Grant(scene, 2);
        Answer answer = await scene.Ask("GET", "/v1/bindings");
        Assert.Equal((200, "application/x-ndjson"), (answer.Status, answer.Type));
        JsonElement[] lines = Lines(answer.Text);
        Assert.Equal(("snapshot", 2, 4), (lines[0].GetProperty("begins").GetString(), lines[0].GetProperty("leases").GetInt32(), lines.Length));
        JsonElement first = lines.Single(l => l.TryGetProperty("softwire", out JsonElement s) && s.GetString() == "2001:db8::1");
        Assert.Equal((lease["address"], "1024-1151", DateTimeOffset.Parse(lease["until"]).ToUnixTimeMilliseconds()),
            (first.GetProperty("address").GetString(), first.GetProperty("ports").GetString(), first.GetProperty("until").GetInt64()));
        string version = lines[3].GetProperty("version").GetString()!;
        Assert.Equal((2, false), (lines[3].GetProperty("lines").GetInt32(), lines[3].TryGetProperty("after", out _)));

        await scene.Ask("DELETE", $"/v1/leases/{lease["id"]}");
        lines = Lines((await scene.Ask("GET", $"/v1/bindings?after={version}")).Text);
        Assert.Equal(["begins", "gone", "version"], lines.Select(l => l.EnumerateObject().First().Name));
        Assert.Equal(("changes", "2001:db8::1", version), (lines[0].GetProperty("begins").GetString(), lines[1].GetProperty("gone").GetString(), lines[2].GetProperty("after").GetString()));

        // One that this database does not know leads to all of them, and says why.
        lines = Lines((await scene.Ask("GET", "/v1/bindings?after=999:0123456789abcdef")).Text);
        Assert.Equal("snapshot", lines[0].GetProperty("begins").GetString());
        Assert.Contains("restored from an older copy", lines[0].GetProperty("why").GetString(), StringComparison.Ordinal);
        Assert.Equal(400, (await scene.Ask("GET", "/v1/bindings?after=yesterday")).Status);
        Assert.Equal(400, (await scene.Ask("GET", "/v1/bindings?follow=maybe")).Status);
    }

    [Fact]
    public async Task An_answer_that_follows_goes_on_with_each_change_and_says_now_and_then_that_it_is_alive()
    {
        await using ApiScene scene = await ApiScene.Start();
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = scene.Address };
        using HttpResponseMessage answer = await client.GetAsync("/v1/bindings?follow=true", HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        async Task<JsonElement> Next() => JsonDocument.Parse((await reader.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken))!).RootElement.Clone();
        Assert.Equal("snapshot", (await Next()).GetProperty("begins").GetString());
        string version = (await Next()).GetProperty("version").GetString()!;
        for (int i = 1; i <= 5; i++)
        {
            await Grant(scene, i);
            JsonElement line = await Next();
            while (line.TryGetProperty("version", out JsonElement same) && same.GetString() == version) line = await Next();
            Assert.Equal($"2001:db8::{i}", line.GetProperty("softwire").GetString());
            JsonElement end = await Next();
            Assert.Equal(version, end.GetProperty("after").GetString());
            version = end.GetProperty("version").GetString()!;
        }

        JsonElement alive = await Next();
        Assert.Equal((version, 0), (alive.GetProperty("version").GetString(), alive.GetProperty("lines").GetInt32()));
    }

    [Fact]
    public async Task A_routers_token_is_good_for_this_alone_and_ends_the_stream_when_it_is_revoked()
    {
        await using ApiScene scene = await ApiScene.Start(s => s with { Loopback = LoopbackAccess.Token });
        Answer made = await scene.Ask("POST", "/v1/credentials", """{"kind": "router", "name": "prr-1"}""", scene.Token);
        Assert.Equal((201, "router"), (made.Status, made["kind"]));
        string token = made["secret"];
        Assert.Equal(200, (await scene.Ask("GET", "/v1/bindings", token: token)).Status);
        foreach ((string method, string path) in new[] { ("GET", "/v1/leases"), ("POST", "/v1/leases"), ("GET", "/v1/who?address=192.0.2.1&port=1"), ("GET", "/v1/pools"), ("GET", "/v1/credentials"), ("POST", "/v1/enrol"), ("POST", "/v1/keys/rotate") })
            Assert.Equal((403, ErrorCodes.NotAllowed), (await scene.Ask(method, path, method == "POST" ? "{}" : null, token)) is var refused ? (refused.Status, refused["code"]) : default);
        Assert.Equal(401, (await scene.Ask("GET", "/v1/bindings")).Status);
        Answer enrolment = await scene.Ask("POST", "/v1/credentials", """{"kind": "enrolment", "name": "boxes"}""", scene.Token);
        Assert.Equal(403, (await scene.Ask("GET", "/v1/bindings", token: enrolment["secret"])).Status);
        Answer key = await scene.Ask("POST", "/v1/enrol", """{"subscriber": "cpe-1"}""", enrolment["secret"]);
        Assert.Equal(403, (await scene.Ask("GET", "/v1/bindings", token: key["key"])).Status);
        foreach (string field in (string[])["\"role\": \"read\"", "\"class\": \"home\"", "\"uses\": 3"])
            Assert.Equal(400, (await scene.Ask("POST", "/v1/credentials", $"{{\"kind\": \"router\", \"name\": \"prr-1\", {field}}}", scene.Token)).Status);

        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = scene.Address };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        using HttpResponseMessage answer = await client.GetAsync("/v1/bindings?follow=true", HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Task<string> rest = answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal(200, (await scene.Ask("DELETE", $"/v1/credentials/{made["id"]}", token: scene.Token)).Status);
        await rest.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.Equal(401, (await scene.Ask("GET", "/v1/bindings", token: token)).Status);
    }

    [Fact]
    public async Task A_registry_that_stops_ends_the_streams()
    {
        ApiScene scene = await ApiScene.Start();
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = scene.Address };
        using HttpResponseMessage answer = await client.GetAsync("/v1/bindings?follow=true", HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Task<string> rest = answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        await scene.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Contains("\"version\"", await rest.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }
}
