using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;
using static APlusP.Tests.Forwarding.GatewayScene;

namespace APlusP.Tests.Forwarding;

/// <summary>SIP over TCP through the SMAP: messages as a stream, in both directions, segment by segment.</summary>
public class SipOverTcpTests
{
    const int Mss = 1400;
    const string Registrar = Server;

    // No constant, so that it may wrap.
    static readonly uint Start = ClientStart;

    readonly HandClock _time = new();
    readonly Smap _smap;
    readonly byte[] _syn;

    public SipOverTcpTests()
    {
        _smap = GatewayScene.Make(_time, o => o with { SipGateway = true });
        _syn = Send(Segment(Client, 40000, Registrar, 5060, Start - 1, 0, "", TcpFlags.Syn)).Out.Single();
        Send(Incoming(ServerStart - 1, Start, "", TcpFlags.Syn | TcpFlags.Ack));
    }

    int External => _syn[20] << 8 | _syn[21];

    byte[] Incoming(uint sequence, uint acknowledged, string text, TcpFlags flags = TcpFlags.Ack) =>
        Packets.Softwire(Prr, Home, Segment(Registrar, 5060, Shared, External, sequence, acknowledged, text, flags));

    /// <summary>What leaves, and what arrives in the home, without softwire headers.</summary>
    (List<byte[]> Out, List<byte[]> In) Send(byte[] packet)
    {
        List<byte[]> outgoing = [], incoming = [];
        foreach (byte[] sent in OnTheWire.Through(_smap, packet[0] >> 4 == 6 ? Origin.FromPrr : Origin.FromLan, packet))
        {
            byte[] inner = sent[0] >> 4 == 6 ? sent[40..] : sent;
            Assert.True(Packets.HasRightChecksums(inner));
            (sent[0] >> 4 == 6 ? outgoing : incoming).Add(inner);
        }

        return (outgoing, incoming);
    }

    (List<byte[]> Out, List<byte[]> In) Say(uint at, string text, uint acknowledged = ServerStart) => Send(Segment(Client, 40000, Registrar, 5060, at, acknowledged, text));

    static string Invite(string callId = "c1", int filler = 0) =>
        SipGatewayTests.Invite(SipGatewayTests.Sdp, callId, "TCP").Replace("Contact:", $"X: {new string('x', filler)}\r\nContact:", StringComparison.Ordinal);

    [Fact]
    public void A_message_split_anywhere_leaves_whole_and_once()
    {
        string text = Invite();
        for (int split = 1; split < text.Length; split += 7)
        {
            var test = new SipOverTcpTests();
            (List<byte[]> outgoing, List<byte[]> back) = test.Say(Start, text[..split]);
            Assert.Empty(outgoing);
            Assert.Equal(Start + (uint)split, Acknowledged(Assert.Single(back)));
            byte[] whole = Assert.Single(test.Say(Start + (uint)split, text[split..]).Out);
            Assert.Equal(Start, Sequence(whole));
            Assert.Contains("c=IN IP4 192.0.2.1\r\n", Text(whole));
            Assert.Equal($"{Text(whole).Split("\r\n\r\n")[1].Length}", SipGatewayTests.Field(Text(whole), "Content-Length"));

            // Lost: who was told that the beginning arrived sends the rest alone again.
            Assert.Equal(whole[20..], Assert.Single(test.Say(Start + (uint)split, text[split..]).Out)[20..]);

            // All of it arrived.
            byte[] heard = Assert.Single(test.Send(test.Incoming(ServerStart, Start + (uint)Text(whole).Length, "")).In);
            Assert.Equal(Start + (uint)text.Length, Acknowledged(heard));
        }
    }

