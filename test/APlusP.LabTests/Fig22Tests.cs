using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Lab;

namespace APlusP.LabTests;

public class Fig22Lab : LabFixture
{
    public Fig22Lab()
        : this("tc")
    {
    }

    protected Fig22Lab(string fastPath)
        : base(LabPlan.Fig22($"tfig22{fastPath}") with { FastPath = fastPath })
    {
    }
}

/// <summary>The experiment of the report's figure 22, with real programs.</summary>
public abstract partial class Fig22Tests(Fig22Lab lab)
{
    static readonly (string Host, PortRange Ports)[] s_hosts =
        [("A", new(11001, 12000)), ("B", new(10000, 11000)), ("C", new(10000, 11000)), ("D", new(10000, 11000))];

    public static TheoryData<string> Hosts => [.. s_hosts.Select(h => h.Host)];

    [Fact]
    public void Every_host_fetches_pages_at_once_over_http_and_https_through_one_address_and_disjoint_ports() => lab.Test(() =>
    {
        string pages = Path.Combine(lab.Lab.Directory, "www4", "pages");
        string[] names = ["index.html", "picture.jpg", "film.mp4"];
        string expected = string.Concat(names.Concat(names).Select(name => Sha(File.ReadAllBytes(Path.Combine(pages, name))) + "\n"));
        int before = lab.Lab.AccessLog("www4").Count;

        string certificate = lab.Lab.Certificate;
        string script = string.Join('\n', ((string[])["http", "https"]).SelectMany(scheme => names.Select(name =>
            $"curl -sS --fail --max-time 30 --cacert {certificate} -A $1 {scheme}://www4.example/{name} | sha256sum | cut -d ' ' -f 1")));
        Task<string>[] fetches = [.. s_hosts.Select(h => Task.Run(() => lab[h.Host].Do("bash", "-o", "pipefail", "-ec", script, "bash", h.Host)))];
        Task.WaitAll(fetches);

        Assert.All(fetches, fetch => Assert.Equal(expected.TrimEnd('\n'), fetch.Result));
        int requests = s_hosts.Length * names.Length * 2;
        IReadOnlyList<AccessLogEntry> log = lab.Logged("www4", before, requests);
        Assert.Equal(requests, log.Count);
        Assert.All(log, entry => Assert.Equal(LabPlan.SharedAddress, entry.Address));
        foreach ((string host, PortRange ports) in s_hosts)
            Assert.All(log.Where(entry => entry.Agent == host), entry => Assert.True(ports.Contains((ushort)entry.Port), $"{host} came from port {entry.Port}, outside {ports}"));
        Assert.Equal(s_hosts.Length, log.Select(entry => entry.Agent).Distinct().Count());
    });

    [Fact]
    public void No_ipv4_exists_between_smap_and_prr() => lab.Test(() =>
    {
        NetworkNamespace core = lab["core"];
        Assert.DoesNotContain(core.Do("ip", "-4", "-o", "addr").Split('\n'), line => line.Length > 0 && !line.Contains(" lo "));
        Assert.Equal("", core.Do("ip", "-4", "route"));
        foreach (string smap in (string[])["smap1", "smap2"])
            Assert.Equal("", lab[smap].Do("ip", "-4", "-o", "addr", "show", "dev", "wan"));
        Assert.Equal("", lab["prr"].Do("ip", "-4", "-o", "addr", "show", "dev", "core"));

        LabProcess ipv4 = lab.Lab.Start("core", "ipv4-watch", "tcpdump", "-i", "any", "-n", "-l", "ip or arp");
        LabProcess softwire = lab.Lab.Start("core", "softwire-watch", "tcpdump", "-i", "any", "-n", "-l", "ip6 proto 4");
        ipv4.WaitUntil(() => ipv4.ReadLog().Contains("listening on"), TimeSpan.FromSeconds(10), "listen");
        softwire.WaitUntil(() => softwire.ReadLog().Contains("listening on"), TimeSpan.FromSeconds(10), "listen");
        lab["A"].Do("ping", "-c", "3", "-i", "0.2", "-W", "2", LabTopology.Www4Address);
        lab["B"].Do("curl", "-sS", "--fail", "--max-time", "10", "-o", "/dev/null", $"http://{LabTopology.Www4Address}/");
        Wait.Until(() => softwire.ReadLog().Contains(" > "), TimeSpan.FromSeconds(20));
        ipv4.Stop();
        softwire.Stop();
        Assert.Contains("0 packets captured", ipv4.ReadLog());
        Assert.DoesNotContain("\n0 packets captured", softwire.ReadLog());
    });

