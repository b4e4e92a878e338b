using APlusP.Core;
using APlusP.Core.Forwarding;
using APlusP.Survey.Models;
using APlusP.Survey.Planning;

namespace APlusP.Lab.Traffic;

/// <summary>What a home does: each of its users plays all of these models.</summary>
public sealed record WhatIfLoad(string Name, IReadOnlyList<TrafficModel> Models)
{
    /// <summary>What the report calls a professional use, surfing and mail, and all that it measured.</summary>
    public static IReadOnlyList<WhatIfLoad> Standard =>
    [
        new("work", [.. new[] { "base", "gmail", "google-maps", "facebook" }.Select(ModelLibrary.Get)]),
        new("everything", [.. ModelLibrary.Names.Select(ModelLibrary.Get)]),
    ];
}

/// <summary>What is asked of <see cref="WhatIf"/>.</summary>
/// <param name="Sizes">Sizes of port sets.</param>
/// <param name="Loads">Each is played at each size, in a home of its own.</param>
/// <param name="Users">Hosts of each home.</param>
/// <param name="Seed">The same one gives the same flows.</param>
/// <param name="Length">How long the load lasts, in its own time.</param>
/// <param name="Scale">How many times as fast it is played. The NAPT's timers are shorter by as much.</param>
/// <param name="Mode">How the NAPTs give ports.</param>
public sealed record WhatIfSettings(IReadOnlyList<int> Sizes, IReadOnlyList<WhatIfLoad> Loads, int Users, int Seed, TimeSpan Length, double Scale, NaptMode Mode)
{
    const int MostHomes = 40, MostHosts = 120, MostFlows = 40_000;

    /// <summary>By the wall, with the lab's coming and going.</summary>
    public TimeSpan Takes => Length / Scale + TimeSpan.FromSeconds(10 + Sizes.Count * Loads.Count);

    /// <summary>The NAPTs' timers: a SMAP's own, as much shorter as time is faster.</summary>
    internal NaptTimers Timers
    {
        get
        {
            var usual = new NaptTimers();
            int Scaled(int seconds) => Math.Max(1, (int)Math.Round(seconds / Scale));
            return new NaptTimers
            {
                Udp = Scaled(usual.Udp),
                TcpEstablished = Scaled(usual.TcpEstablished),
                TcpOpening = Scaled(usual.TcpOpening),
                TcpClosing = Scaled(usual.TcpClosing),
                TcpReset = Scaled(usual.TcpReset),
                Icmp = Scaled(usual.Icmp),
            };
        }
    }

    /// <summary>The same in the time of the load. The NAPT counts in whole seconds, and so ends what it holds half a second early in the mean.</summary>
    internal PortLifetimes Lifetimes
    {
        get
        {
            var real = PortLifetimes.Of(Timers);
            var early = TimeSpan.FromSeconds(0.5);
            return new PortLifetimes((real.Udp - early) * Scale, (real.TcpClosed - early) * Scale);
        }
    }

    /// <summary>What each user of each home with this load does.</summary>
    internal IReadOnlyList<Timeline> Timelines(WhatIfLoad load) => [.. Enumerable.Range(0, Users).Select(user => Timeline.Of(load.Models, Seed + user, Length))];

    /// <summary>What is to be expected of a home with this load and a set of this size.</summary>
    public LoadForecast Forecast(WhatIfLoad load, int ports) => LoadForecast.Of(Timelines(load), ports, Lifetimes, Mode);

    /// <exception cref="APlusPException">AP5008: it cannot be played.</exception>
    public void Check()
    {
        int homes = Sizes.Count * Loads.Count;
        if (homes is 0 or > MostHomes) throw Wrong($"{Sizes.Count} sizes for {Loads.Count} loads are {homes} homes, but there are 1 to {MostHomes}. Ask for fewer sizes");
        if (Users < 1 || homes * Users > MostHosts) throw Wrong($"{homes} homes of {Users} users are {homes * Users} hosts, but there are 1 to {MostHosts}. Ask for fewer sizes or users");
        if (Sizes.Any(size => size < 1) || Sizes.Sum() * Loads.Count > Plan.PortsOfAddress) throw Wrong($"the port sets of all homes are of one address, and together have at most {Plan.PortsOfAddress:N0} ports; these have {Sizes.Sum() * Loads.Count:N0}");
        if (Length < TimeSpan.FromSeconds(10) || Length > TimeSpan.FromHours(2)) throw Wrong($"the load lasts {Length.TotalSeconds:0.#} s, but it is from 10 s to 2 hours");
        if (Scale is not (>= 1 and <= 60)) throw Wrong($"the time scale is {Scale}, but it is from 1 to 60: a NAPT's timers are whole seconds");
        if (Loads.SelectMany(Timelines).Sum(timeline => timeline.Flows.Count) * Sizes.Count is > MostFlows and var flows) throw Wrong($"all homes together have {flows:N0} flows, but at most {MostFlows:N0} are played. Ask for fewer sizes, users or models");
    }

    static APlusPException Wrong(string what) => new(ErrorCodes.WhatIfWrong, $"{what}.");
}
