using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Lab;

/// <summary>What one host did in a demonstration.</summary>
/// <param name="Requests">As the servers saw it.</param>
/// <param name="Held">Ports that it holds now, by its SMAP's live count.</param>
/// <param name="Ports">The source ports that the servers saw, ascending.</param>
public sealed record DemonstratedHost(RoomPlan Room, string Name, int Requests, int Held, IReadOnlyList<int> Ports);

/// <summary>A packet that room 1 sent with a port of room 2, and what became of it.</summary>
public sealed record DemonstratedSpoof(string Packet, string Counter, long Before, long After, bool Arrived);

/// <summary>Something that had to be so, and whether it was.</summary>
public readonly record struct DemonstratedFact(string Text, bool True);

/// <summary>What a demonstration has to show; everything in it was read from the running system.</summary>
public sealed record Demonstration(
    IReadOnlyList<DemonstratedHost> Hosts,
    IReadOnlyList<string> Addresses,
    TimeSpan Elapsed,
    IReadOnlyDictionary<string, long> PrrCounters,
    DemonstratedSpoof Spoof,
    IReadOnlyList<DemonstratedFact> Facts)
{
    static readonly string[] s_pages = ["index.html", "picture.jpg", "film.mp4"];

    public bool Succeeded => Facts.All(fact => fact.True);

    /// <summary>Lets every host of a lab fetch real pages at the same time, then lets one lie about its port.</summary>
    public static Demonstration Run(RunningLab lab, Action<string>? progress = null, CancellationToken cancel = default)
    {
        string[] hosts = [.. lab.Plan.Rooms.SelectMany(room => room.Hosts).Select(host => host.Name)];
        progress?.Invoke($"{string.Join(", ", hosts)} fetch pages over HTTP and HTTPS at the same time");
        long start = TimeProvider.System.GetTimestamp();
        Task<string?>[] fetches = [.. hosts.Select(host => Task.Run(() => Fetch(lab, host), cancel))];
        Task.WaitAll(fetches, cancel);
        TimeSpan elapsed = TimeProvider.System.GetElapsedTime(start);
        cancel.ThrowIfCancellationRequested();

        progress?.Invoke("room 1 sends a packet that claims a port of room 2");
        DemonstratedSpoof spoof = SendSpoof(lab);
        cancel.ThrowIfCancellationRequested();

        progress?.Invoke("reading counters and the servers' logs");
        AccessLogEntry[] log = [.. lab.AccessLog("www4"), .. lab.AccessLog("www6")];
        IReadOnlyList<DemonstratedHost> seen = [.. lab.Plan.Rooms.SelectMany(room => Summarise(lab, room, log))];
        IReadOnlyDictionary<string, long> prr = lab.Counters("prr");
        string[] addresses = [.. log.Select(entry => entry.Address).Distinct()];

        string?[] failures = [.. fetches.Select(fetch => fetch.Result).Where(failure => failure is not null)];
        int requests = hosts.Length * s_pages.Length * 4;
        return new Demonstration(seen, addresses, elapsed, prr, spoof,
        [
            new(failures.Length == 0 ? $"{requests} pages arrived whole" : $"pages did not arrive: {string.Join("; ", failures)}", failures.Length == 0 && log.Length == requests),
            new($"the servers saw one address, {string.Join(", ", addresses)}", addresses is [LabPlan.SharedAddress]),
            new("every host kept to the ports of its room", seen.All(host => host.Ports.Count > 0 && host.Ports.All(port => PortSet.Parse(host.Room.Ports).Contains((ushort)port)))),
            new("each SMAP counts at least as many ports as its hosts showed", seen.All(host => host.Held >= host.Ports.Count)),
            new("the lie was refused and counted, and nothing arrived", !spoof.Arrived && spoof.After == spoof.Before + 1),
            new("the PRR accounts for every packet", Accounts(prr, "from-smap") && Accounts(prr, "from-internet")),
        ]);
    }

    // Gives what failed, or null. The octets are compared with the server's own files.
    static string? Fetch(RunningLab lab, string host)
    {
        foreach (string server in (string[])["www4", "www6"])
        {
            foreach (string scheme in (string[])["http", "https"])
            {
                foreach (string page in s_pages)
                {
                    string url = $"{scheme}://{server}.example/{page}";
                    string target = Path.Combine(lab.Directory, $"fetched-by-{host}");
                    CommandResult result = lab.Host(host).Run("curl", "-4", "-sS", "--fail", "--max-time", "20", "-A", host, "--cacert", lab.Certificate, "-o", target, url);
                    if (!result.Succeeded) return $"{host} {url}: {result.Text.Trim()}";
                    if (!Hash(target).AsSpan().SequenceEqual(Hash(Path.Combine(lab.Directory, server, "pages", page)))) return $"{host} {url}: not what the server has";
                }
            }
        }

        return null;
    }

    static byte[] Hash(string path)
    {
        using FileStream file = File.OpenRead(path);
        return SHA256.HashData(file);
    }

    static IEnumerable<DemonstratedHost> Summarise(RunningLab lab, RoomPlan room, AccessLogEntry[] log)
    {
        Dictionary<string, int> held = lab.DaemonStatus(room.Smap).GetProperty("smap").GetProperty("hosts").EnumerateArray()
            .ToDictionary(host => host.GetProperty("host").GetString()!, host => host.GetProperty("ports").GetInt32());
        foreach (HostPlan host in room.Hosts)
        {
            AccessLogEntry[] own = [.. log.Where(entry => entry.Agent == host.Name)];
            yield return new DemonstratedHost(
                room, host.Name, own.Length, held.GetValueOrDefault(host.Address), [.. own.Select(entry => entry.Port).Distinct().Order()]);
        }
    }

    static DemonstratedSpoof SendSpoof(RunningLab lab)
    {
        const string Counter = "from-smap-drop-source-port-not-bound";
        using Socket server = lab.Host("www4").Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        server.Bind(new IPEndPoint(IPAddress.Parse(LabTopology.Www4Address), 0));
        server.ReceiveTimeout = 500;
        var packet = new SoftwirePacket
        {
            OuterSource = IPv6Address.Parse(lab.Plan.Room(1).Softwire),
            OuterDestination = IPv6Address.Parse(LabPlan.PrrSoftwire),
            Source = IPv4Address.Parse(LabPlan.SharedAddress),
            SourcePort = PortSet.Parse(lab.Plan.Room(2).Ports).Ranges.First().First,
            Destination = IPv4Address.Parse(LabTopology.Www4Address),
            DestinationPort = (ushort)((IPEndPoint)server.LocalEndPoint!).Port,
        };

        long before = lab.Counters("prr").GetValueOrDefault(Counter);
        packet.Send(lab.Host(lab.Plan.Room(1).Smap));
        bool arrived;
        try
        {
            server.Receive(new byte[100]);
            arrived = true;
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.TimedOut)
        {
            arrived = false;
        }

        string told = $"UDP {packet.Source}:{packet.SourcePort} > {packet.Destination}:{packet.DestinationPort} from {packet.OuterSource}";
        return new DemonstratedSpoof(told, Counter, before, lab.Counters("prr").GetValueOrDefault(Counter), arrived);
    }

    static bool Accounts(IReadOnlyDictionary<string, long> counters, string side) =>
        counters.GetValueOrDefault($"{side}-received") ==
        ((string[])["forwarded", "hairpinned", "answered", "consumed", "dropped"]).Sum(fate => counters.GetValueOrDefault($"{side}-{fate}"));
}