    [Theory]
    [MemberData(nameof(Hosts))]
    public void A_resolver_answers_over_udp_and_tcp(string host) => lab.Test(() =>
    {
        string[] dig = ["dig", "+tries=1", "+time=3"];
        Assert.Equal(LabTopology.Www4Address, lab[host].Do([.. dig, "+short", "www4.example"]));
        Assert.Equal(LabTopology.Www6AddressV6, lab[host].Do([.. dig, "+short", "+tcp", "www6.example", "AAAA"]));

        // Too big for 512 octets: truncated over UDP, and dig comes again by TCP on its own.
        string big = lab[host].Do([.. dig, "+noedns", "big.example", "TXT"]);
        Assert.Contains("Truncated, retrying in TCP mode", big);
        Assert.Contains("(TCP)", big);
        Assert.Contains("ANSWER: 1", big);
    });

    [Theory]
    [MemberData(nameof(Hosts))]
    public void Ping_reaches_the_internet(string host) => lab.Test(() =>
        lab[host].Ping("-c", "5", "-i", "0.2", "-W", "2", LabTopology.Www4Address));

    [Theory]
    [InlineData("A", 1240)]
    [InlineData("B", 1420)]
    public void A_packet_of_the_clients_mtu_fits_the_softwire_in_one_piece(string host, int mtu) => lab.Test(() =>
    {
        // 28 octets are the headers of IPv4 and ICMP.
        lab[host].Ping("-M", "do", "-s", $"{mtu - 28}", "-c", "2", "-i", "0.2", "-W", "2", LabTopology.Www4Address);
    });

    [Fact]
    public void Ping_from_the_internet_to_an_identifier_reaches_the_host_that_holds_it() => lab.Test(() =>
    {
        // The hosts open mappings by pinging out; their identifiers lie in the sets and are kept.
        lab["B"].Do("ping", "-e", "10010", "-c", "1", "-W", "2", LabTopology.Www4Address);
        lab["A"].Do("ping", "-e", "11010", "-c", "1", "-W", "2", LabTopology.Www4Address);
        foreach ((string host, string identifier) in ((string, string)[])[("B", "10010"), ("A", "11010")])
        {
            long before = EchoRequestsOf(host);
            lab["www4"].Ping("-e", identifier, "-c", "3", "-i", "0.2", "-W", "2", LabPlan.SharedAddress);
            Assert.InRange(EchoRequestsOf(host) - before, 3, 9);
        }
    });

    [Fact]
    public void Ping_from_the_internet_to_an_identifier_of_nobody_goes_nowhere() => lab.Test(() =>
    {
        IReadOnlyDictionary<string, long> moved = lab.Moved("prr", () =>
            Assert.False(lab["www4"].Run("ping", "-e", "12001", "-c", "2", "-i", "0.2", "-W", "1", LabPlan.SharedAddress).Succeeded));
        Assert.Equal(2, moved["from-internet-drop-no-binding"]);
    });

    [Theory]
    [InlineData("B", "")]
    [InlineData("B", "-I")]
    [InlineData("A", "")]
    [InlineData("A", "-I")]
    public void Traceroute_sees_the_smap_then_the_prr_then_the_server(string host, string method) => lab.Test(() =>
    {
        string output = lab[host].Do([.. "traceroute -n -q 2 -w 2 -m 8".Split(' '), .. method.Length == 0 ? (string[])[] : [method], LabTopology.Www4Address]);
        string[] hops = [.. HopForm.Matches(output).Select(match => match.Groups["hop"].Value)];
        Assert.Equal([host == "A" ? "192.168.2.1" : "192.168.1.1", LabPlan.PrrAddress, "192.108.119.25", LabTopology.Www4Address], hops);
    });

