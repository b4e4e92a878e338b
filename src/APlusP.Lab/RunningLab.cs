using System.Text.Json;
using System.Text.RegularExpressions;
using APlusP.Core;
using APlusP.Lab.Links;

namespace APlusP.Lab;

/// <summary>A lab that is up: its hosts are the namespaces ap-NAME-HOST, its files lie in /run/aplusp/lab/NAME. Any process may open it.</summary>
public sealed partial class RunningLab
{
    const string Root = "/run/aplusp/lab";

    static readonly TimeSpan s_startPatience = TimeSpan.FromSeconds(15);

    RunningLab(LabState state)
    {
        State = state;
        Topology = LabTopology.Of(state.Plan);
    }

    public LabState State { get; private set; }

    public LabPlan Plan => State.Plan;

    public LabTopology Topology { get; }

    /// <summary>Where the lab's files lie: configuration, logs, pages, control sockets.</summary>
    public string Directory => DirectoryOf(Plan.Name);

    /// <summary>The names of the labs of this machine, also those that a crash left half.</summary>
    public static IReadOnlyList<string> Names() =>
        [.. (System.IO.Directory.Exists(Root) ? System.IO.Directory.EnumerateDirectories(Root).Select(path => Path.GetFileName(path)!) : []).Order(StringComparer.Ordinal)];

    /// <summary>Builds a lab: network, servers, daemons; when it returns, packets travel. What fails is cleaned up.</summary>
    /// <param name="plan">What to build.</param>
    /// <param name="executable">The <c>aplusp</c> that the daemons run.</param>
    /// <param name="progress">Hears what is being done.</param>
    /// <param name="cancel">Gives up, and leaves nothing.</param>
    /// <exception cref="APlusPException">AP5001 to AP5006.</exception>
    public static RunningLab Up(LabPlan plan, string executable, Action<string>? progress = null, CancellationToken cancel = default)
    {
        CheckName(plan.Name);
        if (System.IO.Directory.Exists(DirectoryOf(plan.Name)) || NetworkNamespace.FindAll(Prefix(plan.Name)).Count > 0)
            throw new APlusPException(ErrorCodes.LabExists, $"the lab '{plan.Name}' is up already, or a crash left pieces of it. `aplusp lab status {plan.Name}` shows it, `aplusp lab down {plan.Name}` removes it.");

        var lab = new RunningLab(new LabState(plan, executable, DateTimeOffset.UtcNow, []));
        System.IO.Directory.CreateDirectory(lab.Directory);
        try
        {
            lab.Save();
            progress?.Invoke($"building {lab.Topology.Hosts.Count} hosts and {lab.Topology.Links.Count} links");
            LabBuilder.Build(lab.Topology, Prefix(plan.Name));
            cancel.ThrowIfCancellationRequested();
            if (plan.Links.Count > 0) progress?.Invoke($"starting {plan.Links.Count} emulated links");
            lab.StartLinks();
            progress?.Invoke("starting web servers and the resolver");
            lab.StartServers();
            cancel.ThrowIfCancellationRequested();
            progress?.Invoke($"starting the PRR and {plan.Rooms.Count(room => room.Kind == SmapKind.Aplusp)} SMAPs");
            lab.StartDaemons();
            cancel.ThrowIfCancellationRequested();
            progress?.Invoke("booting the hosts of the rooms, which ask their SMAPs for everything");
            lab.Boot([.. LabBoot.Served(plan).SelectMany(room => room.Hosts).Select(host => host.Name)]);
            cancel.ThrowIfCancellationRequested();
            return lab;
        }
        catch
        {
            Down(plan.Name);
            throw;
        }
    }

    /// <summary>A lab that is up.</summary>
    /// <exception cref="APlusPException">AP5005: there is none of this name.</exception>
    public static RunningLab Open(string name)
    {
        CheckName(name);
        LabState state = LabState.Read(StatePath(name))
            ?? throw new APlusPException(ErrorCodes.LabNotFound, $"no lab '{name}' is up{(Names() is { Count: > 0 } others ? $"; there is {string.Join(", ", others)}" : "")}. `aplusp lab up {name}` builds it.");
        return new RunningLab(state);
    }

    /// <summary>Removes a lab and everything in it, also what a crash left of it. Nothing to do is fine. Gives whether there was anything.</summary>
    public static bool Down(string name)
    {
        CheckName(name);
        IReadOnlyList<NetworkNamespace> namespaces = NetworkNamespace.FindAll(Prefix(name));
        NetworkNamespace.Delete(namespaces);
        bool files = System.IO.Directory.Exists(DirectoryOf(name));
        if (files) System.IO.Directory.Delete(DirectoryOf(name), recursive: true);
        return files || namespaces.Count > 0;
    }

