using APlusP.Core;
using APlusP.Core.Addresses;

namespace APlusP.Node.Home;

/// <summary>When a SMAP asks for more ports, and when it gives some back.</summary>
/// <param name="GrowAt">Per cent of the ports in use from which it asks for more.</param>
/// <param name="ShrinkAt">Per cent of what would be left in use, below which it gives back.</param>
/// <param name="ShrinkAfter">For how long they must have been so few.</param>
public sealed record SizePolicy(int GrowAt = 70, int ShrinkAt = 40, TimeSpan ShrinkAfter = default);

/// <summary>How it stands with a SMAP's lease.</summary>
/// <param name="State">"online" and others, for programs.</param>
/// <param name="Sentence">For people.</param>
public readonly record struct HomeStatus(string State, string Sentence);

/// <summary>
/// Brings a SMAP to a lease, and keeps it: whatever it needs (an address, the registry, a name, a clock) may be late, vanish and return, in any order. Events go in, actions come out, and time is
/// told; it waits for nothing itself. One question is under way at a time, and a lease that is held is worked by until it runs out.
/// </summary>
sealed partial class LeaseKeeper
{
    /// <summary>Seconds between tries: doubled from the first to the last, then the slow ones, where only people can help.</summary>
    const double FirstPause = 1, LongestPause = 60, SlowPause = 120;

    /// <summary>From what the registry has said to the next question whether it still stands.</summary>
    static readonly TimeSpan s_soonest = TimeSpan.FromSeconds(5);

    readonly TimeSpan _checkEvery;
    readonly SizePolicy _size;
    readonly Random _random;
    readonly string _giver;
    readonly (double First, double Spread) _renewFrom;
    readonly List<HomeAction> _actions = [];
    TimeSpan _now, _next;
    int _failures;
    string? _fault;
    string _faultState = "waiting";

    IPv6Address? _softwire;
    string? _noAddress = "the kernel has not been asked yet";
    bool _hasKey;

    HeldLease? _lease;
    TimeSpan _runsOut, _renewAt, _checkAt, _told;
    long _disowned;
    bool _isConfirmed, _isForwarding, _isReleased;
    Wish _asking;

    // Where we last wanted the lease. The registry may have moved it there although its answer got lost.
    IPv6Address? _askedFor;

    /// <param name="checkEvery">How often the registry is asked whether the lease still stands.</param>
    /// <param name="size">When to ask for more ports.</param>
    /// <param name="random">Spreads the requests of many SMAPs over time.</param>
    /// <param name="hasKey">Whether this SMAP has a key from before.</param>
    /// <param name="giver">Whom it asks, in sentences.</param>
    /// <param name="renewFrom">What part of a lease's time passes before it is renewed, and up to how much more by chance.</param>
    public LeaseKeeper(TimeSpan checkEvery, SizePolicy size, Random random, bool hasKey, string giver = "the registry", (double First, double Spread)? renewFrom = null)
    {
        _giver = giver;
        _renewFrom = renewFrom ?? (0.45, 0.05);
        _checkEvery = checkEvery;
        _size = size;
        _random = random;
        _hasKey = hasKey;
    }

    /// <summary>The lease that is held; null for none.</summary>
    public HeldLease? Lease => _lease;

    /// <summary>Code of what the registry last had against us, or of its absence; null since it was well.</summary>
    public string? FaultCode { get; private set; }

    /// <summary>How long it runs.</summary>
    public TimeSpan LeftOf(TimeSpan now) => _runsOut - now;

    /// <summary>Begins with the lease of the process before, which is forwarded by already; the registry is asked about it as soon as it can be.</summary>
    /// <param name="lease">The lease.</param>
    /// <param name="left">How long it runs.</param>
    /// <param name="now">The time.</param>
    public void Resume(HeldLease lease, TimeSpan left, TimeSpan now)
    {
        _lease = lease;
        _isForwarding = true;
        Time(left, now);
    }

