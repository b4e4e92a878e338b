using System.Diagnostics;
using APlusP.Lab;
using APlusP.Lab.Links;

namespace APlusP.LabTests;

/// <summary>A room for each case, since PRR and SMAP remember what they have learnt of a path.</summary>
public sealed class NarrowLinkLab : LabFixture
{
    public NarrowLinkLab()
        // A short queue: with a long one, all of a transfer would be on the link before it becomes narrow.
        : base(Enumerable.Range(1, 4).Aggregate(LabPlan.Smaps("tnarrow", 4), (plan, room) => plan.WithLink($"room{room}", new LinkSettings { DelayMs = 5, RateMbit = 10, Queue = 40 })))
    {
        try
        {
            Lab.StartIperf("www4");
        }
        catch
        {
            Dispose();
            throw;
        }
    }
}

/// <summary>A path that becomes narrow in its middle, where neither end of the softwire has an interface that shows it.</summary>
[Collection(Alone.Name)]
public sealed class NarrowLinkTests(NarrowLinkLab lab) : IClassFixture<NarrowLinkLab>
{
    [Theory]
    [InlineData(1, LinkWay.Down, false)]
    [InlineData(2, LinkWay.Down, true)]
    [InlineData(3, LinkWay.Up, false)]
    [InlineData(4, LinkWay.Up, true)]
    public void A_transfer_goes_on_when_one_way_becomes_narrow_told_or_not(int room, LinkWay way, bool blackHole) => lab.Test(() =>
    {
        LabLinkHandle link = lab.Lab.Link($"room{room}");
        LinkCounters Counters() => way == LinkWay.Down ? link.State().Down.Counters : link.State().Up.Counters;
        string sender = way == LinkWay.Down ? "prr" : $"smap{room}";
        string learnt = blackHole ? "path-mtu-lowered-by-probing" : "path-mtu-lowered-by-message";
        string[] iperf = ["iperf3", "--client", LabTopology.Www4Address, "--bytes", "3M", .. way == LinkWay.Down ? (string[])["--reverse"] : []];

        // A server remembers a path's MTU by address, and all homes have the same: what it has heard of another room would spare this one.
        lab["www4"].Do("ip", "route", "flush", "cache");
        lab["www4"].Do("ip", "tcp_metrics", "flush");

        long start = Stopwatch.GetTimestamp(), before = Counters().Delivered;
        IReadOnlyDictionary<string, long> moved = lab.Moved(sender, () =>
        {
            Task<string> transfer = Task.Run(() => lab[$"h{room}"].Do(iperf));
            Assert.True(Wait.Until(() => Counters().Delivered > before + 300 || transfer.IsCompleted, TimeSpan.FromSeconds(10)), "the transfer does not get under way");
            Assert.False(transfer.IsCompleted, "the transfer was over before the path became narrow");
            link.Set(way, mtu: 1280, blackHole: blackHole);
            transfer.Wait();
        });

        TestContext.Current.TestOutputHelper?.WriteLine($"3 MB at 10 Mbit/s in {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s; {Counters().TooBigAnswered} answered, {Counters().TooBigSilent} silent");
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 2, 20);
        Assert.Equal(1, moved.GetValueOrDefault(learnt));
        Assert.Equal(blackHole, Counters().TooBigAnswered == 0);
        Assert.Equal(blackHole, Counters().TooBigSilent > 0);

        // The other way was as wide as ever, and nobody made it narrow.
        LinkCounters other = way == LinkWay.Down ? link.State().Up.Counters : link.State().Down.Counters;
        Assert.Equal(0, other.TooBigAnswered + other.TooBigSilent);
    });
}
