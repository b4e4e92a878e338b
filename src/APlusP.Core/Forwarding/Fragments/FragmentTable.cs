using APlusP.Core.Devices;

namespace APlusP.Core.Forwarding.Fragments;

/// <summary>
/// Fragments by the packet that they belong to. All memory is taken at construction. Whoever holds more than three times what is left gives up his own oldest for his next (<see cref="FragmentShares"/>):
/// the oldest of a flood is the least likely to be finished, and nobody else's fragments go for it.
/// </summary>
sealed class FragmentTable
{
    /// <summary>More fragments than this make no packet that anybody sends: 65,535 octets over links of 1280 take 54.</summary>
    public const int MaxParts = 64;

    // Packets that may have to go for one that comes, so that no batch waits for it. Two let a share shrink while others need room.
    const int MostForPacket = 2, MostForOctets = 8;

    readonly ForwardingCounters _counters;
    readonly ChainTable _byKey;
    readonly EntryPool _free, _freeParts;
    readonly FragmentShares _shares;
    readonly Datagram[] _datagrams;
    readonly DatagramLinks[] _links;
    readonly Part[] _parts;
    readonly PacketShelf _shelf;
    readonly long _lifetime;
    int _oldest, _newest;
    int _ready, _lastReady;
    int _peakPackets, _peakBlocks;

    public FragmentTable(FragmentOptions options, long lifetime, ulong key, ForwardingCounters counters)
    {
        _counters = counters;
        _lifetime = lifetime;
        _datagrams = new Datagram[options.MaxPackets + 1];
        _links = new DatagramLinks[options.MaxPackets + 1];
        _free = new EntryPool(options.MaxPackets);
        _byKey = new ChainTable(options.MaxPackets, key);
        int parts = Math.Max(1, options.MaxOctets / 512);
        _parts = new Part[parts + 1];
        _freeParts = new EntryPool(parts);
        _shelf = new PacketShelf(options.MaxOctets);
        _shares = new FragmentShares(_links, Mix.Of(key, 3));
    }

    /// <summary>What is held now. Any thread may ask.</summary>
    public FragmentUse Use => UseOf(_free.Used, _shelf.BlocksUsed);

    /// <summary>The most that was held since this was asked last. Any thread may ask; where others ask too, they share the answer.</summary>
    public FragmentUse TakePeak()
    {
        FragmentUse peak = UseOf(_peakPackets, _peakBlocks);
        (_peakPackets, _peakBlocks) = (_free.Used, _shelf.BlocksUsed);
        return peak;
    }

    FragmentUse UseOf(int packets, int blocks) => new(packets, _datagrams.Length - 1, PacketShelf.Octets(blocks), PacketShelf.Octets(_shelf.Capacity));

    public ref Datagram this[int at] => ref _datagrams[at];

    public ref Part PartAt(int at) => ref _parts[at];

    /// <summary>The packet of this key, made where there is none.</summary>
    public int FindOrAdd(in FragmentKey key, long now)
    {
        uint hash = HashOf(key);
        ref int head = ref _byKey.Head(hash);
        for (int known = head; known != 0; known = _links[known].NextInChain)
            if (_links[known].Hash == hash && _datagrams[known].Key == key) return known;
        int share = _shares.Of(key);
        for (int i = 0; i < MostForPacket && (_free.IsEmpty || _shares.HasTooManyPackets(share, _free.Left)); i++)
            Forget(_shares.OldestOf(share) is var own and not 0 ? own : _shares.OldestOfAnother(share), DropReason.FragmentsExceeded);
        int at = _free.Take();
        _datagrams[at] = new Datagram { Key = key, Expires = now + _lifetime, Total = -1 };
        _links[at] = new DatagramLinks { Hash = hash, Share = share, NextInChain = head, Older = _newest };
        head = at;
        if (_newest != 0) _links[_newest].Newer = at;
        else _oldest = at;
        _newest = at;
        _shares.Add(at);
        _peakPackets = Math.Max(_peakPackets, _free.Used);
        return at;
    }

    /// <summary>Whether a packet may keep another fragment of this many octets; makes room by forgetting others, of its sender first.</summary>
    public bool MakeRoom(int at, int length)
    {
        if (_datagrams[at].PartCount >= MaxParts || !_shelf.Fits(length)) return false;
        int share = _links[at].Share;
        for (int i = 0; i < MostForOctets; i++)
        {
            bool isFull = !HasRoom(length);
            if (!isFull && !_shares.HasTooManyBlocks(share, _shelf.BlocksLeft)) return true;

            // The packet itself is spared.
            int victim = _shares.OldestOf(share, except: at);
            if (victim == 0 && isFull) victim = _shares.OldestOfAnother(share);
            if (victim == 0) break;
            Forget(victim, DropReason.FragmentsExceeded);
        }

        return HasRoom(length);
    }

    bool HasRoom(int length) => !_freeParts.IsEmpty && _shelf.HasRoom(length);

    /// <summary>
    /// Keeps a fragment behind <paramref name="after"/>, a part of the same packet or 0; asked for after <see cref="MakeRoom"/>. Of its octets the first
    /// <paramref name="headers"/> are no part of the packet that is put together.
    /// </summary>
    public void Keep(int at, int after, ReadOnlySpan<byte> octets, int offset, Origin origin, int headers = 0)
    {
        ref Datagram datagram = ref _datagrams[at];
        int part = _freeParts.Take(), share = _links[at].Share;
        ref int link = ref datagram.Parts;
        if (after != 0) link = ref _parts[after].Next;
        _parts[part] = new Part { Place = _shelf.Put(octets), Headers = headers, Length = octets.Length - headers, Offset = offset, Next = link, Origin = origin, Share = share };
        link = part;
        datagram.PartCount++;
        _shares.Hold(share, PacketShelf.Blocks(octets.Length));
        _peakBlocks = Math.Max(_peakBlocks, _shelf.BlocksUsed);
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
        DropParts(ref _datagrams[at], reason);
        ref DatagramLinks gone = ref _links[at];
        ref int link = ref _byKey.Head(gone.Hash);
        while (link != at) link = ref _links[link].NextInChain;
        link = gone.NextInChain;
        if (gone.Older != 0) _links[gone.Older].Newer = gone.Newer;
        else _oldest = gone.Newer;
        if (gone.Newer != 0) _links[gone.Newer].Older = gone.Older;
        else _newest = gone.Older;
        _shares.Remove(at);
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
        ref Part gone = ref _parts[part];
        _shelf.Remove(gone.Place);
        _shares.Hold(gone.Share, -PacketShelf.Blocks(gone.Headers + gone.Length));
        _freeParts.GiveBack(part);
        return gone.Next;
    }

    uint HashOf(in FragmentKey key) => _byKey.HashOf(
        (ulong)key.First ^ ulong.RotateLeft((ulong)(key.First >> 64), 32),
        (ulong)key.Second ^ ulong.RotateLeft((ulong)(key.Second >> 64), 17) ^ ulong.RotateLeft((ulong)key.Identification << 8 | (ulong)key.Protocol, 24));
}
