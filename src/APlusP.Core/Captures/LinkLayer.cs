using System.Buffers.Binary;

namespace APlusP.Core.Captures;

/// <summary>
/// Finds the IP packet in a frame, by the capture's link type (https://www.tcpdump.org/linktypes.html): Ethernet (1), raw IP (101,
/// and 12 and 14 of old files), IPv4 (228), IPv6 (229), Linux cooked (113, 276), BSD loopback (0, 108).
/// </summary>
static class LinkLayer
{
    const int Null = 0, Ethernet = 1, OldRaw = 12, OldRawBsd = 14, Raw = 101, Loop = 108, Cooked = 113, IPv4 = 228, IPv6 = 229, Cooked2 = 276;

    /// <exception cref="APlusPException">AP4004: frames of this link type are not read here.</exception>
    public static void Require(int linkType, string name)
    {
        if (linkType is Null or Ethernet or OldRaw or OldRawBsd or Raw or Loop or Cooked or IPv4 or IPv6 or Cooked2) return;
        throw new APlusPException(ErrorCodes.CaptureLinkType, $"{name} holds frames of link type {linkType}, which are not read here. "
            + "Capture on an Ethernet, TUN or \"any\" device (link types 1, 101, 113, 276; also 0, 12, 14, 108, 228 and 229).");
    }

    /// <summary>Whether frames may be longer than the packet in them: padding to 60 octets, a frame check sequence.</summary>
    public static bool Pads(int linkType) => linkType is Ethernet or Cooked or Cooked2;

    /// <summary>Where the IP packet starts, or -1 where there is none; then <paramref name="etherType"/> says what it is, 0 if nothing does.</summary>
    public static int FindPacket(int linkType, ReadOnlySpan<byte> frame, out int etherType)
    {
        etherType = 0;
        switch (linkType)
        {
            case Ethernet: return SkipTags(frame, 12, 14, out etherType);
            case Cooked: return SkipTags(frame, 14, 16, out etherType);
            case Cooked2: return SkipTags(frame, 0, 20, out etherType);
            case Null or Loop: return IsIPFamily(frame) ? 4 : -1;
            default: return 0;
        }
    }

    /// <summary>Behind a tag of four octets stands the EtherType of what follows (IEEE 802.1Q and 802.1ad; 0x9100 came before).</summary>
    /// <remarks>
    /// <code>
    ///  ... 8100 | tag control 2 | EtherType 2 | payload
    /// </code>
    /// </remarks>
    static int SkipTags(ReadOnlySpan<byte> frame, int typeAt, int payloadAt, out int etherType)
    {
        etherType = 0;
        if (frame.Length < payloadAt) return -1;
        int type = BinaryPrimitives.ReadUInt16BigEndian(frame[typeAt..]);
        while (type is 0x8100 or 0x88a8 or 0x9100)
        {
            if (frame.Length < payloadAt + 4) return -1;
            type = BinaryPrimitives.ReadUInt16BigEndian(frame[(payloadAt + 2)..]);
            payloadAt += 4;
        }

        if (type is 0x0800 or 0x86dd) return payloadAt;
        if (type >= 0x0600) etherType = type; // below stands a length, IEEE 802.3
        return -1;
    }

    /// <summary>The family is in the byte order of the machine that captured; AF_INET is 2 everywhere, AF_INET6 is 10, 24, 28 or 30.</summary>
    static bool IsIPFamily(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < 4) return false;
        uint family = BinaryPrimitives.ReadUInt32LittleEndian(frame);
        if (family > 0xffff) family = BinaryPrimitives.ReverseEndianness(family);
        return family is 2 or 10 or 24 or 28 or 30;
    }
}
