using APlusP.Core.Addresses;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>Where the programs of a PRR's process before send large packets without asking it: it had found out what these paths carry.</summary>
static class PinnedPaths
{
    /// <summary>Softwires, and the largest packet that goes into each.</summary>
    public static IEnumerable<(IPv6Address Softwire, int PayloadMtu)> Read(string pins) => OfBindings(pins).Concat(OfRules(pins));

    static IEnumerable<(IPv6Address Softwire, int PayloadMtu)> OfBindings(string pins)
    {
        if (BpfPin.Open(Path.Combine(pins, "softwires")) is not { } pinned) yield break;
        try
        {
            using MappedArray<SoftwireEntry> softwires = pinned.Share<SoftwireEntry>();
            for (int slot = 0; slot < softwires.Count; slot++)
                if (softwires[slot] is { Address: not 0, PayloadMtu: > PrrMaps.LeastPayload } entry) yield return (entry.Smap.Address, entry.PayloadMtu);
        }
        finally
        {
            _ = LibC.Close(pinned.Fd);
        }
    }

    static IEnumerable<(IPv6Address Softwire, int PayloadMtu)> OfRules(string pins)
    {
        if (BpfPin.Open(Path.Combine(pins, "paths")) is not { } pinned) yield break;
        try
        {
            foreach (NetworkAddress ce in pinned.Keys<NetworkAddress>())
                if (pinned.TryGet(ce, out PathEntry entry) && entry.PayloadMtu > PrrMaps.LeastPayload) yield return (ce.Address, (int)entry.PayloadMtu);
        }
        finally
        {
            _ = LibC.Close(pinned.Fd);
        }
    }
}
