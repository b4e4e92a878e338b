namespace APlusP.Lab.Links;

/// <summary>An emulated link of a lab that is up.</summary>
public sealed class LabLinkHandle(string name, string controlSocket)
{
    public string Name => name;

    /// <summary>Changes what is named, of one way or of both; when it returns, the next frame meets the change.</summary>
    public LinkState Set(LinkWay? way = null, double? delayMs = null, double? jitterMs = null, double? lossPercent = null, double? reorderPercent = null,
        double? reorderMs = null, double? duplicatePercent = null, double? rateMbit = null, int? queue = null, int? mtu = null, bool? blackHole = null,
        ulong? seed = null) => Set(new LinkChange
        {
            Way = way,
            DelayMs = delayMs,
            JitterMs = jitterMs,
            LossPercent = lossPercent,
            ReorderPercent = reorderPercent,
            ReorderMs = reorderMs,
            DuplicatePercent = duplicatePercent,
            RateMbit = rateMbit,
            Queue = queue,
            Mtu = mtu,
            BlackHole = blackHole,
            Seed = seed,
        });

    /// <inheritdoc cref="Set(LinkWay?, double?, double?, double?, double?, double?, double?, double?, int?, int?, bool?, ulong?)"/>
    public LinkState Set(LinkChange change) => LinkControl.Ask(controlSocket, change);

    /// <summary>Puts a way (or both) back to a link without faults.</summary>
    public LinkState Heal(LinkWay? way = null) => Set(new LinkSettings().ToChange(way) with { Seed = null });

    /// <summary>Settings and counters now.</summary>
    public LinkState State() => Set(new LinkChange());
}
