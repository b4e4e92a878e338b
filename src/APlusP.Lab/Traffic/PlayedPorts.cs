using APlusP.Survey.Models;

namespace APlusP.Lab.Traffic;

/// <summary>
/// How many ports somebody must have counted who looked between two moments, by what was really played: at least those that were in use all the time, at most those that were at any
/// time of it. Where the two are the same, nothing was just coming or going, and the count is known exactly.
/// </summary>
/// <param name="flows">What was played.</param>
/// <param name="lifetimes">How long the counter keeps a port, by the wall.</param>
public sealed class PlayedPorts(IReadOnlyList<PlayedFlow> flows, PortLifetimes lifetimes)
{
    // What the other side says last, and the kernel's own timers, come a little after us.
    static readonly TimeSpan s_after = TimeSpan.FromSeconds(0.3);

    // Its timers are counted in ticks (of 4 ms by default), and a packet takes the tick that began before it: a port is forgotten up to a tick early, a few where a virtual machine was not given its processor.
    static readonly TimeSpan s_before = TimeSpan.FromSeconds(0.03);

    /// <summary>Times are from the beginning of the play.</summary>
    public (int Least, int Most) Between(TimeSpan from, TimeSpan to, Func<RemoteEnd, bool> of)
    {
        int least = 0, most = 0;
        foreach (PlayedFlow flow in flows)
        {
            if (flow.Opening is not { } opening || !of(flow.Flow.Remote)) continue;
            TimeSpan kept = lifetimes.After(flow.Flow.Remote.Protocol);
            if (opening <= to && (flow.Closed is not { } closed || closed + kept + s_after >= from)) most++;
            if (flow.Opened <= from && (flow.Closing is not { } closing || closing + kept - s_before > to)) least++;
        }

        return (least, most);
    }
}
