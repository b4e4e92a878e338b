using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using APlusP.Core.Addresses;

namespace APlusP.Linux;

/// <summary>
/// The resolvers that routers of this machine's links advertise (RFC 8106 section 5.1), as the kernel passes them on of advertisements that it takes. It tells nothing of what came before, so who needs
/// one has routers solicited.
/// </summary>
/// <param name="clock">For lifetimes.</param>
public sealed unsafe class AdvertisedResolvers(TimeProvider clock) : IDisposable
{
    // RTNLGRP_ND_USEROPT, and its message of linux/rtnetlink.h.
    const int Group = 20;

    const ushort NewUserOption = 68;

    const int Some = 8192;

    readonly int _fd = NetlinkSocket.Open(NetlinkSocket.Route, NetlinkSocket.Group(Group), "listen for router advertisements", RouteSocket.Refused);
    readonly KnownResolvers _known = new(clock);

    /// <summary>Resolvers whose time is not over.</summary>
    /// <param name="heeds">Whether a device's routers count, by its name.</param>
    /// <param name="asks">Whether routers are asked, a few times, while there is none.</param>
    public IReadOnlyList<IPv6Address> Read(Predicate<string> heeds, bool asks)
    {
        Hear();
        bool mayAsk = asks && _known.MayAsk;
        if (!_known.IsAny && !mayAsk) return [];
        HashSet<int> heeded = [.. Directory.GetDirectories("/sys/class/net").Select(d => Path.GetFileName(d)).Where(d => d != "lo" && heeds(d)).Select(RouteSocket.Find).OfType<int>()];
        IReadOnlyList<IPv6Address> found = _known.Of(heeded);
        if (found.Count > 0 || !mayAsk) return found;
        _known.Ask();
        foreach (int device in heeded) Solicit(device);
        return found;
    }

    void Hear()
    {
        byte* buffer = stackalloc byte[Some];
        var poll = new PollFd { Fd = _fd, Events = LibC.POLLIN };
        while (LibC.Poll(&poll, 1, 0) > 0 && LibC.Receive(_fd, buffer, Some, 0) is > 0 and var length) _known.Take(new ReadOnlySpan<byte>(buffer, (int)length));
    }

    /// <summary>
    /// Reads a datagram of netlink. A message has a header of 16 octets (length, type), struct nduseroptmsg of 16 (family, length of options, device) and the option: type 25, length in units of 8, two octets of
    /// nothing, the lifetime, and addresses. Those of a link, which mean nothing without it, are left out.
    /// </summary>
    public static IReadOnlyList<(int Device, IPv6Address Address, uint Seconds)> ReadMessages(ReadOnlySpan<byte> datagram)
    {
        const int header = 16, fixedPart = 16, optionHeader = 8, recursiveServers = 25;
        var told = new List<(int, IPv6Address, uint)>();
        while (datagram.Length >= header)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(datagram);
            if (length < header || length > datagram.Length) break;
            ReadOnlySpan<byte> message = datagram[header..length];
            bool isOption = BinaryPrimitives.ReadUInt16LittleEndian(datagram[4..]) == NewUserOption && message.Length > fixedPart && message[0] == LibC.AF_INET6;
            datagram = datagram[Math.Min(length + 3 & ~3, datagram.Length)..];
            if (!isOption) continue;
            int size = BinaryPrimitives.ReadUInt16LittleEndian(message[2..]), device = BinaryPrimitives.ReadInt32LittleEndian(message[4..]);
            ReadOnlySpan<byte> option = message[fixedPart..];
            if (size > option.Length) continue;
            option = option[..size];
            while (option.Length >= optionHeader && option[1] * 8 is > 0 and var octets && octets <= option.Length)
            {
                uint seconds = BinaryPrimitives.ReadUInt32BigEndian(option[4..]);
                if (option[0] == recursiveServers)
                {
                    for (int at = optionHeader; at + IPv6Address.Size <= octets; at += IPv6Address.Size)
                        if (IPv6Address.Read(option[at..]) is { IsUnicast: true, IsLinkLocal: false } address) told.Add((device, address, seconds));
                }

                option = option[octets..];
            }
        }

        return told;
    }

    /// <summary>Asks the routers of a link to advertise themselves (RFC 4861 section 4.1). Where we may not, they do in their time.</summary>
    static void Solicit(int device)
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IcmpV6);
            socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastTimeToLive, 255);
            socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastInterface, device);
            const byte routerSolicitation = 133;
            socket.SendTo([routerSolicitation, 0, 0, 0, 0, 0, 0, 0], new IPEndPoint(new IPAddress(IPAddress.Parse("ff02::2").GetAddressBytes(), device), 0));
        }
        catch (SocketException)
        {
            // A device that is down, or no right to.
        }
    }

    public void Dispose() => _ = LibC.Close(_fd);
}
