using System.Runtime.InteropServices;
using APlusP.Core;
using APlusP.Core.Connections;

namespace APlusP.Linux.Conntrack;

/// <summary>The kernel's connections of this network namespace, by nfnetlink: all of them at once, and each as it comes and goes. It takes CAP_NET_ADMIN.</summary>
public sealed unsafe class ConntrackSocket : IDisposable
{
    const int SolSocket = 1, SoReceiveBuffer = 8, SoReceiveBufferForce = 33;
    const int SubsystemConntrack = 1, MessageNew = 0, MessageGet = 1, MessageDelete = 2;
    const ushort FlagRequest = 0x1, FlagDump = 0x300;
    const uint GroupNew = 1 << 0, GroupDestroy = 1 << 2;
    const int HeaderSize = NetlinkMessage.HeaderSize, FamilySize = 4, ENOBUFS = 105, EAGAIN = 11, EINTR = 4;

    /// <summary>Where events wait while a table is read: some 40,000 of them.</summary>
    const int EventBuffer = 16 << 20;

    readonly int _requests = -1, _events = -1;
    readonly byte[] _buffer = new byte[1 << 18];
    uint _sequence;

    /// <exception cref="APlusPException">AP7008: the kernel does not tell its connections, or not to us.</exception>
    public ConntrackSocket()
    {
        _requests = NetlinkSocket.Open(NetlinkSocket.Netfilter, 0, "ask for connections", Refused);
        try
        {
            _events = NetlinkSocket.Open(NetlinkSocket.Netfilter, GroupNew | GroupDestroy, "hear of connections", Refused);
        }
        catch
        {
            Dispose();
            throw;
        }

        int size = EventBuffer;
        if (LibC.SetSockOpt(_events, SolSocket, SoReceiveBufferForce, &size, sizeof(int)) < 0) _ = LibC.SetSockOpt(_events, SolSocket, SoReceiveBuffer, &size, sizeof(int));
    }

    static APlusPException Refused(string what, int errno) => new(ErrorCodes.ConnectionsRefused,
        $"cannot {what}: {LibC.Reason(errno)}."
        + (errno is LibC.EPERM or LibC.EACCES ? " It takes CAP_NET_ADMIN; or read /proc/net/nf_conntrack by --source proc." : " The kernel needs nf_conntrack_netlink: modprobe nf_conntrack_netlink; or read /proc/net/nf_conntrack by --source proc."));

    /// <summary>Tells every connection there is, of both families.</summary>
    public void Dump(Action<TrackedConnection> tell)
    {
        Span<byte> request = stackalloc byte[HeaderSize + FamilySize];
        request.Clear();
        MemoryMarshal.Write(request, request.Length);
        MemoryMarshal.Write(request[4..], (ushort)(SubsystemConntrack << 8 | MessageGet));
        MemoryMarshal.Write(request[6..], (ushort)(FlagRequest | FlagDump));
        MemoryMarshal.Write(request[8..], ++_sequence);
        fixed (byte* octets = request)
            if (LibC.SendTo(_requests, octets, (nuint)request.Length, 0, null, 0) < 0) throw Refused("ask for the connections", Marshal.GetLastPInvokeError());
        while (true)
        {
            int received = Receive(_requests);
            if (received < 0 && -received == EINTR) continue;
            if (received < 0) throw Refused("read the connections", -received);
            foreach (NetlinkMessage message in NetlinkMessage.All(_buffer.AsSpan(0, received)))
            {
                if (message.Type == NetlinkMessage.Done) return;
                if (message.Type == NetlinkMessage.Error && MemoryMarshal.Read<int>(message.Body) is not 0 and var error) throw Refused("read the connections", -error);
                if (message.Type == (SubsystemConntrack << 8 | MessageNew) && ConntrackMessage.TryRead(message.Body[FamilySize..], out TrackedConnection connection)) tell(connection);
            }
        }
    }

    /// <summary>
    /// Waits for connections that come (true) and go (false), and tells those that are there. False where the kernel had more than fit: some were not told, and a
    /// dump has the truth again.
    /// </summary>
    public bool Events(TimeSpan wait, Action<bool, TrackedConnection> tell)
    {
        bool whole = true;
        var poll = new PollFd { Fd = _events, Events = LibC.POLLIN };
        for (int timeout = (int)Math.Clamp(Math.Ceiling(wait.TotalMilliseconds), 0, int.MaxValue); LibC.Poll(&poll, 1, timeout) > 0; timeout = 0)
        {
            int received = Receive(_events);
            if (received < 0)
            {
                if (-received is EINTR or EAGAIN) continue;
                if (-received != ENOBUFS) throw Refused("hear of connections", -received);
                whole = false;
                continue;
            }

            foreach (NetlinkMessage message in NetlinkMessage.All(_buffer.AsSpan(0, received)))
            {
                int kind = message.Type & 0xff;
                if (message.Type >> 8 != SubsystemConntrack || kind is not (MessageNew or MessageDelete) || message.Body.Length < FamilySize) continue;
                if (ConntrackMessage.TryRead(message.Body[FamilySize..], out TrackedConnection connection)) tell(kind == MessageNew, connection);
            }
        }

        return whole;
    }

    /// <summary>Octets received, or the error's number below zero.</summary>
    int Receive(int fd)
    {
        fixed (byte* buffer = _buffer)
        {
            nint received = LibC.Receive(fd, buffer, (nuint)_buffer.Length, 0);
            return received < 0 ? -Marshal.GetLastPInvokeError() : (int)received;
        }
    }

    public void Dispose()
    {
        if (_requests >= 0) _ = LibC.Close(_requests);
        if (_events >= 0) _ = LibC.Close(_events);
    }
}
