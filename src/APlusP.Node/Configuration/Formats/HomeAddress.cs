using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration.Formats;

/// <summary>The address that a home makes for its end of the softwire.</summary>
static class HomeAddress
{
    /// <summary>
    /// RFC 7596 section 5.1: the prefix up to 64 bits, filled up with zeros, 16 bits of zero, the IPv4 address, the PSID. RFC 7597 section 6 makes
    /// the same.
    /// </summary>
    /// <param name="prefix">The home's prefix, or an address in it.</param>
    /// <param name="length">Its length, at most 64.</param>
    /// <param name="address">The IPv4 address.</param>
    /// <param name="psid">The PSID, 0 where there is none.</param>
    /// <param name="form">Where the interface identifier holds them.</param>
    public static IPv6Address OfPrefix(IPv6Address prefix, int length, IPv4Address address, int psid, InterfaceIdentifierForm form = InterfaceIdentifierForm.Rfc7597)
    {
        UInt128 identifier = (UInt128)address.Value << 16 | (uint)psid;
        return new IPv6Address(IPv6Prefix.Of(prefix, length).Address.Value | (form == InterfaceIdentifierForm.Draft03 ? identifier << 8 : identifier));
    }
}
