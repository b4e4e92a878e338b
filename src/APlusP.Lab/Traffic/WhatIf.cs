using APlusP.Survey.Models;
using APlusP.Survey.Planning;

namespace APlusP.Lab.Traffic;

/// <summary>A load at one size of port set: what was to be expected, and what came.</summary>
/// <param name="Ports">Size of the set.</param>
/// <param name="Load">The load's name.</param>
/// <param name="Forecast">What the planner's replays say.</param>
/// <param name="RefusedByNapt">Drops that the SMAP counted for want of a port.</param>
/// <param name="Refused">Flows whose sockets were told so.</param>
/// <param name="TimedOut">Flows that were never answered.</param>
/// <param name="Failed">Flows that failed in any other way.</param>
/// <param name="Fault">How one of these did.</param>
public sealed record WhatIfLine(int Ports, string Load, LoadForecast Forecast, long RefusedByNapt, int Refused, int TimedOut, int Failed, string? Fault)
{
    /// <summary>The share of flows that were refused.</summary>
    public double Measured => Forecast.Offered == 0 ? 0 : (double)RefusedByNapt / Forecast.Offered;

    /// <summary>How far the forecast is from it, as a share of flows.</summary>
    public double Error => Math.Abs(Forecast.Share - Measured);

    /// <summary>How it is to live with.</summary>
    public WhatIfVerdict Verdict => Measured switch
    {
        0 => WhatIfVerdict.Transparent,
        <= WhatIf.EnoughUpTo => WhatIfVerdict.Enough,
        <= WhatIf.FeltUpTo => WhatIfVerdict.Felt,
        _ => WhatIfVerdict.Unusable,
    };
}

/// <summary>How a port set is to live with, by the share of flows that it refuses.</summary>
public enum WhatIfVerdict
{
    /// <summary>Nothing is refused.</summary>
    Transparent,

    /// <summary>So little that nobody notices.</summary>
    Enough,

    /// <summary>Pages lack pictures.</summary>
    Felt,

    /// <summary>Pages do not come.</summary>
    Unusable,
}

/// <summary>
/// "What if a home had so many ports?" The same load is played by real sockets at each size, all sizes at the same time, each through a SMAP of its own and one PRR; and what the
/// SMAPs refuse is held against what the planner says they would.
/// </summary>
public static class WhatIf
{
    /// <summary>Shares of flows up to which a set is enough, and up to which its lack is felt.</summary>
    public const double EnoughUpTo = 0.01, FeltUpTo = 0.1;

    /// <summary>By how much forecast and measurement may differ, as a share of flows; docs/models.md says what was seen.</summary>
    public const double Margin = 0.03;

    const string Exhausted = "from-lan-drop-ports-exhausted", HostLimit = "from-lan-drop-host-limit";

    /// <summary>Builds the lab, plays, measures, and removes it.</summary>
    /// <param name="name">The lab's name.</param>
    /// <param name="executable">The <c>aplusp</c> that its daemons run.</param>
    /// <param name="settings">What is asked.</param>
    /// <param name="progress">Hears what is being done.</param>
    /// <param name="cancel">Gives up, and leaves nothing.</param>
    /// <exception cref="Core.APlusPException">AP5001 to AP5006, AP5008.</exception>
    public static IReadOnlyList<WhatIfLine> Run(string name, string executable, WhatIfSettings settings, Action<string>? progress = null, CancellationToken cancel = default)
    {
        settings.Check();
        (LabPlan plan, IReadOnlyList<WhatIfHome> homes) = WhatIfHome.Plan(name, settings);
        RunningLab lab = RunningLab.Up(plan, executable, progress, cancel);
        try
        {
            return Play(lab, settings, homes, progress, cancel);
        }
        finally
        {
            RunningLab.Down(name);
        }
    }

    static IReadOnlyList<WhatIfLine> Play(RunningLab lab, WhatIfSettings settings, IReadOnlyList<WhatIfHome> homes, Action<string>? progress, CancellationToken cancel)
    {
        using var peers = new TrafficPeers(lab.Host("peers"), homes.SelectMany(home => home.Timelines));
        List<TrafficPlayer> players = [];
        try
        {
            foreach (WhatIfHome home in homes)
                foreach ((HostPlan host, Timeline timeline) in home.Room.Hosts.Zip(home.Timelines)) players.Add(new TrafficPlayer(lab.Host(host.Name), timeline, peers, settings.Scale));
            progress?.Invoke($"{players.Count} hosts play {homes.Sum(home => home.Timelines.Sum(timeline => timeline.Flows.Count)):N0} flows, {settings.Length.TotalSeconds:0} seconds in {(settings.Length / settings.Scale).TotalSeconds:0}");
            TrafficPlayer.Await(TrafficPlayer.PlayTogether(players, TrafficPlayer.BeginAt(), cancel), cancel);
            progress?.Invoke("reading the SMAPs' counters");
            return [.. homes.Select((home, i) => Measure(lab, settings, home, [.. players.Skip(i * settings.Users).Take(settings.Users).SelectMany(player => player.Flows)]))];
        }
        finally
        {
            foreach (TrafficPlayer player in players) player.Dispose();
        }
    }

    static WhatIfLine Measure(RunningLab lab, WhatIfSettings settings, WhatIfHome home, PlayedFlow[] played)
    {
        IReadOnlyDictionary<string, long> counters = lab.Counters(home.Room.Smap);
        return new WhatIfLine(
            home.Size, home.Load.Name, LoadForecast.Of(home.Timelines, home.Size, settings.Lifetimes, settings.Mode),
            counters.GetValueOrDefault(Exhausted) + counters.GetValueOrDefault(HostLimit),
            played.Count(flow => flow.Fate == FlowFate.Refused), played.Count(flow => flow.Fate == FlowFate.TimedOut), played.Count(flow => flow.Fate == FlowFate.Failed),
            played.FirstOrDefault(flow => flow.Fault is not null)?.Fault);
    }

    /// <summary>What a size is good for, in words.</summary>
    public static string VerdictOf(IEnumerable<WhatIfLine> ofOneSize)
    {
        WhatIfLine[] lines = [.. ofOneSize];
        if (lines.All(line => line.Verdict == WhatIfVerdict.Transparent)) return "transparent";
        string[] good = [.. lines.Where(line => line.Verdict <= WhatIfVerdict.Enough).Select(line => line.Load)];
        if (good.Length > 0) return $"enough for {string.Join(" and ", good)}";
        return lines.All(line => line.Verdict == WhatIfVerdict.Unusable) ? "unusable" : "too few";
    }
}
