using APlusP.Core.Addresses;
using APlusP.Core.Forwarding.Napt;

namespace APlusP.Core.Dhcpv6;

/// <summary>
/// A DHCPv6 client, RFC 8415 section 18.2, without its socket: <see cref="Next"/> gives what is to be sent now, <see cref="Receive"/> takes what came, <see cref="Due"/> says
/// when to ask again. One thread uses it.
/// </summary>
/// <remarks>
/// <code>
///              Solicit           Advertise, Request          Reply
///  Searching ----------> Searching ----------> Requesting -------> Bound
///      ^   '---------------- Reply with Rapid Commit -------------^  |  T1: Renew to its server
///      |                                                             v
///      '------ all lifetimes over ------- Rebinding <-- T2 ------ Renewing
/// </code>
/// Without anything to lease, Information-request and Reply, again when the refresh time is over.
/// </remarks>
public sealed partial class DhcpClient
{
    static readonly TimeSpan s_longestDelay = TimeSpan.FromSeconds(1), s_betweenSearches = TimeSpan.FromSeconds(60), s_afterDecline = TimeSpan.FromSeconds(10), s_betweenRechecks = TimeSpan.FromSeconds(30);

    readonly DhcpClientOptions _options;
    readonly TimeProvider _clock;
    readonly Random _random;
    readonly long _start;
    readonly MessageBucket _bucket = new();
    readonly List<Offer> _offers = [];
    readonly List<string> _notes = [];
    Exchange? _exchange;
    Duid? _server;
    List<HeldLease> _leases = [];
    SoftwireOptions _softwires = new();
    ServicePlaces _places = ServicePlaces.None;
    TimeSpan _renewAt = TimeSpan.MaxValue, _rebindAt = TimeSpan.MaxValue;
    TimeSpan _longestSolicit = RetransmissionLimits.LongestSearch, _longestInformation = RetransmissionLimits.LongestSearch;
    bool _solicitBoundsDiffer;
    TimeSpan _recheckAt;
    int _failedSearches;

    /// <param name="options">What it asks for.</param>
    /// <param name="clock">Time.</param>
    /// <param name="random">Chance; null for that of the system, which nobody foresees (RFC 8415 section 16.1).</param>
    public DhcpClient(DhcpClientOptions options, TimeProvider clock, Random? random = null)
    {
        _options = options;
        _clock = clock;
        _random = random ?? new UnforeseeableRandom();
        _start = clock.GetTimestamp();
        Search(TimeSpan.Zero);
    }

    public DhcpClientState State { get; private set; }

    /// <summary>What it has now; null where it has nothing. Another object after every change.</summary>
    public DhcpBinding? Binding { get; private set; }

    /// <summary>Messages that came and were no answer to what was asked.</summary>
    public int Discarded { get; private set; }

    /// <summary>Time since the start, by which leases end.</summary>
    public TimeSpan Now => _clock.GetElapsedTime(_start);

