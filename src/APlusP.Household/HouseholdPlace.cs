using System.Net;

namespace APlusP.Household;

/// <summary>Where the household's page is, and what it tells of.</summary>
/// <param name="Listen">Addresses of the router in the home, and ports.</param>
/// <param name="State">The directory of its password or key.</param>
public sealed record HouseholdPlace(IReadOnlyList<IPEndPoint> Listen, string State)
{
    public const int DefaultPort = 80;

    public const string DefaultState = "/var/lib/aplusp/smap";

    /// <summary>The SMAP's control socket.</summary>
    public required string SmapSocket { get; init; }

    /// <summary>The web proxy's, which need not be there.</summary>
    public required string WebProxySocket { get; init; }

    /// <summary>Names that it may be asked for by, besides its addresses.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];
}
