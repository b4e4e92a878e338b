using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Core.PortSets;
using APlusP.Registry.Leases;

namespace APlusP.Registry.Dhcpv6;

/// <summary>
/// The server of RFC 8415 section 18.3 and RFC 7598 section 7, without its socket: a message in, the answer out. A client is a subscriber by its DUID, and what it has is a lease like any other.
/// </summary>
sealed class DhcpResponder
{
    static readonly TimeSpan s_refresh = TimeSpan.FromSeconds(86_400), s_leastRefresh = TimeSpan.FromSeconds(600);

    /// <summary>Who the memory says it was.</summary>
    const string Actor = "dhcpv6";

    /// <summary>The longest DUID whose digits are a subscriber's name; longer ones are told by their hash.</summary>
    const int LongestInName = 58;

    readonly DhcpServerSettings _settings;
    readonly Registrar _registrar;
    readonly Duid _self;
    readonly HomePrefixes _prefixes;

    public DhcpResponder(DhcpServerSettings settings, Registrar registrar, Duid self)
    {
        _settings = settings;
        _registrar = registrar;
        _self = self;
        _prefixes = new HomePrefixes(settings, registrar.Policy);
    }

    /// <summary>What the names of its subscribers begin with.</summary>
    public const string SubscriberPrefix = "duid-";

    /// <summary>What a client is called as a subscriber: "duid-00030001525400123456".</summary>
    public static string SubscriberOf(Duid client) => client.Bytes.Length <= LongestInName
        ? $"{SubscriberPrefix}{Convert.ToHexStringLower(client.Bytes)}"
        : $"{SubscriberPrefix}sha256-{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(client.Bytes))}";

    /// <summary>The answer to a message; null where there is none.</summary>
    /// <param name="message">It, as it came.</param>
    /// <param name="toAll">Whether it was sent to all servers rather than to us alone.</param>
    /// <exception cref="Refusal">The database does not answer; the client will ask again.</exception>
    public Task<byte[]?> Answer(ReadOnlyMemory<byte> message, bool toAll) => Answer(message, toAll, depth: 0);

    /// <summary>A relay agent's message holds another, and its answer another's (section 19.3).</summary>
    async Task<byte[]?> Answer(ReadOnlyMemory<byte> message, bool toAll, int depth)
    {
        if (Unwrap(message, out Wrapping wrapping))
        {
            if (depth > RelayMessage.HopCountLimit) return null;
            return await Answer(wrapping.Inner, toAll: true, depth + 1) is { } answer
                ? RelayMessage.Write(DhcpMessageType.RelayReply, wrapping.HopCount, wrapping.Link, wrapping.Peer, wrapping.InterfaceId, answer) : null;
        }

        if (DhcpQuestion.Read(message.Span, _self) is not { } question) return null;
        if (toAll) return await Answer(question);

        // By unicast without our leave: discarded, or told to ask all (sections 16 and 18.4).
        if (question.IsForAll) return null;
        DhcpWriter refusal = Begin(DhcpMessageType.Reply, question);
        refusal.Status(DhcpStatusCode.UseMulticast, "Ask by multicast, as this server gave no leave to ask it alone.");
        return refusal.ToArray();
    }

    readonly record struct Wrapping(byte HopCount, IPv6Address Link, IPv6Address Peer, byte[] InterfaceId, byte[] Inner);

    static bool Unwrap(ReadOnlyMemory<byte> message, out Wrapping wrapping)
    {
        wrapping = default;
        if (!RelayMessage.TryRead(message.Span, out RelayMessage relay) || relay.Type != DhcpMessageType.RelayForward || !relay.Options.TryFind(DhcpOption.RelayMessage, out ReadOnlySpan<byte> inner)) return false;
        relay.Options.TryFind(DhcpOption.InterfaceId, out ReadOnlySpan<byte> interfaceId);
        wrapping = new Wrapping(relay.HopCount, relay.LinkAddress, relay.PeerAddress, interfaceId.ToArray(), inner.ToArray());
        return true;
    }

    async Task<byte[]?> Answer(DhcpQuestion question)
    {
        switch (question.Type)
        {
            case DhcpMessageType.Solicit when !(question.RapidCommit && _settings.RapidCommit):
                return Finish(Begin(DhcpMessageType.Advertise, question), question, await Offer(question));
            case DhcpMessageType.Solicit or DhcpMessageType.Request:
                return Finish(Begin(DhcpMessageType.Reply, question), question, await Give(question));
            case DhcpMessageType.Renew:
                return Finish(Begin(DhcpMessageType.Reply, question), question, await Extend(question) ?? new Grant(null, new DhcpStatus(DhcpStatusCode.NoBinding, "This server has no lease of this client.")));
            case DhcpMessageType.Rebind:
                // Who is somebody else's is left to them.
                Grant? extended = await Extend(question) ?? (_settings.RapidCommit ? await Give(question) : null);
                return extended is null ? null : Finish(Begin(DhcpMessageType.Reply, question), question, extended);
            case DhcpMessageType.Release or DhcpMessageType.Decline:
                return await TakeBack(question);
            case DhcpMessageType.InformationRequest:
                return Inform(question);
            default:
                // Confirm is about addresses, and we give none: no answer (section 18.3.3).
                return null;
        }
    }

