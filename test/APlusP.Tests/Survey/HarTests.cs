using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Readers;

namespace APlusP.Tests.Survey;

/// <summary>Page loads that a browser saved: which ports they took.</summary>
public sealed class HarTests : IDisposable
{
    readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    static readonly DateTimeOffset s_start = new(2026, 11, 26, 12, 0, 0, TimeSpan.Zero);

    static string Entry(double start, double milliseconds, string server, string? connection = null, string url = "https://www.example/", string version = "HTTP/1.1", double dns = -1, bool closes = false) =>
        $$"""
        {"startedDateTime":"{{s_start.AddSeconds(start):yyyy-MM-dd'T'HH:mm:ss.fff'Z'}}","time":{{milliseconds}},"request":{"method":"GET","url":"{{url}}"},
         "response":{"status":200,"httpVersion":"{{version}}","headers":[{"name":"Connection","value":"{{(closes ? "close" : "keep-alive")}}"}]},"timings":{"dns":{{dns}}},"serverIPAddress":"{{server}}"{{(connection is null ? "" : $",\"connection\":\"{connection}\"")}}}
        """;

    static string Har(params string[] entries) => "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"test\",\"entries\":[{}]},\"pages\":[],\"entries\":[\n" + string.Join(",\n", entries) + "]}}";

    (List<(double At, TickCounts Counts)> Samples, FileResult Result) Read(string har, double every = 10)
    {
        File.WriteAllText(_path, har);
        var samples = new List<(double, TickCounts)>();
        FileResult result = SurveyFile.Read(_path, new SurveyReading(ApplicationRules.Standard, InsideNetworks.Private, TimeSpan.FromSeconds(every)), (at, counts) => samples.Add(((at!.Value - s_start).TotalSeconds, counts)));
        return (samples, result);
    }

    HostCounts One(params string[] entries)
    {
        (double _, TickCounts counts) = Assert.Single(Read(Har(entries)).Samples);
        return Assert.Single(counts.Hosts).Counts;
    }

    [Fact]
    public void A_page_of_thirty_hosts_takes_what_it_says()
    {
        // Six connections to each of thirty servers, each of which was looked up.
        string[] entries = [.. Enumerable.Range(0, 180).Select(i => Entry(i / 180.0, 500, $"203.0.113.{i % 30 + 1}", $"{1000 + i}", dns: i < 30 ? 12 : -1))];
        HostCounts counts = One(entries);
        Assert.Equal((210, 180, 30, 30), (counts.Ports, counts.Of("https"), counts.Of("dns"), counts.MinimumPorts));
    }

    [Fact]
    public void Requests_over_one_connection_are_one_port()
    {
        Assert.Equal(1, One(Entry(0, 100, "203.0.113.1", "7"), Entry(0.2, 100, "203.0.113.1", "7")).Ports);
        Assert.Equal(2, One(Entry(0, 100, "203.0.113.1", "7"), Entry(0.2, 100, "203.0.113.1", "8")).Ports);

        // The same number to another server is another connection.
        Assert.Equal(2, One(Entry(0, 100, "203.0.113.1", "7"), Entry(0.2, 100, "203.0.113.2", "7")).Ports);
    }

    [Theory]
    [InlineData("HTTP/1.1", 3)]
    [InlineData("h2", 1)]
    [InlineData("HTTP/2.0", 1)]
    public void Where_connections_have_no_names_requests_at_the_same_time_need_their_own_unless_they_share(string version, int ports)
    {
        // The second begins while the first is under way; the third when both are over; the fourth and fifth beside it. Firefox writes the server's port.
        string[] starts = [.. new[] { (0.0, 500), (0.2, 500), (1.0, 500), (1.1, 500), (1.2, 500) }.Select(r => Entry(r.Item1, r.Item2, "203.0.113.1", "443", version: version))];
        Assert.Equal(ports, One(starts).Ports);
    }

