using System.Globalization;
using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>
/// A home that knows a PCP server and its PRR, and nothing else: the registry is that server, the PRR follows it, and tshark reads what they say to each other. The home's address on the link is the
/// softwire's end.
/// </summary>
public sealed class PcpTests : IDisposable
{
    const string Softwire = "2001:db8:1::5", Server = "2001:db8:fffe::1";

    /// <summary>Blocks of 128 ports of four addresses.</summary>
    const string Configuration = $"""
        change-interval = 0

        [[pool]]
        prefix = "192.0.2.0/30"

        [pcp]
        listen = "{Server}"
        clients = ["2001:db8:1::/48"]
        """;

    readonly DhcpLab _lab = new();

    public PcpTests()
    {
        _lab.Smap.Ip($"addr add {Softwire}/64 dev wan nodad");

        // Packets of an address of the machine come by a raw socket, which does not say that a checksum is still to be filled in, as it is between two ends of a veth.
        _lab.Internet.Shell("ethtool -K eth0 tx off");
    }

    public void Dispose() => _lab.Dispose();

    /// <summary>A PRR that has every binding from the registry.</summary>
    void StartPrr() => _lab.StartPrr($"""
        [icmp]
        send-v6-errors = true

        [registry]
        url = "http://127.0.0.1:8646"
        copy = "{_lab.PathOf("leases")}"
        """);

    LabProcess BeginSmap(string more = "") => _lab.BeginSmapBy($"prr-address = \"{DhcpLab.Border}\"", $"""
        [pcp]
        server = "{Server}"
        state = "{_lab.PathOf("smap")}"
        {more}
        """);

    LabProcess StartSmap() => _lab.OnceItHasASoftwire(BeginSmap());

    List<JsonElement> Leases()
    {
        using var leases = JsonDocument.Parse(_lab.Leases());
        return [.. leases.RootElement.GetProperty("leases").EnumerateArray().Select(l => l.Clone())];
    }

    JsonElement Smap()
    {
        using var status = JsonDocument.Parse(_lab.Ask("smap", "status", "--json").Output);
        return status.RootElement.GetProperty("smap").Clone();
    }

    string State() => _lab.Ask("smap", "status", "--json").Succeeded ? Smap().GetProperty("lease").GetProperty("state").GetString()! : "";

    static (string Address, int First, int Last) PartOf(JsonElement lease) =>
        (lease.GetProperty("address").GetString()!, lease.GetProperty("ranges")[0][0].GetInt32(), lease.GetProperty("ranges")[0][1].GetInt32());

    (string Address, int Port) ReachAs(JsonElement lease)
    {
        (string address, int first, int last) = PartOf(lease);
        return _lab.ReachAs(address, port => port >= first && port <= last);
    }

    static void Await(Func<bool> condition, string what) => Assert.True(Wait.Until(condition, TimeSpan.FromSeconds(90)), what);

    [Fact]
    public void A_home_that_knows_server_and_PRR_fetches_a_page_and_tshark_reads_what_they_said()
    {
        _lab.Capture("udp port 5351");
        _lab.StartRegistry(Configuration);
        StartPrr();
        LabProcess smap = StartSmap();
        JsonElement lease = Assert.Single(Leases());
        Assert.Equal(("pcp-2001:db8:1::/64", Softwire), (lease.GetProperty("subscriber").GetString(), lease.GetProperty("softwire").GetString()));
        Assert.Equal("online", State());
        (string address, int port) = ReachAs(lease);

        _lab.Internet.Start("web", _lab.PathOf("web.log"), "python3", "-m", "http.server", "8000", "--directory", "/proc/sys/net/core");
        Await(() => _lab.HomeHost.Run("curl", "-sS", "--max-time", "5", $"http://{DhcpLab.Server}:8000/somaxconn").Succeeded, "no page came");
        Assert.Contains("pcp-2001:db8:1::/64", Commands.Require(LabFixture.Executable, "who", $"{address}:{port}", "--data", _lab.PathOf("registry")), StringComparison.Ordinal);

        // Given back by a person: the mapping is deleted, and the port has nobody.
        Commands.Require(LabFixture.Executable, "smap", "release", "--socket", _lab.PathOf("smap.sock"));
        Await(() => Leases().Count == 0, "the lease is there still");
        Assert.Equal("released", State());
        smap.Stop();

        // By somebody else's eyes: both directions whole, MAP with PORT_SET, created and deleted.
        Await(() => _lab.Decode("portcontrol.response", "frame.number").Length >= 2, "too little was captured");
        Assert.Empty(_lab.Decode("_ws.malformed or _ws.expert.severity >= 0x600000", "frame.number"));
        string[] asked = _lab.Decode("portcontrol.request and portcontrol.lifetime_req > 0", "portcontrol.client_ip", "portcontrol.map.protocol", "portcontrol.map.internal_port", "portcontrol.option.code", "portcontrol.option.portset.size")[0].Split('\t');
        Assert.Equal([Softwire, "0", "0", "130", "65535"], asked);
        string[] given = _lab.Decode("portcontrol.response and portcontrol.lifetime_rsp > 0", "portcontrol.result_code", "portcontrol.lifetime_rsp", "portcontrol.map.rsp_assigned_external_port", "portcontrol.map.rsp_assigned_ext_ip", "portcontrol.option.portset.size")[0].Split('\t');
        Assert.Equal(["0", "86400", $"{PartOf(lease).First}", $"::ffff:{address}", "128"], given);
        Assert.NotEmpty(_lab.Decode("portcontrol.request and portcontrol.lifetime_req == 0", "frame.number"));
        Assert.NotEmpty(_lab.Decode("portcontrol.response and portcontrol.lifetime_rsp == 0 and portcontrol.result_code == 0", "frame.number"));
    }

