using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Fragments;

/// <summary>
/// What the fragments of one packet have in common: of IPv6 its addresses and identification (RFC 8200 section 4.5), of IPv4 the protocol too
/// (RFC 791 section 3.2), and the softwire that it came by, so that no subscriber meddles with another's.
/// </summary>
readonly record struct FragmentKey(UInt128 First, UInt128 Second, uint Identification, IpProtocol Protocol, Origin Origin)
{
    public static FragmentKey Of(in IPv6Header outer, uint identification, Origin origin) =>
        new(outer.Source.Value, outer.Destination.Value, identification, IpProtocol.IPv4, origin);

    public static FragmentKey Of(in IPv4Header header, IPv6Address softwire, Origin origin) =>
        new(softwire.Value, (UInt128)header.Source.Value << 32 | header.Destination.Value, header.Identification, header.Protocol, origin);

    // By hand, since the compiler's way goes through comparers that are allocated at their first use.
    public bool Equals(FragmentKey other) =>
        First == other.First && Second == other.Second && Identification == other.Identification && Protocol == other.Protocol && Origin == other.Origin;

    public override int GetHashCode() => HashCode.Combine(First, Second, Identification);
}

/// <summary>What is known of a packet of which fragments have come.</summary>
struct Datagram
{
    public FragmentKey Key;
    public long Expires;

    // Links: of its hash chain, and of all by age. 0 ends them.
    public int NextInChain;
    public int Older;
    public int Newer;

    /// <summary>Fragments that wait, by offset where they are put together, else as they came; 0 where there are none.</summary>
    public int Parts;
    public int PartCount;

    /// <summary>No fragment of it is let through any more, and this is why.</summary>
    public DropReason Refused;

    /// <summary>The first fragment has come, and what follows is told by it.</summary>
    public bool IsKnown;

    // Outer packets: payload octets here, and in all once the last has come.
    public int Octets;
    public int Total;
    public IpProtocol NextHeader;
    public byte TrafficClass;
    public bool MetCongestion;

    // Inner packets.
    public FragmentFate Fate;
}

/// <summary>What the first fragment of an IPv4 packet says about the others: a PRR wants to know the ports, a SMAP what to make of them.</summary>
struct FragmentFate
{
    public ushort SourcePort;
    public ushort DestinationPort;
    public DropReason Portless;
    public IPv4Address Source;
    public IPv4Address Destination;
    public ushort Identification;
    public bool Hairpins;

    /// <summary>The other end of the softwire that the packet goes into.</summary>
    public IPv6Address Peer;
}

/// <summary>A fragment that waits.</summary>
struct Part
{
    public int Place;

    /// <summary>Octets of headers that are kept in front of it; not counted in <see cref="Length"/>.</summary>
    public int Headers;
    public int Length;
    public int Offset;
    public int Next;
    public Origin Origin;
}

/// <summary>
/// Fragments by the packet that they belong to. All memory is taken at construction; where it ends the oldest goes, since of a flood the
/// oldest is the least likely to be finished: at 100,000 junk packets a second a true one still has an eighth of a second.
/// </summary>
sealed class FragmentTable
{
    /// <summary>More fragments than this make no packet that anybody sends: 65,535 octets over links of 1280 take 54.</summary>
    public const int MaxParts = 64;

    readonly ForwardingCounters _counters;
    readonly ChainTable _byKey;
    readonly EntryPool _free, _freeParts;
    readonly Datagram[] _datagrams;
    readonly Part[] _parts;
    readonly PacketShelf _shelf;
    readonly long _lifetime;
    int _oldest, _newest;
    int _ready, _lastReady;

    public FragmentTable(FragmentOptions options, long lifetime, ulong key, ForwardingCounters counters)
    {
        _counters = counters;
        _lifetime = lifetime;
        _datagrams = new Datagram[options.MaxPackets + 1];
        _free = new EntryPool(options.MaxPackets);
        _byKey = new ChainTable(options.MaxPackets, key);
        int parts = Math.Max(1, options.MaxOctets / 512);
        _parts = new Part[parts + 1];
        _freeParts = new EntryPool(parts);
        _shelf = new PacketShelf(options.MaxOctets);
    }

    public ref Datagram this[int at] => ref _datagrams[at];

    public ref Part PartAt(int at) => ref _parts[at];

    /// <summary>The packet of this key, or 0.</summary>
    public int Find(in FragmentKey key)
    {
        for (int at = Head(key); at != 0; at = _datagrams[at].NextInChain)
            if (_datagrams[at].Key == key) return at;
        return 0;
    }

    /// <summary>The packet of this key, made where there is none.</summary>
    public int FindOrAdd(in FragmentKey key, long now)
    {
        int at = Find(key);
        if (at != 0) return at;
        if (_free.IsEmpty) Forget(_oldest, DropReason.FragmentsExceeded);
        at = _free.Take();
        ref int head = ref Head(key);
        _datagrams[at] = new Datagram { Key = key, Expires = now + _lifetime, NextInChain = head, Older = _newest, Total = -1 };
        head = at;
        if (_newest != 0) _datagrams[_newest].Newer = at;
        else _oldest = at;
        _newest = at;
        return at;
    }

    /// <summary>Whether a packet may keep another fragment of this many octets; makes room by forgetting older packets.</summary>
    public bool MakeRoom(int at, int length)
    {
        if (_datagrams[at].PartCount >= MaxParts || !_shelf.Fits(length)) return false;
        while (_freeParts.IsEmpty || !_shelf.HasRoom(length))
        {
            // The packet itself is spared.
            int victim = _oldest == at ? _datagrams[at].Newer : _oldest;
            if (victim == 0) return false;
            Forget(victim, DropReason.FragmentsExceeded);
        }

        return true;
    }

