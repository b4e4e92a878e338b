using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Control;

namespace APlusP.Node.Daemons;

/// <summary>
/// The bindings of a running PRR, as whoever provisions subscribers changes them: one request at a time, each in force when it is answered. What was changed so is in memory alone: the
/// file is what a reload and a restart go by.
/// </summary>
/// <param name="table">The table of the data plane.</param>
/// <param name="route">Makes or removes the route of an address that became shared, or no longer is.</param>
sealed class LiveBindings(BindingTable table, Action<IPv4Address, bool> route)
{
    PrrConfiguration _configuration = null!;
    SubscriberNames _names = new();
    long _changes;

    /// <summary>Held while bindings change, whoever changes them.</summary>
    public Lock Changing { get; } = new();

    /// <summary>The bindings that a registry gives, where there is one: requests do not change those.</summary>
    public LeasedBindings? Leased { get; set; }

    /// <summary>Bindings changed by requests since the file was read.</summary>
    public long ChangesSinceLoad => Volatile.Read(ref _changes);

    /// <summary>Takes over what a file says, while no request is under way.</summary>
    /// <param name="configuration">The file.</param>
    /// <param name="names">Names of its subscribers.</param>
    /// <param name="apply">Makes the table what the file says.</param>
    public void Load(PrrConfiguration configuration, SubscriberNames names, Action apply)
    {
        lock (Changing)
        {
            apply();
            (_configuration, _names) = (configuration, names);
            Volatile.Write(ref _changes, 0);
        }
    }

    /// <summary>Does what a request asks for; a list's entries go to <paramref name="tell"/> before its answer.</summary>
    /// <exception cref="APlusPException">It cannot be; nothing was changed.</exception>
    public BindingAnswer Answer(BindingRequest request, Action<BindingAnswer> tell)
    {
        if (request.Op == "list") return List(request, tell);
        lock (Changing)
        {
            return request.Op switch
            {
                "add" => Add(request),
                "change" => Change(request, NotLeased(Find(request))),
                "set" => Set(request),
                "remove" => Remove(NotLeased(Find(request))),
                "show" => new BindingAnswer { Done = "shown", Binding = Entry(Find(request), inFull: true) },
                null => throw Bad("this line has no 'op'"),
                _ => throw Bad($"'{request.Op}' is no op"),
            };
        }
    }

    static APlusPException Bad(string what) => new(ErrorCodes.BadBindingRequest, $"{what}; there are add, change, set, remove, show and list, such as {{\"op\":\"remove\",\"softwire\":\"2001:db8:1::1\"}}.");

    // ---- Changes

    BindingAnswer Add(BindingRequest request)
    {
        Binding binding = Read(request);
        CheckName(binding, request.Name);
        Place(binding, before: null);
        return Done("added", before: null, binding, request.Name);
    }

    /// <summary>What the request leaves out stays.</summary>
    BindingAnswer Change(BindingRequest request, Binding before) => Replace(before, before with
    {
        Address = request.Address is null ? before.Address : ReadAddress(request.Address),
        Ports = request.Ports is null ? before.Ports : ReadPorts(request.Ports),
        Prr = request.Prr is null ? before.Prr : ReadIPv6("prr", request.Prr),
        PayloadMtu = request.PathMtu is null ? before.PayloadMtu : ReadPayloadMtu(request.PathMtu.Value),
    }, request.Softwire is null ? _names.Of(before.Softwire) : request.Name ?? _names.Of(before.Softwire));

    BindingAnswer Set(BindingRequest request)
    {
        Binding binding = Read(request);
        return table.HasBinding(binding.Softwire) ? Replace(NotLeased(table.BindingOf(binding.Softwire)!), binding, request.Name) : Add(request);
    }

    BindingAnswer Replace(Binding before, Binding binding, string? name)
    {
        if (binding == before && name == _names.Of(before.Softwire)) return new BindingAnswer { Done = "unchanged" };
        CheckName(binding, name);
        Place(binding, before);
        return Done("changed", before, binding, name);
    }

    BindingAnswer Remove(Binding before)
    {
        TakeOut(before.Softwire);
        return Done("removed", before, after: null, name: null);
    }

    Binding NotLeased(Binding binding) => Leased?.Has(binding.Softwire) != true ? binding
        : throw new APlusPException(ErrorCodes.LeasedBinding, $"the binding of {binding.Softwire} is a lease of the registry, which alone changes it: DELETE /v1/leases/{{id}} there ends it, and grow and shrink change its ports.");

    /// <summary>What else follows from a change that the table has taken: the name.</summary>
    BindingAnswer Done(string what, Binding? before, Binding? after, string? name)
    {
        IPv6Address softwire = (after ?? before)!.Softwire;
        if (name != _names.Of(softwire))
        {
            _names.Remove(softwire);
            if (name is not null) _names.TryAdd(softwire, name);
        }

        Volatile.Write(ref _changes, _changes + 1);
        return new BindingAnswer { Done = what, Warning = after is null ? null : ReadBindings.SystemPortsWarning(after.Ports) };
    }

    // ---- What every change comes to. Called by who holds Changing

    /// <summary>Puts a binding into the table, in place of the one that its softwire has; the address has its route then.</summary>
    /// <exception cref="APlusPException">It contradicts others, or the file; nothing was changed.</exception>
    public void Place(Binding binding, Binding? before)
    {
        Check(_configuration, table, binding);
        bool isNew = !table.IsShared(binding.Address);
        if (before is null) table.Add(binding);
        else if (binding != before) table.Replace(binding);
        if (isNew) route(binding.Address, true);
        if (before is not null && before.Address != binding.Address) GiveUp(before.Address);
    }

