using APlusP.Lab;

namespace APlusP.LabTests.Registry;

/// <summary>Block events as real collectors read them: nfcapd with nfdump, and tshark.</summary>
public sealed class IpfixCollectorTests : IDisposable
{
    readonly RegistryHost _host = new();

    public void Dispose() => _host.Dispose();

    void Registry(string transport) => _host.Start($$"""
        [[pool]]
        prefix = "192.0.2.0/30"
        [ipfix]
        collector = "127.0.0.1:4739"
        transport = "{{transport}}"
        observation-domain = 6346
        """);

    /// <summary>A subscriber comes, gets more ports, and goes.</summary>
    void Live()
    {
        string lease = Ask("/v1/leases", """{"subscriber": "cpe-1", "softwire": "2001:db8:5::1"}""").Split("\"id\":\"")[1].Split('"')[0];
        Ask($"/v1/leases/{lease}/grow", "{}");
        Assert.Contains("\n200", _host.Curl($"http://127.0.0.1:8646/v1/leases/{lease}", "-X", "DELETE").Output, StringComparison.Ordinal);
    }

    string Ask(string path, string body) => _host.Curl($"http://127.0.0.1:8646{path}", "-d", body).Output;

    bool Exporting => File.ReadAllText(_host.File("registry.log")).Contains("block events go to the IPFIX collector", StringComparison.Ordinal);

    [Fact]
    public void Nfdump_reads_blocks_that_were_allocated_and_deallocated()
    {
        Programs.Require("nfcapd", "nfdump");
        Directory.CreateDirectory(_host.File("flows"));
        LabProcess collector = _host.Machine.Start("nfcapd", _host.File("nfcapd.log"), "nfcapd", "-b", "127.0.0.1", "-p", "4739", "-w", _host.File("flows"));
        collector.WaitUntil(() => _host.Machine.Run("ss", "-Hlun", "sport = :4739").Output.Length > 0, TimeSpan.FromSeconds(30), "listen");
        Registry("udp");
        RegistryHost.Until(() => Exporting, "the registry exports");
        Live();

        // It writes what it has when it is asked to end; asked too early it would have nothing, so the registry must have told all.
        RegistryHost.Until(() => Told() == Events(), "everything is told");
        RegistryHost.Until(() => _host.Machine.Run("ss", "-Hlun", "sport = :4739").Output.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, "0", ..], "the collector has read all");
        Thread.Sleep(1000);
        collector.Stop(TimeSpan.FromSeconds(20));
        string read = Commands.Require("nfdump", "-R", _host.File("flows"), "-o", "raw");

        // Ports and names nfdump 1.7.1 leaves out; tshark below has them.
        string[] lines = [.. read.Split('\n').Select(l => string.Join(' ', l.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)))];
        Assert.Equal(["16:", "16:", "17:"], lines.Where(l => l.StartsWith("nat event =", StringComparison.Ordinal)).Select(l => l.Split(' ')[3]));
        Assert.Equal((3, 3), (lines.Count(l => l == "src addr = 2001:db8:5::1"), lines.Count(l => l == "src xlt ip = 192.0.2.0")));
    }

    string Query(string sql) => Commands.Require("sqlite3", _host.File("data/registry.db"), sql).Trim();

    string Told() => Query("SELECT seq FROM export");

    string Events() => Query("SELECT seq FROM chain");

    [Fact]
    public void Tshark_reads_every_field_of_a_session_by_tcp()
    {
        Programs.Require("tshark", "socat");
        string capture = _host.File("ipfix.pcap");
        LabProcess sniffer = _host.Machine.Start("tcpdump", _host.File("tcpdump.log"), "tcpdump", "-U", "-i", "lo", "-w", capture, "tcp port 4739");
        sniffer.WaitUntil(() => File.Exists(capture) && new FileInfo(capture).Length >= 24, TimeSpan.FromSeconds(30), "capture");
        _host.Machine.Start("socat", _host.File("socat.log"), "socat", "-u", "TCP-LISTEN:4739,fork,reuseaddr", $"OPEN:{_host.File("stream")},creat,append");
        Registry("tcp");
        RegistryHost.Until(() => Exporting, "the registry exports");
        Live();
        string[] expected =
        [
            "16 2001:db8:5::1 192.0.2.0 1024 1151 cpe-1", "16 2001:db8:5::1 192.0.2.0 1152 1279 cpe-1", "17 2001:db8:5::1 192.0.2.0 1024 1279 cpe-1",
        ];
        string[] fields = ["cflow.nat_event", "cflow.srcaddrv6", "cflow.post_natsource_ipv4_address", "cflow.port_range_start", "cflow.port_range_end", "cflow.user_name"];
        string read = "";
        bool seen = Wait.Until(() =>
        {
            // A line is a frame, and has the values of all its records with commas between.
            read = Commands.Run(["tshark", "-r", capture, "-Y", "cflow.nat_event && cflow.od_id == 6346", "-T", "fields", .. fields.SelectMany(f => (string[])["-e", f])]).Text;
            IEnumerable<string> records = read.Split('\n').Select(l => l.Split('\t').Select(values => values.Split(',')).ToArray()).Where(l => l.Length == fields.Length)
                .SelectMany(l => Enumerable.Range(0, l[0].Length).Select(i => string.Join(' ', l.Select(values => values[i]))));
            return records.SequenceEqual(expected);
        }, TimeSpan.FromSeconds(60));
        Assert.True(seen, read);
    }
}
