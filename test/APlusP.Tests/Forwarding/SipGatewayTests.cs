using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using static APlusP.Tests.Forwarding.GatewayScene;

namespace APlusP.Tests.Forwarding;

/// <summary>SIP over UDP through the SMAP, message by message.</summary>
public class SipGatewayTests
{
    const string Phone = Client, Registrar = Server, Stranger = "203.0.113.9";

    readonly HandClock _time = new();

    Smap Make(Func<SmapOptions, SmapOptions>? change = null) =>
        GatewayScene.Make(_time, o => (change?.Invoke(o) ?? o) is var changed && changed.SipGateway ? changed : changed with { SipGateway = true });

    static string Message(string start, string[] fields, string body = "") =>
        string.Join("\r\n", [start, .. fields, $"Content-Length: {body.Length}", "", body]);

    internal static string Register(string contact = "<sip:bob@192.168.1.142:5060>", params string[] more) => Message("REGISTER sip:example.com SIP/2.0",
        ["Via: SIP/2.0/UDP 192.168.1.142:5060;branch=z9hG4bKa;rport", "From: <sip:bob@example.com>;tag=1", "To: <sip:bob@example.com>", "Call-ID: r1@192.168.1.142", "CSeq: 1 REGISTER", $"Contact: {contact}", .. more]);

    internal static string Invite(string body, string callId = "c1@192.168.1.142", string transport = "UDP") => Message("INVITE sip:alice@example.com SIP/2.0",
        [$"Via: SIP/2.0/{transport} 192.168.1.142:5060;branch=z9hG4bKb", "From: <sip:bob@example.com>;tag=1", "To: <sip:alice@example.com>", $"Call-ID: {callId}", "CSeq: 1 INVITE",
            "Contact: <sip:bob@192.168.1.142:5060>", "Content-Type: application/sdp"], body);

    static string InDialog(string start, string cseq = "1 INVITE", string callId = "c1@192.168.1.142") =>
        Message(start, ["Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKc", "From: <sip:bob@example.com>;tag=1", "To: <sip:alice@example.com>;tag=2", $"Call-ID: {callId}", $"CSeq: {cseq}"]);

    internal const string Sdp = "v=0\r\no=bob 1 1 IN IP4 192.168.1.142\r\ns=-\r\nc=IN IP4 192.168.1.142\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n";

    /// <summary>What the world hears of what the phone says, and from which port.</summary>
    static (string Text, int Port) Say(Smap smap, string text, string to = Registrar, string from = Phone)
    {
        byte[] packet = Assert.Single(OnTheWire.Through(smap, Origin.FromLan, Datagram(from, 5060, to, 5060, text)))[40..];
        Assert.True(Packets.HasRightChecksums(packet));
        string heard = Text(packet);
        AssertContentLength(heard);
        return (heard, packet[20] << 8 | packet[21]);
    }

    /// <summary>What the phone hears; null where nothing arrives.</summary>
    static string? Hear(Smap smap, string text, int port, string from = Registrar)
    {
        byte[]? packet = Deliver(smap, Datagram(from, 5060, Shared, port, text));
        if (packet is null) return null;
        Assert.True(IsFor(packet, Phone, 5060));
        AssertContentLength(Text(packet));
        return Text(packet);
    }

    static void AssertContentLength(string message)
    {
        message = message.TrimStart();
        int head = message.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (head >= 0 && Field(message, "Content-Length") is { } length) Assert.Equal($"{message.Length - head - 4}", length);
    }

