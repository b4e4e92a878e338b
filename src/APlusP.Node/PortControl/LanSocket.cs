using System.Net;
using System.Net.Sockets;
using APlusP.Core.Addresses;
using APlusP.Linux;

namespace APlusP.Node.PortControl;

/// <summary>A network of hosts that may ask: a device of ours, our address on it, and theirs.</summary>
/// <param name="Device">Nothing that comes by another is heard.</param>
/// <param name="Address">Ours.</param>
/// <param name="Prefix">Whose hosts may ask.</param>
sealed record LanNetwork(string Device, IPv4Address Address, IPv4Prefix Prefix)
{
    /// <summary>Whether an address may be that of a host there.</summary>
    public bool IsHost(IPv4Address address) =>
        Prefix.Contains(address) && address != Address && address.IsUnicast && (Prefix.Length >= 31 || (address != Prefix.Address && address != Prefix.Last));

    public static IPv4Address AddressOf(EndPoint from) => IPv4Address.Read(((IPEndPoint)from).Address.GetAddressBytes());

    public IPAddress OwnAddress => IPAddress.Parse($"{Address}");
}

/// <summary>A UDP socket of one device, whose datagrams from hosts of its network are answered one after the other on a thread of its own.</summary>
sealed class LanSocket : IDisposable
{
    readonly LanNetwork _lan;
    readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    readonly Func<byte[], IPv4Address, IReadOnlyList<byte[]>> _answer;
    readonly Action<string> _failed;
    Thread? _thread;
    volatile bool _isOver;

    /// <param name="lan">The network.</param>
    /// <param name="at">Where it listens.</param>
    /// <param name="group">A multicast group that it hears too.</param>
    /// <param name="answer">What answers: a message, who sent it, and what goes back to him.</param>
    /// <param name="failed">Told what went wrong.</param>
    /// <exception cref="SocketException">The device or the address is not there, or somebody else listens.</exception>
    public LanSocket(LanNetwork lan, IPEndPoint at, IPAddress? group, Func<byte[], IPv4Address, IReadOnlyList<byte[]>> answer, Action<string> failed)
    {
        (_lan, _answer, _failed) = (lan, answer, failed);
        try
        {
            _socket.BindTo(lan.Device);
            if (group is not null) _socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            _socket.Bind(at);
            _socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastInterface, lan.OwnAddress.GetAddressBytes());
            _socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastLoopback, false);
            _socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastTimeToLive, 2);
            if (group is not null) _socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.AddMembership, new MulticastOption(group, lan.OwnAddress));
        }
        catch
        {
            _socket.Dispose();
            throw;
        }
    }

    public void Start()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = $"lan-{_lan.Device}" };
        _thread.Start();
    }

    /// <summary>Sends something that nobody asked for.</summary>
    public void Send(byte[] message, IPEndPoint to)
    {
        try
        {
            _socket.SendTo(message, to);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The link is down, or we stop: it would be lost on the way all the same.
        }
    }

    void Run()
    {
        byte[] buffer = new byte[2048];
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        while (!_isOver)
        {
            try
            {
                int length = _socket.ReceiveFrom(buffer, ref from);
                IPv4Address source = LanNetwork.AddressOf(from);

                // A port 0 cannot be answered.
                if (!_lan.IsHost(source) || ((IPEndPoint)from).Port == 0) continue;
                foreach (byte[] answer in _answer(buffer[..length], source)) _socket.SendTo(answer, from);
            }
            catch (SocketException error)
            {
                if (_isOver) return;

                // An ICMP error about an answer, a message that is longer than any, or a link that went: what comes next is heard all the same.
                if (error.SocketErrorCode is SocketError.ConnectionRefused or SocketError.MessageSize) continue;
                _failed(error.Message);
                Thread.Sleep(100);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (Exception error)
            {
                // Whoever asked will ask again; a fault of ours must not end the daemon.
                _failed(error.Message);
                Thread.Sleep(100);
            }
        }
    }

    public void Dispose()
    {
        _isOver = true;

        // Wakes the thread, which a close alone does not do for sure.
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException)
        {
        }

        _socket.Dispose();
        _thread?.Join();
    }
}
