using System.Collections.Concurrent;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using APlusP.Core;
using APlusP.Core.Web;
using APlusP.Node.Control;
using APlusP.Node.Daemons;

namespace APlusP.Node.WebProxy;

/// <summary>
/// A transparent proxy for the web: a connection of a host to an IPv4 address goes by IPv6 where the name that its client says in clear has an IPv6 address that answers, and as it was meant
/// where not. What it carries is neither looked into nor changed, and no name or address is written anywhere.
/// </summary>
public sealed class WebProxyDaemon : IDisposable
{
    /// <summary>How long a client has for saying whom it wants. Some wait for their server to speak first.</summary>
    static readonly TimeSpan s_greeting = TimeSpan.FromMilliseconds(500), s_sweep = TimeSpan.FromSeconds(30), s_keep = TimeSpan.FromSeconds(1);

    const int Backlog = 4096, ShownSites = 20;

    // <linux/in.h>
    const int SolIp = 0, IpTransparent = 19;

    readonly WebProxyPlan _plan;
    readonly DaemonLog _log;
    readonly AddressBook _book;
    readonly ServerRace _race;
    readonly WebCounts _counts = new();
    readonly SiteRanking? _ranking;
    readonly ConcurrentDictionary<Relay, WebWay> _relays = new();
    readonly SemaphoreSlim _room;
    readonly CancellationTokenSource _stop = new();
    Socket? _listener;
    ConnectionPool? _pool;
    Interception? _interception;
    ControlServer? _control;
    Timer? _sweeper, _keeper;
    string? _fault;
    Task _accepting = Task.CompletedTask;
    volatile HashSet<IPAddress> _own = [];
    long _fullToldAt = long.MinValue;

    public WebProxyDaemon(WebProxyPlan plan, DaemonLog log)
    {
        _plan = plan;
        _log = log;
        _book = new AddressBook(AddressBook.By(plan.Resolvers), TimeProvider.System);
        _race = new ServerRace(_book, address => _own.Contains(address));
        _room = new SemaphoreSlim(plan.MostConnections);
        if (plan.RanksSites) _ranking = new SiteRanking();
    }

    /// <summary>Starts.</summary>
    /// <exception cref="APlusPException">AP3030, AP2003, AP2006, AP3001 or AP3003.</exception>
    public void Start()
    {
        _control = new ControlServer(_plan.ControlSocket, Answer, _ => null, _log);
        _listener = Listen();
        if (_plan.PerServer > 0) _pool = ConnectionPool.StartAsync(_plan.PerServer).GetAwaiter().GetResult();
        Sweep();
        _sweeper = new Timer(_ => Sweep(), null, s_sweep, s_sweep);
        _accepting = Task.Run(Accept);
        _interception = new Interception(_plan, _log);
        _keeper = new Timer(_ => Keep(), null, s_keep, s_keep);
        _control.Start();
        _log.WebProxyStarted(Daemon.ProgramVersion, string.Join(", ", _plan.Ports), string.Join(", ", _plan.Devices), _plan.ControlSocket);
    }

