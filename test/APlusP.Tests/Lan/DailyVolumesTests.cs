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

        public override TimeZoneInfo LocalTimeZone { get; } = TimeZoneInfo.CreateCustomTimeZone("two", TimeSpan.FromHours(2), "two", "two");
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
        _clock.Now += TimeSpan.FromSeconds(10);
        volumes.Save();
        Assert.Contains("\"lan 52:54:00:00:00:01\":2", File.ReadAllText(file), StringComparison.Ordinal);
        File.WriteAllText(file, "{\"day\": 3");
        Assert.Empty(New().Today);
    }

    [Fact]
    public void Addresses_without_end_take_no_more_room()
    {
        DailyVolumes volumes = New();
        for (int i = 0; i < 3; i++) volumes.Count(Enumerable.Range(0, 10_000).Select(n => ("up0", $"lan {i} {n}", 1L)));
        Assert.Equal(DailyVolumes.MostHosts, volumes.Today.Count);
    }
}
