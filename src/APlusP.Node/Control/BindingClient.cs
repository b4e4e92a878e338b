using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using APlusP.Core;

namespace APlusP.Node.Control;

/// <summary>The other side of a <see cref="BindingRequest"/> stream: one connection to a running PRR, for one request or a million.</summary>
public sealed class BindingClient : IDisposable
{
    readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    readonly NetworkStream _stream;
    readonly StreamReader _answers;
    readonly string _path;

    /// <exception cref="APlusPException">AP3002: no daemon answers.</exception>
    public BindingClient(string path)
    {
        _path = path;
        try
        {
            _socket.Connect(new UnixDomainSocketEndPoint(path));
            _stream = new NetworkStream(_socket);
            _stream.Write("bindings\n"u8);
            _answers = new StreamReader(_stream, Encoding.UTF8);
        }
        catch (Exception error) when (error is SocketException or IOException or ArgumentException)
        {
            _socket.Dispose();
            throw ControlClient.NoDaemon(path, error);
        }
    }

    /// <summary>Asks one thing and waits for its answer.</summary>
    /// <param name="request">What.</param>
    /// <param name="each">Given each entry of a list.</param>
    /// <exception cref="APlusPException">The error that the daemon answered with, or AP3002.</exception>
    public BindingAnswer Ask(BindingRequest request, Action<BindingEntry>? each = null)
    {
        Send([.. JsonSerializer.SerializeToUtf8Bytes(request, BindingJson.Default.BindingRequest), (byte)'\n']);
        while (true)
        {
            BindingAnswer answer = JsonSerializer.Deserialize(ReadLine(), BindingJson.Default.BindingAnswer)!;
            if (answer.Code is { } code) throw new APlusPException(code, answer.Message ?? "");
            if (answer.Done is not null) return answer;
            if (answer.Binding is { } entry) each?.Invoke(entry);
        }
    }

    /// <summary>Sends lines without waiting for their answers, which <see cref="ReadLine"/> gives one by one, on another thread perhaps.</summary>
    public void Send(ReadOnlySpan<byte> lines)
    {
        try
        {
            _stream.Write(lines);
        }
        catch (IOException error)
        {
            throw ControlClient.NoDaemon(_path, error);
        }
    }

    /// <summary>The next line that the daemon says.</summary>
    public string ReadLine()
    {
        try
        {
            return _answers.ReadLine() ?? throw new IOException("it has closed the connection");
        }
        catch (IOException error)
        {
            throw ControlClient.NoDaemon(_path, error);
        }
    }

    public void Dispose()
    {
        _answers.Dispose();
        _stream.Dispose();
        _socket.Dispose();
    }
}
