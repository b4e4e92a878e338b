using System.Buffers.Binary;
using System.Runtime.InteropServices;
using APlusP.Core.Addresses;

namespace APlusP.Linux.FastPath;

/// <summary>A device as the kernel tells of it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsEthernet">Whether it carries Ethernet frames, and is not the loopback device.</param>
/// <param name="IsUp">Administratively up, with a carrier.</param>
/// <param name="Address">Its Ethernet address: six octets in the low end of the number, the first lowest.</param>
/// <param name="Mtu">Largest packet.</param>
/// <param name="HasMaster">Whether it is a port of a bridge or a bond.</param>
public readonly record struct LinkState(string Name, bool IsEthernet, bool IsUp, ulong Address, int Mtu, bool HasMaster);

/// <summary>What a route says of the next hop.</summary>
enum RouteKind
{
    /// <summary>The kernel itself takes the packet, or refuses it.</summary>
    Up,

    /// <summary>Out of a device, to a gateway or to the destination itself.</summary>
    Plain,

    /// <summary>Several next hops, an MTU or an encapsulation of its own, another family's gateway: the kernel is asked each time.</summary>
    Ask,
}

readonly record struct Route(RouteKind Kind, int Device, IPv6Address Gateway, uint Priority);

/// <summary>An IPv6 address that a device can reach directly; of an IPv4 neighbour the address is in the low 32 bits.</summary>
readonly record struct Neighbour(int Device, bool IsIPv4, IPv6Address Address);

/// <param name="Ethernet">Its address, as in <see cref="LinkState.Address"/>.</param>
/// <param name="IsFixed">Whether nobody asks for it: an administrator has typed it in, or its network knows no asking.</param>
readonly record struct NeighbourState(ulong Ethernet, bool IsFixed);

/// <summary>
/// The kernel's devices, routes and neighbours as it tells of them over rtnetlink, in two sockets: one that is asked for all, and one that hears of changes.
/// Only the tables that stand without rules are read: local and main.
/// </summary>
sealed unsafe class RouteTables : IDisposable
{
    /// <summary>Routes of a family that are worth a copy. A machine with more, one with the whole Internet's, asks its kernel.</summary>
    public const int MostRoutes = 16_384;

    const ushort RtmNewLink = 16, RtmDelLink = 17, RtmGetLink = 18, RtmNewRoute = 24, RtmDelRoute = 25, RtmGetRoute = 26, RtmNewNeigh = 28, RtmDelNeigh = 29, RtmGetNeigh = 30,
        RtmNewRule = 32, RtmDelRule = 33, RtmGetRule = 34;
    const ushort FlagRequest = 1, FlagDump = 0x300, FlagCreate = 0x400, FlagReplace = 0x100;
    const int HeaderSize = NetlinkMessage.HeaderSize, BufferSize = 1 << 18, SolSocket = 1, SoReceiveBuffer = 33, Enobufs = 105;
    const ushort IflaAddress = 1, IflaIfName = 3, IflaMtu = 4, IflaMaster = 10;
    const ushort RtaDst = 1, RtaOif = 4, RtaGateway = 5, RtaPriority = 6, RtaMetrics = 8, RtaMultipath = 9, RtaTable = 15, RtaVia = 18, RtaEncapType = 21, RtaNhId = 30;
    const ushort NdaDst = 1, NdaLlAddr = 2, FraTable = 15;
    const byte TypeUnicast = 1;
    const int TableDefault = 253, TableMain = 254, TableLocal = 255;
    const uint IffUp = 1, IffLoopback = 8, IffLowerUp = 0x10000;
    const ushort ArphrdEther = 1;
    const ushort NudReachable = 2, NudStale = 4, NudDelay = 8, NudProbe = 0x10, NudPermanent = 0x80, NudNoArp = 0x40;
    const byte NtfUse = 1;

    static readonly int[] s_groups = [1 /* links */, 3 /* neighbours */, 7 /* IPv4 routes */, 8 /* IPv4 rules */, 11 /* IPv6 routes */, 19 /* IPv6 rules */, 32 /* nexthop objects */];

    readonly int _asking, _hearing;
    readonly byte[] _buffer = new byte[BufferSize];

