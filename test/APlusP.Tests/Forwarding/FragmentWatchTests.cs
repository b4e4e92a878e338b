using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Node.Daemons;
using static APlusP.Tests.Forwarding.OnTheWire;
using static APlusP.Tests.Forwarding.PrrScene;

namespace APlusP.Tests.Forwarding;

/// <summary>What the administrator hears of memory for fragments (RFC 6333 section 6.3).</summary>
public sealed class FragmentWatchTests : IDisposable
{
    readonly HandClock _time = new();
    readonly LogLines _log = new();
    readonly PortRangeRouter _router;
    readonly FragmentWatch _watch;
    int _sent;

    public FragmentWatchTests()
    {
        _router = Router(Options with { Fragments = new FragmentOptions { MaxPackets = 64, MaxOctets = 64 * 512 } }, _time);
        _watch = new FragmentWatch([Router(), _router], percent: 50, new DaemonLog(_log), _time);
    }

    public void Dispose() => _watch.Dispose();

    void Send(int fragments) => Through(_router, Origin.FromInternet, Enumerable.Range(0, fragments).Select(_ =>
        Packets.Fragment(Packets.Udp($"198.51.100.{++_sent}:53", "192.0.2.1:11500", 1200), 400, 400)));

    [Fact]
    public void Before_the_memory_of_fragments_ends_the_log_warns()
    {
        Send(31);
        _watch.Look();
        Assert.Empty(_log);
        Send(1);
        _watch.Look();
        Assert.Contains("IPv4 packets have reached 50 %", Assert.Single(_log).Text, StringComparison.Ordinal);
        Assert.Equal(0, _router.Counters.Drops(DropReason.FragmentsExceeded));
    }

    [Fact]
    public void A_short_burst_is_told_of_when_it_is_over_and_a_long_one_once_a_minute()
    {
        Send(40);
        _time.Advance(TimeSpan.FromSeconds(10));
        _router.MillisecondsUntilDue(1000);
        Assert.Equal(0, _router.FragmentUse.Inner.Packets);
        _watch.Look();
        Assert.Single(_log);
        Send(40);
        _watch.Look();
        _time.Advance(TimeSpan.FromSeconds(59));
        _watch.Look();
        Assert.Single(_log);
        _time.Advance(TimeSpan.FromSeconds(1));
        Send(40);
        _watch.Look();
        Assert.Equal(2, _log.Count);
    }
}
