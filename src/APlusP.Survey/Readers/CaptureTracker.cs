using APlusP.Core.Connections;
using APlusP.Core.Wire;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Live;

namespace APlusP.Survey.Readers;

/// <summary>
/// Tracks the connections of a capture as the kernel would have, with its timers, and takes a sample at each tick of the capture's own clock.
/// </summary>
sealed class CaptureTracker(ApplicationRules rules, InsideNetworks inside, TimeSpan every, SampleSink sink)
{
    const long Second = 1_000_000_000;

    // nf_conntrack's defaults, in seconds; RFC 5382 and 4787 ask NATs for no less.
    const int SynSent = 120, SynReceived = 60, Established = 432_000, Closing = 120, Closed = 10, UdpAsked = 30, UdpAnswered = 120, Others = 30;

    readonly Dictionary<(IpProtocol, ConnectionTuple), Tracked> _connections = [];
    readonly TickCounter _counter = new(rules, inside);
    readonly PortLedger _ledger = new(inside);
    readonly long _every = (long)(every.TotalSeconds * Second);
    long _next = long.MinValue;

    /// <summary>Samples taken.</summary>
    public int Ticks { get; private set; }

    public long LeftOut { get; private set; }

    public long Beyond { get; private set; }

    /// <summary>Hears of a packet; the times of packets rise, but for a little.</summary>
    /// <param name="at">Nanoseconds since 1970.</param>
    /// <param name="packet">From its IP header on.</param>
    public void Hear(long at, Span<byte> packet)
    {
        if (_next == long.MinValue) _next = at + _every;
        while (at >= _next) Sample();
        if (!CapturedSegment.TryRead(packet, out CapturedSegment segment)) return;
        (IpProtocol, ConnectionTuple) key = (segment.Protocol, segment.Tuple), reversed = (segment.Protocol, Reverse(segment.Tuple));
        bool answers = _connections.TryGetValue(reversed, out Tracked? tracked);
        tracked ??= _connections.GetValueOrDefault(key) ?? Begin(segment, key, reversed, out answers);
        if (tracked.Until <= at && segment.Flags.HasFlag(TcpFlags.Syn)) tracked.State = TcpState.None;
        tracked.Move(segment, answers);
        tracked.Until = at + tracked.Timeout * Second;
        if (!answers && segment.Payload.Length > 0 && tracked.Named == 0 && ClientHello.TryRead(segment.Payload, out string? name, out IReadOnlyList<string> alpn)) tracked.Named = rules.ByName(name, alpn);
    }

    static ConnectionTuple Reverse(ConnectionTuple tuple) => new(tuple.Destination, tuple.Source, tuple.DestinationPort, tuple.SourcePort);

    /// <summary>A connection that the capture shows for the first time. One that it does not show from its beginning is taken for one that a host inside began.</summary>
    Tracked Begin(in CapturedSegment segment, (IpProtocol, ConnectionTuple) key, (IpProtocol, ConnectionTuple) reversed, out bool answers)
    {
        bool inTheMiddle = segment.Protocol == IpProtocol.Tcp && !segment.Flags.HasFlag(TcpFlags.Syn);
        answers = segment.IsReply || (inTheMiddle && !inside.Contains(segment.Tuple.Source) && inside.Contains(segment.Tuple.Destination));
        ConnectionTuple original = answers ? reversed.Item2 : key.Item2;
        var tracked = new Tracked(segment.Protocol, original);
        _connections.Add((segment.Protocol, original), tracked);
        _ledger.Come(tracked.Connection);
        return tracked;
    }

    /// <summary>The sample that is due; what is over by then is let go first.</summary>
    public void Sample()
    {
        foreach (((IpProtocol, ConnectionTuple) key, Tracked tracked) in _connections)
        {
            if (tracked.Until < _next)
            {
                _connections.Remove(key);
                _ledger.Go(tracked.Connection);
            }
            else if (Flow.TryOf(tracked.Connection, inside, out Flow flow)) _counter.Add(flow with { Named = tracked.Named });
            else LeftOut++;
        }

        TickCounts counts = _ledger.RaisePeaks(_counter.Finish(), rules);
        Beyond += counts.Beyond;
        _ledger.ForgetPeaks();
        sink(DateTimeOffset.UnixEpoch.AddTicks(_next / 100), counts);
        Ticks++;
        _next += _every;
    }

    sealed class Tracked(IpProtocol protocol, ConnectionTuple original)
    {
        bool _answered, _finOfOriginal, _finOfReply;

        public TcpState State { get; set; }

        public byte Named { get; set; }

        /// <summary>When it is over, if nothing more comes.</summary>
        public long Until { get; set; }

        public TrackedConnection Connection => new(protocol, original, Reverse(original), State);

        public int Timeout => protocol switch
        {
            IpProtocol.Tcp => State switch
            {
                TcpState.SynSent => SynSent,
                TcpState.SynReceived => SynReceived,
                TcpState.Established => Established,
                TcpState.Close => Closed,
                _ => Closing,
            },
            IpProtocol.Udp or IpProtocol.UdpLite => _answered ? UdpAnswered : UdpAsked,
            _ => Others,
        };

        public void Move(in CapturedSegment segment, bool answers)
        {
            _answered |= answers;
            if (protocol != IpProtocol.Tcp) return;
            TcpFlags flags = segment.Flags;
            if (flags.HasFlag(TcpFlags.Syn))
            {
                if (!answers) (_finOfOriginal, _finOfReply) = (false, false);
                State = answers ? TcpState.SynReceived : TcpState.SynSent;
                return;
            }

            if (flags.HasFlag(TcpFlags.Rst))
            {
                State = TcpState.Close;
                return;
            }

            if (flags.HasFlag(TcpFlags.Fin))
            {
                _finOfOriginal |= !answers;
                _finOfReply |= answers;
            }

            State = State == TcpState.Close ? State
                : _finOfOriginal && _finOfReply ? TcpState.TimeWait
                : _finOfReply ? TcpState.CloseWait
                : _finOfOriginal ? TcpState.FinWait
                : State == TcpState.SynSent && !answers ? State
                : TcpState.Established;
        }
    }
}