    internal static string? Field(string message, string name) =>
        message.Split("\r\n").FirstOrDefault(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))?[(name.Length + 1)..].Trim();

    internal static int MediaPort(string message, int which = 0) =>
        int.Parse(message.Split("\r\n").Where(line => line.StartsWith("m=", StringComparison.Ordinal)).ElementAt(which).Split(' ')[1]);

    [Fact]
    public void A_registration_names_a_port_of_ours_and_its_answer_the_phones_own()
    {
        Smap smap = Make();
        (string heard, int port) = Say(smap, Register());
        Assert.InRange(port, 10000, 10999);
        Assert.Equal($"<sip:bob@192.0.2.1:{port}>", Field(heard, "Contact"));
        Assert.Equal($"SIP/2.0/UDP 192.0.2.1:{port};branch=z9hG4bKa;rport", Field(heard, "Via"));
        Assert.Equal("r1@192.168.1.142", Field(heard, "Call-ID"));

        string answer = Hear(smap, Message("SIP/2.0 200 OK", [Field2("Via", heard) + $";received=192.0.2.1;rport={port}", "From: <sip:bob@example.com>;tag=1", "To: <sip:bob@example.com>;tag=9",
            "Call-ID: r1@192.168.1.142", "CSeq: 1 REGISTER", $"Contact: <sip:bob@192.0.2.1:{port}>;expires=600"]), port)!;
        Assert.Equal("<sip:bob@192.168.1.142:5060>;expires=600", Field(answer, "Contact"));
        Assert.StartsWith("SIP/2.0/UDP 192.168.1.142:5060;branch=z9hG4bKa;", Field(answer, "Via"));
    }

    static string Field2(string name, string message) => $"{name}: {Field(message, name)}";

    int Registered(Smap smap, int seconds = 600)
    {
        (string heard, int port) = Say(smap, Register());
        Hear(smap, Message("SIP/2.0 200 OK", [Field2("Via", heard), "Call-ID: r1@192.168.1.142", "CSeq: 1 REGISTER", $"Contact: <sip:bob@192.0.2.1:{port}>;expires={seconds}"]), port);
        return port;
    }

    string Called(int port) => Message($"INVITE sip:bob@192.0.2.1:{port} SIP/2.0",
        ["Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKd", "From: <sip:alice@example.com>;tag=5", "To: <sip:bob@example.com>", "Call-ID: in1", "CSeq: 7 INVITE", "Contact: <sip:alice@198.51.100.7>"]);

    [Theory]
    [InlineData(NaptMode.EndpointIndependent, NaptFiltering.AddressDependent)]
    [InlineData(NaptMode.EndpointIndependent, NaptFiltering.AddressAndPortDependent)]
    [InlineData(NaptMode.FiveTuple, NaptFiltering.AddressDependent)]
    public void Calls_come_in_from_the_registrar_as_long_as_the_registration_is_valid(NaptMode mode, NaptFiltering filtering)
    {
        Smap smap = Make(o => o with { Mode = mode, Filtering = filtering });
        (string registered, int source) = Say(smap, Register());
        int port = int.Parse(Field(registered, "Contact")!.TrimEnd('>').Split(':')[^1]);
        Hear(smap, Message("SIP/2.0 200 OK", [Field2("Via", registered), "Call-ID: r1", "CSeq: 1 REGISTER", $"Contact: <sip:bob@192.0.2.1:{port}>;expires=900"]), source);

        // Longer than any UDP flow lives.
        _time.Advance(TimeSpan.FromSeconds(800));
        string? call = Hear(smap, Called(port), port);
        Assert.StartsWith("INVITE sip:bob@192.168.1.142:5060 SIP/2.0\r\n", call);
        Assert.Equal("<sip:alice@198.51.100.7>", Field(call!, "Contact"));
        Assert.Null(Hear(smap, Called(port), port, from: Stranger));

        _time.Advance(TimeSpan.FromSeconds(200));
        Assert.Null(Hear(smap, Called(port), port));
        Assert.Empty(smap.Use().Hosts);
    }

    [Fact]
    public void A_registration_is_held_for_thirty_days_at_most()
    {
        Smap smap = Make();
        int port = Registered(smap, int.MaxValue);
        _time.Advance(TimeSpan.FromDays(29));
        Assert.NotNull(Hear(smap, Called(port), port));
        _time.Advance(TimeSpan.FromDays(2));
        Assert.Null(Hear(smap, Called(port), port));
    }

    [Fact]
    public void Calls_come_in_from_anyone_where_the_configuration_says_so()
    {
        Smap smap = Make(o => o with { SipCallers = SipCallers.Anyone });
        int port = Registered(smap);
        _time.Advance(TimeSpan.FromSeconds(500));
        Assert.StartsWith("INVITE sip:bob@192.168.1.142:5060 SIP/2.0\r\n", Hear(smap, Called(port), port, from: Stranger));
    }

    [Fact]
    public void Who_takes_his_registration_back_is_soon_not_called_any_more()
    {
        Smap smap = Make(o => o with { Timers = new NaptTimers { Udp = 20 } });
        int port = Registered(smap);
        Say(smap, Register("<sip:bob@192.168.1.142:5060>;expires=0"));
        _time.Advance(TimeSpan.FromSeconds(40));
        Assert.Null(Hear(smap, Called(port), port));
    }

    [Theory]
    [InlineData(NaptMode.EndpointIndependent, NaptFiltering.AddressDependent)]
    [InlineData(NaptMode.EndpointIndependent, NaptFiltering.AddressAndPortDependent)]
    [InlineData(NaptMode.FiveTuple, NaptFiltering.AddressDependent)]
    public void A_call_names_ports_of_ours_for_its_media_and_anybodys_media_arrive(NaptMode mode, NaptFiltering filtering)
    {
        Smap smap = Make(o => o with { Mode = mode, Filtering = filtering });
        string heard = Say(smap, Invite(Sdp)).Text;
        Assert.Contains("\r\nc=IN IP4 192.0.2.1\r\n", heard);
        Assert.Contains("\r\no=bob 1 1 IN IP4 192.0.2.1\r\n", heard);
        int media = MediaPort(heard);
        Assert.True(media % 2 == 0, $"RTP is sent to the odd port {media}");
        Assert.InRange(media, 10000, 10998);
        Assert.DoesNotContain("a=rtcp", heard);
        Assert.True(ReachesByUdp(smap, Stranger, 7000, media, Phone, 4000));
        Assert.True(ReachesByUdp(smap, Stranger, 7001, media + 1, Phone, 4001));

        // What the phone sends leaves by the port that it named.
        byte[] sent = Assert.Single(OnTheWire.Through(smap, Origin.FromLan, Packets.Udp(Phone, 4000, Stranger, 7000)));
        Assert.Equal(media, sent[60] << 8 | sent[61]);
    }

    [Fact]
    public void The_same_message_again_is_the_same()
    {
        Smap smap = Make();
        string first = Say(smap, Invite(Sdp)).Text;
        Assert.Equal(first, Say(smap, Invite(Sdp)).Text);
    }

    [Fact]
    public void Media_ports_end_soon_after_bye()
    {
        Smap smap = Make();
        (string heard, int port) = Say(smap, Invite(Sdp));
        Hear(smap, InDialog("SIP/2.0 200 OK"), port);
        Hear(smap, InDialog($"BYE sip:bob@192.0.2.1:{port} SIP/2.0", "2 BYE"), port);
        Assert.True(ReachesByUdp(smap, Stranger, 7000, MediaPort(heard), Phone, 4000));
        _time.Advance(TimeSpan.FromSeconds(33));
        Assert.False(ReachesByUdp(smap, Stranger, 7000, MediaPort(heard), Phone, 4000));
    }

    [Theory]
    [InlineData("SIP/2.0 486 Busy Here", "1 INVITE")]
    [InlineData("SIP/2.0 487 Request Terminated", "1 INVITE")]
    public void Media_ports_end_soon_after_a_call_has_failed(string answer, string cseq)
    {
        Smap smap = Make();
        (string heard, int port) = Say(smap, Invite(Sdp));
        Hear(smap, InDialog(answer, cseq), port);
        _time.Advance(TimeSpan.FromSeconds(33));
        Assert.False(ReachesByUdp(smap, Stranger, 7000, MediaPort(heard), Phone, 4000));
    }

    [Fact]
    public void A_call_that_was_cancelled_ends_even_if_nobody_says_so()
    {
        Smap smap = Make();
        (string heard, int _) = Say(smap, Invite(Sdp));
        Say(smap, InDialog("CANCEL sip:alice@example.com SIP/2.0", "1 CANCEL"));
        _time.Advance(TimeSpan.FromSeconds(33));
        Assert.False(ReachesByUdp(smap, Stranger, 7000, MediaPort(heard), Phone, 4000));
    }

    [Fact]
    public void A_change_that_is_refused_in_the_middle_of_a_call_ends_nothing()
    {
        Smap smap = Make();
        (string heard, int port) = Say(smap, Invite(Sdp));
        Hear(smap, InDialog("SIP/2.0 200 OK"), port);
        Assert.Equal(MediaPort(heard), MediaPort(Say(smap, Invite(Sdp).Replace("CSeq: 1", "CSeq: 2", StringComparison.Ordinal)).Text));
        Hear(smap, InDialog("SIP/2.0 488 Not Acceptable Here", "2 INVITE"), port);
        _time.Advance(TimeSpan.FromSeconds(33));
        Assert.True(ReachesByUdp(smap, Stranger, 7000, MediaPort(heard), Phone, 4000));
    }

    [Fact]
    public void A_call_that_was_challenged_keeps_its_ports_when_it_comes_again()
    {
        Smap smap = Make();
        (string heard, int port) = Say(smap, Invite(Sdp));
        Hear(smap, InDialog("SIP/2.0 407 Proxy Authentication Required"), port);
        Assert.Equal(MediaPort(heard), MediaPort(Say(smap, Invite(Sdp).Replace("CSeq: 1", "CSeq: 2", StringComparison.Ordinal)).Text));
        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.True(ReachesByUdp(smap, Stranger, 7000, MediaPort(heard), Phone, 4000));
    }

    [Fact]
    public void A_call_on_hold_keeps_its_ports_for_an_hour_and_one_that_nobody_answers_for_three_minutes()
    {
        Smap smap = Make();
        (string answered, int port) = Say(smap, Invite(Sdp));
        Hear(smap, InDialog("SIP/2.0 200 OK"), port);
        string waiting = Say(smap, Invite(Sdp.Replace("4000", "4100", StringComparison.Ordinal), "c2")).Text;
        _time.Advance(TimeSpan.FromSeconds(181));
        Assert.False(ReachesByUdp(smap, Stranger, 7000, MediaPort(waiting), Phone, 4100));
        _time.Advance(TimeSpan.FromSeconds(3400));
        Assert.True(ReachesByUdp(smap, Stranger, 7000, MediaPort(answered), Phone, 4000));
        _time.Advance(TimeSpan.FromSeconds(20));
        Assert.False(ReachesByUdp(smap, Stranger, 7000, MediaPort(answered), Phone, 4000));
    }

    [Fact]
    public void Media_that_flow_keep_their_ports_without_any_signalling()
    {
        Smap smap = Make(o => o with { Filtering = NaptFiltering.AddressAndPortDependent });
        string heard = Say(smap, Invite(Sdp)).Text;
        for (int minutes = 0; minutes < 120; minutes += 2)
        {
            OnTheWire.Through(smap, Origin.FromLan, Packets.Udp(Phone, 4000, Stranger, 7000));
            _time.Advance(TimeSpan.FromMinutes(2));
        }

        // Another relay of the same operator takes over.
        Assert.True(ReachesByUdp(smap, "198.51.100.99", 7000, MediaPort(heard), Phone, 4000));
    }

    [Fact]
    public void A_call_that_comes_in_is_answered_with_ports_of_ours()
    {
        Smap smap = Make();
        int port = Registered(smap);
        Hear(smap, Called(port), port);
        string answer = Say(smap, Message("SIP/2.0 200 OK",
            ["Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKd", "From: <sip:alice@example.com>;tag=5", "To: <sip:bob@example.com>;tag=6", "Call-ID: in1", "CSeq: 7 INVITE",
                "Contact: <sip:bob@192.168.1.142:5060;transport=udp>", "Content-Type: application/sdp"], Sdp)).Text;
        Assert.Equal("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKd", Field(answer, "Via"));
        Assert.Equal($"<sip:bob@192.0.2.1:{port};transport=udp>", Field(answer, "Contact"));
        Assert.True(ReachesByUdp(smap, Stranger, 7000, MediaPort(answer), Phone, 4000));
        _time.Advance(TimeSpan.FromSeconds(3000));
        Assert.True(ReachesByUdp(smap, Stranger, 7000, MediaPort(answer), Phone, 4000));
    }

    [Fact]
    public void Early_media_of_a_provisional_answer_arrive()
    {
        Smap smap = Make();
        int port = Registered(smap);
        Hear(smap, Called(port), port);
        string answer = Say(smap, Message("SIP/2.0 183 Session Progress", ["Call-ID: in1", "CSeq: 7 INVITE", "Content-Type: application/sdp"], Sdp)).Text;
        Assert.True(ReachesByUdp(smap, Stranger, 7000, MediaPort(answer), Phone, 4000));
    }

    [Theory]
    // Held the old way, refused, somebody else's, a stream of TCP, and one who finds his way by ICE.
    [InlineData("c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n")]
    [InlineData("c=IN IP4 192.168.1.142\r\nm=audio 0 RTP/AVP 0\r\n", "c=IN IP4 192.0.2.1\r\nm=audio 0 RTP/AVP 0\r\n")]
    [InlineData("c=IN IP4 198.51.100.20\r\nm=audio 4000 RTP/AVP 0\r\n")]
    [InlineData("c=IN IP4 192.168.1.142\r\nm=message 2855 TCP/MSRP *\r\n", "c=IN IP4 192.0.2.1\r\nm=message 2855 TCP/MSRP *\r\n")]
    [InlineData("c=IN IP4 192.168.1.142\r\nm=audio 4000 RTP/AVP 0\r\na=candidate:1 1 UDP 2130706431 192.168.1.142 4000 typ host\r\n")]
    [InlineData("c=IN IP6 2001:db8::7\r\nm=audio 4000 RTP/AVP 0\r\n")]
    [InlineData("c=IN IP4 198.51.100.20\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 198.51.100.21\r\nm=video 4002 RTP/AVP 31\r\n")]
    public void What_names_no_medium_of_the_phone_gets_no_port(string body, string? expected = null)
    {
        Smap smap = Make();
        string heard = Say(smap, Invite("v=0\r\ns=-\r\n" + body)).Text;
        Assert.EndsWith("\r\n\r\nv=0\r\ns=-\r\n" + (expected ?? body), heard);
    }

    [Fact]
    public void Each_medium_has_ports_of_its_own_and_named_control_ports_are_renamed()
    {
        Smap smap = Make();
        string heard = Say(smap, Invite(Sdp + "a=rtcp:4500 IN IP4 192.168.1.142\r\nm=video 4002 RTP/AVP 31\r\nc=IN IP4 192.168.1.142\r\nm=audio 4004 RTP/AVP 0\r\nc=IN IP4 198.51.100.20\r\nm=image 4006 udptl t38\r\n")).Text;
        int audio = MediaPort(heard), video = MediaPort(heard, 1), image = MediaPort(heard, 3);
        string control = heard.Split("\r\n").Single(l => l.StartsWith("a=rtcp:", StringComparison.Ordinal));
        Assert.EndsWith(" IN IP4 192.0.2.1", control);
        Assert.True(ReachesByUdp(smap, Stranger, 1, int.Parse(control["a=rtcp:".Length..].Split(' ')[0]), Phone, 4500));
        Assert.True(ReachesByUdp(smap, Stranger, 1, audio, Phone, 4000));
        Assert.True(ReachesByUdp(smap, Stranger, 1, video, Phone, 4002));
        Assert.True(ReachesByUdp(smap, Stranger, 1, video + 1, Phone, 4003));
        Assert.Equal(4004, MediaPort(heard, 2));
        Assert.True(ReachesByUdp(smap, Stranger, 1, image, Phone, 4006));
    }

    [Fact]
    public void Where_no_two_ports_are_free_together_the_control_port_is_named()
    {
        Smap smap = Make(o => o with { Ports = PortSet.Parse("10000-10000,10002-10002,10005-10005,10007-10007"), PortsPerHost = 4 });
        string heard = Say(smap, Invite(Sdp)).Text;
        string control = heard.TrimEnd().Split("\r\n")[^1];
        Assert.StartsWith("a=rtcp:", control);
        Assert.True(ReachesByUdp(smap, Stranger, 1, MediaPort(heard), Phone, 4000));
        Assert.True(ReachesByUdp(smap, Stranger, 1, int.Parse(control["a=rtcp:".Length..]), Phone, 4001));
    }

    [Fact]
    public void Where_no_port_is_left_the_text_stays_and_that_is_counted()
    {
        Smap smap = Make(o => o with { Ports = PortSet.Parse("10000-10000") });
        string heard = Say(smap, Invite(Sdp)).Text;
        Assert.Equal(4000, MediaPort(heard));
        Assert.Equal(1, smap.Counters.GatewayRefused);
    }

    [Fact]
    public void Compact_forms_folded_lines_and_small_letters_are_read()
    {
        Smap smap = Make();
        string text = "INVITE sip:alice@example.com SIP/2.0\r\nv: SIP / 2.0 / UDP\r\n 192.168.1.142\r\nf: <sip:bob@x>\r\nt: <sip:a@x>\r\ni: c9\r\nCSeq: 1 INVITE\r\n"
            + "m: \"Bob <sip:x@192.168.1.142>\"\r\n <SIP:bob@192.168.1.142;Transport=UDP> , sip:b@192.168.1.142;q=0.1\r\nc: Application/SDP;charset=x\r\nl:" + Sdp.Length + "\r\n\r\n" + Sdp;
        (string heard, int port) = Say(smap, text);
        Assert.Contains($"\r\n 192.0.2.1:{port}\r\n", heard);
        Assert.Contains($"m: \"Bob <sip:x@192.168.1.142>\"\r\n <SIP:bob@192.0.2.1:{port};Transport=UDP> , sip:b@192.0.2.1:{port};q=0.1\r\n", heard);
        string body = heard[(heard.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
        Assert.Contains($"\r\nl:{body.Length}\r\n\r\n", heard);
        Assert.NotEqual(Sdp.Length, body.Length);
    }

    [Fact]
    public void Routes_through_a_proxy_of_the_home_are_translated_both_ways()
    {
        Smap smap = Make();
        (string heard, int port) = Say(smap, Invite(Sdp).Replace("Contact:", "Record-Route: <sip:192.168.1.142;lr>\r\nContact:", StringComparison.Ordinal));
        Assert.Equal($"<sip:192.0.2.1:{port};lr>", Field(heard, "Record-Route"));
        string bye = Hear(smap, Message($"BYE sip:bob@192.0.2.1:{port} SIP/2.0", [$"Route: <sip:192.0.2.1:{port};lr>, <sip:203.0.113.77;lr>", "Call-ID: c1@192.168.1.142", "CSeq: 2 BYE"]), port)!;
        Assert.Equal("<sip:192.168.1.142:5060;lr>, <sip:203.0.113.77;lr>", Field(bye, "Route"));
    }

    [Fact]
    public void Another_hosts_address_is_not_translated_nor_does_it_get_a_port()
    {
        Smap smap = Make();
        string heard = Say(smap, Register("<sip:bob@192.168.1.99:5060>")).Text;
        Assert.Equal("<sip:bob@192.168.1.99:5060>", Field(heard, "Contact"));
        Assert.Equal("192.168.1.99", Say(smap, Invite(Sdp.Replace(Phone, "192.168.1.99", StringComparison.Ordinal))).Text.Split("c=IN IP4 ")[1].Split("\r\n")[0]);
        Assert.Equal(1, smap.Use().Ports.Single(p => p.Protocol == "udp").Used);
    }

    [Fact]
    public void A_via_of_another_phone_of_the_home_is_left_to_its_proxy()
    {
        Smap smap = Make();
        int port = Registered(smap);
        string call = Called(port).Replace("Via:", $"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKd, SIP/2.0/UDP 192.0.2.1:{port};branch=z9hG4bKx\r\nX:", StringComparison.Ordinal);
        Assert.Contains($"SIP/2.0/UDP 192.0.2.1:{port};branch=z9hG4bKx", Hear(smap, call, port));
    }

    [Theory]
    [InlineData("hello, phone")]
    [InlineData("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\n")]
    [InlineData("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact <sip:bob@192.168.1.142>\r\n\r\n")]
    [InlineData("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 90000\r\nContact: <sip:bob@192.168.1.142>\r\n\r\nshort")]
    [InlineData("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 2147483647\r\nContact: <sip:bob@192.168.1.142>\r\n\r\nshort")]
    [InlineData("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:bob@192.168.1.142>\r\n")]
    public void What_cannot_be_read_passes_as_it_is_and_is_counted(string text)
    {
        Smap smap = Make();
        byte[] packet = Assert.Single(OnTheWire.Through(smap, Origin.FromLan, Datagram(Phone, 5060, Registrar, 5060, text)))[40..];
        Assert.Equal(text, Text(packet));
        Assert.Equal(1, smap.Counters.GatewayUnreadable);
    }

    [Theory]
    [InlineData("\r\n\r\n")]
    [InlineData("\0")]
    [InlineData("\u0001\u0001\0\0")]
    public void What_only_keeps_the_mapping_alive_is_nobodys_fault(string text)
    {
        Smap smap = Make();
        OnTheWire.Through(smap, Origin.FromLan, Datagram(Phone, 5060, Registrar, 5060, text));
        Assert.Equal(0, smap.Counters.GatewayUnreadable);
    }

    [Fact]
    public void Empty_lines_before_a_message_are_no_part_of_it()
    {
        Smap smap = Make();
        (string heard, int port) = Say(smap, "\r\n\r\n" + Invite(Sdp));
        Assert.StartsWith("\r\n\r\nINVITE ", heard);
        Assert.Equal($"<sip:bob@192.0.2.1:{port}>", Field(heard, "Contact"));
    }

    [Fact]
    public void A_message_that_grows_over_the_path_goes_in_fragments_of_the_softwire()
    {
        Smap smap = Make();
        const string contacts = "<sip:b@192.168.1.142>, <sip:c@192.168.1.142>, <sip:d@192.168.1.142>", filler = "X-Filler: ";
        byte[] message = Datagram(Phone, 5060, Registrar, 5060, Register(contacts, filler + new string('x', 1460 - 28 - Register(contacts, filler).Length)));
        Assert.Equal(1460, message.Length);
        List<byte[]> sent = OnTheWire.Through(smap, Origin.FromLan, message);
        Assert.Equal(2, sent.Count);
        Assert.All(sent, s => Assert.InRange(s.Length, 40, 1500));

        // Inside the IPv4 header, which says now that the rest of the way may fragment it too.
        byte[] inner = [.. sent[0].AsSpan(48), .. sent[1].AsSpan(48)];
        Assert.Equal(0, inner[6] & 0x40);
        Assert.True(Packets.HasRightChecksums(inner));
        Assert.Contains("<sip:d@192.0.2.1:", Text(inner));
    }

    [Fact]
    public void It_is_off_unless_it_is_switched_on()
    {
        Smap smap = GatewayScene.Make(_time);
        Assert.Equal(Register(), Say(smap, Register()).Text);
        smap.Options = GatewayScene.Options(o => o with { SipGateway = true });
        Assert.NotEqual(Register(), Say(smap, Register()).Text);
    }

    [Fact]
    public void It_reads_the_port_that_it_is_told()
    {
        Smap smap = Make(o => o with { SipPort = 5070 });
        Assert.Equal(Register(), Say(smap, Register()).Text);
    }

    [Fact]
    public void Whatever_is_said_nothing_breaks_and_nothing_is_allocated()
    {
        int seed = Environment.TickCount;
        var random = new Random(seed);
        Smap smap = Make(o => o with { Filtering = NaptFiltering.EndpointIndependent });
        string[] texts = [Register(), Invite(Sdp), Called(10005), InDialog("SIP/2.0 200 OK"), InDialog("BYE sip:bob@192.0.2.1:10005 SIP/2.0", "2 BYE"), InDialog("SIP/2.0 486 No", "1 INVITE"),
            Invite(Sdp + "a=rtcp:4500 IN IP4 192.168.1.142\r\nm=video 4002 RTP/AVP 31\r\n", "c2")];
        string[] splinters = ["\r\n", ":", "<sip:", "192.168.1.142", "192.0.2.1:10005", "\"", ">", "@", ";transport=", "m=audio ", "c=IN IP4 ", "a=rtcp:", "0", "99999", "2147483647", ";expires=2147483647", ",", " ", "Contact: ", "Via: SIP/2.0/UDP ", "Content-Length: 3"];
        var batch = new PacketBatch(4, 9000);
        byte[][] packets = [.. Enumerable.Range(0, 3000).Select(i => Say())];
        var allocations = new Allocations();
        for (int i = 0; i < 60_000; i++)
        {
            if (i % 3000 == 2999) allocations.Read();
            if (i % 500 == 0) _time.Advance(TimeSpan.FromSeconds(5));
            batch.Clear();
            byte[] packet = packets[random.Next(packets.Length)];
            batch.TryAdd(packet, packet[0] >> 4 == 6 ? Origin.FromPrr : Origin.FromLan);
            smap.Process(batch);
            for (int sent = 0; sent < batch.Count; sent++)
            {
                if (!batch[sent].Verdict.Sends) continue;
                Span<byte> bytes = batch.Bytes(sent);
                if (bytes[0] >> 4 == 6) bytes = bytes[40..];
                if (!Packets.HasRightChecksums(bytes)) Assert.Fail($"seed {seed}, round {i}: {Convert.ToHexString(packet)} became {Convert.ToHexString(bytes)}");
            }
        }

        allocations.WereNone();
        _time.Advance(TimeSpan.FromHours(3));
        OnTheWire.Through(smap, Origin.FromLan, Packets.Udp(Phone, 9, Stranger, 9));
        _time.Advance(TimeSpan.FromHours(3));
        Assert.All(smap.Use().Ports, p => Assert.Equal(0, p.Used));
        Assert.Empty(smap.Use().Hosts);

        byte[] Say()
        {
            string text = texts[random.Next(texts.Length)];
            for (int damage = random.Next(4); damage > 0; damage--)
            {
                int at = random.Next(text.Length + 1), octets = random.Next(12);
                text = text[..at] + (random.Next(3) == 0 ? "" : splinters[random.Next(splinters.Length)]) + text[Math.Min(text.Length, at + octets)..];
            }

            bool fromHome = random.Next(3) > 0;
            if (random.Next(3) > 0)
                return fromHome ? Datagram(Phone, 5060, Registrar, 5060, text) : Packets.Softwire(Prr, Home, Datagram(Registrar, 5060, Shared, 10000 + random.Next(10), text));
            uint sequence = ClientStart + (uint)random.Next(2) * (uint)random.Next(600);
            TcpFlags flags = random.Next(6) == 0 ? TcpFlags.Syn : random.Next(12) == 0 ? TcpFlags.Fin | TcpFlags.Ack : TcpFlags.Ack;
            if ((flags & TcpFlags.Syn) != 0) (text, sequence) = ("", ClientStart - 1);
            int cut = random.Next(3) == 0 ? random.Next(text.Length + 1) : text.Length;
            return fromHome
                ? Segment(Phone, 10000 + random.Next(3), Registrar, 5060, sequence, ClientStart + (uint)random.Next(700), text[..cut], flags)
                : Packets.Softwire(Prr, Home, Segment(Registrar, 5060, Shared, 10000 + random.Next(3), sequence, ClientStart + (uint)random.Next(700), text[..cut], flags, [5, 10, 0, 0, 0, 1, 0, 0, 0, 9]));
        }
    }
}
