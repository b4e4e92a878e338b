namespace APlusP.Node.Home;

/// <summary>The questions of a SMAP to whoever gives it its lease, each with its answer as an event.</summary>
interface IHomeCalls : IDisposable
{
    /// <summary>Whether there is nothing to enrol for, or any more.</summary>
    bool IsEnrolled { get; }

    /// <summary>Who is asked, for people.</summary>
    string Url { get; }

    /// <summary>Asks, and tells how it went.</summary>
    Task<HomeEvent> Ask(Ask ask, CancellationToken cancel);

    /// <summary>Whether the token file holds another token than the one that we have our key by.</summary>
    bool HasNewToken();

    /// <summary>Gives the lease back.</summary>
    /// <exception cref="ApiFault">It is refused, or nobody answers.</exception>
    Task Release(HeldLease lease, CancellationToken cancel);
}
