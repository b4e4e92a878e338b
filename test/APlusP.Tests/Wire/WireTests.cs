using APlusP.Core.Addresses;
using APlusP.Core.Wire;

namespace APlusP.Tests.Wire;

public class WireTests
{
    const string Inside = "192.0.2.1:1000", Outside = "198.51.100.7:443";
    const string Home = "2001:db8:1::1", Border = "2001:db8::1";

    [Fact]
    public void An_ipv4_header_is_read_as_it_was_written()
    {
        byte[] packet = Packets.Udp(Inside, Outside, payload: 12, ttl: 33, trafficClass: 0xb9);
        Assert.True(IPv4Header.TryRead(packet, out IPv4Header header));
        Assert.Equal(20, header.Size);
        Assert.Equal(40, header.TotalLength);
        Assert.Equal(33, header.TimeToLive);
        Assert.Equal(0xb9, header.TrafficClass);
        Assert.Equal(IpProtocol.Udp, header.Protocol);
        Assert.True(header.DontFragment);
        Assert.False(header.IsFragment);
        Assert.Equal("192.0.2.1", header.Source.ToString());
        Assert.Equal("198.51.100.7", header.Destination.ToString());
        Assert.True(header.HasValidChecksum);
    }

    public static TheoryData<int, byte, string> BadHeaders => new()
    {
        { 0, 0x55, "version 5" },
        { 0, 0x44, "header of 16 octets" },
        { 0, 0x4f, "header longer than the packet" },
        { 3, 19, "total length below the header's" },
        { 3, 41, "total length beyond the octets" },
    };

    [Theory]
    [MemberData(nameof(BadHeaders))]
    public void An_ipv4_header_that_cannot_be_right_is_not_read(int offset, byte value, string why)
    {
        byte[] packet = Packets.Udp(Inside, Outside, payload: 12);
        packet[offset] = value;
        Assert.False(IPv4Header.TryRead(packet, out _), why);
    }

    [Fact]
    public void Every_prefix_shorter_than_the_packet_is_not_read()
    {
        byte[] packet = Packets.Tcp(Inside, Outside, payload: 7);
        for (int length = 0; length < packet.Length; length++) Assert.False(IPv4Header.TryRead(packet.AsSpan(0, length), out _));
        Assert.True(IPv4Header.TryRead(packet, out _));
        byte[] outer = Packets.Encapsulate(packet, Home, Border);
        for (int length = 0; length < outer.Length; length++) Assert.False(IPv6Header.TryRead(outer.AsSpan(0, length), out _));
        Assert.True(IPv6Header.TryRead(outer, out _));
    }

    [Fact]
    public void Options_are_part_of_the_header_and_of_its_checksum()
    {
        byte[] packet = Packets.WithOptions(Packets.Udp(Inside, Outside), 0x94, 4, 0, 0, 1, 1, 1, 0);
        Assert.True(IPv4Header.TryRead(packet, out IPv4Header header));
        Assert.Equal(28, header.Size);
        Assert.True(header.HasValidChecksum);
        packet[25] ^= 1;
        Assert.False(header.HasValidChecksum);
    }

    [Fact]
    public void One_wrong_bit_anywhere_makes_the_header_checksum_wrong()
    {
        byte[] packet = Packets.Udp(Inside, Outside);
        for (int bit = 8; bit < 160; bit++)
        {
            byte[] changed = [.. packet];
            changed[bit / 8] ^= (byte)(1 << bit % 8);
            if (IPv4Header.TryRead(changed, out IPv4Header header)) Assert.False(header.HasValidChecksum, $"bit {bit}");
        }
    }

    [Fact]
    public void Every_setter_leaves_the_header_checksum_right()
    {
        var random = new Random(7);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] packet = Packets.Udp(Inside, Outside, ttl: (byte)random.Next(1, 256), trafficClass: (byte)random.Next(256));
            IPv4Header.TryRead(packet, out IPv4Header header);
            switch (i % 4)
            {
                case 0: header.TrafficClass = (byte)random.Next(256); break;
                case 1: header.DecrementTimeToLive(); break;
                case 2: header.Source = new IPv4Address((uint)random.NextInt64(1L << 32)); break;
                default: header.Destination = new IPv4Address((uint)random.NextInt64(1L << 32)); break;
            }

