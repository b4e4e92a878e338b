using System.Net;
using System.Security.Cryptography;
using APlusP.Core;
using APlusP.Node.Names;

namespace APlusP.Node.Registry;

/// <summary>Finds a registry by the DNS: SRV records of <c>_aplusp-registry._tcp.DOMAIN</c> (RFC 2782), asked of the servers of /etc/resolv.conf.</summary>
static class ServiceLookup
{
    const string Service = "_aplusp-registry._tcp";

    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    /// <summary>Addresses of registries of a domain, the best first.</summary>
    /// <param name="domain">The domain; empty for those that are told, and those of the resolver's search list.</param>
    /// <param name="told">Domains that a DHCPv6 server has told.</param>
    /// <param name="cancel">Ends it.</param>
    /// <exception cref="ApiFault">There is none, or no name server answers.</exception>
    public static async Task<IReadOnlyList<Uri>> Find(string domain, IReadOnlyList<string> told, CancellationToken cancel)
    {
        (IReadOnlyList<IPAddress> servers, IReadOnlyList<string> search) = NameServers.Read();
        IReadOnlyList<string> domains = Domains(domain, told, search);
        if (domains.Count == 0) throw new ApiFault(ErrorCodes.NoRegistry, $"no registry is configured, and neither DHCPv6 nor the search list of {NameServers.Resolver} has a domain to look for one in; set `url` in [registry]");
        if (servers.Count == 0) throw new ApiFault(ErrorCodes.NoRegistry, $"{NameServers.Resolver} names no name server to find a registry by");
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
        try
        {
            byte[] question = ServiceQuestion.Write(name, (ushort)RandomNumberGenerator.GetInt32(ushort.MaxValue + 1));
            return await NameServers.Ask<IReadOnlyList<ServicePlace>>(server, question, ServiceQuestion.TryRead, s_patience, cancel);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
