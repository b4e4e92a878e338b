using System.Runtime.InteropServices;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Node.Configuration;
using APlusP.Node.Registry;
using APlusP.Node.WebNames;

namespace APlusP.Node.Daemons;

/// <summary>
/// The registry's part of a running PRR's bindings. Each lease goes into the table as it comes, beside those that are there, so a snapshot changes what differs and nothing else: packets of
/// whoever stays as they are meet their binding all the time. Only who gets ports that another has not given back yet waits until all has come.
/// </summary>
/// <param name="table">The table of the data plane.</param>
/// <param name="live">Who else changes it.</param>
/// <param name="clock">For leases that run out.</param>
sealed class LeasedBindings(BindingTable table, LiveBindings live, TimeProvider clock) : ILeaseTaker
{
    /// <summary>The registry itself ends a lease within a second or two; who hears of it does not go by its own clock.</summary>
    static readonly TimeSpan s_grace = TimeSpan.FromSeconds(5);

    readonly Dictionary<IPv6Address, Lease> _leases = [];

    // Names of web servers, of the leases that have some.
    readonly Dictionary<IPv6Address, ServedName[]> _names = [];

    // Leases that are not in the table as they should be: until all of a version has come, and after that those that contradict the file.
    readonly Dictionary<IPv6Address, Waiting> _waiting = [];

    // Addresses of which ports were given back since then.
    readonly HashSet<IPv4Address> _freed = [];
    bool _isSnapshot, _someWait;
    uint _round;
    long _soonestEnd = long.MaxValue;

    // What the registry's clock said, and when by a time of ours that no clock setting moves.
    (long Now, long At)? _heard;

    /// <param name="Until">In ms since 1970 by the registry's clock.</param>
    /// <param name="Round">The snapshot that told of it last.</param>
    /// <param name="IsPlaced">Whether it has a binding in the table.</param>
    record struct Lease(long Until, uint Round, bool IsPlaced);

    /// <param name="Binding">What it should have.</param>
    /// <param name="Why">Why it has it not.</param>
    /// <param name="IsNew">Whether it waits for what comes with it.</param>
    sealed record Waiting(Binding Binding, string Why, bool IsNew);

    /// <summary>Leases that there are.</summary>
    public int Count => _leases.Count;

    /// <summary>Leases that are not in force, since they contradict what the file says, and one of the reasons.</summary>
    public (int Count, string? Why) Refused
    {
        get
        {
            lock (live.Changing) return (_waiting.Count, _waiting.Values.FirstOrDefault()?.Why);
        }
    }

    /// <summary>The registry says what time it is.</summary>
    /// <param name="now">In ms since 1970.</param>
    public void Hear(long now)
    {
        lock (live.Changing) _heard = (now, clock.GetTimestamp());
    }

    /// <summary>Whether a softwire's binding is the registry's. Asked by who holds <see cref="LiveBindings.Changing"/>.</summary>
    public bool Has(IPv6Address softwire) => _leases.TryGetValue(softwire, out Lease lease) && lease.IsPlaced;

    // ---- As the feed tells it

    public void Begin(bool snapshot)
    {
        _isSnapshot = snapshot;
        if (snapshot) _round++;
    }

    public void Take(in FeedLine told)
    {
        lock (live.Changing)
        {
            ref Lease lease = ref CollectionsMarshal.GetValueRefOrAddDefault(_leases, told.Softwire, out _);
            lease = lease with { Until = told.Until, Round = _round };
            _soonestEnd = Math.Min(_soonestEnd, told.Until);
            if (told.Names is { } names) _names[told.Softwire] = names;
            else _names.Remove(told.Softwire);
            Place(live.BindingOf(told.Address, told.Ports!, told.Softwire), ref lease);
        }
    }

    public void Remove(in FeedLine gone)
    {
        lock (live.Changing) Remove(gone.Softwire);
    }

    public void Complete()
    {
        lock (live.Changing)
        {
            if (_isSnapshot)
                foreach (IPv6Address softwire in _leases.Where(l => l.Value.Round != _round).Select(l => l.Key).ToArray()) Remove(softwire);
            _isSnapshot = false;
            PlaceWhoWaits();
        }
    }

    // ---- Within a change

    void Place(Binding wanted, ref Lease lease)
    {
        Binding? before = lease.IsPlaced ? table.BindingOf(wanted.Softwire) : null;
        _waiting.Remove(wanted.Softwire);
        if (before == wanted) return;
        try
        {
            live.Place(wanted, before);
            lease.IsPlaced = true;
            if (before is not null) _freed.Add(before.Address);
        }
        catch (APlusPException conflict)
        {
            _waiting.Add(wanted.Softwire, new Waiting(wanted, conflict.Message, IsNew: true));
            _someWait = true;
        }
    }

    void Remove(IPv6Address softwire)
    {
        if (!_leases.Remove(softwire, out Lease lease)) return;
        _waiting.Remove(softwire);
        _names.Remove(softwire);
        if (lease.IsPlaced) TakeOut(softwire);
    }

