using System.Runtime.InteropServices;
using System.Text;
using APlusP.Core;

namespace APlusP.Linux;

/// <summary>
/// A TUN device (Documentation/networking/tuntap.rst) with one or several queues. It lives as long as the process does: its routes
/// go with it, even after a crash. In front of each packet is an <see cref="Core.Devices.OffloadHeader"/>.
/// </summary>
public sealed unsafe class TunDevice : IDisposable
{
    const nuint TunSetIff = 0x400454ca, TunSetPersist = 0x400454cb, TunSetOffload = 0x400454d0;
    const short IffTun = 0x0001, IffNoPi = 0x1000, IffMultiQueue = 0x0100, IffVnetHeader = 0x4000;
    const nuint OffloadChecksum = 0x01, OffloadTcpV4 = 0x02, OffloadTcpEcn = 0x08;
    const ushort IffTunExclusive = 0x8000;
    const int NameSize = 16, RequestSize = 40;

    /// <summary>The device takes any IP packet, softwire packets included; smaller limits stand on the routes.</summary>
    public const int MaxPacket = 65535;

    readonly int[] _queues;

    TunDevice(string name, int[] queues, int index, bool wasThere)
    {
        Name = name;
        _queues = queues;
        Index = index;
        WasThere = wasThere;
    }

    /// <summary>The device is one that a process before has left.</summary>
    public bool WasThere { get; }

    public string Name { get; }

    /// <summary>Interface index.</summary>
    public int Index { get; }

    public int QueueCount => _queues.Length;

    /// <summary>File descriptor of a queue.</summary>
    internal int Queue(int number) => _queues[number];

    /// <summary>Makes the device, without addresses of its own, and sets it up. CAP_NET_ADMIN.</summary>
    /// <exception cref="APlusPException">AP2001 where /dev/net/tun cannot be opened, AP2002 where the device cannot be made.</exception>
    /// <param name="name">Its name.</param>
    /// <param name="queues">How many queues it has.</param>
    /// <param name="mayBeThere">Whether it may be there already, left by a process that ended; see <see cref="Stays"/>.</param>
    public static TunDevice Create(string name, int queues, bool mayBeThere = false)
    {
        if (Encoding.UTF8.GetByteCount(name) is 0 or >= NameSize)
            throw new APlusPException(ErrorCodes.TunNotMade, $"cannot make the TUN device '{name}': a device name has 1 to 15 characters. Set `device` to a shorter one.");
        int[] fds = new int[queues];
        int opened = 0;
        bool wasThere = mayBeThere && RouteSocket.Exists(name);
        try
        {
            for (; opened < queues; opened++) fds[opened] = OpenQueue(name, multiQueue: queues > 1, isNew: opened == 0 && !wasThere);

            // TCP over IPv4 comes in large packets then, one for some forty. Where the kernel refuses, it cuts them itself.
            _ = LibC.IoCtl(fds[0], TunSetOffload, (void*)(OffloadChecksum | OffloadTcpV4 | OffloadTcpEcn));
            using var netlink = new RouteSocket();
            int index = RouteSocket.IndexOf(name);
            netlink.BringUp(index, name, MaxPacket);
            return new TunDevice(name, fds, index, wasThere);
        }
        catch
        {
            for (int i = 0; i < opened; i++) _ = LibC.Close(fds[i]);
            throw;
        }
    }

    static int OpenQueue(string name, bool multiQueue, bool isNew)
    {
        int fd = LibC.Open("/dev/net/tun", LibC.O_RDWR | LibC.O_NONBLOCK | LibC.O_CLOEXEC);
        if (fd < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            throw new APlusPException(ErrorCodes.TunNotOpened, $"cannot open /dev/net/tun for the device '{name}': {LibC.Reason(errno)}. " + errno switch
            {
                LibC.ENOENT => "Load the kernel module with `modprobe tun`, or allow the device in the container.",
                LibC.EACCES or LibC.EPERM => "Give this user access to the file (mode 0666 as on most systems; CAP_NET_ADMIN still guards its use), or start as root.",
                _ => "See whether the kernel has CONFIG_TUN.",
            });
        }

        Span<byte> request = stackalloc byte[RequestSize];
        request.Clear();
        Encoding.UTF8.GetBytes(name, request);
        // The kernel refuses a second owner of a device with one queue; of one with several it would be just another queue.
        ushort flags = (ushort)(IffTun | IffNoPi | IffVnetHeader | (multiQueue ? IffMultiQueue : 0) | (multiQueue && isNew ? IffTunExclusive : 0));
        MemoryMarshal.Write(request[NameSize..], in flags);
        fixed (byte* argument = request)
        {
            if (LibC.IoCtl(fd, TunSetIff, argument) >= 0) return fd;
        }

        int error = Marshal.GetLastPInvokeError();
        _ = LibC.Close(fd);
        throw new APlusPException(ErrorCodes.TunNotMade, $"cannot make the TUN device '{name}': {LibC.Reason(error)}. " + error switch
        {
            LibC.EPERM => "It takes CAP_NET_ADMIN: start as root, or give the service AmbientCapabilities=CAP_NET_ADMIN.",
            LibC.EBUSY => "Another process holds a device of this name; is a daemon running already? Set `device` to another name.",
            _ => "Is there a device of this name that is no TUN?",
        });
    }

    /// <summary>Whether the device, and with it the routes through it, stays when this process ends.</summary>
    /// <exception cref="APlusPException">AP2002.</exception>
    public void Stays(bool stays)
    {
        if (LibC.IoCtl(_queues[0], TunSetPersist, (void*)(stays ? 1 : 0)) >= 0) return;
        throw new APlusPException(ErrorCodes.TunNotMade, $"cannot make the TUN device '{Name}' {(stays ? "stay" : "go")} when the daemon ends: {LibC.Reason(Marshal.GetLastPInvokeError())}.");
    }

    /// <summary>Removes a device that a process has left; nothing to do is fine.</summary>
    public static void Remove(string name)
    {
        if (!RouteSocket.Exists(name)) return;
        using TunDevice device = Create(name, 1, mayBeThere: true);
        device.Stays(false);
    }

    public void Dispose()
    {
        foreach (int fd in _queues) _ = LibC.Close(fd);
    }
}
