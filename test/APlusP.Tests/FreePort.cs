using System.Net;
using System.Net.Sockets;

namespace APlusP.Tests;

/// <summary>
/// Ports for who listens, stops and listens again: below 32768, from where on Linux gives one to everybody who asks for any (ip_local_port_range), another test in between perhaps.
/// </summary>
static class FreePort
{
    const int First = 20_000, Count = 32_768 - First;

    // Runs at the same time begin at different places.
    static int s_taken = Random.Shared.Next(Count);

    /// <summary>A port of loopback on which nobody listens, and that no other test of this run is given.</summary>
    public static int Next()
    {
        for (int tried = 0; tried < Count; tried++)
        {
            int port = First + Interlocked.Increment(ref s_taken) % Count;
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // Somebody else's.
            }
        }

        throw new InvalidOperationException("no port is free");
    }
}
