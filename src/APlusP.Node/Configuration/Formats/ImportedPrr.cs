using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration.Formats;

/// <summary>The softwires of another program's configuration as they are read, and in the end a configuration of ours.</summary>
/// <param name="diagnostics">Where faults go.</param>
/// <param name="notes">Where what is not carried over goes.</param>
/// <param name="joinSoftwires">Whether a home may stand once for each of its port sets, as some have it; here it stands once with all of them.</param>
sealed class ImportedPrr(DiagnosticList diagnostics, ImportNotes notes, bool joinSoftwires)
{
    readonly List<Softwire> _softwires = [];
    readonly List<IPv6Address> _ends = [];
    readonly HashSet<IPv6Address> _known = [];

    readonly List<(MappingRule Rule, IPv6Address Prr, int PathMtu, string? Name, Place Place)> _rules = [];

    readonly record struct Softwire(IPv4Address Address, PortSet Ports, IPv6Address Smap, IPv6Address Prr, int PathMtu, Place Place);

    /// <summary>Takes a softwire, once its addresses are such as hosts can have.</summary>
    /// <param name="address">The IPv4 address.</param>
    /// <param name="ports">The softwire's ports of it.</param>
    /// <param name="smap">The SMAP's end.</param>
    /// <param name="prr">The PRR's end.</param>
    /// <param name="pathMtu">Largest IPv6 packet on the way; 0 where the file says it for all.</param>
    /// <param name="place">Where it stands.</param>
    public void Add(IPv4Address address, PortSet ports, IPv6Address smap, IPv6Address prr, int pathMtu, Place place)
    {
        int errors = diagnostics.Errors;
        if (!address.IsUnicast) NotUnicast(place, $"{address}");
        if (!smap.IsUnicast) NotUnicast(place, $"{smap}");
        if (!prr.IsUnicast) NotUnicast(place, $"{prr}");
        if (diagnostics.Errors > errors) return;
        if (_known.Add(prr)) _ends.Add(prr);
        if (ReadBindings.ReachesSystemPorts(ports)) NoteSystemPorts(place);
        _softwires.Add(new Softwire(address, ports, smap, prr, pathMtu, place));
    }

    /// <summary>Takes a mapping rule, once it is one.</summary>
    public void AddRule(MappingRule rule, IPv6Address prr, int pathMtu, string? name, Place place)
    {
        if (rule.Fault is { } fault)
        {
            diagnostics.Error(place, ErrorCodes.NotAMappingRule, $"This is not a mapping rule: {fault}.");
            return;
        }

        if (!prr.IsUnicast)
        {
            NotUnicast(place, $"{prr}");
            return;
        }

        if (_known.Add(prr)) _ends.Add(prr);
        if (rule is { PsidOffset: 0, PsidLength: > 0 }) NoteSystemPorts(place);
        _rules.Add((rule, prr, pathMtu, name, place));
    }

    void NoteSystemPorts(Place place) =>
        notes.Add(place, "This port set reaches the system ports 0-1023; servers there are then this subscriber's (AP1022). It came over as it is.");

    void NotUnicast(Place place, string address) =>
        diagnostics.Error(place, ErrorCodes.ConfigurationNotUnicast, $"{address} is not an address that a host can have; write the host's own.");

    /// <summary>Checks a path MTU: what ours can be.</summary>
    public int CheckPathMtu(int mtu, Place place, string meaning)
    {
        if (mtu is >= ConfigurationFile.LeastPathMtu and <= 65535) return mtu;
        diagnostics.Error(place, ErrorCodes.ConfigurationBadMtu, $"{meaning} {mtu}, and a path MTU is from {ConfigurationFile.LeastPathMtu} (RFC 8200 section 5) to 65535; correct it.");
        return 1500;
    }

    /// <summary>The configuration, or null where a fault was found.</summary>
    public PrrConfiguration? Finish(PrrOptions options, int pathMtu, Place whole)
    {
        if (_softwires.Count + _rules.Count == 0 && !diagnostics.HasErrors)
            diagnostics.Error(whole, ErrorCodes.ConfigurationMissingKey, "This file holds no softwire and no mapping rule that could be imported, and without one the PRR's address is not known either.");
        if (diagnostics.HasErrors) return null;
        var bindings = new ReadBindings(_ends, pathMtu, diagnostics, warnOfSystemPorts: false);
        foreach (Softwire s in joinSoftwires ? Joined() : _softwires) bindings.Add(s.Address, s.Ports, s.Smap, s.Prr, s.PathMtu == 0 ? null : s.PathMtu, null, s.Place);
        var rules = new ReadRules(_ends, pathMtu, diagnostics, warnOfSystemPorts: false);
        foreach ((MappingRule rule, IPv6Address prr, int ownPathMtu, string? name, Place place) in _rules)
            rules.Add(rule, prr, ownPathMtu == 0 ? null : ownPathMtu, name, bindings, _ => place);
        bindings.CheckTogether();
        rules.CheckTogether(bindings);
        return diagnostics.HasErrors ? null : new PrrConfiguration
        {
            Options = options with { SoftwireAddresses = _ends },
            Bindings = bindings.Bindings,
            Names = bindings.Names.BySoftwire,
            Rules = rules.Rules,
        };
    }

    /// <summary>Joins where the sets are of one address, and disjoint: what is left unjoined contradicts, and is told so.</summary>
    List<Softwire> Joined()
    {
        var first = new Dictionary<IPv6Address, int>(_softwires.Count);
        var joined = new List<Softwire>(_softwires.Count);
        foreach (Softwire softwire in _softwires)
        {
            if (first.TryAdd(softwire.Smap, joined.Count))
            {
                joined.Add(softwire);
                continue;
            }

            Softwire with = joined[first[softwire.Smap]];
            if (with.Address != softwire.Address || with.Prr != softwire.Prr || with.PathMtu != softwire.PathMtu || with.Ports.Overlaps(softwire.Ports))
            {
                joined.Add(softwire);
                continue;
            }

            joined[first[softwire.Smap]] = with with { Ports = PortSet.FromRanges([.. with.Ports.Ranges, .. softwire.Ports.Ranges]) };
            notes.Add(softwire.Place, "This softwire has more than one port set; they came over as one binding with all their ranges.");
        }

        return joined;
    }
}
