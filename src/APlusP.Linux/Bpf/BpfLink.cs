using System.Runtime.InteropServices;
using APlusP.Core;
using Microsoft.Win32.SafeHandles;

namespace APlusP.Linux.Bpf;

/// <summary>Where a program can stand on a device.</summary>
public enum BpfHook
{
    /// <summary>tcx ingress (kernel 6.6): behind the driver, with segmentation offload's packets whole.</summary>
    Tc = 46,

    /// <summary>XDP: in the driver, before the kernel has made a packet of the frame.</summary>
    Xdp = 37,
}

/// <summary>
/// A program on a device, pinned: it goes on when this process ends, and another process finds it there.
/// </summary>
public static unsafe class BpfLink
{
    const int Enolink = 67;

    /// <summary>Puts a program on a device, in the place of the one that the pin knows, with no packet between them that meets neither.</summary>
    /// <param name="program">File descriptor.</param>
    /// <param name="hook">Where.</param>
    /// <param name="device">Interface index.</param>
    /// <param name="name">The device's name, for messages.</param>
    /// <param name="pin">Path in a BPF file system.</param>
    /// <exception cref="APlusPException">AP2012: the kernel refuses.</exception>
    public static void Attach(int program, BpfHook hook, int device, string name, string pin)
    {
        if (File.Exists(pin))
        {
            int known = Libbpf.Get(pin);
            if (known >= 0)
            {
                bool updated = Libbpf.UpdateLink(known, program, null) >= 0;
                int errno = updated ? 0 : Marshal.GetLastPInvokeError();
                _ = LibC.Close(known);
                if (updated) return;

                // The device is another one than the link was made for; the link holds on to nothing.
                if (errno != Enolink) throw Failure("replace the program on", hook, name, errno);
            }

            File.Delete(pin);
        }

        int link = Create(program, hook, device, name);
        int pinned = Libbpf.Pin(link, pin);
        int error = pinned < 0 ? Marshal.GetLastPInvokeError() : 0;
        _ = LibC.Close(link);
        if (pinned < 0) throw Failure($"pin at {pin} the program on", hook, name, error);
    }

    static int Create(int program, BpfHook hook, int device, string name)
    {
        int link = Libbpf.CreateLink(program, device, (int)hook, null);
        return link >= 0 ? link : throw Failure("put a program on", hook, name, Marshal.GetLastPInvokeError());
    }

    /// <summary>Puts a program on a device of this thread's network namespace until the handle is closed, at the latest when this process ends.</summary>
    /// <exception cref="APlusPException">AP2012: the kernel refuses.</exception>
    public static SafeFileHandle Hold(int program, BpfHook hook, string device) =>
        new(Create(program, hook, RouteSocket.IndexOf(device), device), ownsHandle: true);

    static APlusPException Failure(string what, BpfHook hook, string device, int errno) => new(
        ErrorCodes.FastPathNotAttached,
        $"cannot {what} the {hook.ToString().ToLowerInvariant()} hook of {device}: {LibC.Reason(errno)}." + (hook, errno) switch
        {
            (BpfHook.Tc, LibC.EINVAL) => " The tcx hook needs kernel 6.6.",
            (BpfHook.Xdp, LibC.EBUSY) => " Another XDP program stands there already.",
            (BpfHook.Xdp, LibC.EOPNOTSUPP) => " Its driver does not do XDP; set `fast-path = \"tc\"`.",
            (_, LibC.EPERM) => " It takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN.",
            _ => "",
        });
}
