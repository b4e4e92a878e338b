using System.Runtime.InteropServices;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;

namespace APlusP.Linux;

/// <summary>A route through a device.</summary>
/// <param name="Destination">Address of the prefix: 4 octets for IPv4, 16 for IPv6.</param>
/// <param name="PrefixLength">Its length; 0 is the default route.</param>
public sealed record DeviceRoute(ReadOnlyMemory<byte> Destination, int PrefixLength)
{
    /// <summary>The main routing table, ip-rule(8).</summary>
    public const int MainTable = 254;

    public int Table { get; init; } = MainTable;

    /// <summary>Whether its packets are for this machine itself.</summary>
    public bool IsLocal { get; init; }

    /// <summary>Address of the next hop; empty for none.</summary>
    public ReadOnlyMemory<byte> Gateway { get; init; }

    public override string ToString() => $"{(IsLocal ? "local " : "")}{new System.Net.IPAddress(Destination.Span)}/{PrefixLength}{(Gateway.IsEmpty ? "" : $" via {new System.Net.IPAddress(Gateway.Span)}")}{(Table == MainTable ? "" : $" table {Table}")}";
}

/// <summary>A rule that chooses a routing table for IPv4 packets, ip-rule(8).</summary>
/// <param name="Priority">Lower ones are asked first.</param>
/// <param name="Table">Where to look.</param>
public sealed record PolicyRule(int Priority, int Table)
{
    /// <summary>Only for packets that did not come in by this device; null for all.</summary>
    public string? NotFrom { get; init; }

    /// <summary>Whether a default route of the table does not count.</summary>
    public bool WithoutDefault { get; init; }

    /// <summary>Only for packets with this mark; null for all.</summary>
    public uint? Mark { get; init; }

    public override string ToString() =>
        $"{Priority}: {(Mark is null ? "" : $"fwmark {Mark} ")}{(NotFrom is null ? "" : $"not iif {NotFrom} ")}lookup {Table}{(WithoutDefault ? " suppress_prefixlength 0" : "")}";
}

/// <summary>Changes links and routes by rtnetlink, rtnetlink(7). Every request is acknowledged; a refusal carries the kernel's own words.</summary>
public sealed unsafe partial class RouteSocket : IDisposable
{
    const ushort RtmNewLink = 16, RtmNewRoute = 24, RtmDelRoute = 25, RtmNewRule = 32, RtmDelRule = 33;
    const ushort RtmNewNeighbour = 28, RtmDelNeighbour = 29, NdaDst = 1;
    const ushort FraIifName = 3, FraPriority = 6, FraMark = 10, FraSuppressPrefixLength = 14, FraTable = 15, RtaTable = 15;
    const byte ActionToTable = 1;
    const uint FibRuleInvert = 2;
    const ushort FlagRequest = 0x1, FlagAck = 0x4, FlagReplace = 0x100, FlagExclusive = 0x200, FlagCreate = 0x400, FlagAckTlvs = 0x200, FlagCapped = 0x100;
    const ushort IflaMtu = 4, IflaTxQueueLength = 13, IflaAfSpec = 26, IflaInet6AddrGenMode = 8, RtaDst = 1, RtaOif = 4, RtaGateway = 5, ErrorAttributeMessage = 1;
    const byte AddrGenModeNone = 1, TableUnspecified = 0, ProtocolStatic = 4, ScopeLink = 253, ScopeHost = 254, ScopeUniverse = 0, TypeUnicast = 1, TypeLocal = 2;
    const uint IffUp = 1;
    const int SolNetlink = 270, NetlinkExtAck = 11, NetlinkCapAck = 10, HeaderSize = NetlinkMessage.HeaderSize;

    /// <summary>
    /// Packets that wait in a TUN queue while its worker is away. The kernel's 500 are 2 ms of full load, less than a worker that shares its core
    /// with others is kept waiting.
    /// </summary>
    const int QueueLength = 8192;

    readonly int _fd;
    readonly byte[] _buffer = new byte[8192];
    int _length;
    uint _sequence;