    /// <summary>How long nothing need be done unless a message comes; null for ever.</summary>
    public TimeSpan? Due
    {
        get
        {
            TimeSpan at = _exchange?.At ?? _renewAt;
            foreach (HeldLease lease in Binding?.Leases ?? [])
                if (lease.ValidUntil < at) at = lease.ValidUntil;

            // One look at the clock: between two the moment may pass, and nobody can wait for less than nothing.
            TimeSpan left = at - Now;
            return at == TimeSpan.MaxValue ? null : left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>What has happened since they were taken last, a line each, for the log.</summary>
    public IReadOnlyList<string> TakeNotes()
    {
        string[] notes = [.. _notes];
        _notes.Clear();
        return notes;
    }

    void Note(string what)
    {
        if (_notes.Count < 100) _notes.Add(what);
    }

    /// <summary>The message that is to be sent now; null where there is none, and then not before <see cref="Due"/>.</summary>
    public byte[]? Next()
    {
        TimeSpan now = Now;
        DropWhatIsOver(now);
        if (_exchange is null)
        {
            if (now < _renewAt) return null;
            if (_options.IsStateless) Ask(DhcpMessageType.InformationRequest, RetransmissionLimits.Search(_longestInformation), now + Delay());
            else Renew(now);
        }

        // The first timeout of a Solicit is over, and offers are there.
        if (_exchange is { Type: DhcpMessageType.Solicit, Count: > 0 } && _offers.Count > 0 && now >= _exchange.At) RequestBest(now);
        if (_exchange!.HasFailed(now)) GiveUp(now);
        if (_exchange is not { } exchange || now < exchange.At) return null;
        if (_bucket.Take(now) is { } wait)
        {
            exchange.Postpone(now + wait);
            return null;
        }

        return Write(exchange, exchange.Sent(now, _random.Next(200_001) / 1_000_000.0 - 0.1));
    }

    TimeSpan Delay() => s_longestDelay * (_random.Next(1001) / 1000.0);

    void Ask(DhcpMessageType type, RetransmissionLimits limits, TimeSpan at, TimeSpan? end = null)
    {
        _exchange = new Exchange(type, (uint)_random.Next((int)DhcpMessage.MostTransaction + 1), limits, at) { End = end ?? TimeSpan.MaxValue };
        if (type != DhcpMessageType.InformationRequest || Binding is null) State = StateOf(type);
    }

    static DhcpClientState StateOf(DhcpMessageType type) => type switch
    {
        DhcpMessageType.Request => DhcpClientState.Requesting,
        DhcpMessageType.Renew => DhcpClientState.Renewing,
        DhcpMessageType.Rebind => DhcpClientState.Rebinding,
        DhcpMessageType.Confirm => DhcpClientState.Confirming,
        DhcpMessageType.Release or DhcpMessageType.Decline => DhcpClientState.Leaving,
        _ => DhcpClientState.Searching,
    };

    /// <summary>
    /// Looks for a server, after a random delay (section 18.2.1). What was there is no longer used (section 18.2.10.1). After searches that led to nothing there is more and more time between them,
    /// or a server that offers what it does not give would be asked all the time (section 14.1).
    /// </summary>
    void Search(TimeSpan after)
    {
        _offers.Clear();
        _server = null;
        _leases = [];
        _softwires = new SoftwireOptions();
        _renewAt = _rebindAt = TimeSpan.MaxValue;
        Binding = null;
        DhcpMessageType type = _options.IsStateless ? DhcpMessageType.InformationRequest : DhcpMessageType.Solicit;
        Ask(type, RetransmissionLimits.Search(_options.IsStateless ? _longestInformation : _longestSolicit), Now + after + Delay());
    }

    void SearchAgain(string why)
    {
        Note(why);
        TimeSpan after = TimeSpan.FromSeconds(Math.Min(1 << Math.Min(_failedSearches, 6), s_betweenSearches.TotalSeconds));
        _failedSearches++;
        Search(after);
    }

    void RequestBest(TimeSpan now)
    {
        Offer best = _offers.OrderByDescending(o => o.Preference).ThenByDescending(o => o.Usefulness).First();
        _offers.Remove(best);
        _server = best.Server;
        _leases = [.. best.Leases];
        Ask(DhcpMessageType.Request, RetransmissionLimits.Request, now);
    }

    void Renew(TimeSpan now) => Ask(DhcpMessageType.Renew, RetransmissionLimits.Renew, now, end: _rebindAt);

    void GiveUp(TimeSpan now)
    {
        switch (_exchange!.Type)
        {
            case DhcpMessageType.Request when _offers.Count > 0:
                Note($"the server {_server} does not answer; the next one that offered is asked");
                RequestBest(now);
                break;
            case DhcpMessageType.Renew:
                Note($"the server {_server} does not renew; any server is asked");
                Ask(DhcpMessageType.Rebind, RetransmissionLimits.Renew, now, end: LastEnd());
                break;
            case DhcpMessageType.Confirm:
            case DhcpMessageType.Rebind when _leases.Any(l => l.ValidUntil > now):
                // Nobody says otherwise, so what is there stays for as long as it was given (section 18.2.3).
                _exchange = null;
                State = DhcpClientState.Bound;
                break;
            case DhcpMessageType.Release:
                _exchange = null;
                _renewAt = TimeSpan.MaxValue;
                State = DhcpClientState.Gone;
                break;
            case DhcpMessageType.Decline:
                GoOnAfterDecline();
                break;
            default:
                SearchAgain($"no server answers to {_exchange.Type}");
                break;
        }
    }

    TimeSpan LastEnd() => _leases.Count == 0 ? TimeSpan.Zero : _leases.Max(l => l.ValidUntil);

    /// <summary>What time does while nothing can be sent.</summary>
    public void Expire() => DropWhatIsOver(Now);

    /// <summary>Ends leases whose time is over; without any, a server is searched.</summary>
    void DropWhatIsOver(TimeSpan now)
    {
        if (Binding is null || _leases.RemoveAll(l => l.ValidUntil <= now) == 0) return;
        if (_leases.Count > 0) Publish();
        else SearchAgain("the time of everything that the server gave is over");
    }

    void Publish()
    {
        if (_server is { } server) Binding = new DhcpBinding(server, [.. _leases], _softwires, _places);
    }

    /// <summary>Gives back what it has, and does nothing more. What is given back must not be in use any more (section 18.2.7).</summary>
    public void Release()
    {
        Binding = null;
        if (_server is null || _leases.Count == 0 || State is DhcpClientState.Searching or DhcpClientState.Requesting)
        {
            _exchange = null;
            _renewAt = TimeSpan.MaxValue;
            _leases = [];
            State = DhcpClientState.Gone;
            return;
        }

        Ask(DhcpMessageType.Release, RetransmissionLimits.Farewell, Now);
    }

    IPv6Address _declined;

    /// <summary>Says that an address that it was given is somebody else's already (section 18.2.8).</summary>
    public void Decline(IPv6Address address)
    {
        if (_leases.RemoveAll(l => l.Kind == DhcpOption.IaNa && l.Prefix.Address == address) == 0) return;
        Note($"{address} is in use by another on the link");
        _declined = address;
        Publish();
        Ask(DhcpMessageType.Decline, RetransmissionLimits.Farewell, Now);
    }

    /// <summary>What is left stays, and with its next renewal, which is soon, another address is asked for (section 18.2.8); a server that gives the same again is not asked all the time.</summary>
    void GoOnAfterDecline()
    {
        _exchange = null;
        State = DhcpClientState.Bound;
        if (_leases.Count == 0) SearchAgain("the only address was another's");
        else _renewAt = Min(_renewAt, Now + s_afterDecline);
    }

    /// <summary>
    /// The link may be another one: prefixes are verified by any server, addresses alone confirmed, and information asked for anew (section 18.2.12). However often that is said, it is done once in 30 s.
    /// </summary>
    public void Recheck()
    {
        if (State is not (DhcpClientState.Bound or DhcpClientState.Renewing or DhcpClientState.Rebinding) || _exchange is { Count: 0 }) return;
        TimeSpan at = (Now > _recheckAt ? Now : _recheckAt) + Delay();
        _recheckAt = at + s_betweenRechecks;
        if (_options.IsStateless) Ask(DhcpMessageType.InformationRequest, RetransmissionLimits.Search(_longestInformation), at);
        else Ask(_leases.Any(l => l.Kind == DhcpOption.IaPd) ? DhcpMessageType.Rebind : DhcpMessageType.Confirm, RetransmissionLimits.Confirm, at);
    }

    /// <summary>What a server would give.</summary>
    /// <param name="Usefulness">How much of what was asked for.</param>
    sealed record Offer(Duid Server, byte Preference, int Usefulness, IReadOnlyList<HeldLease> Leases);
}
