using System.Buffers.Binary;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Gateways;

/// <summary>
/// The gateway for SIP (RFC 3261) over UDP and TCP: what a phone of the home says of where it is (Via, Contact, Record-Route, and the media of SDP) becomes the shared address and ports of the set, which
/// are held as long as the call or the registration lives; what comes in gets the phone's own endpoint back.
/// </summary>
/// <remarks>
/// <code>
///  phone                       here                                        registrar
///  REGISTER Contact phone:5060 ---> Contact shared:10050, held ---------->
///           &lt;-- Contact phone:5060  200 Contact shared:10050;expires=600 &lt;--   held for 600 s
///           &lt;-- INVITE phone:5060   INVITE sip:bob@shared:10050 &lt;----------
///  200 c=phone m=audio 4000 ------> c=shared m=audio 10102, held with 10103 -->
/// </code>
/// </remarks>
sealed class SipGateway : ITextRewriter
{
    /// <summary>Octets of the longest message that is read.</summary>
    public const int MaxMessage = 8192;

    const int MaxConnections = 64, UdpHeader = 8;

    // How long ports are held, in seconds: until a call is answered (Timer C, RFC 3261 section 16.6), for an hour of silence in one that was, and when it is over, until the last
    // message can have arrived (64 times T1, section 17).
    const int Unanswered = 180, Answered = 3600, Over = 32;

    /// <summary>RFC 3261 section 10.2.1.1: what a registrar may take where nobody says how long.</summary>
    const int UsualExpiration = 3600;

    /// <summary>No registration is held for longer than 30 days, whatever its registrar says.</summary>
    const int LongestExpiration = 30 * 86400;

    readonly ForwardingCounters _counters;
    readonly TcpTextEditor _editor;
    readonly byte[] _message = new byte[MaxMessage * 2], _body = new byte[MaxMessage * 2];

    public SipGateway(ForwardingCounters counters)
    {
        _counters = counters;
        _editor = new TcpTextEditor(this, MaxConnections, MaxMessage, counters);
    }

    public SipCallers Callers { get; set; }

    public static bool Concerns(NaptProtocol protocol, Endpoint inside, Endpoint remote, ushort port) =>
        (remote.Port == port || inside.Port == port) && protocol != NaptProtocol.Icmp;

    /// <summary>A packet on its way, translated already, but for its text.</summary>
    public Verdict Edit(PacketBatch batch, int index, ref IPv4Header header, in Talk talk, long now)
    {
        if (talk.Protocol == NaptProtocol.Tcp) return _editor.Edit(batch, index, ref header, talk, now);
        EditDatagram(batch, index, ref header, talk);
        return default;
    }

