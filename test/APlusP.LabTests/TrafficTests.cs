using System.Diagnostics;
using APlusP.Core.Addresses;
using APlusP.Lab;
using APlusP.Lab.Traffic;
using APlusP.Survey.Counting;
using APlusP.Survey.Live;
using APlusP.Survey.Models;
using APlusP.Survey.Storage;

namespace APlusP.LabTests;

/// <summary>One home in which each host plays a model of the library.</summary>
public sealed class TrafficLab() : LabFixture(LabOfModels(), captures: false)
{
    static LabPlan LabOfModels() => new("ttraffic", [RoomPlan.Of(1, "1024-5023", [.. ModelLibrary.Names.Select((_, i) => new HostPlan(HostOf(i), AddressOf(i)))]) with { Napt = ["ports-per-host = 4000"] }]) { HasPeers = true };

    public static string HostOf(int model) => $"m{model + 1}";

    public static string AddressOf(int model) => $"192.168.1.{10 + model}";
}

/// <summary>Traffic models as real sockets play them, seen by a survey.</summary>
[Collection(Alone.Name)]
public sealed class TrafficTests(TrafficLab lab) : IClassFixture<TrafficLab>
{
    // Five times as fast: a burst of DNS, which Linux forgets after 30 s, is there for six. BitTorrent takes longer, and its connections stay, so it may be faster.
    const double Scale = 5, FastScale = 10;

    static readonly TimeSpan s_every = TimeSpan.FromSeconds(0.25), s_most = TimeSpan.FromSeconds(250);

    static double ScaleOf(string model) => model == "torrent" ? FastScale : Scale;

    static Timeline TimelineOf(string model)
    {
        TrafficModel whole = ModelLibrary.Get(model);
        return Timeline.Of(whole, seed: 5, whole.Length < s_most ? whole.Length : s_most);
    }

    [Fact]
    public void A_survey_counts_what_is_played_at_each_tick_and_the_profiles_have_the_report_s_peaks() => lab.Test(() =>
    {
        string[] models = [.. ModelLibrary.Names];
        Timeline[] timelines = [.. models.Select(TimelineOf)];
        using var peers = new TrafficPeers(lab["peers"], timelines);
        TrafficPlayer[] players = [.. models.Select((model, i) => new TrafficPlayer(lab[TrafficLab.HostOf(i)], timelines[i], peers, ScaleOf(model)))];
        string path = Path.Combine(lab.Lab.Directory, "survey.db");
        List<PlayedSample> samples;
        try
        {
            samples = SurveyedPlay.Run(lab.Lab, players, path, Scale, s_every * Scale, TestContext.Current.CancellationToken);
        }
        finally
        {
            foreach (TrafficPlayer player in players) player.Dispose();
        }

        Assert.All(players.SelectMany(player => player.Flows), flow => Assert.Equal((FlowFate.Opened, null), (flow.Fate, flow.Fault)));
        Assert.True(samples.Count > 60, $"only {samples.Count} samples were taken");
        int counted = 0, exact = 0;
        foreach ((string model, int i) in models.Select((model, i) => (model, i)))
        {
            var truth = new PlayedPorts(players[i].Flows, PortLifetimes.OfConntrack / Scale);
            foreach (string application in timelines[i].Flows.Where(flow => !flow.Remote.IsIPv6).Select(flow => flow.Remote.Application).Distinct())
            {
                int peak = 0;
                foreach ((TimeSpan from, TimeSpan to, TickCounts counts) in samples)
                {
                    int ports = Of(counts, i, application);
                    (int least, int most) = truth.Between(from, to, end => end.Application == application && !end.IsIPv6);
                    Assert.True(ports >= least && ports <= most, $"{model}, {application}, at {from.TotalSeconds:0.000} to {to.TotalSeconds:0.000} s: {ports} ports were counted, {least} to {most} were played");
                    peak = Math.Max(peak, ports);
                    counted++;
                    if (least == most) exact++;
                }

                // Closed connections are kept by a clock that runs five times as fast, which is another for who plays ten times as fast.
                int expected = timelines[i].Peak(PortLifetimes.OfConntrack, flow => flow.Remote.Application == application && !flow.Remote.IsIPv6);
                if (ScaleOf(model) == Scale || application == "p2p") Assert.True(Math.Abs(peak - expected) <= Math.Max(1, expected * 0.05), $"{model}, {application}: {peak} ports at most, {expected} by the model");
            }
        }

        // Where nothing came or went while the survey looked, its count is known to the port.
        Assert.True(exact > counted * 0.7, $"only {exact} of {counted} counts were known exactly");
        Assert.Equal(samples.Count, SurveyStore.Open(path).Samples);
        TestContext.Current.TestOutputHelper?.WriteLine($"{samples.Count} samples, {counted} counts, {exact} known to the port, all others within what came or went");
    });

    static int Of(TickCounts counts, int model, string application)
    {
        var address = HostAddress.Of(IPv4Address.Parse(TrafficLab.AddressOf(model)));
        HostCounts? ofHost = counts.Hosts.Where(h => h.Address == address).Select(h => h.Counts).SingleOrDefault();
        return ofHost?.ByApplication[ApplicationRules.Standard.Names.ToList().IndexOf(application)] ?? 0;
    }
}
