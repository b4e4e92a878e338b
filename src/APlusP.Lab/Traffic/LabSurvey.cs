using System.Diagnostics;
using APlusP.Core.Connections;
using APlusP.Survey.Flows;
using APlusP.Survey.Live;

namespace APlusP.Lab.Traffic;

/// <summary>A survey of a lab's homes: their SMAPs' hosts track connections as a router with NAT would, and all of them are told as one.</summary>
public sealed class LabSurvey : IConnectionSource
{
    // Linux's own, in seconds, of net.netfilter.nf_conntrack_*; but for UDP flows that have answered for more than two seconds, which keep the timer of the others, so that
    // what is counted does not depend on how fast time runs.
    static readonly (string Name, int Seconds)[] s_timers =
    [
        ("udp_timeout", 30), ("udp_timeout_stream", 30), ("tcp_timeout_time_wait", 120), ("tcp_timeout_fin_wait", 120), ("tcp_timeout_close_wait", 60), ("tcp_timeout_last_ack", 30), ("tcp_timeout_close", 10),
    ];

    static readonly TimeSpan s_between = TimeSpan.FromMilliseconds(5);

    readonly List<NetlinkSource> _sources = [];
    readonly double _scale;

    /// <param name="lab">The lab.</param>
    /// <param name="scale">How many times as fast time runs in it: timers are shorter by as much.</param>
    public LabSurvey(RunningLab lab, double scale)
    {
        Programs.Require("nft");
        _scale = scale;
        string timers = string.Join('\n', s_timers.Select(timer => $"echo {Math.Max(1, Math.Round(timer.Seconds / scale))} > /proc/sys/net/netfilter/nf_conntrack_{timer.Name}"));
        foreach (RoomPlan room in lab.Plan.Rooms)
        {
            NetworkNamespace smap = lab.Host(room.Smap);

            // The kernel tracks where a rule asks for it.
            smap.Require("nft", "add table inet survey; add chain inet survey f { type filter hook forward priority 0; ct state new counter; }");
            smap.Shell(timers);
            _sources.Add(smap.Call(() => new NetlinkSource()));
        }
    }

    /// <summary>The networks of a lab's homes.</summary>
    public static InsideNetworks Inside { get; } = InsideNetworks.Of(["192.168.0.0/16", LabTopology.HomesV6]);

    /// <summary>When the last dump began, and when it ended (of <see cref="Stopwatch.GetTimestamp"/>).</summary>
    public (long From, long To) Looked { get; private set; }

    public void Dump(Action<TrackedConnection> tell)
    {
        long from = Stopwatch.GetTimestamp();
        foreach (NetlinkSource source in _sources) source.Dump(tell);
        Looked = (from, Stopwatch.GetTimestamp());
    }

    /// <summary>Waits so long by the clock of the lab.</summary>
    public bool Wait(TimeSpan time, Action<bool, TrackedConnection> tell)
    {
        long start = Stopwatch.GetTimestamp();
        for (bool whole = true; ;)
        {
            foreach (NetlinkSource source in _sources) whole &= source.Wait(TimeSpan.Zero, tell);
            TimeSpan left = time / _scale - Stopwatch.GetElapsedTime(start);
            if (left <= TimeSpan.Zero) return whole;
            Thread.Sleep(left < s_between ? left : s_between);
        }
    }

    public void Dispose()
    {
        foreach (NetlinkSource source in _sources) source.Dispose();
    }
}

/// <summary>A clock that runs so many times as fast, from now on.</summary>
public sealed class FastClock(double scale) : TimeProvider
{
    readonly long _start = Stopwatch.GetTimestamp();
    readonly DateTimeOffset _began = System.GetUtcNow();

    public override long TimestampFrequency => Stopwatch.Frequency;

    public override long GetTimestamp() => (long)((Stopwatch.GetTimestamp() - _start) * scale);

    public override DateTimeOffset GetUtcNow() => _began + Stopwatch.GetElapsedTime(_start) * scale;
}
