using APlusP.Survey.Models;

namespace APlusP.Lab.Traffic;

/// <summary>What became of a flow.</summary>
public enum FlowFate
{
    /// <summary>Not tried, or the answer is not there yet.</summary>
    Pending,

    /// <summary>The other end answered.</summary>
    Opened,

    /// <summary>An ICMP error said that it cannot be: no port was left.</summary>
    Refused,

    /// <summary>Nothing came back.</summary>
    TimedOut,

    /// <summary>Anything else, which <see cref="PlayedFlow.Fault"/> names.</summary>
    Failed,
}

/// <summary>A flow as it was played. Times are by the wall, from the beginning of the play.</summary>
public sealed class PlayedFlow(TimedFlow flow)
{
    public TimedFlow Flow { get; } = flow;

    public FlowFate Fate { get; internal set; }

    public string? Fault { get; internal set; }

    /// <summary>Just before its first packet, and when its answer was there.</summary>
    public TimeSpan? Opening { get; internal set; }

    /// <inheritdoc cref="Opening"/>
    public TimeSpan? Opened { get; internal set; }

    /// <summary>Just before what is its last packet from this side, and after it.</summary>
    public TimeSpan? Closing { get; internal set; }

    /// <inheritdoc cref="Closing"/>
    public TimeSpan? Closed { get; internal set; }
}