    /// <summary>Takes the binding of a softwire out of the table.</summary>
    public void TakeOut(IPv6Address softwire)
    {
        IPv4Address address = table.BindingOf(softwire)!.Address;
        table.Remove(softwire);
        GiveUp(address);
    }

    void GiveUp(IPv4Address address)
    {
        if (!table.IsShared(address)) route(address, false);
    }

    /// <summary>A binding with the PRR's end and the path MTU of the file.</summary>
    public Binding BindingOf(IPv4Address address, PortSet ports, IPv6Address softwire) => BindingOf(_configuration, address, ports, softwire);

    /// <inheritdoc cref="BindingOf(IPv4Address, PortSet, IPv6Address)"/>
    public static Binding BindingOf(PrrConfiguration configuration, IPv4Address address, PortSet ports, IPv6Address softwire) =>
        new(address, ports, softwire, configuration.Options.SoftwireAddresses[0], configuration.PathMtu - ReadBindings.Overhead);

    /// <summary>What a table does not know of: our own ends, and mapping rules.</summary>
    public static void Check(PrrConfiguration configuration, BindingTable table, Binding binding)
    {
        if (ReadBindings.FaultOf(configuration.Options.SoftwireAddresses, binding.Softwire, binding.Prr) is var (code, message)) throw new APlusPException(code, message);
        if (table.Rules?.ConflictOf(binding) is { } conflict) throw new APlusPException(ErrorCodes.RuleConflict, $"{conflict}.");
    }

    void CheckName(Binding binding, string? name)
    {
        if (name is not null && !SubscriberNames.IsName(name, out string? why)) throw new APlusPException(ErrorCodes.ConfigurationBadValue, why);
        if (name is not null && _names.TryFind(name, out IPv6Address other) && other != binding.Softwire)
            throw new APlusPException(ErrorCodes.ConfigurationTwice, $"The name '{name}' is that of the subscriber at {other}; give this one another.");
    }

    // ---- Questions

    BindingAnswer List(BindingRequest request, Action<BindingAnswer> tell)
    {
        IPv4Address? only = request.Address is { } text ? ReadAddress(text) : null;
        int count = 0;
        foreach (Binding binding in only is { } address ? table.BindingsAt(address) : table.Bindings)
        {
            BindingEntry entry;
            lock (Changing) entry = Entry(binding, inFull: false);
            tell(new BindingAnswer { Binding = entry });
            count++;
        }

        return new BindingAnswer { Done = "listed", Count = count };
    }

    BindingEntry Entry(Binding binding, bool inFull) => new(
        $"{binding.Address}", binding.Ports.IsWholeAddress ? "all" : $"{binding.Ports}", $"{binding.Softwire}",
        inFull || binding.Prr != _configuration.Options.SoftwireAddresses[0] ? $"{binding.Prr}" : null,
        inFull || binding.PayloadMtu != _configuration.PathMtu - ReadBindings.Overhead ? binding.PayloadMtu + ReadBindings.Overhead : null,
        _names.Of(binding.Softwire));

    /// <summary>The binding of a request's softwire, or else of its name.</summary>
    Binding Find(BindingRequest request)
    {
        if (request.Softwire is null && request.Name is null) throw Bad($"this {request.Op} says neither 'softwire' nor 'name'");
        IPv6Address softwire;
        if (request.Softwire is not null) softwire = ReadIPv6("softwire", request.Softwire);
        else if (!_names.TryFind(request.Name!, out softwire))
            throw new APlusPException(ErrorCodes.NoSuchBinding, $"no subscriber has the name '{request.Name}'; `aplusp binding list` tells all.");
        return table.HasBinding(softwire) ? table.BindingOf(softwire)!
            : throw new APlusPException(ErrorCodes.NoSuchBinding, $"no binding has the softwire {softwire}; {(table.Rules?.RuleOf(softwire) is { } rule ? $"it is a subscriber of the rule for {rule.Rule.IPv4}, which only the file changes." : "`aplusp binding list` tells all.")}");
    }

    // ---- Requests in words

    Binding Read(BindingRequest request)
    {
        if (request.Address is null || request.Ports is null || request.Softwire is null)
            throw Bad($"this {request.Op} needs 'address', 'ports' and 'softwire'");
        return new Binding(ReadAddress(request.Address), ReadPorts(request.Ports), ReadIPv6("softwire", request.Softwire),
            request.Prr is null ? _configuration.Options.SoftwireAddresses[0] : ReadIPv6("prr", request.Prr), ReadPayloadMtu(request.PathMtu ?? _configuration.PathMtu));
    }

    static IPv4Address ReadAddress(string text) => IPv4Address.TryParse(text, out IPv4Address address) ? address
        : throw new APlusPException(ErrorCodes.ConfigurationBadValue, $"'address' is '{text}', which is not an IPv4 address such as 192.0.2.1.");

    static IPv6Address ReadIPv6(string what, string text) => IPv6Address.TryParse(text, out IPv6Address address) ? address
        : throw new APlusPException(ErrorCodes.ConfigurationBadValue, $"'{what}' is '{text}', which is not an IPv6 address such as 2001:db8:1::1.");

    static PortSet ReadPorts(string text) => PortSet.TryParse(text, out PortSet? ports, out string error) ? ports!
        : throw new APlusPException(ErrorCodes.NotAPortSet, $"'{text}' is not a port set: {error}.");

    static int ReadPayloadMtu(int pathMtu) => pathMtu is >= ConfigurationFile.LeastPathMtu and <= 65535 ? pathMtu - ReadBindings.Overhead
        : throw new APlusPException(ErrorCodes.ConfigurationBadMtu, $"{pathMtu} is not a path MTU from {ConfigurationFile.LeastPathMtu} (RFC 8200 section 5) to 65535.");
}
