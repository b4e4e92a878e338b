using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;

namespace APlusP.Core.PortControl;

/// <summary>What became of mappings when what they stand on changed.</summary>
/// <param name="IsOtherAddress">The shared address is another one, has come, or has gone.</param>
/// <param name="Lost">Mappings that are no more, though their claims are not over.</param>
public sealed record MappingChange(bool IsOtherAddress, IReadOnlyList<PortMapping> Lost)
{
    public bool IsAny => IsOtherAddress || Lost.Count > 0;

    /// <summary>The household took them away: who had them hears so, but the epoch goes on, since a new one would make every host ask again at once.</summary>
    public bool IsByHousehold { get; init; }
}

// What the household gives away comes first, and what the network gives us decides over all.
public sealed partial class MappingBook
{
    readonly List<PortForward> _household = [];
    IPv4Address? _lastAddress;

    /// <summary>Forwards that the household has added beside those of the configuration, also those that are not in force by the ports we have now.</summary>
    public IReadOnlyList<PortForward> Household => _household;

    /// <summary>All ports that lead somewhere now, no more than the NAPT has room for: static forwards first.</summary>
    public IReadOnlyList<PortForward> Forwards => [.. StaticForwards.Concat(_byPort.Values.Select(m => m.Forward)).Take(SmapOptions.MaxForwards)];

    /// <summary>The shared address that mappings were last of, also while there is none.</summary>
    public IPv4Address? LastAddress => _lastAddress ?? Terms.Address;

    IEnumerable<PortForward> StaticForwards => Terms.Forwards.Concat(_household.Where(IsInForce));

    /// <summary>Whether a forward of the household's is one of our ports, and none of the configuration's.</summary>
    public bool IsInForce(PortForward forward) => Terms.Ports.Contains(forward.Port)
        && !Terms.Forwards.Any(f => f.Protocol == forward.Protocol && (f.Port == forward.Port || (f.Host == forward.Host && f.HostPort == forward.HostPort)));

    bool IsStatic(IpProtocol protocol, ushort port) => StaticForwards.Any(f => f.Protocol == protocol && f.Port == port);

    ushort? StaticOf(IpProtocol protocol, IPv4Address host, ushort hostPort)
    {
        foreach (PortForward forward in StaticForwards)
            if (forward.Protocol == protocol && forward.Host == host && forward.HostPort == hostPort) return forward.Port;
        return null;
    }

    /// <summary>Adds a forward; it was checked. Mappings in its way end.</summary>
    public MappingChange Add(PortForward forward)
    {
        _household.Add(forward);
        Version++;
        return Sift();
    }

    /// <summary>Takes away what the household forwards of a port; gives what that was.</summary>
    public IReadOnlyList<PortForward> Remove(ushort port, IReadOnlyList<IpProtocol> protocols)
    {
        PortForward[] gone = [.. _household.Where(f => f.Port == port && protocols.Contains(f.Protocol))];
        foreach (PortForward forward in gone) _household.Remove(forward);
        if (gone.Length > 0) Version++;
        return gone;
    }

    /// <summary>Takes away what hosts asked for of a port, by whatever protocol. They may ask again.</summary>
    public MappingChange Take(ushort port, IReadOnlyList<IpProtocol> protocols)
    {
        PortMapping[] gone = [.. protocols.Select(p => At(p, port)).OfType<PortMapping>()];
        foreach (PortMapping mapping in gone) Remove(mapping);
        return new MappingChange(false, gone) { IsByHousehold = true };
    }

    /// <summary>Goes by other terms: mappings of ports that are not ours any more, or that a static forward takes, end. While there is no address, all of them wait.</summary>
    public MappingChange Adopt(MappingTerms terms)
    {
        bool isOther = terms.Address != Terms.Address || (terms.Address is { } now && LastAddress is { } last && now != last);
        Terms = terms with { Ports = terms.Address is null ? Terms.Ports : terms.Ports };
        _lastAddress = terms.Address ?? LastAddress;
        if (isOther)
        {
            Version++;
            UpdateId++;
        }

        return terms.Address is null ? new MappingChange(isOther, []) : Sift() with { IsOtherAddress = isOther };
    }

    MappingChange Sift()
    {
        PortMapping[] lost = [.. _byPort.Values.Where(m => !Terms.Ports.Contains(m.Forward.Port) || IsStatic(m.Forward.Protocol, m.Forward.Port)
            || StaticOf(m.Forward.Protocol, m.Forward.Host, m.Forward.HostPort) is not null)];
        foreach (PortMapping mapping in lost) Remove(mapping);
        return new MappingChange(false, lost);
    }

    // ---- What outlives a restart

    /// <summary>Takes in what was kept: forwards of the household, mappings that have claims yet, and the address that they were of. What of it still holds, <see cref="Adopt"/> then says.</summary>
    public void Restore(IPv4Address? address, IEnumerable<PortForward> household, IEnumerable<(PortForward Forward, MappingProtocol By, MappingClaim Claim)> claims)
    {
        _lastAddress = address;
        _household.AddRange(household.Distinct());
        foreach ((PortForward forward, MappingProtocol by, MappingClaim claim) in claims)
        {
            PortMapping? mapping = At(forward.Protocol, forward.Port);
            if (mapping is null && Of(forward.Protocol, forward.Host, forward.HostPort) is null)
            {
                mapping = new PortMapping(forward);
                _byPort[(forward.Protocol, forward.Port)] = mapping;
                _byInside[(forward.Protocol, forward.Host, forward.HostPort)] = mapping;
            }

            if (mapping?.Forward == forward) mapping[by] = claim with { KeptUntil = claim.Until };
        }
    }
}
