using System.Buffers.Binary;
using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

/// <summary>A SMAP, and two programs that talk through it in text.</summary>
static class GatewayScene
{
    public const string Prr = "2001:db8::1", Home = "2001:db8:1::1", Shared = "192.0.2.1", Client = "192.168.1.142", Server = "198.51.100.7";
    public const uint ClientStart = 0xffff_ffd0, ServerStart = 5000;

    public static Smap Make(TimeProvider time, Func<SmapOptions, SmapOptions>? change = null) => new(Options(change), time, seed: 1);

    public static SmapOptions Options(Func<SmapOptions, SmapOptions>? change = null)
    {
        var options = new SmapOptions
        {
            SoftwireAddress = IPv6Address.Parse(Home),
            PrrAddress = IPv6Address.Parse(Prr),
            SharedAddress = IPv4Address.Parse(Shared),
            Ports = PortSet.Parse("10000-10999"),
            TtlAlreadyTaken = true,
            Fragments = PrrScene.Few,
        };
        return change?.Invoke(options) ?? options;
    }

    public static byte[] Segment(string from, int fromPort, string to, int toPort, uint sequence, uint acknowledged, string text = "", TcpFlags flags = TcpFlags.Ack, byte[]? options = null)
    {
        byte[] packet = Packets.TcpWithOptions($"{from}:{fromPort}", $"{to}:{toPort}", flags, options ?? [], text.Length);
        int size = 20 + (packet[32] >> 4) * 4;
        BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(24), sequence);
        BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(28), acknowledged);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(34), 1000);
        Encoding.ASCII.GetBytes(text, packet.AsSpan(size));
        packet.AsSpan(36, 2).Clear();
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(36), Sum(packet, from, to, IpProtocol.Tcp));
        return packet;
    }

    public static byte[] Datagram(string from, int fromPort, string to, int toPort, string text)
    {
        byte[] packet = Packets.Udp(from, fromPort, to, toPort, text.Length);
        Encoding.ASCII.GetBytes(text, packet.AsSpan(28));
        packet.AsSpan(26, 2).Clear();
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(26), Sum(packet, from, to, IpProtocol.Udp));
        return packet;
    }

    static ushort Sum(byte[] packet, string from, string to, IpProtocol protocol) =>
        Checksum.Of(packet.AsSpan(20), Checksum.PseudoHeader(IPv4Address.Parse(from), IPv4Address.Parse(to), protocol, packet.Length - 20));

    public static uint Sequence(byte[] packet) => BinaryPrimitives.ReadUInt32BigEndian(packet.AsSpan(24));

    public static uint Acknowledged(byte[] packet) => BinaryPrimitives.ReadUInt32BigEndian(packet.AsSpan(28));

    public static string Text(byte[] packet) => Encoding.ASCII.GetString(packet.AsSpan(packet[9] == 17 ? 28 : 20 + (packet[32] >> 4) * 4));

    /// <summary>What arrives in the home of a packet from outside; null where nothing does.</summary>
    public static byte[]? Deliver(Smap smap, byte[] packet)
    {
        List<byte[]> sent = OnTheWire.Through(smap, Origin.FromPrr, Packets.Softwire(Prr, Home, packet));
        if (sent.Count == 0) return null;
        byte[] arrived = Assert.Single(sent);
        Assert.True(Packets.HasRightChecksums(arrived));
        return arrived;
    }

    /// <summary>Whether a connection from outside to a port of ours arrives at this endpoint of the home.</summary>
    public static bool Reaches(Smap smap, string from, int fromPort, int port, string inside, int insidePort) =>
        IsFor(Deliver(smap, Packets.Tcp(from, fromPort, Shared, port, TcpFlags.Syn)), inside, insidePort);

    /// <summary>The same of a datagram.</summary>
    public static bool ReachesByUdp(Smap smap, string from, int fromPort, int port, string inside, int insidePort) =>
        IsFor(Deliver(smap, Packets.Udp(from, fromPort, Shared, port)), inside, insidePort);

    public static bool IsFor(byte[]? packet, string inside, int insidePort) =>
        packet is not null && IPv4Address.Read(packet.AsSpan(16)) == IPv4Address.Parse(inside) && (packet[22] << 8 | packet[23]) == insidePort;

    /// <summary>A connection between the home and the world.</summary>
    public sealed class Connection
    {
        readonly Smap _smap;
        readonly string _inside, _outside;
        readonly int _insidePort, _outsidePort;
        int _external;

        public Connection(Smap smap, string inside = Client, int insidePort = 40000, string outside = Server, int outsidePort = 21, uint start = ClientStart)
        {
            (_smap, _inside, _insidePort, _outside, _outsidePort) = (smap, inside, insidePort, outside, outsidePort);
            byte[] syn = Out(start - 1, 0, "", TcpFlags.Syn)!;
            _external = syn[20] << 8 | syn[21];
            In(ServerStart - 1, start, "", TcpFlags.Syn | TcpFlags.Ack);
        }

        /// <summary>What leaves into the softwire, or null; what goes back to the home is in <see cref="Back"/>.</summary>
        public byte[]? Out(uint sequence, uint acknowledged, string text, TcpFlags flags = TcpFlags.Ack)
        {
            Back = null;
            foreach (byte[] sent in OnTheWire.Through(_smap, Origin.FromLan, Segment(_inside, _insidePort, _outside, _outsidePort, sequence, acknowledged, text, flags)))
            {
                byte[] packet = sent[0] >> 4 == 6 ? sent[40..] : sent;
                Assert.True(Packets.HasRightChecksums(packet));
                if (sent[0] >> 4 == 6) return packet;
                Back = packet;
            }

            return null;
        }

        public byte[]? Back { get; private set; }

        public byte[] In(uint sequence, uint acknowledged, string text = "", TcpFlags flags = TcpFlags.Ack, byte[]? options = null)
        {
            byte[] packet = Assert.Single(OnTheWire.Through(_smap, Origin.FromPrr,
                Packets.Softwire(Prr, Home, Segment(_outside, _outsidePort, Shared, _external, sequence, acknowledged, text, flags, options))));
            Assert.True(Packets.HasRightChecksums(packet));
            return packet;
        }
    }
}
