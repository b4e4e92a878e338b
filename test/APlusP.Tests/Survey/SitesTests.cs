using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Survey.Counting;
using APlusP.Survey.Sites;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;
using APlusP.Tests.Daemons;
using CsCheck;

namespace APlusP.Tests.Survey;

/// <summary>Several sites and what becomes of their samples: at the collector, and in one survey.</summary>
public sealed class SitesTests : IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    string At(string name) => Path.Combine(_directory, name);

    string Data => At("collector");

    CollectorPlace Place => new(Data, [new IPEndPoint(IPAddress.Loopback, 0)], null, null);

    /// <summary>A survey of so many samples from a second on, of hosts whose ports are their last octet and the sample's number.</summary>
    string Survey(string name, int samples, long from = 1000, bool byAddress = false, int hosts = 5, int every = 10, ApplicationRules? rules = null)
    {
        rules ??= ApplicationRules.Standard;
        using SurveyStore store = SurveyStore.OpenToAdd(At(name), rules, byAddress);
        store.Together(() =>
        {
            for (int i = 0; i < samples; i++)
                store.Add(new SampleTime(DateTimeOffset.FromUnixTimeSeconds(from + i * every), TimeSpan.FromSeconds(every)), new TickCounts([.. Enumerable.Range(1, hosts).Select(h => (Host(h), Counts(h + i, rules)))], 0, 3), rules);
        });
        return At(name);
    }

    static HostAddress Host(int number) => number % 2 == 0 ? HostAddress.Of(new IPv4Address(0xc0a80100u + (uint)number)) : HostAddress.Of(IPv6Address.Parse($"2001:db8::{number}"));

    static HostCounts Counts(int ports, ApplicationRules rules)
    {
        var counts = new HostCounts { Ports = ports, MinimumPorts = 1, PeakPorts = ports + 2, Flows = ports + 1, ByApplication = new int[rules.Names.Count] };
        counts.ByApplication[ports % rules.Names.Count] = ports;
        counts.ByProtocol[0] = ports;
        counts.ByState[3] = ports;
        return counts;
    }

    static string Csv(string path)
    {
        using SurveyStore store = SurveyStore.Open(path);
        var text = new StringWriter();
        APlusP.Survey.Export.CsvExport.Write(APlusP.Survey.Export.ExportTable.OfHosts(store, new SurveyPart()), text);
        return text.ToString();
    }

    ApiAddress Address(SiteCollector collector, string token)
    {
        string file = At("token");
        File.WriteAllText(file, token);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return new ApiAddress(new Uri(collector.Addresses[0].Replace("[::]", "127.0.0.1", StringComparison.Ordinal))) { TokenFile = file };
    }

    async Task<int> Push(SiteCollector collector, string token, string store)
    {
        using var pusher = new SitePusher(store, Address(collector, token));
        return await pusher.Push(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task What_a_site_pushed_is_at_the_collector_once_and_later_samples_follow()
    {
        string store = Survey("rennes.db", 400), token = new SiteBook(Data).Add("rennes");
        await using (SiteCollector collector = await SiteCollector.Start(Place, _ => { }))
        {
            Assert.Equal(400, await Push(collector, token, store));
            Assert.Equal(Csv(store), Csv(Path.Combine(Data, "rennes.db")));
            Assert.Equal(0, await Push(collector, token, store));
            Survey("rennes.db", 3, from: 6000, hosts: 9);
        }

        // The collector was away, and hosts and applications have come meanwhile.
        ApplicationRules more = ApplicationRules.Check("rules", "[[application]]\nname = \"radio\"\nudp = \"5004\"\n").Require("rules");
        Survey("rennes.db", 2, from: 7000, rules: more);
        await using (SiteCollector collector = await SiteCollector.Start(Place, _ => { }))
        {
            Assert.Equal(5, await Push(collector, token, store));
            Assert.Equal(Csv(store), Csv(Path.Combine(Data, "rennes.db")));
        }

        // What is at the collector says as little of who is who as what the site has without its key.
        Assert.False(File.Exists(HostKey(Path.Combine(Data, "rennes.db"))));
        Assert.Equal(ErrorCodes.NoSuchHost, Assert.Throws<APlusPException>(() =>
        {
            using SurveyStore kept = SurveyStore.Open(Path.Combine(Data, "rennes.db"));
            kept.HostOf("192.168.1.2");
        }).Code);
        static string HostKey(string path) => $"{path}.key";
    }

    [Fact]
    public async Task A_site_has_its_own_store_and_a_token_of_nobody_is_refused()
    {
        var book = new SiteBook(Data);
        string lyon = book.Add("lyon"), paris = book.Add("paris"), a = Survey("a.db", 10), b = Survey("b.db", 20, byAddress: true);
        await using SiteCollector collector = await SiteCollector.Start(Place, _ => { });
        await Push(collector, lyon, a);
        await Push(collector, paris, b);
        Assert.Equal((Csv(a), Csv(b)), (Csv(book.StoreOf("lyon")), Csv(book.StoreOf("paris"))));

        APlusPException refused = await Assert.ThrowsAsync<APlusPException>(() => Push(collector, "aplusp-guess", a));
        Assert.Equal(ErrorCodes.NoSuchSite, refused.Code);
        Assert.Contains("no site's", refused.Message, StringComparison.Ordinal);
        string renewed = book.Add("lyon");
        await Assert.ThrowsAsync<APlusPException>(() => Push(collector, lyon, a));
        Assert.Equal(0, await Push(collector, renewed, a));
        book.Remove("lyon");
        await Assert.ThrowsAsync<APlusPException>(() => Push(collector, renewed, a));
        Assert.Equal(["paris"], book.Names);
        Assert.DoesNotContain(paris, await File.ReadAllTextAsync(Path.Combine(Data, "sites"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        foreach (string name in new[] { "", "../x", "Lyon", "-a", new string('a', 41) }) Assert.Equal(ErrorCodes.NoSuchSite, Assert.Throws<APlusPException>(() => book.Add(name)).Code);
    }

    [Fact]
    public async Task A_site_that_begins_anew_with_another_key_is_refused_in_words()
    {
        string token = new SiteBook(Data).Add("site");
        await using SiteCollector collector = await SiteCollector.Start(Place, _ => { });
        await Push(collector, token, Survey("old.db", 3));
        APlusPException refused = await Assert.ThrowsAsync<APlusPException>(() => Push(collector, token, Survey("new.db", 3, from: 9000)));
        Assert.Equal(ErrorCodes.SurveySettings, refused.Code);
        Assert.Contains("another key", refused.Message, StringComparison.Ordinal);
        Assert.Equal(Csv(At("old.db")), Csv(new SiteBook(Data).StoreOf("site")));
    }

    [Fact]
    public async Task By_tls_a_pinned_certificate_is_believed_and_beyond_loopback_there_is_nothing_without()
    {
        using var certificate = new TestCertificate(IPAddress.Loopback);
        string store = Survey("s.db", 3), token = new SiteBook(Data).Add("s");
        await using SiteCollector collector = await SiteCollector.Start(Place with { Certificate = certificate.Certificate, Key = certificate.Key }, _ => { });
        ApiAddress address = Address(collector, token);
        using (var pusher = new SitePusher(store, address with { Pin = certificate.Pin })) Assert.Equal(3, await pusher.Push(TestContext.Current.CancellationToken));
        using (var pusher = new SitePusher(store, address with { CaFile = certificate.Authority })) Assert.Equal(0, await pusher.Push(TestContext.Current.CancellationToken));
        using (var pusher = new SitePusher(store, address with { Pin = new string('A', 64) }))
            Assert.Equal(ErrorCodes.NoCollector, (await Assert.ThrowsAsync<APlusPException>(() => pusher.Push(TestContext.Current.CancellationToken))).Code);
        APlusPException open = await Assert.ThrowsAsync<APlusPException>(() => SiteCollector.Start(Place with { Listen = [new IPEndPoint(IPAddress.Any, 0)] }, _ => { }));
        Assert.Equal(ErrorCodes.CollectorNotListening, open.Code);
    }

    [Fact]
    public async Task What_is_no_batch_is_refused_and_nothing_of_it_is_kept()
    {
        string token = new SiteBook(Data).Add("site"), path = Survey("s.db", 3);
        await using SiteCollector collector = await SiteCollector.Start(Place, _ => { });
        await Push(collector, token, path);
        string before = Csv(new SiteBook(Data).StoreOf("site"));
        using var client = new HttpClient { BaseAddress = new Uri(collector.Addresses[0]) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        async Task<(HttpStatusCode, string)> Send(string body)
        {
            using HttpResponseMessage answer = await client.PostAsync(new Uri("v1/samples", UriKind.Relative), new StringContent(body, Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        using SurveyStore next = SurveyStore.Open(Survey("s.db", 2, from: 5000));
        SampleBatch sound = next.BatchAfter(DateTimeOffset.FromUnixTimeSeconds(4000), 10)!;
        JsonObject Batch() => JsonNode.Parse(System.Text.Json.JsonSerializer.Serialize(sound, SiteJson.Default.SampleBatch))!.AsObject();
        Action<JsonObject>[] faults =
        [
            b => b["samples"]![1]!["counts"] = "AAAA",
            b => b["samples"]![1]!["counts"] = Convert.ToBase64String(sound.Samples[1].Counts[..^3]),
            b => b["samples"]![1]!["at"] = -1, b => b["samples"]![1]!["at"] = long.MaxValue, b => b["samples"]![1]!["period"] = 0, b => b["samples"]![1]!["beyond"] = -1,
            b => b["samples"]![1] = null, b => b["samples"]![1]!["counts"] = null, b => b["samples"] = new JsonArray(), b => b.Remove("samples"),
            b => b["hosts"]!.AsArray().RemoveAt(0), b => b["hosts"]![0] = null, b => b["hosts"]![0]!["family"] = 5, b => b["hosts"]![0]!["name"] = "", b => b["hosts"]![0]!["name"] = "a b",
            b => b["hosts"]![0]!["name"] = null, b => b["hosts"]![0]!["name"] = new string('x', 65), b => b.Remove("hosts"),
            b => b["applications"]![0] = "Not a name", b => b["applications"]![0] = null, b => b["applications"] = new JsonArray(), b => b.Remove("applications"),
            b => b["hostsAre"] = "numbers", b => b.Remove("hostsAre"), b => b["key"] = null, b => b["key"] = new string('k', 65),
        ];
        foreach (Action<JsonObject> fault in faults)
        {
            JsonObject batch = Batch();
            fault(batch);
            (HttpStatusCode status, string answer) = await Send(batch.ToJsonString());
            Assert.True(status == HttpStatusCode.BadRequest, $"{status} to {batch.ToJsonString()[..200]}: {answer}");
            Assert.Contains(ErrorCodes.BadBatch, answer, StringComparison.Ordinal);
        }

        foreach (string body in new[] { "", "null", "[]", "{}", "{", "\u0000" }) Assert.Equal(HttpStatusCode.BadRequest, (await Send(body)).Item1);
        Assert.Equal(before, Csv(new SiteBook(Data).StoreOf("site")));
        Assert.Equal(HttpStatusCode.OK, (await Send(Batch().ToJsonString())).Item1);
        Assert.Equal(Csv(path), Csv(new SiteBook(Data).StoreOf("site")));
    }

    [Fact]
    public void Counts_that_anybody_made_up_are_read_or_refused_and_never_more()
    {
        string path = Survey("s.db", 1);
        using SurveyStore from = SurveyStore.Open(path);
        SampleBatch sound = from.BatchAfter(null, 1)!;
        int made = 0;
        Gen.Byte.Array[0, 60].Sample(octets =>
        {
            byte[] packed = new byte[200];
            Assert.True(System.IO.Compression.BrotliEncoder.TryCompress(octets, packed, out int length, 1, 18));
            SampleBatch batch = sound with { Samples = [sound.Samples[0] with { Counts = packed[..length] }] };
            string copy = At($"made-{Interlocked.Increment(ref made)}.db");
            using SurveyStore store = SurveyStore.OpenReplica(copy, batch);
            try
            {
                store.Add(batch);
            }
            catch (InvalidDataException)
            {
                Assert.Equal(0, store.Samples);
            }
        }, iter: 300, threads: 1);
    }

    [Fact]
    public void Surveys_of_two_sites_are_one_with_all_of_their_hosts()
    {
        // At other moments, and one begins a minute later and misses a sample in the middle.
        string rennes = Survey("rennes.db", 30, from: 1000), lyon = Survey("lyon.db", 10, from: 1063), merged = At("all.db");
        Survey("lyon.db", 10, from: 1063 + 110);
        using (SurveyStore a = SurveyStore.Open(rennes), b = SurveyStore.Open(lyon)) Assert.Equal([("rennes", 0), ("lyon", 0)], SurveyStore.Merge(merged, [("rennes", a), ("lyon", b)]));

        using SurveyStore store = SurveyStore.Open(merged);
        Assert.Equal((30, 10), (store.Samples, store.Hosts.Count));
        Assert.All(store.Hosts, host => Assert.Matches("^(rennes|lyon)/host-", host.Name));
        var sums = new List<(long At, int Hosts, int Ports)>();
        store.Read((time, hosts) => sums.Add((time.At.ToUnixTimeSeconds(), hosts.Count, hosts.Sum(h => h.Counts.Ports))));
        Assert.Equal(
            Enumerable.Range(0, 30).Select(i =>
            {
                int ports = Enumerable.Range(1, 5).Sum(h => h + i), other = i is >= 6 and < 16 ? i - 6 : i is >= 17 and < 27 ? i - 17 : -1;
                return (1000L + 10 * i, other < 0 ? 5 : 10, ports + (other < 0 ? 0 : Enumerable.Range(1, 5).Sum(h => h + other)));
            }),
            sums);
        SurveyStatistics all = SurveyStatistics.Of(store, new SurveyPart());
        using SurveyStore one = SurveyStore.Open(rennes), two = SurveyStore.Open(lyon);
        Assert.Equal(SurveyStatistics.Of(one, new SurveyPart()).Ports.Sum + SurveyStatistics.Of(two, new SurveyPart()).Ports.Sum, all.Ports.Sum);
    }

    [Fact]
    public void Surveys_of_other_periods_or_into_a_survey_that_is_there_are_not_merged()
    {
        using SurveyStore ten = SurveyStore.Open(Survey("a.db", 3)), minute = SurveyStore.Open(Survey("b.db", 3, every: 60));
        Assert.Contains("60 s", Assert.Throws<APlusPException>(() => SurveyStore.Merge(At("m.db"), [("a", ten), ("b", minute)])).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(At("m.db")));
        Assert.Equal(ErrorCodes.SurveyStorage, Assert.Throws<APlusPException>(() => SurveyStore.Merge(At("a.db"), [("b", minute)])).Code);
    }
}
