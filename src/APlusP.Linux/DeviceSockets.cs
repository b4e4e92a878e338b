using System.Net.Sockets;
using System.Text;

namespace APlusP.Linux;

/// <summary>Sockets of one device.</summary>
public static class DeviceSockets
{
    // SOL_SOCKET, SO_BINDTODEVICE.
    const int LevelSocket = 1, BindToDevice = 25;

    /// <summary>Lets a socket hear and send by this device alone, whatever the routes: nothing that comes by another reaches it, not even what is for the socket's own address.</summary>
    public static void BindTo(this Socket socket, string device) => socket.SetRawSocketOption(LevelSocket, BindToDevice, Encoding.ASCII.GetBytes($"{device}\0"));
}
