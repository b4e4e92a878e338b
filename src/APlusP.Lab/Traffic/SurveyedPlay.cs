using System.Diagnostics;
using APlusP.Survey.Counting;
using APlusP.Survey.Live;
using APlusP.Survey.Storage;

namespace APlusP.Lab.Traffic;

/// <summary>What a survey counted of a play.</summary>
/// <param name="From">When it began to look, from the beginning of the play, by the wall.</param>
/// <param name="To">When it had seen all.</param>
/// <param name="Counts">What it counted.</param>
public readonly record struct PlayedSample(TimeSpan From, TimeSpan To, TickCounts Counts);

/// <summary>A play that is surveyed from its beginning to its end.</summary>
public static class SurveyedPlay
{
    /// <summary>Lets players play together, and surveys the lab meanwhile.</summary>
    /// <param name="lab">Where they are.</param>
    /// <param name="players">Who plays; they are to be disposed of afterwards.</param>
    /// <param name="path">The survey, which is made or added to.</param>
    /// <param name="scale">How many times as fast the survey's clock runs.</param>
    /// <param name="every">From one sample to the next, by that clock.</param>
    /// <param name="cancel">Ends it before its time.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static List<PlayedSample> Run(RunningLab lab, IReadOnlyList<TrafficPlayer> players, string path, double scale, TimeSpan every, CancellationToken cancel)
    {
        var samples = new List<PlayedSample>();
        using var connections = new LabSurvey(lab, scale);
        using SurveyStore store = SurveyStore.OpenToAdd(path, ApplicationRules.Standard, byAddress: true);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        long start = TrafficPlayer.BeginAt();
        Task play = TrafficPlayer.PlayTogether(players, start, cancel);
        var collector = new Collector(store, connections, ApplicationRules.Standard, LabSurvey.Inside, new CollectorSettings(every, null), new FastClock(scale));
        collector.Run(
            sample =>
            {
                (long from, long to) = connections.Looked;
                samples.Add(new PlayedSample(Stopwatch.GetElapsedTime(start, from), Stopwatch.GetElapsedTime(start, to), sample.Counts));
                if (play.IsCompleted) over.Cancel();
            },
            over.Token);
        TrafficPlayer.Await(play, cancel);
        return samples;
    }
}
