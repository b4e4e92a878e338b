namespace APlusP.Core.Dhcpv6;

/// <summary>What a client hears, RFC 8415 sections 16, 18.2.9 and 18.2.10.</summary>
public sealed partial class DhcpClient
{
    static readonly TimeSpan s_refreshDefault = TimeSpan.FromSeconds(86_400), s_refreshLeast = TimeSpan.FromSeconds(600);

    const byte DecidesAtOnce = 255;

    const int LeastBound = 60, MostBound = 86_400;

    /// <summary>Takes a message that came on the link. What does not answer our own is discarded (section 16).</summary>
    public void Receive(ReadOnlySpan<byte> bytes)
    {
        if (_exchange is { Count: > 0 } exchange && DhcpMessage.TryRead(bytes, out DhcpMessage message) && message.Transaction == exchange.Transaction
            && Duid.TryRead(message.Options, DhcpOption.ServerId, out Duid? server)
            && Duid.TryRead(message.Options, DhcpOption.ClientId, out Duid? client) && client!.Equals(_options.Duid))
        {
            switch (message.Type)
            {
                case DhcpMessageType.Advertise when exchange.Type == DhcpMessageType.Solicit:
                    TakeBounds(message.Options);
                    TakeAdvertise(message.Options, server!, exchange);
                    return;
                case DhcpMessageType.Reply when exchange.Type != DhcpMessageType.Solicit || (_options.RapidCommit && message.Options.Has(DhcpOption.RapidCommit)):
                    TakeBounds(message.Options);
                    TakeReply(message.Options, server!, exchange);
                    return;
            }
        }

        Discarded++;
    }

    /// <summary>SOL_MAX_RT and INF_MAX_RT count even where the rest of the message does not; where servers differ, neither (section 18.2.9).</summary>
    void TakeBounds(DhcpOptions options)
    {
        if (options.Number(DhcpOption.SolMaxRt) is >= LeastBound and <= MostBound and { } solicit)
        {
            TimeSpan said = TimeSpan.FromSeconds(solicit);
            if (_exchange!.Type == DhcpMessageType.Solicit && _longestSolicit != RetransmissionLimits.LongestSearch && _longestSolicit != said) _solicitBoundsDiffer = true;
            _longestSolicit = _solicitBoundsDiffer && _exchange.Type == DhcpMessageType.Solicit ? RetransmissionLimits.LongestSearch : said;
            if (_exchange.Type == DhcpMessageType.Solicit) _exchange.Longest = _longestSolicit;
        }

        if (options.Number(DhcpOption.InfMaxRt) is not (>= LeastBound and <= MostBound and { } information)) return;
        _longestInformation = TimeSpan.FromSeconds(information);
        if (_exchange!.Type == DhcpMessageType.InformationRequest) _exchange.Longest = _longestInformation;
    }

    void TakeAdvertise(DhcpOptions options, Duid server, Exchange exchange)
    {
        List<HeldLease> leases = [.. Ours(options).SelectMany(a => Held(a, Now)).Where(l => l.ValidUntil > Now)];
        if (leases.Count == 0)
        {
            Note($"the server {server} offers nothing: {StatusOf(options)}");
            return;
        }

        byte preference = options.TryFind(DhcpOption.Preference, out ReadOnlySpan<byte> value) && value.Length == 1 ? value[0] : (byte)0;
        int usefulness = leases.Select(l => l.Kind).Distinct().Count();
        foreach (DhcpOption requested in _options.Requested)
            if (options.Has(requested)) usefulness++;
        _offers.RemoveAll(o => o.Server.Equals(server));
        _offers.Add(new Offer(server, preference, usefulness, leases));

        // After the first timeout the first offer is as good as any.
        if (preference == DecidesAtOnce || exchange.Count > 1) exchange.Hasten(Now);
    }

    void TakeReply(DhcpOptions options, Duid server, Exchange exchange)
    {
        DhcpStatus status = options.Status;
        switch (exchange.Type)
        {
            case DhcpMessageType.Release:
                // Whatever the server says, it is over (section 18.2.10.2).
                _leases = [];
                _renewAt = TimeSpan.MaxValue;
                _exchange = null;
                State = DhcpClientState.Gone;
                return;
            case DhcpMessageType.Decline:
                GoOnAfterDecline();
                return;
            case DhcpMessageType.Confirm when status.Code == DhcpStatusCode.NotOnLink:
            case DhcpMessageType.Request or DhcpMessageType.Solicit when status.Code == DhcpStatusCode.NotOnLink:
                SearchAgain($"the server {server} says {status}");
                return;
            case DhcpMessageType.Confirm:
                _exchange = null;
                State = DhcpClientState.Bound;
                return;
        }

        if (status.Code == DhcpStatusCode.UnspecFail)
        {
            // The message is repeated, no faster than if nobody had answered.
            Note($"the server {server} says {status}");
            return;
        }

        if (exchange.Type == DhcpMessageType.InformationRequest) TakeInformation(options, server);
        else TakeLeases(options, server, exchange);
    }

    void TakeInformation(DhcpOptions options, Duid server)
    {
        TimeSpan refresh = options.Number(DhcpOption.InformationRefreshTime) switch
        {
            null => s_refreshDefault,
            IdentityAssociation.Infinity => TimeSpan.MaxValue,
            { } seconds => TimeSpan.FromSeconds(seconds) < s_refreshLeast ? s_refreshLeast : TimeSpan.FromSeconds(seconds),
        };
        _renewAt = refresh == TimeSpan.MaxValue ? refresh : Now + refresh;
        Settle(options, server);
    }

