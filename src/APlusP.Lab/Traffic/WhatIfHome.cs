using APlusP.Core.Forwarding;
using APlusP.Survey.Models;

namespace APlusP.Lab.Traffic;

/// <summary>A home of <see cref="WhatIf"/>: one size, one load.</summary>
/// <param name="Size">Of its port set.</param>
/// <param name="Load">What its users do.</param>
/// <param name="Room">Its SMAP and hosts.</param>
/// <param name="Timelines">What each of its hosts plays.</param>
sealed record WhatIfHome(int Size, WhatIfLoad Load, RoomPlan Room, IReadOnlyList<Timeline> Timelines)
{
    const int FirstPort = 1024;

    /// <summary>A lab with a home for each size and load, all behind one address.</summary>
    public static (LabPlan Plan, IReadOnlyList<WhatIfHome> Homes) Plan(string name, WhatIfSettings settings)
    {
        var homes = new List<WhatIfHome>();
        int first = FirstPort;
        foreach (int size in settings.Sizes)
        {
            foreach (WhatIfLoad load in settings.Loads)
            {
                homes.Add(new WhatIfHome(size, load, RoomOf(homes.Count + 1, first, size, settings), settings.Timelines(load)));
                first += size;
            }
        }

        return (new LabPlan(name, [.. homes.Select(home => home.Room)]) { HasPeers = true }, homes);
    }

    static RoomPlan RoomOf(int number, int first, int size, WhatIfSettings settings)
    {
        HostPlan[] hosts = [.. Enumerable.Range(1, settings.Users).Select(user => new HostPlan($"r{number}u{user}", $"192.168.{number}.{9 + user}"))];
        return RoomPlan.Of(number, $"{first}-{first + size - 1}", hosts) with { Napt = NaptLines(size, settings) };
    }

    /// <summary>One host may have all ports, and each is told when there is none: so a drop that is counted is a flow that heard of it, and no kernel tries again.</summary>
    static IReadOnlyList<string> NaptLines(int size, WhatIfSettings settings)
    {
        NaptTimers timers = settings.Timers;
        return
        [
            $"mode = \"{NaptModes.NameOf(settings.Mode)}\"",
            $"ports-per-host = {size}",
            "[napt.timers]",
            $"udp = {timers.Udp}",
            $"tcp-established = {timers.TcpEstablished}",
            $"tcp-opening = {timers.TcpOpening}",
            $"tcp-closing = {timers.TcpClosing}",
            $"tcp-reset = {timers.TcpReset}",
            $"icmp = {timers.Icmp}",
            "[icmp]",
            "errors-per-second = 1000000",
            "errors-per-host = 1000000",
        ];
    }
}
