using System.Globalization;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Node.Offline;

/// <summary>
/// A packet told in words, as <c>explain</c> takes it: <c>tcp 198.51.100.7:443 > 192.0.2.1:10050</c>, <c>udp ...</c>,
/// <c>icmp 198.51.100.7 > 192.0.2.1 id 4242</c>; with <c>via 2001:db8:1::1</c> it comes from that softwire.
/// </summary>
public sealed record PacketSentence(IpProtocol Protocol, IPv4Address Source, ushort SourcePort, IPv4Address Destination, ushort DestinationPort, IPv6Address? Via)
{
    const string Forms = "write 'tcp 198.51.100.7:443 > 192.0.2.1:10050', 'udp ...' or 'icmp 198.51.100.7 > 192.0.2.1 id 4242', and ' via 2001:db8:1::1' behind it for a packet from that softwire";

    public Origin Origin => Via is null ? Origin.FromInternet : Origin.FromSmap;

    /// <exception cref="APlusPException">AP1030: this is no such sentence; the message says where it ends to be one.</exception>
    public static PacketSentence Parse(string text)
    {
        string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        IPv6Address? via = null;
        if (words.Length >= 2 && words[^2] == "via")
        {
            if (!IPv6Address.TryParse(words[^1], out IPv6Address softwire)) throw Fault(text, $"'{words[^1]}' is not an IPv6 address");
            via = softwire;
            words = words[..^2];
        }

        IpProtocol protocol = words.FirstOrDefault() switch
        {
            "tcp" => IpProtocol.Tcp,
            "udp" => IpProtocol.Udp,
            "icmp" => IpProtocol.Icmp,
            var other => throw Fault(text, $"it begins with '{other}', which is none of tcp, udp and icmp"),
        };
        int length = protocol == IpProtocol.Icmp ? 6 : 4;
        if (words.Length != length || words[2] != ">") throw Fault(text, "it is not source > destination");
        if (protocol != IpProtocol.Icmp)
        {
            (IPv4Address source, ushort sourcePort) = ParseEndpoint(text, words[1]);
            (IPv4Address destination, ushort destinationPort) = ParseEndpoint(text, words[3]);
            return new PacketSentence(protocol, source, sourcePort, destination, destinationPort, via);
        }

        if (words[4] != "id") throw Fault(text, $"'{words[4]}' stands where 'id' is expected");
        ushort identifier = ParsePort(text, words[5]);
        return new PacketSentence(protocol, ParseAddress(text, words[1]), identifier, ParseAddress(text, words[3]), identifier, via);
    }

    /// <summary>Reads ADDRESS:PORT.</summary>
    public static (IPv4Address Address, ushort Port) ParseEndpoint(string text, string word)
    {
        int colon = word.LastIndexOf(':');
        if (colon < 0) throw Fault(text, $"'{word}' has no port");
        return (ParseAddress(text, word[..colon]), ParsePort(text, word[(colon + 1)..]));
    }

    static IPv4Address ParseAddress(string text, string word) =>
        IPv4Address.TryParse(word, out IPv4Address address) ? address : throw Fault(text, $"'{word}' is not an IPv4 address");

    static ushort ParsePort(string text, string word) =>
        ushort.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) ? port : throw Fault(text, $"'{word}' is not a number from 0 to 65535");

    static APlusPException Fault(string text, string why) => new(ErrorCodes.NotAPacketSentence, $"'{text}' tells no packet: {why}; {Forms}.");

    /// <summary>The packet: an empty TCP segment or UDP datagram, or an echo request, and around it the softwire to <paramref name="prr"/>.</summary>
    public byte[] ToPacket(IPv6Address prr)
    {
        int transport = Protocol == IpProtocol.Tcp ? 20 : 8;
        int offset = Via is null ? 0 : IPv6Header.Size, total = IPv4Header.MinSize + transport;
        byte[] packet = new byte[offset + total];
        if (Via is { } softwire) IPv6Header.Write(packet, 0, total, IpProtocol.IPv4, 64, softwire, prr);
        Span<byte> inner = packet.AsSpan(offset);
        IPv4Header.Write(inner, 0, total, 64, Protocol, Source, Destination);
        Span<byte> payload = inner[IPv4Header.MinSize..];
        if (Protocol == IpProtocol.Icmp)
        {
            IcmpV4Header.Write(payload, IcmpV4Type.Echo, 0, (uint)SourcePort << 16 | 1);
            IcmpV4Header.TryRead(payload, out IcmpV4Header icmp);
            icmp.Checksum = Checksum.Of(payload);
            return packet;
        }

        // Where a transport header keeps its own size: of UDP the whole length, of TCP the header's in words; then SYN.
        if (Protocol == IpProtocol.Udp) payload[5] = 8;
        else (payload[12], payload[13]) = (5 << 4, (byte)TcpFlags.Syn);
        TransportHeader.TryReadPorts(payload, out TransportHeader header);
        header.SourcePort = SourcePort;
        header.DestinationPort = DestinationPort;
        ushort checksum = Checksum.Of(payload, Checksum.PseudoHeader(Source, Destination, Protocol, transport));
        if (Protocol == IpProtocol.Tcp) header.TcpChecksum = checksum;
        else header.UdpChecksum = checksum == 0 ? ushort.MaxValue : checksum;
        return packet;
    }
}