            Assert.Equal(0, Packets.InternetChecksum(packet.AsSpan(0, 20)));
            Assert.True(header.HasValidChecksum);
        }
    }

    [Fact]
    public void The_fast_checksum_is_the_slow_one_at_every_length()
    {
        var random = new Random(1);
        for (int length = 0; length < 300; length++)
        {
            byte[] octets = new byte[length];
            random.NextBytes(octets);
            Assert.Equal(Packets.InternetChecksum(octets), Checksum.Of(octets));
            octets.AsSpan().Fill(0xff);
            Assert.Equal(Packets.InternetChecksum(octets), Checksum.Of(octets));
        }
    }

    [Fact]
    public void The_checksum_of_rfc_1071_section_3_is_that_of_the_rfc() =>
        Assert.Equal(0x220d, Checksum.Of([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]));

    [Fact]
    public void The_update_of_rfc_1624_section_4_gives_zero_and_not_minus_zero() =>
        Assert.Equal(0x0000, Checksum.Update(0xdd2f, (ushort)0x5555, (ushort)0x3285));

    [Fact]
    public void Pseudo_headers_of_both_families_make_transport_checksums_come_out()
    {
        byte[] udp = Packets.Udp(Inside, Outside, payload: 31);
        IPv4Header.TryRead(udp, out IPv4Header ip);
        Assert.Equal(0, Checksum.Of(udp.AsSpan(20), Checksum.PseudoHeader(ip.Source, ip.Destination, IpProtocol.Udp, udp.Length - 20)));
        byte[] echo = Packets.IcmpV6(Home, Border, IcmpV6Type.EchoRequest, payload: 33);
        IPv6Header.TryRead(echo, out IPv6Header outer);
        Assert.Equal(0, Checksum.Of(echo.AsSpan(40), Checksum.PseudoHeader(outer.Source, outer.Destination, IpProtocol.IcmpV6, echo.Length - 40)));
    }

    [Fact]
    public void An_ipv6_header_is_read_as_it_was_written_and_written_as_it_is_read()
    {
        byte[] packet = Packets.Encapsulate(Packets.Udp(Inside, Outside), Home, Border, trafficClass: 0xb9);
        Assert.True(IPv6Header.TryRead(packet, out IPv6Header header));
        Assert.Equal(0xb9, header.TrafficClass);
        Assert.Equal(64, header.HopLimit);
        Assert.Equal(IpProtocol.IPv4, header.NextHeader);
        Assert.Equal(packet.Length - 40, header.PayloadLength);
        byte[] again = new byte[40];
        IPv6Header.Write(again, header.TrafficClass, header.PayloadLength, header.NextHeader, header.HopLimit, header.Source, header.Destination);
        Assert.Equal(packet[..40], again);
    }

    [Fact]
    public void Extension_headers_that_a_softwire_may_carry_are_skipped()
    {
        Found(Packets.EncapsulationLimit);
        Found(Packets.Option(5, IpProtocol.HopByHopOptions));
        Found(Packets.Option(0x1e));
        Found(Packets.RoutingHeader(0));
        Found(Packets.FragmentHeader(0, more: false));
        Found(Packets.Option(1, IpProtocol.HopByHopOptions), Packets.EncapsulationLimit, Packets.RoutingHeader(0), Packets.EncapsulationLimit);
    }

    [Fact]
    public void Extension_headers_that_a_softwire_must_not_carry_are_refused()
    {
        foreach (byte type in (byte[])[0x40, 0x80, 0xc0, 0xc2, 0xc9]) Walks(ExtensionHeaderWalk.Refused, Packets.Option(type));
        Walks(ExtensionHeaderWalk.Refused, Packets.RoutingHeader(1));
        Walks(ExtensionHeaderWalk.Refused, Packets.EncapsulationLimit, Packets.Option(5, IpProtocol.HopByHopOptions));
        Walks(ExtensionHeaderWalk.Refused, (IpProtocol.DestinationOptions, [0, 0, 0x1e, 200, 0, 0, 0, 0]));
        Walks(ExtensionHeaderWalk.Refused, [.. Enumerable.Repeat(Packets.EncapsulationLimit, 20)]);
        Walks(ExtensionHeaderWalk.IsFragment, Packets.FragmentHeader(0, more: true));
        Walks(ExtensionHeaderWalk.IsFragment, Packets.FragmentHeader(8, more: false));
        Walks(ExtensionHeaderWalk.Truncated, (IpProtocol.DestinationOptions, [0, 200, 1, 4, 0, 0, 0, 0]));
    }

    static void Found(params (IpProtocol, byte[])[] headers)
    {
        byte[] packet = Packets.Encapsulate(Packets.Udp(Inside, Outside), Home, Border, extensionHeaders: headers);
        Assert.Equal(ExtensionHeaderWalk.Found, IPv6ExtensionHeaders.Skip(packet, out IpProtocol next, out int offset));
        Assert.Equal(IpProtocol.IPv4, next);
        Assert.Equal(40 + headers.Sum(h => h.Item2.Length), offset);
    }

    static void Walks(ExtensionHeaderWalk expected, params (IpProtocol, byte[])[] headers) =>
        Assert.Equal(expected, IPv6ExtensionHeaders.Skip(
            Packets.Encapsulate(Packets.Udp(Inside, Outside), Home, Border, extensionHeaders: headers), out _, out _));

    [Fact]
    public void Ports_flags_and_checksums_of_tcp_and_udp_are_where_the_rfcs_put_them()
    {
        byte[] tcp = Packets.Tcp(Inside, Outside, flags: TcpFlags.Syn | TcpFlags.Ack)[20..];
        Assert.True(TransportHeader.TryReadTcp(tcp, out TransportHeader header));
        Assert.Equal(1000, header.SourcePort);
        Assert.Equal(443, header.DestinationPort);
        Assert.Equal(TcpFlags.Syn | TcpFlags.Ack, header.TcpFlags);
        Assert.False(TransportHeader.TryReadTcp(tcp.AsSpan(0, 19), out _));

        byte[] udp = Packets.Udp(Inside, Outside, withChecksum: false)[20..];
        Assert.True(TransportHeader.TryReadUdp(udp, out header));
        Assert.Equal(0, header.UdpChecksum);
        Assert.False(TransportHeader.TryReadUdp(udp.AsSpan(0, 19), out _));
        Assert.True(TransportHeader.TryReadPorts(udp.AsSpan(0, 4), out _));
        Assert.False(TransportHeader.TryReadPorts(udp.AsSpan(0, 3), out _));
    }

    [Fact]
    public void A_new_identifier_mends_the_icmp_checksum()
    {
        byte[] packet = Packets.Echo("192.0.2.1", "198.51.100.7", 77);
        Assert.True(IcmpV4Header.TryRead(packet.AsSpan(20), out IcmpV4Header icmp));
        Assert.Equal(77, icmp.Identifier);
        Assert.True(icmp.IsQuery);
        icmp.Identifier = 60000;
        icmp.Type = IcmpV4Type.EchoReply;
        Assert.Equal(Packets.Echo("192.0.2.1", "198.51.100.7", 60000, IcmpV4Type.EchoReply), packet);
    }

    [Fact]
    public void A_packet_embedded_in_an_error_needs_its_header_and_eight_octets()
    {
        byte[] offending = Packets.Udp(Inside, Outside, payload: 100);
        Assert.True(IPv4Header.TryReadEmbedded(offending.AsSpan(0, 28), out _));
        Assert.False(IPv4Header.TryReadEmbedded(offending.AsSpan(0, 27), out _));
        Assert.False(IPv4Header.TryRead(offending.AsSpan(0, 28), out _));
    }
}
