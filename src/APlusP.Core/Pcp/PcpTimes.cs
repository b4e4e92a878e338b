namespace APlusP.Core.Pcp;

/// <summary>How a request is repeated until it is answered, RFC 6887 section 8.1.1: as often as it takes (MRC and MRD are 0), from 3 s (IRT) up to 1024 s (MRT).</summary>
public sealed class PcpRetransmission(Random random)
{
    static readonly TimeSpan s_initial = TimeSpan.FromSeconds(3), s_longest = TimeSpan.FromSeconds(1024);

    TimeSpan _timeout;

    /// <summary>The request goes out; gives how long to wait for the answer before it goes out again.</summary>
    public TimeSpan Sent()
    {
        TimeSpan next = _timeout == TimeSpan.Zero ? s_initial : _timeout * 2 < s_longest ? _timeout * 2 : s_longest;
        return _timeout = next * (0.9 + 0.2 * random.NextDouble());
    }

    /// <summary>It was answered, or another is to be sent.</summary>
    public void Begin() => _timeout = TimeSpan.Zero;
}

/// <summary>Whether a server still knows what it knew, by the epoch times of its responses, RFC 6887 section 8.5.</summary>
public sealed class PcpEpoch
{
    const long Second = TimeSpan.TicksPerSecond;

    (long Server, long Client)? _before;

    /// <summary>Takes in the epoch time of a response; whether the server has lost its mappings since the response before.</summary>
    /// <param name="epoch">It, in seconds.</param>
    /// <param name="now">Our time, which no clock setting moves.</param>
    public bool IsLost(uint epoch, TimeSpan now)
    {
        (long Server, long Client)? before = _before;
        _before = (epoch, now.Ticks / Second);
        if (before is not var (server, client)) return false;
        if (epoch < server - 1) return true;
        long theirs = epoch - server, ours = now.Ticks / Second - client;
        return ours + 2 < theirs - theirs / 16 || theirs + 2 < ours - ours / 16;
    }
}
