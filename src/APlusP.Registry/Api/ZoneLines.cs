using APlusP.Registry.Leases;

namespace APlusP.Registry.Api;

/// <summary>
/// Names of servers as lines of a DNS zone (RFC 1035 section 5.1): an address for each whose subscriber has a lease, and the ports of services by SRV (RFC 2782). On request also HTTPS records (RFC 9460),
/// by which browsers that know them come to the subscriber's port directly. What is idle has no line.
/// </summary>
public static class ZoneLines
{
    /// <param name="names">As the registry tells them.</param>
    /// <param name="origin">The zone, of whose names alone there are lines; null for all.</param>
    /// <param name="ttl">For how long they may be kept, in seconds.</param>
    /// <param name="withHttps">Whether there are HTTPS records.</param>
    public static IEnumerable<string> Write(IEnumerable<ServerNameDocument> names, string? origin, int ttl, bool withHttps)
    {
        string? zone = origin?.Trim('.').ToLowerInvariant();
        foreach (ServerNameDocument name in names.Where(n => n.Address is not null && (zone is null || n.Name == zone || n.Name.EndsWith($".{zone}", StringComparison.Ordinal))))
        {
            yield return $"{name.Name}. {ttl} IN A {name.Address}";
            foreach (string text in name.Services)
                if (NamedService.TryParse(text, out NamedService? service) && !name.Idle.Contains(service.Port)) yield return $"{service.Service}.{name.Name}. {ttl} IN SRV 0 0 {service.Port} {name.Name}.";

            // A port is meant for TLS alone; of a server of HTTP in clear an HTTPS record would make browsers ask for TLS.
            if (withHttps && name.Https is { } https && !name.Proxied && !name.Idle.Contains(https)) yield return $"{name.Name}. {ttl} IN HTTPS 1 . port={https}";
        }
    }
}
