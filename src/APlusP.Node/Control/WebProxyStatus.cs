namespace APlusP.Node.Control;

/// <summary>How a web proxy fares, in connections since its start where nothing else is said.</summary>
public sealed record WebProxyStatus
{
    public string Role => "web-proxy";

    /// <summary>Whose connections it takes, and those to which ports.</summary>
    public required IReadOnlyList<string> Devices { get; init; }

    /// <inheritdoc cref="Devices"/>
    public required IReadOnlyList<int> Ports { get; init; }

    /// <summary>All whose way was found, or was found not to be.</summary>
    public required long Connections { get; init; }

    /// <summary>Connections now.</summary>
    public required int Open { get; init; }

    /// <summary>Of these by IPv6: each would have a port of the shared address.</summary>
    public required int PortsSaved { get; init; }

    /// <summary>The most at once.</summary>
    public required int MostPortsSaved { get; init; }

    public required long OverIPv6 { get; init; }

    /// <summary>By IPv4, since the client named no server in clear.</summary>
    public required long NoName { get; init; }

    /// <summary>By IPv4, since the server has no IPv6 address.</summary>
    public required long NoAddress { get; init; }

    /// <summary>By IPv4, since the DNS did not say in time whether it has one.</summary>
    public required long NameLate { get; init; }

    /// <summary>By IPv4, since it has one and did not answer by it.</summary>
    public required long NotAnswering { get; init; }

    /// <summary>Answered by neither; the client heard a reset.</summary>
    public required long Unreachable { get; init; }

    /// <summary>From clients, and to them.</summary>
    public required long OctetsUp { get; init; }

    /// <inheritdoc cref="OctetsUp"/>
    public required long OctetsDown { get; init; }

    /// <summary>Of those by IPv4, how many shared connections with others.</summary>
    public required long Pooled { get; init; }

    /// <summary>The most visited sites; null where they are not counted.</summary>
    public IReadOnlyList<SiteVisits>? Sites { get; init; }

    /// <summary>The same as counters.</summary>
    public Dictionary<string, long> Counters() => new(StringComparer.Ordinal)
    {
        ["web-proxy.ipv6"] = OverIPv6,
        ["web-proxy.ipv4.no-name"] = NoName,
        ["web-proxy.ipv4.no-address"] = NoAddress,
        ["web-proxy.ipv4.name-late"] = NameLate,
        ["web-proxy.ipv4.not-answering"] = NotAnswering,
        ["web-proxy.ipv4.pooled"] = Pooled,
        ["web-proxy.unreachable"] = Unreachable,
        ["web-proxy.octets-up"] = OctetsUp,
        ["web-proxy.octets-down"] = OctetsDown,
    };
}

/// <summary>How often connections were for a site, since the proxy's start.</summary>
public sealed record SiteVisits(string Name, long Connections);