    [Fact]
    public void Traceroute_from_the_internet_sees_the_prr_then_the_smap() => lab.Test(() =>
    {
        // An identifier that B holds; its SMAP and B answer as the shared address, the only one that they have out there.
        lab["B"].Do("ping", "-e", "10040", "-c", "1", "-W", "2", LabTopology.Www4Address);
        string output = string.Concat(Enumerable.Range(1, 4).Select(ttl =>
            lab["www4"].Run("ping", "-n", "-e", "10040", "-t", $"{ttl}", "-c", "1", "-W", "2", LabPlan.SharedAddress).Text));
        string[] hops = [.. HopOfPing.Matches(output).Select(match => match.Groups["hop"].Value)];
        Assert.Equal(["203.0.113.1", LabPlan.PrrAddress, LabPlan.SharedAddress, LabPlan.SharedAddress], hops);
        Assert.Contains("64 bytes from", output);
    });

    [GeneratedRegex(@"(From|from) (?<hop>[0-9.]+)[: ].*(Time to live|ttl=)", RegexOptions.ExplicitCapture)]
    private static partial Regex HopOfPing { get; }

    [Fact]
    public void A_closed_port_says_so_across_the_softwire_both_ways() => lab.Test(() =>
    {
        // From inside: nobody listens on the server's port. From outside: B's socket is closed, its mapping lives.
        using Socket inside = lab["B"].Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 3000 });
        inside.Bind(new IPEndPoint(IPAddress.Any, 10055));
        inside.Connect(IPAddress.Parse(LabTopology.Www4Address), 9);
        inside.Send([1]);
        Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => inside.Receive(new byte[10])).SocketErrorCode);
        inside.Dispose();

        using Socket outside = lab["www4"].Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 3000 });
        outside.Connect(IPAddress.Parse(LabPlan.SharedAddress), 10055);
        outside.Send([1]);
        Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => outside.Receive(new byte[10])).SocketErrorCode);
    });

    [GeneratedRegex(@"^ *\d+ +(?<hop>\S+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex HopForm { get; }

    [Theory]
    [InlineData("A", "up")]
    [InlineData("A", "down")]
    [InlineData("B", "up")]
    [InlineData("B", "down")]
    public void Iperf_runs_both_ways(string host, string way) => lab.Test(() =>
    {
        if (lab.Lab.Process("www4", "iperf3") is null) lab.Lab.StartIperf("www4");
        string[] command = ["iperf3", "-c", LabTopology.Www4Address, "-t", "2", "--json", .. way == "down" ? (string[])["-R"] : []];
        CommandResult report = lab[host].Run(command);
        double rate = Iperf.BitsPerSecond(report) ?? throw new Xunit.Sdk.XunitException(report.Text);
        TestContext.Current.TestOutputHelper!.WriteLine($"iperf3 {host} {way}: {rate / 1e6:F0} Mbit/s");
        Assert.True(rate > 10e6, $"{rate / 1e6:F1} Mbit/s is too slow to be sound:\n{report.Text}");
    });

    [Fact]
    public void Ssh_logs_in_from_both_rooms() => lab.Test(() =>
    {
        if (lab.Lab.Process("www4", "sshd") is null) lab.Lab.StartSsh("www4");
        foreach ((string host, PortRange ports) in s_hosts)
        {
            string client = lab[host].Do("ssh", "-i", $"{lab.Lab.Directory}/ssh/client", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5", $"root@{LabTopology.Www4Address}", "echo $SSH_CLIENT");
            string[] fields = client.Split(' ');
            Assert.Equal(LabPlan.SharedAddress, fields[0]);
            Assert.True(ports.Contains(ushort.Parse(fields[1], CultureInfo.InvariantCulture)), $"{host} came from port {fields[1]}, outside {ports}");
        }
    });

    [Fact]
    public void The_smap_itself_has_ipv4_by_the_same_ports() => lab.Test(() =>
    {
        int before = lab.Lab.AccessLog("www4").Count;
        lab["smap1"].Do("curl", "-sS", "--fail", "--max-time", "10", "-o", "/dev/null", "-A", "smap1", $"http://{LabTopology.Www4Address}/");
        AccessLogEntry entry = Assert.Single(lab.Logged("www4", before, 1), entry => entry.Agent == "smap1");
        Assert.Equal(LabPlan.SharedAddress, entry.Address);
        Assert.InRange(entry.Port, 10000, 11000);
    });

    [Fact]
    public void Native_ipv6_goes_past_all_this() => lab.Test(() =>
    {
        lab.AwaitQuiet("prr");
        IReadOnlyDictionary<string, long> moved = lab.Moved("prr", () =>
            lab["B"].Do("curl", "-6", "-sS", "--fail", "--max-time", "10", "-o", "/dev/null", "--cacert", lab.Lab.Certificate, $"http://[{LabTopology.Www6AddressV6}]/"));
        Assert.DoesNotContain(moved.Keys, name => name.EndsWith("-forwarded", StringComparison.Ordinal));
    });

    // Who sends what from room 1's SMAP, and the PRR's counter that must move. Only the true one may arrive.
    public static TheoryData<string, string, string, int, string> Spoofs => new()
    {
        { "the truth", "2001:660:7301:4666::1", "192.108.119.27", 10500, "from-smap-forwarded" },
        { "wrong outer source", "2001:660:7301:4666::3", "192.108.119.27", 10500, "from-smap-drop-unknown-softwire" },
        { "wrong inner source", "2001:660:7301:4666::1", "192.108.119.28", 10500, "from-smap-drop-source-address-not-bound" },
        { "the PRR's own address as inner source", "2001:660:7301:4666::1", "192.108.119.26", 10500, "from-smap-drop-source-address-not-bound" },
        { "the other room's port", "2001:660:7301:4666::1", "192.108.119.27", 11500, "from-smap-drop-source-port-not-bound" },
        { "the first port after the set", "2001:660:7301:4666::1", "192.108.119.27", 11001, "from-smap-drop-source-port-not-bound" },
        { "the last port before the set", "2001:660:7301:4666::1", "192.108.119.27", 9999, "from-smap-drop-source-port-not-bound" },
        { "port 0", "2001:660:7301:4666::1", "192.108.119.27", 0, "from-smap-drop-source-port-not-bound" },
    };

    [Theory]
    [MemberData(nameof(Spoofs))]
    public void A_softwire_packet_arrives_only_if_outer_source_inner_source_and_port_belong_together(
        string what, string outerSource, string source, int port, string counter) => lab.Test(() =>
    {
        using Socket server = lab["www4"].Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        server.Bind(new IPEndPoint(IPAddress.Parse(LabTopology.Www4Address), 0));
        server.ReceiveTimeout = what == "the truth" ? 20_000 : 500;
        var packet = new SoftwirePacket
        {
            OuterSource = IPv6Address.Parse(outerSource),
            OuterDestination = IPv6Address.Parse(LabPlan.PrrSoftwire),
            Source = IPv4Address.Parse(source),
            SourcePort = (ushort)port,
            Destination = IPv4Address.Parse(LabTopology.Www4Address),
            DestinationPort = (ushort)((IPEndPoint)server.LocalEndPoint!).Port,
            Payload = "is it me?"u8.ToArray(),
        };

        byte[] received = new byte[100];
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        int octets = 0;
        lab.AwaitQuiet("prr");
        long counted = lab.Lab.Counters("prr").GetValueOrDefault(counter);
        IReadOnlyDictionary<string, long> moved = lab.Moved("prr", () =>
        {
            packet.Send(lab["smap1"]);
            try
            {
                octets = server.ReceiveFrom(received, ref from);
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.TimedOut)
            {
                octets = 0;
            }

            Wait.Until(() => lab.Lab.Counters("prr").GetValueOrDefault(counter) > counted, TimeSpan.FromSeconds(20));
        });

        Assert.Equal(what == "the truth" ? packet.Payload.Length : 0, octets);
        Assert.Equal(1, moved.GetValueOrDefault(counter));
        if (what == "the truth") Assert.Equal($"{source}:{port}", from.ToString());
        else Assert.DoesNotContain("from-smap-forwarded", moved.Keys);
    });

    long EchoRequestsOf(string host) =>
        long.Parse(lab[host].Do("awk", "/^Icmp:/ { if (n++) print $(column); else for (i = 2; i <= NF; i++) if ($i == \"InEchos\") column = i }", "/proc/net/snmp"), CultureInfo.InvariantCulture);

    static string Sha(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}

public sealed class Fig22ByTheKernelTests(Fig22Lab lab) : Fig22Tests(lab), IClassFixture<Fig22Lab>;

public sealed class Fig22WithoutFastPathLab() : Fig22Lab("off");

public sealed class Fig22WithoutFastPathTests(Fig22WithoutFastPathLab lab) : Fig22Tests(lab), IClassFixture<Fig22WithoutFastPathLab>;
