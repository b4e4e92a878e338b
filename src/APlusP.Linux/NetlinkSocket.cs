using System.Runtime.InteropServices;
using APlusP.Core;

namespace APlusP.Linux;

/// <summary>Opens sockets to the kernel's netlink.</summary>
static unsafe class NetlinkSocket
{
    public const int Route = 0, Netfilter = 12, Generic = 16;

    /// <summary>The bit of a multicast group, which is known by its number.</summary>
    public static uint Group(int number) => 1u << (number - 1);

    /// <summary>A socket with a number of its own: one without is told nothing of what the kernel itself has to say, such as of devices.</summary>
    /// <param name="protocol">Whom it talks to.</param>
    /// <param name="groups">Bits of the groups that it hears.</param>
    /// <param name="what">What it is for, in an infinitive.</param>
    /// <param name="refused">The fault, by what was wanted and errno.</param>
    public static int Open(int protocol, uint groups, string what, Func<string, int, APlusPException> refused)
    {
        int fd = LibC.Socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, protocol);
        if (fd < 0) throw refused("open a netlink socket", Marshal.GetLastPInvokeError());

        // struct sockaddr_nl: family, padding, number, groups
        uint* address = stackalloc uint[3] { LibC.AF_NETLINK, 0, groups };
        if (LibC.Bind(fd, address, 3 * sizeof(uint)) >= 0) return fd;
        int errno = Marshal.GetLastPInvokeError();
        _ = LibC.Close(fd);
        throw refused(what, errno);
    }
}
