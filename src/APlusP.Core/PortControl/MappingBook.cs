using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Pcp;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Core.PortControl;

/// <summary>
/// Which ports of ours hosts of the LAN have asked for, by whatever protocol, beside those that the household gave away. One port leads to one endpoint of the LAN, and one endpoint has one
/// port, since it answers from one only (RFC 4787 REQ-1). Never a port that is not ours, nor one that a static forward has.
/// </summary>
/// <param name="terms">What mappings stand on.</param>
/// <param name="random">Chooses ports.</param>
public sealed partial class MappingBook(MappingTerms terms, Random random)
{
    readonly Dictionary<(IpProtocol Protocol, ushort Port), PortMapping> _byPort = [];
    readonly Dictionary<(IpProtocol Protocol, IPv4Address Host, ushort Port), PortMapping> _byInside = [];

    public MappingTerms Terms { get; private set; } = terms;

    public int Count => _byPort.Count;

    public IEnumerable<PortMapping> Mappings => _byPort.Values;

    /// <summary>Goes up with every change that must outlive a restart.</summary>
    public long Version { get; private set; }

    /// <summary>Goes up whenever ports come, go, or lead elsewhere.</summary>
    public uint UpdateId { get; private set; }

    /// <summary>The second at which the first claim ends; never, where there is none.</summary>
    public long NextEnd => _byPort.Count == 0 ? long.MaxValue : _byPort.Values.Min(m => m.Claims.Min(c => c.Claim.Until));

    /// <summary>The mapping of one of our ports.</summary>
    public PortMapping? At(IpProtocol protocol, ushort port) => _byPort.GetValueOrDefault((protocol, port));

    /// <summary>The mapping of an endpoint of the LAN.</summary>
    public PortMapping? Of(IpProtocol protocol, IPv4Address host, ushort port) => _byInside.GetValueOrDefault((protocol, host, port));

    // ---- A host asks

    /// <summary>Gives a host the port that it asks for, or another; or lets one that it has stand longer.</summary>
    public MappingGrant Map(in MappingWish wish, IPortsInUse napt, long now)
    {
        Expire(now);
        if (Terms.Address is not { } address) return MappingGrant.Refused(MappingRefusal.NoAddress);
        if (StaticOf(wish.Protocol, wish.Host, wish.HostPort) is { } fixedPort)
        {
            return wish.By == MappingProtocol.Upnp || (wish.IsExact && wish.Suggested != fixedPort) ? MappingGrant.Refused(MappingRefusal.TakenOtherwise)
                : new MappingGrant(MappingRefusal.None, address, new PortRange(fixedPort, fixedPort), wish.Seconds);
        }

        PortMapping? held = Of(wish.Protocol, wish.Host, wish.HostPort);
        if (held?[wish.By] is { } mine && mine.Nonce != wish.Nonce) return MappingGrant.Refused(MappingRefusal.NotTheirs, SecondsLeft(mine, now));
        int wanted = held?[wish.By] is { } before ? before.Set?.Size ?? 1 : Math.Max((ushort)1, wish.Count);
        MappingRefusal refusal = Choose(wish, held, napt, wanted, out ushort first, out int count);
        if (refusal == MappingRefusal.None) refusal = Allow(wish, first, ref count);
        if (refusal != MappingRefusal.None) return MappingGrant.Refused(refusal);
        for (int i = 0; i < count; i++) Claim(wish, first, i, count, now);
        return new MappingGrant(MappingRefusal.None, address, new PortRange(first, (ushort)(first + count - 1)), wish.Seconds);
    }

    /// <summary>Finds the first of the ports, and how many follow it that can be had.</summary>
    MappingRefusal Choose(in MappingWish wish, PortMapping? held, IPortsInUse napt, int wanted, out ushort first, out int count)
    {
        // What an endpoint has, it keeps, be it by its own flows (RFC 6887 section 11.3, RFC 6886 section 3.3).
        ushort? has = held?.Forward.Port ?? napt.PortOf(wish.Protocol, wish.Host, wish.HostPort);
        first = has ?? wish.Suggested;
        count = 0;
        if (has is { } port && wish.IsExact && port != wish.Suggested)
        {
            // By UPnP a host says which port it wants or none: its own flows make way.
            if (held is not null || wish.By != MappingProtocol.Upnp) return MappingRefusal.Taken;
            first = wish.Suggested;
        }

        if (first != 0) count = RunAt(wish, first, wanted, napt);
        if (count > 0) return MappingRefusal.None;
        if (has is not null && !wish.IsExact) return MappingRefusal.NoneLeft;
        if (wish.IsExact) return Judge(wish, ref count, napt);
        return TryFindRun(wish, wanted, napt, ref first, ref count) ? MappingRefusal.None : MappingRefusal.NoneLeft;
    }

