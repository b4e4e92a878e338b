using APlusP.Core.Addresses;

namespace APlusP.Linux;

/// <summary>
/// Resolvers that routers have advertised, each for its lifetime, and how often routers may be asked for one. The time of day is set at any moment, by years on a router that has just started: here it is
/// nothing.
/// </summary>
/// <param name="clock">For lifetimes.</param>
public sealed class KnownResolvers(TimeProvider clock)
{
    /// <summary>Resolvers that are remembered, whoever advertises more.</summary>
    public const int Most = 32;

    /// <summary>RFC 4861 section 10: so many solicitations, so far apart.</summary>
    const int MostSolicitations = 3;

    static readonly TimeSpan s_solicitEvery = TimeSpan.FromSeconds(4);

    readonly Dictionary<(int Device, IPv6Address Address), TimeSpan> _known = [];
    readonly long _start = clock.GetTimestamp();
    TimeSpan? _solicited;
    int _solicitations;

    TimeSpan Now => clock.GetElapsedTime(_start);

    /// <summary>Whether routers may be asked now.</summary>
    public bool MayAsk => _solicitations < MostSolicitations && (_solicited is not { } last || Now - last >= s_solicitEvery);

    public bool IsAny
    {
        get
        {
            Forget();
            return _known.Count > 0;
        }
    }

    /// <summary>Takes a datagram of netlink.</summary>
    public void Take(ReadOnlySpan<byte> datagram)
    {
        Forget();
        foreach ((int device, IPv6Address address, uint seconds) in AdvertisedResolvers.ReadMessages(datagram))
        {
            // Infinity is all ones; nothing here lives that long.
            if (seconds == 0) _known.Remove((device, address));
            else if (_known.Count < Most || _known.ContainsKey((device, address))) _known[(device, address)] = Now + TimeSpan.FromSeconds(seconds);
        }
    }

    /// <summary>Those of some devices, whose time is not over.</summary>
    public IReadOnlyList<IPv6Address> Of(IReadOnlySet<int> devices)
    {
        Forget();
        IPv6Address[] found = [.. _known.Keys.Where(k => devices.Contains(k.Device)).Select(k => k.Address).Distinct().Order()];

        // When the last of them goes, routers are asked as they were at first.
        if (found.Length > 0) _solicitations = 0;
        return found;
    }

    /// <summary>Routers are asked now.</summary>
    public void Ask() => (_solicited, _solicitations) = (Now, _solicitations + 1);

    void Forget()
    {
        foreach ((int, IPv6Address) over in _known.Where(k => k.Value <= Now).Select(k => k.Key).ToArray()) _known.Remove(over);
    }
}
