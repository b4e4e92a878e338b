using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>
/// A home whose SMAP is its router, a host that knows nothing, and a network that has resolvers by IPv6 alone, in namespaces of their own. The softwire leads nowhere.
/// <code>
///   host eth0 ------- lan SMAP wan ------------- access NET      resolvers 2001:db8:53::53, ::54
///   52:54:00:00:02:79     2001:db8:fffe::2       2001:db8:fffe::1
/// </code>
/// </summary>
sealed class LanLab : IDisposable
{
    public const string Mac = "52:54:00:00:02:79", Resolver = "2001:db8:53::53", OtherResolver = "2001:db8:53::54", Prefix = "2001:db8:2:1::/64", OtherPrefix = "2001:db8:2:2::/64";

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-lan-").FullName;

    public LanLab()
    {
        string id = LabFixture.NewMark();
        Host = NetworkNamespace.Create($"ap-lhost-{id}");
        Smap = NetworkNamespace.Create($"ap-lsmap-{id}");
        Net = NetworkNamespace.Create($"ap-lnet-{id}");
        foreach (NetworkNamespace each in All) each.Shell("cd /proc/sys/net/ipv6/conf; echo 0 > default/accept_dad; echo 0 > all/accept_dad; echo 0 > default/accept_ra");
        Host.Shell("echo 1 > /proc/sys/net/ipv6/conf/default/accept_ra");
        Commands.Require("ip", "link", "add", "lan", "netns", Smap.Name, "type", "veth", "peer", "name", "eth0", "address", Mac, "netns", Host.Name);
        Commands.Require("ip", "link", "add", "wan", "netns", Smap.Name, "type", "veth", "peer", "name", "access", "netns", Net.Name);
        Smap.Ip("link set lan up", "link set wan up", "addr add 2001:db8:fffe::2/64 dev wan nodad", "route add default via 2001:db8:fffe::1");
        Net.Ip("link set access up", "addr add 2001:db8:fffe::1/64 dev access nodad", $"addr add {Resolver}/128 dev lo nodad", $"addr add {OtherResolver}/128 dev lo nodad", "route add 2001:db8:2::/48 via 2001:db8:fffe::2");
        Host.Ip("link set eth0 up");
    }

    public NetworkNamespace Host { get; }

    public NetworkNamespace Smap { get; }

    public NetworkNamespace Net { get; }

    NetworkNamespace[] All => [Host, Smap, Net];

    public LabProcess Daemon { get; private set; } = null!;

    public string PathOf(string file) => Path.Combine(_directory, file);

    string Socket => PathOf("smap.sock");

    public void Configure(int pathMtu = 1500, string prefix = Prefix, string sections = $"[dns]\nupstream = [\"{Resolver}\"]", string lan = "") => File.WriteAllText(PathOf("smap.toml"), $"""
        softwire-address = "2001:db8:5::1"
        prr-address = "2001:db8:9::1"
        shared-address = "192.0.2.1"
        ports = "10000-11023"
        path-mtu = {pathMtu}
        control-socket = "{Socket}"
        lan-leases = "leases"

        [[lan]]
        device = "lan"
        address = "192.168.2.1/24"
        prefix = "{prefix}"
        {lan}

        {sections}

        """);

    /// <param name="hasIPv4">Whether hosts are given IPv4; otherwise it is ready as soon as it answers names.</param>
    public void Start(bool hasIPv4 = true)
    {
        Daemon = Smap.Start("smap", PathOf("smap.log"), LabFixture.Executable, "smap", "--config", PathOf("smap.toml"));
        Daemon.WaitUntil(() => Ask("status").Succeeded && Dnsmasq() is not null && (hasIPv4 ? Serves() : Smap.Run("ss", "-Hulnp", "sport", "=", ":53").Output.Contains("dnsmasq", StringComparison.Ordinal)), TimeSpan.FromSeconds(30), "serve the LAN");
    }

    public bool Serves() => Smap.Run("ss", "-Hulnp", "sport", "=", ":67").Output.Contains("dnsmasq", StringComparison.Ordinal);

    public CommandResult Ask(string verb, params string[] more) => Commands.Run([LabFixture.Executable, verb, "--socket", Socket, .. more]);

    public JsonElement Status() => JsonDocument.Parse(Ask("status", "--json").Output).RootElement;

    /// <summary>The dnsmasq that runs; null where none does.</summary>
    public int? Dnsmasq() => Running("dnsmasq");

    /// <summary>A program that runs for the LAN; null where it does not.</summary>
    public int? Running(string name) =>
        Status().GetProperty("services").EnumerateArray().SingleOrDefault(s => s.GetProperty("name").GetString() == name) is { ValueKind: JsonValueKind.Object } service && service.TryGetProperty("processId", out JsonElement id) ? id.GetInt32() : null;

    public void Reload()
    {
        CommandResult result = Ask("reload");
        Assert.True(result.Succeeded, result.Text);
    }

    /// <summary>What a DHCP server tells the host, or another, now, as udhcpc names it: ip, router, dns, mtu, lease and so on.</summary>
    public Dictionary<string, string> Dhcp(NetworkNamespace? other = null) => DhcpAnswer.Of(other ?? Host, _directory);

    /// <summary>What a router tells the host.</summary>
    public string Advertisement() => Host.Run("rdisc6", "-1", "-w", "3000", "eth0").Output;

    public LabProcess Resolve(string at) => Net.StartResolver(at, PathOf($"resolver-{at[^2..]}.log"), "203.0.113.4", "2001:db8:6::4");

    /// <summary>Asks for a name as the host would; the address, or what went wrong.</summary>
    public CommandResult Dig(string name, int seconds = 5) => Host.Run("dig", "@192.168.2.1", "+tries=1", $"+time={seconds}", "+noall", "+answer", "+comments", name, "A");

    public void Dispose()
    {
        Daemon?.Stop();
        NetworkNamespace.Delete(All);
        Directory.Delete(_directory, recursive: true);
    }
}
