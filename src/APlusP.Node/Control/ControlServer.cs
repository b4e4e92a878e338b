using System.Net.Sockets;
using System.Text.Json;
using APlusP.Core;
using APlusP.Node.Daemons;

namespace APlusP.Node.Control;

/// <summary>
/// Answers on a daemon's control socket, a unix socket whose file permissions say who may ask: the request is one line, a verb; the
/// answer is one line of JSON. A verb may also begin a stream: then each line that follows has an answer of its own, for as long as the other side likes.
/// </summary>
sealed class ControlServer : IDisposable
{
    const int MaxRequest = 256;
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    readonly string _path;
    readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    readonly Func<string, ControlAnswer> _answer;
    readonly Func<string, ILineStream?> _stream;
    readonly DaemonLog _log;
    readonly CancellationTokenSource _stop = new();
    Task? _listening;

    /// <param name="path">Of the socket.</param>
    /// <param name="answer">Answers a verb.</param>
    /// <param name="stream">The stream that a verb begins; null where it is a question.</param>
    /// <param name="log">Told of what goes wrong here.</param>
    public ControlServer(string path, Func<string, ControlAnswer> answer, Func<string, ILineStream?> stream, DaemonLog log)
    {
        _path = path;
        _answer = answer;
        _stream = stream;
        _log = log;
        try
        {
            string directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
            Directory.CreateDirectory(directory);
            RemoveStale();
            _socket.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
        }
        catch (Exception error) when (error is SocketException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            _socket.Dispose();
            throw new APlusPException(ErrorCodes.ControlSocketNotMade, $"cannot make the control socket {path}: {error.Message}. Set `control-socket` to a path in a directory that this user may write.", error);
        }
    }

    /// <summary>A daemon that was killed leaves its socket behind; one that lives answers at it.</summary>
    void RemoveStale()
    {
        if (!File.Exists(_path)) return;
        if (!ControlClient.Answers(_path))
        {
            File.Delete(_path);
            return;
        }

        _socket.Dispose();
        throw new APlusPException(ErrorCodes.AlreadyRunning, $"a daemon answers at the control socket {_path} already. Stop it first, or set `control-socket` to another path.");
    }

    /// <summary>Who connects before is refused, so that an answer means that the daemon is ready.</summary>
    public void Start()
    {
        _socket.Listen();
        _listening = Task.Run(Listen);
    }

    async Task Listen()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Socket client = await _socket.AcceptAsync(_stop.Token);
                _ = Serve(client);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException error)
            {
                _log.ControlFailed(error.Message);
            }
        }
    }

    async Task Serve(Socket client)
    {
        using var stream = new NetworkStream(client, ownsSocket: true);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        patience.CancelAfter(s_patience);
        try
        {
            byte[] request = new byte[MaxRequest];
            int length = 0;
            while (length < request.Length && !request.AsSpan(0, length).Contains((byte)'\n'))
            {
                int read = await stream.ReadAsync(request.AsMemory(length), patience.Token);
                if (read == 0) break;
                length += read;
            }

            int end = request.AsSpan(0, length).IndexOf((byte)'\n');
            string verb = System.Text.Encoding.UTF8.GetString(request, 0, end < 0 ? length : end).Trim();
            if (verb.Length == 0) return;
            if (end >= 0 && _stream(verb) is { } lines)
            {
                await ServeLines(client, lines, request.AsMemory(end + 1, length - end - 1));
                return;
            }

            ControlAnswer answer = Answer(verb);

            // A reload of millions of bindings takes longer than whoever is too slow to ask or to listen is given.
            using var again = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            again.CancelAfter(s_patience);
            await stream.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(answer, ControlJson.Default.ControlAnswer), again.Token);
            await stream.WriteAsync("\n"u8.ToArray(), again.Token);

            // Closing while something is unread, such as a request to a stream that there is not, would take the answer back.
            client.Shutdown(SocketShutdown.Send);
            while (await stream.ReadAsync(request, again.Token) > 0)
            {
            }
        }
        catch (Exception error) when (error is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Who asked has gone, or is too slow to wait for.
        }
    }

    /// <summary>On a thread of its own, since it waits for the next line for as long as it takes.</summary>
    async Task ServeLines(Socket client, ILineStream lines, ReadOnlyMemory<byte> first)
    {
        await using CancellationTokenRegistration closing = _stop.Token.Register(client.Dispose);
        await Task.Factory.StartNew(() => new LineServer(client, lines).Run(first.Span), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    ControlAnswer Answer(string verb)
    {
        try
        {
            return _answer(verb);
        }
        catch (APlusPException error)
        {
            return new ControlAnswer { Code = error.Code, Message = error.Message };
        }
        catch (Exception error)
        {
            _log.ControlFailed(error.ToString());
            return new ControlAnswer { Code = ErrorCodes.ControlRequestFailed, Message = $"the daemon could not answer '{verb}': {error.Message}" };
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listening?.Wait();
        _socket.Dispose();
        File.Delete(_path);
        _stop.Dispose();
    }
}
