using APlusP.Core.PortSets;

namespace APlusP.Node.Home;

// A lease grows when its ports run short, and shrinks when they have been idle for long (RFC 6346 section 5.2). The ports that are to go rest first: no new flow gets them, and they go
// when the last flow that has one has ended, so that no connection is lost.
sealed partial class LeaseKeeper
{
    /// <summary>Before the size is asked about again where the registry refused and did not say when.</summary>
    static readonly TimeSpan s_sizeRefused = TimeSpan.FromMinutes(10);

    PortSet? _resting;
    bool _runsShort, _isRestIdle;
    long _refused;
    TimeSpan? _idleSince;
    TimeSpan _resizeAt;

    Wish WantedSize => _runsShort ? Wish.Grow : _resting is not null && _isRestIdle ? Wish.Shrink : Wish.None;

    void TakeUse(PortsUsed use)
    {
        if (_lease is not { } lease) return;
        bool wasRefused = use.Refused > _refused;
        _refused = use.Refused;
        _runsShort = wasRefused || IsAbove(use.Used, lease.Ports.Count - (_resting?.Count ?? 0), _size.GrowAt);
        _isRestIdle = use.IsRestIdle;
        PortSet? last = lease.Growths.Count > 0 ? lease.Growths[^1] : null;
        if (_runsShort || last is null || IsAbove(use.Used, lease.Ports.Count - last.Count, _size.ShrinkAt))
        {
            // Few enough to begin with may grow a little while the last ones end; only when ports run short are those that rest used again. Not while the registry is taking them, though: flows that
            // got them now would lose them by its answer.
            _idleSince = null;
            if (!_runsShort || _resting is null || _asking == Wish.Shrink) return;
            _runsShort = false;
            Rest(lease, null);
            return;
        }

        _idleSince ??= _now;
        if (_resting is null && _now - _idleSince >= _size.ShrinkAfter) Rest(lease, last);
    }

    void Rest(HeldLease lease, PortSet? ports)
    {
        _resting = ports;
        _isRestIdle = false;
        ForwardBy(lease);
    }

    static bool IsAbove(int used, int of, int percent) => (long)used * 100 >= (long)of * percent;
}