    /// <summary>Why the very port that a host wants is not to be had; or it is its own already, for another endpoint, whose place this one takes (UPnP).</summary>
    MappingRefusal Judge(in MappingWish wish, ref int count, IPortsInUse napt)
    {
        ushort port = wish.Suggested;
        if (port == 0 || !Terms.Ports.Contains(port)) return MappingRefusal.NotOurs;
        if (At(wish.Protocol, port) is not { } there) return MappingRefusal.TakenOtherwise;
        if (wish.By != MappingProtocol.Upnp || there.Forward.Host != wish.Host || there[MappingProtocol.Upnp] is null || there.IsClaimedBesides(MappingProtocol.Upnp))
            return there[wish.By] is null ? MappingRefusal.TakenOtherwise : MappingRefusal.Taken;
        Remove(there);
        count = 1;
        return MappingRefusal.None;
    }

    /// <summary>The endpoint's own port first, as the NAPT does it (RFC 4787 REQ-4a), then from a random one on: the first that has as many behind it as are wanted, else where most are.</summary>
    bool TryFindRun(in MappingWish wish, int wanted, IPortsInUse napt, ref ushort first, ref int count)
    {
        ushort[] all = [wish.HostPort, .. Rotated(random.Next())];
        foreach (bool keepsParity in wish.KeepsParity ? (bool[])[true, false] : [false])
        {
            foreach (ushort port in all)
            {
                if (keepsParity && ((port ^ wish.HostPort) & 1) != 0) continue;
                int run = RunAt(wish, port, wanted, napt);
                if (run <= count) continue;
                (first, count) = (port, run);
                if (run == wanted) return true;
            }

            if (count > 0) return true;
        }

        return false;
    }

    IEnumerable<ushort> Rotated(int start)
    {
        int skip = start % Terms.Ports.Count, at = 0;
        foreach (PortRange range in Terms.Ports.Ranges)
        {
            for (int i = Math.Max(0, skip - at); i < range.Count; i++) yield return (ushort)(range.First + i);
            at += range.Count;
        }

        foreach (PortRange range in Terms.Ports.Ranges)
        {
            for (int i = 0; i < range.Count && skip > 0; i++, skip--) yield return (ushort)(range.First + i);
        }
    }

    /// <summary>How many ports from this one on the host's ports from its own on may have.</summary>
    int RunAt(in MappingWish wish, ushort first, int wanted, IPortsInUse napt)
    {
        int run = 0;
        while (run < wanted && first + run <= ushort.MaxValue && wish.HostPort + run <= ushort.MaxValue && IsToBeHad(wish, (ushort)(first + run), (ushort)(wish.HostPort + run), isFirst: run == 0, napt)) run++;
        return run;
    }

    bool IsToBeHad(in MappingWish wish, ushort port, ushort hostPort, bool isFirst, IPortsInUse napt)
    {
        // UDP's port 0 means that no answer is wanted, and TCP reserves it.
        if (port == 0 || !Terms.Ports.Contains(port) || IsStatic(wish.Protocol, port)) return false;
        if (!isFirst && (StaticOf(wish.Protocol, wish.Host, hostPort) is not null || (Of(wish.Protocol, wish.Host, hostPort)?[wish.By] is { } other && other.Nonce != wish.Nonce))) return false;
        PortMapping? there = At(wish.Protocol, port), own = Of(wish.Protocol, wish.Host, hostPort);
        if (there is not null || own is not null) return there == own;
        ushort? has = napt.PortOf(wish.Protocol, wish.Host, hostPort);
        bool mayMove = isFirst && wish.IsExact && wish.By == MappingProtocol.Upnp;
        return has == port || ((has is null || mayMove) && napt.IsFree(wish.Protocol, port));
    }

    /// <summary>Whether a host may have so many, or how many fewer: those that it has already cost nothing.</summary>
    MappingRefusal Allow(in MappingWish wish, ushort first, ref int count)
    {
        IpProtocol protocol = wish.Protocol;
        IPv4Address host = wish.Host;
        int ofHost = _byPort.Values.Count(m => m.Forward.Protocol == protocol && m.Forward.Host == host), ofAll = _byPort.Keys.Count(k => k.Protocol == protocol);
        int leftOfHost = Terms.Limits.PerHostOf(Terms.Ports) - ofHost, allowed = 0;
        int left = Math.Min(leftOfHost, Math.Min(MappingLimits.MostOf(Terms.Ports) - ofAll, SmapOptions.MaxForwards - StaticForwards.Count() - Count));
        while (allowed < count && (At(protocol, (ushort)(first + allowed)) is not null || left-- > 0)) allowed++;
        count = allowed;
        return count > 0 ? MappingRefusal.None : leftOfHost <= 0 ? MappingRefusal.HostLimit : MappingRefusal.NoneLeft;
    }

