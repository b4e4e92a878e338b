using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration;

/// <summary>
/// The bindings as they are read, each with its place, and what they mean together. Or, for a daemon, straight into the table that it forwards by: that says of a million of them whether
/// they contradict each other, and takes a quarter of the memory, but knows no places. Who finds them contradictory reads again with places.
/// </summary>
/// <param name="ownAddresses">The PRR's ends.</param>
/// <param name="pathMtu">Of a binding that does not say otherwise.</param>
/// <param name="diagnostics">Where faults and warnings go.</param>
/// <param name="warnOfSystemPorts">Off where the reader of the file tells of them itself, once for all bindings.</param>
/// <param name="intoTable">Whether they go into <see cref="Table"/> and nowhere else.</param>
sealed class ReadBindings(IReadOnlyList<IPv6Address> ownAddresses, int pathMtu, DiagnosticList diagnostics, bool warnOfSystemPorts = true, bool intoTable = false)
{
    /// <summary>Softwire header: what a path MTU is larger than the payload's, RFC 2473 section 7.</summary>
    public const int Overhead = 40;

    readonly List<Binding> _bindings = [];
    readonly List<Place> _places = [];

    /// <summary>All of them, in the order of the file; none where they went into the table.</summary>
    public IReadOnlyList<Binding> Bindings => _bindings;

    /// <summary>All of them, where they were to go there; null otherwise.</summary>
    public BindingTable? Table { get; private set; } = intoTable ? new BindingTable() : null;

    /// <summary>Whether the table has refused one, so that none of it is of use.</summary>
    public bool AreContradictory { get; private set; }

    public SubscriberNames Names { get; } = new();

    public Place PlaceOf(int index) => _places[index];

    /// <summary>Makes room for so many more.</summary>
    public void Expect(int bindings)
    {
        if (Table is { Count: 0 }) Table = new BindingTable(bindings);
    }

    public void Add(IPv4Address address, PortSet ports, IPv6Address softwire, IPv6Address? prr, int? ownPathMtu, string? name, Place place)
    {
        if (ownAddresses.Count == 0) return;
        if (FaultOf(ownAddresses, softwire, prr ?? ownAddresses[0]) is var (code, message)) diagnostics.Error(place, code, message);
        if (warnOfSystemPorts && SystemPortsWarning(ports) is { } warning) diagnostics.Warn(place, ErrorCodes.ConfigurationSystemPorts, warning);
        var binding = new Binding(address, ports, softwire, prr ?? ownAddresses[0], (ownPathMtu ?? pathMtu) - Overhead);
        if (Table is not null) AddToTable(binding, name);
        else
        {
            if (name is not null && !Names.TryAdd(softwire, name)) NameStandsTwice(name, place);
            _bindings.Add(binding);
            _places.Add(place);
        }
    }

    void AddToTable(Binding binding, string? name)
    {
        if (AreContradictory) return;
        try
        {
            Table!.Add(binding);
            if (name is not null) AreContradictory = !Names.TryAdd(binding.Softwire, name);
        }
        catch (APlusPException)
        {
            AreContradictory = true;
        }
    }

    void NameStandsTwice(string name, Place place)
    {
        Names.TryFind(name, out IPv6Address first);
        diagnostics.Error(place, ErrorCodes.ConfigurationTwice, $"The name '{name}' stands twice: here and at {_places[_bindings.FindIndex(b => b.Softwire == first)]}.");
    }

    /// <summary>What is wrong with the ends of a softwire of a PRR, or null.</summary>
    public static (string Code, string Message)? FaultOf(IReadOnlyList<IPv6Address> ownAddresses, IPv6Address softwire, IPv6Address prr)
    {
        bool prrIsOurs = false, softwireIsOurs = false;
        foreach (IPv6Address own in ownAddresses)
        {
            prrIsOurs |= own == prr;
            softwireIsOurs |= own == softwire;
        }

        return !prrIsOurs ? (ErrorCodes.ConfigurationForeignPrr, $"The binding's PRR end {prr} is not among 'softwire-address' ({string.Join(", ", ownAddresses)}).")
            : softwireIsOurs ? (ErrorCodes.ConfigurationContradiction, $"The softwire {softwire} is the PRR's own end; write the SMAP's address.")
            : null;
    }

    /// <summary>What a person should know of a port set that reaches ports 0-1023; null where it does not.</summary>
    public static string? SystemPortsWarning(PortSet ports) => ReachesSystemPorts(ports)
        ? $"The port set {ports} reaches the system ports 0-1023; servers there are then this subscriber's. RFC 7597 section 5.1 keeps them out by an offset above 0." : null;

    /// <summary>Whether a part of an address reaches ports 0-1023.</summary>
    public static bool ReachesSystemPorts(PortSet ports) => !ports.IsWholeAddress && FirstPort(ports) < 1024;

    static int FirstPort(PortSet ports) => ports.Psid is { } psid
        ? psid.Offset == 0 ? psid.Value << psid.ContiguousLength : 1 << (16 - psid.Offset) | psid.Value << psid.ContiguousLength
        : ports.Ranges.First().First;

