using System.Runtime.InteropServices;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Linux;

/// <summary>
/// Receives softwire packets for an address that an interface of this machine has. The kernel would answer "unknown next header" for
/// protocol 4; while a raw socket listens it hands the inner packet over, put together where it came in fragments, and the outer header is made anew from what the
/// kernel tells about it. Of ICMPv6 it hands over errors and echo replies, and answers pings itself. CAP_NET_RAW.
/// </summary>
public sealed unsafe class SoftwireSocket : IDisposable
{
    const int IpProtoIPv6 = 41, RecvTrafficClass = 66, TrafficClass = 67, ReceiveBuffer = 33, SolSocket = 1;
    const int ControlSize = 128;

    // struct icmp6_filter, linux/icmpv6.h: a bit for each type, set where it is kept from the socket.
    const int Icmp6Filter = 1, FilterWords = 8;

    readonly IPv6Address _address;
    readonly IpProtocol _protocol;

    /// <param name="address">The end of the softwire.</param>
    /// <param name="protocol"><see cref="IpProtocol.IPv4"/> for what it carries, <see cref="IpProtocol.IcmpV6"/> for what is said about it.</param>
    public SoftwireSocket(IPv6Address address, IpProtocol protocol = IpProtocol.IPv4)
    {
        _address = address;
        _protocol = protocol;
        Descriptor = LibC.Socket(LibC.AF_INET6, LibC.SOCK_RAW | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, (int)protocol);
        if (Descriptor < 0) throw Failure(Marshal.GetLastPInvokeError());
        if (protocol == IpProtocol.IcmpV6)
        {
            uint* filter = stackalloc uint[FilterWords];
            for (int i = 0; i < FilterWords; i++) filter[i] = uint.MaxValue;
            foreach (IcmpV6Type type in (ReadOnlySpan<IcmpV6Type>)[IcmpV6Type.DestinationUnreachable, IcmpV6Type.PacketTooBig, IcmpV6Type.TimeExceeded, IcmpV6Type.ParameterProblem, IcmpV6Type.EchoReply])
                filter[(int)type >> 5] &= ~(1u << ((int)type & 31));
            _ = LibC.SetSockOpt(Descriptor, (int)IpProtocol.IcmpV6, Icmp6Filter, filter, FilterWords * sizeof(uint));
        }

        int on = 1, room = 4 << 20;
        _ = LibC.SetSockOpt(Descriptor, IpProtoIPv6, RecvTrafficClass, &on, sizeof(int));
        _ = LibC.SetSockOpt(Descriptor, SolSocket, ReceiveBuffer, &room, sizeof(int));
        var local = new SocketAddressV6 { Family = LibC.AF_INET6 };
        address.Write(new Span<byte>(local.Address, IPv6Address.Size));
        if (LibC.Bind(Descriptor, &local, (uint)sizeof(SocketAddressV6)) == 0) return;
        int errno = Marshal.GetLastPInvokeError();
        Dispose();
        throw Failure(errno);
    }

    internal int Descriptor { get; }

    /// <summary>Adds what has arrived to the batch, <paramref name="most"/> packets or fewer, with an outer header in front.</summary>
    internal void Receive(PacketBatch batch, Origin origin, int most)
    {
        byte* control = stackalloc byte[ControlSize];
        for (; most > 0; most--)
        {
            Span<byte> room = batch.Receive(batch.Count);
            SocketAddressV6 peer;
            nint length;
            MessageHeader message;
            fixed (byte* buffer = room)
            {
                var vector = new IoVector { Base = buffer + IPv6Header.Size, Length = (nuint)(room.Length - IPv6Header.Size) };
                message = new MessageHeader
                {
                    Name = &peer,
                    NameLength = (uint)sizeof(SocketAddressV6),
                    Vectors = &vector,
                    VectorCount = 1,
                    Control = control,
                    ControlLength = ControlSize,
                };
                length = LibC.ReceiveMessage(Descriptor, &message, 0);
            }

            if (length < 0) return;
            var source = IPv6Address.Read(new ReadOnlySpan<byte>(peer.Address, IPv6Address.Size));
            IPv6Header.Write(room, TrafficClassOf(control, (int)message.ControlLength), (int)length, _protocol, hopLimit: 64, source, _address);
            batch.Received(batch.Count, IPv6Header.Size + (int)length, origin);
            batch.Count++;
        }
    }

    /// <summary>Walks the control messages: {size_t length; int level; int type; data}, each aligned to 8 octets.</summary>
    static byte TrafficClassOf(byte* control, int length)
    {
        const int header = 16;
        for (int at = 0; at + header + sizeof(int) <= length;)
        {
            int size = (int)*(nuint*)(control + at);
            if (size < header) break;
            if (*(int*)(control + at + 8) == IpProtoIPv6 && *(int*)(control + at + 12) == TrafficClass) return (byte)*(int*)(control + at + header);
            at += (size + 7) / 8 * 8;
        }

        return 0;
    }

    APlusPException Failure(int errno) => new(
        ErrorCodes.RawSocketRefused,
        $"cannot receive softwire packets for {_address}, an address of this machine, by a raw socket: {LibC.Reason(errno)}. "
        + "It takes CAP_NET_RAW beside CAP_NET_ADMIN; or give the softwire an address of its own that no interface has.");

    public void Dispose() => _ = LibC.Close(Descriptor);
}

/// <summary>Sends ICMP errors whose source is the machine's own IPv4 address. CAP_NET_RAW.</summary>
public sealed unsafe class OwnAddressSocket : IDisposable
{
    const int IpProtoRaw = 255;

    readonly IPv4Address _address;
    readonly int _fd;

    public OwnAddressSocket(IPv4Address address)
    {
        _address = address;
        _fd = LibC.Socket(LibC.AF_INET, LibC.SOCK_RAW | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, IpProtoRaw);
        if (_fd >= 0) return;
        throw new APlusPException(
            ErrorCodes.RawSocketRefused,
            $"cannot send ICMP errors from {address}, this machine's own address, by a raw socket: {LibC.Reason(Marshal.GetLastPInvokeError())}. "
            + "It takes CAP_NET_RAW beside CAP_NET_ADMIN; or leave `icmp-source` out, and errors come from the shared address.");
    }

    /// <summary>Whether this IPv4 packet comes from the address.</summary>
    public bool Owns(ReadOnlySpan<byte> packet) => packet[0] >> 4 == 4 && IPv4Address.Read(packet[12..]) == _address;

    public bool TrySend(ReadOnlySpan<byte> packet)
    {
        var to = new SocketAddressV4 { Family = LibC.AF_INET };
        packet.Slice(16, IPv4Address.Size).CopyTo(new Span<byte>(to.Address, IPv4Address.Size));
        fixed (byte* buffer = packet)
        {
            return LibC.SendTo(_fd, buffer, (nuint)packet.Length, 0, &to, (uint)sizeof(SocketAddressV4)) >= 0;
        }
    }

    public void Dispose() => _ = LibC.Close(_fd);
}
