using APlusP.Core.Bindings;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Registry;

namespace APlusP.Node.Daemons;

/// <summary>A PRR's <c>[registry]</c>: follows it, keeps what it said on the disk, and tells people how that goes.</summary>
sealed class FollowedRegistry : IDisposable
{
    static readonly TimeSpan s_lookEvery = TimeSpan.FromSeconds(1), s_tellEvery = TimeSpan.FromMinutes(1), s_makeRoomEvery = TimeSpan.FromMinutes(1);

    readonly PrrRegistry _settings;
    readonly DaemonLog _log;
    readonly TimeProvider _clock;
    readonly ApiEndpoint _endpoint;
    readonly SavedCopy _copy;
    readonly LeaseFollower _follower;
    readonly CancellationTokenSource _stop = new();
    Task _looking = Task.CompletedTask;
    long _overdue, _told;
    string? _copyFault;

    /// <summary>What the copy on the disk says is in the table when this returns.</summary>
    public FollowedRegistry(PrrRegistry settings, BindingTable table, LiveBindings live, DaemonLog log, TimeProvider clock)
    {
        (_settings, _log, _clock) = (settings, log, clock);
        _endpoint = new ApiEndpoint(settings.Address);
        Leased = new LeasedBindings(table, live, clock);
        live.Leased = Leased;
        _copy = new SavedCopy(settings.Copy, Leased.Saved);
        var saved = new LeaseFeed(Leased, copy: null);
        if (_copy.Load(saved)) log.LeasesFromCopy(settings.Copy, Leased.Count, saved.Version!);
        _follower = new LeaseFollower(_endpoint, Leased, _copy, saved.Version, clock)
        {
            Connected = (begun, took) => log.FollowsRegistry($"{settings.Address.Url}", Leased.Count, begun.Kind == FeedLineKind.Changes ? "changes since what it had" : $"all of them, since {begun.Why}", (long)took.TotalMilliseconds),
            Away = fault => log.RegistryAway(fault, Leased.Count),
            Told = line => Leased.Hear(line.Now),
        };
        RemoveOverdue();
    }

    public LeasedBindings Leased { get; }

    /// <param name="makeRoom">Makes room for bindings that the fast path has none for, which takes the time of all bindings.</param>
    public void Start(Action makeRoom)
    {
        _follower.Start();
        _looking = Task.Run(() => Look(makeRoom));
    }

    /// <summary>What needs no hurry.</summary>
    async Task Look(Action makeRoom)
    {
        (long snapshots, long madeRoom) = (0, _clock.GetTimestamp());
        using var timer = new PeriodicTimer(s_lookEvery, _clock);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                RemoveOverdue();
                TellFaults();
                if (_follower.Counts.Snapshots == snapshots && _clock.GetElapsedTime(madeRoom) < s_makeRoomEvery) continue;
                makeRoom();
                (snapshots, madeRoom) = (_follower.Counts.Snapshots, _clock.GetTimestamp());
            }
        }
        catch (OperationCanceledException)
        {
            // We stop.
        }
    }

    /// <summary>Who has not heard the registry's time yet may have the wrong one, also while the first line is on its way: so whatever came of it is asked for anew.</summary>
    void RemoveOverdue()
    {
        if (_settings.KeepOverdue || Leased.RemoveOverdue() is not (var removed and > 0)) return;
        Interlocked.Add(ref _overdue, removed);
        _follower.AskForAll();
        if (!_follower.State.IsConnected) _log.LeasesOverdue(removed);
    }

    void TellFaults()
    {
        if (_copy.Fault is { } fault && fault != _copyFault) _log.CopyNotKept(fault);
        _copyFault = _copy.Fault;
        if (Leased.Refused is not ( > 0 and var refused, { } why) || _told != 0 && _clock.GetElapsedTime(_told) < s_tellEvery) return;
        _told = _clock.GetTimestamp();
        _log.LeasesRefused(refused, why);
    }

    public RegistryStatus Status()
    {
        FollowerState state = _follower.State;
        (int refused, string? why) = Leased.Refused;
        return new RegistryStatus($"{_settings.Address.Url}", state.IsConnected ? "connected" : "away", state.Since, state.Version, Leased.Count)
        {
            LastHeard = state.LastHeard,
            LagMilliseconds = (long?)state.Lag?.TotalMilliseconds,
            Fault = state.Fault,
            Refused = refused,
            RefusedBecause = why,
            CopyFault = _copy.Fault,
        };
    }

    public IEnumerable<KeyValuePair<string, long>> Counters()
    {
        (long snapshots, long versions, long cuts) = _follower.Counts;
        return
        [
            new("registry-snapshots", snapshots),
            new("registry-versions", versions),
            new("registry-cuts", cuts),
            new("registry-leases-overdue", Volatile.Read(ref _overdue)),
        ];
    }

    public void Dispose()
    {
        _stop.Cancel();
        _looking.Wait();
        _follower.Dispose();
        _copy.Dispose();
        _endpoint.Dispose();
        _stop.Dispose();
    }
}
