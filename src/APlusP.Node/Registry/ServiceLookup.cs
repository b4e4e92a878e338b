using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using APlusP.Core;

namespace APlusP.Node.Registry;

/// <summary>Finds a registry by the DNS: SRV records of <c>_aplusp-registry._tcp.DOMAIN</c> (RFC 2782), asked of the servers of /etc/resolv.conf.</summary>
static class ServiceLookup
{
    const string Service = "_aplusp-registry._tcp", Resolver = "/etc/resolv.conf";

    const int Port = 53, LargestAnswer = 4096;

    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    /// <summary>Addresses of registries of a domain, the best first.</summary>
    /// <param name="domain">The domain; empty for those that are told, and those of the resolver's search list.</param>
    /// <param name="told">Domains that a DHCPv6 server has told.</param>
    /// <param name="cancel">Ends it.</param>
    /// <exception cref="ApiFault">There is none, or no name server answers.</exception>
    public static async Task<IReadOnlyList<Uri>> Find(string domain, IReadOnlyList<string> told, CancellationToken cancel)
    {
        (IReadOnlyList<IPAddress> servers, IReadOnlyList<string> search) = ReadResolver(File.Exists(Resolver) ? await File.ReadAllLinesAsync(Resolver, cancel) : []);
        IReadOnlyList<string> domains = Domains(domain, told, search);
        if (domains.Count == 0) throw new ApiFault(ErrorCodes.NoRegistry, $"no registry is configured, and neither DHCPv6 nor the search list of {Resolver} has a domain to look for one in; set `url` in [registry]");
        if (servers.Count == 0) throw new ApiFault(ErrorCodes.NoRegistry, $"{Resolver} names no name server to find a registry by");
        bool answered = false;
        foreach (string name in domains.Select(d => $"{Service}.{d}"))
        {
            foreach (IPAddress server in servers)
            {
                if (await Ask(server, name, cancel) is not { } places) continue;
                answered = true;
                if (places.Count > 0) return [.. places.Select(p => new Uri($"https://{p.Host}:{p.Port}/"))];
                break;
            }
        }

        string names = string.Join(", ", domains.Select(d => $"{Service}.{d}"));
        throw new ApiFault(ErrorCodes.NoRegistry, answered ? $"the DNS has no registry: no SRV record of {names}" : $"no name server ({string.Join(", ", servers)}) answers a question for {names}");
    }

    /// <summary>Where it is looked for: in the domain that is configured, else in those that DHCPv6 tells, and then in those of the resolver.</summary>
    public static IReadOnlyList<string> Domains(string configured, IReadOnlyList<string> told, IReadOnlyList<string> search) => configured.Length > 0 ? [configured] : [.. told.Union(search, StringComparer.OrdinalIgnoreCase)];

    /// <summary>One question to one server; null where it does not answer.</summary>
    static async Task<IReadOnlyList<ServicePlace>?> Ask(IPAddress server, string name, CancellationToken cancel)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        patience.CancelAfter(s_patience);
        try
        {
            byte[] question = ServiceQuestion.Write(name, (ushort)RandomNumberGenerator.GetInt32(ushort.MaxValue + 1)), answer = new byte[LargestAnswer];

            // Connected, so that nobody else's answer is heard.
            using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            await socket.ConnectAsync(new IPEndPoint(server, Port), patience.Token);
            await socket.SendAsync(question, patience.Token);
            while (true)
            {
                int length = await socket.ReceiveAsync(answer, patience.Token);
                if (ServiceQuestion.TryRead(answer.AsSpan(0, length), question, out IReadOnlyList<ServicePlace> places)) return places;
            }
        }
        catch (Exception error) when (error is SocketException or FormatException || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>Name servers and search list, resolv.conf(5); the last <c>search</c> or <c>domain</c> counts.</summary>
    public static (IReadOnlyList<IPAddress> Servers, IReadOnlyList<string> Search) ReadResolver(IEnumerable<string> lines)
    {
        var servers = new List<IPAddress>();
        IReadOnlyList<string> search = [];
        foreach (string[] words in lines.Select(l => l.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)))
        {
            if (words is ["nameserver", var server, ..] && IPAddress.TryParse(server, out IPAddress? address)) servers.Add(address);
            else if (words is ["search" or "domain", ..]) search = [.. words[1..].Select(d => d.TrimEnd('.')).Where(d => d.Length > 0)];
        }

        return (servers, search);
    }
}
