namespace APlusP.Core.Wire;

/// <summary>What stands behind the extension headers of an IPv6 packet.</summary>
public enum ExtensionHeaderWalk : byte
{
    /// <summary>A header that is no extension, at the offset given.</summary>
    Found,

    /// <summary>The chain is cut short.</summary>
    Truncated,

    /// <summary>A header or option that this node must not let pass.</summary>
    Refused,

    /// <summary>The packet is a fragment of a larger one.</summary>
    IsFragment,
}

/// <summary>
/// Walks the extension headers of a packet that has arrived at its destination, RFC 8200 section 4. Linux's ip6tnl puts a tunnel
/// encapsulation limit (RFC 2473 section 4.1.1) into a destination options header, so softwires see these every day.
/// </summary>
public static class IPv6ExtensionHeaders
{
    /// <summary>Extension headers that a packet may have; more is an attack on the time of whoever walks them.</summary>
    const int MaxHeaders = 8;

    const byte Pad1Option = 0;

    /// <param name="packet">The packet from its IPv6 header on, checked by <see cref="IPv6Header.TryRead"/> and cut to its length.</param>
    /// <param name="next">The protocol behind the extension headers.</param>
    /// <param name="offset">Where it begins.</param>
    public static ExtensionHeaderWalk Skip(ReadOnlySpan<byte> packet, out IpProtocol next, out int offset)
    {
        next = (IpProtocol)packet[6];
        offset = IPv6Header.Size;
        for (int count = 0; count < MaxHeaders; count++)
        {
            if (next is not (IpProtocol.HopByHopOptions or IpProtocol.DestinationOptions or IpProtocol.Routing or IpProtocol.Fragment))
                return ExtensionHeaderWalk.Found;

            ReadOnlySpan<byte> rest = packet[offset..];
            if (rest.Length < 8) return ExtensionHeaderWalk.Truncated;
            int length = next == IpProtocol.Fragment ? 8 : (rest[1] + 1) * 8;
            if (rest.Length < length) return ExtensionHeaderWalk.Truncated;

            switch (next)
            {
                // Hop-by-hop options stand right behind the IPv6 header or nowhere, RFC 8200 section 4.1.
                case IpProtocol.HopByHopOptions when count > 0:
                case IpProtocol.HopByHopOptions or IpProtocol.DestinationOptions when !OptionsMayPass(rest[2..length]):

                // A routing header that is not at its end asks us to send the packet on, RFC 8200 section 4.4.
                case IpProtocol.Routing when rest[3] != 0:
                    return ExtensionHeaderWalk.Refused;

                // A fragment that is the whole packet is none, RFC 6946.
                case IpProtocol.Fragment when ((rest[2] << 8 | rest[3]) & 0xfff9) != 0:
                    return ExtensionHeaderWalk.IsFragment;
            }

            next = (IpProtocol)rest[0];
            offset += length;
        }

        return ExtensionHeaderWalk.Refused;
    }

    /// <summary>Options that we do not know say by their two highest bits whether the packet must be discarded, RFC 8200 section 4.2.</summary>
    static bool OptionsMayPass(ReadOnlySpan<byte> options)
    {
        while (!options.IsEmpty)
        {
            byte type = options[0];
            if (type == Pad1Option)
            {
                options = options[1..];
                continue;
            }

            if (options.Length < 2 || options.Length < 2 + options[1]) return false;
            if (type >> 6 != 0) return false;
            options = options[(2 + options[1])..];
        }

        return true;
    }
}
