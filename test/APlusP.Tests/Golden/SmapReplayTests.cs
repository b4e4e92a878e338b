using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Offline;

namespace APlusP.Tests.Golden;

/// <summary>Captures in, captures and counters out, through a SMAP that has ports 10000-11000 of 192.0.2.1.</summary>
public class SmapReplayTests
{
    const string Prr = "2001:db8::1", Home = "2001:db8:a::1", Shared = "192.0.2.1", Host = "10.0.0.2", Remote = "198.51.100.7";

    static readonly SmapConfiguration s_configuration = new()
    {
        Options = new SmapOptions
        {
            SoftwireAddress = IPv6Address.Parse(Home),
            PrrAddress = IPv6Address.Parse(Prr),
            SharedAddress = IPv4Address.Parse(Shared),
            Ports = PortSet.Parse("10000-11000"),
        },
    };

    /// <summary>A host asks from a port of the set, which is kept, and after <paramref name="delay"/> nanoseconds is answered.</summary>
    static (ReplayResult Result, IReadOnlyList<Timed> ToLan, IReadOnlyList<Timed> ToPrr) AskAndAnswer(CaptureRun run, long delay)
    {
        var files = new ReplayFiles(
            run.WriteCapture("lan.pcap", [new Timed(Timed.Start, Packets.Udp(Host, 10500, Remote, 53, payload: 20))]),
            run.WriteCapture("prr.pcap", [new Timed(Timed.Start + delay, Packets.Softwire(Prr, Home, Packets.Udp(Remote, 53, Shared, 10500, payload: 90)))]),
            run.PathOf("to-lan.pcap"), run.PathOf("to-prr.pcap"));
        ReplayResult result = Replay.OfSmap(s_configuration, files);
        return (result, CaptureRun.ReadCapture(files.IPv4Output!), CaptureRun.ReadCapture(files.IPv6Output!));
    }

    [Fact]
    public void A_host_asks_through_its_port_set_and_is_answered()
    {
        using var run = new CaptureRun();
        var (result, toLan, toPrr) = AskAndAnswer(run, delay: 30_000_000);
        Assert.Equal(Packets.Softwire(Home, Prr, Packets.Udp(Shared, 10500, Remote, 53, payload: 20, ttl: 63)), Assert.Single(toPrr).Packet);
        Assert.Equal(Packets.Udp(Remote, 53, Host, 10500, payload: 90, ttl: 63), Assert.Single(toLan).Packet);
        Assert.Equal([Timed.Start, Timed.Start + 30_000_000], [toPrr[0].Timestamp, toLan[0].Timestamp]);
        var counters = result.Named().ToDictionary();
        Assert.Equal([1, 1, 1, 1], new[] { "from-lan-forwarded", "from-prr-forwarded", "to-lan-sent", "to-prr-sent" }.Select(n => counters[n]));
    }

    [Fact]
    public void An_answer_that_comes_after_the_timer_by_the_clock_of_the_capture_finds_no_mapping()
    {
        using var run = new CaptureRun();
        var (result, toLan, _) = AskAndAnswer(run, delay: 400_000_000_000);
        Assert.Empty(toLan);
        Assert.Equal(1, result.Counters.Drops(Origin.FromPrr, DropReason.NoMapping));
    }

    [Fact]
    public void Ports_are_chosen_alike_in_every_replay_of_a_capture()
    {
        using var run = new CaptureRun();
        string lan = run.WriteCapture("lan.pcap", Timed.Each(Enumerable.Range(0, 100).Select(i => Packets.Udp(Host, 40000 + i, Remote, 53))));
        byte[] Once(string name)
        {
            Replay.OfSmap(s_configuration, new ReplayFiles(lan, IPv6Output: run.PathOf(name)));
            return File.ReadAllBytes(run.PathOf(name));
        }

        Assert.Equal(Once("one.pcap"), Once("two.pcap"));
        Assert.Equal(100, CaptureRun.ReadCapture(run.PathOf("one.pcap")).Count);
    }
}