    [Fact]
    public void A_lease_outlives_both_ends_restarts_and_a_server_that_is_away_and_the_epoch_goes_on()
    {
        _lab.Capture("udp port 5351");
        LabProcess registry = _lab.StartRegistry(Configuration);
        StartPrr();
        LabProcess smap = StartSmap();
        JsonElement lease = Assert.Single(Leases());
        ReachAs(lease);

        registry.Stop(TimeSpan.FromSeconds(20));
        smap.Stop(TimeSpan.FromSeconds(20));
        smap = StartSmap();
        ReachAs(lease);

        // Before it has looked for an address of its own it is alone as well, and says that.
        Await(() => State() == "online-alone" && Smap().GetProperty("lease").GetProperty("sentence").GetString()!.Contains("until it runs out without the PCP server", StringComparison.Ordinal), "says that the server is away");

        registry = _lab.StartRegistry(Configuration);
        Await(() => State() == "online", "comes online again");
        Assert.Equal(lease.GetProperty("id").GetString(), Assert.Single(Leases()).GetProperty("id").GetString());
        ReachAs(lease);
        Await(() => _lab.Decode("portcontrol.response", "frame.number").Length >= 2, "too little was captured");
        uint[] epochs = [.. _lab.Decode("portcontrol.response", "portcontrol.epoch_time").Select(e => uint.Parse(e, CultureInfo.InvariantCulture))];
        Assert.True(epochs[^1] > epochs[0], string.Join(", ", epochs));
    }

    [Fact]
    public void When_ports_run_short_it_asks_for_more_and_gets_them_behind_those_that_it_has()
    {
        _lab.StartRegistry(Configuration);
        StartPrr();
        _lab.OnceItHasASoftwire(BeginSmap("grow-at = 1\nshrink-at = 0"));
        JsonElement lease = Assert.Single(Leases()), grown = default;
        ReachAs(lease);
        Await(() =>
        {
            // Each asks from a port of its own, and two are more than one per cent.
            _lab.Reach();
            return (grown = Assert.Single(Leases())).GetProperty("ports").GetInt32() > 128;
        }, "it has no more ports");
        Assert.Equal((lease.GetProperty("id").GetString(), PartOf(lease).Address, PartOf(lease).First), (grown.GetProperty("id").GetString(), PartOf(grown).Address, PartOf(grown).First));
        Assert.Equal(1, grown.GetProperty("ranges").GetArrayLength());
        Await(() => Smap().GetProperty("portCount").GetInt32() >= 256, "works by the ports of before");
        ReachAs(Assert.Single(Leases()));
    }

    [Fact]
    public void Who_has_its_lease_ended_hears_it_from_the_PRR_and_asks_anew()
    {
        _lab.StartRegistry(Configuration);
        StartPrr();
        StartSmap();
        JsonElement lease = Assert.Single(Leases());
        ReachAs(lease);
        _lab.Edge.Require("curl", "-sS", "-X", "DELETE", $"http://127.0.0.1:8646/v1/leases/{lease.GetProperty("id").GetString()}");
        JsonElement next = default;
        Await(() =>
        {
            // A packet of the home's is what the PRR refuses.
            _lab.Reach();
            return Leases() is [var one] && (next = one).GetProperty("id").GetString() != lease.GetProperty("id").GetString();
        }, "nobody asked anew");
        ReachAs(next);
    }

