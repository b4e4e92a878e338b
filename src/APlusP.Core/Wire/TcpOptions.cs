namespace APlusP.Core.Wire;

/// <summary>The options of a TCP header, RFC 9293 section 3.1, as far as a router on the way touches them.</summary>
public static class TcpOptions
{
    const byte EndOfList = 0, NoOperation = 1, MaximumSegmentSize = 2;
    const int HeaderSize = 20, MssSize = 4, ChecksumAt = 16;

    /// <summary>
    /// Lowers the maximum segment size that a SYN announces to <paramref name="most"/>, and mends the checksum; leaves anything else as it is.
    /// A SYN without the option says 536 (RFC 9293 section 3.7.1), which fits everywhere.
    /// </summary>
    /// <param name="segment">The TCP segment, or the first fragment of one, from its header on.</param>
    /// <param name="most">Octets of data that fit a packet of the path: its MTU less 40 (RFC 6691).</param>
    /// <returns>Whether it was lowered.</returns>
    public static bool TryClampMss(Span<byte> segment, int most)
    {
        if (segment.Length < HeaderSize || ((TcpFlags)segment[13] & TcpFlags.Syn) == 0) return false;
        int end = Math.Min((segment[12] >> 4) * 4, segment.Length);
        for (int at = HeaderSize; at < end && segment[at] != EndOfList;)
        {
            if (segment[at] == NoOperation)
            {
                at++;
                continue;
            }

            if (at + 1 >= end) return false;
            int size = segment[at + 1];
            if (size < 2 || at + size > end) return false;
            if (segment[at] == MaximumSegmentSize && size == MssSize) return TryLower(segment, at + 2, most);
            at += size;
        }

        return false;
    }

    static bool TryLower(Span<byte> segment, int at, int most)
    {
        ushort old = (ushort)(segment[at] << 8 | segment[at + 1]);
        if (old <= most) return false;
        ushort now = (ushort)most;
        segment[at] = (byte)(now >> 8);
        segment[at + 1] = (byte)now;

        // The sum is over words from the header's start: at an odd place each octet of the value is the other half of a word (RFC 1071 section 2 (B)).
        if ((at & 1) != 0)
        {
            old = (ushort)(old << 8 | old >> 8);
            now = (ushort)(now << 8 | now >> 8);
        }

        ref byte header = ref segment[0];
        BigEndian.Write16(ref header, ChecksumAt, Checksum.Update(BigEndian.Read16(ref header, ChecksumAt), old, now));
        return true;
    }
}
