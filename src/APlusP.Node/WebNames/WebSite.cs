using APlusP.Core.Addresses;

namespace APlusP.Node.WebNames;

/// <summary>A subscriber's web servers that have a name: where visitors of ports 80 and 443 who say it are led.</summary>
/// <param name="Name">The name, in small letters.</param>
/// <param name="Address">The shared address.</param>
/// <param name="Http">The subscriber's port for port 80; null for none.</param>
/// <param name="Https">The same for port 443.</param>
/// <param name="IsProxied">Whether the server is told who visits by the PROXY protocol.</param>
sealed record WebSite(string Name, IPv4Address Address, ushort? Http, ushort? Https, bool IsProxied);
