using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;

namespace APlusP.Core.Forwarding.PathMtus;

/// <summary>A probe that is to be sent: an ICMPv6 echo request of exactly this many octets.</summary>
readonly record struct Probe(Softwire.Path Path, int Octets, ushort Sequence, ulong Nonce);

/// <summary>The path MTU of one softwire as it is known now.</summary>
public readonly record struct KnownPathMtu(IPv6Address Softwire, int PathMtu, int Configured);

/// <summary>
/// What the path to each softwire carries, in one direction: from us to it. Learnt from ICMPv6 Packet Too Big (RFC 8201), and by probes of our own
/// (packetization layer path MTU discovery, RFC 8899) where those are swallowed. Shared by the workers of a daemon.
/// </summary>
/// <remarks>
/// A path is watched from the first large packet that goes along it, and while large packets do. A probe of the size in use goes every 300 ms; three that stay unanswered while a small one is answered mean that the path
/// has become narrower without saying so: 1280, which every IPv6 path carries, is used at once, and the largest size is searched for from there. A peer that answers
/// no probe at all proves nothing, and the size stays. After <see cref="DiscoveryOptions.RaiseAfter"/> a larger size is tried again.
/// <para>Readers take no lock (a sequence number tells them that an entry changed under their eyes); everything rare does.</para>
/// </remarks>
public sealed class PathMtuTable
{
    /// <summary>RFC 8200 section 5: every IPv6 path carries it.</summary>
    public const int Least = 1280;

    // RFC 8899 section 5.1.2 calls it MAX_PROBES.
    const int MaxProbes = 3;

    const int ConfirmMilliseconds = 300, SilentMilliseconds = 30_000, LeastWaitMilliseconds = 150, MostWaitMilliseconds = 1000;

    // A path that carries no large packet for so long is left alone, and may be forgotten for another.
    const int IdleMilliseconds = 2000;

    // Sizes this close are not worth another probe.
    const int SearchStep = 8;

    readonly TimeProvider _time;
    readonly Lock _changing = new();
    readonly Entry[] _entries;
    readonly ChainTable _byPeer;
    readonly EntryPool _free;
    readonly ulong _secret;
    readonly long _millisecond;
    DiscoveryOptions _options;
    uint _version;
    int _used, _turn;
    long _nextDue = long.MaxValue, _nextProbe;
    ushort _sequence;

    /// <param name="options">How it goes about it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="secret">What nobody on the way knows: answers to probes must show that they saw the probe.</param>
    public PathMtuTable(DiscoveryOptions options, TimeProvider time, ulong secret)
    {
        _options = options;
        _time = time;
        _secret = secret;
        _millisecond = time.TimestampFrequency / 1000;
        _entries = new Entry[options.MaxPaths + 1];
        _byPeer = new ChainTable(options.MaxPaths, secret);
        _free = new EntryPool(options.MaxPaths);
    }

    /// <summary>May be exchanged while it lives; the number of paths stays that of the first.</summary>
    public DiscoveryOptions Options
    {
        get => _options;
        set
        {
            lock (_changing)
            {
                _options = value;
                if (!value.IsOn)
                    for (int at = 1; at < _entries.Length; at++) _entries[at].Mtu = 0;
            }
        }
    }

    /// <summary>Path MTUs lowered because a Packet Too Big said so, since start.</summary>
    public long LoweredByMessage { get; private set; }

    /// <summary>Path MTUs lowered because probes were lost, since start.</summary>
    public long LoweredByProbe { get; private set; }

    /// <summary>Path MTUs raised again, since start.</summary>
    public long Raised { get; private set; }

    /// <summary>Probes sent, since start.</summary>
    public long ProbesSent { get; private set; }

    /// <summary>
    /// The path MTU to use towards a softwire now. Asked for each large packet; notes that one went.
    /// </summary>
    /// <param name="path">From us to the other end.</param>
    /// <param name="configured">The path MTU by configuration, which is never exceeded.</param>
    /// <param name="now">Timestamp.</param>
    internal int Use(in Softwire.Path path, int configured, long now)
    {
        if (!_options.IsOn || configured <= Least) return configured;
        int at, mtu;
        uint version;
        do
        {
            version = Volatile.Read(ref _version);
            at = (version & 1) == 0 ? Find(path.To) : 0;
            mtu = _entries[at].Mtu;
            Volatile.ReadBarrier();
        }
        while (version != _version);
        if (at == 0) return (version & 1) == 0 ? Watch(path, configured, now) : configured;
        if (now >= Volatile.Read(ref _entries[at].WakeAt) || _entries[at].Configured != configured) Wake(at, path, configured, now);
        _entries[at].LastLarge = now;
        return mtu == 0 || mtu > configured ? configured : mtu;
    }

