using APlusP.Core.PortSets;
using APlusP.Lab;
using static APlusP.LabTests.MapDomain;

namespace APlusP.LabTests;

/// <summary>The SMAP against a border router that nobody of this project wrote: Linux itself, as lwAFTR (RFC 7596) and as MAP border relay (RFC 7597).</summary>
public sealed class LinuxBorderTests : IDisposable
{
    const string Shared = "192.0.2.1", Ports1 = "10000-10999", Ports2 = "11000-11999";

    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    readonly MapDomain _domain = new();

    public void Dispose() => _domain.Dispose();

    /// <summary>
    /// Two lwB4s that share an address. Both sides keep to what the softwire carries in one piece: Linux neither cuts what it puts into this kind of softwire nor puts IPv6 fragments together.
    /// </summary>
    void StartLightweight()
    {
        _domain["internet"].Ip("route replace 192.0.2.0/24 via 198.51.100.1 mtu 1460");
        foreach (string host in (string[])["host1", "host2"]) _domain[host].Ip("link set eth0 mtu 1460");
        _domain.StartLinuxBorder(Shared, (Home1, Ports1), (Home2, Ports2));
        _domain.StartLwB4(Home1, Shared, Ports1);
        _domain.StartLwB4(Home2, Shared, Ports2);
    }

    static void IsOf(string? endpoint, string address, Func<int, bool> has)
    {
        (string seen, int port) = UdpPlace.Split(endpoint);
        Assert.Equal(address, seen);
        Assert.True(has(port), $"port {port} is not of the set");
    }

    [Fact]
    public void Two_homes_that_share_an_address_by_ranges_talk_to_the_internet_and_are_called_through_linux_as_lwaftr()
    {
        StartLightweight();
        using UdpPlace host1 = _domain.Udp("host1", MapDomain.Host), host2 = _domain.Udp("host2", MapDomain.Host), server = _domain.Udp("internet", Server), caller = _domain.Udp("internet", Server);
        foreach ((UdpPlace host, string ports) in new[] { (host1, Ports1), (host2, Ports2) })
        {
            string? seen = host.Through(server);
            IsOf(seen, Shared, port => PortSet.Parse(ports).Contains((ushort)port));

            // Somebody else on the Internet calls the port that the home has opened.
            caller.Send(seen!);
            Assert.Equal(caller.Local, host.Receive());
        }

        // TCP, by a program that says whom it sees.
        _domain["internet"].Start("socat", Path.GetTempFileName(), "socat", $"TCP-LISTEN:8000,bind={Server},fork,reuseaddr", "SYSTEM:echo $SOCAT_PEERADDR\\:$SOCAT_PEERPORT");
        foreach ((string host, string ports) in new[] { ("host1", Ports1), ("host2", Ports2) })
        {
            string seen = "";
            Assert.True(Wait.Until(() => (seen = _domain[host].Run("socat", "-T", "5", "-u", $"TCP:{Server}:8000,connect-timeout=5", "-").Output.Trim()).Length > 0, s_patience));
            IsOf(seen, Shared, port => PortSet.Parse(ports).Contains((ushort)port));
        }
    }