    /// <summary>
    /// Tells every two bindings that contradict each other. Where there may be any, the table itself says whether there are; only then they are sought.
    /// </summary>
    public void CheckTogether()
    {
        if (Table is not null || ContradictNothing()) return;
        var table = new BindingTable();
        var suspects = new HashSet<IPv4Address>();
        bool twice = false;
        for (int i = 0; i < _bindings.Count; i++)
        {
            try
            {
                table.Add(_bindings[i]);
            }
            catch (APlusPException refused)
            {
                bool same = table.TryFindSoftwire(_bindings[i].Softwire, out _, out _);
                twice |= same;
                suspects.Add(_bindings[i].Address);
                if (!same && !table.IsShared(_bindings[i].Address)) diagnostics.Error(_places[i], refused.Code, refused.Message);
            }
        }

        if (twice) FindSameSoftwires();
        if (suspects.Count > 0)
            foreach (IGrouping<IPv4Address, int> group in Enumerable.Range(0, _bindings.Count).Where(i => suspects.Contains(_bindings[i].Address)).GroupBy(i => _bindings[i].Address))
                FindOverlaps([.. group]);
    }

    /// <summary>
    /// Whether it is certain without a table, which takes longer to make than the rest of reading where homes have many ranges each, that all is well: each softwire stands once, and each
    /// port of an address.
    /// </summary>
    bool ContradictNothing()
    {
        var softwires = new HashSet<IPv6Address>(_bindings.Count);
        foreach (Binding binding in _bindings)
            if (!softwires.Add(binding.Softwire) || !binding.Softwire.IsUnicast || !binding.Address.IsUnicast) return false;

        uint[] addresses = [.. _bindings.Select(b => b.Address.Value)];
        int[] order = [.. Enumerable.Range(0, _bindings.Count)];
        Array.Sort(addresses, order);
        var taken = new TakenPorts();
        for (int first = 0, end; first < order.Length; first = end)
        {
            for (end = first + 1; end < order.Length && addresses[end] == addresses[first];) end++;
            if (end - first > 1 && !AreDisjoint(order.AsSpan(first, end - first), taken)) return false;
        }

        return true;
    }

    /// <summary>Whether bindings of one address share no port, and divide it alike where they divide it by PSID.</summary>
    bool AreDisjoint(ReadOnlySpan<int> group, TakenPorts taken)
    {
        Psid? layout = null;
        bool allByPsid = true;
        foreach (int i in group)
        {
            if (_bindings[i].Ports.Psid is not { } psid) allByPsid = false;
            else if ((layout ??= psid) is var first && (first.Offset != psid.Offset || first.Length != psid.Length)) return false;
        }

        taken.Clear();
        foreach (int i in group)
        {
            PortSet ports = _bindings[i].Ports;
            if (!(allByPsid && ports.Psid is { } psid ? taken.TryTake(psid.Value, psid.Value) : taken.TryTake(ports))) return false;
        }

        return true;
    }

    /// <summary>What <paramref name="conflictOf"/> says against the bindings, told where they stand.</summary>
    public void CheckEach(Func<Binding, string?> conflictOf)
    {
        if (Table is not null) AreContradictory |= Table.Bindings.Any(b => conflictOf(b) is not null);
        for (int i = 0; i < _bindings.Count; i++)
            if (conflictOf(_bindings[i]) is { } message)
                diagnostics.Error(_places[i], ErrorCodes.RuleConflict, $"{message[..1].ToUpperInvariant()}{message[1..]}.");
    }

    void FindSameSoftwires()
    {
        var first = new Dictionary<IPv6Address, int>(_bindings.Count);
        for (int i = 0; i < _bindings.Count; i++)
            if (!first.TryAdd(_bindings[i].Softwire, i))
                Conflict(first[_bindings[i].Softwire], i, $"Two bindings have the same softwire {_bindings[i].Softwire}. Give each subscriber an IPv6 address of its own.");
    }

    void FindOverlaps(int[] group)
    {
        int layout = -1;
        var ranges = new List<(PortRange Range, int Index)>();
        foreach (int i in group)
        {
            foreach (PortRange range in _bindings[i].Ports.Ranges) ranges.Add((range, i));
            if (_bindings[i].Ports.Psid is not { } psid) continue;
            if (layout < 0) layout = i;
            else if (_bindings[layout].Ports.Psid is { } first && (first.Offset != psid.Offset || first.Length != psid.Length))
                Conflict(layout, i, $"Two bindings divide {_bindings[i].Address} differently, by {first} and by {psid}. All PSID sets of an address need the same offset and length.");
        }

        ranges.Sort((a, b) => a.Range.First.CompareTo(b.Range.First));
        var told = new HashSet<(int, int)>();
        var open = new List<(PortRange Range, int Index)>();
        foreach ((PortRange range, int index) in ranges)
        {
            open.RemoveAll(o => o.Range.Last < range.First);
            foreach ((PortRange other, int with) in open)
            {
                if (diagnostics.Omitted > 0) return;
                (int earlier, int later) = with < index ? (with, index) : (index, with);
                if (earlier == later || !told.Add((earlier, later))) continue;
                var common = new PortRange(range.First, Math.Min(range.Last, other.Last));
                Conflict(earlier, later, $"Two bindings have port(s) {common} of {_bindings[later].Address}: {_bindings[earlier].Ports} and {_bindings[later].Ports}. A port has one subscriber.");
            }

            open.Add((range, index));
        }
    }

    void Conflict(int earlier, int later, string message) =>
        diagnostics.Error(_places[later], ErrorCodes.BindingConflict, $"{message} The other is at {_places[earlier]}.");
}
