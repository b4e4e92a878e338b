namespace APlusP.Core.Forwarding.Gateways;

/// <summary>
/// One direction of a TCP connection whose text a gateway rewrites unit by unit (a line of FTP, a message of SIP): which numbers the other end has for what its sender counts, and the beginning
/// of a unit whose rest has not come.
/// </summary>
/// <remarks>A unit is acknowledged to its sender when all of it is, so that what comes again begins where a unit does.</remarks>
sealed class EditedStream(int maxKept)
{
    const int MaxUnits = 32;

    readonly (uint At, uint End, int By)[] _units = new (uint, uint, int)[MaxUnits];
    int _count, _before;
    uint _acknowledged;

    /// <summary>Whether its first number was seen.</summary>
    public bool Began { get; private set; }

    /// <summary>What comes behind all that was read, in the sender's numbers.</summary>
    public uint Next;

    /// <summary>Whether nothing is read any more from <see cref="AsideFrom"/> on.</summary>
    public bool StandsAside;
    public uint AsideFrom;

    /// <summary>What its sender said last of itself, for answers in its place.</summary>
    public ushort Window = ushort.MaxValue;
    public uint Timestamp;
    public bool HasTimestamp;

    /// <summary>The most text that a segment had.</summary>
    public int MostText;

    /// <summary>The beginning of a unit, acknowledged in the other end's place, so ours to deliver: it stays until the other end has acknowledged the unit.</summary>
    public readonly byte[] Kept = new byte[maxKept];
    public int KeptOctets;
    public uint KeptAt;

    /// <summary>Whether what is kept has gone on with its end.</summary>
    public bool KeptWent;

    public uint KeptEnd => KeptAt + (uint)KeptOctets;

    public void Begin(uint first)
    {
        Began = true;
        Next = _acknowledged = first;
        StandsAside = KeptWent = false;
        KeptOctets = MostText = _count = _before = 0;
        Window = ushort.MaxValue;
    }

    /// <summary>Until it begins again there is nothing to read, and nothing to translate.</summary>
    public void Forget()
    {
        Begin(0);
        Began = false;
    }

    /// <summary>Whether no unit more can be remembered until the oldest is acknowledged.</summary>
    public bool IsFull => _count == MaxUnits && IsBefore(_acknowledged, _units[0].End);

    /// <summary>Remembers a unit, and by how many octets it grew. What comes again changes nothing.</summary>
    public void Add(uint at, uint end, int by)
    {
        for (int i = 0; i < _count; i++)
            if (_units[i].At == at) return;
        if (_count > 0 && IsBefore(at, _units[_count - 1].End)) return;
        if (_count == MaxUnits)
        {
            _before += _units[0].By;
            Array.Copy(_units, 1, _units, 0, --_count);
        }

        _units[_count++] = (at, end, by);
    }

    /// <summary>Whether a unit that is remembered begins here.</summary>
    public bool BeginsUnit(uint sequence)
    {
        for (int i = 0; i < _count; i++)
            if (_units[i].At == sequence) return true;
        return false;
    }

    /// <summary>Whether this number is in the middle of a unit that is remembered, or before them all.</summary>
    public bool IsInside(uint sequence)
    {
        if (_count > 0 && IsBefore(sequence, _units[0].At) && _before != 0) return true;
        for (int i = 0; i < _count; i++)
            if (IsBefore(_units[i].At, sequence) && IsBefore(sequence, _units[i].End)) return true;
        return false;
    }

    /// <summary>What the other end counts where the sender counts this; in the middle of a unit, its beginning, which is old there too: who asks whether the other end lives (RFC 9293 section 3.8.4) is answered.</summary>
    public uint There(uint sequence)
    {
        int by = _before;
        for (int i = 0; i < _count; i++)
        {
            (uint at, uint end, int more) = _units[i];
            if (!IsBefore(sequence, end)) by += more;
            else if (IsBefore(at, sequence)) return at + (uint)by;
        }

        return sequence + (uint)by;
    }

    /// <summary>What the sender counts where the other end counts this; in the middle of a unit that grew or shrank, its beginning or its end.</summary>
    public uint Here(uint theirs, bool end = false)
    {
        int by = _before;
        for (int i = 0; i < _count; i++)
        {
            (uint at, uint behind, int more) = _units[i];
            if (!IsBefore(at + (uint)by, theirs)) break;
            if (IsBefore(theirs, behind + (uint)(by + more))) return end ? behind : at;
            by += more;
        }

        return theirs - (uint)by;
    }

    /// <summary>The other end has everything before this number of the sender's; gives what the sender may be told, who was told before of what is kept.</summary>
    public uint Acknowledge(uint sequence)
    {
        if (IsBefore(_acknowledged, sequence)) _acknowledged = sequence;
        if (KeptOctets == 0) return sequence;
        if (IsBefore(KeptEnd, sequence)) KeptOctets = 0;
        else if (!IsBefore(sequence, KeptAt)) return KeptEnd;
        return sequence;
    }

    /// <summary>Keeps the beginning of a unit, or more of it. False where there is no room, or where what is kept has not arrived yet.</summary>
    public bool TryKeep(ReadOnlySpan<byte> text, uint sequence)
    {
        if (text.Length > Kept.Length) return false;
        bool same = KeptOctets > 0 && KeptAt == sequence;
        if (KeptOctets > 0 && !same) return false;
        if (same && text.Length <= KeptOctets) return true;
        text.CopyTo(Kept);
        (KeptAt, KeptOctets, KeptWent) = (sequence, text.Length, false);
        return true;
    }

    public static bool IsBefore(uint one, uint other) => (int)(one - other) < 0;
}