    /// <summary>What a client has, or would have, or why it has nothing.</summary>
    sealed record Grant(Home? Home, DhcpStatus Refused);

    /// <summary>A subscriber's part: from a lease, or from one that it would get.</summary>
    sealed record Home(IPv4Address Address, PortSet Ports, IPv6Address Softwire, TimeSpan Left);

    Home Of(Lease lease) => new(lease.Address, lease.Ports, lease.Softwire, lease.Until - _registrar.Now);

    Lease? LeaseOf(DhcpQuestion question) => question.Client is not { } client ? null : _registrar.Read(s => s.One(
        $"SELECT {Lease.Columns} FROM lease WHERE subscriber = @subscriber AND ended IS NULL AND until > @now", Lease.Read, ("subscriber", SubscriberOf(client)), ("now", _registrar.Now.ToUnixTimeMilliseconds())));

    static bool WantsPrefix(DhcpQuestion question) => question.Associations.Any(a => a.Kind == DhcpOption.IaPd);

    /// <summary>What it has, else what it would get now; nothing is kept for it until it asks.</summary>
    async Task<Grant> Offer(DhcpQuestion question)
    {
        if (LeaseOf(question) is { } lease) return new Grant(Of(lease), default);
        if (!WantsPrefix(question)) return Nothing;
        return await Granted(book =>
        {
            (IPv4Address address, PortSet ports) = book.Offer(SubscriberOf(question.Client!), _settings.Class);
            return new Home(address, ports, SoftwireFor(address, ports), _registrar.Policy.LeaseTime);
        });
    }

    /// <summary>A lease for its whole time. Without a prefix to lease, there is none: the ports would be the client's for ever.</summary>
    async Task<Grant> Give(DhcpQuestion question)
    {
        Lease? has = LeaseOf(question);
        if (!WantsPrefix(question)) return has is null ? Nothing : new Grant(Of(has), default);
        return await Granted(book =>
        {
            if (has is not null) return Of(book.Renew(has.Id));
            (Lease lease, bool isNew) = book.Grant(SubscriberOf(question.Client!), SoftwireFor, _settings.Class);
            return Of(isNew ? lease : book.Renew(lease.Id));
        });
    }

    /// <summary>More time for a lease that there is; null where there is none.</summary>
    async Task<Grant?> Extend(DhcpQuestion question) => LeaseOf(question) is not { } lease ? null : await Granted(book => Of(book.Renew(lease.Id)));

    static Grant Nothing => new(null, new DhcpStatus(DhcpStatusCode.NoPrefixAvail, "Nothing is kept for this client."));

    async Task<Grant> Granted(Func<LeaseBook, Home> change)
    {
        try
        {
            return new Grant(await _registrar.Change(Actor, change), default);
        }
        catch (Refusal refusal) when (refusal.Code != ErrorCodes.StorageAway)
        {
            return new Grant(null, new DhcpStatus(DhcpStatusCode.NoPrefixAvail, refusal.Message));
        }
    }

    IPv6Address SoftwireFor(IPv4Address address, PortSet ports) => _prefixes.SoftwireFor(address, ports)
        ?? throw new Refusal(ErrorCodes.PoolExhausted, $"There is no prefix for {ports} of {address}: no [[dhcpv6.rule]] says whose they are, and there are no 'prefixes'.");

    async Task<byte[]> TakeBack(DhcpQuestion question)
    {
        Lease? lease = LeaseOf(question);
        IPv6Prefix? own = lease is null ? null : _prefixes.Of(lease.Softwire);
        bool returns = question.Type == DhcpMessageType.Release && question.Associations.Any(a => a.Kind == DhcpOption.IaPd && a.Leases.Any(l => l.Prefix == own));
        if (returns) await Granted(book => Of(book.Release(lease!.Id)));
        DhcpWriter reply = Begin(DhcpMessageType.Reply, question);
        reply.Status(DhcpStatusCode.Success, "");
        foreach (IdentityAssociation association in question.Associations.Where(a => !returns || a.Leases.All(l => l.Prefix != own)))
            new IdentityAssociation(association.Kind, association.Id, []) { Status = new DhcpStatus(DhcpStatusCode.NoBinding, "This is not leased to this client.") }.Write(reply);
        return reply.ToArray();
    }

    byte[] Inform(DhcpQuestion question)
    {
        Home? home = LeaseOf(question) is { } lease ? Of(lease) : null;
        DhcpWriter reply = Begin(DhcpMessageType.Reply, question);
        Tell(reply, question, home);
        if (!question.Requested.Contains(DhcpOption.InformationRefreshTime)) return reply.ToArray();
        TimeSpan refresh = home is null || home.Left / 2 > s_refresh ? s_refresh : home.Left / 2 < s_leastRefresh ? s_leastRefresh : home.Left / 2;
        reply.Option(DhcpOption.InformationRefreshTime, (uint)refresh.TotalSeconds);
        return reply.ToArray();
    }

