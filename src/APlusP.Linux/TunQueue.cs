using System.Runtime.InteropServices;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;

namespace APlusP.Linux;

/// <summary>
/// One queue of a TUN device with what cannot go through it: softwire packets for an address that the machine itself has (the kernel
/// keeps those from the TUN), and ICMP errors from the machine's own IPv4 address (written to the TUN they would be martians).
/// </summary>
/// <param name="device">The device.</param>
/// <param name="queue">Which of its queues.</param>
/// <param name="ipv4">Where IPv4 packets come from.</param>
/// <param name="ipv6">Where IPv6 packets come from.</param>
/// <param name="ownAddress">The raw socket for packets from the machine's own IPv4 address, or null.</param>
public sealed unsafe class TunQueue(TunDevice device, int queue, Origin ipv4, Origin ipv6, OwnAddressSocket? ownAddress) : IPacketDevice, IDisposable
{
    readonly int _fd = device.Queue(queue);
    readonly int _wake = OpenEvent();
    readonly Segmenter _segmenter = new();

    /// <summary>
    /// Raw sockets for softwire ends that are addresses of the machine; read by this queue alone, and disposed when it is or gets others. To be exchanged between batches only.
    /// </summary>
    public IReadOnlyList<SoftwireSocket> Softwires
    {
        get => _softwires;
        set
        {
            foreach (SoftwireSocket before in _softwires) before.Dispose();
            _softwires = [.. value];
        }
    }

    SoftwireSocket[] _softwires = [];

    /// <summary>Packets that the kernel did not take, after the data plane had judged them.</summary>
    public long SendFailures { get; private set; }

    public void Receive(PacketBatch batch)
    {
        batch.Clear();

        // A device that is never empty must not keep the sockets from their turn.
        int most = _softwires.Length == 0 ? batch.Capacity : Math.Max(1, batch.Capacity / 2);
        while (batch.Count < most)
        {
            if (!_segmenter.HasMore && !TryRead()) break;
            _segmenter.TakeNext(batch, ipv4, ipv6);
        }

        for (int i = 0; i < _softwires.Length; i++)
            _softwires[i].Receive(batch, ipv6, (batch.Capacity - batch.Count) / (_softwires.Length - i));
    }

    bool TryRead()
    {
        Span<byte> room = _segmenter.Room;
        nint length;
        fixed (byte* buffer = room) length = LibC.Read(_fd, buffer, (nuint)room.Length);
        if (length <= 0) return false;
        _segmenter.Received((int)length);
        return _segmenter.HasMore;
    }

    public void Send(PacketBatch batch)
    {
        for (int i = 0; i < batch.Count; i++)
        {
            if (!batch[i].Verdict.Sends) continue;
            if (ownAddress is not null && ownAddress.Owns(batch.Bytes(i)))
            {
                if (!ownAddress.TrySend(batch.Bytes(i))) SendFailures++;
                continue;
            }

            int run = Joiner.Run(batch, i);
            if (run > 1)
            {
                SendRun(batch, i, run);
                i += run - 1;
                continue;
            }

            for (int taken = 0; batch.TryTakePiece(i, ref taken, out ReadOnlySpan<byte> packet);) Send(packet);
        }
    }

    /// <summary>A packet that is nothing but itself. In front of it the batch has room for as much as that takes to say.</summary>
    void Send(ReadOnlySpan<byte> packet)
    {
        fixed (byte* octets = packet)
        {
            byte* start = octets - OffloadHeader.Size;
            *(OffloadHeader*)start = default;
            if (LibC.Write(_fd, start, (nuint)(OffloadHeader.Size + packet.Length)) < 0) SendFailures++;
        }
    }

    /// <summary>Segments that follow each other, as one packet: the kernel routes it once, and cuts it where it must.</summary>
    void SendRun(PacketBatch batch, int first, int count)
    {
        OffloadHeader header = Joiner.Join(batch, first, count);
        IoVector* vectors = stackalloc IoVector[1 + count];
        vectors[0] = new IoVector { Base = &header, Length = OffloadHeader.Size };
        for (int i = 0; i < count; i++)
        {
            // The batch's memory is pinned.
            Span<byte> part = batch.Bytes(first + i)[(i == 0 ? 0 : header.HeadersLength)..];
            vectors[1 + i] = new IoVector { Base = System.Runtime.CompilerServices.Unsafe.AsPointer(ref part[0]), Length = (nuint)part.Length };
        }

        if (LibC.WriteVector(_fd, vectors, 1 + count) < 0) SendFailures += count;
    }

    /// <summary>Waits until a packet is there, <see cref="Wake"/> is called, or the time is over. False where the device is gone.</summary>
    public bool Wait(int milliseconds)
    {
        PollFd* fds = stackalloc PollFd[2 + _softwires.Length];
        fds[0] = new PollFd { Fd = _fd, Events = LibC.POLLIN };
        fds[1] = new PollFd { Fd = _wake, Events = LibC.POLLIN };
        for (int i = 0; i < _softwires.Length; i++) fds[2 + i] = new PollFd { Fd = _softwires[i].Descriptor, Events = LibC.POLLIN };
        if (LibC.Poll(fds, (nuint)(2 + _softwires.Length), milliseconds) <= 0) return true;
        if ((fds[1].Revents & LibC.POLLIN) != 0)
        {
            ulong count;
            _ = LibC.Read(_wake, (byte*)&count, sizeof(ulong));
        }

        return (fds[0].Revents & (LibC.POLLERR | LibC.POLLNVAL)) == 0;
    }

    /// <summary>Ends a wait, from any thread.</summary>
    public void Wake()
    {
        ulong one = 1;
        _ = LibC.Write(_wake, (byte*)&one, sizeof(ulong));
    }

    static int OpenEvent()
    {
        int fd = LibC.EventFd(0, LibC.O_NONBLOCK | LibC.O_CLOEXEC);
        return fd >= 0 ? fd : throw new System.ComponentModel.Win32Exception(Marshal.GetLastPInvokeError());
    }

    public void Dispose()
    {
        Softwires = [];
        _ = LibC.Close(_wake);
    }
}
