using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Pcp;
using APlusP.Core.PortSets;
using APlusP.Registry.Leases;

namespace APlusP.Registry.Pcp;

/// <summary>
/// The PCP server of RFC 6887 with the port sets of RFC 7753, without its socket: a request in, the answer out. Who asks is a subscriber by its home's prefix, and has one mapping, of all protocols and
/// all its ports to a range of a shared address: a lease like any other, whose softwire ends at the client's address.
/// </summary>
sealed class PcpResponder
{
    /// <summary>Who the memory says it was.</summary>
    const string Actor = "pcp";

    readonly PcpServerSettings _settings;
    readonly Registrar _registrar;
    readonly PcpCounters _counters;
    readonly RateLimiter _limiter;
    readonly Lock _limiting = new();
    readonly TimeSpan _epochAtStart;
    readonly long _start;

    public PcpResponder(PcpServerSettings settings, Registrar registrar, PcpCounters counters)
    {
        _settings = settings;
        _registrar = registrar;
        _limiter = new RateLimiter(registrar.Clock.TimestampFrequency);
        _counters = counters;

        // What it knows it has known since the tables were made: a restart loses nothing of it (RFC 6887 section 8.5).
        long began = registrar.Read(s => s.One("SELECT at FROM schema_step WHERE step = 1", r => r.GetInt64(0)));
        _epochAtStart = registrar.Now - DateTimeOffset.FromUnixTimeMilliseconds(began);
        _start = registrar.Clock.GetTimestamp();
    }

    /// <summary>What the names of its subscribers begin with.</summary>
    public const string SubscriberPrefix = "pcp-";

    /// <summary>What a client is called as a subscriber: "pcp-2001:db8:1:2::/64".</summary>
    public static string SubscriberOf(IPv6Prefix home) => $"{SubscriberPrefix}{home}";

    /// <summary>Seconds since the state of this registry began; they go on over its restarts.</summary>
    uint Epoch => (uint)Math.Max(0, (_epochAtStart + _registrar.Clock.GetElapsedTime(_start)).TotalSeconds);

    /// <summary>The answer to a request; null where there is none.</summary>
    /// <param name="message">It, as it came.</param>
    /// <param name="source">Who sent it.</param>
    public async Task<byte[]?> Answer(ReadOnlyMemory<byte> message, IPv6Address source)
    {
        if (PcpRequest.IsDiscarded(message.Span))
        {
            _counters.CountDiscarded();
            return null;
        }

        if (!MayAskNow(source))
        {
            _counters.CountLimited();
            return null;
        }

        PcpOutcome outcome = Judge(message.Span, source, out Wish? wish) ?? await Serve(wish!);
        _counters.Count(outcome.Result);
        return outcome.Write(message.Span, Epoch, wish?.Map, wish?.Set);
    }

    /// <summary>Those that come too fast are left to be repeated (section 8.3), so that one home's flood takes nothing from the others.</summary>
    bool MayAskNow(IPv6Address source)
    {
        UInt128 home = (_settings.HomeOf(source) ?? IPv6Prefix.Of(source, PcpServerSettings.DefaultHomeLength)).Address.Value;
        lock (_limiting) return _limiter.TryTake(_settings.RequestsPerSecond, _settings.RequestsPerHome, (ulong)(home >> 64) ^ (ulong)home, _registrar.Clock.GetTimestamp());
    }

    /// <summary>What a client wants of its mapping: for how long, and how many ports; no time to delete it.</summary>
    sealed record Wish(string Subscriber, IPv6Address Client, PcpMap Map, PcpPortSet? Set, TimeSpan Time);

    /// <summary>All that can be said without the database; null where that has to be asked.</summary>
    PcpOutcome? Judge(ReadOnlySpan<byte> message, IPv6Address source, out Wish? wish)
    {
        wish = null;
        if (PcpRequest.Read(message, source, PcpOptionSet.PreferFailure | PcpOptionSet.PortSet, out PcpRequest request) is not PcpResult.Success and var fault) return PcpOutcome.Refused(fault);
        if (_settings.HomeOf(source) is not { } home || !source.IsUnicast) return PcpOutcome.Refused(PcpResult.NotAuthorized);
        if (request.Opcode == PcpOpcode.Announce) return PcpOutcome.Done;
        PcpPortSet? set = request.PortSet(out fault);
        if (fault != PcpResult.Success) return PcpOutcome.Refused(fault);
        wish = new Wish(SubscriberOf(home), source, request.Map, set, TimeSpan.FromSeconds(request.Lifetime));
        bool deletes = request.Lifetime == 0;

        // A lease is of all protocols: there is no mapping of one to make, nor to delete, which then succeeds (section 15.1).
        if (request.Map.Protocol != 0) return deletes ? PcpOutcome.Done : PcpOutcome.Refused(PcpResult.UnsupportedProtocol);

        // All ports of an address, or one, are not to be had.
        return set is null && !deletes ? PcpOutcome.Refused(PcpResult.NotAuthorized) : null;
    }

    async Task<PcpOutcome> Serve(Wish wish)
    {
        try
        {
            return await _registrar.Change(Actor, book => Serve(wish, book));
        }
        catch (Refusal refusal)
        {
            return refusal.Code switch
            {
                ErrorCodes.StorageAway => PcpOutcome.Refused(PcpResult.NetworkFailure),
                ErrorCodes.PoolExhausted or ErrorCodes.TooSoon => PcpOutcome.Refused(PcpResult.NoResources, refusal.RetryAfter),
                _ => PcpOutcome.Refused(PcpResult.NotAuthorized),
            };
        }
    }

    PcpOutcome Serve(Wish wish, LeaseBook book)
    {
        string nonce = wish.Map.Nonce.ToString();
        (Lease Lease, string? Nonce)? held = book.Held(wish.Subscriber);
        if (held is var (other, known) && known is not null && known != nonce)
        {
            // Somebody else's mapping is not touched while it stands (section 11.3); a second one a home does not get.
            return other.Softwire == wish.Client ? PcpOutcome.Refused(PcpResult.NotAuthorized, other.Until - book.Now) : PcpOutcome.Refused(PcpResult.UserExceedsQuota);
        }

        if (wish.Time == TimeSpan.Zero)
        {
            if (held is var (own, _)) book.Release(own.Id);
            return PcpOutcome.Done;
        }

        var terms = new RangeTerms(wish.Set!.Value.Size, PcpOutcome.Within(wish.Time, _registrar.Policy.LeaseTime), wish.Map.External is { } address ? (address, wish.Map.ExternalPort) : null);
        (Lease lease, PortRange range) = book.GrantRange(wish.Subscriber, wish.Client, _settings.Class, terms);
        if (lease.Id != held?.Lease.Id || held?.Nonce is null) book.Entrust(lease, nonce);
        return new PcpOutcome(PcpResult.Success, lease.Until - book.Now, lease.Address, range);
    }
}