    /// <summary>Takes in what has happened.</summary>
    /// <returns>What is to be done, in this order.</returns>
    public IReadOnlyList<HomeAction> Handle(HomeEvent happened, TimeSpan now)
    {
        _now = now;
        _actions.Clear();
        if (_isReleased)
        {
            TakeAfterRelease(happened);
            return [];
        }

        switch (happened)
        {
            case AddressIs address: TakeAddress(address); break;
            case Enrolled: TakeKey(); break;
            case TokenIsNew: _hasKey = false; Recover(); break;
            case LeaseIs told: TakeLease(told); break;
            case Failed failed: TakeFailure(failed); break;
            case PortsUsed used:
                TakeUse(used);
                TakeWord(used.Disowned);
                break;
            case Released: Release(); break;
        }

        if (_lease is not null && _now >= _runsOut) Lose("expired", $"the lease has run out while {_giver} could not be asked");
        Wish wish = _isReleased || _asking != Wish.None || _now < _next ? Wish.None : Wanted(_now);
        if (wish != Wish.None)
        {
            _asking = wish;
            if (wish == Wish.Lease) _askedFor = _softwire;
            _actions.Add(new Ask(wish, _lease, _softwire, wish == Wish.Shrink ? _resting!.Count : null));
        }

        return [.. _actions];
    }

    /// <summary>What is wanted most at a time.</summary>
    Wish Wanted(TimeSpan at)
    {
        if (_softwire is null) return _hasKey && _lease is not null && at >= _renewAt ? Wish.Renew : Wish.None;
        if (!_hasKey) return Wish.Enrol;
        if (_lease is null || !_isConfirmed || _lease.Softwire != _softwire) return Wish.Lease;
        if (at >= _renewAt) return Wish.Renew;
        if (WantedSize is not Wish.None and var size && at >= _resizeAt) return size;
        return at >= _checkAt ? Wish.Check : Wish.None;
    }

    // ---- What happens

    void TakeAddress(AddressIs address)
    {
        // Another address is news: whatever failed may work from there.
        if (address.Softwire is not null && address.Softwire != _softwire) Recover();
        (_softwire, _noAddress) = (address.Softwire, address.Why);
    }

    void TakeKey()
    {
        _asking = Wish.None;
        _hasKey = true;
        Recover();
    }

    void TakeLease(LeaseIs told)
    {
        HeldLease lease = told.Lease;
        bool wasMoved = _asking is not (Wish.Lease or Wish.None) && _lease is { } known && lease.Softwire != known.Softwire && lease.Softwire != _softwire && lease.Softwire != _askedFor;
        _asking = Wish.None;
        Recover();
        if (wasMoved)
        {
            Lose("duplicate", $"the registry has our lease at {lease.Softwire}, which is not ours: another machine has the identity of this one, as a copy of its disk has. Delete the state directory of the copy");
            Pause(SlowPause * 2);
            return;
        }

        if (lease.Prr is null)
        {
            Lose("refused", "neither the registry nor the configuration says where the PRR is: give the registry's pool `prr`, or smap.toml `prr-address`");
            Pause(SlowPause);
            return;
        }

        // What was short of the size of before is not known to be short of this one.
        _runsShort = _isRestIdle = false;
        lease = lease.Follow(_lease);
        bool isAlike = _isForwarding && _lease is { } before && lease.IsAlike(before);
        if (_resting is not null && !lease.Growths.Contains(_resting)) _resting = null;
        _lease = lease;
        _isConfirmed = true;
        Time(told.Left, _now);
        if (!isAlike) ForwardBy(lease);
        _actions.Add(new Remember(lease));
    }

    void ForwardBy(HeldLease lease)
    {
        _isForwarding = true;
        _actions.Add(new Forward(lease, _resting));
    }

    /// <summary>Who is refused by the PRR may have no lease any more (RFC 7596 section 5.1), or a PRR that has not heard of it yet: the registry knows, and is not asked for every packet.</summary>
    void TakeWord(long disowned)
    {
        if (disowned > _disowned && _told + s_soonest < _checkAt) _checkAt = _told + s_soonest;
        _disowned = disowned;
    }

    /// <summary>About half of its time is left for tries to renew it.</summary>
    void Time(TimeSpan left, TimeSpan now)
    {
        _told = now;
        _runsOut = now + left;
        _renewAt = now + left * (_renewFrom.First + _renewFrom.Spread * _random.NextDouble());
        _checkAt = _checkEvery == TimeSpan.MaxValue ? _checkEvery : now + _checkEvery * (0.75 + 0.25 * _random.NextDouble());
    }