    /// <summary>
    /// Keeps a fragment behind <paramref name="after"/>, a part of the same packet or 0; asked for after <see cref="MakeRoom"/>. Of its octets the first
    /// <paramref name="headers"/> are no part of the packet that is put together.
    /// </summary>
    public void Keep(int at, int after, ReadOnlySpan<byte> octets, int offset, Origin origin, int headers = 0)
    {
        ref Datagram datagram = ref _datagrams[at];
        int part = _freeParts.Take();
        ref int link = ref datagram.Parts;
        if (after != 0) link = ref _parts[after].Next;
        _parts[part] = new Part { Place = _shelf.Put(octets), Headers = headers, Length = octets.Length - headers, Offset = offset, Next = link, Origin = origin };
        link = part;
        datagram.PartCount++;
    }

    /// <summary>Drops the fragments of a packet that wait, and lets none through any more until it is forgotten.</summary>
    public void Refuse(int at, DropReason reason)
    {
        ref Datagram datagram = ref _datagrams[at];
        datagram.Refused = reason;
        DropParts(ref datagram, reason);
    }

    /// <summary>Copies the payload of a whole packet out, in order, and forgets it; where there is no room for it, only that.</summary>
    public void PutTogether(int at, Span<byte> to)
    {
        for (int part = _datagrams[at].Parts; part != 0; part = Free(part))
            if (!to.IsEmpty) _shelf.Read(_parts[part].Place, to.Slice(_parts[part].Offset, _parts[part].Length), _parts[part].Headers);
        _datagrams[at].Parts = 0;
        Forget(at, DropReason.None);
    }

    /// <summary>Lets the waiting fragments of a packet go: they are handed out by <see cref="TryTakeReady"/>.</summary>
    public void Release(int at)
    {
        ref Datagram datagram = ref _datagrams[at];
        if (datagram.Parts == 0) return;
        MakeReady(datagram.Parts);
        datagram.Parts = 0;
        datagram.PartCount = 0;
    }

    void MakeReady(int parts)
    {
        if (_lastReady != 0) _parts[_lastReady].Next = parts;
        else _ready = parts;
        for (_lastReady = parts; _parts[_lastReady].Next != 0;) _lastReady = _parts[_lastReady].Next;
    }

    public bool HasReady => _ready != 0;

    /// <summary>Adds a fragment that may go on to a batch, as it was received.</summary>
    public bool TryTakeReady(PacketBatch batch)
    {
        if (_ready == 0 || batch.Count == batch.Capacity) return false;
        ref Part part = ref _parts[_ready];
        int length = part.Headers + part.Length;
        _shelf.Read(part.Place, batch.Receive(batch.Count)[..length]);
        batch.Received(batch.Count, length, part.Origin);
        batch.Count++;
        _ready = Free(_ready);
        if (_ready == 0) _lastReady = 0;
        return true;
    }

    /// <summary>
    /// Forgets what has waited long enough; at most a few at a time, so that no batch waits for it. Where first fragments are kept whole, they are
    /// dropped like the others, but handed out by <see cref="TryTakeReady"/>.
    /// </summary>
    public void Expire(long now)
    {
        for (int i = 0; i < 256 && _oldest != 0 && _datagrams[_oldest].Expires <= now; i++)
        {
            ref Datagram datagram = ref _datagrams[_oldest];
            int first = datagram.Parts;
            if (first != 0 && _parts[first].Headers > 0)
            {
                datagram.Parts = _parts[first].Next;
                _parts[first].Next = 0;
                _counters.Settle(_parts[first].Origin, Verdict.Drop(DropReason.FragmentTimeout));
                MakeReady(first);
            }

            Forget(_oldest, DropReason.FragmentTimeout);
        }
    }

    void Forget(int at, DropReason reason)
    {
        ref Datagram datagram = ref _datagrams[at];
        DropParts(ref datagram, reason);
        ref int link = ref Head(datagram.Key);
        while (link != at) link = ref _datagrams[link].NextInChain;
        link = datagram.NextInChain;
        if (datagram.Older != 0) _datagrams[datagram.Older].Newer = datagram.Newer;
        else _oldest = datagram.Newer;
        if (datagram.Newer != 0) _datagrams[datagram.Newer].Older = datagram.Older;
        else _newest = datagram.Older;
        _free.GiveBack(at);
    }

    void DropParts(ref Datagram datagram, DropReason reason)
    {
        for (int part = datagram.Parts; part != 0; part = Free(part))
            _counters.Settle(_parts[part].Origin, Verdict.Drop(reason));
        datagram.Parts = 0;
        datagram.PartCount = 0;
    }

    /// <summary>Gives a part back, and tells the one behind it.</summary>
    int Free(int part)
    {
        int next = _parts[part].Next;
        _shelf.Remove(_parts[part].Place);
        _freeParts.GiveBack(part);
        return next;
    }

    ref int Head(in FragmentKey key) => ref _byKey.Head(
        (ulong)key.First ^ ulong.RotateLeft((ulong)(key.First >> 64), 32),
        (ulong)key.Second ^ ulong.RotateLeft((ulong)(key.Second >> 64), 17) ^ ulong.RotateLeft((ulong)key.Identification << 8 | (ulong)key.Protocol, 24));
}