    Socket Listen()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // It takes connections to any address, as they are led to it.
            listener.SetRawSocketOption(SolIp, IpTransparent, BitConverter.GetBytes(1));
            listener.Bind(new IPEndPoint(IPAddress.Loopback, _plan.Listen));
            listener.Listen(Backlog);
            return listener;
        }
        catch (SocketException error)
        {
            listener.Dispose();
            throw new APlusPException(ErrorCodes.WebProxyNotStarted, $"the web proxy cannot listen on port {_plan.Listen}: {error.Message}. "
                + (error.SocketErrorCode == SocketError.AddressAlreadyInUse ? "Somebody else does; give it another port with --listen." : "It needs CAP_NET_ADMIN."), error);
        }
    }

    ControlAnswer Answer(string verb) => verb switch
    {
        "status" => new ControlAnswer { WebProxy = Status() },
        "counters" => new ControlAnswer { Counters = Status().Counters() },
        "reload" => new ControlAnswer { Reloaded = "a web proxy has no file; start it again to change it" },
        _ => throw new APlusPException(ErrorCodes.ControlRequestFailed, $"'{verb}' is no request to a web proxy; there are status and counters."),
    };

    WebProxyStatus Status() => _counts.Read(_plan, (_relays.Keys.Sum(r => r.Up), _relays.Keys.Sum(r => r.Down))) with { Sites = _ranking?.First(ShownSites) };

    void Sweep()
    {
        _own = [.. NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address)];
        foreach (Relay relay in _relays.Keys) relay.EndIfIdle();
    }

    /// <summary>Has connections come to us still.</summary>
    void Keep()
    {
        string? fault = null;
        try
        {
            _interception!.Keep();
        }
        catch (APlusPException error)
        {
            fault = error.Message;
        }

        if (fault is not null && fault != _fault) _log.WebProxyWaits(fault);
        _fault = fault;
    }

    // ---- A connection

    async Task Accept()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                if (!_room.Wait(0, CancellationToken.None))
                {
                    TellFull();
                    await _room.WaitAsync(_stop.Token);
                }

                Socket client = await _listener!.AcceptAsync(_stop.Token);
                _ = Serve(client);
            }
            catch (Exception over) when (over is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException error)
            {
                // Such as no descriptor left: others end, and give some back.
                _room.Release();
                _log.WebConnectionFailed(error.Message);
                await Task.Delay(100);
            }
        }
    }

    void TellFull()
    {
        if (Environment.TickCount64 - _fullToldAt < 60_000 && _fullToldAt != long.MinValue) return;
        _fullToldAt = Environment.TickCount64;
        _log.WebProxyFull(_plan.MostConnections);
    }

    async Task Serve(Socket client)
    {
        try
        {
            client.NoDelay = true;
            byte[] first = new byte[WebName.MostOctets];
            (int length, string? name) = await ReadGreeting(client, first);

            if (name is not null) _ranking?.Count(name);

            // Where the client meant to go is what its connection looks like from here.
            var original = (IPEndPoint)client.LocalEndPoint!;
            (Socket? server, WebWay way) = await _race.Reach(name, original, PoolFor(name, first, original), _stop.Token);
            _counts.Begin(way);
            if (server is null) Relay.Reset(client);
            else await Carry(new Relay(client, server), way, first.AsMemory(0, length));
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The client has gone, or we go.
            Relay.Reset(client);
        }
        finally
        {
            _room.Release();
        }
    }

    /// <summary>How a client that speaks HTTP in clear is served by connections that it shares; null where it is not.</summary>
    Func<Task<Socket>>? PoolFor(string? name, byte[] first, IPEndPoint original)
    {
        if (_pool is not { } pool || name is null || WebName.IsTls(first) || !pool.May(original)) return null;
        return () =>
        {
            _counts.Pool();
            return pool.ConnectAsync(original, _stop.Token);
        };
    }

    async Task Carry(Relay relay, WebWay way, ReadOnlyMemory<byte> first)
    {
        _relays[relay] = way;
        try
        {
            await relay.Run(first);
        }
        finally
        {
            _relays.TryRemove(relay, out _);
            _counts.End(way, relay.Up, relay.Down);
        }
    }

    /// <summary>What a client says first, until it has named a server, or is seen not to.</summary>
    async Task<(int Length, string? Name)> ReadGreeting(Socket client, byte[] octets)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        patience.CancelAfter(s_greeting);
        int length = 0;
        try
        {
            while (true)
            {
                int read = await client.ReceiveAsync(octets.AsMemory(length), patience.Token);
                length += read;
                if (read == 0 || WebName.Find(octets.AsSpan(0, length), out string? name) is NameSearch.None) return (length, null);
                if (name is not null) return (length, name);
            }
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            return (length, null);
        }
    }

    public void Dispose()
    {
        _interception?.Dispose();
        _stop.Cancel();
        _listener?.Dispose();
        _accepting.Wait();
        _sweeper?.Dispose();
        _keeper?.Dispose();
        foreach (Relay relay in _relays.Keys) relay.Reset();
        _pool?.DisposeAsync().AsTask().Wait();
        _control?.Dispose();
    }
}