    /// <summary>The path MTU towards a softwire, noting nothing.</summary>
    public int Of(IPv6Address softwire, int configured)
    {
        if (!_options.IsOn) return configured;
        lock (_changing)
        {
            int mtu = _entries[Find(softwire)].Mtu;
            return mtu == 0 || mtu > configured ? configured : mtu;
        }
    }

    /// <summary>What is known of the paths that carry less than configured.</summary>
    public IReadOnlyList<KnownPathMtu> Narrowed()
    {
        lock (_changing)
        {
            var known = new List<KnownPathMtu>();
            for (int at = 1; at <= _used; at++)
                if (_entries[at].Mtu != 0 && _entries[at].Mtu < _entries[at].Configured) known.Add(new(_entries[at].Peer, _entries[at].Mtu, _entries[at].Configured));
            return known;
        }
    }

    /// <summary>The paths along which large packets go, and what they carry now: for who sends them without asking each time.</summary>
    public IReadOnlyList<KnownPathMtu> Active()
    {
        lock (_changing)
        {
            var active = new List<KnownPathMtu>();
            if (!_options.IsOn) return active;
            long now = _time.GetTimestamp();
            for (int at = 1; at <= _used; at++)
                if (_entries[at].Configured != 0 && IsActive(_entries[at], now)) active.Add(new(_entries[at].Peer, Current(_entries[at]), _entries[at].Configured));
            return active;
        }
    }

    /// <summary>Notes that a large packet has gone to a softwire by another way than <see cref="Use"/>.</summary>
    public void NoteLarge(IPv6Address softwire)
    {
        lock (_changing)
        {
            int at = Find(softwire);
            if (at != 0) Use(new Softwire.Path(_entries[at].Local, softwire), _entries[at].Configured, _time.GetTimestamp());
        }
    }

    /// <summary>
    /// Goes on with a path along which a process before sent large packets, at the size that it had found. Whether the path carries more by now is asked at once, where that costs a probe and no packet.
    /// </summary>
    public void TakeOver(IPv6Address from, KnownPathMtu path)
    {
        if (!_options.IsOn || path.Configured <= Least) return;
        lock (_changing)
        {
            long now = _time.GetTimestamp();
            ref Entry entry = ref _entries[FindOrAdd(new Softwire.Path(from, path.Softwire), path.Configured, now)];
            if (entry.Mtu != 0 || path.PathMtu >= path.Configured) return;
            SetMtu(ref entry, Math.Max(path.PathMtu, Least));
            entry.RaiseAt = _options.Probes ? now : now + _options.RaiseAfter * _time.TimestampFrequency;
            Rest(ref entry, now);
        }
    }

    /// <summary>
    /// A Packet Too Big about a packet that we sent along this path says what its link carries, RFC 8201 section 4. The caller has seen that the packet was ours.
    /// </summary>
    /// <returns>Whether the path MTU is lower now.</returns>
    internal bool HearTooBig(in Softwire.Path path, int mtu, int configured)
    {
        // "If a node receives a Packet Too Big message reporting a next-hop MTU that is less than the IPv6 minimum link MTU, it must discard it."
        if (!_options.IsOn || mtu < Least || mtu >= configured) return false;
        lock (_changing)
        {
            long now = _time.GetTimestamp();
            int at = FindOrAdd(path, configured, now);
            ref Entry entry = ref _entries[at];
            if (entry.Mtu != 0 && mtu >= entry.Mtu) return false;
            SetMtu(ref entry, mtu);
            entry.Failed = 0;
            entry.RaiseAt = now + _options.RaiseAfter * _time.TimestampFrequency;
            Rest(ref entry, now);
            LoweredByMessage++;
            return true;
        }
    }

