namespace APlusP.Core.Dhcpv6;

/// <summary>How a message is repeated until it is answered, RFC 8415 section 15.</summary>
/// <param name="Initial">IRT: the first timeout.</param>
/// <param name="Longest">MRT: what no timeout exceeds but by its random part; zero for no bound.</param>
/// <param name="MostCount">MRC: how often it is sent; 0 for no bound.</param>
/// <param name="Duration">MRD: how long it is tried; zero for no bound.</param>
public readonly record struct RetransmissionLimits(TimeSpan Initial, TimeSpan Longest, int MostCount = 0, TimeSpan Duration = default)
{
    /// <summary>The values of RFC 8415 section 7.6.</summary>
    public static RetransmissionLimits Request { get; } = Of(1, 30, count: 10);

    public static RetransmissionLimits Confirm { get; } = Of(1, 4, duration: 10);

    public static RetransmissionLimits Renew { get; } = Of(10, 600);

    /// <summary>Release and Decline.</summary>
    public static RetransmissionLimits Farewell { get; } = Of(1, 0, count: 4);

    /// <summary>Solicit and Information-request, whose longest timeout a server may change (sections 21.24 and 21.25).</summary>
    public static RetransmissionLimits Search(TimeSpan longest) => new(TimeSpan.FromSeconds(1), longest);

    /// <summary>SOL_MAX_RT and INF_MAX_RT where no server says otherwise.</summary>
    public static TimeSpan LongestSearch { get; } = TimeSpan.FromSeconds(3600);

    static RetransmissionLimits Of(int initial, int longest, int count = 0, int duration = 0) =>
        new(TimeSpan.FromSeconds(initial), TimeSpan.FromSeconds(longest), count, TimeSpan.FromSeconds(duration));
}

/// <summary>One message that is being sent until it is answered.</summary>
/// <param name="type">What.</param>
/// <param name="transaction">Its transaction id, the same in each repetition.</param>
/// <param name="limits">How long, and how often.</param>
/// <param name="start">When it is sent first.</param>
sealed class Exchange(DhcpMessageType type, uint transaction, RetransmissionLimits limits, TimeSpan start)
{
    TimeSpan _timeout;

    public DhcpMessageType Type => type;

    public uint Transaction => transaction;

    /// <summary>What no timeout exceeds; a server may change it meanwhile.</summary>
    public TimeSpan Longest { get; set; } = limits.Longest;

    /// <summary>How often it was sent.</summary>
    public int Count { get; private set; }

    /// <summary>When it was sent first.</summary>
    public TimeSpan First { get; private set; }

    /// <summary>When it is to be sent next, or is over.</summary>
    public TimeSpan At { get; private set; } = start;

    /// <summary>When it is over whatever comes; a renewal ends where the search for any server begins.</summary>
    public TimeSpan End { get; init; } = TimeSpan.MaxValue;

    /// <summary>Whether nobody has answered and nothing is to be sent any more.</summary>
    public bool HasFailed(TimeSpan now) =>
        now >= End || (Count > 0 && ((limits.MostCount > 0 && Count >= limits.MostCount && now >= At) || (limits.Duration > TimeSpan.Zero && now - First >= limits.Duration)));

    /// <summary>It is sent now; gives how long it has been tried.</summary>
    /// <param name="now">The time.</param>
    /// <param name="random">RAND, from -0.1 to 0.1.</param>
    public TimeSpan Sent(TimeSpan now, double random)
    {
        if (Count++ == 0)
        {
            First = now;

            // Of a Solicit strictly more than IRT, so that every server that answers at once is heard (section 18.2.1).
            if (type == DhcpMessageType.Solicit) random = Math.Max(Math.Abs(random), 0.001);
            _timeout = limits.Initial * (1 + random);
        }
        else
        {
            _timeout *= 2 + random;
        }

        if (Longest > TimeSpan.Zero && _timeout > Longest) _timeout = Longest * (1 + random);
        At = now + _timeout;
        if (limits.Duration > TimeSpan.Zero && At > First + limits.Duration) At = First + limits.Duration;
        if (At > End) At = End;
        return now - First;
    }

    /// <summary>It may not be sent before this.</summary>
    public void Postpone(TimeSpan until) => At = until;

    /// <summary>What it waited for is there; it ends now.</summary>
    public void Hasten(TimeSpan now) => At = now;
}

/// <summary>The bound on what a client sends, RFC 8415 section 14.1: 20 messages in 20 seconds, as a bucket of tokens.</summary>
sealed class MessageBucket
{
    const int Most = 20;

    double _tokens = Most;
    TimeSpan _at;

    /// <summary>Takes a token; where there is none, gives how long it takes until there is.</summary>
    public TimeSpan? Take(TimeSpan now)
    {
        _tokens = Math.Min(Most, _tokens + (now - _at).TotalSeconds);
        _at = now;
        if (_tokens < 1) return TimeSpan.FromSeconds(1 - _tokens);
        _tokens--;
        return null;
    }
}
