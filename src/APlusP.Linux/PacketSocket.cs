using System.Buffers.Binary;
using System.Runtime.InteropServices;
using APlusP.Core;

namespace APlusP.Linux;

/// <summary>Every frame that arrives at an Ethernet device, and frames of ours out of it, packet(7). CAP_NET_RAW.</summary>
public sealed unsafe partial class PacketSocket : IDisposable
{
    const int AfPacket = 17, EthPAll = 3, SolPacket = 263, AddMembership = 1, IgnoreOutgoing = 23, SolSocket = 1, ReceiveBufferForce = 33;
    const ushort MembershipPromiscuous = 1;

    readonly int _fd;

    public PacketSocket(string device)
    {
        int index = RouteSocket.IndexOf(device);

        // Protocol 0 hears nothing until it is bound; with another one it would hear every device of the namespace first.
        _fd = LibC.Socket(AfPacket, LibC.SOCK_RAW | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0);
        if (_fd < 0) throw Failure(device, Marshal.GetLastPInvokeError());
        int on = 1, room = 16 << 20;
        var membership = new PacketMembership { Index = index, Type = MembershipPromiscuous };
        var local = new SocketAddressLink { Family = AfPacket, Protocol = BinaryPrimitives.ReverseEndianness((ushort)EthPAll), Index = index };
        _ = LibC.SetSockOpt(_fd, SolSocket, ReceiveBufferForce, &room, sizeof(int));
        if (LibC.SetSockOpt(_fd, SolPacket, IgnoreOutgoing, &on, sizeof(int)) == 0
            && LibC.SetSockOpt(_fd, SolPacket, AddMembership, &membership, (uint)sizeof(PacketMembership)) == 0
            && LibC.Bind(_fd, &local, (uint)sizeof(SocketAddressLink)) == 0) return;
        int errno = Marshal.GetLastPInvokeError();
        Dispose();
        throw Failure(device, errno);
    }

    /// <summary>Reads the next frame; its length, or -1 where none is there.</summary>
    public int Receive(Span<byte> into)
    {
        fixed (byte* buffer = into) return (int)LibC.Read(_fd, buffer, (nuint)into.Length);
    }

    /// <summary>Sends a frame; false where the device does not take it.</summary>
    public bool TrySend(ReadOnlySpan<byte> frame)
    {
        fixed (byte* buffer = frame) return LibC.Write(_fd, buffer, (nuint)frame.Length) == frame.Length;
    }

    /// <summary>Waits until a frame is at one of two sockets or the time is over; null waits for a frame alone. Finer than a millisecond.</summary>
    public static void Wait(PacketSocket one, PacketSocket other, TimeSpan? time)
    {
        PollFd* fds = stackalloc PollFd[2];
        fds[0] = new PollFd { Fd = one._fd, Events = LibC.POLLIN };
        fds[1] = new PollFd { Fd = other._fd, Events = LibC.POLLIN };
        long nanoseconds = (time ?? TimeSpan.Zero).Ticks * 100;
        var limit = new TimeSpecification { Seconds = nanoseconds / 1_000_000_000, Nanoseconds = nanoseconds % 1_000_000_000 };
        _ = PPoll(fds, 2, time is null ? null : &limit, null);
    }

    // int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *tmo_p, const sigset_t *sigmask);
    [LibraryImport("libc", EntryPoint = "ppoll")]
    private static partial int PPoll(PollFd* fds, nuint count, TimeSpecification* time, void* signals);

    static APlusPException Failure(string device, int errno) => new(
        ErrorCodes.RawSocketRefused,
        $"cannot receive the frames of the device '{device}' by a packet socket: {LibC.Reason(errno)}. It takes CAP_NET_RAW.");

    public void Dispose() => _ = LibC.Close(_fd);

    /// <summary>struct timespec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    struct TimeSpecification
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary>struct sockaddr_ll.</summary>
    [StructLayout(LayoutKind.Sequential)]
    struct SocketAddressLink
    {
        public ushort Family;
        public ushort Protocol;
        public int Index;
        public ushort HardwareType;
        public byte PacketType;
        public byte AddressLength;
        public fixed byte Address[8];
    }

    /// <summary>struct packet_mreq.</summary>
    [StructLayout(LayoutKind.Sequential)]
    struct PacketMembership
    {
        public int Index;
        public ushort Type;
        public ushort AddressLength;
        public fixed byte Address[8];
    }
}
