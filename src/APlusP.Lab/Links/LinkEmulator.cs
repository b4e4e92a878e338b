using APlusP.Core;
using APlusP.Linux;

namespace APlusP.Lab.Links;

/// <summary>
/// Joins two Ethernet devices as one link with the faults of a real one. What is decided about a frame is <see cref="LinkDirection"/>'s;
/// this moves the frames, on one thread, and answers questions from others.
/// </summary>
/// <remarks>
/// <code>
///   towards the Internet                                towards the home
///   ---- veth ---- [upper]  --- down --->  [lower] ---- veth ----
///                           &lt;---  up  ---
/// </code>
/// </remarks>
public sealed class LinkEmulator : IDisposable
{
    // A link takes no more than this at once from one side, so that the other side's frames come out in time.
    const int Burst = 64;
    const int LargestFrame = 65536 + 64;

    // With nothing under way, how long a stop may go unnoticed.
    static readonly TimeSpan s_idle = TimeSpan.FromMilliseconds(100);

    readonly Lock _lock = new();
    readonly PacketSocket _upper, _lower;
    readonly LinkDirection _down, _up;
    readonly byte[] _buffer = new byte[LargestFrame];

    /// <param name="upper">The device towards the Internet.</param>
    /// <param name="lower">The device towards the home.</param>
    /// <param name="down">What is done to frames towards the home.</param>
    /// <param name="up">What is done to frames towards the Internet.</param>
    /// <param name="hop">Where errors about larger packets come from.</param>
    /// <param name="clock">The clock.</param>
    public LinkEmulator(string upper, string lower, LinkSettings down, LinkSettings up, HopAddresses hop, TimeProvider clock)
    {
        down.Check();
        up.Check();
        _upper = new PacketSocket(upper);
        try
        {
            _lower = new PacketSocket(lower);
        }
        catch
        {
            _upper.Dispose();
            throw;
        }

        _down = new LinkDirection(down, clock) { Hop = hop };
        _up = new LinkDirection(up, clock) { Hop = hop };
    }

    /// <summary>Changes settings from the next frame on; frames that are under way keep their time. Gives the state after it.</summary>
    /// <exception cref="APlusPException">AP5007: a value cannot be; nothing is changed then.</exception>
    public LinkState Change(LinkChange change)
    {
        lock (_lock)
        {
            LinkSettings down = change.Way is LinkWay.Up ? _down.Settings : _down.Settings.With(change);
            LinkSettings up = change.Way is LinkWay.Down ? _up.Settings : _up.Settings.With(change);
            _down.Settings = down;
            _up.Settings = up;
            return State();
        }
    }

    /// <summary>Settings and counters of both ways, as of now.</summary>
    public LinkState State()
    {
        lock (_lock) return new LinkState(new(_down.Settings, _down.Counters with { }), new(_up.Settings, _up.Counters with { }));
    }

    /// <summary>Moves frames until the token says stop; frames that are under way then are gone.</summary>
    public void Run(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            TimeSpan wait = s_idle;
            lock (_lock)
            {
                Accept(_upper, _down);
                Accept(_lower, _up);
                Deliver(_down, _lower);
                Deliver(_up, _upper);
                if (_down.UntilNext is { } down && down < wait) wait = down;
                if (_up.UntilNext is { } up && up < wait) wait = up;
            }

            if (wait > TimeSpan.Zero) PacketSocket.Wait(_upper, _lower, wait);
        }
    }

    void Accept(PacketSocket from, LinkDirection way)
    {
        for (int i = 0; i < Burst; i++)
        {
            int length = from.Receive(_buffer);
            if (length < OversizePackets.EthernetHeader) return;
            if (way.Offer(_buffer.AsSpan(0, length), out ReadOnlySpan<byte> answer) == LinkFate.TooBigAnswered && !from.TrySend(answer))
                way.Counters.SendFailures++;
        }
    }

    void Deliver(LinkDirection way, PacketSocket to)
    {
        for (int i = 0; i < Burst; i++)
        {
            int length = way.TryTake(_buffer);
            if (length < 0) return;
            if (!to.TrySend(_buffer.AsSpan(0, length))) way.Counters.SendFailures++;
        }
    }

    public void Dispose()
    {
        _upper.Dispose();
        _lower.Dispose();
    }
}
