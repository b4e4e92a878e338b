namespace APlusP.Tests.Forwarding;

/// <summary>A clock that goes when the test says so.</summary>
sealed class HandClock : TimeProvider
{
    long _microseconds;

    public override long TimestampFrequency => 1_000_000;

    public override long GetTimestamp() => _microseconds;

    /// <summary>What was added to the time of day, as who sets a clock does: time that has passed does not know of it.</summary>
    public TimeSpan WallStep { get; set; }

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddMicroseconds(_microseconds) + WallStep;

    /// <summary>A timer that never goes off: tests call what it would.</summary>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new Timer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    public void Advance(TimeSpan time) => _microseconds += (long)time.TotalMicroseconds;
}
