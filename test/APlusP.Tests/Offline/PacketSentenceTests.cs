using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Wire;
using APlusP.Node.Offline;

namespace APlusP.Tests.Offline;

public class PacketSentenceTests
{
    [Fact]
    public void A_sentence_becomes_the_packet_that_it_tells()
    {
        Assert.Equal(
            Packets.Udp("198.51.100.7", 53, "192.0.2.1", 10050)[20..],
            PacketSentence.Parse("udp 198.51.100.7:53 > 192.0.2.1:10050").ToPacket(default)[20..]);
        Assert.Equal(
            Packets.Tcp("198.51.100.7", 443, "192.0.2.1", 10050, TcpFlags.Syn)[20..],
            PacketSentence.Parse("tcp 198.51.100.7:443 > 192.0.2.1:10050").ToPacket(default)[20..]);

        var sentence = PacketSentence.Parse("icmp 192.0.2.1 > 198.51.100.7 id 4242 via 2001:db8:1::1");
        Assert.Equal(Origin.FromSmap, sentence.Origin);
        byte[] packet = sentence.ToPacket(IPv6Address.Parse("2001:db8::1"));
        Assert.Equal(Packets.Echo("192.0.2.1", "198.51.100.7", 4242, payload: 0)[20..], packet[60..]);
        Assert.True(Packets.HasRightChecksums(packet.AsSpan(40)));
    }

    [Theory]
    [InlineData("sctp 1.2.3.4:1 > 1.2.3.4:2", "sctp")]
    [InlineData("tcp 1.2.3.4 > 1.2.3.4:2", "no port")]
    [InlineData("tcp 1.2.3.4:99999 > 1.2.3.4:2", "99999")]
    [InlineData("tcp 1.2.3.4:1 < 1.2.3.4:2", "source > destination")]
    [InlineData("icmp 1.2.3.4 > 1.2.3.4 ident 2", "ident")]
    [InlineData("tcp 1.2.3.4:1 > 1.2.3.4:2 via home", "home")]
    [InlineData("", "begins with")]
    public void What_is_no_sentence_is_told_so(string text, string why)
    {
        APlusPException error = Assert.Throws<APlusPException>(() => PacketSentence.Parse(text));
        Assert.Equal(ErrorCodes.NotAPacketSentence, error.Code);
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }
}