    [Fact]
    public void Ping_and_traceroute_cross_linux_as_lwaftr_in_fragments_too()
    {
        StartLightweight();
        _domain["host1"].Ping("-e", "10007", "-c", "3", "-i", "0.2", "-W", "2", Server);
        _domain["host1"].Ping("-e", "10008", "-s", "9000", "-M", "dont", "-c", "3", "-i", "0.2", "-W", "3", Server);

        // From outside, to the identifiers that those have opened.
        _domain["internet"].Ping("-e", "10007", "-c", "3", "-i", "0.2", "-W", "2", Shared);
        _domain["internet"].Ping("-e", "10008", "-s", "5000", "-M", "dont", "-c", "3", "-i", "0.2", "-W", "3", Shared);
        string route = _domain["host1"].Do("traceroute", "-n", "-q", "1", "-w", "2", "-m", "5", Server);
        Assert.Equal(["192.168.1.1", "198.51.100.1", Server], route.Split('\n').Skip(1).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]));
    }

    [Theory]
    [InlineData("host1", false)]
    [InlineData("host1", true)]
    [InlineData("host2", false)]
    [InlineData("host2", true)]
    public void A_large_transfer_goes_whole_through_linux_as_lwaftr(string host, bool download)
    {
        StartLightweight();
        Transfer(host, 20_000_000, download);
    }

    /// <summary>A file goes from the host to the server, or back, and is what it was.</summary>
    void Transfer(string host, int octets, bool download)
    {
        byte[] file = new byte[octets];
        new Random(octets).NextBytes(file);
        string from = Path.GetTempFileName(), to = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(from, file);
            string port = download ? "9001" : "9002", listen = $"TCP-LISTEN:{port},bind={Server},reuseaddr";
            LabProcess server = _domain["internet"].Start("socat", Path.GetTempFileName(), ["socat", "-u", .. download ? (string[])[$"FILE:{from}", listen] : [listen, $"CREATE:{to}"]]);
            server.WaitUntil(() => _domain["internet"].Run("ss", "-Hltn", $"sport = :{port}").Output.Length > 0, s_patience, "listen");
            string call = $"TCP:{Server}:{port},connect-timeout=5";
            _domain[host].Do(["socat", "-u", .. download ? (string[])[call, $"CREATE:{to}"] : [$"FILE:{from}", call]]);
            Assert.True(server.WaitForExit(s_patience), "the server waits for more");
            Assert.Equal(file, File.ReadAllBytes(to));
        }
        finally
        {
            File.Delete(from);
            File.Delete(to);
        }
    }

    /// <summary>The SMAP's way alone: Linux has no ears for ICMPv6 at its end of the softwire.</summary>
    [Fact]
    public void A_path_that_carries_1280_towards_linux_is_learnt_from_packet_too_big_and_told_to_the_host()
    {
        StartLightweight();
        _domain["core"].Ip("link set prr mtu 1280");
        Dictionary<string, long> moved = _domain.Moved("smap1", () => Transfer("host1", 5_000_000, download: false));
        Assert.Equal(1, moved["path-mtu-lowered-by-message"]);
        Assert.Contains("carries 1280 octets", _domain.Ask("smap1", "status").Output, StringComparison.Ordinal);
        CommandResult ping = _domain["host1"].Run("ping", "-M", "do", "-s", "1300", "-c", "1", "-W", "2", Server);
        Assert.Contains("1240", ping.Text, StringComparison.Ordinal);

        // The other way is as wide as ever.
        Transfer("host1", 5_000_000, download: true);
    }

    [Fact]
    public void A_home_that_knows_prefix_and_rule_reaches_the_internet_through_linux_as_map_border_relay()
    {
        foreach (string host in (string[])["host1", "host2"]) _domain[host].Ip("link set eth0 mtu 1460");
        _domain.StartLinuxBorder(Home1, Home2);
        _domain.StartSmap(Home1);
        _domain.StartSmap(Home2);
        foreach ((string name, MapHome home) in new[] { ("host1", Home1), ("host2", Home2) })
        {
            using UdpPlace host = _domain.Udp(name, MapDomain.Host), server = _domain.Udp("internet", Server);
            IsOf(host.Through(server), home.Address, home.Has);
            _domain[name].Ping("-c", "3", "-i", "0.2", "-W", "2", Server);
        }

        // From home to home, by way of Linux.
        using UdpPlace host1 = _domain.Udp("host1", MapDomain.Host), host2 = _domain.Udp("host2", MapDomain.Host), outside = _domain.Udp("internet", Server);
        string one = host1.Through(outside)!, two = host2.Through(outside)!;
        host1.Send(two);
        Assert.Equal(one, host2.Receive());
        host2.Send(one, payload: 1200);
        Assert.Equal(two, host1.Receive());
    }
}
