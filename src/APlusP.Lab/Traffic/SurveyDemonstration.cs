using System.Diagnostics;
using System.Text.Json;
using APlusP.Core.Addresses;
using APlusP.Survey.Counting;
using APlusP.Survey.Live;
using APlusP.Survey.Models;
using APlusP.Survey.Planning;
using APlusP.Survey.Reports;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Lab.Traffic;

/// <summary>What a survey of a live lab has to show.</summary>
/// <param name="Files">What it left: the report and its pictures, the plan and the registry's configuration, the survey itself.</param>
/// <param name="Statistics">Of all hosts.</param>
/// <param name="Plan">What it comes to.</param>
/// <param name="Facts">What had to be so.</param>
public sealed record SurveyDemonstration(IReadOnlyList<string> Files, SurveyStatistics Statistics, PlanDocument Plan, IReadOnlyList<DemonstratedFact> Facts)
{
    /// <summary>At this rate Linux's 30 seconds for UDP are whole seconds still.</summary>
    const double Scale = 10;

    static readonly TimeSpan s_length = TimeSpan.FromMinutes(5), s_idle = TimeSpan.FromMinutes(1), s_every = TimeSpan.FromSeconds(10);

    const int PortsOfHome = 1000, FirstPort = 1024;

    // A home a line, a host an entry.
    static readonly string[][][] s_homes =
    [
        [["gmail", "google-maps", "facebook"], ["google-wave", "pidgin", "twitter"]],
        [["facebook", "youtube", "skype"], ["torrent"], ["twitter", "gmail"]],
        [["vidzone", "wipeout", "killzone"], ["littlebigplanet", "uncharted", "call-of-duty"], ["youtube", "pidgin"]],
        [["gmail", "google-wave"], ["google-maps", "twitter", "skype"]],
    ];

    public bool Succeeded => Facts.All(fact => fact.True);

    /// <summary>The lab that it needs.</summary>
    public static LabPlan LabOf(string name) => new(name, [.. s_homes.Select((hosts, home) =>
        RoomPlan.Of(home + 1, $"{FirstPort + PortsOfHome * home}-{FirstPort + PortsOfHome * (home + 1) - 1}", [.. hosts.Select((_, host) => new HostPlan($"home{home + 1}h{host + 1}", $"192.168.{home + 1}.{10 + host}"))]))])
    {
        HasPeers = true,
    };

    /// <summary>Lets the hosts of the lab live for five minutes, surveys them meanwhile, and writes report and plan into a directory.</summary>
    public static SurveyDemonstration Run(RunningLab lab, string directory, Action<string>? progress = null, CancellationToken cancel = default)
    {
        Directory.CreateDirectory(directory);
        string path = Path.Combine(directory, "survey.db");
        File.Delete(path);
        HostPlan[] hosts = [.. lab.Plan.Rooms.SelectMany(room => room.Hosts)];
        Timeline[] timelines = [.. s_homes.SelectMany(home => home).Select((models, host) => Live(models, seed: host + 1))];
        using var peers = new TrafficPeers(lab.Host("peers"), timelines);
        TrafficPlayer[] players = [.. hosts.Select((host, i) => new TrafficPlayer(lab.Host(host.Name), timelines[i], peers, Scale))];
        List<PlayedSample> samples;
        try
        {
            progress?.Invoke($"{hosts.Length} hosts of {lab.Plan.Rooms.Count} homes live for {s_length.TotalMinutes:0} minutes, {Scale:0} times as fast: {(s_length / Scale).TotalSeconds:0} seconds; each is surveyed every ten of theirs");
            samples = SurveyedPlay.Run(lab, players, path, Scale, s_every, cancel);
        }
        finally
        {
            foreach (TrafficPlayer player in players) player.Dispose();
        }

        progress?.Invoke("writing the report and the plan");
        using SurveyStore store = SurveyStore.Open(path);
        string page = Path.Combine(directory, "report.html");
        IReadOnlyList<string> written = SurveyReport.Write(store, new SurveyPart(), page, null, directory, TimeProvider.System.GetUtcNow(), BaselineTime.First(store, s_idle));
        SurveyStatistics statistics = SurveyStatistics.Of(store, new SurveyPart());
        PlanDocument plan = APlusP.Survey.Planning.Plan.Survey(store, new PlanQuestion(0.001, null, 128, 99, [10, 50, 200, 1000]));
        string registry = Path.Combine(directory, "registry.toml");
        File.WriteAllText(registry, PoolConfiguration.Write(plan, ["192.0.2.0/24"]));
        string json = Path.Combine(directory, "plan.json");
        File.WriteAllText(json, JsonSerializer.Serialize(plan, PlanJson.Default.PlanDocument));
        return new SurveyDemonstration([.. written, json, registry, path], statistics, plan, FactsOf(lab, hosts, players, samples, store));
    }

    /// <summary>A machine that is on, and after a minute somebody uses it.</summary>
    static Timeline Live(string[] models, int seed) =>
        Timeline.Of(ModelLibrary.Get("base"), seed, s_length).With(Timeline.Of([.. models.Select(ModelLibrary.Get)], seed, s_length - s_idle), s_idle);

    static List<DemonstratedFact> FactsOf(RunningLab lab, HostPlan[] hosts, TrafficPlayer[] players, List<PlayedSample> samples, SurveyStore store)
    {
        PortLifetimes lifetimes = PortLifetimes.OfConntrack / Scale;
        int counted = 0, exact = 0, wrong = 0;
        foreach ((HostPlan host, TrafficPlayer player) in hosts.Zip(players))
        {
            var truth = new PlayedPorts(player.Flows, lifetimes);
            var address = HostAddress.Of(IPv4Address.Parse(host.Address));
            foreach ((TimeSpan from, TimeSpan to, TickCounts counts) in samples)
            {
                int ports = counts.Hosts.Where(h => h.Address == address).Select(h => h.Counts.Ports).SingleOrDefault();
                (int least, int most) = truth.Between(from, to, end => !end.IsIPv6);
                counted++;
                if (least == most && ports == least) exact++;
                if (ports < least || ports > most) wrong++;
            }
        }

        FlowFate[] fates = [.. players.SelectMany(player => player.Flows).Select(flow => flow.Fate)];
        return
        [
            new($"{fates.Length:N0} flows were opened, none was refused", fates.All(fate => fate == FlowFate.Opened)),
            new($"of {counted:N0} counts of a host's IPv4 ports {exact:N0} are what was played to the port, the others lie between what flows that came or went just then allow{(wrong > 0 ? $", but for {wrong:N0}" : "")}", exact > counted / 2 && wrong == 0),
            new($"{store.Samples:N0} samples of {store.Hosts.Count:N0} addresses are in the survey", store.Samples >= (int)(s_length / s_every)),
            new("the PRR dropped nothing", lab.Counters("prr").Where(counter => counter.Key.EndsWith("-dropped", StringComparison.Ordinal)).All(counter => counter.Value == 0)),
        ];
    }
}
