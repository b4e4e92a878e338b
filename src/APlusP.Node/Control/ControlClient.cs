using System.Net.Sockets;
using System.Text.Json;
using APlusP.Core;

namespace APlusP.Node.Control;

/// <summary>Asks a running daemon.</summary>
public static class ControlClient
{
    public const string DefaultDirectory = "/run/aplusp";

    /// <summary>Sends one verb to the daemon at a socket and gives its answer.</summary>
    /// <exception cref="APlusPException">AP3002 where no daemon answers; or the error that the daemon answered with.</exception>
    public static ControlAnswer Ask(string path, string verb)
    {
        // A reload takes as long as the file is: ten million bindings some ten seconds on a quiet machine.
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = verb == "reload" ? 0 : 30_000, SendTimeout = 5_000 };
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            using var stream = new NetworkStream(socket);
            stream.Write(System.Text.Encoding.UTF8.GetBytes(verb + "\n"));
            ControlAnswer answer = JsonSerializer.Deserialize(stream, ControlJson.Default.ControlAnswer)
                ?? throw new JsonException("the answer is empty");
            return answer.Code is { } code ? throw new APlusPException(code, answer.Message ?? "") : answer;
        }
        catch (Exception error) when (error is SocketException or IOException or JsonException or ArgumentException)
        {
            throw NoDaemon(path, error);
        }
    }

    internal static APlusPException NoDaemon(string path, Exception error) =>
        new(ErrorCodes.NoDaemon, $"no daemon answers at {path}: {error.Message}. Is it running? `--socket` says where to ask; the daemon's `control-socket` says where it listens.", error);

    /// <summary>Whether a daemon listens at a socket.</summary>
    public static bool Answers(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>The control sockets of this machine, or the one named.</summary>
    /// <exception cref="APlusPException">AP3002: there is none.</exception>
    public static IReadOnlyList<string> Sockets(string? named)
    {
        if (named is not null) return [named];
        string[] found = Directory.Exists(DefaultDirectory) ? Directory.GetFiles(DefaultDirectory, "*.sock") : [];
        Array.Sort(found, StringComparer.Ordinal);
        return found.Length > 0 ? found
            : throw new APlusPException(ErrorCodes.NoDaemon, $"no daemon runs here: {DefaultDirectory} has no control socket. Start one with `aplusp prr --config FILE` or `aplusp smap --config FILE`, or name its socket with --socket.");
    }
}
