using APlusP.Core.Addresses;
using APlusP.Core.Pcp;
using APlusP.Core.Wire;

namespace APlusP.Core.PortControl;

/// <summary>
/// The PCP server of a home, RFC 6887 with the port sets of RFC 7753, without its socket: MAP and ANNOUNCE. PEER it does not know, nor FILTER and THIRD_PARTY: a host maps ports of its own alone.
/// </summary>
public sealed class PcpMapServer(IMappingDesk desk, Func<MappingLimits> limits, PortControlCounters counters)
{
    /// <summary>The answer to a request; null where there is none.</summary>
    /// <param name="message">It, as it came.</param>
    /// <param name="source">Who sent it: a host of the LAN.</param>
    public byte[]? Answer(ReadOnlySpan<byte> message, IPv4Address source)
    {
        if (PcpRequest.IsDiscarded(message))
        {
            counters.Count(MappingProtocol.Pcp, RequestFate.Discarded);
            return null;
        }

        PcpOutcome outcome = Serve(message, source, out PcpMap? asked, out PcpPortSet? set);
        counters.Count(MappingProtocol.Pcp, outcome.Result == PcpResult.Success ? RequestFate.Granted : RequestFate.Refused);
        return outcome.Write(message, desk.Epoch, asked, set);
    }

    PcpOutcome Serve(ReadOnlySpan<byte> message, IPv4Address source, out PcpMap? asked, out PcpPortSet? set)
    {
        (asked, set) = (null, null);
        if (PcpRequest.Read(message, PcpMap.Written(source), PcpOptionSet.PreferFailure | PcpOptionSet.PortSet, out PcpRequest request) is not PcpResult.Success and var fault) return PcpOutcome.Refused(fault);
        if (request.Opcode == PcpOpcode.Announce) return PcpOutcome.Done;
        set = request.PortSet(out fault);
        if (fault != PcpResult.Success) return PcpOutcome.Refused(fault);
        asked = request.Map;
        return request.Lifetime == 0 ? Delete(request.Map, source) : Map(request, source, set);
    }

    PcpOutcome Map(in PcpRequest request, IPv4Address source, PcpPortSet? set)
    {
        PcpMap map = request.Map;
        if ((IpProtocol)map.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp)) return PcpOutcome.Refused(PcpResult.UnsupportedProtocol);

        // All ports of an address are not to be had where it is shared.
        if (map.InternalPort == 0) return PcpOutcome.Refused(PcpResult.NotAuthorized);
        TimeSpan lifetime = PcpOutcome.Within(TimeSpan.FromSeconds(request.Lifetime), TimeSpan.FromSeconds(limits().LongestSeconds));
        bool prefersFailure = request.Options.TryFind(PcpOptionCode.PreferFailure, out _);
        var wish = new MappingWish(MappingProtocol.Pcp, (IpProtocol)map.Protocol, source, map.InternalPort, (uint)lifetime.TotalSeconds)
        {
            Nonce = map.Nonce,
            Suggested = map.ExternalPort,
            IsExact = prefersFailure && map.ExternalPort != 0,
            Count = set?.Size ?? 1,
            KeepsParity = set?.KeepsParity ?? false,
        };
        IPv4Address? address = map.External;
        MappingGrant grant = desk.Ask((book, napt, now) =>

            // Another address than ours is not to be had either (section 13.2).
            prefersFailure && address is { } other && other != book.Terms.Address ? MappingGrant.Refused(MappingRefusal.NotOurs) : book.Map(wish, napt, now));
        return grant.Refusal switch
        {
            MappingRefusal.None => new PcpOutcome(PcpResult.Success, TimeSpan.FromSeconds(grant.Seconds), grant.Address, grant.Ports),
            MappingRefusal.NoAddress => PcpOutcome.Refused(PcpResult.NetworkFailure),
            MappingRefusal.HostLimit => PcpOutcome.Refused(PcpResult.UserExceedsQuota),
            MappingRefusal.NoneLeft => PcpOutcome.Refused(PcpResult.NoResources),
            MappingRefusal.NotTheirs => PcpOutcome.Refused(PcpResult.NotAuthorized, TimeSpan.FromSeconds(grant.Seconds)),
            _ => PcpOutcome.Refused(PcpResult.CannotProvideExternal),
        };
    }

    /// <summary>Section 15.1: a mapping, or all of a protocol, or all of all protocols. What is not there is deleted already.</summary>
    PcpOutcome Delete(PcpMap map, IPv4Address source) => desk.Ask((book, _, _) =>
    {
        var protocol = (IpProtocol)map.Protocol;
        if (map.Protocol == 0 || map.InternalPort == 0) book.UnmapAll(MappingProtocol.Pcp, map.Protocol == 0 ? null : protocol, source, map.Nonce);
        else if (book.Unmap(MappingProtocol.Pcp, protocol, source, map.InternalPort, map.Nonce) != MappingRefusal.None) return PcpOutcome.Refused(PcpResult.NotAuthorized);
        return PcpOutcome.Done;
    });

    /// <summary>What a client is told of its own accord of a mapping whose address changed, or that is no more, which has no lifetime (section 14.2); null of a mapping that is not by PCP.</summary>
    public static byte[]? Update(PortMapping mapping, IPv4Address address, bool isLost, uint epoch, long now)
    {
        if (mapping[MappingProtocol.Pcp] is not { Nonce: { } nonce } claim) return null;

        // Of a set the first tells of all.
        if (claim.Set is { } set && set.First != mapping.Forward.HostPort) return null;
        byte[] bytes = new byte[PcpNumbers.LongestMessage];
        var map = new PcpMap(nonce, (byte)mapping.Forward.Protocol, mapping.Forward.HostPort, mapping.Forward.Port, PcpMap.Written(address));
        PcpPortSet? ports = claim.Set is { } of ? new PcpPortSet(of.Size, of.First, KeepsParity: false) : null;
        return bytes[..PcpResponse.WriteMap(bytes, isLost ? 0 : MappingBook.SecondsLeft(claim, now), epoch, map, ports)];
    }
}
