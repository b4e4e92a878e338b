using System.Buffers;

namespace APlusP.Lab.Links;

/// <summary>What became of frames that went one way over an emulated link; every frame received has one fate.</summary>
public sealed record LinkCounters
{
    public long Received { get; set; }

    /// <summary>Put on their way; of a packet that was fragmented on the link, it counts once.</summary>
    public long Carried { get; set; }

    /// <summary>Lost by the dice.</summary>
    public long Lost { get; set; }

    /// <summary>Came when the queue was full.</summary>
    public long QueueFull { get; set; }

    /// <summary>Larger than the MTU, and its sender was told.</summary>
    public long TooBigAnswered { get; set; }

    /// <summary>Larger than the MTU, and nobody was told.</summary>
    public long TooBigSilent { get; set; }

    /// <summary>A Packet Too Big or "fragmentation needed" that the black hole swallowed.</summary>
    public long TooBigMessagesFiltered { get; set; }

    // Of those that were carried:

    /// <summary>Arrive twice.</summary>
    public long Duplicated { get; set; }

    /// <summary>Were held back so that others overtake them.</summary>
    public long Reordered { get; set; }

    /// <summary>Were cut into fragments.</summary>
    public long Fragmented { get; set; }

    /// <summary>Frames that came out at the other end, copies and fragments included.</summary>
    public long Delivered { get; set; }

    /// <summary>Frames that the device at the other end did not take.</summary>
    public long SendFailures { get; set; }

    /// <summary>Frames under way now.</summary>
    public long UnderWay { get; set; }
}

/// <summary>What a link does with a frame.</summary>
public enum LinkFate : byte
{
    Carried,
    Lost,
    QueueFull,
    TooBigAnswered,
    TooBigSilent,
    TooBigMessageFiltered,
}

/// <summary>
/// One way over an emulated link, as pure logic: frames go in by <see cref="Offer"/> and come out by <see cref="TryTake"/> when their time
/// has come by the clock that is handed in. Not for several threads at once.
/// </summary>
public sealed class LinkDirection(LinkSettings settings, TimeProvider clock)
{
    readonly PriorityQueue<Frame, (long Release, long Order)> _frames = new();
    readonly OversizePackets _oversize = new();
    LinkSettings _settings = settings;
    ulong _dice = settings.Seed;
    long _order, _lineFree = long.MinValue, _latestInOrder = long.MinValue;

    readonly record struct Frame(byte[] Octets, int Length);

    /// <summary>Where errors about larger packets say they come from; without the address of a family, larger packets of it vanish.</summary>
    public HopAddresses Hop { get; init; } = new(null, null);

    /// <summary>What is done to frames that are offered from now on. The dice begin anew only where the seed is another.</summary>
    public LinkSettings Settings
    {
        get => _settings;
        set
        {
            if (value.Seed != _settings.Seed) _dice = value.Seed;
            _settings = value;
        }
    }

    public LinkCounters Counters { get; } = new();

    /// <summary>Decides about a frame that has arrived now, and copies it if it is to travel.</summary>
    /// <param name="frame">From its Ethernet header on.</param>
    /// <param name="answer">With <see cref="LinkFate.TooBigAnswered"/>, the frame that goes back to the sender at once; valid until the next call.</param>
    public LinkFate Offer(Span<byte> frame, out ReadOnlySpan<byte> answer)
    {
        answer = default;
        Counters.Received++;
        LinkFate fate = Decide(frame, ref answer);
        switch (fate)
        {
            case LinkFate.Carried: Counters.Carried++; break;
            case LinkFate.Lost: Counters.Lost++; break;
            case LinkFate.QueueFull: Counters.QueueFull++; break;
            case LinkFate.TooBigAnswered: Counters.TooBigAnswered++; break;
            case LinkFate.TooBigSilent: Counters.TooBigSilent++; break;
            case LinkFate.TooBigMessageFiltered: Counters.TooBigMessagesFiltered++; break;
        }

        return fate;
    }

