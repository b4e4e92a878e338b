using System.Net;
using System.Net.Sockets;
using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.PortControl.Upnp;
using APlusP.Linux;
using APlusP.Node.Daemons;

namespace APlusP.Node.PortControl;

/// <summary>The socket of those pages on a LAN: few connections at once, one request each, and little patience.</summary>
sealed class IgdListener : IDisposable
{
    const int MostAtOnce = 32, Backlog = 32;

    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    readonly LanNetwork _lan;
    readonly Socket _socket;
    readonly IgdWeb _web;
    readonly DaemonLog _log;
    readonly CancellationTokenSource _stop = new();
    readonly SemaphoreSlim _free = new(MostAtOnce);
    readonly Task _listening;

    IgdListener(LanNetwork lan, Socket socket, IgdWeb web, DaemonLog log)
    {
        (_lan, _socket, _web, _log) = (lan, socket, web, log);
        Port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        _listening = Task.Run(Listen);
    }

    public int Port { get; }

    /// <summary>Opens it, at the port that it had before where that is free.</summary>
    /// <exception cref="SocketException">The device or the address is not there.</exception>
    public static IgdListener Open(LanNetwork lan, int port, IgdWeb web, DaemonLog log)
    {
        try
        {
            return new IgdListener(lan, Bind(lan, port), web, log);
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse && port != 0)
        {
            return new IgdListener(lan, Bind(lan, 0), web, log);
        }
    }

    static Socket Bind(LanNetwork lan, int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.BindTo(lan.Device);

            // Connections of before that linger do not hold the port.
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(new IPEndPoint(lan.OwnAddress, port));
            socket.Listen(Backlog);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    async Task Listen()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await _free.WaitAsync(_stop.Token);
                Socket client;
                try
                {
                    client = await _socket.AcceptAsync(_stop.Token);
                }
                catch
                {
                    _free.Release();
                    throw;
                }

                _ = Serve(client);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException error)
            {
                _log.PortControlFailed(error.Message);
                await Task.Delay(100);
            }
        }
    }

    async Task Serve(Socket client)
    {
        try
        {
            using (client)
            {
                using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
                patience.CancelAfter(s_patience);
                IPv4Address asker = LanNetwork.AddressOf(client.RemoteEndPoint!);
                if (!_lan.IsHost(asker)) return;
                byte[] answer = (await Answer(client, asker, patience.Token)).Write();
                await client.SendAsync(answer, patience.Token);

                // Closing while something is unread would take the answer back.
                client.Shutdown(SocketShutdown.Send);
                byte[] rest = new byte[1024];
                while (await client.ReceiveAsync(rest, patience.Token) > 0)
                {
                }
            }
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException or InvalidOperationException)
        {
            // Who asked has gone, or is too slow; or we stop.
        }
        finally
        {
            _free.Release();
        }
    }

    async Task<HttpAnswer> Answer(Socket client, IPv4Address asker, CancellationToken patience)
    {
        byte[] bytes = new byte[HttpHead.Longest + IgdWeb.LongestBody];
        int length = 0, end;
        while ((end = HttpHead.EndOf(bytes.AsSpan(0, length))) == 0)
        {
            if (length > HttpHead.Longest) return new HttpAnswer("431 Request Header Fields Too Large");
            int read = await client.ReceiveAsync(bytes.AsMemory(length), patience);
            if (read == 0) return new HttpAnswer("400 Bad Request");
            length += read;
        }

        if (!HttpHead.TryRead(bytes.AsSpan(0, end), out HttpHead? head)) return new HttpAnswer("400 Bad Request");
        if (_web.Refuse(head!, $"{_lan.Address}:{Port}", asker) is { } refusal) return refusal;
        int whole = end + IgdWeb.LengthOf(head!);
        if (length < whole && head!["expect"]?.ToLowerInvariant() == "100-continue") await client.SendAsync(Encoding.ASCII.GetBytes("HTTP/1.1 100 Continue\r\n\r\n"), patience);
        while (length < whole)
        {
            int read = await client.ReceiveAsync(bytes.AsMemory(length, whole - length), patience);
            if (read == 0) return new HttpAnswer("400 Bad Request");
            length += read;
        }

        return _web.Answer(head!, bytes.AsSpan(end, whole - end), asker);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listening.Wait();
        _socket.Dispose();
        _stop.Dispose();
    }
}