    public RouteTables()
    {
        _asking = NetlinkSocket.Open(NetlinkSocket.Route, 0, "ask for routes", RouteSocket.Refused);
        _hearing = NetlinkSocket.Open(NetlinkSocket.Route, s_groups.Aggregate(0u, (bits, group) => bits | NetlinkSocket.Group(group)), "listen for changes of routes", RouteSocket.Refused);
        int buffer = 8 << 20;
        _ = LibC.SetSockOpt(_hearing, SolSocket, SoReceiveBuffer, &buffer, sizeof(int));
    }

    public Dictionary<int, LinkState> Links { get; } = [];

    public Dictionary<(uint Prefix, int Length), Route> IPv4 { get; } = [];

    public Dictionary<(UInt128 Prefix, int Length), Route> IPv6 { get; } = [];

    /// <summary>The neighbours that can be reached.</summary>
    public Dictionary<Neighbour, NeighbourState> Neighbours { get; } = [];

    /// <summary>Whether the tables of a family say all: few enough routes, and no rules but the kernel's own.</summary>
    public bool KnowsIPv4 { get; private set; }

    public bool KnowsIPv6 { get; private set; }

    /// <summary>Reads devices and neighbours again.</summary>
    public void ReadLinksAndNeighbours()
    {
        Links.Clear();
        Ask(RtmGetLink, familyAndMore: 16, family: 0);
        Neighbours.Clear();
        Ask(RtmGetNeigh, familyAndMore: 12, family: LibC.AF_INET);
        Ask(RtmGetNeigh, familyAndMore: 12, family: LibC.AF_INET6);
    }

    /// <summary>Reads rules and routes again.</summary>
    public void ReadRoutes()
    {
        IPv4.Clear();
        IPv6.Clear();
        KnowsIPv4 = KnowsIPv6 = true;
        Ask(RtmGetRule, familyAndMore: 12, family: LibC.AF_INET);
        Ask(RtmGetRule, familyAndMore: 12, family: LibC.AF_INET6);
        if (KnowsIPv4) Ask(RtmGetRoute, familyAndMore: 12, family: LibC.AF_INET);
        if (KnowsIPv6) Ask(RtmGetRoute, familyAndMore: 12, family: LibC.AF_INET6);
        KnowsIPv4 &= IPv4.Count <= MostRoutes;
        KnowsIPv6 &= IPv6.Count <= MostRoutes;
    }

    /// <summary>What may have changed.</summary>
    [Flags]
    public enum Changes
    {
        None = 0,
        Neighbours = 1,
        Links = 2,
        Routes = 4,
    }

    /// <summary>Waits until there are changes to take; touches nothing that others read.</summary>
    /// <param name="milliseconds">How long at most.</param>
    public bool Wait(int milliseconds)
    {
        var poll = new PollFd { Fd = _hearing, Events = LibC.POLLIN };
        return LibC.Poll(&poll, 1, milliseconds) > 0;
    }

    /// <summary>Takes the changes that have come. Neighbours are taken note of at once; links and routes are to be read again.</summary>
    public Changes TakeChanges()
    {
        var changes = Changes.None;
        while (Wait(0))
        {
            fixed (byte* buffer = _buffer)
            {
                nint received = LibC.Receive(_hearing, buffer, BufferSize, 0);
                if (received < 0)
                {
                    // Too many at once for the socket: all may have changed.
                    if (Marshal.GetLastPInvokeError() == Enobufs) return Changes.Neighbours | Changes.Links | Changes.Routes;
                    break;
                }

                foreach (NetlinkMessage message in NetlinkMessage.All(_buffer.AsSpan(0, (int)received)))
                {
                    switch (message.Type)
                    {
                        case NetlinkMessage.Error or NetlinkMessage.Done:
                            break;
                        case RtmNewNeigh or RtmDelNeigh:
                            Take(message);
                            changes |= Changes.Neighbours;
                            break;
                        case RtmNewLink or RtmDelLink:
                            changes |= Changes.Links;
                            break;
                        default:
                            changes |= Changes.Routes;
                            break;
                    }
                }
            }
        }

        return changes;
    }