    LinkFate Decide(Span<byte> frame, ref ReadOnlySpan<byte> answer)
    {
        if (_settings.BlackHole && OversizePackets.IsTooBigMessage(frame)) return LinkFate.TooBigMessageFiltered;
        bool tooBig = _settings.Mtu > 0 && frame.Length - OversizePackets.EthernetHeader > _settings.Mtu;
        int pieces = 1;
        if (tooBig && (pieces = _oversize.CountFragments(frame, _settings.Mtu)) == 0)
        {
            if (_settings.BlackHole) return LinkFate.TooBigSilent;
            answer = _oversize.Answer(frame, _settings.Mtu, Hop);
            return answer.IsEmpty ? LinkFate.TooBigSilent : LinkFate.TooBigAnswered;
        }

        // Every frame throws all its dice, so that a change of one setting leaves the others' luck as it was.
        double loss = Throw(), reorder = Throw(), duplicate = Throw(), jitter = Throw();
        if (loss < _settings.LossPercent) return LinkFate.Lost;
        if (_frames.Count + pieces > _settings.Queue) return LinkFate.QueueFull;

        long delay = Ticks(_settings.DelayMs + (jitter / 50 - 1) * _settings.JitterMs);
        bool late = reorder < _settings.ReorderPercent;
        bool twice = duplicate < _settings.DuplicatePercent && _frames.Count + 2 * pieces <= _settings.Queue;
        if (late) Counters.Reordered++;
        if (twice) Counters.Duplicated++;
        if (tooBig) Counters.Fragmented++;
        for (int piece = 0; piece < pieces; piece++)
        {
            ReadOnlySpan<byte> octets = tooBig ? _oversize.Fragment(frame, _settings.Mtu, piece) : frame;
            long release = Serialize(octets.Length) + delay;
            if (late)
            {
                release += Ticks(_settings.ReorderMs);
            }
            else
            {
                release = Math.Max(release, _latestInOrder);
                _latestInOrder = release;
            }

            Enqueue(octets, release);
            if (twice) Enqueue(octets, release);
        }

        return LinkFate.Carried;
    }

    /// <summary>When the last bit of a frame that has arrived now is on the line.</summary>
    long Serialize(int octets)
    {
        long now = clock.GetTimestamp();
        if (_settings.RateMbit <= 0) return now;
        _lineFree = Math.Max(now, _lineFree) + (long)(octets * 8 / (_settings.RateMbit * 1e6) * clock.TimestampFrequency);
        return _lineFree;
    }

    void Enqueue(ReadOnlySpan<byte> octets, long release)
    {
        byte[] room = ArrayPool<byte>.Shared.Rent(octets.Length);
        octets.CopyTo(room);
        _frames.Enqueue(new Frame(room, octets.Length), (release, _order++));
        Counters.UnderWay = _frames.Count;
    }

    /// <summary>The next frame whose time has come, copied to <paramref name="into"/>; its length, or -1 where there is none yet.</summary>
    public int TryTake(Span<byte> into)
    {
        if (!_frames.TryPeek(out Frame frame, out (long Release, long Order) due) || due.Release > clock.GetTimestamp()) return -1;
        _frames.Dequeue();
        frame.Octets.AsSpan(0, frame.Length).CopyTo(into);
        ArrayPool<byte>.Shared.Return(frame.Octets);
        Counters.Delivered++;
        Counters.UnderWay = _frames.Count;
        return frame.Length;
    }

    /// <summary>How long until the next frame is due, or null where none is under way.</summary>
    public TimeSpan? UntilNext
    {
        get
        {
            if (!_frames.TryPeek(out _, out (long Release, long Order) due)) return null;
            long now = clock.GetTimestamp();
            return due.Release <= now ? TimeSpan.Zero : clock.GetElapsedTime(now, due.Release);
        }
    }

    long Ticks(double milliseconds) => (long)(milliseconds * clock.TimestampFrequency / 1000);

    /// <summary>A number from 0 to below 100, by SplitMix64 (Steele, Lea, Flood, 2014): small, and the same on every machine.</summary>
    double Throw()
    {
        ulong z = _dice += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return ((z ^ z >> 31) >> 11) * (100.0 / (1UL << 53));
    }
}
