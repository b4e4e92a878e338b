using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Fig. 22 with NAPTs that let in whoever comes, where a mapping is.</summary>
public sealed class OpenLab() : LabFixture(LabPlan.Fig22("topen")
    .With(1, room => room with { Napt = ["filtering = \"endpoint-independent\""] })
    .With(2, room => room with { Napt = ["filtering = \"endpoint-independent\""] }));

/// <summary>
/// Servers in the rooms. A mapping comes into being when the host first sends from the server's port: the port lies in the room's
/// set, so the NAPT keeps it, and its filter lets in any peer.
/// </summary>
public sealed class ServerTests(OpenLab lab) : IClassFixture<OpenLab>
{
    [Fact]
    public void A_web_server_in_room_1_is_reached_from_outside_on_a_port_of_its_set() => lab.Test(() =>
    {
        Serve("C", 10080);
        Assert.Equal("a page of C", Fetch("www6", 10080));
    });

    [Fact]
    public void A_udp_server_in_room_1_is_reached_from_outside_on_a_port_of_its_set() => lab.Test(() =>
    {
        LabProcess echo = lab.Lab.Start("D", "udp-echo", "socat", "UDP4-RECVFROM:10053,fork", "PIPE");
        echo.WaitUntil(() => lab["D"].Do("ss", "-Hlun", "sport = :10053").Length > 0, TimeSpan.FromSeconds(20), "listen");
        // A second socket on the port opens the mapping; nobody answers there.
        lab["D"].Run(["socat", "-u", "-", $"UDP4-SENDTO:{LabTopology.Www4Address}:9,bind=:10053,reuseport"], input: "open\n");
        echo.Stop();
        lab["D"].Run(["socat", "-u", "-", $"UDP4-SENDTO:{LabTopology.Www4Address}:9,bind=:10053"], input: "open\n");
        echo = lab.Lab.Start("D", "udp-echo", "socat", "UDP4-RECVFROM:10053,fork", "PIPE");
        echo.WaitUntil(() => lab["D"].Do("ss", "-Hlun", "sport = :10053").Length > 0, TimeSpan.FromSeconds(20), "listen");

        string said = "";
        Wait.Until(() => (said = lab["www6"].Run(["socat", "-t", "2", "-T", "2", "-", $"UDP4:{LabPlan.SharedAddress}:10053"], input: "hello, room 1\n").Output).Length > 0, TimeSpan.FromSeconds(20));
        Assert.Equal("hello, room 1\n", said);
    });

    [Fact]
    public void A_host_of_room_2_reaches_a_server_of_room_1_behind_the_same_address() => lab.Test(() =>
    {
        Serve("B", 10081);
        lab.AwaitQuiet("prr");
        IReadOnlyDictionary<string, long> moved = lab.Moved("prr", () => Assert.Equal("a page of B", Fetch("A", 10081)));
        Assert.True(moved.GetValueOrDefault("from-smap-hairpinned") >= 8, "the PRR hairpinned too little for a whole connection");
        Assert.DoesNotContain("from-internet-received", moved.Keys);
    });

    [Fact]
    public void A_host_reaches_a_server_of_its_own_room_by_the_shared_address() => lab.Test(() =>
    {
        Serve("B", 10082);
        IReadOnlyDictionary<string, long> moved = lab.Moved("smap1", () => Assert.Equal("a page of B", Fetch("D", 10082)));
        Assert.True(moved.GetValueOrDefault("from-lan-hairpinned") >= 8, "the SMAP hairpinned too little for a whole connection");
    });

    [Fact]
    public void A_port_of_room_1_that_nobody_opened_is_closed() => lab.Test(() =>
    {
        IReadOnlyDictionary<string, long> moved = lab.Moved("smap1", () =>
            Assert.False(lab["www6"].Run("curl", "-sS", "--connect-timeout", "1", $"http://{LabPlan.SharedAddress}:10999/").Succeeded));
        Assert.True(moved.GetValueOrDefault("from-prr-drop-no-mapping") >= 1);
    });

    string Fetch(string from, int port) =>
        lab[from].Do("curl", "-sS", "--fail", "--max-time", "5", $"http://{LabPlan.SharedAddress}:{port}/");

    // First a connection out from the port, then the server on it.
    void Serve(string host, int port)
    {
        // With reuseaddr, or the closed connection would keep the port from the server.
        lab[host].Do("socat", "-T", "1", "-u", "OPEN:/dev/null", $"TCP4:{LabTopology.Www4Address}:80,bind=:{port},reuseaddr");
        string script = Path.Combine(lab.Lab.Directory, $"serve-{host}.sh");
        File.WriteAllText(script, $$"""
            # Reads a request up to its empty line, then answers.
            while read -r line && [ ${#line} -gt 1 ]; do :; done
            printf 'HTTP/1.0 200 OK\r\nConnection: close\r\n\r\na page of {{host}}'

            """);
        LabProcess server = lab.Lab.Start(host, $"web-{port}", "socat", $"TCP4-LISTEN:{port},reuseaddr,fork", $"EXEC:sh {script}");
        server.WaitUntil(() => lab.Lab.Listens(host, port), TimeSpan.FromSeconds(20), $"listen on port {port}");
    }
}
