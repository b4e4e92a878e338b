using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;
using APlusP.Node.Home;

namespace APlusP.Node.Doctor;

/// <summary>Pings a PRR from the machine's own address, in sizes that are not fragmented, ICMPv6. CAP_NET_RAW.</summary>
sealed class PathProbe : IDisposable
{
    const int Smallest = 100, Tries = 3;

    static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(700);

    // Of IPPROTO_IPV6, linux/in6.h: what is larger than the device is refused rather than fragmented, and what the kernel believes of the path does not count.
    const int LevelIpv6 = 41, MtuDiscover = 23, DiscoverProbe = 3, DontFragment = 62;

    readonly Socket _socket;
    readonly IPEndPoint _prr;
    readonly IPv6Address _to;
    readonly byte[] _heard = new byte[ushort.MaxValue];
    readonly ushort _identifier = (ushort)Random.Shared.Next();
    ushort _sequence;
    string? _told;
    bool _isForbidden;
    int _mtuTold;

    PathProbe(IPv6Address prr)
    {
        _to = prr;
        _prr = new IPEndPoint(prr.ToIPAddress(), 0);
        _socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IcmpV6);
        _socket.SetRawSocketOption(LevelIpv6, MtuDiscover, BitConverter.GetBytes(DiscoverProbe));
        _socket.SetRawSocketOption(LevelIpv6, DontFragment, BitConverter.GetBytes(1));
    }

    /// <summary>How much the path to a PRR carries, of what its softwire packets need.</summary>
    public static PathSight Measure(IPv6Address prr, int needed)
    {
        try
        {
            using var probe = new PathProbe(prr);
            return probe.Measure(needed);
        }
        catch (SocketException error)
        {
            return new PathSight(needed, 0) { NotTried = $"the PRR cannot be pinged from here: {error.Message}. It takes CAP_NET_RAW; run the doctor as root" };
        }
    }

    /// <summary>Whether a PRR answers a small ping; for at most some two seconds.</summary>
    public static PingResult Ping(IPv6Address prr)
    {
        try
        {
            using var probe = new PathProbe(prr);
            return probe.Passes(Smallest) ? PingResult.Answered : probe._isForbidden ? PingResult.Unknown : probe._told is null ? PingResult.Silent : PingResult.NoWay;
        }
        catch (SocketException)
        {
            return PingResult.Unknown;
        }
    }

    PathSight Measure(int needed)
    {
        if (!Passes(Smallest)) return new PathSight(needed, 0) { Told = _told };
        if (Passes(needed)) return new PathSight(needed, needed);

        // A router that says what it carries is believed where that is true.
        if (_mtuTold > Smallest && _mtuTold < needed && Passes(_mtuTold)) return new PathSight(needed, _mtuTold);
        int carried = Math.Min(PathMtuTable.Least, needed), tooMuch = needed;
        if (!Passes(carried)) return new PathSight(needed, Smallest);
        while (tooMuch - carried > 1)
        {
            int half = (carried + tooMuch) / 2;
            if (Passes(half)) carried = half;
            else tooMuch = half;
        }

        return new PathSight(needed, carried);
    }

    /// <summary>Whether an IPv6 packet of so many octets is answered; one loss does not count.</summary>
    bool Passes(int octets)
    {
        for (int i = 0; i < Tries; i++)
        {
            if (!TrySend(octets)) return false;
            if (IsAnswered(octets)) return true;
            if (_mtuTold > 0 && _mtuTold < octets) return false;
        }

        return false;
    }

    /// <summary>False where the packet is larger than the device carries, there is no route, or this machine's own firewall drops it.</summary>
    bool TrySend(int octets)
    {
        byte[] message = new byte[octets - IPv6Header.Size];
        IcmpV6Header.Write(message, IcmpV6Type.EchoRequest, 0, (uint)_identifier << 16 | ++_sequence);
        try
        {
            // The kernel puts the checksum in.
            _socket.SendTo(message, _prr);
            return true;
        }
        catch (SocketException error) when (error.SocketErrorCode is SocketError.MessageSize or SocketError.NetworkUnreachable or SocketError.HostUnreachable or SocketError.AddressNotAvailable or SocketError.AccessDenied)
        {
            if (error.SocketErrorCode != SocketError.MessageSize) _told = error.Message;
            _isForbidden = error.SocketErrorCode == SocketError.AccessDenied;
            return false;
        }
    }

    bool IsAnswered(int octets)
    {
        for (long start = Stopwatch.GetTimestamp(); s_patience - Stopwatch.GetElapsedTime(start) is { Ticks: > 0 } left;)
        {
            if (!_socket.Poll(left, SelectMode.SelectRead)) break;
            EndPoint from = new IPEndPoint(IPAddress.IPv6Any, 0);
            Span<byte> message = _heard.AsSpan(0, _socket.ReceiveFrom(_heard, ref from));
            if (!IcmpV6Header.TryRead(message, out IcmpV6Header icmp)) continue;
            if (icmp.Type == IcmpV6Type.EchoReply && icmp.Rest == ((uint)_identifier << 16 | _sequence) && ((IPEndPoint)from).Address.Equals(_prr.Address)) return true;
            if (!icmp.IsError || !IsAboutUs(message[IcmpV6Header.Size..])) continue;
            if (icmp.Type == IcmpV6Type.PacketTooBig) _mtuTold = (int)Math.Min(icmp.Rest, octets);
            else _told = $"{icmp.Type} (ICMPv6 {(byte)icmp.Type}/{icmp.Code}) from {((IPEndPoint)from).Address}";
            if (icmp.Type == IcmpV6Type.PacketTooBig) return false;
        }

        return false;
    }

    /// <summary>Whether an error embeds one of our echo requests.</summary>
    bool IsAboutUs(Span<byte> about) =>
        IPv6Header.TryReadCut(about, out IPv6Header header) && header.Destination == _to && header.NextHeader == IpProtocol.IcmpV6 && about.Length >= IPv6Header.Size + IcmpV6Header.Size
        && BinaryPrimitives.ReadUInt16BigEndian(about[(IPv6Header.Size + 4)..]) == _identifier;

    public void Dispose() => _socket.Dispose();
}
