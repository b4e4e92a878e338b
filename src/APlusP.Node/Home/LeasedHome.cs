using System.Collections.Concurrent;
using System.Diagnostics;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Core.PortSets;
using APlusP.Linux;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Daemons;
using APlusP.Node.Registry;

namespace APlusP.Node.Home;

/// <summary>What a SMAP is beside its lease: what the file says, and what others know.</summary>
sealed record HomeSurroundings
{
    /// <summary>Our end of the softwire, where it is configured; null where it is to be chosen.</summary>
    public IPv6Address? Softwire { get; init; }

    /// <summary>The PRR where the registry names none.</summary>
    public IPv6Address? Prr { get; init; }

    /// <summary>Prefixes that a server has delegated to us, asked for again and again.</summary>
    public required Func<IReadOnlyList<IPv6Prefix>> Delegated { get; init; }

    /// <summary>Where a DHCPv6 server says that services are.</summary>
    public required Func<ServicePlaces> Places { get; init; }

    /// <summary>How the ports are used, and whether those that rest are idle.</summary>
    public required Func<PortSet?, PortsUsed> Use { get; init; }
}

/// <summary>
/// The softwire by a lease of a registry or of a PCP server. Drives a <see cref="LeaseKeeper"/>: a thread that tells it what happens (addresses, answers, time, how ports are used) and does what it says.
/// </summary>
sealed class LeasedHome : ISoftwireSource
{
    /// <summary>Milliseconds between two looks at the ports and the time.</summary>
    const int Beat = 500;

    readonly SmapHome _settings;
    readonly HomeSurroundings _around;
    readonly DaemonLog _log;
    readonly TimeProvider _time;
    readonly HomeStore _store;
    readonly IHomeCalls _calls;
    readonly LeaseKeeper _keeper;
    readonly BlockingCollection<HomeEvent> _events = [];
    readonly CancellationTokenSource _stop = new();
    readonly Lock _status = new();
    Thread? _thread, _watching;
    Action<SoftwireParameters?>? _changed;
    volatile SoftwireParameters? _current;
    IReadOnlyList<IPv6Prefix> _delegated = [];
    SoftwireEndChoice _end;
    HomeStatus _told;
    volatile bool _addressesChanged = true;

    /// <param name="settings">Whom it asks, as configured.</param>
    /// <param name="around">What else is known.</param>
    /// <param name="log">Told of each change.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="APlusPException">AP3010, AP3013: a file that it needs cannot be used.</exception>
    public LeasedHome(SmapHome settings, HomeSurroundings around, DaemonLog log, TimeProvider time)
    {
        _settings = settings;
        _around = around;
        _log = log;
        _time = time;
        _store = new HomeStore(settings.State, MachineTraits.Here());
        if (_store.IsCopy) log.HomeIsCopy(settings.State, _store.Saved.Subscriber);
        (_calls, _keeper) = settings switch
        {
            SmapRegistry registry => Ask(new RegistryCalls(registry.Address, _store, around, time), registry.CheckEvery),

            // Renewed in the time that RFC 6887 section 11.2.1 has; nothing is asked between.
            SmapPcp pcp => Ask(new PcpCalls(pcp, _store, around, time), TimeSpan.MaxValue, "the PCP server", (0.5, 0.125)),
            _ => throw new ArgumentException($"nobody to ask by {settings}"),
        };
        if (_store.Saved.Lease?.Read(time.GetUtcNow()) is not (var lease, { Ticks: > 0 } left)) return;
        _keeper.Resume(lease, left, Now);
        _current = By(lease, null);
    }

    (IHomeCalls, LeaseKeeper) Ask(IHomeCalls calls, TimeSpan checkEvery, string giver = "the registry", (double, double)? renewFrom = null) =>
        (calls, new LeaseKeeper(checkEvery, _settings.Size, Random.Shared, calls.IsEnrolled, giver, renewFrom));

    /// <summary>At first by the lease of the process before, where it still runs.</summary>
    public SoftwireParameters? Current => _current;

    // Time that no clock setting moves.
    static TimeSpan Now => Stopwatch.GetElapsedTime(0);

    public IDisposable Follow(Action<SoftwireParameters?> changed)
    {
        _changed = changed;
        changed(_current);
        Tell();
        _watching = new Thread(WatchAddresses) { Name = "addresses", IsBackground = true };
        _watching.Start();
        _thread = new Thread(Run) { Name = "lease", IsBackground = true };
        _thread.Start();
        return new Following(this);
    }

    sealed class Following(LeasedHome home) : IDisposable
    {
        public void Dispose() => home.StopThreads();
    }

    /// <summary>What hosts may not do, as the operator has it.</summary>
    public LanPolicy Policy
    {
        get
        {
            lock (_status) return _keeper.Lease?.Policy ?? LanPolicy.None;
        }
    }

    public LeaseStatus Status
    {
        get
        {
            lock (_status)
            {
                (string state, string sentence) = _keeper.Status;
                return new LeaseStatus(state, sentence, _store.Saved.Subscriber, _calls.Url) { Id = _keeper.Lease?.Id, Until = _keeper.Lease?.Until, Code = _keeper.FaultCode };
            }
        }
    }

