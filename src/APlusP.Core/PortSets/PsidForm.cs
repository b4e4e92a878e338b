using System.Numerics;

namespace APlusP.Core.PortSets;

/// <summary>Finds the PSID that says the same ports as plain ranges, for formats and protocols that have PSIDs only.</summary>
public static class PsidForm
{
    /// <summary>The set as a PSID, as it is written or by the least offset; null where none has these ports.</summary>
    public static Psid? Of(PortSet set)
    {
        if (set.IsWholeAddress) return new Psid(0, 0, 0);
        if (set.Psid is { } written) return written;
        PortRange[] ranges = [.. set.Ranges];
        int size = ranges[0].Count;
        if (!BitOperations.IsPow2(size)) return null;
        int contiguous = BitOperations.Log2((uint)size);
        for (int offset = 0; offset + contiguous < 16; offset++)
        {
            if (ranges.Length != (offset == 0 ? 1 : (1 << offset) - 1)) continue;
            int length = 16 - offset - contiguous, psid = ranges[0].First >> contiguous & (1 << length) - 1;
            if (PortSet.FromPsid(offset, length, psid).Ranges.SequenceEqual(ranges)) return new Psid(offset, length, psid);
        }

        return null;
    }
}