    [Fact]
    public void HTTP_3_is_a_port_of_UDP_and_of_QUIC()
    {
        HostCounts counts = One(Entry(0, 100, "203.0.113.1", version: "h3"), Entry(0, 100, "203.0.113.1", version: "http/2.0"));
        Assert.Equal((1, 1, 1, 1), (counts.Of("quic"), counts.Of("https"), counts.ByProtocol[0], counts.ByProtocol[1]));
    }

    [Fact]
    public void A_connection_counts_until_the_load_is_over_or_the_server_closes_it()
    {
        (List<(double At, TickCounts Counts)> samples, _) = Read(Har(Entry(0, 100, "203.0.113.1", closes: true), Entry(0, 100, "203.0.113.2"), Entry(4, 500, "203.0.113.3")), every: 2);
        Assert.Equal([2, 4, 4.5], samples.Select(s => s.At));
        Assert.Equal([1, 2, 2], samples.Select(s => s.Counts.Hosts[0].Counts.Ports));
        Assert.Equal([2, 2, 2], samples.Select(s => s.Counts.Hosts[0].Counts.PeakPorts));
    }

    [Fact]
    public void Both_families_are_told_apart()
    {
        (double _, TickCounts counts) = Assert.Single(Read(Har(Entry(0, 100, "203.0.113.1"), Entry(0, 100, "[2001:db8::1]"), Entry(0, 100, "2001:db8::2"))).Samples);
        Assert.Equal([(false, 1), (true, 2)], counts.Hosts.Select(h => (h.Address.IsIPv6, h.Counts.Ports)).OrderBy(h => h.Item2));
    }

    [Fact]
    public void What_came_from_the_cache_took_no_port()
    {
        (List<(double At, TickCounts Counts)> samples, FileResult result) = Read(Har(Entry(0, 100, ""), Entry(0, 100, "203.0.113.1")));
        Assert.Equal((1, 1, 0), (samples[0].Counts.Hosts[0].Counts.Ports, result.LeftOut, result.Faults.Count));
    }

    [Fact]
    public void Of_a_file_that_was_cut_what_came_before_is_kept_and_faults_have_their_lines()
    {
        string har = Har(Entry(0, 100, "203.0.113.1"), Entry(0, 100, "nobody"), Entry(0, 100, "203.0.113.2"), Entry(0, 100, "203.0.113.3"));
        (List<(double At, TickCounts Counts)> samples, FileResult result) = Read(har[..^40]);
        Assert.Equal(2, samples[0].Counts.Hosts[0].Counts.Ports);
        Assert.Equal([(4, "'nobody' is no address of a server"), (9, "the JSON is damaged, or ends, here")], result.Faults.First);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"log\":{\"entries\":[]}}")]
    [InlineData("{\"log\":[1]}")]
    [InlineData("{\"log\":{\"entries\":[{\"serverIPAddress\":\"203.0.113.1\"}]}}")]
    [InlineData("{\"log\":")]
    public void JSON_that_is_no_page_load_is_refused(string json)
    {
        APlusPException error = Assert.Throws<APlusPException>(() => Read(json));
        Assert.Equal(ErrorCodes.NotASurveyFile, error.Code);
        Assert.Contains("is JSON without a request that took a connection", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Whatever_a_file_holds_nothing_but_a_refusal_is_thrown()
    {
        byte[] har = Encoding.UTF8.GetBytes(Har(Entry(0, 100, "203.0.113.1", "7", dns: 3), Entry(0.2, 100, "2001:db8::1", version: "h3")));
        var random = new Random(1);
        for (int i = 0; i < 500; i++)
        {
            byte[] other = [.. har];
            for (int j = 0; j < 3; j++) other[random.Next(other.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(_path, other);
            try
            {
                SurveyFile.Read(_path, new SurveyReading(ApplicationRules.Standard, InsideNetworks.Private, TimeSpan.FromSeconds(10)), (_, _) => { });
            }
            catch (APlusPException error)
            {
                Assert.Equal(ErrorCodes.NotASurveyFile, error.Code);
            }
        }
    }
}
