using APlusP.Core.Dhcpv6;

namespace APlusP.Node.Dhcpv6;

/// <summary>Who tells a SMAP what its softwire is, and when that changes.</summary>
interface ISoftwireSource : IDisposable
{
    /// <summary>What it said last; null while it has nothing to say, or nothing any more.</summary>
    SoftwireParameters? Current { get; }

    /// <summary>Waits until there is something.</summary>
    /// <exception cref="OperationCanceledException">It was disposed before.</exception>
    SoftwireParameters WaitForFirst();

    /// <summary>From now on tells every change, one after the other, on a thread of its own; until what it gives is disposed.</summary>
    IDisposable Follow(Action<SoftwireParameters?> changed);
}