    /// <exception cref="APlusPException">AP5005: the lab has no such host.</exception>
    public NetworkNamespace Host(string name)
    {
        LabHost host = Topology.Hosts.FirstOrDefault(h => h.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            ?? throw new APlusPException(ErrorCodes.LabNotFound, $"the lab '{Plan.Name}' has no host '{name}'; it has {string.Join(", ", Topology.Hosts.Select(h => h.Name))}.");
        return NetworkNamespace.Open(Prefix(Plan.Name) + host.Name);
    }

    /// <summary>Starts a program on a host that goes on; the lab remembers it by its name.</summary>
    public LabProcess Start(string host, string name, params IReadOnlyList<string> command)
    {
        LabProcess process = Host(host).Start(name, Path.Combine(Directory, "logs", $"{host}-{name.Replace(' ', '-')}.log"), command);
        State = State with { Processes = [.. State.Processes, process] };
        Save();
        return process;
    }

    /// <summary>A program that runs on a host of this lab, or null.</summary>
    public LabProcess? Process(string host, string name) =>
        State.Processes.LastOrDefault(p => p.Namespace == Prefix(Plan.Name) + host && p.Name == name);

    /// <summary>The hosts that run our daemons: the PRR and the SMAPs that are ours.</summary>
    public IEnumerable<string> Daemons => ["prr", .. Plan.Rooms.Where(room => room.Kind == SmapKind.Aplusp).Select(room => room.Smap)];

    /// <summary>A daemon's control socket.</summary>
    public string ControlSocket(string daemon) => Path.Combine(Directory, $"{daemon}.sock");

    /// <summary>A daemon's configuration file.</summary>
    public string ConfigurationPath(string daemon) => Path.Combine(Directory, $"{daemon}.toml");

    /// <summary>What <c>aplusp counters --json</c> says of a daemon: {name: integer}.</summary>
    public IReadOnlyDictionary<string, long> Counters(string daemon)
    {
        Dictionary<string, long> counters = [];
        foreach (JsonProperty counter in Ask("counters", daemon).EnumerateObject())
            if (counter.Value.ValueKind == JsonValueKind.Number) counters[counter.Name] = counter.Value.GetInt64();
        return counters;
    }

    /// <summary>What <c>aplusp status --json</c> says of a daemon.</summary>
    public JsonElement DaemonStatus(string daemon) => Ask("status", daemon);

    /// <summary>The requests that a web server has logged.</summary>
    public IReadOnlyList<AccessLogEntry> AccessLog(string server)
    {
        string path = Path.Combine(Directory, server, "access.log");
        return File.Exists(path) ? [.. File.ReadAllLines(path).Select(AccessLogEntry.Parse)] : [];
    }

    /// <summary>The certificate that clients of the web servers trust.</summary>
    public string Certificate => Path.Combine(Directory, "certificate.pem");

    /// <summary>Captures every interface of every host into DIRECTORY/HOST-INTERFACE.pcap until the processes are stopped or the lab goes down.</summary>
    /// <param name="directory">Where the captures go.</param>
    /// <param name="snapshot">Octets of each packet; 0 is all.</param>
    /// <param name="megabytes">Size of a file; with two files of it, the oldest packets go. 0 has no limit.</param>
    public IReadOnlyList<LabProcess> Capture(string directory, int snapshot = 0, int megabytes = 0)
    {
        Programs.Require("tcpdump");
        System.IO.Directory.CreateDirectory(directory);
        List<LabProcess> captures = [];
        foreach (LabHost host in Topology.Hosts)
        {
            foreach (string name in Interfaces(host))
            {
                string file = Path.Combine(directory, $"{host.Name}-{name}.pcap");
                string[] limit = megabytes == 0 ? [] : ["-C", $"{megabytes}", "-W", "2"];
                captures.Add(Start(host.Name, $"capture {name}", ["tcpdump", "-i", name, "-n", "-U", "-Z", "root", "-s", $"{snapshot}", .. limit, "-w", file]));
            }
        }

        foreach (LabProcess capture in captures)
            capture.WaitUntil(() => capture.ReadLog().Contains("listening on"), s_startPatience, "begin to listen");
        return captures;
    }

    /// <summary>Starts an SSH server on a host.</summary>
    public void StartSsh(string host)
    {
        LabProcess server = Start(host, "sshd", LabServers.Ssh(Directory));
        server.WaitUntil(() => Listens(host, 22), s_startPatience, "listen on port 22");
    }

    /// <summary>Starts an iperf3 server on a host.</summary>
    public void StartIperf(string host)
    {
        LabProcess server = Start(host, "iperf3", "iperf3", "--server");
        server.WaitUntil(() => Listens(host, 5201), s_startPatience, "listen on port 5201");
    }

    /// <summary>Whether a host has a TCP listener on this port.</summary>
    public bool Listens(string host, int port) => Host(host).Run("ss", "-Hltn", $"sport = :{port}").Output.Length > 0;

    static IEnumerable<string> InterfacesOf(LabTopology topology, LabHost host) =>
        topology.Links.SelectMany(link => (LinkEnd[])[link.A, link.B]).Where(end => end.Host == host.Name).Select(end => end.Interface);

    // The links' ends, and a daemon's TUN device: what came out of the softwire as the NAPT or the PRR saw it.
    IEnumerable<string> Interfaces(LabHost host) =>
        Daemons.Contains(host.Name) ? [.. InterfacesOf(Topology, host), DeviceOf(host.Name)] : InterfacesOf(Topology, host);

    /// <summary>The TUN device of a daemon.</summary>
    public static string DeviceOf(string daemon) => daemon == "prr" ? "aplusp-prr" : "aplusp-smap";

    /// <summary>An emulated link of the plan.</summary>
    /// <exception cref="APlusPException">AP5005: the lab was planned without it.</exception>
    public LabLinkHandle Link(string name) => Plan.Links.Any(link => link.Name == name)
        ? new LabLinkHandle(name, LinkSocket(name))
        : throw new APlusPException(ErrorCodes.LabNotFound, $"the lab '{Plan.Name}' has no emulated link '{name}'{(Plan.Links.Count > 0 ? $"; it has {string.Join(", ", Plan.Links.Select(link => link.Name))}" : "")}. `aplusp lab up --link {name}` builds one with it.");

    string LinkSocket(string name) => Path.Combine(Directory, $"link-{name}.sock");

    void StartLinks()
    {
        foreach (LinkPlan link in Plan.Links)
        {
            HopAddresses hop = LabTopology.HopOf(Plan, link.Name);
            Start(link.Host, "link",
            [
                State.Executable, "lab", "link", "run", LinkPlan.Upper, LinkPlan.Lower, "--socket", LinkSocket(link.Name),
                .. hop.V6 is { } v6 ? (string[])["--hop-v6", v6.ToString()] : [],
                .. hop.V4 is { } v4 ? (string[])["--hop-v4", v4.ToString()] : [],
            ]);
        }

        foreach (LinkPlan link in Plan.Links)
        {
            Process(link.Host, "link")!.WaitUntil(() => LabDaemons.Answers(LinkSocket(link.Name)), s_startPatience, "begin to carry frames");
            LabLinkHandle running = Link(link.Name);
            running.Set(link.Down.ToChange(LinkWay.Down));
            running.Set(link.Up.ToChange(LinkWay.Up));
        }
    }

    /// <summary>
    /// Gives an interface another MTU, as an administrator would: its host's kernel answers what no longer fits. What the other end still sends
    /// larger than this is dropped without a word, as by a real receiver; an emulated link has an MTU for each way.
    /// </summary>
    public void SetMtu(string host, string device, int mtu) => Host(host).Ip($"link set {device} mtu {mtu}");

    /// <summary>Lets a host swallow every ICMPv6 Packet Too Big and ICMP "fragmentation needed" that it forwards or would send, by nftables; or no longer.</summary>
    public void FilterPacketTooBig(string host, bool filter)
    {
        Programs.Require("nft");
        Commands.Require(["ip", "netns", "exec", Host(host).Name, "nft", "-f", "-"], filter
            ? """
              table inet aplusp-lab
              delete table inet aplusp-lab
              table inet aplusp-lab {
                  chain forward { type filter hook forward priority 0; icmpv6 type packet-too-big counter drop; icmp type destination-unreachable icmp code frag-needed counter drop; }
                  chain output { type filter hook output priority 0; icmpv6 type packet-too-big counter drop; icmp type destination-unreachable icmp code frag-needed counter drop; }
              }

              """
            : "table inet aplusp-lab\ndelete table inet aplusp-lab\n");
    }

    void StartServers()
    {
        LabServers.MakeCertificate(Directory);
        foreach (LabHost host in Topology.Hosts)
        {
            string files = $"/etc/netns/{Prefix(Plan.Name)}{host.Name}";
            System.IO.Directory.CreateDirectory(files);
            File.WriteAllText(Path.Combine(files, "resolv.conf"), LabBoot.ResolverOf(Plan, host.Name));
        }

        LabProcess resolver = Start("dns", "dnsmasq", LabServers.Resolver(Directory));
        List<LabProcess> web = [.. ((string[])["www4", "www6"]).Select(host => Start(host, "nginx", LabServers.Web(Directory, host).Command))];
        resolver.WaitUntil(() => Listens("dns", 53), s_startPatience, "listen on port 53");
        web[0].WaitUntil(() => Listens("www4", 443), s_startPatience, "listen on port 443");
        web[1].WaitUntil(() => Listens("www6", 443), s_startPatience, "listen on port 443");
        if (!LabBoot.Served(Plan).Any()) return;
        LabProcess advertiser = Start("core", "dnsmasq", LabBoot.Advertiser(Plan, Directory));
        foreach (RoomPlan room in LabBoot.Served(Plan))
        {
            // It may have begun to listen after we asked.
            NetworkNamespace smap = Host(room.Smap);
            advertiser.WaitUntil(() => { LabBoot.Begin(smap, "wan"); return Wait.Until(() => LabBoot.HasRouter(smap, "-6"), TimeSpan.FromSeconds(1)); }, s_startPatience, $"advertise itself to {room.Smap}");
        }
    }

    void StartDaemons()
    {
        File.WriteAllText(ConfigurationPath("prr"), LabDaemons.PrrConfiguration(Plan, ControlSocket("prr")));
        foreach (RoomPlan room in Plan.Rooms.Where(room => room.Kind == SmapKind.Aplusp))
            File.WriteAllText(ConfigurationPath(room.Smap), LabDaemons.SmapConfiguration(Plan, room, ControlSocket(room.Smap)));
        foreach (string daemon in Daemons) StartDaemon(daemon, wait: false);
        foreach (string daemon in Daemons) WaitForDaemon(daemon);
    }

    /// <summary>Hosts of rooms that a SMAP of ours serves begin, all at the same time, also once more; when it returns, they have IPv4, IPv6 and a resolver.</summary>
    public void Boot(params IReadOnlyList<string> hosts)
    {
        (NetworkNamespace Host, LabProcess Client)[] begun = [.. hosts.Select(name =>
        {
            Process(name, LabBoot.ClientName)?.Stop();
            LabBoot.Begin(Host(name), "eth0");
            return (Host(name), Start(name, LabBoot.ClientName, LabBoot.Client(Directory)));
        })];
        foreach ((NetworkNamespace host, LabProcess client) in begun)
        {
            client.WaitUntil(() => LabBoot.HasRouter(host, "-4"), s_startPatience, "be given an address");
            client.WaitUntil(() => LabBoot.HasRouter(host, "-6"), s_startPatience, "hear of a router by IPv6");
            client.WaitUntil(() => LabBoot.HasNames(host), s_startPatience, "be told names by its SMAP");
        }
    }

    /// <summary>Starts the daemon of a host by its configuration file, as it stands now.</summary>
    public LabProcess StartDaemon(string daemon, bool wait = true)
    {
        string verb = daemon == "prr" ? "prr" : "smap";
        LabProcess process = Start(daemon, "aplusp", State.Executable, verb, "--config", ConfigurationPath(daemon));
        if (wait) WaitForDaemon(daemon);
        return process;
    }

    void WaitForDaemon(string daemon) =>
        Process(daemon, "aplusp")!.WaitUntil(() => LabDaemons.Answers(ControlSocket(daemon)), s_startPatience, $"answer at {ControlSocket(daemon)}");

    JsonElement Ask(string verb, string daemon) => LabDaemons.Ask(State.Executable, verb, ControlSocket(daemon));

    void Save() => State.Write(StatePath(Plan.Name));

    static string Prefix(string name) => $"ap-{name}-";

    static string DirectoryOf(string name) => Path.Combine(Root, name);

    static string StatePath(string name) => Path.Combine(DirectoryOf(name), "lab.json");

    static void CheckName(string name)
    {
        if (!NameForm.IsMatch(name))
            throw new APlusPException(ErrorCodes.LabNotFound, $"'{name}' cannot be the name of a lab: write 1 to 20 letters and digits, such as fig22.");
    }

    // Without a dash, or the namespaces of "x" would include those of "x-y".
    [GeneratedRegex("^[a-zA-Z0-9]{1,20}$")]
    private static partial Regex NameForm { get; }
}
