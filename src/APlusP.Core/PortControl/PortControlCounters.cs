namespace APlusP.Core.PortControl;

/// <summary>What became of a request.</summary>
public enum RequestFate
{
    Granted,

    /// <summary>Answered with an error.</summary>
    Refused,

    /// <summary>No request, or from nobody who may ask: left without an answer.</summary>
    Discarded,

    /// <summary>One too many in this second.</summary>
    Limited,
}

/// <summary>How requests for ports went, by protocol; each is counted once.</summary>
public sealed class PortControlCounters
{
    static readonly int s_fates = Enum.GetValues<RequestFate>().Length;

    readonly long[] _counts = new long[MappingProtocols.Names.Count * s_fates];

    public void Count(MappingProtocol by, RequestFate fate) => Interlocked.Increment(ref _counts[(int)by * s_fates + (int)fate]);

    /// <summary>By their names, such as <c>pcp-requests-granted</c>.</summary>
    public IEnumerable<KeyValuePair<string, long>> Named()
    {
        foreach (MappingProtocol by in Enum.GetValues<MappingProtocol>())
        {
            foreach (RequestFate fate in Enum.GetValues<RequestFate>())
                yield return new($"{MappingProtocols.NameOf(by)}-requests-{fate.ToString().ToLowerInvariant()}", Interlocked.Read(ref _counts[(int)by * s_fates + (int)fate]));
        }
    }
}
