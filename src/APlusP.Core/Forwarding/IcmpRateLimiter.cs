using System.Runtime.InteropServices;

namespace APlusP.Core.Forwarding;

/// <summary>
/// Token buckets over the ICMP errors of one worker, RFC 4443 section 2.4 (f) and RFC 1812 section 4.3.2.8: one for all, and one for each host that
/// hears them, so that nobody's flood takes the errors that another needs. They are asked before an error is built, so that a flood of undeliverable packets
/// costs hardly more than dropping them.
/// </summary>
public sealed class IcmpRateLimiter(TimeProvider time)
{
    // Hosts share a bucket by chance: one in a thousand.
    const int Hosts = 1024;

    readonly long _ticksPerSecond = time.TimestampFrequency;
    readonly Bucket[] _byHost = new Bucket[Hosts];
    Bucket _all;
    int _perSecond = -1, _perHost = -1;
    long _last = time.GetTimestamp();

    /// <summary>Takes one token of both buckets, if there is one in each.</summary>
    /// <param name="perSecond">Errors a second that are allowed now, and the size of the burst; 0 allows none.</param>
    /// <param name="perHost">Of these, for one host.</param>
    /// <param name="host">A number that stands for the host.</param>
    public bool TryTake(int perSecond, int perHost, ulong host)
    {
        if (perSecond <= 0 || perHost <= 0) return false;

        // A clock that a capture drives may stand still; it never runs backwards here.
        long now = _last = Math.Max(_last, time.GetTimestamp());
        if (perSecond != _perSecond || perHost != _perHost)
        {
            _perSecond = perSecond;
            _perHost = perHost;
            _all = new Bucket { Credit = _ticksPerSecond, Last = now };
            foreach (ref Bucket each in _byHost.AsSpan()) each = _all;
        }

        ref Bucket mine = ref _byHost[(int)(Mix.Of(0x5851F42D4C957F2D, host) >> 54)];
        long price = Math.Max(1, _ticksPerSecond / perSecond), priceOfHost = Math.Max(1, _ticksPerSecond / perHost);
        if (!Has(ref _all, now, price) || !Has(ref mine, now, priceOfHost)) return false;
        _all.Credit -= price;
        mine.Credit -= priceOfHost;
        return true;
    }

    bool Has(ref Bucket bucket, long now, long price)
    {
        bucket.Credit = Math.Min(_ticksPerSecond, bucket.Credit + Math.Min(now - bucket.Last, _ticksPerSecond));
        bucket.Last = now;
        return bucket.Credit >= price;
    }

    [StructLayout(LayoutKind.Auto)]
    struct Bucket
    {
        public long Credit;
        public long Last;
    }
}
