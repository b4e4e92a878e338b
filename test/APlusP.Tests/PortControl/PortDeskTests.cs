using APlusP.Core;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortControl;
using APlusP.Core.PortSets;
using APlusP.Node.Control;
using APlusP.Node.Daemons;
using APlusP.Node.PortControl;
using APlusP.Tests.Forwarding;
using static APlusP.Tests.PortControl.DeskScene;

namespace APlusP.Tests.PortControl;

/// <summary>A desk over the SMAP's own NAPT and a directory, started again and again.</summary>
public sealed class PortDeskTests : IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-desk-").FullName;
    readonly HandClock _time = new();
    readonly LogLines _log = [];
    string? _boot = "a boot";
    Smap _smap;
    PortDesk _desk;

    public PortDeskTests() => (_smap, _desk) = Start();

    (Smap Smap, PortDesk Desk) Start(Func<SmapOptions, SmapOptions>? change = null)
    {
        Smap smap = GatewayScene.Make(_time, change);
        var desk = new PortDesk(new PortControlSettings(Path.Combine(_directory, "state")), smap.Options, errand => errand(smap), new DaemonLog(_log), _time, () => _boot is null ? null : new Uptime(_boot, _time.GetElapsedTime(0).TotalSeconds));
        smap.Options = desk.With(smap.Options, desk.Settings);
        return (smap, desk);
    }

    void Restart(Func<SmapOptions, SmapOptions>? change = null)
    {
        _desk.Dispose();
        (_smap, _desk) = Start(change);
    }

    public void Dispose()
    {
        _desk.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    MappingGrant Map(MappingWish wish) => _desk.Ask((book, napt, now) => book.Map(wish, napt, now));

    List<MappingEntry> Entries() => [.. HouseholdForwards.Answer("mappings", _desk)!.Mappings!.Entries];

    [Fact]
    public void What_was_asked_for_is_in_force_at_once_and_is_there_after_a_restart_with_the_time_that_is_left()
    {
        Map(Wish(80, suggested: 10007, seconds: 3600));
        Map(Wish(3000, by: MappingProtocol.Pcp, nonce: 7, count: 3, suggested: 10020));
        Map(Wish(6881, Phone, MappingProtocol.Upnp, suggested: 10030, exact: true, seconds: 60) with { Description = "a <film>" });
        Assert.Equal(5, _smap.Options.Forwards.Count);
        uint epoch = _desk.Epoch;
        _time.Advance(TimeSpan.FromSeconds(600));
        Restart();
        Assert.Equal([10007, 10020, 10021, 10022], _smap.Options.Forwards.Select(f => (int)f.Port).Order());
        Assert.Equal(epoch + 600, _desk.Epoch);
        Assert.Equal(3000, Entries()[0].SecondsLeft);

        // The nonce is known still, and the set is one.
        Assert.Equal(MappingRefusal.NotTheirs, Map(Wish(3000, by: MappingProtocol.Pcp, nonce: 8)).Refusal);
        Assert.Equal(new PortRange(10020, 10022), Map(Wish(3000, by: MappingProtocol.Pcp, nonce: 7, count: 3)).Ports);
    }

    [Fact]
    public void A_forward_of_the_file_whose_port_is_not_ours_is_told_as_not_in_force()
    {
        var outside = new PortForward(Core.Wire.IpProtocol.Tcp, 80, Host(GatewayScene.Client), 8080);
        Restart(o => o with { ForwardsOutside = [outside] });
        Assert.Equal(("tcp", 80, "configuration", false), Entries().Select(e => (e.Protocol, e.Port, e.By, e.IsInForce)).Single(e => e.Port == 80));
        Assert.DoesNotContain(_smap.Options.Forwards, f => f.Port == 80);
    }

    static readonly TimeSpan s_untilNtp = TimeSpan.FromDays(56 * 365);

    [Fact]
    public void A_clock_that_is_set_ends_no_mapping_of_the_same_boot()
    {
        Map(Wish(80));
        _time.WallStep = s_untilNtp;
        _time.Advance(TimeSpan.FromSeconds(60));
        Restart();
        Assert.Equal(3540, Assert.Single(Entries()).SecondsLeft);
        Assert.Equal(60u, _desk.Epoch);

        // After the next boot only the clock can tell.
        _desk.Remember(0);
        _boot = "another";
        _time.WallStep += TimeSpan.FromSeconds(540);
        Restart();
        Assert.Equal(3000, Assert.Single(Entries()).SecondsLeft);
        Assert.Equal(600u, _desk.Epoch);
    }

    [Fact]
    public void Where_no_mapping_outlives_a_restart_the_epoch_begins_anew_so_that_clients_ask_again()
    {
        _time.Advance(TimeSpan.FromSeconds(1000));
        Map(Wish(80));
        Assert.Equal(1000u, _desk.Epoch);
        _boot = "another";
        _time.WallStep = s_untilNtp;
        Restart();
        Assert.Empty(Entries());
        Assert.Equal(0u, _desk.Epoch);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Boots_without_the_time_of_day_add_up_to_no_epoch_that_is_too_long(bool isUptimeKnown)
    {
        for (int i = 0; i < 4; i++)
        {
            _boot = isUptimeKnown ? $"boot {i}" : null;
            _time.WallStep = default;
            Restart();
            _desk.Remember(0);
            _time.WallStep = s_untilNtp;
            Restart();
            _desk.Remember(0);
            if (isUptimeKnown) Assert.Equal(0u, _desk.Epoch);
        }

        Restart();
        Assert.Empty(_log);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_epoch_loses_no_part_of_a_second_over_restarts(bool isUptimeKnown)
    {
        if (!isUptimeKnown) _boot = null;
        TimeSpan passed = default;
        for (int i = 0; i < 20; i++)
        {
            Map(Wish((ushort)(80 + i)));
            _time.Advance(TimeSpan.FromSeconds(0.9));
            passed += TimeSpan.FromSeconds(0.9);
            Restart();
            Assert.Equal((uint)passed.TotalSeconds, _desk.Epoch);
        }
    }

    [Theory]
    [InlineData(100, 30)]
    [InlineData(60, 20)]
    public void What_is_renewed_within_the_minute_is_kept_for_as_long_as_it_stands(int seconds, int every)
    {
        for (int i = 0; i <= 10; i++, _time.Advance(TimeSpan.FromSeconds(every))) Map(Wish(80, seconds: (uint)seconds));
        Restart();
        Assert.Single(Entries());
    }

    [Fact]
    public void Whoever_renews_without_end_wears_out_no_disk()
    {
        string file = Path.Combine(_directory, "state", "mappings.json");
        Map(Wish(80));
        Map(Wish(81, seconds: 5));
        int written = 0;
        for (int i = 0; i < 600; i++, _time.Advance(TimeSpan.FromSeconds(1)))
        {
            File.SetLastWriteTimeUtc(file, DateTime.UnixEpoch);
            Map(Wish(80));
            Map(Wish(81, seconds: 5));
            if (File.GetLastWriteTimeUtc(file) != DateTime.UnixEpoch) written++;
        }

        Assert.InRange(written, 9, 20);
    }

    [Fact]
    public void Nobody_is_asked_before_there_is_somebody()
    {
        // A claim of a second, and a start that takes longer.
        Map(Wish(80, seconds: 1));
        _desk.Dispose();
        var clock = new TimerClock();
        using var desk = new PortDesk(_desk.Settings, _smap.Options, _ => throw new ArgumentOutOfRangeException(nameof(clock), "there are no workers"), new DaemonLog(_log), clock, () => null);
        Assert.Equal(Timeout.InfiniteTimeSpan, clock.Timer.Period);
        desk.Begin();
        Assert.Equal(TimeSpan.FromSeconds(1), clock.Timer.Period);
    }

    sealed class TimerClock : TimeProvider
    {
        public HandTimer Timer { get; } = new();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Timer.Change(dueTime, period);
            return Timer;
        }
    }

    sealed class HandTimer : ITimer
    {
        public TimeSpan Period { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Period = period;
            return true;
        }

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => default;
    }

    [Fact]
    public void A_port_that_an_endpoint_has_by_its_flows_is_the_one_that_it_gets()
    {
        byte[] sent = Assert.Single(OnTheWire.Through(_smap, Origin.FromLan, Packets.Udp(GatewayScene.Client, 5000, GatewayScene.Server, 53)));
        int port = sent[60] << 8 | sent[61];
        Assert.Equal(port, Map(Wish(5000, GatewayScene.Client, protocol: Core.Wire.IpProtocol.Udp, suggested: 10999)).Ports.First);
        Assert.Equal(1, _smap.Use().Flows);
    }

    [Fact]
    public void With_another_set_the_epoch_begins_anew_if_something_was_lost_and_who_listens_hears_what()
    {
        using var heard = new BlockingHear(_desk);
        Map(Wish(80, suggested: 10007));
        _time.Advance(TimeSpan.FromSeconds(100));
        _smap.Options = _desk.With(GatewayScene.Options(o => o with { Ports = PortSet.Parse("10500-10999") }), _desk.Settings);
        Assert.Equal(10007, Assert.Single(heard.Next().Lost).Forward.Port);
        Assert.Equal(0u, _desk.Epoch);
        _time.Advance(TimeSpan.FromSeconds(100));
        _smap.Options = _desk.With(GatewayScene.Options(o => o with { Ports = PortSet.Parse("10500-10999"), SharedAddress = Host("192.0.2.99") }), _desk.Settings);
        Assert.True(heard.Next().IsOtherAddress);
        Assert.Equal(100u, _desk.Epoch);
    }

    sealed class BlockingHear : IDisposable
    {
        readonly System.Collections.Concurrent.BlockingCollection<MappingChange> _heard = [];

        public BlockingHear(PortDesk desk) => desk.Upset += _heard.Add;

        public MappingChange Next() => _heard.TryTake(out MappingChange? change, TimeSpan.FromSeconds(30)) ? change : throw new Xunit.Sdk.XunitException("nothing was heard");

        public void Dispose() => _heard.Dispose();
    }

    [Fact]
    public void Forwards_of_the_household_are_checked_as_those_of_the_file_and_kept()
    {
        Restart(o => o with { Forwards = [Static(10001, Phone, 80)] });
        Assert.Equal("AP1025", Refusal("forward add 80 192.168.2.10:80 tcp"));
        Assert.Equal("AP1018", Refusal("forward add 10001 192.168.2.10:80 tcp"));
        Assert.Equal("AP1018", Refusal($"forward add 10002 {Phone}:80 both"));
        Assert.Equal("AP3015", Refusal("forward add 10002 server.example:80 tcp"));
        Assert.Equal("AP3015", Refusal("forward add 10002 192.168.2.10:80 sctp"));
        Assert.Equal("AP3015", Refusal("forward add 70000 192.168.2.10:80 tcp"));
        Assert.Equal("AP3015", Refusal("forward remove 10001 tcp"));
        Assert.Equal("AP3015", Refusal("forward remove 10002 tcp"));
        Assert.Equal("AP3015", Refusal("forward whatever"));
        Assert.Null(HouseholdForwards.Answer("flows", _desk));
        Assert.Null(Refusal("forward add 10002 192.168.2.10:80 both"));
        Assert.Equal(3, _smap.Options.Forwards.Count);
        Restart();
        Assert.Equal([("tcp", 10002, "household", true), ("udp", 10002, "household", true)], Entries().Select(e => (e.Protocol, e.Port, e.By, e.IsInForce)));
        Restart(o => o with { Ports = PortSet.Parse("10500-10999") });
        Assert.All(Entries(), e => Assert.False(e.IsInForce));
        Assert.Empty(_smap.Options.Forwards);
        Restart();
        Assert.Null(Refusal("forward remove 10002 both"));
        Assert.Empty(Entries());

        string? Refusal(string verb)
        {
            try
            {
                return HouseholdForwards.Answer(verb, _desk)!.Code;
            }
            catch (APlusPException refusal)
            {
                return refusal.Code;
            }
        }
    }

    [Fact]
    public void What_hosts_asked_for_the_household_takes_away_at_once_and_for_good_and_the_client_hears_so_in_the_same_epoch()
    {
        using var heard = new BlockingHear(_desk);
        Map(Wish(80, by: MappingProtocol.Pcp, nonce: 7, suggested: 10007));
        Map(Wish(80, by: MappingProtocol.Upnp, suggested: 10007));
        Map(Wish(81, suggested: 10008));
        Assert.Equal(["pcp", "upnp", "nat-pmp"], Entries().Select(e => e.By));
        _time.Advance(TimeSpan.FromSeconds(100));
        HouseholdForwards.Answer("forward remove 10007 tcp", _desk);
        Assert.Equal(10008, Assert.Single(_smap.Options.Forwards).Port);
        PortMapping lost = Assert.Single(heard.Next().Lost);
        Assert.NotNull(PcpMapServer.Update(lost, Host(GatewayScene.Shared), isLost: true, _desk.Epoch, 100));

        // With a new epoch every host would ask again, and have its port back.
        Assert.Equal(100u, _desk.Epoch);
        Restart();
        Assert.Equal(10008, Assert.Single(Entries()).Port);
        Assert.Equal(10008, Assert.Single(_smap.Options.Forwards).Port);

        // It is taken away, and not forbidden.
        Assert.Equal(10007, Map(Wish(80, by: MappingProtocol.Upnp, suggested: 10007, exact: true)).Ports.First);
        HouseholdForwards.Answer("forward remove 10007 both", _desk);
        HouseholdForwards.Answer("forward remove 10008 both", _desk);
        Assert.Empty(Entries());
        Assert.Empty(_smap.Options.Forwards);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{\"saved\":\"2026-11-24T14:03:00+00:00\",\"epoch\":-1,\"household\":[],\"claims\":[],\"deviceId\":\"6f1d0d0e-0000-4000-8000-000000000010\",\"secret\":\"x\"}")]
    [InlineData("{\"saved\":\"2026-11-24T14:03:00+00:00\",\"epoch\":1,\"up\":{\"boot\":\"a boot\",\"seconds\":-1e300},\"household\":[],\"claims\":[],\"deviceId\":\"6f1d0d0e-0000-4000-8000-000000000010\",\"secret\":\"x\"}")]
    [InlineData("{\"saved\":\"2026-11-24T14:03:00+00:00\",\"epoch\":1,\"household\":[],\"deviceId\":\"6f1d0d0e-0000-4000-8000-000000000010\",\"secret\":\"x\",\"claims\":[{\"forward\":{\"protocol\":\"tcp\",\"port\":1,\"host\":\"nobody\",\"hostPort\":1},\"by\":\"Pcp\",\"seconds\":1}]}")]
    [InlineData("{\"saved\":\"2026-11-24T14:03:00+00:00\",\"epoch\":1,\"household\":[],\"deviceId\":\"6f1d0d0e-0000-4000-8000-000000000010\",\"secret\":\"x\",\"claims\":[{\"forward\":{\"protocol\":\"tcp\",\"port\":1,\"host\":\"192.168.2.10\",\"hostPort\":1},\"by\":77,\"seconds\":9}]}")]
    public void What_somebody_else_wrote_there_is_put_aside_and_all_goes_on_without(string text)
    {
        string file = Path.Combine(_directory, "state", "mappings.json");
        Map(Wish(80));
        File.WriteAllText(file, text);
        Restart();
        Assert.Empty(Entries());
        (int id, string said) = Assert.Single(_log);
        Assert.Equal(64, id);
        Assert.Contains($"{file}.damaged", said, StringComparison.Ordinal);
        Assert.Equal(text, File.ReadAllText($"{file}.damaged"));
        Map(Wish(80));
        Restart();
        Assert.Single(Entries());
        Assert.Single(_log);
    }

    [Fact]
    public void A_file_that_cannot_be_read_is_an_error_and_stays()
    {
        string file = Path.Combine(_directory, "state", "mappings.json");
        Map(Wish(80));

        // Root reads everything but what somebody has locked.
        using FileStream held = new(file, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.Equal(ErrorCodes.MappingState, Assert.Throws<APlusPException>(() => Start()).Code);
        Assert.True(File.Exists(file));
    }

    [Fact]
    public void An_epoch_that_is_too_long_begins_anew_and_costs_the_household_no_forward()
    {
        string file = Path.Combine(_directory, "state", "mappings.json");
        HouseholdForwards.Answer("forward add 10002 192.168.2.10:80 tcp", _desk);
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"epoch\": 0", "\"epoch\": 1e300", StringComparison.Ordinal));
        Assert.Contains("1e300", File.ReadAllText(file), StringComparison.Ordinal);
        Restart();
        Assert.Single(Entries());
        Assert.Equal(0u, _desk.Epoch);
    }

    [Fact]
    public void Nothing_is_written_before_there_is_something_to_keep()
    {
        _ = Entries();
        Assert.False(Directory.Exists(Path.Combine(_directory, "state")));
        Map(Wish(80));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_directory, "state", "mappings.json")));
    }
}
