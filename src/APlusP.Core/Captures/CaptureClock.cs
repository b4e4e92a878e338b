namespace APlusP.Core.Captures;

/// <summary>The time of a capture: where its packets are, never running backwards, whatever their timestamps do.</summary>
public sealed class CaptureClock : TimeProvider
{
    long _nanoseconds;

    /// <summary>Moves the clock to a packet's timestamp in nanoseconds since 1970; an earlier one leaves it where it is.</summary>
    public void AdvanceTo(long timestamp) => _nanoseconds = Math.Max(_nanoseconds, timestamp);

    public override long TimestampFrequency => 1_000_000_000;

    public override long GetTimestamp() => _nanoseconds;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(_nanoseconds / 100);

    /// <summary>Nothing happens between packets, so nothing can wait for a time.</summary>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        throw new NotSupportedException("The clock of a capture moves only when a packet is read.");
}
