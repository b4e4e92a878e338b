using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>Web servers by name behind a shared address: visitors of its ports 80 and 443 come to the home that they name, through an HAProxy at the PRR.</summary>
[Collection(Alone.Name)]
public class WebNamesTests
{
    const string One = "www.one.example", Two = "shop.two.example";

    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    /// <summary>A lab with two homes that have a web server each.</summary>
    sealed class Scene : IDisposable
    {
        public Scene(string prr = "[web-names]")
        {
            Lab = new ZeroTouchLab(LabFixture.NameHere("wn"), LabFixture.Executable, 2, LabFixture.FastPathLine);
            Lab.Advertise();
            Lab.StartRegistry();
            Prr = Lab.StartPrr(prr);
            for (int home = 0; home < 2; home++) Lab.StartSmap(home, "check-every = 1");
            for (int home = 0; home < 2; home++) Lab.Await(home, "online");
            First = [.. Enumerable.Range(0, 2).Select(FirstPort)];

            // Forwards are of ports that the home has, and these are known now.
            int[] servers = [ZeroTouchLab.WebHttp, ZeroTouchLab.WebTls, ZeroTouchLab.WebHttpProxied, ZeroTouchLab.WebTlsProxied];
            for (int home = 0; home < 2; home++)
                Lab.ReloadSmap(home, "check-every = 1\n" + string.Concat(servers.Select((port, i) => $"[[forward]]\nport = {First[home] + i}\nto = \"{ZeroTouchLab.Host}:{port}\"\nprotocol = \"tcp\"\n")));

            Certificates = [Lab.ServeWeb(0, One, "one").Certificate, Lab.ServeWeb(1, Two, "two").Certificate];
            for (int home = 0; home < 2; home++) Lab.Await(home, () => Lab.Seen(home) is not null, "reach the web server");
            Address = Lab.Status(0).GetProperty("sharedAddress").GetString()!;
        }

        public ZeroTouchLab Lab { get; }

        public LabProcess Prr { get; }

        /// <summary>The lowest port of each home; it and the next three lead to the servers.</summary>
        public int[] First { get; }

        public string[] Certificates { get; }

        /// <summary>The shared address of the first home.</summary>
        public string Address { get; }

        int FirstPort(int home) => Lab.LeaseOf(home).GetProperty("ranges")[0][0].GetInt32();

        public CommandResult Name(int home, string name, params string[] more) => Lab.Operate(["registry", "name", "set", name, "--subscriber", Lab.Subscriber(home), .. more]);

        /// <summary>Names both homes' plain servers, and waits until they are served.</summary>
        public void NameBoth()
        {
            foreach ((int home, string name) in (ReadOnlySpan<(int, string)>)[(0, One), (1, Two)])
            {
                CommandResult named = Name(home, name, "--http", $"{First[home]}", "--https", $"{First[home] + 1}");
                Assert.True(named.Succeeded, named.Text);
            }

            Served(One, "one");
            Served(Two, "two");
        }

        public void Served(string name, string text) => Assert.True(Wait.Until(() => Page(name).Output.StartsWith($"{text} for", StringComparison.Ordinal), s_patience), $"{name} does not come to {text}: {Page(name).Text} {Lab.QueryPrr("status").Output}");

        /// <summary>Asks for a page of a name at the shared address, as a browser on the Internet.</summary>
        public CommandResult Page(string name, string scheme = "http", NetworkNamespace? from = null, string path = "", params string[] more) => (from ?? Lab.Internet).Run(
            ["curl", "-sS", "--max-time", "5", "--cacert", Certificates[name == One ? 0 : 1], "--resolve", $"{name}:80:{Address}", "--resolve", $"{name}:443:{Address}", .. more, $"{scheme}://{name}/{path}"]);

        public JsonElement Status => JsonDocument.Parse(Lab.QueryPrr("status", "--json").Output).RootElement.Clone();

        public long Counter(string name) => JsonDocument.Parse(Lab.QueryPrr("counters", "--json").Output).RootElement.GetProperty(name).GetInt64();

