using APlusP.Core.Addresses;
using APlusP.Core.Wire;
using APlusP.Linux;
using APlusP.Node.Control;

namespace APlusP.Node.Doctor;

/// <summary>What is known of a home, from which <see cref="Diagnosis"/> says what is wrong.</summary>
sealed record DoctorFacts
{
    /// <summary>What the daemon says of itself; null where none answers, for the reason beside it.</summary>
    public StatusDocument? Daemon { get; init; }

    public string? DaemonFault { get; init; }

    /// <summary>The machine's IPv6 addresses of global scope.</summary>
    public IReadOnlyList<OwnAddress> Addresses { get; init; } = [];

    /// <summary>Its default routes of IPv6.</summary>
    public IReadOnlyList<DefaultRouter> Routers { get; init; } = [];

    /// <summary>A device other than the daemon's that has an IPv4 default route.</summary>
    public string? PlainIpv4 { get; init; }

    /// <summary>What the registry looks like; null where there is none to look at.</summary>
    public RegistrySight? Registry { get; init; }

    /// <summary>What pings of the PRR showed; null where it is not known where that is.</summary>
    public PathSight? Path { get; init; }

    /// <summary>What a packet through the softwire showed; null where there is no softwire.</summary>
    public SoftwireSight? Softwire { get; init; }
}

/// <summary>A registry as it looks from here, without its certificate or our key being judged.</summary>
/// <param name="Url">Its address.</param>
/// <param name="OurClock">When it answered, by our clock.</param>
sealed record RegistrySight(Uri Url, DateTimeOffset OurClock)
{
    /// <summary>Whether its name led to an address.</summary>
    public bool IsFound { get; init; } = true;

    /// <summary>Why it was not found, or did not answer.</summary>
    public string? Fault { get; init; }

    /// <summary>Its clock, to the second.</summary>
    public DateTimeOffset? TheirClock { get; init; }
}

/// <summary>What pings of increasing size to a PRR showed.</summary>
/// <param name="Needed">Octets that softwire packets take at most.</param>
/// <param name="Carried">The most that came through, up to that; 0 where not even the smallest ping was answered.</param>
sealed record PathSight(int Needed, int Carried)
{
    /// <summary>Why nothing could be asked.</summary>
    public string? NotTried { get; init; }

    /// <summary>What the network said in place of an answer.</summary>
    public string? Told { get; init; }
}

/// <summary>What a packet into the softwire brought back.</summary>
/// <param name="Answer">The ICMP error about it; null where nothing came.</param>
/// <param name="Refusals">How often the PRR said meanwhile that our address and port are not ours.</param>
sealed record SoftwireSight(IcmpAnswer? Answer, long Refusals)
{
    /// <summary>Why nothing could be asked.</summary>
    public string? NotTried { get; init; }
}

/// <summary>An ICMPv4 error, and who sent it.</summary>
/// <param name="IsOwn">Whether that was this machine itself.</param>
readonly record struct IcmpAnswer(IPv4Address From, bool IsOwn, IcmpV4Type Type, byte Code);
