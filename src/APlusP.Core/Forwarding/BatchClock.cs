namespace APlusP.Core.Forwarding;

/// <summary>The time as a worker sees it: read once for each batch, since asking costs as much as a packet.</summary>
sealed class BatchClock(TimeProvider time)
{
    /// <summary>Ticks of <see cref="Now"/> in a second.</summary>
    public long Frequency { get; } = time.TimestampFrequency;

    /// <summary>Timestamp of the batch.</summary>
    public long Now { get; private set; } = time.GetTimestamp();

    public void Advance() => Now = Math.Max(Now, time.GetTimestamp());
}
