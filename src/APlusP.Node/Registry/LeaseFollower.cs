namespace APlusP.Node.Registry;

/// <summary>How following a registry goes.</summary>
/// <param name="IsConnected">Whether it tells of changes now.</param>
/// <param name="Since">Since when that is so.</param>
/// <param name="LastHeard">When it last told a version, be it the one that we have; null for never.</param>
/// <param name="Version">What we have; null for nothing.</param>
/// <param name="Lag">From the last change, by the registry's clock, until it was in force here, by ours; null before the first.</param>
/// <param name="Fault">Why it is not connected, in a sentence.</param>
sealed record FollowerState(bool IsConnected, DateTimeOffset Since, DateTimeOffset? LastHeard, string? Version, TimeSpan? Lag, string? Fault);

/// <summary>
/// Keeps up with what a registry has given out: asks for the changes since what there is, or for everything, and goes on with what comes. When the registry is gone it asks again, later and later, and
/// all stays as it is.
/// </summary>
sealed class LeaseFollower : IDisposable
{
    /// <summary>The registry speaks every 5 s or so. After three times that without a word it is gone, whatever TCP believes.</summary>
    static readonly TimeSpan s_silence = TimeSpan.FromSeconds(16);

    static readonly TimeSpan s_firstWait = TimeSpan.FromMilliseconds(200), s_longestWait = TimeSpan.FromSeconds(30);

    /// <summary>A registry that cannot write does not end its leases, and tells them again and again: it need not tell all of them more often than this.</summary>
    static readonly TimeSpan s_anewEvery = TimeSpan.FromMinutes(1);

    readonly ApiEndpoint _registry;
    readonly LeaseFeed _feed;
    readonly TimeProvider _clock;
    readonly CancellationTokenSource _stop = new();
    Task _following = Task.CompletedTask;
    FollowerState _state;
    FeedLine _begun;
    long _asked, _snapshots, _versions, _cuts;
    CancellationTokenSource? _stream;
    long? _left;
    bool _anew;

    /// <param name="registry">Whom to follow.</param>
    /// <param name="taker">Who takes over what it says.</param>
    /// <param name="copy">Where it is kept; what that holds was taken over already.</param>
    /// <param name="version">What the copy held; null for nothing.</param>
    /// <param name="clock">The time.</param>
    public LeaseFollower(ApiEndpoint registry, ILeaseTaker taker, SavedCopy copy, string? version, TimeProvider clock)
    {
        (_registry, _clock) = (registry, clock);
        _feed = new LeaseFeed(taker, copy) { Version = version, Begun = line => _begun = line, Completed = Complete };
        _state = new FollowerState(false, clock.GetUtcNow(), null, version, null, null);
    }

    public FollowerState State => Volatile.Read(ref _state);

    /// <summary>Times that everything came, versions with changes that came, and times that the stream ended or the registry did not answer.</summary>
    public (long Snapshots, long Versions, long Cuts) Counts => (Volatile.Read(ref _snapshots), Volatile.Read(ref _versions), Volatile.Read(ref _cuts));

    /// <summary>Told when it is connected, and has all that there is: what began, and how long it took from the question on.</summary>
    public Action<FeedLine, TimeSpan>? Connected { get; init; }

    /// <summary>Told when it is no longer, or not even at first: why.</summary>
    public Action<string>? Away { get; init; }

    /// <summary>Told of each version, new or not.</summary>
    public Action<FeedLine>? Told { get; init; }

    public void Start() => _following = Task.Run(Follow);

    /// <summary>What there is is not what it was when its version was told: everything is asked for after the next line, or a minute after the last time.</summary>
    public void AskForAll() => Volatile.Write(ref _anew, true);

    async Task Follow()
    {
        TimeSpan wait = s_firstWait;
        while (true)
        {
            (string? fault, TimeSpan? hint) = await FollowOnce();
            if (_stop.IsCancellationRequested) return;
            if (State.IsConnected) wait = s_firstWait;
            if (fault is null) continue;
            bool isNews = State.IsConnected || State.Fault is null;
            Volatile.Write(ref _state, State with { IsConnected = false, Since = isNews ? _clock.GetUtcNow() : State.Since, Fault = fault });
            Interlocked.Increment(ref _cuts);
            if (isNews) Away?.Invoke(fault);
            try
            {
                // Not all at once, when a registry comes back to a hundred PRRs.
                TimeSpan least = Min(Max(wait, hint ?? TimeSpan.Zero), s_longestWait);
                await Task.Delay(least * (0.5 + Random.Shared.NextDouble() / 2), _clock, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            wait = Min(wait * 2, s_longestWait);
        }
    }

    /// <summary>Follows until it ends; gives why, null where we left to ask for everything, and when the registry wants to be asked again.</summary>
    async Task<(string? Fault, TimeSpan? RetryAfter)> FollowOnce()
    {
        using var stream = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        _stream = stream;
        try
        {
            if (Interlocked.Exchange(ref _anew, false)) _feed.Version = null;
            _asked = _clock.GetTimestamp();
            string after = _feed.Version is { } version ? $"&after={Uri.EscapeDataString(version)}" : "";
            using HttpResponseMessage answer = await _registry.Open($"v1/bindings?follow=true{after}", stream.Token);
            await using Stream body = await answer.Content.ReadAsStreamAsync(stream.Token);
            await _feed.Read(body, s_silence, stream.Token);
            return ($"the registry at {_registry.Url} ended the connection", null);
        }
        catch (OperationCanceledException) when (stream.IsCancellationRequested)
        {
            return (null, null);
        }
        catch (OperationCanceledException)
        {
            return ($"the registry at {_registry.Url} was silent for {s_silence.TotalSeconds:N0} s", null);
        }
        catch (ApiFault refused)
        {
            return (refused.Message, refused.RetryAfter);
        }
        catch (IOException cut)
        {
            return ($"the connection to the registry at {_registry.Url} was cut: {cut.GetBaseException().Message.ReplaceLineEndings(" ")}", null);
        }
    }

    void Complete(FeedLine line)
    {
        DateTimeOffset now = _clock.GetUtcNow();
        FollowerState before = State;
        if (line.After is null) Interlocked.Increment(ref _snapshots);
        else if (before.Version != line.Version) Interlocked.Increment(ref _versions);
        TimeSpan? lag = before.Version == line.Version || line.After is null ? before.Lag : Max(now - DateTimeOffset.FromUnixTimeMilliseconds(line.At), TimeSpan.Zero);
        Volatile.Write(ref _state, new FollowerState(true, before.IsConnected ? before.Since : now, now, line.Version, lag, null));
        Told?.Invoke(line);
        if (!before.IsConnected) Connected?.Invoke(_begun, _clock.GetElapsedTime(_asked));
        LeaveToAskForAll();
    }

    /// <summary>Only after a line that completes what came, so that a snapshot that takes long gets to its end, and with it comes the registry's time.</summary>
    void LeaveToAskForAll()
    {
        if (!Volatile.Read(ref _anew) || (_left is { } left && _clock.GetElapsedTime(left) < s_anewEvery)) return;
        _left = _clock.GetTimestamp();
        _stream!.Cancel();
    }

    static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;

    static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;

    public void Dispose()
    {
        _stop.Cancel();
        _following.Wait();
        _stop.Dispose();
    }
}