        public int Haproxy => Status.GetProperty("services").EnumerateArray().Single().GetProperty("processId").GetInt32();

        public void Dispose() => Lab.Dispose();
    }

    [Fact]
    public void Visitors_come_to_the_home_that_they_name_and_others_are_told()
    {
        using var scene = new Scene();
        CommandResult outside = scene.Name(0, One, "--http", "80");
        Assert.False(outside.Succeeded);
        Assert.Contains($"80: not in the set of {scene.Lab.Subscriber(0)}, which has {scene.First[0]}-{scene.First[0] + ZeroTouchLab.Block - 1} of {scene.Address}", outside.Text, StringComparison.Ordinal);
        scene.NameBoth();

        // By HTTP: who visits is told by the header, and by nobody else.
        Assert.Equal($"one for {ZeroTouchLab.Server} by {One}\n", scene.Page(One, more: ["-H", "X-Forwarded-For: 203.0.113.7"]).Output);
        Assert.Equal($"two for {ZeroTouchLab.Server} by {Two}\n", scene.Page(Two).Output);
        Assert.Equal($"one for {ZeroTouchLab.Server} by {One}\n", scene.Page(One, more: ["-H", $"Host: {One.ToUpperInvariant()}.:80"]).Output.Replace($"{One}.", One, StringComparison.OrdinalIgnoreCase));

        // By TLS, to the home's own certificate.
        CommandResult tls = scene.Page(One, "https");
        Assert.True(tls.Output == $"one for  by {One}\n", tls.Text);
        Assert.Equal($"two for  by {Two}\n", scene.Page(Two, "https").Output);

        // On one connection, to both in turn: each request goes where its own name leads.
        using (TcpClient connection = scene.Lab.Internet.Call(() => new TcpClient(scene.Address, 80) { ReceiveTimeout = 10_000 }))
        using (var reader = new StreamReader(connection.GetStream(), Encoding.ASCII))
        {
            foreach ((string name, string text) in (ReadOnlySpan<(string, string)>)[(One, "one"), (Two, "two"), (One, "one")])
            {
                connection.GetStream().Write(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"));
                while (reader.ReadLine() is { Length: > 0 })
                {
                }

                Assert.Equal($"{text} for {ZeroTouchLab.Server} by {name}", reader.ReadLine());
            }
        }

        // Nobody's name, and none. Who came before the names were served counts too.
        long strangers = scene.Counter("web-names-unknown");
        CommandResult unknown = scene.Page("other.example", more: ["-w", "%{http_code}"]);
        Assert.Equal("There is no site of this name here.\n421", unknown.Output);
        CommandResult secret = scene.Page("other.example", "https", more: ["-k"]);
        Assert.False(secret.Succeeded);
        Assert.Contains("curl: (35)", secret.Text, StringComparison.Ordinal);
        Assert.False(scene.Lab.Internet.Run("curl", "-sSk", "--max-time", "5", $"https://{scene.Address}/").Succeeded);

        // From a home behind the same PRR, and from the PRR's own machine.
        Assert.StartsWith("one for ", scene.Page(One, from: scene.Lab.Homes[1], more: ["--interface", ZeroTouchLab.Host]).Output, StringComparison.Ordinal);
        Assert.StartsWith("two for  by", scene.Page(Two, "https", from: scene.Lab.Homes[1], more: ["--interface", ZeroTouchLab.Host]).Output, StringComparison.Ordinal);
        Assert.StartsWith("one for ", scene.Page(One, from: scene.Lab.Prr).Output, StringComparison.Ordinal);

        // Other ports are nobody's as before, and those of UDP.
        Assert.False(scene.Lab.Internet.Run("curl", "-sS", "--max-time", "1", $"http://{scene.Address}:81/").Succeeded);
        JsonElement names = scene.Status.GetProperty("prr").GetProperty("webNames");
        Assert.Equal((2, true), (names.GetProperty("sites").GetInt32(), names.GetProperty("visits").GetInt64() >= 12));
        Assert.Equal(3, scene.Counter("web-names-unknown") - strangers);
        Assert.Equal(0, scene.Counter("web-names-unreached"));
    }

    [Fact]
    public void A_server_may_be_told_who_visits_by_the_PROXY_protocol()
    {
        using var scene = new Scene();
        CommandResult named = scene.Name(0, One, "--http", $"{scene.First[0] + 2}", "--https", $"{scene.First[0] + 3}", "--proxied");
        Assert.True(named.Succeeded, named.Text);
        scene.Served(One, "one");
        Assert.Equal($"one for {ZeroTouchLab.Server}{ZeroTouchLab.Server} by {One}\n", scene.Page(One).Output);
        Assert.Equal($"one for {ZeroTouchLab.Server} by {One}\n", scene.Page(One, "https").Output);
    }

    [Fact]
    public async Task Names_come_and_go_while_others_load_and_whoever_kills_HAProxy_or_the_ruleset_is_not_noticed_for_long()
    {
        using var scene = new Scene();
        scene.NameBoth();

        // A download of eight seconds sees nothing of it.
        Task<CommandResult> download = Task.Run(() => scene.Page(One, "https", path: "slow", more: ["--max-time", "60", "-o", "/dev/null", "-w", "%{size_download} %{time_total}"]));
        int haproxy = scene.Haproxy;
        Assert.True(scene.Lab.Operate("registry", "name", "remove", Two).Succeeded);
        Assert.True(Wait.Until(() => scene.Page(Two).Output.StartsWith("There is no site", StringComparison.Ordinal), s_patience), "a name that was removed is served");
        Assert.True(scene.Name(1, "new.two.example", "--http", $"{scene.First[1]}").Succeeded);
        scene.Served("new.two.example", "two");
        string[] words = (await download).Output.Split(' ');
        Assert.Equal($"{8 << 20}", words[0]);
        Assert.True(double.Parse(words[1], CultureInfo.InvariantCulture) > 5, string.Join(' ', words));
        Assert.Equal(haproxy, scene.Haproxy);

        // Killed at random, it is back within five seconds; and so is the table.
        for (int kill = 0; kill < 3; kill++)
        {
            Thread.Sleep(RandomNumberGenerator.GetInt32(1500));
            Commands.Require("kill", "-KILL", $"{scene.Haproxy}");
            long killed = Stopwatch.GetTimestamp();
            Assert.True(Wait.Until(() => scene.Page(One).Output.StartsWith("one for", StringComparison.Ordinal), s_patience), "HAProxy is not back");
            Assert.InRange(Stopwatch.GetElapsedTime(killed).TotalSeconds, 0, 5);
        }

        scene.Lab.Prr.Require("nft", "flush", "ruleset");
        long flushed = Stopwatch.GetTimestamp();
        Assert.True(Wait.Until(() => scene.Page(One).Output.StartsWith("one for", StringComparison.Ordinal), s_patience), "the table is not back");
        Assert.InRange(Stopwatch.GetElapsedTime(flushed).TotalSeconds, 0, 5);

        // The registry away, and the PRR started again: by what it has kept.
        scene.Lab.StopRegistry();
        scene.Lab.StopPrr();
        Assert.DoesNotContain("haproxy", scene.Lab.Prr.ProcessIds().Select(id => File.ReadAllText($"/proc/{id}/comm").Trim()));
        scene.Lab.StartPrr("[web-names]");
        scene.Served("new.two.example", "two");
    }

    [Fact]
    public void A_port_that_is_leased_is_its_holder_s_whatever_name_a_visitor_says()
    {
        using var scene = new Scene();
        scene.NameBoth();
        scene.Lab.Ask("POST", "service-ports", $"{{\"subscriber\": \"{scene.Lab.Subscriber(0)}\", \"address\": \"{scene.Address}\", \"port\": 80}}");
        scene.Lab.Await(0, () => scene.Lab.PortCount(0) == ZeroTouchLab.Block + 1, "have the port");

        // It leads nowhere at home, and so nobody answers; TLS goes by name as before.
        Assert.True(Wait.Until(() => !scene.Page(Two, more: ["--max-time", "1"]).Succeeded, s_patience), "a leased port is still led by name");
        Assert.StartsWith("two for", scene.Page(Two, "https").Output, StringComparison.Ordinal);
        scene.Lab.Ask("DELETE", $"service-ports?address={scene.Address}&port=80");
        scene.Served(Two, "two");
    }

    [Fact]
    public void Heads_and_hellos_that_are_none_hold_nobody_up()
    {
        using var scene = new Scene("[web-names]\nmost-connections = 300");
        scene.NameBoth();
        var random = new Random(7);
        byte[] hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
        var held = new List<TcpClient>();
        try
        {
            for (int i = 0; i < 120; i++)
            {
                byte[] octets = new byte[random.Next(1, 2000)];
                random.NextBytes(octets);
                if (i % 4 == 1) hello.CopyTo(octets.AsSpan(0, Math.Min(hello.Length, octets.Length)));
                if (i % 4 == 2) octets = Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {new string('a', random.Next(20_000))}{One}\r\nHost: {Two}\r\n\r\n");
                if (i % 4 == 3) octets = Encoding.ASCII.GetBytes($"GET http://{One}@{Two}:99999/ HTTP/1.1\r\nHost: [::1\r\n");
                TcpClient connection = scene.Lab.Internet.Call(() => new TcpClient(scene.Address, i % 2 == 0 ? 80 : 443));
                held.Add(connection);
                try
                {
                    connection.GetStream().Write(octets);
                }
                catch (IOException)
                {
                    // It was left already.
                }
            }

            // Half of them wait for an end that never comes.
            Assert.StartsWith("one for", scene.Page(One).Output, StringComparison.Ordinal);
            Assert.StartsWith("two for", scene.Page(Two, "https").Output, StringComparison.Ordinal);
            Assert.True(Wait.Until(() => scene.Status.GetProperty("prr").GetProperty("webNames").GetProperty("open").GetInt64() == 0, s_patience), $"connections that say nothing stay: {scene.Lab.QueryPrr("status").Output}");
        }
        finally
        {
            foreach (TcpClient connection in held) connection.Dispose();
        }

        Assert.Equal(0, scene.Status.GetProperty("services")[0].GetProperty("restarts").GetInt32());
    }

    [Fact]
    public void The_lines_of_a_zone_are_read_by_another_s_program()
    {
        using var scene = new Scene();
        Assert.True(scene.Name(0, One, "--http", $"{scene.First[0]}", "--https", $"{scene.First[0] + 1}", "--service", $"_xmpp-client._tcp:{scene.First[0] + 5}", "--service", $"_sip._udp:{scene.First[0] + 6}").Succeeded);
        Assert.True(scene.Name(1, Two, "--http", $"{scene.First[1]}").Succeeded);
        CommandResult zone = scene.Lab.Operate("registry", "zone", "--origin", "one.example", "--https-records");
        Assert.True(zone.Succeeded, zone.Text);
        string file = Path.Combine(Path.GetTempPath(), $"{LabFixture.NameHere("zone")}.zone");
        try
        {
            File.WriteAllText(file, $"$ORIGIN one.example.\n@ 300 IN SOA ns hostmaster 1 3600 600 86400 300\n@ 300 IN NS ns\nns 300 IN A 192.0.2.250\n{zone.Output}");
            string read = Commands.Require("named-checkzone", "-D", "-o", "-", "one.example", file);
            Assert.Matches($@"(?m)^www\.one\.example\.\s+300 IN A\s+{scene.Address}$", read);
            Assert.Matches($@"(?m)^_xmpp-client\._tcp\.www\.one\.example\.\s+300 IN SRV\s+0 0 {scene.First[0] + 5} www\.one\.example\.$", read);
            Assert.Matches($@"(?m)^_sip\._udp\.www\.one\.example\.\s+300 IN SRV\s+0 0 {scene.First[0] + 6} www\.one\.example\.$", read);
            Assert.Matches($@"(?m)^www\.one\.example\.\s+300 IN HTTPS\s+1 \. port=""?{scene.First[0] + 1}", read);
            Assert.DoesNotContain(Two, read, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
