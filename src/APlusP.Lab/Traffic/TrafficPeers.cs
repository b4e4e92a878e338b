using System.Net;
using System.Net.Sockets;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Wire;
using APlusP.Survey.Models;

namespace APlusP.Lab.Traffic;

/// <summary>
/// The other ends of traffic models: servers that send back what they get, at all remote ends that flows go to. They are sockets of this process in the namespace of the lab's host
/// <c>peers</c>, which has every address of its networks.
/// </summary>
public sealed class TrafficPeers : IDisposable
{
    /// <summary>Addresses of an application.</summary>
    const int Block = 1024;

    const int Backlog = 4096;

    static readonly IPv4Prefix s_network = IPv4Prefix.Parse(LabTopology.PeersNetwork);
    static readonly IPv6Prefix s_networkV6 = IPv6Prefix.Parse(LabTopology.PeersNetworkV6);

    readonly List<Socket> _sockets = [];
    readonly string[] _applications;

    /// <param name="peers">Where they are.</param>
    /// <param name="timelines">What will be played.</param>
    /// <exception cref="APlusPException">AP5002: a server cannot listen.</exception>
    public TrafficPeers(NetworkNamespace peers, IEnumerable<Timeline> timelines)
    {
        RemoteEnd[] ends = [.. timelines.SelectMany(timeline => timeline.Flows).Select(flow => flow.Remote).Distinct()];
        _applications = [.. ends.Select(end => end.Application).Distinct().Order(StringComparer.Ordinal)];
        try
        {
            peers.Call(() => Listen(ends));
        }
        catch (SocketException error)
        {
            Dispose();
            throw new APlusPException(ErrorCodes.LabCommandFailed, $"the servers in '{peers.Name}' cannot listen: {error.Message}.", error);
        }
    }

    /// <summary>Where a remote end is.</summary>
    public IPEndPoint AddressOf(RemoteEnd end)
    {
        int number = Array.IndexOf(_applications, end.Application) * Block + end.Number + 1;
        HostAddress address = end.IsIPv6
            ? HostAddress.Of(new IPv6Address(s_networkV6.Address.Value + (uint)number))
            : HostAddress.Of(new IPv4Address(s_network.Address.Value + (uint)number));
        return new IPEndPoint(IPAddress.Parse(address.ToString()), end.Port);
    }

    // A TCP server at any address answers from the one that was called. A UDP server would answer from another, so each end is one of its own.
    void Listen(RemoteEnd[] ends)
    {
        foreach ((ushort port, bool isIPv6) in ends.Where(end => end.Protocol == IpProtocol.Tcp).Select(end => (end.Port, end.IsIPv6)).Distinct())
        {
            Socket listener = Open(isIPv6, SocketType.Stream, ProtocolType.Tcp, new IPEndPoint(isIPv6 ? IPAddress.IPv6Any : IPAddress.Any, port));
            listener.Listen(Backlog);
            _ = Accept(listener);
        }

        foreach (RemoteEnd end in ends.Where(end => end.Protocol == IpProtocol.Udp)) _ = EchoDatagrams(Open(end.IsIPv6, SocketType.Dgram, ProtocolType.Udp, AddressOf(end)));
    }

    Socket Open(bool isIPv6, SocketType type, ProtocolType protocol, IPEndPoint at)
    {
        var socket = new Socket(isIPv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork, type, protocol);
        _sockets.Add(socket);
        if (isIPv6) socket.DualMode = false;
        socket.Bind(at);
        return socket;
    }

    static async Task Accept(Socket listener)
    {
        try
        {
            while (true) _ = EchoStream(await listener.AcceptAsync());
        }
        catch (Exception error) when (IsEnd(error))
        {
            // The play is over.
        }
    }

    static async Task EchoStream(Socket connection)
    {
        using (connection)
        {
            byte[] buffer = new byte[64];
            try
            {
                for (int read; (read = await connection.ReceiveAsync(buffer)) > 0;) await connection.SendAsync(buffer.AsMemory(0, read));
            }
            catch (Exception error) when (IsEnd(error))
            {
                // The other side is gone.
            }
        }
    }

    static async Task EchoDatagrams(Socket socket)
    {
        byte[] buffer = new byte[64];
        EndPoint any = new IPEndPoint(socket.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
        while (true)
        {
            try
            {
                SocketReceiveFromResult received = await socket.ReceiveFromAsync(buffer, any);
                await socket.SendToAsync(buffer.AsMemory(0, received.ReceivedBytes), received.RemoteEndPoint);
            }
            catch (SocketException) when (socket.IsBound)
            {
                // An error about an answer before: the client is gone, others are not.
            }
            catch (Exception error) when (IsEnd(error))
            {
                return;
            }
        }
    }

    static bool IsEnd(Exception error) => error is SocketException or ObjectDisposedException;

    public void Dispose()
    {
        foreach (Socket socket in _sockets) socket.Dispose();
    }
}