    /// <summary>
    /// Has the kernel look whether a neighbour is still there, as it does for those it sends to itself: what a program sends it does not see. Not of one that somebody has fixed: the kernel would
    /// forget that, and then its address.
    /// </summary>
    public void Use(Neighbour neighbour)
    {
        if (!Neighbours.TryGetValue(neighbour, out NeighbourState state) || state.IsFixed) return;
        Span<byte> address = stackalloc byte[16];
        neighbour.Address.Write(address);
        if (neighbour.IsIPv4) address = address[12..];
        Span<byte> message = stackalloc byte[HeaderSize + 12 + 4 + address.Length];
        message.Clear();
        MemoryMarshal.Write(message, message.Length);
        MemoryMarshal.Write(message[4..], RtmNewNeigh);
        MemoryMarshal.Write(message[6..], (ushort)(FlagRequest | FlagCreate | FlagReplace));
        message[HeaderSize] = (byte)(neighbour.IsIPv4 ? LibC.AF_INET : LibC.AF_INET6);
        MemoryMarshal.Write(message[(HeaderSize + 4)..], neighbour.Device);
        message[HeaderSize + 10] = NtfUse;
        MemoryMarshal.Write(message[(HeaderSize + 12)..], (ushort)(4 + address.Length));
        MemoryMarshal.Write(message[(HeaderSize + 14)..], NdaDst);
        address.CopyTo(message[(HeaderSize + 16)..]);
        fixed (byte* start = message) _ = LibC.SendTo(_asking, start, (nuint)message.Length, 0, null, 0);
    }

    void Ask(ushort type, int familyAndMore, int family)
    {
        Span<byte> request = stackalloc byte[HeaderSize + familyAndMore];
        request.Clear();
        MemoryMarshal.Write(request, request.Length);
        MemoryMarshal.Write(request[4..], type);
        MemoryMarshal.Write(request[6..], (ushort)(FlagRequest | FlagDump));
        request[HeaderSize] = (byte)family;
        fixed (byte* start = request, buffer = _buffer)
        {
            if (LibC.SendTo(_asking, start, (nuint)request.Length, 0, null, 0) < 0) throw RouteSocket.Failure("ask for routes", Marshal.GetLastPInvokeError(), null);
            while (true)
            {
                nint received = LibC.Receive(_asking, buffer, BufferSize, 0);
                if (received < HeaderSize) throw RouteSocket.Failure("read routes", Marshal.GetLastPInvokeError(), null);
                foreach (NetlinkMessage message in NetlinkMessage.All(_buffer.AsSpan(0, (int)received)))
                {
                    if (message.Type == NetlinkMessage.Done) return;
                    Take(message);
                }
            }
        }
    }

    /// <summary>Of the requests only dumps are answered; an error is that of a neighbour that has gone, and nothing to take.</summary>
    void Take(NetlinkMessage message)
    {
        switch (message.Type)
        {
            case RtmNewLink: TakeLink(message.Body); break;
            case RtmNewRoute: TakeRoute(message.Body); break;
            case RtmNewNeigh or RtmDelNeigh: TakeNeighbour(message.Body, gone: message.Type == RtmDelNeigh); break;
            case RtmNewRule: TakeRule(message.Body); break;
        }
    }

    void TakeLink(ReadOnlySpan<byte> message)
    {
        ushort hardware = MemoryMarshal.Read<ushort>(message[2..]);
        int index = MemoryMarshal.Read<int>(message[4..]);
        uint flags = MemoryMarshal.Read<uint>(message[8..]);
        string name = "";
        ulong address = 0;
        int mtu = 0;
        bool master = false;
        foreach (NetlinkAttribute attribute in NetlinkAttribute.All(message[16..]))
        {
            switch (attribute.Type)
            {
                case IflaIfName: name = System.Text.Encoding.UTF8.GetString(attribute.Value).TrimEnd('\0'); break;
                case IflaAddress: address = EthernetAddress(attribute.Value); break;
                case IflaMtu: mtu = MemoryMarshal.Read<int>(attribute.Value); break;
                case IflaMaster: master = true; break;
            }
        }

        Links[index] = new LinkState(name, hardware == ArphrdEther && (flags & IffLoopback) == 0, (flags & (IffUp | IffLowerUp)) == (IffUp | IffLowerUp), address, mtu, master);
    }