    /// <summary>Gives the lease back, and asks for none until the next start.</summary>
    /// <exception cref="APlusPException">AP3014: there is none, or the registry does not take it.</exception>
    public string Release()
    {
        HeldLease lease = _keeper.Lease ?? throw new APlusPException(ErrorCodes.LeaseNotReleased, $"there is no lease to give back: this SMAP {_keeper.Status.Sentence}.");
        try
        {
            _calls.Release(lease, _stop.Token).GetAwaiter().GetResult();
        }
        catch (ApiFault fault) when (fault.Code != ErrorCodes.NotThere)
        {
            throw new APlusPException(ErrorCodes.LeaseNotReleased, $"the lease was not given back, and is worked by as before: {fault.Message}", fault);
        }
        catch (ApiFault)
        {
            // It is over already.
        }

        Handle(new Released());
        return $"{lease.Ports.Count} port(s) of {lease.Address}";
    }

    void WatchAddresses()
    {
        using var watch = new AddressWatch();
        while (!_stop.IsCancellationRequested)
        {
            if (!watch.Wait(Beat)) continue;
            _addressesChanged = true;
            _events.Add(new TimePassed());
        }
    }

    void Run()
    {
        long looked = 0;
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                if (_events.TryTake(out HomeEvent? happened, Beat, _stop.Token)) Handle(happened);
                if (_addressesChanged || !_delegated.SequenceEqual(_around.Delegated())) ReadAddresses();
                if (Environment.TickCount64 - looked < Beat) continue;
                looked = Environment.TickCount64;
                if (_keeper.Lease is not null) Handle(_around.Use(_current?.Resting));
                else if (_keeper.Status.State == "revoked" && _calls.HasNewToken()) Handle(new TokenIsNew());
                else Handle(new TimePassed());
            }
        }
        catch (OperationCanceledException)
        {
            // The daemon ends.
        }
    }

    void ReadAddresses()
    {
        _addressesChanged = false;
        IPv6Address? before = _end.Address ?? _keeper.Lease?.Softwire;
        _delegated = _around.Delegated();
        _end = _around.Softwire is { } end
            ? new SoftwireEndChoice(end, null, null)
            : _settings is SmapPcp ? SoftwireEndChoice.OfMachine(_settings.Interface, AddressWatch.Addresses(), AddressWatch.DefaultRouters(), before)
            : SoftwireEndChoice.Make(_settings.Interface, _store.Saved.Secret, _delegated, AddressWatch.Addresses(), AddressWatch.DefaultRouters(), before);
        Handle(new AddressIs(_end.Address, _end.Why));

        // By the lease of the process before it forwards already, but on which link its address is, is known only now.
        lock (_status)
            if (_current is { } now && now.Softwire == _end.Address && _keeper.Lease is { } lease) Put(By(lease, now.Resting));
    }

    /// <summary>The softwire of a lease, and where its end is.</summary>
    SoftwireParameters By(HeldLease lease, PortSet? resting) => new(DhcpOption.S46Lightweight, lease.Softwire, lease.Prr!.Value, lease.Address, lease.Ports)
    {
        Resting = resting,
        PayloadMtu = lease.PayloadMtu,
        Link = lease.Softwire == _end.Address ? _end.Device : _current?.Link,
        Delegated = _delegated,
    };

    void Put(SoftwireParameters? now)
    {
        if (Equals(now, _current)) return;
        _current = now;
        _changed?.Invoke(now);
    }

    void Handle(HomeEvent happened)
    {
        lock (_status)
        {
            foreach (HomeAction action in _keeper.Handle(happened, Now)) Do(action);
            Tell();
        }
    }

    void Do(HomeAction action)
    {
        try
        {
            switch (action)
            {
                case Ask ask: _ = AskThenTell(ask); break;
                case Forward forward: Put(By(forward.Lease, forward.Resting)); break;
                case Stop: Put(null); break;
                case Remember { Lease: { } lease }:
                    _store.Save(saved => saved with { Lease = SavedLease.Of(lease, _keeper.LeftOf(Now), _time.GetUtcNow()) });
                    break;
                case Remember: _store.Save(saved => saved with { Lease = null }); break;
                case BecomeAnother:
                    _store.Save(saved => SavedHome.New(saved.Machine));

                    // Another name has another end of the softwire.
                    _addressesChanged = true;
                    break;
            }
        }
        catch (APlusPException fault)
        {
            _log.HomeNotKept(fault.Code, fault.Message);
        }
    }

    async Task AskThenTell(Ask ask)
    {
        try
        {
            _events.Add(await Task.Run(() => _calls.Ask(ask, _stop.Token)));
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException)
        {
            // The daemon ends.
        }
        catch (Exception error)
        {
            _events.Add(new Failed(ask.Wish, ErrorCodes.NoRegistry, error.Message));
        }
    }

    /// <summary>One line for each change.</summary>
    void Tell()
    {
        HomeStatus now = _keeper.Status;
        if (now == _told) return;
        _told = now;
        if (now.State is "online" or "enrolling" or "leasing" or "released") _log.Home(now.State, now.Sentence);
        else _log.HomeFault(now.State, now.Sentence);
    }

    void StopThreads()
    {
        _stop.Cancel();
        _thread?.Join();
        _watching?.Join();
    }

    public void Dispose()
    {
        StopThreads();
        _calls.Dispose();
        _events.Dispose();
        _stop.Dispose();
    }
}