    [Fact]
    public void A_request_from_outside_split_anywhere_arrives_whole_and_its_sender_hears_so()
    {
        const string form = "BYE sip:bob@192.0.2.1:{0} SIP/2.0\r\nCall-ID: c1\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n";
        for (int split = 1; split < form.Length; split += 5)
        {
            var test = new SipOverTcpTests();
            string contact = SipGatewayTests.Field(Text(test.Say(Start, Invite()).Out.Single()), "Contact")!.TrimEnd('>').Split(':')[^1];
            string bye = form.Replace("{0}", contact, StringComparison.Ordinal);
            (List<byte[]> back, List<byte[]> incoming) = test.Send(test.Incoming(ServerStart, Start, bye[..split]));
            Assert.Empty(incoming);
            byte[] answer = Assert.Single(back);
            Assert.Equal(ServerStart + (uint)split, Acknowledged(answer));
            Assert.Equal(test.External, answer[20] << 8 | answer[21]);
            byte[] whole = Assert.Single(test.Send(test.Incoming(ServerStart + (uint)split, Start, bye[split..])).In);
            Assert.StartsWith("BYE sip:bob@192.168.1.142:5060 SIP/2.0\r\n", Text(whole));
            Assert.Equal(ServerStart, Sequence(whole));

            // The phone's acknowledgement goes out in the registrar's numbers.
            byte[] acknowledged = Assert.Single(test.Say(Start + (uint)Invite().Length, "", ServerStart + (uint)Text(whole).Length).Out);
            Assert.Equal(ServerStart + (uint)bye.Length, Acknowledged(acknowledged));
        }
    }

    [Fact]
    public void Several_messages_in_one_segment_are_each_read()
    {
        string text = "\r\n\r\n" + Invite("c1") + Invite("c2") + Invite("c3")[..50];
        byte[] sent = Assert.Single(Say(Start, text).Out);
        Assert.Equal(2, Text(sent).Split("c=IN IP4 192.0.2.1\r\n").Length - 1);
        Assert.DoesNotContain("Call-ID: c3", Text(sent));
        uint read = Start + 4 + (uint)(Invite().Length * 2);
        Assert.Equal(read, Acknowledged(Assert.Single(Send(Incoming(ServerStart, Start + (uint)Text(sent).Length, "")).In)));

        // The beginning of the third comes again with its rest.
        Assert.Contains("Call-ID: c3", Text(Assert.Single(Say(read, Invite("c3")).Out)));
    }

    [Fact]
    public void Numbers_stay_right_over_many_messages_both_ways()
    {
        uint ours = Start, theirs = Start;
        for (int i = 0; i < 100; i++)
        {
            string text = Invite($"call{i}");
            byte[] sent = Assert.Single(Say(ours, text).Out);
            Assert.Equal(theirs, Sequence(sent));
            Assert.Equal(sent[20..], Assert.Single(Say(ours, text).Out)[20..]);
            ours += (uint)text.Length;
            theirs += (uint)Text(sent).Length;

            // Acknowledged in part is not acknowledged: what comes again is a whole message.
            Assert.Equal(ours - (uint)text.Length, Acknowledged(Assert.Single(Send(Incoming(ServerStart, theirs - 10, "")).In)));
            Assert.Equal(ours, Acknowledged(Assert.Single(Send(Incoming(ServerStart, theirs, "")).In)));
        }

        Assert.NotEqual(ours, theirs);
    }

    [Fact]
    public void A_message_of_several_segments_leaves_in_segments_no_larger_than_they_came()
    {
        string text = Invite(filler: 3000);
        Assert.Empty(Say(Start, text[..Mss]).Out);
        Assert.Empty(Say(Start + Mss, text[Mss..(2 * Mss)]).Out);
        List<byte[]> sent = Say(Start + (2 * Mss), text[(2 * Mss)..]).Out;
        Assert.Equal(3, sent.Count);
        uint next = Start;
        string all = "";

        // In the order of their numbers.
        foreach (byte[] segment in sent.OrderBy(s => Sequence(s) - Start))
        {
            Assert.Equal(next, Sequence(segment));
            Assert.InRange(Text(segment).Length, 1, Mss);
            next += (uint)Text(segment).Length;
            all += Text(segment);
        }

        Assert.Contains("c=IN IP4 192.0.2.1\r\n", all);
        Assert.EndsWith("a=sendrecv\r\n", all);

        // One of them lost.
        Assert.Equal(Start + (2 * Mss), Acknowledged(Assert.Single(Send(Incoming(ServerStart, Start + Mss, "")).In)));
        Assert.Equal(3, Say(Start + (2 * Mss), text[(2 * Mss)..]).Out.Count);
        Assert.Equal(Start + (uint)text.Length, Acknowledged(Assert.Single(Send(Incoming(ServerStart, next, "")).In)));
    }

    [Fact]
    public void What_stands_behind_a_gap_comes_again_in_order()
    {
        string text = Invite();
        Assert.Empty(Say(Start + 100, text[100..]).Out);
        Assert.Single(Say(Start, text).Out);
        Assert.Equal(1, _smap.Counters.Packets(Origin.FromLan, Fate.Consumed));
    }

