using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>A daemon's account: on each side received = forwarded + hairpinned + answered + consumed + dropped + held, and each drop has its reason.</summary>
static class Account
{
    static readonly string[] s_fates = ["forwarded", "hairpinned", "answered", "consumed", "held"];

    /// <summary>Holds a daemon to it. Traffic may still be ending (a last ACK), and the numbers of a moment ago are read one by one.</summary>
    public static void Await(string daemon, Func<IReadOnlyDictionary<string, long>> counters)
    {
        string fault = "";
        bool right = Wait.Until(() => (fault = Fault(counters())).Length == 0, TimeSpan.FromSeconds(20));
        Assert.True(right, $"the account of {daemon} is wrong: {fault}");
    }

    static string Fault(IReadOnlyDictionary<string, long> counters)
    {
        string[] sides = [.. counters.Keys.Where(k => k.EndsWith("-received", StringComparison.Ordinal)).Select(k => k[..^"-received".Length])];
        if (sides.Length == 0) return "it has no counter of packets received";
        foreach (string side in sides)
        {
            long received = counters[$"{side}-received"], dropped = counters[$"{side}-dropped"];
            long fates = dropped + s_fates.Sum(fate => counters[$"{side}-{fate}"]);
            if (received != fates) return $"{side}-received is {received}, the fates are {fates}";
            long reasons = counters.Where(c => c.Key.StartsWith($"{side}-drop-", StringComparison.Ordinal)).Sum(c => c.Value);
            if (dropped != reasons) return $"{side}-dropped is {dropped}, the reasons are {reasons}";
        }

        return "";
    }
}
