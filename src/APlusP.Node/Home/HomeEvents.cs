using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Node.Home;

/// <summary>What a SMAP wants of its registry, or of its PCP server.</summary>
enum Wish
{
    None,

    /// <summary>A key for its enrolment token.</summary>
    Enrol,

    /// <summary>A lease, or its lease at another softwire address; or to hear whether what was saved still stands.</summary>
    Lease,
    Renew,

    /// <summary>To hear whether its lease is as it was.</summary>
    Check,
    Grow,
    Shrink,
}

/// <summary>Something that the keeper of a lease hears of.</summary>
abstract record HomeEvent;

/// <summary>Nothing but that time has passed.</summary>
sealed record TimePassed : HomeEvent;

/// <summary>The address that our end of the softwire has, or would have; null, and why, while there is none.</summary>
sealed record AddressIs(IPv6Address? Softwire, string? Why = null) : HomeEvent;

/// <summary>The registry has given a key.</summary>
sealed record Enrolled : HomeEvent;

/// <summary>There is a token to enrol by that is not the one of before.</summary>
sealed record TokenIsNew : HomeEvent;

/// <summary>The registry tells our lease, and that it runs for so long.</summary>
sealed record LeaseIs(HeldLease Lease, TimeSpan Left) : HomeEvent;

/// <summary>The registry refused a wish, or did not answer.</summary>
/// <param name="Wish">What was wanted.</param>
/// <param name="Code">One of <see cref="Core.ErrorCodes"/>.</param>
/// <param name="Message">For people.</param>
/// <param name="RetryAfter">When asking again may help, where the registry says.</param>
sealed record Failed(Wish Wish, string Code, string Message, TimeSpan? RetryAfter = null) : HomeEvent
{
    /// <summary>When it is asked again, where that is not for the keeper to choose.</summary>
    public TimeSpan? At { get; init; }
}

/// <summary>How the ports are used.</summary>
/// <param name="Used">In use now, of the protocol that uses most.</param>
/// <param name="Refused">Flows refused so far for want of a port.</param>
/// <param name="IsRestIdle">Whether no flow uses the ports that rest.</param>
sealed record PortsUsed(int Used, long Refused, bool IsRestIdle) : HomeEvent
{
    /// <summary>How often so far the PRR has said that our address and port are not ours.</summary>
    public long Disowned { get; init; }
}

/// <summary>The owner wants the lease given back.</summary>
sealed record Released : HomeEvent;

/// <summary>Something that the keeper of a lease wants done.</summary>
abstract record HomeAction;

/// <summary>Ask the registry; its answer comes as an event.</summary>
/// <param name="Wish">For what.</param>
/// <param name="Lease">The lease that it is about, where there is one.</param>
/// <param name="Softwire">The address to have it at.</param>
/// <param name="Ports">How many ports to give back.</param>
sealed record Ask(Wish Wish, HeldLease? Lease, IPv6Address? Softwire, int? Ports) : HomeAction;

/// <summary>Forward by this lease from now on, and give no new flow any of the resting ports.</summary>
sealed record Forward(HeldLease Lease, PortSet? Resting) : HomeAction;

/// <summary>Forward nothing any more.</summary>
sealed record Stop : HomeAction;

/// <summary>Keep this for the next start.</summary>
sealed record Remember(HeldLease? Lease) : HomeAction;

/// <summary>Take another name: the one that we have is somebody else's.</summary>
sealed record BecomeAnother : HomeAction;
