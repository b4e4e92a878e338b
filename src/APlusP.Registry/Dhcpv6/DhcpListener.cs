using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using APlusP.Core;
using APlusP.Core.Dhcpv6;
using APlusP.Registry.Api;

namespace APlusP.Registry.Dhcpv6;

/// <summary>The server's socket: hears all DHCPv6 servers' address on its links, and what relay agents send to itself.</summary>
sealed class DhcpListener : IAsyncDisposable
{
    public const string DuidFile = "dhcpv6.duid";

    readonly DhcpResponder _responder;
    readonly HashSet<int> _interfaces;
    readonly AnsweringSocket _answering;

    /// <exception cref="APlusPException">It cannot listen.</exception>
    public DhcpListener(DhcpServerSettings settings, DhcpResponder responder, RegistryLog log)
    {
        _responder = responder;
        _interfaces = [.. settings.Interfaces.Select(IndexOf)];
        var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.IPv6Any, DhcpMessage.ServerPort));
            foreach (int index in _interfaces) socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.AddMembership, new IPv6MulticastOption(DhcpMessage.ServersAndRelays.ToIPAddress(), index));
        }
        catch (SocketException error)
        {
            socket.Dispose();
            throw new APlusPException(ErrorCodes.DhcpNotListening, $"the registry cannot answer DHCPv6 on {string.Join(", ", settings.Interfaces)}: UDP port {DhcpMessage.ServerPort}: {error.Message}."
                + (error.SocketErrorCode == SocketError.AccessDenied ? " It takes CAP_NET_BIND_SERVICE." : " Another DHCPv6 server may run there; stop it, or leave [dhcpv6] out."), error);
        }

        log.DhcpListens(string.Join(", ", settings.Interfaces));
        _answering = new AnsweringSocket(socket, Answer, log.DhcpFailed);
    }

    static int IndexOf(string name) =>
        Array.Find(NetworkInterface.GetAllNetworkInterfaces(), i => i.Name == name) is { } found ? found.GetIPProperties().GetIPv6Properties().Index
        : throw new APlusPException(ErrorCodes.DhcpNotListening, $"the registry cannot answer DHCPv6 on '{name}': there is no such interface. Correct 'interfaces' in [dhcpv6].");

    /// <summary>The server's DUID, which it keeps as long as it lives: made at its first start.</summary>
    /// <param name="directory">The registry's.</param>
    /// <exception cref="APlusPException">The file cannot be read or written, or holds something else.</exception>
    public static Duid OwnDuid(string directory)
    {
        string path = Path.Combine(directory, DuidFile);
        try
        {
            if (!File.Exists(path)) File.WriteAllText(path, $"{Duid.OfUuid(Guid.NewGuid())}\n");
            return Duid.TryParse(File.ReadAllText(path).Trim(), out Duid? duid) ? duid!
                : throw new APlusPException(ErrorCodes.DhcpNotListening, $"{path} holds no DUID. It is what clients know this server by; write it again from a backup, or remove the file, and clients will find a new server.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.DhcpNotListening, $"the server's DUID cannot be kept in {path}: {error.Message} The directory's owner must be whoever runs the registry.", error);
        }
    }

    async Task<(byte[] Answer, IPEndPoint To)?> Answer(ReadOnlyMemory<byte> message, IPEndPoint from, IPPacketInformation at)
    {
        if (!_interfaces.Contains(at.Interface) || await _responder.Answer(message, toAll: at.Address.IsIPv6Multicast) is not { } answer) return null;

        // Clients and relay agents listen on ports of their own (RFC 8415 section 7.2), whatever they send from.
        int port = (DhcpMessageType)answer[0] == DhcpMessageType.RelayReply ? DhcpMessage.ServerPort : DhcpMessage.ClientPort;
        return (answer, new IPEndPoint(from.Address, port));
    }

    public ValueTask DisposeAsync() => _answering.DisposeAsync();
}
