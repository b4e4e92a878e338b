using System.Net;
using System.Net.Sockets;

namespace APlusP.Registry;

/// <summary>Makes the answer to a datagram, and says where it goes; null for none.</summary>
/// <param name="message">It, as it came.</param>
/// <param name="from">Who sent it.</param>
/// <param name="at">By which interface it came, and to which address.</param>
delegate Task<(byte[] Answer, IPEndPoint To)?> AnswerDatagram(ReadOnlyMemory<byte> message, IPEndPoint from, IPPacketInformation at);

/// <summary>A UDP socket of a server: what comes is answered, many at a time, until it is disposed.</summary>
sealed class AnsweringSocket : IAsyncDisposable
{
    /// <summary>Questions that are answered at once; more wait in the socket, and are lost there when it is full.</summary>
    const int MostAtOnce = 64;

    readonly Socket _socket;
    readonly AnswerDatagram _answer;
    readonly Action<string> _failed;
    readonly CancellationTokenSource _stop = new();
    readonly SemaphoreSlim _free = new(MostAtOnce);
    readonly Task _listening;

    /// <param name="socket">Bound; of IPv6. It is disposed with this.</param>
    /// <param name="answer">What answers.</param>
    /// <param name="failed">Told what went wrong; whoever asked will ask again.</param>
    public AnsweringSocket(Socket socket, AnswerDatagram answer, Action<string> failed)
    {
        _socket = socket;
        _answer = answer;
        _failed = failed;
        socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.PacketInformation, true);
        _listening = Task.Run(Listen);
    }

    async Task Listen()
    {
        byte[] buffer = new byte[65536];
        var anybody = new IPEndPoint(IPAddress.IPv6Any, 0);
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                SocketReceiveMessageFromResult came = await _socket.ReceiveMessageFromAsync(buffer, SocketFlags.None, anybody, _stop.Token);
                await _free.WaitAsync(_stop.Token);
                _ = Answer(buffer[..came.ReceivedBytes], (IPEndPoint)came.RemoteEndPoint, came.PacketInformation);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException error)
            {
                // An ICMP error about an answer, or a link that went: what comes next is heard all the same.
                _failed(error.Message);
                await Task.Delay(TimeSpan.FromMilliseconds(100));
            }
        }
    }

    async Task Answer(byte[] message, IPEndPoint from, IPPacketInformation at)
    {
        try
        {
            if (await _answer(message, from, at) is var (answer, to)) await _socket.SendToAsync(answer, SocketFlags.None, to, _stop.Token);
        }
        catch (OperationCanceledException)
        {
            // We stop.
        }
        catch (Exception error)
        {
            // Whoever asked will ask again.
            _failed(error.Message);
        }
        finally
        {
            _free.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _listening;
        for (int i = 0; i < MostAtOnce; i++) await _free.WaitAsync();
        _socket.Dispose();
        _free.Dispose();
        _stop.Dispose();
    }
}
