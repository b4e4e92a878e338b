using System.Net;
using System.Net.Sockets;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>
/// What the kernel does around a TUN device, and what we ask of it.
/// <code>
///   here                              there
///   veth 198.51.100.1 2001:db8::1 --- veth 198.51.100.2 2001:db8::2
///   aplusp-test (TUN)                 192.0.2.0/24, 2001:db8:5::/48 via here
/// </code>
/// </summary>
public sealed class KernelTests : IDisposable
{
    const string Device = "aplusp-test";
    static readonly IPv6Address s_here = IPv6Address.Parse("2001:db8::1"), s_there = IPv6Address.Parse("2001:db8::2");

    readonly NetworkNamespace _here = NetworkNamespace.Create($"ap-here-{LabFixture.NewMark()}");
    readonly NetworkNamespace _there = NetworkNamespace.Create($"ap-there-{LabFixture.NewMark()}");
    readonly List<IDisposable> _held = [];
    readonly PacketBatch _batch = new(64, TunDevice.MaxPacket);

    public KernelTests()
    {
        Commands.Require("ip", "link", "add", "veth", "netns", _here.Name, "type", "veth", "peer", "name", "veth", "netns", _there.Name);
        _here.Ip("link set veth up", "addr add 198.51.100.1/24 dev veth", "addr add 2001:db8::1/64 dev veth nodad");
        _there.Ip("link set veth up", "addr add 198.51.100.2/24 dev veth", "addr add 2001:db8::2/64 dev veth nodad",
            "route add 192.0.2.0/24 via 198.51.100.1", "route add 2001:db8:5::/48 via 2001:db8::1");
        _here.Shell("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding; echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter");
    }