    void EditDatagram(PacketBatch batch, int index, ref IPv4Header header, in Talk talk)
    {
        int textAt = header.Size + UdpHeader;
        Span<byte> datagram = batch.Bytes(index)[header.Size..];
        int octets = BinaryPrimitives.ReadUInt16BigEndian(datagram[4..]);
        if (header.IsFragment)
        {
            _counters.GatewayUnreadable++;
            return;
        }

        datagram = datagram[..octets];
        ReadOnlySpan<byte> text = datagram[UdpHeader..];

        // What is no text at all is nobody's fault: STUN, too, keeps mappings alive here (RFC 5626 section 3.5.2).
        if (SipText.IsKeepAlive(text)) return;
        int blank = text.IndexOfAnyExcept((byte)'\r', (byte)'\n');
        text = text[blank..];
        textAt += blank;
        if (text[0] < ' ') return;
        ushort checksum = BinaryPrimitives.ReadUInt16BigEndian(datagram[6..]);
        if (checksum != 0 && Sum(header, datagram) != 0) return;
        if (!SipText.TryRead(text, out SipHead head) || head.ContentLength > text.Length - head.Length || text.Length > MaxMessage)
        {
            _counters.GatewayUnreadable++;
            return;
        }

        int message = head.ContentLength < 0 ? text.Length : head.Length + head.ContentLength;
        int now = Rewrite(text[..message], head, talk, _message);
        if (now < 0 || !batch.TryReplace(index, textAt, message, _message.AsSpan(0, now))) return;

        // Its sender does not know this size, and could not find out.
        if (now > message) header.AllowFragments();
        Span<byte> packet = batch.Bytes(index);
        header.TotalLength = (ushort)packet.Length;
        datagram = packet[header.Size..];
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)(octets + now - message));
        BinaryPrimitives.WriteUInt16BigEndian(datagram[6..], 0);
        if (checksum == 0) return;
        ushort sum = Sum(header, datagram[..(octets + now - message)]);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[6..], sum == 0 ? ushort.MaxValue : sum);
    }

    static ushort Sum(in IPv4Header header, ReadOnlySpan<byte> datagram) =>
        Checksum.Of(datagram, Checksum.PseudoHeader(header.Source, header.Destination, IpProtocol.Udp, datagram.Length));

    // Over TCP

    bool ITextRewriter.IsFramed => true;

    bool ITextRewriter.EndsReading(ReadOnlySpan<byte> unit, in Talk talk) => false;

    int ITextRewriter.UnitOf(ReadOnlySpan<byte> text, in Talk talk)
    {
        int blank = text.IndexOfAnyExcept((byte)'\r', (byte)'\n');
        if (blank != 0) return blank < 0 ? text.Length : blank;
        int empty = text.IndexOf("\r\n\r\n"u8);
        if (empty < 0) return SipText.MayBegin(text) ? 0 : -1;

        // Over a stream Content-Length is no matter of choice (section 20.14).
        if (!SipText.TryRead(text, out SipHead head) || head.ContentLength < 0 || head.ContentLength > MaxMessage - head.Length) return -1;
        int message = head.Length + head.ContentLength;
        return message <= text.Length ? message : 0;
    }

    int ITextRewriter.Rewrite(ReadOnlySpan<byte> unit, in Talk talk, Span<byte> to) => SipText.TryRead(unit, out SipHead head) ? Rewrite(unit, head, talk, to) : -1;

    // A message

    /// <summary>Writes a message anew, and holds the ports that it names; gives its octets, or less than 0 where it stays as it is.</summary>
    int Rewrite(ReadOnlySpan<byte> text, in SipHead head, in Talk talk, Span<byte> to)
    {
        ulong dialog = Mix.Of(talk.Inside.Address, head.CallId) | 1;
        int body = talk.FromHome && head.HasSdp ? RewriteBody(text[head.Length..], talk, dialog) : -1;
        var message = new OctetWriter(to);
        bool changed = body >= 0;
        int copied = 0;
        if (head.IsRequest && !talk.FromHome)
        {
            (int uriAt, int uriEnd) = SipText.RequestUri(text);
            if (SipText.TryReadUri(text, uriAt, uriEnd, out SipUri uri) && TryGiveBack(uri, talk, out Endpoint phone)) changed |= Put(text, uri, phone, ref copied, ref message);
        }

        bool isTopVia = true;
        int at = text.IndexOf("\r\n"u8) + 2;
        while (SipText.TryReadField(text, ref at, out SipField field, out int valueAt, out int valueEnd))
        {
            switch (field)
            {
                case SipField.Via when isTopVia:
                    // Of the phone's own is the topmost alone: in the requests that it sends, and in the responses that it gets.
                    isTopVia = false;
                    if (head.IsRequest == talk.FromHome && SipText.TryReadVia(text, valueAt, valueEnd, out SipUri sentBy) && TryTranslate(sentBy, head, talk, field, 0, out Endpoint instead))
                        changed |= Put(text, sentBy, instead, ref copied, ref message);
                    break;
                case SipField.Contact or SipField.Route:
                    changed |= RewriteUris(text, valueAt, valueEnd, head, talk, field, dialog, ref copied, ref message);
                    break;
                case SipField.ContentLength when body >= 0:
                    message.Add(text[copied..valueAt]);
                    message.Add(body);
                    copied = valueEnd;
                    break;
            }
        }

        if (head.Method != SipMethod.Register) Follow(head, talk, dialog);
        if (!changed) return -1;
        message.Add(text[copied..head.Length]);
        message.Add(body >= 0 ? _body.AsSpan(0, body) : text[head.Length..]);
        return message.HasFailed ? -1 : message.Length;
    }

    bool RewriteUris(ReadOnlySpan<byte> text, int at, int end, in SipHead head, in Talk talk, SipField field, ulong dialog, ref int copied, ref OctetWriter message)
    {
        bool changed = false;
        while (SipText.TryFindUri(text, at, end, out SipUri uri))
        {
            int expires = field == SipField.Contact && head.Method == SipMethod.Register ? SipText.ExpiresOf(text, uri, end) : -1;
            if (expires < 0) expires = head.Expires >= 0 ? head.Expires : UsualExpiration;
            if (TryTranslate(uri, head with { Expires = expires }, talk, field, dialog, out Endpoint instead)) changed |= Put(text, uri, instead, ref copied, ref message);
            at = uri.End;
        }

        return changed;
    }

    /// <summary>The message up to a host, and another host and port in its place.</summary>
    bool Put(ReadOnlySpan<byte> text, in SipUri uri, Endpoint instead, ref int copied, ref OctetWriter message)
    {
        message.Add(text[copied..uri.HostAt]);
        message.Add(instead);
        copied = uri.HostEnd;
        _counters.GatewayRewritten++;
        return true;
    }

    /// <summary>What takes the place of an endpoint that a message names: of the phone's, ours, which is held for it; of ours, the phone's.</summary>
    bool TryTranslate(in SipUri uri, in SipHead head, in Talk talk, SipField field, ulong dialog, out Endpoint instead)
    {
        if (!talk.FromHome)
        {
            if (!TryGiveBack(uri, talk, out instead)) return false;
            if (field == SipField.Contact && head.Method == SipMethod.Register && head.Status is >= 200 and < 300) Register(uri.Protocol, instead, head.Expires, talk);
            return true;
        }

        instead = talk.Outside;
        if (uri.Endpoint.Address != talk.Inside.Address) return false;
        ushort external = talk.Outside.Port;
        DropReason refused = DropReason.None;
        if (field != SipField.Via)
        {
            uint caller = Callers == SipCallers.Anyone ? 0 : talk.Remote.Address;
            bool isRegistration = head.Method == SipMethod.Register;
            if (isRegistration && head.IsRequest && head.Expires == 0) talk.Napt.Release(RegistrationOf(uri.Protocol, uri.Endpoint, talk), Over);
            HoldTerms terms = isRegistration
                ? new HoldTerms(caller, Over, RegistrationOf(uri.Protocol, uri.Endpoint, talk))
                : new HoldTerms(caller, Unanswered, dialog);
            refused = talk.Napt.Hold(uri.Protocol, uri.Endpoint, terms, out external);
        }
        else if (uri.Endpoint != talk.Inside || uri.Protocol != talk.Protocol)
        {
            // The phone listens for answers elsewhere than where it sent from.
            refused = talk.Napt.Hold(uri.Protocol, uri.Endpoint, new HoldTerms(talk.Remote.Address, Unanswered), out external);
        }

        if (refused != DropReason.None)
        {
            _counters.GatewayRefused++;
            return false;
        }

        instead = talk.Outside with { Port = external };
        return true;
    }

    /// <summary>The phone's own endpoint, where a URI names that of ours which stands for it.</summary>
    static bool TryGiveBack(in SipUri uri, in Talk talk, out Endpoint phone)
    {
        phone = talk.Inside;
        if (uri.Endpoint.Address != talk.Outside.Address) return false;
        if (uri.Protocol == talk.Protocol && uri.Endpoint.Port == talk.Outside.Port) return true;
        return talk.Napt.TryFindHolder(uri.Protocol, uri.Endpoint.Port, out phone) && phone.Address == talk.Inside.Address;
    }

    /// <summary>The registrar has taken a contact: it is held as long as it is valid, and a while for the next registration to arrive.</summary>
    void Register(NaptProtocol protocol, Endpoint contact, int seconds, in Talk talk)
    {
        uint caller = Callers == SipCallers.Anyone ? 0 : talk.Remote.Address;
        if (seconds > 0) talk.Napt.Hold(protocol, contact, new HoldTerms(caller, Math.Min(seconds, LongestExpiration) + Over, RegistrationOf(protocol, contact, talk)), out _);
    }

    static ulong RegistrationOf(NaptProtocol protocol, Endpoint contact, in Talk talk) =>
        Mix.Of((ulong)contact.Address << 16 | contact.Port, talk.Remote.Address, (ulong)protocol) & ~1UL | 2;

    /// <summary>What a message means for the ports of its dialog.</summary>
    static void Follow(in SipHead head, in Talk talk, ulong dialog)
    {
        switch (head)
        {
            case { IsRequest: true, Method: SipMethod.Bye }:
                talk.Napt.Release(dialog, Over);
                break;
            case { IsRequest: true, Method: SipMethod.Cancel }:
            case { IsRequest: false, Method: SipMethod.Invite, Status: >= 300 }:
                talk.Napt.Release(dialog, Over, onlyUnanswered: true);
                break;
            default:
                if (head is { IsRequest: false, Method: SipMethod.Invite, Status: >= 200 }) talk.Napt.Answer(dialog);
                talk.Napt.Extend(dialog, Unanswered, Answered);
                break;
        }
    }

    // The body

    int RewriteBody(ReadOnlySpan<byte> sdp, in Talk talk, ulong dialog)
    {
        var body = new OctetWriter(_body);
        return SdpText.TryRewrite(sdp, talk.Inside.Address, talk.Outside.Address, new MediaPorts(_counters, talk, dialog), ref body) && !body.HasFailed ? body.Length : -1;
    }

    /// <summary>Ports of the set for the media of a dialog, which anybody may send to: who will is not always who says so.</summary>
    readonly struct MediaPorts(ForwardingCounters counters, Talk talk, ulong dialog) : SdpText.IPorts
    {
        public bool TryMap(Endpoint media, Endpoint control, bool hasControl, out ushort mediaPort, out ushort controlPort)
        {
            var terms = new HoldTerms(0, Unanswered, dialog, WhileUsed: true);
            controlPort = 0;
            DropReason refused = hasControl && control != media
                ? talk.Napt.HoldPair(media, control, terms, out mediaPort, out controlPort)
                : talk.Napt.Hold(NaptProtocol.Udp, media, terms, out mediaPort);
            if (control == media) controlPort = mediaPort;
            if (refused != DropReason.None)
            {
                counters.GatewayRefused++;
                return false;
            }

            counters.GatewayRewritten++;
            return true;
        }
    }
}
