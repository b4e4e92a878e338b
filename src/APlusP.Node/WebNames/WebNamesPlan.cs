using APlusP.Core;
using APlusP.Node.Configuration;

namespace APlusP.Node.WebNames;

/// <summary>A PRR's <c>[web-names]</c>.</summary>
/// <param name="Listen">The port of 127.0.0.1 that HTTP is led to on this machine; TLS to the next one.</param>
/// <param name="MostConnections">Visitors at once; others wait.</param>
public sealed record WebNamesPlan(int Listen, int MostConnections)
{
    public const int DefaultListen = 8648, DefaultMostConnections = 8000;

    /// <summary>The ports that visitors come to.</summary>
    public const ushort Http = 80, Https = 443;

    /// <inheritdoc cref="Http"/>
    public static IReadOnlyList<ushort> Ports { get; } = [Http, Https];

    internal static WebNamesPlan? Read(SectionReader top)
    {
        if (top.Section("web-names", ConfigurationSchema.Prr) is not { } section) return null;
        int listen = section.Number("listen", DefaultListen, 1, ushort.MaxValue - 1), most = section.Number("most-connections", DefaultMostConnections, 1, 1_000_000);
        if (!section.Flag("enabled", otherwise: true)) return null;
        if (top.Has("registry")) return new WebNamesPlan(listen, most);
        top.Refuse("web-names", ErrorCodes.ConfigurationContradiction, "'[web-names]' leads visitors to servers whose names a registry tells, and the file has no [registry]; add it, or remove [web-names].");
        return null;
    }
}