    void Claim(in MappingWish wish, ushort first, int place, int count, long now)
    {
        ushort port = (ushort)(first + place), hostPort = (ushort)(wish.HostPort + place);
        PortMapping? mapping = At(wish.Protocol, port);
        MappingClaim? before = mapping?[wish.By];
        if (mapping is null)
        {
            mapping = new PortMapping(new PortForward(wish.Protocol, port, wish.Host, hostPort));
            _byPort[(wish.Protocol, port)] = mapping;
            _byInside[(wish.Protocol, wish.Host, hostPort)] = mapping;
        }

        var claim = new MappingClaim(now + wish.Seconds) { Nonce = wish.Nonce, Description = wish.Description, Set = count == 1 ? null : new MappingSet(wish.HostPort, (ushort)count), KeptUntil = before?.KeptUntil ?? 0 };
        bool isOther = before is null || before with { Until = claim.Until } != claim, isKept = isOther || IsToBeKept(claim, wish.Seconds, now);
        mapping[wish.By] = isKept ? claim with { KeptUntil = claim.Until } : claim;
        if (isOther) UpdateId++;
        if (isKept) Version++;
    }

    /// <summary>
    /// A renewal is kept when it is worth it, so that whoever renews without end wears out no disk: by a minute or more it stands otherwise than is kept, or what is kept is half over, and a restart would lose
    /// it. Whoever asks for less than a minute asks again before it is missed.
    /// </summary>
    static bool IsToBeKept(MappingClaim claim, uint seconds, long now)
    {
        const int worth = 60;
        return Math.Abs(claim.Until - claim.KeptUntil) >= worth || (seconds >= worth && (claim.KeptUntil - now) * 2 < seconds);
    }

    // ---- It wants it no longer

    /// <summary>Ends what a host has of one of its ports by one protocol, and of the set that it belongs to; what is not there is at its end already.</summary>
    public MappingRefusal Unmap(MappingProtocol by, IpProtocol protocol, IPv4Address host, ushort hostPort, PcpNonce? nonce = null)
    {
        if (StaticOf(protocol, host, hostPort) is not null) return MappingRefusal.NotTheirs;
        if (Of(protocol, host, hostPort)?[by] is not { } claim) return MappingRefusal.None;
        if (claim.Nonce != nonce) return MappingRefusal.NotTheirs;
        (int first, int count) = claim.Set is { } set ? (set.First, set.Size) : (hostPort, 1);
        for (int i = 0; i < count; i++)
            if (Of(protocol, host, (ushort)(first + i)) is { } mapping && mapping[by]?.Nonce == nonce && mapping[by]?.Set == claim.Set) Disclaim(mapping, by);
        return MappingRefusal.None;
    }

    /// <summary>Ends all that a host has by one protocol; of one transport protocol or of both.</summary>
    public void UnmapAll(MappingProtocol by, IpProtocol? protocol, IPv4Address host, PcpNonce? nonce = null)
    {
        foreach (PortMapping mapping in _byPort.Values.Where(m => m.Forward.Host == host && (protocol ?? m.Forward.Protocol) == m.Forward.Protocol && m[by] is { } claim && claim.Nonce == nonce).ToList())
            Disclaim(mapping, by);
    }

    void Disclaim(PortMapping mapping, MappingProtocol by)
    {
        mapping[by] = null;
        Version++;
        UpdateId++;
        if (!mapping.IsClaimed) Remove(mapping);
    }

    void Remove(PortMapping mapping)
    {
        PortForward forward = mapping.Forward;
        _byPort.Remove((forward.Protocol, forward.Port));
        _byInside.Remove((forward.Protocol, forward.Host, forward.HostPort));
        Version++;
        UpdateId++;
    }

    /// <summary>Ends what is over.</summary>
    public void Expire(long now)
    {
        foreach (PortMapping mapping in _byPort.Values.ToList())
        {
            foreach ((MappingProtocol by, _) in mapping.Claims.Where(c => c.Claim.Until <= now).ToList()) Disclaim(mapping, by);
        }
    }

    /// <summary>How long a claim stands yet.</summary>
    public static uint SecondsLeft(MappingClaim claim, long now) => (uint)Math.Clamp(claim.Until - now, 0, uint.MaxValue);
}
