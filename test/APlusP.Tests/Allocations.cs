namespace APlusP.Tests;

/// <summary>
/// Shows that something allocates nothing. The runtime's count for a thread is now and then off by what a collection took away of the thread's allocation buffer (seen: 1,344 to 2,032 octets
/// while other tests collect), so it is read many times: what allocates does so in most of them.
/// </summary>
sealed class Allocations
{
    // With room enough: its own growth would be work for the collector between two readings.
    readonly List<long> _octets = new(64);
    long _before = GC.GetAllocatedBytesForCurrentThread();

    /// <summary>Work that has been done before, so that it is compiled, allocates nothing when it is done again.</summary>
    public static void None(Action work)
    {
        var allocations = new Allocations();
        for (int reading = 0; reading < 10; reading++)
        {
            allocations.Forget();
            for (int i = 0; i < 20; i++) work();
            allocations.Read();
        }

        allocations.WereNone();
    }

    /// <summary>Forgets what was allocated since the last reading: what tests need themselves.</summary>
    public void Forget() => _before = GC.GetAllocatedBytesForCurrentThread();

    /// <summary>Reads what was allocated since the last reading.</summary>
    public void Read()
    {
        long octets = GC.GetAllocatedBytesForCurrentThread() - _before;
        _octets.Add(octets);
        Forget();
    }

    /// <summary>Two thirds of the readings at least found nothing.</summary>
    public void WereNone()
    {
        Assert.True(_octets.Count >= 6, "too few readings to tell");
        Assert.True(_octets.Count(o => o == 0) * 3 >= _octets.Count * 2, $"octets allocated: {string.Join(", ", _octets)}");
    }
}