    public void Dispose()
    {
        foreach (IDisposable each in Enumerable.Reverse(_held)) each.Dispose();
        NetworkNamespace.Delete(_here, _there);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_device_is_up_takes_any_packet_has_no_address_and_goes_when_it_is_disposed(int queues)
    {
        TunDevice device = _here.Call(() => TunDevice.Create(Device, queues));
        try
        {
            string link = _here.Require("ip", "link", "show", Device);
            Assert.Contains("mtu 65535", link);
            Assert.Contains(",UP", link);
            Assert.Equal("", _here.Require("ip", "-br", "addr", "show", "dev", Device).Replace("UNKNOWN", "").Replace(Device, "").Trim());
        }
        finally
        {
            device.Dispose();
        }

        Assert.False(_here.Run("ip", "link", "show", Device).Succeeded);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_device_that_somebody_holds_is_refused_and_stays_as_it_is(int queues)
    {
        Make(queues);
        APlusPException error = Assert.Throws<APlusPException>(() => _here.Call(() => TunDevice.Create(Device, queues)));
        Assert.Equal(ErrorCodes.TunNotMade, error.Code);
        Assert.Contains("Another process", error.Message);
        Assert.True(_here.Run("ip", "link", "show", Device).Succeeded);
    }

    [Theory]
    [InlineData("")]
    [InlineData("sixteen-letters-")]
    public void A_name_that_no_device_can_have_is_refused(string name) =>
        Assert.Equal(ErrorCodes.TunNotMade, Assert.Throws<APlusPException>(() => TunDevice.Create(name, 1)).Code);

    [Fact]
    public void A_route_is_added_once_and_goes()
    {
        TunDevice device = Make();
        using RouteSocket netlink = _here.Call(() => new RouteSocket());
        var v4 = new DeviceRoute(IPAddress.Parse("192.0.2.1").GetAddressBytes(), 32);
        var v6 = new DeviceRoute(IPAddress.Parse("2001:db8:5::1").GetAddressBytes(), 128);
        var all = new DeviceRoute(new byte[4], 0);
        foreach (DeviceRoute route in (DeviceRoute[])[v4, v6, all])
        {
            Assert.True(netlink.TryAddRoute(route, device.Index), $"{route}");
            Assert.False(netlink.TryAddRoute(route, device.Index), $"{route}");
        }

        Assert.Contains("192.0.2.1 proto static scope link", _here.Require("ip", "route", "show", "dev", Device));
        Assert.Contains("default proto static scope link", _here.Require("ip", "route", "show", "dev", Device));
        Assert.Contains("2001:db8:5::1 ", _here.Require("ip", "-6", "route", "show", "dev", Device));

        foreach (DeviceRoute route in (DeviceRoute[])[v4, v6, all])
        {
            Assert.True(netlink.TryRemoveRoute(route, device.Index), $"{route}");
            Assert.False(netlink.TryRemoveRoute(route, device.Index), $"{route}");
        }

        Assert.Equal("", _here.Require("ip", "route", "show", "dev", Device));
        Assert.Equal("", _here.Require("ip", "-6", "route", "show", "dev", Device));
    }

    [Fact]
    public void A_route_of_the_host_to_the_same_place_is_neither_replaced_nor_removed()
    {
        _here.Ip("route add 192.0.2.1 via 198.51.100.2");
        TunDevice device = Make();
        using RouteSocket netlink = _here.Call(() => new RouteSocket());
        var route = new DeviceRoute(IPAddress.Parse("192.0.2.1").GetAddressBytes(), 32);
        Assert.False(netlink.TryAddRoute(route, device.Index));
        Assert.False(netlink.TryRemoveRoute(route, device.Index));
        Assert.Contains("via 198.51.100.2", _here.Require("ip", "route", "show", "192.0.2.1"));
    }

    [Fact]
    public void A_refused_route_says_what_was_tried_and_the_kernels_own_words()
    {
        using RouteSocket netlink = _here.Call(() => new RouteSocket());
        APlusPException error = Assert.Throws<APlusPException>(() =>
            netlink.TryAddRoute(new DeviceRoute(IPAddress.Parse("192.0.2.1").GetAddressBytes(), 32), device: 9999));
        Assert.Equal(ErrorCodes.NetlinkRefused, error.Code);
        Assert.Contains("192.0.2.1/32", error.Message);
        Assert.Contains("No such device", error.Message);

        error = Assert.Throws<APlusPException>(() =>
            netlink.TryAddRoute(new DeviceRoute(IPAddress.Parse("192.0.2.1").GetAddressBytes(), 24), _here.Call(() => RouteSocket.IndexOf("veth"))));
        Assert.Contains("(Invalid prefix for given prefix length)", error.Message);
    }

    [Fact]
    public void Packets_of_both_families_come_by_the_device_and_what_is_written_is_routed_on()
    {
        TunQueue queue = Queue(Make(), "192.0.2.1", "2001:db8:5::1");
        using Socket udp4 = Socket("198.51.100.2"), udp6 = Socket("2001:db8::2");
        udp4.SendTo([1, 2, 3], new IPEndPoint(IPAddress.Parse("192.0.2.1"), 4000));
        byte[] four = Await(queue, Origin.FromInternet);
        Assert.Equal(63, four[8]);
        udp6.SendTo([1, 2, 3], new IPEndPoint(IPAddress.Parse("2001:db8:5::1"), 4000));
        byte[] six = Await(queue, Origin.FromSmap);
        Assert.Equal(63, six[7]);

        // Back to where they came from: addresses and ports change places, which no checksum notices.
        Write(queue, Swapped(four, 12, 4, 20), Origin.FromInternet);
        Write(queue, Swapped(six, 8, 16, 40), Origin.FromSmap);
        foreach ((Socket socket, string from) in ((Socket, string)[])[(udp4, "192.0.2.1"), (udp6, "2001:db8:5::1")])
        {
            byte[] room = new byte[10];
            EndPoint peer = new IPEndPoint(socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
            Assert.Equal(3, socket.ReceiveFrom(room, ref peer));
            Assert.Equal(new IPEndPoint(IPAddress.Parse(from), 4000), peer);
        }
    }

    [Fact]
    public void Softwire_packets_for_an_address_of_the_machine_come_by_the_socket_as_they_were_sent()
    {
        TunQueue queue = Queue(Make(), softwires: [s_here]);
        using Socket errors = Raw(_there, AddressFamily.InterNetworkV6, ProtocolType.IcmpV6);
        byte[] sent = Softwire(s_there, s_here, trafficClass: 0xb9);
        _there.Call(() => Softwires.Send(sent, s_here));

        Assert.Equal(sent, Await(queue, Origin.FromSmap));
        errors.ReceiveTimeout = 300;
        while (TryReceive(errors) is { } message) Assert.NotEqual(4, message[0]); // parameter problem, RFC 4443 section 3.4
    }

    [Fact]
    public void Without_the_socket_the_kernel_refuses_softwire_packets_for_its_own_address()
    {
        Queue(Make());
        using Socket errors = Raw(_there, AddressFamily.InterNetworkV6, ProtocolType.IcmpV6);
        _there.Call(() => Softwires.Send(Softwire(s_there, s_here), s_here));
        errors.ReceiveTimeout = 2000;
        byte[]? message = TryReceive(errors);
        while (message is not null && message[0] != 4) message = TryReceive(errors);
        Assert.NotNull(message);
    }

    [Fact]
    public void Softwire_packets_from_an_address_of_the_machine_leave_by_the_device()
    {
        TunQueue here = Queue(Make(), softwires: [s_here]);
        TunDevice peer = Hold(_there.Call(() => TunDevice.Create(Device, 1)));
        TunQueue there = Hold(new TunQueue(peer, 0, Origin.FromLan, Origin.FromPrr, null) { Softwires = [_there.Call(() => new SoftwireSocket(s_there))] });

        byte[] packet = Softwire(s_here, s_there, trafficClass: 0x02);
        Write(here, packet, Origin.FromSmap);
        byte[] arrived = Await(there, Origin.FromPrr);
        Assert.Equal(packet[1] & 0x30, arrived[1] & 0x30);
        Assert.Equal(packet[8..], arrived[8..]);
    }

    [Fact]
    public void A_device_that_is_never_empty_leaves_the_socket_its_turn()
    {
        TunQueue queue = Queue(Make(), "192.0.2.1", softwires: [s_here]);
        using Socket udp = Socket("198.51.100.2");
        for (int i = 0; i < 300; i++) udp.SendTo([1], new IPEndPoint(IPAddress.Parse("192.0.2.1"), 4000));
        _there.Call(() => Softwires.Send(Softwire(s_there, s_here), s_here));
        queue.Receive(_batch);
        Assert.Contains(_batch.Slots.ToArray(), slot => slot.Origin == Origin.FromInternet);
        Assert.Contains(_batch.Slots.ToArray(), slot => slot.Origin == Origin.FromSmap);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_error_from_the_machines_own_address_leaves_by_the_socket_and_would_not_by_the_device(bool bySocket)
    {
        TunDevice device = Make();
        OwnAddressSocket? own = bySocket ? Hold(_here.Call(() => new OwnAddressSocket(IPv4Address.Parse("198.51.100.1")))) : null;
        TunQueue queue = Hold(new TunQueue(device, 0, Origin.FromInternet, Origin.FromSmap, own));
        using Socket errors = Raw(_there, AddressFamily.InterNetwork, ProtocolType.Icmp);
        byte[] icmp = [3, 1, 0xfc, 0xfe, 0, 0, 0, 0];
        byte[] packet = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 198, 51, 100, 1, 198, 51, 100, 2, .. icmp];
        ushort sum = Core.Wire.Checksum.Of(packet.AsSpan(0, 20));
        (packet[10], packet[11]) = ((byte)(sum >> 8), (byte)sum);
        Write(queue, packet, Origin.FromInternet);

        errors.ReceiveTimeout = bySocket ? 2000 : 300;
        byte[]? arrived = TryReceive(errors);
        if (!bySocket)
        {
            Assert.Null(arrived);
            return;
        }

        Assert.NotNull(arrived);
        Assert.Equal(packet[12..], arrived[12..]);
        Assert.Equal(0, queue.SendFailures);
    }

    [Fact]
    public async Task A_wait_ends_when_woken_and_says_when_the_device_is_gone()
    {
        TunQueue queue = Queue(Make());
        CancellationToken cancel = TestContext.Current.CancellationToken;
        queue.Wake();
        Assert.True(await Task.Run(() => queue.Wait(20_000), cancel).WaitAsync(TimeSpan.FromSeconds(20), cancel));

        // As a worker does: what is there is read, then waited for.
        Task gone = Task.Run(() =>
        {
            do queue.Receive(_batch);
            while (queue.Wait(20_000));
        }, cancel);
        await Task.Delay(100, cancel);
        Assert.False(gone.IsCompleted);
        _here.Ip($"link del {Device}");
        await gone.WaitAsync(TimeSpan.FromSeconds(20), cancel);
    }

    [Fact]
    public void A_setting_gets_its_former_value_back_unless_somebody_changed_it_since()
    {
        string Read(string name) => _here.Require("cat", "/proc/sys/" + name).Trim();
        _here.Call(() =>
        {
            using var settings = new Sysctls();
            settings.Set("net/ipv4/ip_forward", "0");
            settings.Set("net/ipv4/conf/veth/rp_filter", "2");
            settings.Set("net/ipv4/conf/veth/log_martians", Sysctls.Get("net/ipv4/conf/veth/log_martians")!);
            Assert.Equal("0", Read("net/ipv4/ip_forward"));
            Assert.Equal("2", Read("net/ipv4/conf/veth/rp_filter"));
            _here.Shell("echo 1 > /proc/sys/net/ipv4/conf/veth/log_martians; echo 1 > /proc/sys/net/ipv4/conf/veth/rp_filter");
        });
        Assert.Equal("1", Read("net/ipv4/ip_forward"));
        Assert.Equal("1", Read("net/ipv4/conf/veth/rp_filter"));
        Assert.Equal("1", Read("net/ipv4/conf/veth/log_martians"));
        Assert.Equal(ErrorCodes.SysctlRefused, Assert.Throws<APlusPException>(() => new Sysctls().Set("net/no/such/setting", "1")).Code);
    }

    TunDevice Make(int queues = 1) => Hold(_here.Call(() => TunDevice.Create(Device, queues)));

    TunQueue Queue(TunDevice device, string? v4 = null, string? v6 = null, IPv6Address[]? softwires = null)
    {
        foreach (string address in ((string?[])[v4, v6]).OfType<string>()) _here.Ip($"route add {address} dev {Device}");
        SoftwireSocket[] sockets = [.. (softwires ?? []).Select(s => _here.Call(() => new SoftwireSocket(s)))];
        return Hold(new TunQueue(device, 0, Origin.FromInternet, Origin.FromSmap, null) { Softwires = sockets });
    }

    // The first packet from this side; noise of the kernel (MLD reports) is passed over.
    byte[] Await(TunQueue queue, Origin origin)
    {
        byte[]? found = null;
        Wait.Until(() =>
        {
            queue.Receive(_batch);
            for (int i = 0; i < _batch.Count; i++)
                if (_batch[i].Origin == origin && !(_batch.Bytes(i)[0] >> 4 == 6 && _batch.Bytes(i)[24] == 0xff)) found ??= _batch.Bytes(i).ToArray();
            return found is not null;
        }, TimeSpan.FromSeconds(20));
        Assert.NotNull(found);
        return found;
    }

    void Write(TunQueue queue, byte[] packet, Origin origin)
    {
        _batch.Clear();
        Assert.True(_batch.TryAdd(packet, origin));
        _batch[0].Verdict = Verdict.Forward;
        queue.Send(_batch);
    }

    static byte[] Swapped(byte[] packet, int addresses, int size, int ports)
    {
        byte[] swapped = [.. packet];
        packet.AsSpan(addresses, size).CopyTo(swapped.AsSpan(addresses + size));
        packet.AsSpan(addresses + size, size).CopyTo(swapped.AsSpan(addresses));
        packet.AsSpan(ports, 2).CopyTo(swapped.AsSpan(ports + 2));
        packet.AsSpan(ports + 2, 2).CopyTo(swapped.AsSpan(ports));
        return swapped;
    }

    static byte[] Softwire(IPv6Address from, IPv6Address to, byte trafficClass = 0)
    {
        byte[] packet = new SoftwirePacket
        {
            OuterSource = from,
            OuterDestination = to,
            Source = IPv4Address.Parse("192.0.2.1"),
            SourcePort = 1024,
            Destination = IPv4Address.Parse("203.0.113.7"),
            DestinationPort = 53,
        }.ToBytes();
        packet[0] = (byte)(0x60 | trafficClass >> 4);
        packet[1] = (byte)(trafficClass << 4);
        return packet;
    }

    Socket Socket(string address) => Hold(_there.Call(() =>
    {
        var local = new IPEndPoint(IPAddress.Parse(address), 0);
        var socket = new Socket(local.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 2000 };
        socket.Bind(local);
        return socket;
    }));

    static Socket Raw(NetworkNamespace at, AddressFamily family, ProtocolType protocol) => at.Call(() => new Socket(family, SocketType.Raw, protocol));

    static byte[]? TryReceive(Socket socket)
    {
        byte[] room = new byte[2000];
        try
        {
            return room[..socket.Receive(room)];
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.TimedOut)
        {
            return null;
        }
    }

    T Hold<T>(T resource)
        where T : IDisposable
    {
        _held.Add(resource);
        return resource;
    }

    static class Softwires
    {
        const int IPv6HeaderIncluded = 36;

        // Octet for octet as given.
        public static void Send(byte[] packet, IPv6Address to)
        {
            byte[] address = new byte[IPv6Address.Size];
            to.Write(address);
            using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.Raw);
            socket.SetRawSocketOption(41, IPv6HeaderIncluded, BitConverter.GetBytes(1));
            socket.SendTo(packet, new IPEndPoint(new IPAddress(address), 0));
        }
    }
}