    public RouteSocket()
    {
        _fd = LibC.Socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, 0);
        if (_fd < 0) throw Failure("open a netlink socket", Marshal.GetLastPInvokeError(), null);
        int on = 1;
        _ = LibC.SetSockOpt(_fd, SolNetlink, NetlinkExtAck, &on, sizeof(int));
        _ = LibC.SetSockOpt(_fd, SolNetlink, NetlinkCapAck, &on, sizeof(int));
    }

    /// <summary>Index of a device by its name.</summary>
    public static int IndexOf(string device) => Find(device) ?? throw Failure($"find the device '{device}'", Marshal.GetLastPInvokeError(), null);

    /// <summary>The same; null where there is no such device.</summary>
    public static int? Find(string device) => NameToIndex(device) is not 0 and var index ? (int)index : null;

    /// <summary>Whether there is a device of this name.</summary>
    public static bool Exists(string device) => Find(device) is not null;

    /// <summary>Sets a device up with this MTU, and without the link-local address that the kernel would give it.</summary>
    public void BringUp(int index, string name, int mtu)
    {
        // Two requests: in one, the kernel sets the device up first, and the address is there before it hears that none is wanted.
        BeginLink(index, flags: 0);
        AppendAttribute(IflaMtu, mtu);
        AppendAttribute(IflaTxQueueLength, QueueLength);
        int spec = BeginNest(IflaAfSpec), inet6 = BeginNest(LibC.AF_INET6);
        AppendAttribute(IflaInet6AddrGenMode, [AddrGenModeNone]);
        EndNest(inet6);
        EndNest(spec);
        Exchange($"set the MTU of the device '{name}' to {mtu}");

        BeginLink(index, IffUp);
        Exchange($"set the device '{name}' up");
    }

    void BeginLink(int index, uint flags)
    {
        Begin(RtmNewLink, FlagRequest | FlagAck);
        Span<byte> info = Append(16);
        MemoryMarshal.Write(info[4..], in index);
        MemoryMarshal.Write(info[8..], in flags);
        MemoryMarshal.Write(info[12..], in flags);
    }

    /// <summary>Adds a route; false where exactly this destination has one already, which then stays as it is.</summary>
    public bool TryAddRoute(DeviceRoute route, int device) =>
        Route(RtmNewRoute, FlagRequest | FlagAck | FlagCreate | FlagExclusive, route, device, "add the route to", accept: LibC.EEXIST);

    /// <summary>Removes a route through this device; false where it is gone already.</summary>
    public bool TryRemoveRoute(DeviceRoute route, int device) =>
        Route(RtmDelRoute, FlagRequest | FlagAck, route, device, "remove the route to", accept: LibC.ESRCH);

    bool Route(ushort type, ushort flags, DeviceRoute route, int device, string what, int accept)
    {
        bool v4 = route.Destination.Length == 4;
        Begin(type, flags);
        Span<byte> message = Append(12);
        message[0] = (byte)(v4 ? LibC.AF_INET : LibC.AF_INET6);
        message[1] = (byte)route.PrefixLength;
        message[4] = route.Table <= byte.MaxValue ? (byte)route.Table : TableUnspecified;
        message[5] = ProtocolStatic;
        message[6] = route.IsLocal ? ScopeHost : v4 && route.Gateway.IsEmpty ? ScopeLink : ScopeUniverse;
        message[7] = route.IsLocal ? TypeLocal : TypeUnicast;
        if (route.PrefixLength > 0) AppendAttribute(RtaDst, route.Destination.Span);
        if (!route.Gateway.IsEmpty) AppendAttribute(RtaGateway, route.Gateway.Span);
        AppendAttribute(RtaOif, device);
        if (route.Table > byte.MaxValue) AppendAttribute(RtaTable, route.Table);
        return Exchange($"{what} {route}", accept);
    }

    /// <summary>Adds a rule; false where exactly this one is there already.</summary>
    public bool TryAddRule(PolicyRule rule) => Rule(RtmNewRule, FlagRequest | FlagAck | FlagCreate | FlagExclusive, rule, "add the rule", LibC.EEXIST);

    /// <summary>Removes a rule; false where it is gone already.</summary>
    public bool TryRemoveRule(PolicyRule rule) => Rule(RtmDelRule, FlagRequest | FlagAck, rule, "remove the rule", LibC.ENOENT);

    bool Rule(ushort type, ushort flags, PolicyRule rule, string what, int accept)
    {
        Begin(type, flags);
        Span<byte> message = Append(12);
        message[0] = LibC.AF_INET;
        message[4] = rule.Table <= byte.MaxValue ? (byte)rule.Table : TableUnspecified;
        message[7] = ActionToTable;
        MemoryMarshal.Write(message[8..], rule.NotFrom is null ? 0 : FibRuleInvert);
        AppendAttribute(FraPriority, rule.Priority);
        AppendAttribute(FraTable, rule.Table);
        if (rule.NotFrom is { } device) AppendAttribute(FraIifName, Encoding.UTF8.GetBytes($"{device}\0"));
        if (rule.WithoutDefault) AppendAttribute(FraSuppressPrefixLength, 0);
        if (rule.Mark is { } mark) AppendAttribute(FraMark, (int)mark);
        return Exchange($"{what} '{rule}'", accept);
    }

    /// <summary>Has the kernel answer in our place who asks on a device's link for this IPv6 address (RFC 4861 section 7.2.8); true also where it does already.</summary>
    public bool AddProxy(ReadOnlySpan<byte> address, int device) => Proxy(RtmNewNeighbour, FlagRequest | FlagAck | FlagCreate, address, device, "answer for", accept: LibC.EEXIST);

    /// <summary>Ends that; false where it has ended already.</summary>
    public bool TryRemoveProxy(ReadOnlySpan<byte> address, int device) => Proxy(RtmDelNeighbour, FlagRequest | FlagAck, address, device, "no longer answer for", accept: LibC.ENOENT);

    bool Proxy(ushort type, ushort flags, ReadOnlySpan<byte> address, int device, string what, int accept)
    {
        const byte ntfProxy = 8;
        Begin(type, flags);
        Span<byte> message = Append(12);
        message[0] = LibC.AF_INET6;
        MemoryMarshal.Write(message[4..], in device);
        message[10] = ntfProxy;
        AppendAttribute(NdaDst, address);
        return Exchange($"{what} {new System.Net.IPAddress(address)}", accept);
    }

    void Begin(ushort type, ushort flags)
    {
        _length = 0;
        Span<byte> header = Append(HeaderSize);
        MemoryMarshal.Write(header[4..], in type);
        MemoryMarshal.Write(header[6..], in flags);
        MemoryMarshal.Write(header[8..], ++_sequence);
    }

    Span<byte> Append(int octets)
    {
        Span<byte> room = _buffer.AsSpan(_length, (octets + 3) / 4 * 4);
        room.Clear();
        _length += room.Length;
        return room[..octets];
    }

    void AppendAttribute(ushort type, int value)
    {
        Span<byte> octets = stackalloc byte[4];
        MemoryMarshal.Write(octets, in value);
        AppendAttribute(type, octets);
    }

    void AppendAttribute(ushort type, ReadOnlySpan<byte> value)
    {
        Span<byte> room = Append(4 + value.Length);
        MemoryMarshal.Write(room, (ushort)(4 + value.Length));
        MemoryMarshal.Write(room[2..], in type);
        value.CopyTo(room[4..]);
    }

    int BeginNest(ushort type)
    {
        int start = _length;
        MemoryMarshal.Write(Append(4)[2..], in type);
        return start;
    }

    void EndNest(int start) => MemoryMarshal.Write(_buffer.AsSpan(start), (ushort)(_length - start));

    /// <summary>Sends what was built and reads the acknowledgement; false where the kernel refused with an error that is accepted.</summary>
    bool Exchange(string what, params ReadOnlySpan<int> accept)
    {
        MemoryMarshal.Write(_buffer, in _length);
        fixed (byte* buffer = _buffer)
        {
            if (LibC.SendTo(_fd, buffer, (nuint)_length, 0, null, 0) < 0) throw Failure(what, Marshal.GetLastPInvokeError(), null);
            while (true)
            {
                nint received = LibC.Receive(_fd, buffer, (nuint)_buffer.Length, 0);
                if (received < HeaderSize) throw Failure(what, Marshal.GetLastPInvokeError(), null);
                ReadOnlySpan<byte> answer = _buffer.AsSpan(0, (int)received);
                if (MemoryMarshal.Read<ushort>(answer[4..]) != NetlinkMessage.Error || MemoryMarshal.Read<uint>(answer[8..]) != _sequence) continue;
                int errno = -MemoryMarshal.Read<int>(answer[HeaderSize..]);
                if (errno == 0) return true;
                if (accept.Contains(errno)) return false;
                throw Failure(what, errno, ExtendedAck(answer));
            }
        }
    }

    /// <summary>The kernel's own words, which follow the request's header (and the request, where it is not capped).</summary>
    static string? ExtendedAck(ReadOnlySpan<byte> answer)
    {
        ushort flags = MemoryMarshal.Read<ushort>(answer[6..]);
        if ((flags & FlagAckTlvs) == 0) return null;
        int at = HeaderSize + 4 + ((flags & FlagCapped) != 0 ? HeaderSize : MemoryMarshal.Read<int>(answer[(HeaderSize + 4)..]));
        foreach (NetlinkAttribute attribute in NetlinkAttribute.All(answer[Math.Min(at, answer.Length)..]))
            if (attribute.Type == ErrorAttributeMessage) return Encoding.UTF8.GetString(attribute.Value).TrimEnd('\0');
        return null;
    }

    /// <summary>What the kernel refuses without words of its own.</summary>
    internal static APlusPException Refused(string what, int errno) => Failure(what, errno, null);

    internal static APlusPException Failure(string what, int errno, string? kernel) => new(
        ErrorCodes.NetlinkRefused,
        $"cannot {what}: {LibC.Reason(errno)}{(kernel is null ? "" : $" ({kernel})")}." + (errno is LibC.EPERM or LibC.EACCES ? " It takes CAP_NET_ADMIN." : ""));

    // unsigned int if_nametoindex(const char *ifname);
    [LibraryImport("libc", EntryPoint = "if_nametoindex", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial uint NameToIndex(string name);

    public void Dispose() => _ = LibC.Close(_fd);
}
