using System.Runtime.InteropServices;

namespace APlusP.Core.Forwarding;

/// <summary>
/// Token buckets, one for all and one for each host, so that nobody's flood takes what another needs. The ICMP errors of a worker go by them (RFC 4443 section 2.4 (f) and RFC 1812
/// section 4.3.2.8): they are asked before an error is built, so that a flood of undeliverable packets costs hardly more than dropping them.
/// </summary>
/// <param name="ticksPerSecond">What a second is in the timestamps that are handed in.</param>
public sealed class RateLimiter(long ticksPerSecond)
{
    // Hosts share a bucket by chance: one in a thousand.
    const int Hosts = 1024;

    readonly Bucket[] _byHost = new Bucket[Hosts];
    Bucket _all;
    int _perSecond = -1, _perHost = -1;
    long _price, _priceOfHost;

    /// <summary>Takes one token of both buckets, if there is one in each.</summary>
    /// <param name="perSecond">So many a second are allowed now, which is the size of the burst too; 0 allows none.</param>
    /// <param name="perHost">Of these, for one host.</param>
    /// <param name="host">A number that stands for the host.</param>
    /// <param name="now">Timestamp, never before an earlier one.</param>
    public bool TryTake(int perSecond, int perHost, ulong host, long now)
    {
        if (perSecond <= 0 || perHost <= 0) return false;
        if (perSecond != _perSecond || perHost != _perHost) Begin(perSecond, perHost, now);
        if (!Has(ref _all, now, _price)) return false;
        ref Bucket mine = ref _byHost[(int)(Mix.Of(0x5851F42D4C957F2D, host) >> 54)];
        if (!Has(ref mine, now, _priceOfHost)) return false;
        _all.Credit -= _price;
        mine.Credit -= _priceOfHost;
        return true;
    }

    /// <summary>With new rates all buckets are full.</summary>
    void Begin(int perSecond, int perHost, long now)
    {
        (_perSecond, _perHost) = (perSecond, perHost);
        (_price, _priceOfHost) = (Math.Max(1, ticksPerSecond / perSecond), Math.Max(1, ticksPerSecond / perHost));
        _all = new Bucket { Credit = ticksPerSecond, Last = now };
        foreach (ref Bucket each in _byHost.AsSpan()) each = _all;
    }

    bool Has(ref Bucket bucket, long now, long price)
    {
        bucket.Credit = Math.Min(ticksPerSecond, bucket.Credit + Math.Min(now - bucket.Last, ticksPerSecond));
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