    void TakeRoute(ReadOnlySpan<byte> message)
    {
        bool v4 = message[0] == LibC.AF_INET;
        int length = message[1], table = message[4], device = 0;
        uint flags = MemoryMarshal.Read<uint>(message[8..]), priority = 0;
        const uint cloned = 0x200;
        if ((flags & cloned) != 0) return;
        UInt128 prefix = 0;
        IPv6Address gateway = default;
        bool special = message[2] != 0 /* source routing */ || message[3] != 0 /* TOS */, gatewayGiven = false;
        foreach (NetlinkAttribute attribute in NetlinkAttribute.All(message[12..]))
        {
            switch (attribute.Type)
            {
                case RtaDst: prefix = Number(attribute.Value); break;
                case RtaOif: device = MemoryMarshal.Read<int>(attribute.Value); break;
                case RtaGateway: (gateway, gatewayGiven) = (new IPv6Address(Number(attribute.Value)), true); break;
                case RtaPriority: priority = MemoryMarshal.Read<uint>(attribute.Value); break;
                case RtaTable: table = MemoryMarshal.Read<int>(attribute.Value); break;
                case RtaMetrics: special |= HasMtu(attribute.Value); break;
                case RtaMultipath or RtaVia or RtaEncapType or RtaNhId: special = true; break;
            }
        }

        if (table is not (TableMain or TableLocal)) return;
        RouteKind kind = message[7] != TypeUnicast ? RouteKind.Up : special || device == 0 ? RouteKind.Ask : RouteKind.Plain;
        var route = new Route(kind, device, gatewayGiven ? gateway : default, table == TableLocal ? 0 : priority);
        if (v4) Keep(IPv4, ((uint)prefix, length), route);
        else Keep(IPv6, (prefix, length), route);
    }

    /// <summary>Of routes to one prefix the kernel takes the one of the least metric.</summary>
    static void Keep<TKey>(Dictionary<TKey, Route> routes, TKey key, Route route)
        where TKey : notnull
    {
        // IPv6 tells several next hops of one metric as several routes.
        if (routes.TryGetValue(key, out Route there) && there.Priority == route.Priority && there.Kind == RouteKind.Plain && route.Kind == RouteKind.Plain) routes[key] = route with { Kind = RouteKind.Ask };
        else if (!routes.ContainsKey(key) || there.Priority > route.Priority) routes[key] = route;
    }

    static bool HasMtu(ReadOnlySpan<byte> metrics)
    {
        const ushort rtaxMtu = 2;
        foreach (NetlinkAttribute metric in NetlinkAttribute.All(metrics))
            if (metric.Type == rtaxMtu) return true;
        return false;
    }

    void TakeRule(ReadOnlySpan<byte> message)
    {
        int table = message[4];
        foreach (NetlinkAttribute attribute in NetlinkAttribute.All(message[12..]))
            if (attribute.Type == FraTable) table = MemoryMarshal.Read<int>(attribute.Value);
        bool plain = message[1] == 0 && message[2] == 0 && table is TableLocal or TableMain or TableDefault;
        if (message[0] == LibC.AF_INET) KnowsIPv4 &= plain;
        else KnowsIPv6 &= plain;
    }

    void TakeNeighbour(ReadOnlySpan<byte> message, bool gone)
    {
        const ushort usable = NudReachable | NudStale | NudDelay | NudProbe | NudPermanent | NudNoArp;
        int device = MemoryMarshal.Read<int>(message[4..]);
        ushort state = MemoryMarshal.Read<ushort>(message[8..]);
        IPv6Address address = default;
        ulong ethernet = 0;
        foreach (NetlinkAttribute attribute in NetlinkAttribute.All(message[12..]))
        {
            if (attribute.Type == NdaDst) address = new IPv6Address(Number(attribute.Value));
            if (attribute.Type == NdaLlAddr && attribute.Value.Length == 6) ethernet = EthernetAddress(attribute.Value);
        }

        var neighbour = new Neighbour(device, message[0] == LibC.AF_INET, address);
        if (gone || (state & usable) == 0 || ethernet == 0) Neighbours.Remove(neighbour);
        else Neighbours[neighbour] = new NeighbourState(ethernet, (state & (NudPermanent | NudNoArp)) != 0);
    }

    static UInt128 Number(ReadOnlySpan<byte> octets) =>
        octets.Length == 4 ? BinaryPrimitives.ReadUInt32BigEndian(octets) : octets.Length == 16 ? BinaryPrimitives.ReadUInt128BigEndian(octets) : 0;

    static ulong EthernetAddress(ReadOnlySpan<byte> octets)
    {
        if (octets.Length != 6) return 0;
        Span<byte> wide = stackalloc byte[8];
        wide.Clear();
        octets.CopyTo(wide);
        return BinaryPrimitives.ReadUInt64LittleEndian(wide);
    }

    public void Dispose()
    {
        _ = LibC.Close(_asking);
        _ = LibC.Close(_hearing);
    }
}