    /// <summary>An answer to a probe has come from a softwire's end.</summary>
    internal void HearAnswer(IPv6Address peer, ushort sequence, ulong nonce)
    {
        lock (_changing)
        {
            int at = Find(peer);
            ref Entry entry = ref _entries[at];
            if (at == 0) return;
            long now = _time.GetTimestamp();

            // Large ones count however late: a round trip that has grown by a full queue is longer than the time that they were given by the one before.
            bool small = sequence == entry.SmallSequence && entry.SmallSequence != 0 && nonce == NonceOf(peer, sequence, Least);
            bool large = entry.FirstSequence != 0 && (ushort)(sequence - entry.FirstSequence) <= (ushort)(entry.LastSequence - entry.FirstSequence) && nonce == NonceOf(peer, sequence, entry.ProbeSize);
            if (!small && !large) return;

            // A pause of the peer is no round trip: what is late counts as the time that it was given, so that the next is given more only where all are late.
            long took = Math.Min(now - (small ? entry.SmallSentAt : sequence == entry.LastSequence ? entry.SentAt : entry.FirstSentAt), Wait(entry));
            entry.RoundTrip = entry.RoundTrip == 0 ? took : (entry.RoundTrip * 7 + took) / 8;
            if (small)
            {
                entry.SmallSequence = 0;
                entry.SmallAnswered = true;

                // A peer that was away answers all at once, small ones and large ones in turn: what it missed until now proves nothing, and the large one that is under way, or goes next, does.
                entry.Misses = Math.Min(entry.Misses, MaxProbes - 1);
            }
            else
            {
                entry.Sequence = 0;
                Succeed(ref entry, now);
            }

            Schedule(entry.DueAt);
        }
    }

    /// <summary>The next probe that is due, if one is. Cheap to ask.</summary>
    internal bool TryTakeProbe(long now, out Probe probe)
    {
        probe = default;
        if (now < Volatile.Read(ref _nextDue) || !_options.IsOn) return false;
        lock (_changing)
        {
            if (now < _nextProbe) return false;
            long earliest = long.MaxValue;
            for (int i = 0; i < _used; i++)
            {
                _turn = _turn >= _used ? 1 : _turn + 1;
                ref Entry entry = ref _entries[_turn];
                if (entry.Configured == 0) continue;
                if (entry.DueAt <= now && TryProbe(ref entry, now, out probe))
                {
                    _nextProbe = now + Math.Max(1, _time.TimestampFrequency / Math.Max(1, _options.ProbesPerSecond));
                    _nextDue = _nextProbe;
                    ProbesSent++;
                    return true;
                }

                earliest = Math.Min(earliest, entry.DueAt);
            }

            _nextDue = earliest;
            return false;
        }
    }

    /// <summary>Milliseconds until a probe may be due, at most <paramref name="most"/>.</summary>
    public int MillisecondsUntilDue(int most)
    {
        long due = Volatile.Read(ref _nextDue);
        return due == long.MaxValue ? most : (int)Math.Clamp((due - _time.GetTimestamp()) / _millisecond + 1, 0, most);
    }

    /// <summary>Judges what is outstanding, and says what to send next.</summary>
    bool TryProbe(ref Entry entry, long now, out Probe probe)
    {
        probe = default;
        bool active = IsActive(entry, now);

        if (entry.Sequence != 0 || entry.SmallSequence != 0)
        {
            // A probe was sent and its time is over.
            if (entry.Sequence != 0) entry.Misses++;
            entry.Sequence = 0;
            if (entry.Misses >= MaxProbes && entry.SmallAnswered)
            {
                Fail(ref entry, now);
                if (entry.DueAt > now) return false;
            }
            else if (entry.Misses >= 2 * MaxProbes)
            {
                // Nothing at all comes back: the peer is gone or does not answer, and nothing is learnt about sizes.
                entry.Misses = 0;
                entry.SmallSequence = 0;
                entry.Failed = 0;
                entry.ProbeSize = Current(entry);
                entry.DueAt = now + SilentMilliseconds * _millisecond;
                return false;
            }
        }

        if (!active && entry.ProbeSize <= Current(entry))
        {
            // Nobody needs to know now: the next large packet wakes it.
            entry.Misses = 0;
            entry.SmallSequence = 0;
            entry.SmallAnswered = false;
            entry.DueAt = long.MaxValue;
            entry.WakeAt = now;
            return false;
        }

        if (now >= entry.RaiseAt && Current(entry) < entry.Configured && entry.Misses == 0)
        {
            entry.RaiseAt = now + _options.RaiseAfter * _time.TimestampFrequency;
            if (!_options.Probes)
            {
                SetMtu(ref entry, entry.Configured);
                Raised++;
                entry.DueAt = long.MaxValue;
                return false;
            }

            entry.Failed = 0;
            entry.ProbeSize = entry.Configured;
            entry.FirstSequence = 0;
        }

        // What every path carries needs no confirmation.
        if (!_options.Probes || entry.ProbeSize <= Least)
        {
            entry.DueAt = Current(entry) < entry.Configured ? entry.RaiseAt : long.MaxValue;
            return false;
        }

        // The second try at a size goes with a small probe, which tells a narrow path from a silent peer.
        entry.DueAt = now + Wait(entry);
        bool askSmall = entry.Misses > 0 && !entry.SmallAnswered && entry.ProbeSize > Least;
        if (askSmall && (entry.SmallSequence == 0 || now - entry.SmallSentAt >= Wait(entry)))
        {
            entry.SmallSequence = NextSequence();
            entry.SmallSentAt = now;
            entry.DueAt = now;
            probe = new Probe(new Softwire.Path(entry.Local, entry.Peer), Least, entry.SmallSequence, NonceOf(entry.Peer, entry.SmallSequence, Least));
            return true;
        }

        entry.Sequence = entry.LastSequence = NextSequence();
        entry.SentAt = now;
        if (entry.FirstSequence == 0) (entry.FirstSequence, entry.FirstSentAt) = (entry.Sequence, now);
        probe = new Probe(new Softwire.Path(entry.Local, entry.Peer), entry.ProbeSize, entry.Sequence, NonceOf(entry.Peer, entry.Sequence, entry.ProbeSize));
        return true;
    }