    void TakeOut(IPv6Address softwire)
    {
        _freed.Add(table.BindingOf(softwire)!.Address);
        live.TakeOut(softwire);
    }

    /// <summary>
    /// Ports may have moved in a circle: all who wait give back what they have before any gets what it wants. Who waits since before tries again only where ports of its address came free.
    /// </summary>
    void PlaceWhoWaits()
    {
        if (_waiting.Count > 0 && (_someWait || _freed.Count > 0))
        {
            Waiting[] again = [.. _waiting.Values.Where(w => w.IsNew || _freed.Contains(w.Binding.Address))];
            foreach (Waiting waiting in again)
            {
                ref Lease lease = ref CollectionsMarshal.GetValueRefOrNullRef(_leases, waiting.Binding.Softwire);
                if (lease.IsPlaced) TakeOut(waiting.Binding.Softwire);
                lease.IsPlaced = false;
            }

            foreach (Waiting waiting in again) Place(waiting.Binding, ref CollectionsMarshal.GetValueRefOrNullRef(_leases, waiting.Binding.Softwire));
            foreach (Waiting waiting in again)
                if (_waiting.TryGetValue(waiting.Binding.Softwire, out Waiting? still)) _waiting[waiting.Binding.Softwire] = still with { IsNew = false };
        }

        _someWait = false;
        _freed.Clear();
    }

    // ---- What time and the file do to them

    /// <summary>Ends bindings whose lease has run out; gives how many. Nobody who could be asked says that it was renewed, and its ports may be another's soon.</summary>
    public int RemoveOverdue()
    {
        lock (live.Changing)
        {
            long now = Now - (long)s_grace.TotalMilliseconds;
            if (_soonestEnd > now) return 0;
            IPv6Address[] overdue = [.. _leases.Where(l => l.Value.Until <= now).Select(l => l.Key)];
            foreach (IPv6Address softwire in overdue) Remove(softwire);
            _soonestEnd = _leases.Count == 0 ? long.MaxValue : _leases.Values.Min(l => l.Until);
            PlaceWhoWaits();
            return overdue.Length;
        }
    }

    /// <summary>What time the registry has, in ms since 1970. Our own time of day may be set at any moment, and counts only until the registry has told its own.</summary>
    long Now => _heard is { } heard ? heard.Now + (long)clock.GetElapsedTime(heard.At).TotalMilliseconds : clock.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Puts the leases beside the bindings that a file has now, which go before them. Called while <see cref="LiveBindings.Changing"/> is held.</summary>
    /// <param name="wanted">The file's bindings and rules.</param>
    /// <param name="configuration">The file.</param>
    public void Join(BindingTable wanted, PrrConfiguration configuration)
    {
        foreach (IPv6Address softwire in _leases.Keys)
        {
            ref Lease lease = ref CollectionsMarshal.GetValueRefOrNullRef(_leases, softwire);
            Binding now = _waiting.Remove(softwire, out Waiting? waiting) ? waiting.Binding : table.BindingOf(softwire)!;
            Binding next = LiveBindings.BindingOf(configuration, now.Address, now.Ports, softwire);
            try
            {
                LiveBindings.Check(configuration, wanted, next);
                wanted.Add(next);
                lease.IsPlaced = true;
            }
            catch (APlusPException conflict)
            {
                _waiting.Add(softwire, new Waiting(next, conflict.Message, IsNew: false));
                lease.IsPlaced = false;
            }
        }
    }

    /// <summary>Every lease; those that change while this is read, as they were or as they will be.</summary>
    public IEnumerable<SavedLease> Saved()
    {
        KeyValuePair<IPv6Address, Lease>[] leases;
        Dictionary<IPv6Address, Waiting> waiting;
        Dictionary<IPv6Address, ServedName[]> names;
        lock (live.Changing) (leases, waiting, names) = ([.. _leases], new Dictionary<IPv6Address, Waiting>(_waiting), new Dictionary<IPv6Address, ServedName[]>(_names));
        return leases.Select(l => (Binding: waiting.GetValueOrDefault(l.Key)?.Binding ?? table.BindingOf(l.Key), l.Value.Until))
            .Where(l => l.Binding is not null)
            .Select(l => new SavedLease(l.Binding!.Softwire, l.Binding.Address, l.Binding.Ports, l.Until, names.GetValueOrDefault(l.Binding.Softwire)));
    }

    /// <summary>Where the web servers of names are now: of leases that are in force, and at ports of their sets.</summary>
    public IReadOnlyList<WebSite> Sites()
    {
        lock (live.Changing)
        {
            return [.. _names.Where(n => Has(n.Key)).SelectMany(n =>
            {
                Binding binding = table.BindingOf(n.Key)!;
                return n.Value.Select(s => new WebSite(s.Name, binding.Address, At(s.Http), At(s.Https), s.IsProxied));
                ushort? At(ushort port) => port > 0 && binding.Ports.Contains(port) ? port : null;
            }).Where(s => s.Http is not null || s.Https is not null)];
        }
    }
}
