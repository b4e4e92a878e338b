namespace APlusP.Node.Home;

/// <summary>What became of a ping of the PRR.</summary>
enum PingResult
{
    Answered,
    Silent,

    /// <summary>It could not be sent: there is no way to the PRR.</summary>
    NoWay,

    /// <summary>Pings cannot be sent here at all, and nothing is learnt.</summary>
    Unknown,
}

/// <summary>
/// Whether the line is dead. While something comes from the PRR nothing is asked; when nothing does it is pinged, seldom. A PRR that answers no pings, as those of others may be, is silent only where
/// packets that were sent to it have brought nothing either.
/// </summary>
/// <param name="ping">Pings the PRR.</param>
sealed class LineWatch(Func<PingResult> ping)
{
    /// <summary>Every so many looks the PRR is pinged while nothing comes from it.</summary>
    const int EveryLooks = 6;

    /// <summary>Packets without an answer that prove as much as a ping.</summary>
    const int Unanswered = 10;

    long _sent, _heard;
    int _quiet;
    bool _answersPings;

    /// <summary>Nothing comes back from the PRR, or there is no way to it.</summary>
    public bool IsDead { get; private set; }

    /// <summary>Looks at how many packets have gone to the PRR, and come from it, since the start; every five seconds.</summary>
    public void Look(long sent, long heard)
    {
        if (heard != _heard)
        {
            (_sent, _heard, _quiet, IsDead) = (sent, heard, 0, false);
            return;
        }

        if (!IsDead && _quiet++ % EveryLooks != 0) return;
        switch (ping())
        {
            case PingResult.Answered:
                (_sent, _answersPings, IsDead) = (sent, true, false);
                break;
            case PingResult.NoWay:
                IsDead = true;
                break;
            case PingResult.Silent:
                IsDead |= _answersPings || sent - _sent >= Unanswered;
                break;
        }
    }
}
