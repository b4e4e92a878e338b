using System.Diagnostics;

namespace APlusP.Tests;

/// <summary>How long something takes here.</summary>
static class Timing
{
    /// <summary>The shortest of some rounds: what else runs on the machine can only make one longer.</summary>
    public static TimeSpan Least(int rounds, Action<int> work)
    {
        TimeSpan least = TimeSpan.MaxValue;
        for (int round = 0; round < rounds; round++)
        {
            long start = Stopwatch.GetTimestamp();
            work(round);
            TimeSpan took = Stopwatch.GetElapsedTime(start);
            if (took < least) least = took;
        }

        return least;
    }
}
