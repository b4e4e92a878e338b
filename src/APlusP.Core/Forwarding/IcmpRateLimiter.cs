namespace APlusP.Core.Forwarding;

/// <summary>
/// A token bucket over the ICMP errors of one worker, RFC 4443 section 2.4 (f) and RFC 1812 section 4.3.2.8. It is asked before an
/// error is built, so that a flood of undeliverable packets costs hardly more than dropping them.
/// </summary>
public sealed class IcmpRateLimiter(TimeProvider time)
{
    readonly long _ticksPerSecond = time.TimestampFrequency;
    int _perSecond = -1;
    long _ticksPerToken;
    long _last;
    long _credit;

    /// <summary>Takes one token, if there is one.</summary>
    /// <param name="perSecond">Errors a second that are allowed now, and the size of the burst; 0 allows none.</param>
    public bool TryTake(int perSecond)
    {
        if (perSecond <= 0) return false;
        long now = time.GetTimestamp();
        if (perSecond != _perSecond)
        {
            _perSecond = perSecond;
            _ticksPerToken = Math.Max(1, _ticksPerSecond / perSecond);
            _credit = _ticksPerSecond;
            _last = now;
        }

        // A clock that a capture drives may stand still; it never runs backwards here.
        _credit = Math.Min(_ticksPerSecond, _credit + Math.Clamp(now - _last, 0, _ticksPerSecond));
        _last = now;
        if (_credit < _ticksPerToken) return false;
        _credit -= _ticksPerToken;
        return true;
    }
}
