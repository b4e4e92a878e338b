namespace APlusP.Core.Forwarding.Fragments;

/// <summary>
/// How much of a <see cref="FragmentTable"/> each sender of fragments holds, so that no flood of one pushes out what others have there. A sender may hold three times what is left: alone three quarters,
/// of two that want it all six sevenths together; somebody else always finds room. Senders are told apart by a keyed number of <see cref="Count"/>: one in so many shares a flood's fate.
/// </summary>
/// <param name="links">Of the packets of the table; those within a share are kept here.</param>
/// <param name="key">Keeps others from choosing whose share they fall into.</param>
sealed class FragmentShares(DatagramLinks[] links, ulong key)
{
    const int Count = 1024, Greed = 3;

    struct Share
    {
        public int Packets;
        public int Blocks;
        public int Oldest;
        public int Newest;
    }

    readonly Share[] _shares = new Share[Count];
    int _turn;

    /// <summary>The share of a packet's sender.</summary>
    public int Of(in FragmentKey packet) => (int)(Mix.Of(key, packet.Sender) >> 32) & (Count - 1);

    public bool HasTooManyPackets(int share, int left) => _shares[share].Packets > Greed * left;

    public bool HasTooManyBlocks(int share, int left) => _shares[share].Blocks > Greed * left;

    /// <summary>The oldest packet of a share, but for one; 0 where there is no other.</summary>
    public int OldestOf(int share, int except = 0)
    {
        int oldest = _shares[share].Oldest;
        return oldest != 0 && oldest == except ? links[oldest].NewerOfShare : oldest;
    }

    /// <summary>The oldest packet of any other share that has one; each has its turn. 0 where there is none.</summary>
    public int OldestOfAnother(int share)
    {
        for (int i = 0; i < Count; i++)
        {
            _turn = (_turn + 1) & (Count - 1);
            if (_turn != share && _shares[_turn].Oldest != 0) return _shares[_turn].Oldest;
        }

        return 0;
    }

    /// <summary>Counts a new packet to its share.</summary>
    public void Add(int at)
    {
        ref Share share = ref _shares[links[at].Share];
        share.Packets++;
        links[at].OlderOfShare = share.Newest;
        if (share.Newest != 0) links[share.Newest].NewerOfShare = at;
        else share.Oldest = at;
        share.Newest = at;
    }

    public void Remove(int at)
    {
        ref DatagramLinks gone = ref links[at];
        ref Share share = ref _shares[gone.Share];
        share.Packets--;
        if (gone.OlderOfShare != 0) links[gone.OlderOfShare].NewerOfShare = gone.NewerOfShare;
        else share.Oldest = gone.NewerOfShare;
        if (gone.NewerOfShare != 0) links[gone.NewerOfShare].OlderOfShare = gone.OlderOfShare;
        else share.Newest = gone.OlderOfShare;
    }

    /// <summary>Counts blocks of memory that a share takes, or, where negative, gives back.</summary>
    public void Hold(int share, int blocks) => _shares[share].Blocks += blocks;
}