    DhcpWriter Begin(DhcpMessageType type, DhcpQuestion question)
    {
        DhcpWriter writer = DhcpMessage.Begin(type, question.Transaction);
        writer.Option(DhcpOption.ServerId, _self.Bytes);
        if (question.Client is { } client) writer.Option(DhcpOption.ClientId, client.Bytes);
        return writer;
    }

    byte[] Finish(DhcpWriter writer, DhcpQuestion question, Grant grant)
    {
        IPv6Prefix? prefix = grant.Home is { } home ? _prefixes.Of(home.Softwire) : null;
        bool isFirst = true;
        foreach (IdentityAssociation association in question.Associations)
        {
            Write(writer, association, isFirst && association.Kind == DhcpOption.IaPd ? prefix : null, grant);
            isFirst &= association.Kind != DhcpOption.IaPd;
        }

        if (question.Type == DhcpMessageType.Solicit)
        {
            if (question.RapidCommit && _settings.RapidCommit) writer.Option(DhcpOption.RapidCommit, default(ReadOnlySpan<byte>));
            else if (_settings.Preference > 0) writer.Option(DhcpOption.Preference, [_settings.Preference]);
        }

        Tell(writer, question, grant.Home);
        return writer.ToArray();
    }

    /// <summary>A home has one prefix. What else it asks for it does not get, and is told so.</summary>
    static void Write(DhcpWriter writer, IdentityAssociation asked, IPv6Prefix? prefix, Grant grant)
    {
        if (prefix is { } own && grant.Home is { } home)
        {
            uint valid = (uint)Math.Clamp(home.Left.TotalSeconds, 1, uint.MaxValue - 1);

            // A prefix that is not ours any more ends at once (section 18.3.4).
            IEnumerable<DhcpLease> others = asked.Leases.Where(l => l.Prefix != own && !l.Prefix.Address.Equals(IPv6Address.Unspecified)).Select(l => new DhcpLease(l.Prefix, 0, 0));
            new IdentityAssociation(asked.Kind, asked.Id, [new DhcpLease(own, valid, valid), .. others]) { T1 = valid / 2, T2 = (uint)(valid * 4L / 5) }.Write(writer);
            return;
        }

        DhcpStatus status = grant.Refused.Code == DhcpStatusCode.NoBinding ? grant.Refused
            : asked.Kind == DhcpOption.IaNa ? new DhcpStatus(DhcpStatusCode.NoAddrsAvail, "This server gives no addresses, only prefixes.")
            : grant.Refused.Code != DhcpStatusCode.Success ? grant.Refused
            : new DhcpStatus(DhcpStatusCode.NoPrefixAvail, "This client has its prefix by another association, or not from this server.");
        new IdentityAssociation(asked.Kind, asked.Id, []) { Status = status }.Write(writer);
    }

    /// <summary>The softwire options that the client has asked for (RFC 7598 section 7), and which of them is to be preferred.</summary>
    void Tell(DhcpWriter writer, DhcpQuestion question, Home? home)
    {
        var told = new List<DhcpOption>();
        foreach (DhcpOption mechanism in _settings.Mechanisms.Where(question.Requested.Contains))
        {
            if (mechanism == DhcpOption.S46Lightweight && home is not null) Lightweight(home).Write(writer);
            else if (mechanism == DhcpOption.S46MapE && _settings.Rules.Count > 0) new MapDomain(_settings.Rules, _settings.BorderRelays).Write(writer);
            else continue;
            told.Add(mechanism);
        }

        if (told.Count > 1 && question.Requested.Contains(DhcpOption.S46Priority)) writer.Option(DhcpOption.S46Priority, told);
    }

    LightweightSoftwire Lightweight(Home home) => SoftwireOf(home.Address, home.Ports, home.Softwire, _prefixes, _settings);

    /// <summary>
    /// A lease as a client of lightweight 4over6 is told it. It takes one PSID, so of a lease that has grown it is told the first part that is one. The binding prefix is the home's, where the client makes
    /// the softwire's address out of that, else the address itself.
    /// </summary>
    public static LightweightSoftwire SoftwireOf(IPv4Address address, PortSet ports, IPv6Address softwire, HomePrefixes prefixes, DhcpServerSettings settings)
    {
        Psid? psid = PsidForm.Of(ports) ?? FirstPart(ports.Ranges.First());
        IPv6Prefix prefix = prefixes.Of(softwire) ?? IPv6Prefix.Of(softwire, 64);
        if (MappingRule.CeAddress(prefix, address, psid.Value.Value) != softwire) prefix = IPv6Prefix.Of(softwire, 128);
        return new LightweightSoftwire(settings.BorderRelays, new AddressBinding(address, prefix, psid.Value.Length == 0 ? null : psid));
    }

    /// <summary>The largest part of a range, from its beginning, that is one PSID without an offset.</summary>
    static Psid FirstPart(PortRange range)
    {
        int bits = 0;
        while (bits < 15 && (range.First & (1 << (bits + 1)) - 1) == 0 && 1 << (bits + 1) <= range.Count) bits++;
        return new Psid(0, 16 - bits, range.First >> bits);
    }
}