    /// <summary>A probe of the size looked for was answered.</summary>
    void Succeed(ref Entry entry, long now)
    {
        entry.Misses = 0;
        entry.SmallAnswered = false;
        entry.SmallSequence = 0;
        if (entry.ProbeSize > Current(entry))
        {
            SetMtu(ref entry, entry.ProbeSize);
            Raised++;
        }

        Search(ref entry, now);
    }

    /// <summary>A size does not get through, though a small one does.</summary>
    void Fail(ref Entry entry, long now)
    {
        entry.Failed = entry.ProbeSize;
        entry.Misses = 0;
        entry.Sequence = 0;
        if (entry.ProbeSize <= Current(entry))
        {
            SetMtu(ref entry, Least);
            LoweredByProbe++;
        }

        entry.SmallAnswered = false;
        entry.SmallSequence = 0;
        entry.RaiseAt = now + _options.RaiseAfter * _time.TimestampFrequency;
        Search(ref entry, now);
    }

    /// <summary>Halves the gap between what is known to fit and what is known not to; rests where the gap is closed.</summary>
    void Search(ref Entry entry, long now)
    {
        entry.FirstSequence = 0;
        int fits = Current(entry);
        if (entry.Failed > fits + SearchStep)
        {
            entry.ProbeSize = entry.Failed == entry.Configured && fits == Least ? Likely(entry.Failed) : (fits + entry.Failed) / 2 & ~3;
            entry.DueAt = now;
            Schedule(now);
            return;
        }

        Rest(ref entry, now);
    }

    /// <summary>Many paths that do not carry 1500 carry what a tunnel or PPPoE leaves: a good first guess saves probes.</summary>
    static int Likely(int failed) => failed > 1460 ? 1460 : (Least + failed) / 2 & ~3;

    /// <summary>Nothing to look for: the size in use is confirmed now and then.</summary>
    void Rest(ref Entry entry, long now)
    {
        entry.ProbeSize = Current(entry);
        entry.Misses = 0;
        entry.Sequence = entry.FirstSequence = entry.SmallSequence = 0;
        entry.DueAt = now + ConfirmMilliseconds * _millisecond;
        Schedule(entry.DueAt);
    }

    long Wait(in Entry entry) => Math.Clamp(3 * entry.RoundTrip, LeastWaitMilliseconds * _millisecond, MostWaitMilliseconds * _millisecond);

    bool IsActive(in Entry entry, long now) => now - entry.LastLarge < IdleMilliseconds * _millisecond;

    static int Current(in Entry entry) => entry.Mtu == 0 ? entry.Configured : Math.Min(entry.Mtu, entry.Configured);

    [MethodImpl(MethodImplOptions.NoInlining)]
    int Watch(in Softwire.Path path, int configured, long now)
    {
        lock (_changing)
        {
            ref Entry entry = ref _entries[FindOrAdd(path, configured, now)];
            return Current(entry);
        }
    }

