using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using APlusP.Core;

namespace APlusP.Lab.Links;

/// <summary>One way of a link: what it does, and what it did.</summary>
public sealed record LinkWayState(LinkSettings Settings, LinkCounters Counters);

/// <summary>An emulated link as it is now.</summary>
public sealed record LinkState(LinkWayState Down, LinkWayState Up);

/// <summary>What an emulator answers: its state, or an error.</summary>
public sealed record LinkAnswer(LinkState? State, string? Code, string? Message);

/// <summary>
/// The control socket of a link emulator, a unix socket: the request is one line, a <see cref="LinkChange"/> as JSON ({} changes nothing), the
/// answer one line, a <see cref="LinkAnswer"/>.
/// </summary>
public sealed class LinkControl : IDisposable
{
    const int MaxRequest = 4096;

    readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    readonly string _path;
    readonly LinkEmulator _link;
    readonly Thread _thread;
    volatile bool _stopping;

    /// <summary>Listens from now on; a socket that somebody left behind is replaced.</summary>
    public LinkControl(string path, LinkEmulator link)
    {
        _path = path;
        _link = link;
        try
        {
            File.Delete(path);
            _socket.Bind(new UnixDomainSocketEndPoint(path));
            _socket.Listen();
        }
        catch (Exception error) when (error is SocketException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            _socket.Dispose();
            throw new APlusPException(ErrorCodes.ControlSocketNotMade, $"cannot make the control socket {path} of the link: {error.Message}. Give --socket a path in a directory that this user may write.", error);
        }

        _thread = new Thread(Listen) { Name = "link control", IsBackground = true };
        _thread.Start();
    }

    void Listen()
    {
        while (!_stopping)
        {
            try
            {
                using Socket client = _socket.Accept();
                client.ReceiveTimeout = client.SendTimeout = 2000;
                Serve(client);
            }
            catch (SocketException)
            {
                // Who asked has gone or is too slow; or we stop.
            }
        }
    }

    void Serve(Socket client)
    {
        byte[] request = new byte[MaxRequest];
        int length = 0;
        while (length < request.Length && !request.AsSpan(0, length).Contains((byte)'\n'))
        {
            int read = client.Receive(request.AsSpan(length));
            if (read == 0) break;
            length += read;
        }

        if (length == 0) return;
        client.Send([.. JsonSerializer.SerializeToUtf8Bytes(Answer(request.AsSpan(0, length)), LinkJson.Default.LinkAnswer), (byte)'\n']);
    }

    LinkAnswer Answer(ReadOnlySpan<byte> request)
    {
        try
        {
            LinkChange? change = JsonSerializer.Deserialize(request, LinkJson.Default.LinkChange);
            return new LinkAnswer(change is null ? _link.State() : _link.Change(change), null, null);
        }
        catch (JsonException error)
        {
            return new LinkAnswer(null, ErrorCodes.LinkSettingWrong, $"this is no change of a link: {error.Message}");
        }
        catch (APlusPException error)
        {
            return new LinkAnswer(null, error.Code, error.Message);
        }
    }

    /// <summary>Changes a link that runs, and gives its state; when it returns, the change is in force.</summary>
    /// <exception cref="APlusPException">AP3002: none answers there; AP5007: a value cannot be.</exception>
    public static LinkState Ask(string path, LinkChange change)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 10_000, SendTimeout = 5_000 };
        LinkAnswer answer;
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            socket.Send(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(change, LinkJson.Default.LinkChange) + "\n"));
            using var stream = new NetworkStream(socket);
            using var reader = new StreamReader(stream);
            answer = JsonSerializer.Deserialize(reader.ReadLine() ?? "", LinkJson.Default.LinkAnswer) ?? throw new JsonException("the answer is empty");
        }
        catch (Exception error) when (error is SocketException or IOException or JsonException or ArgumentException)
        {
            throw new APlusPException(ErrorCodes.NoDaemon, $"no link emulator answers at {path}: {error.Message}. `aplusp lab link run` makes a link, or a lab that was planned with one.", error);
        }

        return answer.State ?? throw new APlusPException(answer.Code ?? ErrorCodes.ControlRequestFailed, answer.Message ?? "");
    }

    /// <summary>A state as people read it, indented JSON.</summary>
    public static string ToJson(LinkState state) => JsonSerializer.Serialize(state, LinkJsonIndented.Default.LinkState);

    public void Dispose()
    {
        _stopping = true;
        _socket.Dispose();
        _thread.Join(TimeSpan.FromSeconds(3));
        File.Delete(_path);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower, UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(LinkChange))]
[JsonSerializable(typeof(LinkAnswer))]
sealed partial class LinkJson : JsonSerializerContext;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower, UseStringEnumConverter = true, WriteIndented = true)]
[JsonSerializable(typeof(LinkState))]
sealed partial class LinkJsonIndented : JsonSerializerContext;
