using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>What a LAN goes through in a long life: programs that die, resolvers that take their time, a second network.</summary>
[Collection(Alone.Name)]
public sealed class LanLifeTests : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30), s_back = TimeSpan.FromSeconds(5);

    readonly LanLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Fact]
    public void Whatever_is_killed_at_random_is_back_within_five_seconds_each_time_and_addresses_stay()
    {
        const int kills = 12;
        _lab.Configure(sections: $"[dns]\nupstream = [\"{LanLab.Resolver}\"]\n[port-control]\nstate = \"{_lab.PathOf("state")}\"\n[web-proxy]\n[household]\n");
        _lab.Resolve(LanLab.Resolver);
        _lab.Start();
        string address = _lab.Dhcp()["ip"];
        Dictionary<string, Func<bool>> works = new()
        {
            ["dnsmasq"] = () => _lab.Serves() && _lab.Dig("www.example", seconds: 1).Output.Contains("203.0.113.4", StringComparison.Ordinal),
            ["household"] = () => _lab.Host.Run("curl", "-sS", "--fail", "--max-time", "2", "-o", "/dev/null", "http://192.168.2.1/").Succeeded,
            ["web-proxy"] = () => _lab.Smap.Run("ss", "-Hltn", "sport", "=", ":8645").Output.Length > 0,
        };
        Assert.True(Wait.Until(() => works.Values.All(w => w()), s_patience), "not all of it works");

        var dice = new Random(22);
        string[] names = [.. works.Keys];
        var took = new List<TimeSpan>();
        for (int i = 0; i < kills; i++)
        {
            string name = names[dice.Next(names.Length)];
            int before = _lab.Running(name)!.Value;
            long killed = Stopwatch.GetTimestamp();
            Signals.Send(before, Signals.Kill);
            Assert.True(Wait.Until(() => _lab.Running(name) is { } now && now != before && works[name](), s_patience), $"{name} does not come back");
            took.Add(Stopwatch.GetElapsedTime(killed));
            Thread.Sleep(dice.Next(500));
        }

        // What is killed again and again is waited for longer each time.
        Assert.True(took.Order().ElementAt(kills / 2) < s_back && took.Max() < 2 * s_back, string.Join(", ", took.Select(t => $"{t.TotalSeconds:0.0} s")));
        Assert.Equal(kills, _lab.Status().GetProperty("services").EnumerateArray().Sum(s => s.GetProperty("restarts").GetInt32()));
        Assert.Equal(address, _lab.Dhcp()["ip"]);
        Assert.True(Wait.Until(() => works.Values.All(w => w()), s_patience), "not all of it works any more");
    }

    [Theory]
    [InlineData("", "ip6 aplusp-smap: chain inbound", "ip aplusp-web: tproxy")]
    [InlineData("ipv4 = \"off\"", "ip6 aplusp-smap: chain inbound", "ip aplusp-smap: admin-prohibited")]
    public void Whoever_empties_the_ruleset_opens_no_host_for_more_than_five_seconds(string lan, params string[] tables)
    {
        _lab.Configure(lan: lan, sections: $"[dns]\nupstream = [\"{LanLab.Resolver}\"]\n[web-proxy]\n");
        _lab.Start(hasIPv4: lan.Length == 0);
        string[] Missing() => [.. tables.Where(t => !_lab.Smap.Run(["nft", "list", "table", .. t.Split(": ")[0].Split(' ')]).Output.Contains(t.Split(": ")[1], StringComparison.Ordinal))];
        Assert.True(Wait.Until(() => Missing().Length == 0, s_patience), string.Join(", ", Missing()));
        for (int i = 0; i < 3; i++)
        {
            _lab.Smap.Require("nft", "flush", "ruleset");
            long flushed = Stopwatch.GetTimestamp();
            Assert.True(Wait.Until(() => Missing().Length == 0, s_patience), string.Join(", ", Missing()));
            Assert.True(Stopwatch.GetElapsedTime(flushed) < s_back, $"{Stopwatch.GetElapsedTime(flushed).TotalSeconds:0.0} s");
        }

        Assert.Contains("somebody has taken the nftables table ip6 aplusp-smap away", _lab.Daemon.ReadLog(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slow_resolver_is_waited_for_and_holds_nobody_else_up()
    {
        TimeSpan delay = TimeSpan.FromSeconds(8), moment = TimeSpan.FromSeconds(5);
        _lab.Configure();
        _lab.Start();
        _lab.Dhcp();
        using Socket slow = Slow(LanLab.Resolver, delay);
        long begun = Stopwatch.GetTimestamp();
        Task<CommandResult> waits = Task.Run(() => _lab.Dig("slow.example", seconds: 25), TestContext.Current.CancellationToken);

        // Meanwhile what is known is told, of the home and of the rest.
        Assert.Contains("status: NXDOMAIN", _lab.Dig("nobody.home.arpa").Output, StringComparison.Ordinal);
        Assert.False(waits.IsCompleted);
        Assert.Contains("198.51.100.77", (await waits).Output, StringComparison.Ordinal);
        Assert.InRange(Stopwatch.GetElapsedTime(begun), moment, s_patience);

        // The answer is kept, and is told at once the next time.
        begun = Stopwatch.GetTimestamp();
        Assert.Contains("198.51.100.77", _lab.Dig("slow.example").Output, StringComparison.Ordinal);
        Assert.InRange(Stopwatch.GetElapsedTime(begun), TimeSpan.Zero, moment);

        // Beside one that is not slow nobody waits.
        _lab.Configure(sections: $"[dns]\nupstream = [\"{LanLab.Resolver}\", \"{LanLab.OtherResolver}\"]");
        _lab.Resolve(LanLab.OtherResolver);
        _lab.Reload();
        Assert.True(Wait.Until(() => _lab.Dig("www.example", seconds: 1).Output.Contains("203.0.113.4", StringComparison.Ordinal), s_patience), "the fast one is not asked");
    }

    /// <summary>A resolver that answers each question for an address with 198.51.100.77, after a while.</summary>
    Socket Slow(string at, TimeSpan delay)
    {
        Socket socket = _lab.Net.Call(() => new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp));
        socket.Bind(new IPEndPoint(IPAddress.Parse(at), 53));
        new Thread(() =>
        {
            try
            {
                while (true)
                {
                    byte[] question = new byte[512];
                    EndPoint from = new IPEndPoint(IPAddress.IPv6Any, 0);
                    int length = socket.ReceiveFrom(question, ref from);
                    _ = Task.Delay(delay).ContinueWith(_ => Answer(socket, question.AsSpan(0, length), from), TaskScheduler.Default);
                }
            }
            catch (Exception over) when (over is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        })
        { IsBackground = true }.Start();
        return socket;
    }

    // RFC 1035 section 4.1: the question again, without what follows it, and an A record by a pointer to its name.
    static void Answer(Socket socket, ReadOnlySpan<byte> question, EndPoint to)
    {
        int end = 12;
        while (question[end] != 0) end += question[end] + 1;
        byte[] answer = [.. question[..(end + 5)], 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 77];
        ReadOnlySpan<byte> header = [question[0], question[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        header.CopyTo(answer);
        try
        {
            socket.SendTo(answer, to);
        }
        catch (ObjectDisposedException)
        {
            // The test is over.
        }
    }

    [Fact]
    public void Two_networks_have_each_their_own_addresses_and_one_may_be_without_IPv4()
    {
        const string guest = "52:54:00:00:03:07";
        using var other = new LanGuest(_lab.Smap, "guests", guest);
        string Second(string ipv4, bool isolated = false) => $$"""
            [dns]
            upstream = ["{{LanLab.Resolver}}"]
            [[lan]]
            device = "guests"
            address = "192.168.3.1/24"
            prefix = "{{LanLab.OtherPrefix}}"
            ipv4 = "{{ipv4}}"
            isolated = {{(isolated ? "true" : "false")}}
            hosts = [{ mac = "{{guest}}", address = "192.168.3.7", name = "guest" }]
            """;
        _lab.Configure(sections: Second("on"));
        _lab.Resolve(LanLab.Resolver);
        _lab.Start();
        Assert.StartsWith("192.168.2.", _lab.Dhcp()["ip"], StringComparison.Ordinal);
        Dictionary<string, string> told = _lab.Dhcp(other.Host);
        Assert.Equal(("192.168.3.7", "192.168.3.1", "192.168.3.1", "1460"), (told["ip"], told["router"], told["dns"], told["mtu"]));
        Assert.Contains("203.0.113.4", other.Host.Run("dig", "@192.168.3.1", "+tries=1", "+time=5", "+short", "www.example").Output, StringComparison.Ordinal);
        bool Has(NetworkNamespace host, string network) => host.Run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "global").Output.Contains(network, StringComparison.Ordinal);
        Assert.True(Wait.Until(() => Has(_lab.Host, "2001:db8:2:1:") && Has(other.Host, "2001:db8:2:2:"), s_patience), "not both networks have IPv6");
        Assert.False(Has(_lab.Host, "2001:db8:2:2:") || Has(other.Host, "2001:db8:2:1:"));

        // From one to the other, by both IPs, until one of them is isolated; the Internet is open to both.
        Assert.True(Wait.Until(() => Passes(_lab.Host, "192.168.3.7") && Passes(other.Host, _lab.Dhcp()["ip"]) && Passes(_lab.Host, GlobalOf(other.Host)), s_patience), "hosts of two networks do not reach each other");
        _lab.Configure(sections: Second("on", isolated: true));
        _lab.Reload();
        Assert.True(Wait.Until(() => IsRefused(_lab.Host, "192.168.3.7") && IsRefused(other.Host, _lab.Dhcp()["ip"]) && IsRefused(_lab.Host, GlobalOf(other.Host)) && IsRefused(other.Host, GlobalOf(_lab.Host)), s_patience), "hosts of two networks reach each other though one is isolated");
        foreach (NetworkNamespace host in (NetworkNamespace[])[_lab.Host, other.Host]) Assert.True(Wait.Until(() => Passes(host, "2001:db8:fffe::1"), s_patience), "an isolated network is cut off from the Internet too");

        // The guests without IPv4: these are told so, and nothing changes for the others.
        _lab.Configure(sections: Second("off"));
        _lab.Reload();
        Assert.True(Wait.Until(() => other.Host.Run("curl", "-4sS", "--max-time", "5", "http://203.0.113.4/").Text.Contains("No route to host", StringComparison.Ordinal)
            || other.Host.Run("ping", "-c", "1", "-w", "2", "203.0.113.4").Output.Contains("Packet filtered", StringComparison.Ordinal), s_patience), "the guest is not told");
        Assert.DoesNotContain("Packet filtered", _lab.Host.Run("ping", "-c", "1", "-w", "2", "203.0.113.4").Output, StringComparison.Ordinal);
        Assert.StartsWith("192.168.2.", _lab.Dhcp()["ip"], StringComparison.Ordinal);
    }

    static bool Passes(NetworkNamespace from, string to) => from.Run("ping", "-c", "1", "-w", "2", to).Succeeded;

    // "Packet filtered" of IPv4, "Administratively prohibited" of IPv6.
    static bool IsRefused(NetworkNamespace from, string to) => from.Run("ping", "-c", "1", "-w", "2", to).Output is var said && (said.Contains("Packet filtered", StringComparison.Ordinal) || said.Contains("prohibited", StringComparison.Ordinal));

    static string GlobalOf(NetworkNamespace host) =>
        host.Require("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "global").Split(' ', StringSplitOptions.RemoveEmptyEntries).SkipWhile(w => w != "inet6").Skip(1).First().Split('/')[0];

    /// <summary>A host on a network of its own behind the SMAP.</summary>
    sealed class LanGuest : IDisposable
    {
        public LanGuest(NetworkNamespace smap, string device, string mac)
        {
            Host = NetworkNamespace.Create($"ap-lguest-{LabFixture.NewMark()}");
            Host.Shell("cd /proc/sys/net/ipv6/conf; echo 0 > default/accept_dad; echo 1 > default/accept_ra");
            Commands.Require("ip", "link", "add", device, "netns", smap.Name, "type", "veth", "peer", "name", "eth0", "address", mac, "netns", Host.Name);
            smap.Ip($"link set {device} up");
            Host.Ip("link set eth0 up");
        }

        public NetworkNamespace Host { get; }

        public void Dispose() => NetworkNamespace.Delete(Host);
    }
}
