using System.Diagnostics;
using APlusP.Core.Addresses;
using APlusP.Node.Registry;
using APlusP.Registry.Leases;
using APlusP.Tests.Registry;

namespace APlusP.Tests.Daemons;

/// <summary>A PRR's table that follows a real registry.</summary>
public sealed class LeaseFollowerTests : IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-follower-").FullName;
    readonly LeasedScene _scene = new();
    readonly List<string> _told = [];

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    (LeaseFollower Follower, IDisposable[] Held) Follow(Uri registry, Action<LeaseFollower>? beforeStart = null)
    {
        var endpoint = new ApiEndpoint(new RegistryAddress(registry));
        var copy = new SavedCopy(Path.Combine(_directory, "prr.leases"), _scene.Leased.Saved);
        var saved = new LeaseFeed(_scene.Leased, copy: null);
        copy.Load(saved);
        var follower = new LeaseFollower(endpoint, _scene.Leased, copy, saved.Version, TimeProvider.System)
        {
            Connected = (begun, _) => Tell($"connected {begun.Kind}"),
            Away = _ => Tell("away"),
        };
        beforeStart?.Invoke(follower);
        follower.Start();
        return (follower, [follower, copy, endpoint]);
    }

    void Tell(string what)
    {
        lock (_told) _told.Add(what);
    }

    string[] Told()
    {
        lock (_told) return [.. _told];
    }

    static async Task Until(Func<bool> condition)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60), "waited for a minute");
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }

    static Task<Lease> Grant(ApiScene registry, int number) =>
        registry.Server.Registrar.Change("t", b => b.Grant($"cpe-{number}", IPv6Address.Parse($"2001:db8:7::{number}"), null).Lease);

    [Fact]
    public async Task It_has_what_there_is_and_hears_of_what_comes_and_goes()
    {
        await using ApiScene registry = await ApiScene.Start();
        for (int i = 1; i <= 3; i++) await Grant(registry, i);
        (LeaseFollower follower, IDisposable[] held) = Follow(registry.Address);
        await Until(() => follower.State.IsConnected);
        Assert.Equal(3, _scene.Table.Count);
        Lease four = await Grant(registry, 4);
        await Until(() => _scene.Table.Count == 4);
        await registry.Server.Registrar.Change("t", b => b.Release(four.Id));
        await Until(() => _scene.Table.Count == 3);
        await Until(() => follower.Counts is (1, >= 2, 0));
        Assert.Equal(["connected Snapshot"], Told());
        Assert.InRange(follower.State.Lag!.Value.TotalSeconds, 0, 30);
        foreach (IDisposable one in held) one.Dispose();

        // The next one begins with the copy, and needs to hear only what is new.
        await Grant(registry, 5);
        var again = new LeaseFollowerTests();
        File.Copy(Path.Combine(_directory, "prr.leases"), Path.Combine(again._directory, "prr.leases"));
        (follower, held) = again.Follow(registry.Address);
        await Until(() => again.Told().Length > 0);
        Assert.Equal(["connected Changes"], again.Told());
        Assert.Equal(4, again._scene.Table.Count);
        Assert.Equal(0, follower.Counts.Snapshots);
        foreach (IDisposable one in held) one.Dispose();
        again.Dispose();
    }

    [Fact]
    public async Task Without_a_registry_it_keeps_what_it_has_and_says_so()
    {
        ApiScene registry = await ApiScene.Start();
        await Grant(registry, 1);
        (LeaseFollower follower, IDisposable[] held) = Follow(registry.Address);
        await Until(() => follower.State.IsConnected);
        await registry.DisposeAsync();
        await Until(() => Told() is [.., "away"] && follower.State is { IsConnected: false, Fault: { } fault } && fault.Contains("does not answer", StringComparison.Ordinal));
        Assert.Equal(1, _scene.Table.Count);
        Assert.NotNull(follower.State.LastHeard);
        foreach (IDisposable one in held) one.Dispose();
    }

    [Fact]
    public async Task What_was_ended_by_our_own_clock_is_asked_for_anew_although_the_version_is_known()
    {
        await using ApiScene registry = await ApiScene.Start();
        await Grant(registry, 1);
        (LeaseFollower follower, IDisposable[] held) = Follow(registry.Address);
        await Until(() => follower.State.IsConnected);
        foreach (IDisposable one in held) one.Dispose();
        (follower, held) = Follow(registry.Address, beforeStart: f =>
        {
            EndAll();
            f.AskForAll();
        });
        await Until(() => follower.State.IsConnected);
        Assert.Equal((1, 1), (_scene.Table.Count, follower.Counts.Snapshots));
        foreach (IDisposable one in held) one.Dispose();
    }

    [Fact]
    public async Task What_is_asked_for_anew_while_it_is_connected_comes_soon_and_is_no_cut()
    {
        await using ApiScene registry = await ApiScene.Start();
        await Grant(registry, 1);
        (LeaseFollower follower, IDisposable[] held) = Follow(registry.Address);
        await Until(() => follower.State.IsConnected);
        EndAll();
        follower.AskForAll();
        await Until(() => follower.Counts == (2, 0, 0));
        Assert.Equal(1, _scene.Table.Count);

        // Not again and again, where all that there is has what was ended.
        follower.AskForAll();
        await Grant(registry, 2);
        await Until(() => follower.Counts == (2, 1, 0));
        await Grant(registry, 3);
        await Until(() => follower.Counts == (2, 2, 0));
        Assert.Equal(["connected Snapshot"], Told());
        foreach (IDisposable one in held) one.Dispose();
    }

    /// <summary>Our clock is wrong, and one lease has run out by it.</summary>
    void EndAll()
    {
        _scene.Clock.WallStep = DateTimeOffset.UtcNow.AddDays(400) - _scene.Now;
        Assert.Equal(1, _scene.Leased.RemoveOverdue());
    }
}
