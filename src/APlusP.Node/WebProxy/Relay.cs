using System.Buffers;
using System.Net.Sockets;

namespace APlusP.Node.WebProxy;

/// <summary>Two connections that are one: what comes by either goes out by the other, and so do an end and a reset.</summary>
sealed class Relay(Socket client, Socket server)
{
    const int BufferSize = 64 * 1024;

    /// <summary>Without an octet: RFC 5382 REQ-5, as the NAPT has it for a connection and for one that is half closed.</summary>
    static readonly TimeSpan s_idle = TimeSpan.FromSeconds(7440), s_idleHalf = TimeSpan.FromSeconds(240);

    long _up, _down, _last = Environment.TickCount64;
    volatile bool _isHalf;

    /// <summary>Octets so far.</summary>
    public long Up => Interlocked.Read(ref _up);

    /// <inheritdoc cref="Up"/>
    public long Down => Interlocked.Read(ref _down);

    /// <summary>Relays to the end of both.</summary>
    /// <param name="first">What the client has sent already.</param>
    public async Task Run(ReadOnlyMemory<byte> first)
    {
        try
        {
            await SendAll(server, first);
            Interlocked.Add(ref _up, first.Length);
            await Task.WhenAll(Copy(client, server, isUp: true), Copy(server, client, isUp: false));
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // Whoever is left hears a reset.
        }
        finally
        {
            client.Dispose();
            server.Dispose();
        }
    }

    /// <summary>Ends it if nothing has come for long.</summary>
    public void EndIfIdle()
    {
        if (Environment.TickCount64 - Volatile.Read(ref _last) > (_isHalf ? s_idleHalf : s_idle).TotalMilliseconds) Reset();
    }

    /// <summary>Ends it with a reset to both.</summary>
    public void Reset()
    {
        Reset(client);
        Reset(server);
    }

    /// <summary>Closes a connection with a reset.</summary>
    public static void Reset(Socket connection)
    {
        try
        {
            connection.LingerState = new LingerOption(true, 0);
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // It has ended by itself.
        }

        connection.Dispose();
    }

    async Task Copy(Socket from, Socket to, bool isUp)
    {
        try
        {
            while (true)
            {
                // A connection that waits holds no buffer.
                await from.ReceiveAsync(Memory<byte>.Empty);
                byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
                try
                {
                    int read = await from.ReceiveAsync(buffer.AsMemory());
                    if (read == 0) break;
                    await SendAll(to, buffer.AsMemory(0, read));
                    Interlocked.Add(ref isUp ? ref _up : ref _down, read);
                    Volatile.Write(ref _last, Environment.TickCount64);
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }

            _isHalf = true;
            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            Reset();
            throw;
        }
    }

    static async ValueTask SendAll(Socket to, ReadOnlyMemory<byte> octets)
    {
        while (octets.Length > 0) octets = octets[await to.SendAsync(octets)..];
    }
}
