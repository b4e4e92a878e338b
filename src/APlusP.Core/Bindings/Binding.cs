using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Bindings;

/// <summary>
/// One subscriber's part of the binding table, RFC 7596 section 6.1: the ports of an IPv4 address that reach this subscriber, and
/// the two ends of the softwire that they travel.
/// </summary>
/// <param name="Address">The IPv4 address, shared or whole.</param>
/// <param name="Ports">The subscriber's ports of it.</param>
/// <param name="Softwire">The SMAP's end.</param>
/// <param name="Prr">The PRR's end.</param>
/// <param name="PayloadMtu">Largest IPv4 packet that the softwire carries, in octets.</param>
public sealed record Binding(IPv4Address Address, PortSet Ports, IPv6Address Softwire, IPv6Address Prr, int PayloadMtu = 1460);
