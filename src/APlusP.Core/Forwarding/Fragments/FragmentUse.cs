namespace APlusP.Core.Forwarding.Fragments;

/// <summary>How full a table of fragments is.</summary>
/// <param name="Packets">Packets of which fragments have come.</param>
/// <param name="MaxPackets">As many as there may be.</param>
/// <param name="Octets">Memory of fragments that wait.</param>
/// <param name="MaxOctets">As much as there may be.</param>
public readonly record struct FragmentUse(int Packets, int MaxPackets, long Octets, long MaxOctets)
{
    /// <summary>The nearer of both to its end.</summary>
    public int Percent => MaxPackets == 0 ? 0 : (int)Math.Max(100L * Packets / MaxPackets, 100 * Octets / MaxOctets);

    /// <summary>Of several workers together.</summary>
    public static FragmentUse operator +(FragmentUse a, FragmentUse b) =>
        new(a.Packets + b.Packets, a.MaxPackets + b.MaxPackets, a.Octets + b.Octets, a.MaxOctets + b.MaxOctets);
}
