using System.Runtime.InteropServices;
using APlusP.Core;
using APlusP.Core.Connections;

namespace APlusP.Linux.Conntrack;

/// <summary>The kernel's connections of this network namespace, by nfnetlink: all of them at once, and each as it comes and goes. It takes CAP_NET_ADMIN.</summary>
public sealed unsafe class ConntrackSocket : IDisposable
{
    const int NetlinkNetfilter = 12, SolSocket = 1, SoReceiveBuffer = 8, SoReceiveBufferForce = 33;
    const int SubsystemConntrack = 1, MessageNew = 0, MessageGet = 1, MessageDelete = 2;
    const ushort NlmsgError = 2, NlmsgDone = 3, FlagRequest = 0x1, FlagDump = 0x300;
    const uint GroupNew = 1 << 0, GroupDestroy = 1 << 2;
    const int HeaderSize = 16, FamilySize = 4, ENOBUFS = 105, EAGAIN = 11, EINTR = 4;

    /// <summary>Where events wait while a table is read: some 40,000 of them.</summary>
    const int EventBuffer = 16 << 20;

    readonly int _requests = -1, _events = -1;
    readonly byte[] _buffer = new byte[1 << 18];
    uint _sequence;

    /// <exception cref="APlusPException">AP7008: the kernel does not tell its connections, or not to us.</exception>
    public ConntrackSocket()
    {
        _requests = Open(0);
        try
        {
            _events = Open(GroupNew | GroupDestroy);
        }
        catch
        {
            Dispose();
            throw;
        }

        int size = EventBuffer;
        if (LibC.SetSockOpt(_events, SolSocket, SoReceiveBufferForce, &size, sizeof(int)) < 0) _ = LibC.SetSockOpt(_events, SolSocket, SoReceiveBuffer, &size, sizeof(int));
    }

    static int Open(uint groups)
    {
        int fd = LibC.Socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, NetlinkNetfilter);
        if (fd < 0) throw Refused("open a netlink socket of netfilter", Marshal.GetLastPInvokeError());

        // struct sockaddr_nl: family, padding, port, groups
        uint* address = stackalloc uint[3];
        address[0] = LibC.AF_NETLINK;
        address[1] = 0;
        address[2] = groups;
        if (LibC.Bind(fd, address, 12) >= 0) return fd;
        int errno = Marshal.GetLastPInvokeError();
        _ = LibC.Close(fd);
        throw Refused("hear of connections", errno);
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
            for (ReadOnlySpan<byte> rest = _buffer.AsSpan(0, received); TryTake(ref rest, out ushort type, out ReadOnlySpan<byte> body);)
            {
                if (type == NlmsgDone) return;
                if (type == NlmsgError && MemoryMarshal.Read<int>(body) is not 0 and var error) throw Refused("read the connections", -error);
                if (type == (SubsystemConntrack << 8 | MessageNew) && ConntrackMessage.TryRead(body[FamilySize..], out TrackedConnection connection)) tell(connection);
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

            for (ReadOnlySpan<byte> rest = _buffer.AsSpan(0, received); TryTake(ref rest, out ushort type, out ReadOnlySpan<byte> body);)
            {
                if (type >> 8 != SubsystemConntrack || (type & 0xff) is not (MessageNew or MessageDelete) || body.Length < FamilySize) continue;
                if (ConntrackMessage.TryRead(body[FamilySize..], out TrackedConnection connection)) tell((type & 0xff) == MessageNew, connection);
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

    /// <summary>Takes the next message off; false at the end.</summary>
    static bool TryTake(ref ReadOnlySpan<byte> rest, out ushort type, out ReadOnlySpan<byte> body)
    {
        type = 0;
        body = default;
        if (rest.Length < HeaderSize) return false;
        int length = MemoryMarshal.Read<int>(rest);
        if (length < HeaderSize || length > rest.Length) return false;
        type = MemoryMarshal.Read<ushort>(rest[4..]);
        body = rest[HeaderSize..length];
        rest = rest[Math.Min(rest.Length, (length + 3) & ~3)..];
        return true;
    }

    public void Dispose()
    {
        if (_requests >= 0) _ = LibC.Close(_requests);
        if (_events >= 0) _ = LibC.Close(_events);
    }
}
