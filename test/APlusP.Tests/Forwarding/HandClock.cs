namespace APlusP.Tests.Forwarding;

/// <summary>A clock that goes when the test says so.</summary>
sealed class HandClock : TimeProvider
{
    long _microseconds;

    public override long TimestampFrequency => 1_000_000;

    public override long GetTimestamp() => _microseconds;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddMicroseconds(_microseconds);

    public void Advance(TimeSpan time) => _microseconds += (long)time.TotalMicroseconds;
}
