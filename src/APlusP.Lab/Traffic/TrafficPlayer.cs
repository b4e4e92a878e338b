using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using APlusP.Core.Wire;
using APlusP.Survey.Models;

namespace APlusP.Lab.Traffic;

/// <summary>
/// Plays a timeline by real sockets on a host of a lab: each flow from a port of its own, opened and closed when the timeline says. What is still open at the end stays
/// so until this is disposed of.
/// </summary>
/// <remarks>
/// A TCP flow is a connection over which an octet goes and comes back; a UDP flow is a datagram and its answer, and one more of them every ten seconds and at its end, as
/// calls and games do all the time. Nobody tries again: who is refused is refused.
/// </remarks>
public sealed class TrafficPlayer : IDisposable
{
    /// <summary>Ports of the host, one after the other. A NAPT of independent mapping gives a port to each port of a host, so none may be used twice.</summary>
    const int FirstPort = 20_000;

    /// <summary>Of the model's time.</summary>
    static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(10);

    /// <summary>By the wall: what was not answered until then is not.</summary>
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    readonly NetworkNamespace _host;
    readonly Timeline _timeline;
    readonly TrafficPeers _peers;
    readonly double _scale;
    readonly List<LiveFlow> _live = [];
    long _start;
    int _port = FirstPort;

    /// <param name="host">Where it plays.</param>
    /// <param name="timeline">What it plays.</param>
    /// <param name="peers">Whom to.</param>
    /// <param name="scale">How many times as fast.</param>
    public TrafficPlayer(NetworkNamespace host, Timeline timeline, TrafficPeers peers, double scale)
    {
        _host = host;
        _timeline = timeline;
        _peers = peers;
        _scale = scale;
    }

    /// <summary>A moment for all to begin at, when each of them is there.</summary>
    public static long BeginAt() => Stopwatch.GetTimestamp() + Stopwatch.Frequency / 2;

    /// <summary>Lets players play from one moment on.</summary>
    public static Task PlayTogether(IEnumerable<TrafficPlayer> players, long start, CancellationToken cancel) =>
        Task.WhenAll([.. players.Select(player => Task.Factory.StartNew(() => player.Play(start, cancel), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))]);

    /// <summary>Waits until all have played.</summary>
    /// <exception cref="OperationCanceledException">They were stopped.</exception>
    public static void Await(Task play, CancellationToken cancel)
    {
        try
        {
            play.GetAwaiter().GetResult();
        }
        catch (Exception error) when (cancel.IsCancellationRequested)
        {
            throw new OperationCanceledException("the play was stopped", error, cancel);
        }
    }

    /// <summary>All flows that were tried. To be read when the play is over, or by who can bear that it goes on.</summary>
    public IReadOnlyList<PlayedFlow> Flows { get; private set; } = [];

    /// <summary>Plays from a moment on (of <see cref="Stopwatch.GetTimestamp"/>) to the end; returns when all answers are there, or are no longer waited for.</summary>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public void Play(long start, CancellationToken cancel)
    {
        _start = start;
        _host.Call(() => Run(cancel));
        Task.WaitAll([.. _live.Select(flow => flow.Begun)], cancel);
    }

    // Sockets belong to the namespace of the thread that makes them: this one.
    void Run(CancellationToken cancel)
    {
        var queue = new PriorityQueue<LiveFlow, TimeSpan>();
        foreach (TimedFlow flow in _timeline.Flows) queue.Enqueue(new LiveFlow(new PlayedFlow(flow)), flow.Opens);
        Flows = [.. queue.UnorderedItems.Select(item => item.Element.Played)];
        while (queue.TryDequeue(out LiveFlow? next, out TimeSpan due))
        {
            WaitFor(due, cancel);
            if (next.Socket is null)
            {
                Open(next);
                _live.Add(next);
                if (next.Played.Flow.Closes is { } closes) queue.Enqueue(next, closes);
            }
            else next.Closing.TrySetResult();
        }

        WaitFor(_timeline.Length, cancel);
    }

