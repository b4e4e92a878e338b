using APlusP.Node.Home;

namespace APlusP.Tests.SmapLease;

public class LineWatchTests
{
    readonly LineWatch _watch;
    PingResult _ping = PingResult.Answered;
    int _pings;
    long _sent, _heard;

    public LineWatchTests() => _watch = new LineWatch(() =>
    {
        _pings++;
        return _ping;
    });

    bool After(int looks, int sent = 0, int heard = 0)
    {
        for (int i = 0; i < looks; i++) _watch.Look(_sent += sent, _heard += heard);
        return _watch.IsDead;
    }

    [Fact]
    public void Where_packets_come_nobody_is_asked()
    {
        Assert.False(After(100, sent: 5, heard: 1));
        Assert.Equal(0, _pings);
    }

    [Fact]
    public void A_quiet_line_is_asked_seldom_and_is_alive_while_the_PRR_answers()
    {
        Assert.False(After(60));
        Assert.Equal(10, _pings);
    }

    [Fact]
    public void A_PRR_that_has_answered_and_does_so_no_longer_is_behind_a_dead_line_until_something_comes()
    {
        After(1);
        _ping = PingResult.Silent;
        Assert.True(After(6));
        Assert.True(After(10, sent: 3));

        // While it is dead it is asked each time, so that its end is seen soon.
        Assert.Equal(12, _pings);
        _ping = PingResult.Answered;
        Assert.False(After(1));
        _ping = PingResult.Silent;
        Assert.True(After(6));
        Assert.False(After(1, heard: 1));
    }

    [Fact]
    public void One_that_never_answers_pings_is_silent_only_where_packets_bring_nothing_either()
    {
        _ping = PingResult.Silent;
        Assert.False(After(60));
        Assert.False(After(5, sent: 100, heard: 1));
        Assert.True(After(7, sent: 2));
        Assert.False(After(1, heard: 1));
    }

    [Fact]
    public void No_way_to_it_is_a_dead_line_at_once_and_pings_that_cannot_be_sent_say_nothing()
    {
        _ping = PingResult.Unknown;
        Assert.False(After(20, sent: 5));
        _ping = PingResult.NoWay;
        Assert.True(After(6));
    }
}
