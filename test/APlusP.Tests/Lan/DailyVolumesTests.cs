using APlusP.Node.Lan;

namespace APlusP.Tests.Lan;

public sealed class DailyVolumesTests : IDisposable
{
    const string Key = "lan 52:54:00:00:00:01";

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;
    readonly LocalClock _clock = new();

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>Two hours before Greenwich's midnight it is one after that of Paris in summer.</summary>
    sealed class LocalClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 7, 1, 12, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;

        /// <summary>What goes on whatever is set.</summary>
        public TimeSpan Up { get; set; }

        public override long GetTimestamp() => (long)(Up.TotalSeconds * TimestampFrequency);

        public override TimeZoneInfo LocalTimeZone => Zone;

        public TimeZoneInfo Zone { get; set; } = TimeZoneInfo.CreateCustomTimeZone("two", TimeSpan.FromHours(2), "two", "two");
    }

    DailyVolumes New() => new(Path.Combine(_directory, "state", "volumes.json"), _clock);

    [Fact]
    public void Both_ways_are_one_volume_and_counters_that_begin_anew_lose_nothing()
    {
        DailyVolumes volumes = New();
        volumes.Count([("up0", Key, 100), ("down0", Key, 1000), ("up0", "lan other", 7)]);
        volumes.Count([("up0", Key, 150), ("down0", Key, 3000)]);
        Assert.Equal(3150, volumes.Today[Key]);
        volumes.Count([("up0", Key, 10), ("down0", Key, 3500)]);
        Assert.Equal(3660, volumes.Today[Key]);

        // Once nobody could tell; and one that the kernel has forgotten begins at nothing.
        volumes.Count(null);
        volumes.Count([("down0", Key, 3500)]);
        volumes.Count([("up0", Key, 30), ("down0", Key, 3500)]);
        Assert.Equal(3690, volumes.Today[Key]);
        Assert.Equal(7, volumes.Today["lan other"]);
    }

    [Fact]
    public void A_day_ends_at_midnight_of_this_machine_s_clock_and_what_was_counted_before_is_not_counted_again()
    {
        DailyVolumes volumes = New();
        volumes.Count([("up0", Key, 5000)]);
        _clock.Now = new DateTimeOffset(2026, 7, 1, 21, 59, 59, TimeSpan.Zero);
        volumes.Count([("up0", Key, 6000)]);
        Assert.Equal(6000, volumes.Today[Key]);
        Assert.Equal(new DateTimeOffset(2026, 7, 2, 0, 0, 0, TimeSpan.FromHours(2)), volumes.Midnight);
        _clock.Now += TimeSpan.FromSeconds(1);
        volumes.Count([("up0", Key, 6100)]);
        Assert.Equal(100, volumes.Today[Key]);
    }

    [Fact]
    public void Who_is_killed_goes_on_where_it_was_and_yesterday_s_are_over()
    {
        DailyVolumes volumes = New();
        volumes.Count([("up0", Key, 5000)]);
        volumes.Save();
        DailyVolumes next = New();
        next.Count([("up0", Key, 20)]);
        Assert.Equal(5020, next.Today[Key]);
        next.Save(now: true);
        _clock.Now += TimeSpan.FromDays(1);
        DailyVolumes later = New();
        later.Count([("up0", Key, 1)]);
        Assert.Equal(1, later.Today[Key]);
    }

    [Fact]
    public void It_is_written_every_ten_seconds_at_most_and_what_somebody_has_spoilt_begins_anew()
    {
        string file = Path.Combine(_directory, "state", "volumes.json");
        DailyVolumes volumes = New();
        volumes.Save();
        Assert.False(File.Exists(file));
        volumes.Count([("up0", Key, 1)]);
        volumes.Save();
        DateTime written = File.GetLastWriteTimeUtc(file);
        volumes.Count([("up0", Key, 2)]);
        volumes.Save();
        Assert.Equal(written, File.GetLastWriteTimeUtc(file));

        // Whatever the clock is set to.
        _clock.Now -= TimeSpan.FromHours(1);
        _clock.Up += TimeSpan.FromSeconds(9);
        volumes.Save();
        Assert.Equal(written, File.GetLastWriteTimeUtc(file));
        _clock.Up += TimeSpan.FromSeconds(1);
        volumes.Save();
        Assert.Contains("\"lan 52:54:00:00:00:01\":2", File.ReadAllText(file), StringComparison.Ordinal);
        File.WriteAllText(file, "{\"day\": 3");
        Assert.Empty(New().Today);
    }

    [Fact]
    public void A_router_that_is_turned_off_and_on_and_does_not_know_the_time_yet_gives_no_fresh_day()
    {
        DailyVolumes volumes = New();
        volumes.Count([("up0", Key, 5000)]);
        volumes.Save(now: true);
        DateTimeOffset today = _clock.Now;
        _clock.Now = DateTimeOffset.UnixEpoch;
        volumes = New();
        volumes.Count(null);
        volumes.Save();
        volumes.Count([("up0", Key, 7)]);
        Assert.Equal(7, volumes.Today[Key]);

        // Once more, and this time the clock has another day.
        volumes.Save(now: true);
        _clock.Now = DateTimeOffset.UnixEpoch.AddDays(3);
        volumes = New();
        volumes.Count(null);
        volumes.Count([("up0", Key, 20)]);
        volumes.Save(now: true);
        _clock.Now = today;
        volumes.Count([("up0", Key, 30)]);
        Assert.Equal(5030, volumes.Today[Key]);
        volumes.Save(now: true);
        Assert.Equal(5030, New().Today[Key]);
    }

    [Fact]
    public void A_clock_that_was_years_ahead_or_on_yesterday_for_a_while_mixes_no_days()
    {
        DailyVolumes volumes = New();
        volumes.Count([("up0", Key, 3000)]);
        _clock.Now += TimeSpan.FromDays(1);
        volumes.Count([("up0", Key, 3500)]);
        volumes.Save(now: true);

        // Started anew, it counts the new day's no second time.
        _clock.Now -= TimeSpan.FromDays(1);
        volumes = New();
        volumes.Count(null);
        Assert.Equal(3000, volumes.Today[Key]);
        _clock.Now += TimeSpan.FromDays(1);
        volumes.Count([("up0", Key, 1)]);
        Assert.Equal(501, volumes.Today[Key]);
        _clock.Now += TimeSpan.FromDays(3650);
        volumes.Count([("up0", Key, 2)]);
        _clock.Now -= TimeSpan.FromDays(3649);
        volumes.Count([("up0", Key, 9)]);
        Assert.Equal(7, volumes.Today[Key]);
        for (int i = 0; i < 10; i++)
        {
            _clock.Now += TimeSpan.FromDays(1);
            volumes.Count(null);
            Assert.Empty(volumes.Today);
        }
    }

    [Fact]
    public void A_file_of_before_days_were_put_aside_is_read_and_so_is_one_that_has_nonsense_there()
    {
        string file = Path.Combine(_directory, "state", "volumes.json");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, $"{{\"day\":\"2026-07-01\",\"hosts\":{{\"{Key}\":5}}}}");
        Assert.Equal(5, New().Today[Key]);
        File.WriteAllText(file, $"{{\"day\":\"2026-07-01\",\"hosts\":{{\"{Key}\":5}},\"before\":[null,{{\"day\":\"2026-06-30\",\"hosts\":null}}]}}");
        DailyVolumes volumes = New();
        _clock.Now -= TimeSpan.FromDays(1);
        volumes.Count([("up0", Key, 3)]);
        Assert.Equal(3, volumes.Today[Key]);
    }

    [Fact]
    public void Midnight_has_its_own_offset_and_where_it_comes_twice_the_first_ends_the_day()
    {
        DailyVolumes volumes = New();
        _clock.Zone = TimeZoneInfo.FindSystemTimeZoneById("Europe/Paris");
        _clock.Now = new DateTimeOffset(2026, 3, 28, 23, 30, 0, TimeSpan.Zero);
        Assert.Equal(new DateTimeOffset(2026, 3, 29, 22, 0, 0, TimeSpan.Zero), volumes.Midnight);
        _clock.Now = new DateTimeOffset(2026, 10, 24, 22, 30, 0, TimeSpan.Zero);
        Assert.Equal(new DateTimeOffset(2026, 10, 25, 23, 0, 0, TimeSpan.Zero), volumes.Midnight);
        _clock.Zone = TimeZoneInfo.FindSystemTimeZoneById("Atlantic/Azores");
        Assert.Equal(new DateTimeOffset(2026, 10, 25, 0, 0, 0, TimeSpan.Zero), volumes.Midnight);
    }

    [Fact]
    public void Addresses_without_end_take_no_more_room()
    {
        DailyVolumes volumes = New();
        for (int i = 0; i < 3; i++) volumes.Count(Enumerable.Range(0, 10_000).Select(n => ("up0", $"lan {i} {n}", 1L)));
        Assert.Equal(DailyVolumes.MostHosts, volumes.Today.Count);
    }
}
