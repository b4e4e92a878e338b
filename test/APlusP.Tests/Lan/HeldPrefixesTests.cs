using APlusP.Core.Addresses;
using APlusP.Node.Lan;
using APlusP.Tests.Forwarding;

namespace APlusP.Tests.Lan;

public sealed class HeldPrefixesTests : IDisposable
{
    static readonly LanPrefix s_first = new("lan", IPv6Prefix.Parse("2001:db8:2:1::/64")), s_second = new("lan", IPv6Prefix.Parse("2001:db8:2:2::/64")), s_guests = new("guests", IPv6Prefix.Parse("2001:db8:2:3::/64"));

    static readonly TimeSpan s_instant = TimeSpan.FromSeconds(1);

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;
    readonly HandClock _clock = new() { WallStep = TimeSpan.FromDays(20_000) };

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    string FilePath => Path.Combine(_directory, "leases.prefixes");

    HeldPrefixes New() => new(FilePath, _clock);

    [Fact]
    public void A_prefix_that_goes_is_old_for_as_long_as_hosts_were_told_and_no_longer()
    {
        HeldPrefixes held = New();
        Assert.Empty(held.Look([s_first, s_guests]));
        _clock.Advance(TimeSpan.FromHours(5));
        Assert.Empty(held.Look([s_first, s_guests]));
        Assert.Equal([s_first], held.Look([s_second, s_guests]));
        _clock.Advance(HeldPrefixes.Lifetime - s_instant);
        Assert.Equal([s_first], held.Look([s_second, s_guests]));
        _clock.Advance(s_instant);
        Assert.Empty(held.Look([s_second, s_guests]));
        Assert.DoesNotContain($"{s_first.Prefix}", File.ReadAllText(FilePath), StringComparison.Ordinal);
    }

    [Fact]
    public void One_that_comes_back_is_not_old_any_more()
    {
        HeldPrefixes held = New();
        held.Look([s_first]);
        Assert.Equal([s_first], held.Look([]));
        Assert.Empty(held.Look([s_first]));
        Assert.Equal([s_first], held.Look([s_second]));
        Assert.Equal([s_second], held.Look([s_first]));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(44, true)]
    [InlineData(91, false)]
    public void Who_is_killed_knows_of_it_while_hosts_may_hold_it(int minutes, bool knows)
    {
        New().Look([s_first]);
        _clock.Advance(TimeSpan.FromMinutes(minutes));
        HeldPrefixes next = New();
        Assert.Equal(knows ? [s_first] : [], next.Look([s_second]));

        // And so does the one after it.
        Assert.Equal(knows ? [s_first] : [], New().Look([s_second]));
    }

    [Fact]
    public void One_that_is_advertised_for_long_is_known_at_any_time_and_seldom_written()
    {
        HeldPrefixes held = New();
        int writes = 0;
        for (int i = 0; i < 24 * 60; i++)
        {
            string before = i == 0 ? "" : File.ReadAllText(FilePath);
            held.Look([s_first]);
            if (File.ReadAllText(FilePath) != before) writes++;
            _clock.Advance(TimeSpan.FromMinutes(1));
            string copy = Path.Combine(_directory, "copy");
            File.Copy(FilePath, copy, overwrite: true);
            Assert.Equal([s_first], new HeldPrefixes(copy, _clock).Look([s_second]));
        }

        Assert.InRange(writes, 30, 33);
    }

    [Fact]
    public void The_prefix_of_before_is_waited_for_a_moment_where_there_is_no_other()
    {
        New().Look([s_first]);
        HeldPrefixes next = New();
        Assert.Empty(next.Look([s_guests]));
        Assert.Empty(next.Look([s_first, s_guests]));

        next = New();
        Assert.Empty(next.Look([]));
        _clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal([s_guests, s_first], next.Look([]));
    }

    [Fact]
    public void A_prefix_that_another_LAN_has_now_is_not_told_to_be_old()
    {
        HeldPrefixes held = New();
        held.Look([s_first]);
        Assert.Empty(held.Look([s_first with { Device = "guests" }]));
        Assert.Equal([s_first with { Device = "guests" }, s_first], held.Look([]));
    }

    [Fact]
    public void A_clock_that_is_set_ends_nothing_and_a_machine_that_starts_in_the_past_knows_too()
    {
        HeldPrefixes held = New();
        held.Look([s_first]);
        held.Look([s_second]);
        _clock.WallStep += TimeSpan.FromDays(3000);
        Assert.Equal([s_first], held.Look([s_second]));
        Assert.Equal([s_first], New().Look([s_second]));
        _clock.WallStep = TimeSpan.Zero;
        HeldPrefixes past = New();
        Assert.Equal([s_first], past.Look([s_second]));

        // Not until the year of the file.
        _clock.Advance(2 * HeldPrefixes.Lifetime);
        Assert.Empty(past.Look([s_second]));
    }

    [Fact]
    public void What_somebody_has_spoilt_is_passed_over_and_what_cannot_be_written_is_known_until_the_end()
    {
        New().Look([s_first]);
        File.AppendAllText(FilePath, "rubbish\nlan 2001:db8::/x 1\nlan 2001:db8:2:7::/64 soon\n\n");
        Assert.Equal([s_first], New().Look([s_second]));

        File.Delete(FilePath);
        Directory.CreateDirectory($"{FilePath}.new");
        HeldPrefixes held = New();
        held.Look([s_first]);
        Assert.NotEmpty(held.Fault);
        Assert.Equal([s_first], held.Look([s_second]));
        Directory.Delete($"{FilePath}.new");
        Assert.Equal([s_first], held.Look([s_second]));
        Assert.Empty(held.Fault);
        Assert.Equal(2, File.ReadAllLines(FilePath).Length);
    }
}