    void TakeFailure(Failed failed)
    {
        _asking = Wish.None;
        bool isAboutSize = failed.Wish is Wish.Grow or Wish.Shrink;
        if (!isAboutSize) FaultCode = failed.Code;
        switch (failed.Code)
        {
            case ErrorCodes.TooSoon or ErrorCodes.LeaseLimit or ErrorCodes.PoolExhausted or ErrorCodes.LeaseConflict when isAboutSize:
                _resizeAt = _now + (failed.RetryAfter ?? s_sizeRefused);
                return;
            case ErrorCodes.NotAuthenticated when failed.Wish != Wish.Enrol:
                Lose("revoked", $"the registry does not know our key any more, as when an operator revokes it: {failed.Message}");
                Pause(SlowPause, failed.RetryAfter);
                return;
            case ErrorCodes.NotThere when failed.Wish != Wish.Enrol:
                Lose("ended", $"the registry has ended our lease: {failed.Message}");
                Pause(LongestPause, failed.RetryAfter);
                return;
            case ErrorCodes.LeaseConflict when failed.Wish == Wish.Enrol:
                // The answer to an earlier enrolment got lost, and the key with it.
                _actions.Add(new BecomeAnother());
                break;
            case ErrorCodes.NotAuthenticated or ErrorCodes.NotAllowed or ErrorCodes.LeaseConflict or ErrorCodes.BadRequest or ErrorCodes.PcpRefused:
                Blame("refused", failed.Message);
                Pause(SlowPause, failed.RetryAfter);
                return;
        }

        Blame("waiting", failed.Message);

        // Who repeats its requests by a protocol's own times says when the next is due.
        if (failed.At is { } at)
        {
            _next = _now + at;
            return;
        }

        Pause(Math.Min(LongestPause, FirstPause * Math.Pow(2, Math.Min(_failures++, 10))), failed.RetryAfter);
    }

    /// <summary>A pause of this length or up to half of it, so that those who failed together do not come together.</summary>
    void Pause(double seconds, TimeSpan? atLeast = null) => _next = _now + Max(TimeSpan.FromSeconds(seconds * (0.5 + 0.5 * _random.NextDouble())), atLeast ?? TimeSpan.Zero);

    void Recover()
    {
        _failures = 0;
        _fault = FaultCode = null;
        _next = TimeSpan.MinValue;
    }

    void Blame(string state, string fault) => (_faultState, _fault) = (state, fault.TrimEnd('.'));

    /// <summary>There is no lease any more, and nothing is forwarded.</summary>
    void Lose(string state, string why)
    {
        Blame(state, why);
        _lease = null;
        _resting = null;
        _isConfirmed = false;
        if (_isForwarding) _actions.Add(new Stop());
        _isForwarding = false;
        _actions.Add(new Remember(null));
    }

    void Release()
    {
        Lose("released", "the lease was given back by `aplusp smap release`; a restart asks for one again");
        _isReleased = true;
    }

    /// <summary>What was asked before the release may be answered after it: that brings nothing back, and the state stays.</summary>
    void TakeAfterRelease(HomeEvent happened)
    {
        if (happened is AddressIs address) (_softwire, _noAddress) = (address.Softwire, address.Why);
        else if (happened is Enrolled or LeaseIs or Failed) _asking = Wish.None;
    }

    /// <summary>How it stands, as one sentence without times, so that it changes only when something has.</summary>
    public HomeStatus Status
    {
        get
        {
            if (_isForwarding && _lease is { } lease)
            {
                string but = _softwire is null ? $"; this machine has lost its IPv6 address: {_noAddress}" : _fault is not null ? $"; until it runs out without {_giver}: {_fault}" : "";
                return new HomeStatus(but.Length == 0 ? "online" : "online-alone", $"has {lease.Ports.Count} port(s) of {lease.Address} through {lease.Prr}{but}");
            }

            if (_fault is not null && _faultState != "waiting") return new HomeStatus(_faultState, $"forwards nothing: {_fault}");
            if (_softwire is null) return new HomeStatus("no-address", $"waits for an IPv6 address: {_noAddress}");
            if (_fault is not null) return new HomeStatus(_faultState, $"waits for {_giver}: {_fault}");
            return _hasKey ? new HomeStatus("leasing", $"asks {_giver} for a lease") : new HomeStatus("enrolling", "enrols at the registry");
        }
    }

    static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
