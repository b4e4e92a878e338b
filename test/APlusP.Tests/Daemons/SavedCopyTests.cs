using APlusP.Node.Registry;
using static APlusP.Tests.Daemons.LeasedScene;

namespace APlusP.Tests.Daemons;

/// <summary>The feed on the disk: what a PRR that starts again begins with.</summary>
public sealed class SavedCopyTests : IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-copy-").FullName;

    string FilePath => Path.Combine(_directory, "state", "prr.leases");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>A scene with a copy; the leases that it would write anew are its own.</summary>
    LeasedScene Scene(out SavedCopy copy)
    {
        LeasedScene? scene = null;
        copy = new SavedCopy(FilePath, () => scene!.Leased.Saved());
        return scene = new LeasedScene(copy);
    }

    LeasedScene Load(out bool loaded)
    {
        var scene = new LeasedScene();
        using var copy = new SavedCopy(FilePath, scene.Leased.Saved);
        loaded = copy.Load(scene.Feed);
        return scene;
    }

    [Fact]
    public void What_was_whole_is_there_again()
    {
        LeasedScene scene = Scene(out SavedCopy copy);
        using (copy)
        {
            Load(out bool loaded);
            Assert.False(loaded);
            scene.Snapshot("2:a", scene.Lease(Anna, "1024-1151"), scene.Lease(Berta, "1152-1279"));
            scene.Change("4:b", "2:a", Gone(Berta), scene.Lease(Carla, "1280-1407"));
            for (int i = 0; i < 100; i++) scene.Change("4:b", "4:b");
            Assert.Null(copy.Fault);
        }

        Assert.True(new FileInfo(FilePath).Length < 1000, "heartbeats are not kept");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FilePath));
        LeasedScene again = Load(out bool there);
        Assert.True(there);
        Assert.Equal("4:b", again.Feed.Version);
        again.Has(Bind("192.0.2.1", "1024-1151", Anna), Bind("192.0.2.1", "1280-1407", Carla));
    }

    /// <summary>However far a write came before the machine stopped.</summary>
    [Fact]
    public void A_file_that_is_cut_anywhere_is_what_was_whole_before_and_goes_on_from_there()
    {
        LeasedScene scene = Scene(out SavedCopy copy);
        scene.Snapshot("1:a", scene.Lease(Anna, "1024-1151"));
        scene.Change("2:b", "1:a", scene.Lease(Berta, "1152-1279"));
        scene.Change("3:c", "2:b", Gone(Anna));
        copy.Dispose();
        byte[] whole = File.ReadAllBytes(FilePath);
        var seen = new SortedSet<string>(StringComparer.Ordinal);
        for (int length = 0; length <= whole.Length; length++)
        {
            File.WriteAllBytes(FilePath, whole[..length]);
            var loaded = new LeasedScene();
            using (var cut = new SavedCopy(FilePath, loaded.Leased.Saved))
            {
                bool any = cut.Load(loaded.Feed);
                seen.Add(loaded.Feed.Version ?? "none");
                if (!any) continue;
                var feed = new LeaseFeed(loaded.Leased, cut) { Version = loaded.Feed.Version };
                feed.TakeLines(System.Text.Encoding.UTF8.GetBytes($"{loaded.Lease(Carla, "3000-3127")}\n{{\"version\":\"9:z\",\"after\":\"{feed.Version}\",\"lines\":1,\"now\":1}}\n"));
            }

            Assert.Equal("9:z", Load(out _).Feed.Version);
        }

        Assert.Equal(["1:a", "2:b", "3:c", "none"], seen);
    }

    [Fact]
    public void A_snapshot_that_does_not_come_to_its_end_leaves_the_copy_before_it()
    {
        LeasedScene scene = Scene(out SavedCopy copy);
        scene.Snapshot("1:a", scene.Lease(Anna, "1024-1151"));
        scene.Lines("""{"begins":"snapshot","leases":2,"why":"a test"}""", scene.Lease(Berta, "1152-1279"));
        copy.Dispose();
        LeasedScene again = Load(out _);
        Assert.Equal("1:a", again.Feed.Version);
        again.Has(Bind("192.0.2.1", "1024-1151", Anna));
    }

    [Fact]
    public async Task When_the_changes_are_longer_than_what_they_change_all_of_it_is_written_anew()
    {
        LeasedScene scene = Scene(out SavedCopy copy);
        scene.Snapshot("0:a", scene.Named(Anna, "1024-1151", """[{"name":"www.one.example","http":1024,"https":1025,"proxied":true},{"name":"b.example","https":1026}]"""));
        long longest = 0;
        int versions = 0, waits = 0;
        string Name(int i) => $"{i}:a";
        while (versions < 100_000 && waits < 6_000 && new FileInfo(FilePath).Length >= longest)
        {
            longest = new FileInfo(FilePath).Length;

            // It is being written anew beside this, whenever the pool comes to it: a minute is enough, and the file grows little meanwhile.
            bool isDue = longest > (1 << 20) + (64 << 10);
            if (isDue)
            {
                waits++;
                await Task.Delay(10, TestContext.Current.CancellationToken);
            }

            for (int i = isDue ? 499 : 0; i < 500; i++, versions++)
                scene.Change(Name(versions + 1), Name(versions), scene.Lease(Berta, versions % 2 == 0 ? "1152-1279" : "1280-1407"), versions % 3 == 0 ? Gone(Carla) : scene.Lease(Carla, "2000-2127"));
        }

        Assert.InRange(longest, 1 << 20, 4 << 20);
        Assert.Null(copy.Fault);
        copy.Dispose();
        LeasedScene again = Load(out _);
        Assert.Equal(scene.Feed.Version, again.Feed.Version);
        again.Has([.. scene.Table.Bindings]);
        Assert.Equal(2, again.Leased.Sites().Count);
        Assert.Equal(scene.Leased.Sites(), again.Leased.Sites());
    }

    [Fact]
    public void A_disk_that_does_not_take_it_is_told_and_nothing_else_is_the_worse_for_it()
    {
        File.WriteAllText(Path.Combine(_directory, "state"), "a file where the directory should be");
        LeasedScene scene = Scene(out SavedCopy copy);
        scene.Snapshot("1:a", scene.Lease(Anna, "1024-1151"));
        scene.Change("2:b", "1:a", scene.Lease(Berta, "1152-1279"));
        Assert.Contains(FilePath, copy.Fault, StringComparison.Ordinal);
        Assert.Equal(2, scene.Table.Count);
        copy.Dispose();
    }
}