    [Fact]
    public void What_has_arrived_and_comes_again_from_its_middle_on_goes_without_its_text()
    {
        string text = Invite();
        byte[] whole = Assert.Single(Say(Start, text).Out);
        byte[] again = Assert.Single(Say(Start + 40, text[40..]).Out);
        Assert.Equal("", Text(again));
        Assert.True((int)(Sequence(again) - (Start + (uint)Text(whole).Length)) < 0);
    }

    [Fact]
    public void A_question_whether_the_other_end_lives_is_old_news_there_too()
    {
        // The phone's own numbers are larger than the registrar's here: an address of ours is shorter than its own.
        string text = SipGatewayTests.Register("<sip:bob@192.168.1.142:5060>, <sip:b@192.168.1.142:5060>, <sip:c@192.168.1.142:5060>").Replace("UDP", "TCP", StringComparison.Ordinal);
        byte[] whole = Assert.Single(Say(Start, text).Out);
        Assert.True(Text(whole).Length < text.Length);
        uint theirEnd = Start + (uint)Text(whole).Length;
        byte[] probe = Assert.Single(Say(Start + (uint)text.Length - 1, "").Out);
        Assert.True((int)(Sequence(probe) - theirEnd) < 0);
        Assert.Equal(theirEnd, Sequence(Assert.Single(Say(Start + (uint)text.Length, "").Out)));
    }

    [Theory]
    [InlineData("NOT A MESSAGE AT ALL\r\n\r\n")]
    [InlineData("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n")]
    [InlineData("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 99999\r\n\r\n")]
    public void From_what_cannot_be_read_on_all_passes_as_it_is_with_right_numbers(string junk)
    {
        string first = Invite();
        byte[] whole = Assert.Single(Say(Start, first).Out);
        uint ours = Start + (uint)first.Length, theirs = Start + (uint)Text(whole).Length;
        byte[] passed = Assert.Single(Say(ours, junk).Out);
        Assert.Equal(junk, Text(passed));
        Assert.Equal(theirs, Sequence(passed));
        Assert.Equal(Invite("c2"), Text(Assert.Single(Say(ours + (uint)junk.Length, Invite("c2")).Out)));
        Assert.Equal(1, _smap.Counters.GatewayUnreadable);
        Assert.Equal(ours + (uint)junk.Length, Acknowledged(Assert.Single(Send(Incoming(ServerStart, theirs + (uint)junk.Length, "")).In)));

        // And what was read before may still come again.
        Assert.Equal(whole[20..], Assert.Single(Say(Start, first).Out)[20..]);
    }

    [Fact]
    public void What_was_kept_goes_on_when_its_sender_ends()
    {
        Assert.Empty(Say(Start, "INVITE sip:al").Out);
        byte[] end = Assert.Single(Send(Segment(Client, 40000, Registrar, 5060, Start + 13, ServerStart, "", TcpFlags.Fin | TcpFlags.Ack)).Out);
        Assert.Equal("INVITE sip:al", Text(end));
        Assert.Equal(Start, Sequence(end));
        Assert.NotEqual(0, end[33] & (int)TcpFlags.Fin);
        Assert.Equal(Start + 14, Acknowledged(Assert.Single(Send(Incoming(ServerStart, Start + 14, "")).In)));
    }

    [Fact]
    public void A_time_stamp_is_answered_with_one()
    {
        byte[] stamps = [1, 1, 8, 10, 0, 0, 0, 77, 0, 0, 0, 5];
        byte[] packet = Segment(Client, 40000, Registrar, 5060, Start, ServerStart, "INVITE sip:al", TcpFlags.Ack, stamps);
        byte[] answer = Assert.Single(Send(packet).In);
        Assert.Equal([1, 1, 8, 10], answer[40..44]);
        Assert.Equal([0, 0, 0, 77], answer[48..52]);
    }

    [Fact]
    public void A_contact_over_tcp_is_reached_by_a_new_connection()
    {
        string text = SipGatewayTests.Register("<sip:bob@192.168.1.142:5060;transport=tcp>").Replace("/UDP", "/TCP", StringComparison.Ordinal);
        string heard = Text(Assert.Single(Say(Start, text).Out));
        int contact = int.Parse(SipGatewayTests.Field(heard, "Contact")!.Split(':')[^1].Split(';')[0]);
        Assert.True(Reaches(_smap, Registrar, 33000, contact, Client, 5060));
        Assert.False(Reaches(_smap, "203.0.113.9", 33000, contact, Client, 5060));
    }
}
