using System.Runtime.InteropServices;
using System.Text;

namespace APlusP.Linux.FastPath;

/// <summary>
/// What devices can do for XDP, as the kernel tells over generic netlink (family "netdev", kernel 6.3 and newer). A veth takes frames of XDP only while its other end does; else they are lost without a word.
/// Where the kernel does not tell, each is taken at its word.
/// </summary>
sealed unsafe class XdpFeatures
{
    const int HeaderSize = NetlinkMessage.HeaderSize, GenericHeaderSize = 4, BufferSize = 1 << 16;
    const ushort GenlIdCtrl = 16, FlagRequest = 1, FlagDump = 0x300;
    const byte CtrlCmdGetFamily = 3, NetdevCmdDevGet = 1;
    const ushort CtrlAttrFamilyId = 1, CtrlAttrFamilyName = 2, NetdevDevIfIndex = 1, NetdevDevXdpFeatures = 3;

    /// <summary>NETDEV_XDP_ACT_NDO_XMIT: "implements ndo_xdp_xmit".</summary>
    const ulong TakesRedirectedFrames = 4;

    Dictionary<int, ulong> _features = [];

    public XdpFeatures() => Refresh();

    public bool TakesFrames(int device) => !_features.TryGetValue(device, out ulong features) || (features & TakesRedirectedFrames) != 0;

    /// <summary>Asks again; whether anything has changed.</summary>
    public bool Refresh()
    {
        Dictionary<int, ulong> before = _features;
        _features = Ask();
        return before.Count != _features.Count || before.Any(f => !_features.TryGetValue(f.Key, out ulong now) || now != f.Value);
    }

    static Dictionary<int, ulong> Ask()
    {
        var told = new Dictionary<int, ulong>();
        int fd = LibC.Socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, NetlinkSocket.Generic);
        if (fd < 0) return told;
        try
        {
            ushort family = 0;
            byte[] name = Encoding.ASCII.GetBytes("netdev\0");
            Exchange(fd, GenlIdCtrl, FlagRequest, CtrlCmdGetFamily, CtrlAttrFamilyName, name, attributes =>
            {
                foreach (NetlinkAttribute attribute in NetlinkAttribute.All(attributes))
                    if (attribute.Type == CtrlAttrFamilyId) family = MemoryMarshal.Read<ushort>(attribute.Value);
            });
            if (family == 0) return told;
            Exchange(fd, family, FlagRequest | FlagDump, NetdevCmdDevGet, 0, default, attributes =>
            {
                int device = 0;
                ulong? features = null;
                foreach (NetlinkAttribute attribute in NetlinkAttribute.All(attributes))
                {
                    if (attribute.Type == NetdevDevIfIndex) device = MemoryMarshal.Read<int>(attribute.Value);
                    if (attribute.Type == NetdevDevXdpFeatures) features = MemoryMarshal.Read<ulong>(attribute.Value);
                }

                if (features is { } known) told[device] = known;
            });
            return told;
        }
        finally
        {
            _ = LibC.Close(fd);
        }
    }

    delegate void TakeAttributes(ReadOnlySpan<byte> attributes);

    static void Exchange(int fd, ushort type, int flags, byte command, ushort attribute, ReadOnlySpan<byte> value, TakeAttributes take)
    {
        Span<byte> request = stackalloc byte[HeaderSize + GenericHeaderSize + (value.IsEmpty ? 0 : 4 + (value.Length + 3) / 4 * 4)];
        request.Clear();
        MemoryMarshal.Write(request, request.Length);
        MemoryMarshal.Write(request[4..], type);
        MemoryMarshal.Write(request[6..], (ushort)flags);
        request[HeaderSize] = command;
        request[HeaderSize + 1] = 1;
        if (!value.IsEmpty)
        {
            MemoryMarshal.Write(request[(HeaderSize + 4)..], (ushort)(4 + value.Length));
            MemoryMarshal.Write(request[(HeaderSize + 6)..], attribute);
            value.CopyTo(request[(HeaderSize + 8)..]);
        }

        byte[] answer = new byte[BufferSize];
        fixed (byte* start = request, buffer = answer)
        {
            if (LibC.SendTo(fd, start, (nuint)request.Length, 0, null, 0) < 0) return;
            while (true)
            {
                nint received = LibC.Receive(fd, buffer, BufferSize, 0);
                if (received < HeaderSize) return;
                foreach (NetlinkMessage message in NetlinkMessage.All(answer.AsSpan(0, (int)received)))
                {
                    if (message.Type is NetlinkMessage.Done or NetlinkMessage.Error) return;
                    take(message.Body[GenericHeaderSize..]);
                }

                if ((flags & FlagDump) == 0) return;
            }
        }
    }
}