    void WaitFor(TimeSpan due, CancellationToken cancel)
    {
        TimeSpan left = due / _scale - Elapsed();
        if (left > TimeSpan.Zero) cancel.WaitHandle.WaitOne(left);
        cancel.ThrowIfCancellationRequested();
    }

    TimeSpan Elapsed() => Stopwatch.GetElapsedTime(_start);

    void Open(LiveFlow live)
    {
        RemoteEnd end = live.Played.Flow.Remote;
        bool isTcp = end.Protocol == IpProtocol.Tcp;
        var family = end.IsIPv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
        live.Socket = new Socket(family, isTcp ? SocketType.Stream : SocketType.Dgram, isTcp ? ProtocolType.Tcp : ProtocolType.Udp);
        live.Socket.Bind(new IPEndPoint(end.IsIPv6 ? IPAddress.IPv6Any : IPAddress.Any, _port++));
        live.Played.Opening = Elapsed();
        live.Begun = Begin(live, _peers.AddressOf(end));
        live.Whole = Live(live, isTcp);
    }

    /// <summary>The first packet and its answer.</summary>
    async Task Begin(LiveFlow live, IPEndPoint remote)
    {
        using var patience = new CancellationTokenSource(s_patience);
        PlayedFlow played = live.Played;
        try
        {
            await live.Socket!.ConnectAsync(remote, patience.Token);
            if (await Exchange(live.Socket, patience.Token)) played.Fate = FlowFate.Opened;
            else (played.Fate, played.Fault) = (FlowFate.Failed, "the connection was closed before the answer");
        }
        catch (OperationCanceledException)
        {
            played.Fate = FlowFate.TimedOut;
        }
        catch (SocketException error) when (error.SocketErrorCode is SocketError.HostUnreachable or SocketError.NetworkUnreachable)
        {
            played.Fate = FlowFate.Refused;
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            (played.Fate, played.Fault) = (FlowFate.Failed, error.Message);
        }

        played.Opened = Elapsed();
    }

    /// <summary>What follows the beginning, to the end.</summary>
    async Task Live(LiveFlow live, bool isTcp)
    {
        await live.Begun;
        bool isQuestion = live.Played.Flow.Closes == live.Played.Flow.Opens;
        if (live.Played.Fate == FlowFate.Opened && isTcp) await live.Closing.Task;
        else if (live.Played.Fate == FlowFate.Opened && !isQuestion) await KeepTalking(live);

        // Of a question the one packet was the last as well.
        live.Played.Closing = isQuestion && !isTcp ? live.Played.Opening : live.Played.Closing ?? Elapsed();
        live.Socket!.Dispose();
        live.Played.Closed = Elapsed();
    }

    async Task KeepTalking(LiveFlow live)
    {
        // An answer that is lost is waited for until the next question is due and no longer: who falls silent for 30 s has no port any more.
        TimeSpan apart = s_keepAlive / _scale;
        while (!live.Closing.Task.IsCompleted)
        {
            await Task.WhenAny(Task.Delay(apart), live.Closing.Task);
            live.Played.Closing = Elapsed();
            try
            {
                using var patience = new CancellationTokenSource(apart < s_patience ? apart : s_patience);
                await Exchange(live.Socket!, patience.Token);
            }
            catch (OperationCanceledException)
            {
                // A datagram was lost; the next may come through.
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                live.Played.Fault = error.Message;
                return;
            }
        }
    }

    static async Task<bool> Exchange(Socket socket, CancellationToken patience)
    {
        byte[] octet = [1];
        await socket.SendAsync(octet, patience);
        return await socket.ReceiveAsync(octet, patience) > 0;
    }

    public void Dispose()
    {
        foreach (LiveFlow flow in _live) flow.Closing.TrySetResult();
        Task.WaitAll([.. _live.Select(flow => flow.Whole)], s_patience * 2);
    }

    sealed class LiveFlow(PlayedFlow played)
    {
        public PlayedFlow Played { get; } = played;

        public Socket? Socket { get; set; }

        public TaskCompletionSource Closing { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Begun { get; set; } = Task.CompletedTask;

        public Task Whole { get; set; } = Task.CompletedTask;
    }
}