    /// <summary>Large packets go again along a path that had none, or under another configuration.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    void Wake(int at, in Softwire.Path path, int configured, long now)
    {
        lock (_changing)
        {
            ref Entry entry = ref _entries[at];
            if (entry.Peer != path.To) return;
            entry.Local = path.From;
            entry.Configured = configured;
            entry.WakeAt = long.MaxValue;
            entry.LastLarge = now;
            if (entry.ProbeSize > configured || entry.ProbeSize == 0) entry.ProbeSize = Current(entry);
            if (entry.DueAt == long.MaxValue) entry.DueAt = now;
            Schedule(entry.DueAt);
        }
    }

    int FindOrAdd(in Softwire.Path path, int configured, long now)
    {
        int at = Find(path.To);
        if (at != 0) return at;
        if (_free.IsEmpty) ForgetIdlest();
        at = _free.Take();
        _used = Math.Max(_used, at);
        BeginChange();
        ref int head = ref Head(path.To);
        _entries[at] = new Entry { Peer = path.To, Local = path.From, Configured = configured, ProbeSize = configured, LastLarge = now, DueAt = now, WakeAt = long.MaxValue, Next = head };
        head = at;
        EndChange();
        Schedule(now);
        return at;
    }

    /// <summary>Looks at a few, and forgets the one that has been idle the longest.</summary>
    void ForgetIdlest()
    {
        const int looks = 8;
        int idlest = 0;
        for (int i = 0; i < looks; i++)
        {
            _turn = _turn >= _used ? 1 : _turn + 1;
            if (idlest == 0 || _entries[_turn].LastLarge < _entries[idlest].LastLarge) idlest = _turn;
        }

        BeginChange();
        ref int link = ref Head(_entries[idlest].Peer);
        while (link != idlest) link = ref _entries[link].Next;
        link = _entries[idlest].Next;
        _entries[idlest] = default;
        EndChange();
        _free.GiveBack(idlest);
    }

    void BeginChange()
    {
        Volatile.Write(ref _version, _version + 1);
        Volatile.WriteBarrier();
    }

    void EndChange() => Volatile.Write(ref _version, _version + 1);

    void SetMtu(ref Entry entry, int mtu) => Volatile.Write(ref entry.Mtu, mtu);

    void Schedule(long due)
    {
        if (due < _nextDue) Volatile.Write(ref _nextDue, due);
    }

    ushort NextSequence()
    {
        if (++_sequence == 0) _sequence = 1;
        return _sequence;
    }

    ulong NonceOf(IPv6Address peer, ushort sequence, int size) => Mix.Of(_secret, (ulong)peer.Value ^ (ulong)(peer.Value >> 64), (ulong)size << 16 | sequence);

    int Find(IPv6Address peer)
    {
        int at = Head(peer);
        for (int steps = 0; at != 0 && _entries[at].Peer != peer && steps < 64; steps++) at = _entries[at].Next;
        return at != 0 && _entries[at].Peer == peer ? at : 0;
    }

    ref int Head(IPv6Address peer) => ref _byPeer.Head((ulong)(peer.Value >> 64), (ulong)peer.Value);

    struct Entry
    {
        public IPv6Address Peer;
        public IPv6Address Local;
        public int Configured;

        /// <summary>What the path was found to carry; 0 where nothing less than configured is known.</summary>
        public int Mtu;

        /// <summary>The size that probes have now: the one in use, or the one looked for.</summary>
        public int ProbeSize;

        /// <summary>The smallest size known not to get through; 0 for none.</summary>
        public int Failed;
        public int Misses;

        /// <summary>Of the large and of the small probe that are under way and in their time; 0 for none.</summary>
        public ushort Sequence, SmallSequence;

        /// <summary>Of the first and last large probe of this size since something was learnt; 0 for none.</summary>
        public ushort FirstSequence, LastSequence;
        public bool SmallAnswered;
        public long SentAt, FirstSentAt, SmallSentAt, RoundTrip;

        /// <summary>When a large packet went last.</summary>
        public long LastLarge;

        /// <summary>When there is something to do.</summary>
        public long DueAt;

        /// <summary>From when on a large packet wakes it.</summary>
        public long WakeAt;
        public long RaiseAt;
        public int Next;
    }
}