    void TakeLeases(DhcpOptions options, Duid server, Exchange exchange)
    {
        TimeSpan now = Now;
        List<IdentityAssociation> associations = Ours(options);
        bool isFirst = exchange.Type is DhcpMessageType.Request or DhcpMessageType.Solicit;
        if (!isFirst && associations.Any(a => a.Status.Code == DhcpStatusCode.NoBinding))
        {
            // The server does not know us any more, but may give all of it again (section 18.2.10.1).
            Note($"the server {server} knows no binding of ours");
            _server = server;
            Ask(DhcpMessageType.Request, RetransmissionLimits.Request, now);
            return;
        }

        // Nothing about what we have: as if it had not come (section 18.2.10.1).
        if (!isFirst && !associations.Any(a => a.Leases.Count > 0)) return;

        // What a Request bore were offers, or what the server did not know any more. In other messages it is ours, and what the server does not speak of stays as it is.
        if (isFirst) _leases.RemoveAll(l => Binding is null || associations.Any(a => a.Kind == l.Kind && a.Leases.Count > 0));
        foreach (HeldLease lease in associations.SelectMany(a => Held(a, now)))
        {
            _leases.RemoveAll(l => l.Kind == lease.Kind && l.Prefix == lease.Prefix);
            if (lease.ValidUntil > now) _leases.Add(lease);
        }

        if (_leases.Count == 0)
        {
            string why = $"the server {server} gives nothing: {StatusOf(options)}";
            if (isFirst && _offers.Count > 0)
            {
                Note(why);
                RequestBest(now);
            }
            else
            {
                SearchAgain(why);
            }

            return;
        }

        SetTimes(associations, now);
        Settle(options, server);
    }

    void Settle(DhcpOptions options, Duid server)
    {
        _server = server;
        _softwires = SoftwireOptions.Read(options);
        _places = ServicePlaces.Read(options);
        foreach (string ignored in _softwires.Ignored) Note($"left out of what the server {server} says: {ignored}");
        _offers.Clear();
        _failedSearches = 0;
        _exchange = null;
        State = DhcpClientState.Bound;
        Publish();
    }

    /// <summary>The earliest T1 and T2 of all (section 18.2.4). Where the server leaves them to us: half of, and four fifths of, the shortest preferred lifetime.</summary>
    void SetTimes(List<IdentityAssociation> associations, TimeSpan now)
    {
        TimeSpan t1 = TimeSpan.MaxValue, t2 = TimeSpan.MaxValue;
        foreach (IdentityAssociation association in associations.Where(a => a.Leases.Count > 0))
        {
            TimeSpan shortest = Held(association, now).Select(l => (l.PreferredUntil > now ? l.PreferredUntil : l.ValidUntil) - now).DefaultIfEmpty(TimeSpan.MaxValue).Min();
            t1 = Min(t1, Time(association.T1, shortest, 0.5));
            t2 = Min(t2, Time(association.T2, shortest, 0.8));
        }

        if (t2 < t1) t1 = t2;
        _renewAt = After(now, t1);
        _rebindAt = After(now, t2);

        static TimeSpan Time(uint said, TimeSpan shortest, double part) =>
            said == IdentityAssociation.Infinity ? TimeSpan.MaxValue : said > 0 ? TimeSpan.FromSeconds(said) : shortest > s_forEver ? TimeSpan.MaxValue : shortest * part;
    }

    static readonly TimeSpan s_forEver = TimeSpan.FromSeconds(IdentityAssociation.Infinity);

    static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    static TimeSpan After(TimeSpan now, TimeSpan time) => time == TimeSpan.MaxValue ? time : now + time;

    /// <summary>The associations that we asked for. One whose T1 is behind its T2 is invalid (section 21.4).</summary>
    List<IdentityAssociation> Ours(DhcpOptions options) =>
    [
        .. IdentityAssociation.ReadAll(options).Where(a => a.Id == _options.AssociationId && (a.Kind == DhcpOption.IaNa ? _options.Address : _options.Prefix)
            && (a.T1 <= a.T2 || a.T2 == 0)),
    ];

    /// <summary>What it holds, by our clock; without what is preferred for longer than it is valid (section 21.6).</summary>
    static IEnumerable<HeldLease> Held(IdentityAssociation association, TimeSpan now) =>
        from lease in association.Leases
        where lease.Preferred <= lease.Valid && (association.Kind == DhcpOption.IaPd ? lease.Prefix.Length > 0 : lease.Prefix.Address.IsUnicast)
        select new HeldLease(association.Kind, lease.Prefix, Until(lease.Preferred, now), Until(lease.Valid, now));

    static TimeSpan Until(uint seconds, TimeSpan now) => seconds == IdentityAssociation.Infinity ? TimeSpan.MaxValue : now + TimeSpan.FromSeconds(seconds);

    /// <summary>Why a message has no leases: its own status, or that of its associations.</summary>
    DhcpStatus StatusOf(DhcpOptions options) =>
        options.Status.Code != DhcpStatusCode.Success ? options.Status : Ours(options).Select(a => a.Status).FirstOrDefault(s => s.Code != DhcpStatusCode.Success);
}
