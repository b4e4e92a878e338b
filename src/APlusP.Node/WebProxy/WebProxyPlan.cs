using System.Net;

namespace APlusP.Node.WebProxy;

/// <summary>What a web proxy does.</summary>
/// <param name="Devices">The devices whose connections it takes: those towards hosts.</param>
/// <param name="ControlSocket">Where it is asked how it fares.</param>
public sealed record WebProxyPlan(IReadOnlyList<string> Devices, string ControlSocket)
{
    public const string DefaultControlSocket = "/run/aplusp/web-proxy.sock";

    public const int DefaultListen = 8645, DefaultMostConnections = 4096;

    /// <summary>Ports of servers whose connections it takes.</summary>
    public IReadOnlyList<int> Ports { get; init; } = [80, 443];

    /// <summary>Where connections are led to, on this machine; hosts cannot reach it there.</summary>
    public int Listen { get; init; } = DefaultListen;

    /// <summary>Name servers; this machine's where there are none.</summary>
    public IReadOnlyList<IPAddress> Resolvers { get; init; } = [];

    /// <summary>Connections by IPv4 to one server at most, which HTTP in clear of all hosts shares; 0 for one for each of the client's.</summary>
    public int PerServer { get; init; }

    /// <summary>Whether visits are counted by site.</summary>
    public bool RanksSites { get; init; }

    /// <summary>Connections at once; more have to wait.</summary>
    public int MostConnections { get; init; } = DefaultMostConnections;
}
