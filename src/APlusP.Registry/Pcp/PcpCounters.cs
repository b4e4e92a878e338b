using APlusP.Core.Pcp;
using APlusP.Registry.Api;

namespace APlusP.Registry.Pcp;

/// <summary>How requests by PCP went; each is counted once.</summary>
sealed class PcpCounters
{
    readonly long[] _results = new long[PcpNumbers.ResultNames.Count];
    long _discarded, _limited;

    public void Count(PcpResult result) => Interlocked.Increment(ref _results[(int)result]);

    /// <summary>No request, or too short to be answered (RFC 6887 section 8.3).</summary>
    public void CountDiscarded() => Interlocked.Increment(ref _discarded);

    /// <summary>One too many in this second.</summary>
    public void CountLimited() => Interlocked.Increment(ref _limited);

    public PcpDocument Document => new(
        PcpNumbers.ResultNames.Index().ToDictionary(r => r.Item, r => Interlocked.Read(ref _results[r.Index])), Interlocked.Read(ref _discarded), Interlocked.Read(ref _limited));
}
