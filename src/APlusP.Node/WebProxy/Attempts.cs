namespace APlusP.Node.WebProxy;

/// <summary>Several attempts at one thing.</summary>
static class Attempts
{
    /// <summary>What the first attempt that succeeds gives; null when all have failed, or the limit came first.</summary>
    public static async Task<T?> First<T>(IEnumerable<Task<T?>> attempts, Task limit)
        where T : class
    {
        List<Task> open = [.. attempts];
        while (open.Count > 0)
        {
            Task first = await Task.WhenAny([.. open, limit]);
            if (first == limit) return null;
            if (((Task<T?>)first).Result is { } success) return success;
            open.Remove(first);
        }

        return null;
    }
}