    [Fact]
    public void Where_the_server_is_a_DHCPv6_server_that_nobody_here_wrote_may_tell()
    {
        _lab.StartRegistry(Configuration);
        StartPrr();
        LabProcess smap = _lab.BeginSmapBy($"prr-address = \"{DhcpLab.Border}\"", $"""
            [dhcpv6]
            interface = "wan"
            prefix = false

            [pcp]
            state = "{_lab.PathOf("smap")}"
            """);
        Await(() => State() == "waiting", "does not wait");
        Assert.Contains("DHCPv6 has brought no option 86", Smap().GetProperty("lease").GetProperty("sentence").GetString(), StringComparison.Ordinal);

        // RFC 7291 section 4.1.
        _lab.StartKea("""{ "code": 86, "space": "dhcp6", "csv-format": false, "data": "20010db8fffe00000000000000000001" }""");
        _lab.OnceItHasASoftwire(smap);
        ReachAs(Assert.Single(Leases()));
    }

    [Fact]
    public void Who_may_not_ask_is_told_why_and_forwards_nothing()
    {
        _lab.StartRegistry(Configuration.Replace("2001:db8:1::/48", "2001:db8:2::/48", StringComparison.Ordinal));
        BeginSmap();
        Await(() => State() == "refused", "is not refused");
        Assert.Contains($"the PCP server {Server} says NOT_AUTHORIZED", Smap().GetProperty("lease").GetProperty("sentence").GetString(), StringComparison.Ordinal);
        Assert.True(Smap().GetProperty("isSuspended").GetBoolean());
        Assert.Empty(Leases());
        using var counted = JsonDocument.Parse(_lab.Edge.Require("curl", "-sS", "http://127.0.0.1:8646/v1/pcp"));
        Assert.True(counted.RootElement.GetProperty("results").GetProperty("NOT_AUTHORIZED").GetInt64() >= 1);
    }

    /// <summary>Sends octets from an address of the home to the server by a program that nobody here wrote, and gives the answer's.</summary>
    string Raw(string octets) => _lab.Smap.Require("python3", "-c", $"""
        import socket
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.bind(("{Softwire}", 0))
        s.connect(("{Server}", 5351))
        s.settimeout(20)
        s.send(bytes.fromhex("{octets.Replace(" ", "", StringComparison.Ordinal)}"))
        print(s.recv(2000).hex())
        """).Trim();

    [Fact]
    public void Requests_by_hand_are_answered_as_the_RFCs_draw_it()
    {
        _lab.StartRegistry(Configuration);
        const string head = "02 01 0000", client = "20010db8000100000000000000000005", nonce = "a1a2a3a4a5a6a7a8a9aaabac", any = "00000000000000000000ffff00000000", none = "000000000000000000000000";

        // An hour, all protocols, 256 ports: a block of 128 is what a lease begins with, from 1024 on, of 192.0.2.0.
        string answer = Raw($"{head} 00000e10 {client} {nonce} 00000000 00000000 {any} 82000005 0100 0000 00 000000");
        Assert.Equal("02810000" + "00000e10", answer[..16]);
        Assert.Equal($"{none}{nonce}00000000000004000000000000000000" + "0000ffffc0000200" + "82000005" + "00800000" + "00000000", answer[24..]);

        // Asked for as much again it grows behind it; another nonce is refused, with the request in the answer.
        Assert.EndsWith("82000005" + "01000000" + "00000000", Raw($"{head} 00000e10 {client} {nonce} 00000000 00000000 {any} 82000005 0100 0000 00 000000"), StringComparison.Ordinal);
        string refused = Raw($"{head} 00000000 {client} b1b2b3b4b5b6b7b8b9babbbc 00000000 00000000 {any} 82000005 0100 0000 00 000000");
        Assert.StartsWith("02810002", refused, StringComparison.Ordinal);
        Assert.Equal(256, Assert.Single(Leases()).GetProperty("ports").GetInt32());

        Assert.StartsWith("02820004", Raw($"02 02 0000 00000e10 {client} {nonce} 00000000 00000000 {any} 00000000 {any}"), StringComparison.Ordinal); // PEER.
        Assert.StartsWith("02800001", Raw("00 00"), StringComparison.Ordinal); // NAT-PMP.
        Assert.StartsWith("0281000c", Raw($"{head} 00000e10 20010db8000100000000000000000006 {nonce} 00000000 00000000 {any} 82000005 0100 0000 00 000000"), StringComparison.Ordinal);
        Assert.StartsWith("02800000" + "00000000", Raw($"02 00 0000 00000000 {client}"), StringComparison.Ordinal); // ANNOUNCE.
        Assert.StartsWith("02810000" + "00000000", Raw($"{head} 00000000 {client} {nonce} 00000000 00000000 {any} 82000005 0100 0000 00 000000"), StringComparison.Ordinal);
        Assert.Empty(Leases());
    }
}
