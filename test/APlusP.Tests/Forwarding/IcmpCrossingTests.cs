using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using static APlusP.Tests.Forwarding.OnTheWire;

namespace APlusP.Tests.Forwarding;

/// <summary>ICMPv4 errors of every kind across SMAP and PRR together, both ways, about what each protocol sent.</summary>
public class IcmpCrossingTests
{
    const string Prr = "2001:db8::1", Home = "2001:db8:1::1", Shared = "192.0.2.1", Host = "192.168.1.142", Server = "198.51.100.7", Hop = "203.0.113.9";

    static readonly (IcmpV4Type Type, int Codes)[] s_errors =
    [
        (IcmpV4Type.DestinationUnreachable, 16), (IcmpV4Type.SourceQuench, 1), (IcmpV4Type.TimeExceeded, 2), (IcmpV4Type.ParameterProblem, 3),
    ];

    readonly HandClock _time = new();
    readonly Smap _smap;
    readonly PortRangeRouter _prr;

    public IcmpCrossingTests()
    {
        var ports = PortSet.Parse("10000-10999");
        _smap = new Smap(new SmapOptions
        {
            SoftwireAddress = IPv6Address.Parse(Home),
            PrrAddress = IPv6Address.Parse(Prr),
            SharedAddress = IPv4Address.Parse(Shared),
            Ports = ports,
            TtlAlreadyTaken = true,
        }, _time, seed: 1);
        _prr = new PortRangeRouter(BindingTable.Build([new(IPv4Address.Parse(Shared), ports, IPv6Address.Parse(Home), IPv6Address.Parse(Prr))]),
            new PrrOptions { SoftwireAddresses = [IPv6Address.Parse(Prr)], TtlAlreadyTaken = true }, _time);
    }

    byte[] Outwards(byte[] packet) => Assert.Single(Through(_prr, Origin.FromSmap, Through(_smap, Origin.FromLan, packet)));

    byte[] Inwards(byte[] packet) => Assert.Single(Through(_smap, Origin.FromPrr, Through(_prr, Origin.FromInternet, packet)));

    /// <summary>What the host sends, and what the server answers to the shared port or identifier.</summary>
    (byte[] Asked, Func<int, byte[]> Answer, byte[] AnswerAtHost) Exchange(IpProtocol protocol) => protocol switch
    {
        IpProtocol.Udp => (Packets.Udp(Host, 5000, Server, 53, 40), port => Packets.Udp(Server, 53, Shared, port, 40), Packets.Udp(Server, 53, Host, 5000, 40)),
        IpProtocol.Tcp => (Packets.Tcp(Host, 5000, Server, 80, TcpFlags.Syn), port => Packets.Tcp(Server, 80, Shared, port, TcpFlags.Syn | TcpFlags.Ack),
            Packets.Tcp(Server, 80, Host, 5000, TcpFlags.Syn | TcpFlags.Ack)),
        _ => (Packets.Echo(Host, Server, 77), identifier => Packets.Echo(Server, Shared, identifier, IcmpV4Type.EchoReply), Packets.Echo(Server, Host, 77, IcmpV4Type.EchoReply)),
    };

    [Theory]
    [InlineData(IpProtocol.Udp, 548)]
    [InlineData(IpProtocol.Udp, 28)]
    [InlineData(IpProtocol.Tcp, 548)]
    [InlineData(IpProtocol.Tcp, 28)]
    [InlineData(IpProtocol.Icmp, 548)]
    [InlineData(IpProtocol.Icmp, 28)]
    public void Every_error_crosses_both_ways_and_embeds_the_packet_as_its_receiver_knows_it(IpProtocol protocol, int embedded)
    {
        (byte[] asked, Func<int, byte[]> answerTo, byte[] answerAtHost) = Exchange(protocol);
        byte[] outside = Outwards(asked);
        int portAt = protocol == IpProtocol.Icmp ? 24 : 20;
        byte[] answer = answerTo(outside[portAt] << 8 | outside[portAt + 1]);
        Assert.Equal(answerAtHost, Inwards(answer));
        foreach ((IcmpV4Type type, int codes) in s_errors)
        {
            for (int code = 0; code < codes; code++)
            {
                // A hop on the Internet about what the host sent; the host about what came. What stands behind the checksum (an MTU, a pointer) is nobody's to change.
                Assert.Equal(Packets.IcmpError(Hop, Host, asked, type, code, embedded, 1234), Inwards(Packets.IcmpError(Hop, Shared, outside, type, code, embedded, 1234)));
                Assert.Equal(Packets.IcmpError(Shared, Server, answer, type, code, embedded, 1234), Outwards(Packets.IcmpError(Host, Server, answerAtHost, type, code, embedded, 1234)));
            }
        }

        // The mapping is as it was.
        Assert.Equal(outside, Outwards(asked));
        Assert.Equal(answerAtHost, Inwards(answer));
    }
}
