using System.Net;

namespace APlusP.Registry.Configuration;

/// <summary>A collector of IPFIX (RFC 7011) that is told of blocks of ports.</summary>
/// <param name="Collector">Its address and port.</param>
/// <param name="Tcp">TCP, by which nothing is lost while it is away; else UDP.</param>
/// <param name="Domain">The observation domain that messages bear.</param>
public sealed record IpfixSettings(IPEndPoint Collector, bool Tcp, uint Domain)
{
    public const int DefaultPort = 4739;

    public override string ToString() => $"{(Tcp ? "tcp" : "udp")} {Collector}";
}
