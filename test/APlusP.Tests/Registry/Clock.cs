namespace APlusP.Tests.Registry;

/// <summary>A clock that a test sets.</summary>
sealed class Clock : TimeProvider
{
    public DateTimeOffset Now { get; set; } = new(2026, 11, 24, 14, 3, 0, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow() => Now;
}
