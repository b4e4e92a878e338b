using APlusP.Core.Wire;

namespace APlusP.Survey.Models;

/// <summary>A flow of a performance.</summary>
/// <param name="Remote">The other end.</param>
/// <param name="Opens">When it begins, from the beginning of the whole.</param>
/// <param name="Closes">When its last packet is sent; null where it is still open at the end.</param>
public readonly record struct TimedFlow(RemoteEnd Remote, TimeSpan Opens, TimeSpan? Closes)
{
    /// <summary>When its port is free again; never, while it is open.</summary>
    public TimeSpan Frees(PortLifetimes lifetimes) => Closes is { } closes ? closes + lifetimes.After(Remote.Protocol) : TimeSpan.MaxValue;

    public bool IsInUse(TimeSpan at, PortLifetimes lifetimes) => Opens <= at && at < Frees(lifetimes);
}

/// <summary>
/// One performance of models by one host: when each flow is opened and closed. The same models and the same seed always give the same one, so what a survey or a NAPT
/// must have seen at any moment is known beforehand. Each flow is from a port of its own.
/// </summary>
public sealed class Timeline
{
    Timeline(TimeSpan length, IEnumerable<TimedFlow> flows)
    {
        Length = length;
        Flows = [.. flows.OrderBy(flow => flow.Opens)];
    }

    public TimeSpan Length { get; }

    /// <summary>By the time at which they open.</summary>
    public IReadOnlyList<TimedFlow> Flows { get; }

    /// <summary>A model from its beginning to its end, or for as long as is asked for.</summary>
    public static Timeline Of(TrafficModel model, int seed, TimeSpan? length = null)
    {
        TimeSpan whole = length ?? model.Length;
        return new Timeline(whole, Perform(model, TimeSpan.Zero, whole, new Random(seed)));
    }

    /// <summary>Several models by one user, each once: it begins at any time at which it still comes to its end; one that takes longer than all of it begins at once, and is cut.</summary>
    public static Timeline Of(IReadOnlyList<TrafficModel> models, int seed, TimeSpan length)
    {
        var random = new Random(seed);
        var flows = new List<TimedFlow>();
        foreach (TrafficModel model in models)
        {
            TimeSpan room = length - model.Length;
            TimeSpan begins = room > TimeSpan.Zero ? random.NextDouble() * room : TimeSpan.Zero;
            flows.AddRange(Perform(model, begins, length, random));
        }

        return new Timeline(length, flows);
    }

    static IEnumerable<TimedFlow> Perform(TrafficModel model, TimeSpan begins, TimeSpan end, Random random)
    {
        foreach (FlowGroup group in model.Flows)
        {
            for (int i = 0; i < group.Count; i++)
            {
                TimeSpan opens = begins + group.From + random.NextDouble() * (group.Until - group.From);
                TimeSpan? closes = group.Lives is { } lives ? opens + lives : group.Stays ? null : begins + model.Length;
                if (opens >= end) continue;
                int remote = group.FirstRemote + i % group.Remotes;
                yield return new TimedFlow(
                    new RemoteEnd(group.Application, remote, group.Protocol, group.Ports[remote % group.Ports.Count], group.IsIPv6), opens, closes < end ? closes : null);
            }
        }
    }

    /// <summary>Another performance by the same host too, which begins when this one has gone on for a while.</summary>
    public Timeline With(Timeline other, TimeSpan after) => new(
        Length > after + other.Length ? Length : after + other.Length, Flows.Concat(other.Flows.Select(flow => flow with { Opens = flow.Opens + after, Closes = flow.Closes + after })));

    /// <summary>Ports in use by application, as somebody counts them whose entries live so long.</summary>
    public Dictionary<string, int> At(TimeSpan at, PortLifetimes lifetimes) =>
        Flows.Where(flow => flow.IsInUse(at, lifetimes)).GroupBy(flow => flow.Remote.Application).ToDictionary(group => group.Key, group => group.Count());

    /// <summary>The most ports at once of the flows that are asked for.</summary>
    public int Peak(PortLifetimes lifetimes, Func<TimedFlow, bool> of)
    {
        // Where one is freed at the moment at which another is opened, it is free.
        var ends = new PriorityQueue<TimeSpan, TimeSpan>();
        int peak = 0;
        foreach (TimedFlow flow in Flows)
        {
            if (!of(flow)) continue;
            while (ends.TryPeek(out TimeSpan next, out _) && next <= flow.Opens) ends.Dequeue();
            TimeSpan frees = flow.Frees(lifetimes);
            if (frees <= flow.Opens) peak = Math.Max(peak, ends.Count + 1);
            else ends.Enqueue(frees, frees);
            peak = Math.Max(peak, ends.Count);
        }

        return peak;
    }
}
