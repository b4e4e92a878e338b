using System.Net;
using System.Net.Sockets;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Pcp;
using APlusP.Registry.Api;

namespace APlusP.Registry.Pcp;

/// <summary>The PCP server's sockets, one for each address by which clients ask: the answer comes from there, and goes where the request came from.</summary>
sealed class PcpListener : IAsyncDisposable
{
    readonly PcpResponder _responder;
    readonly List<AnsweringSocket> _answering = [];

    /// <exception cref="APlusPException">AP6041: it cannot listen.</exception>
    public PcpListener(PcpServerSettings settings, PcpResponder responder, RegistryLog log)
    {
        _responder = responder;
        List<Socket> bound = Bind(settings.Listen);
        foreach (Socket socket in bound) _answering.Add(new AnsweringSocket(socket, Answer, log.PcpFailed));
        log.PcpListens(string.Join(", ", bound.Select(s => s.LocalEndPoint)), string.Join(", ", settings.Clients));
        EndPoints = [.. bound.Select(s => (IPEndPoint)s.LocalEndPoint!)];
    }

    /// <summary>Where it listens; the port is the one that was given where 0 was asked for.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints { get; }

    static List<Socket> Bind(IReadOnlyList<IPEndPoint> addresses)
    {
        var bound = new List<Socket>();
        foreach (IPEndPoint at in addresses)
        {
            var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
            bound.Add(socket);
            try
            {
                socket.Bind(at);
            }
            catch (SocketException error)
            {
                foreach (Socket each in bound) each.Dispose();
                throw new APlusPException(ErrorCodes.PcpNotListening, $"the registry cannot answer PCP at {at}: {error.Message}."
                    + (error.SocketErrorCode == SocketError.AddressNotAvailable ? " No interface of this machine has the address; correct 'listen' in [pcp]." : " Another PCP server may run there; stop it, or leave [pcp] out."), error);
            }
        }

        return bound;
    }

    async Task<(byte[] Answer, IPEndPoint To)?> Answer(ReadOnlyMemory<byte> message, IPEndPoint from, IPPacketInformation at) =>
        await _responder.Answer(message, IPv6Address.Read(from.Address.GetAddressBytes())) is { } answer ? (answer, from) : null;

    public async ValueTask DisposeAsync()
    {
        foreach (AnsweringSocket socket in _answering) await socket.DisposeAsync();
    }
}
