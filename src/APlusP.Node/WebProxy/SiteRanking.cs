using APlusP.Node.Control;

namespace APlusP.Node.WebProxy;

/// <summary>
/// Which sites connections are for, the most visited first; neither who visits nor when. It is kept for so many names as <see cref="Most"/>: a new one takes the place, and the count, of the least visited (Metwally,
/// Agrawal, El Abbadi: Space-Saving), so that one that is visited often is never missed, and its count is too high by the least one's at most.
/// </summary>
sealed class SiteRanking
{
    public const int Most = 1000;

    readonly Lock _lock = new();
    readonly Dictionary<string, long> _counts = new(StringComparer.Ordinal);
    readonly PriorityQueue<string, long> _least = new();

    public void Count(string name)
    {
        lock (_lock)
        {
            if (!_counts.TryGetValue(name, out long count))
            {
                if (_counts.Count >= Most) count = TakeLeast();
                _least.Enqueue(name, count + 1);
            }

            _counts[name] = count + 1;
        }
    }

    // The queue has counts as they were; one that has grown meanwhile goes back with what it has now.
    long TakeLeast()
    {
        while (true)
        {
            _least.TryDequeue(out string? name, out long counted);
            long now = _counts[name!];
            if (now == counted)
            {
                _counts.Remove(name!);
                return now;
            }

            _least.Enqueue(name!, now);
        }
    }

    /// <summary>The first so many.</summary>
    public IReadOnlyList<SiteVisits> First(int sites)
    {
        lock (_lock) return [.. _counts.OrderByDescending(c => c.Value).ThenBy(c => c.Key, StringComparer.Ordinal).Take(sites).Select(c => new SiteVisits(c.Key, c.Value))];
    }
}
