using System.Net;
using APlusP.Core.Addresses;

namespace APlusP.Registry.Pcp;

/// <summary>Whom a registry answers by PCP, and where: <c>[pcp]</c>.</summary>
public sealed record PcpServerSettings
{
    /// <summary>Its own addresses: an answer comes from the one that was asked (RFC 6887 section 8.3).</summary>
    public required IReadOnlyList<IPEndPoint> Listen { get; init; }

    /// <summary>Prefixes of those who may ask. Nobody else does: their networks must keep others from sending in their names.</summary>
    public required IReadOnlyList<IPv6Prefix> Clients { get; init; }

    /// <summary>The length of a home's prefix: whoever asks from within one is one subscriber, and has one lease.</summary>
    public int HomeLength { get; init; } = DefaultHomeLength;

    public const int DefaultHomeLength = 64;

    /// <summary>Class of new leases; null for the default.</summary>
    public string? Class { get; init; }

    /// <summary>Requests a second that are answered, of all and of one home; what is more is left for the next repetition.</summary>
    public int RequestsPerSecond { get; init; } = 1000;

    /// <inheritdoc cref="RequestsPerSecond"/>
    public int RequestsPerHome { get; init; } = 10;

    /// <summary>The home of a client; null for who may not ask.</summary>
    public IPv6Prefix? HomeOf(IPv6Address client)
    {
        foreach (IPv6Prefix prefix in Clients)
            if (prefix.Contains(client)) return IPv6Prefix.Of(client, HomeLength);
        return null;
    }
}
