using System.Buffers;
using System.Buffers.Text;
using System.Text;
using APlusP.Core.Forwarding.Napt;

namespace APlusP.Core.Forwarding.Gateways;

/// <summary>Methods of SIP that a gateway tells apart, RFC 3261 section 27.4.</summary>
enum SipMethod : byte
{
    Other,
    Invite,
    Bye,
    Cancel,
    Register,
}

/// <summary>Header fields of SIP that a gateway reads or writes, by their long names or compact forms (RFC 3261 section 7.3.3).</summary>
enum SipField : byte
{
    Other,
    Via,

    /// <summary>Contact, Route, Record-Route and Path (RFC 3327): fields whose values are URIs that lead to somebody.</summary>
    Contact,
    Route,
    ContentLength,
    ContentType,
    CallId,
    CSeq,
    Expires,
}

/// <summary>What a gateway needs to know of a message before it touches it.</summary>
struct SipHead
{
    public bool IsRequest;
    public int Status;

    /// <summary>Of the request, or of that which a response answers.</summary>
    public SipMethod Method;

    /// <summary>Octets up to the body.</summary>
    public int Length;

    /// <summary>What Content-Length says; less than 0 where it says nothing.</summary>
    public int ContentLength;

    /// <summary>Of the header field Expires; less than 0 where there is none.</summary>
    public int Expires;
    public bool HasSdp;
    public ulong CallId;
}

/// <summary>A URI inside a text: where its host and port stand, and what they are.</summary>
struct SipUri
{
    public int HostAt, HostEnd;

    /// <summary>Where all of it ends.</summary>
    public int End;
    public Endpoint Endpoint;
    public NaptProtocol Protocol;
}

/// <summary>Reads SIP (RFC 3261).</summary>
static class SipText
{
    /// <summary>RFC 3261 section 19.1.2: the port that a URI without one means.</summary>
    public const ushort DefaultPort = 5060;

    static readonly SearchValues<byte> s_bareUriEnds = SearchValues.Create(" \t,;?\r\n"u8),
        s_separators = SearchValues.Create("\"(),/:;<=>?@[\\]{}"u8);

    static ReadOnlySpan<byte> Version => "SIP/2.0"u8;

    /// <summary>Whether octets are of those that may stand between messages, and keep a mapping alive (RFC 5626 section 3.5.1).</summary>
    public static bool IsKeepAlive(ReadOnlySpan<byte> text) => !text.ContainsAnyExcept("\r\n \0"u8);

    /// <summary>Reads the head of a message, its start line and header fields, up to the empty line.</summary>
    public static bool TryRead(ReadOnlySpan<byte> text, out SipHead head)
    {
        head = new SipHead { ContentLength = -1, Expires = -1 };
        int line = LineEnd(text, 0);
        if (line < 0 || !TryReadStart(text[..line], ref head)) return false;
        bool hasCallId = false, hasSequence = false;
        int at = line + 2;
        while (TryReadField(text, ref at, out SipField field, out int valueAt, out int valueEnd))
        {
            ReadOnlySpan<byte> value = text[valueAt..valueEnd];
            switch (field)
            {
                case SipField.ContentLength:
                    if (!TryReadNumber(value, out head.ContentLength)) return false;
                    break;
                case SipField.Expires:
                    if (!TryReadNumber(value, out head.Expires)) head.Expires = -1;
                    break;
                case SipField.ContentType:
                    head.HasSdp = Begins(value, "application/sdp"u8);
                    break;
                case SipField.CallId:
                    head.CallId = Hash(value);
                    hasCallId = true;
                    break;
                case SipField.CSeq:
                    int method = value.LastIndexOfAny((byte)' ', (byte)'\t') + 1;
                    head.Method = MethodOf(value[method..]);
                    hasSequence = method > 0;
                    break;
            }
        }

        head.Length = at + 2;
        return hasCallId && hasSequence && at + 2 <= text.Length && text.Slice(at, 2).SequenceEqual("\r\n"u8);
    }

    /// <summary>Whether a text whose head is not whole yet may be the beginning of a message.</summary>
    public static bool MayBegin(ReadOnlySpan<byte> text)
    {
        int line = LineEnd(text, 0);
        if (line >= 0)
        {
            SipHead head = default;
            return TryReadStart(text[..line], ref head);
        }

        const int longestStart = 1024;
        return text.Length < longestStart && !text.ContainsAnyInRange((byte)0x80, (byte)0xff) && (text.IndexOfAnyInRange((byte)0, (byte)31) is var control && (control < 0 || control == text.Length - 1));
    }

    static bool TryReadStart(ReadOnlySpan<byte> line, ref SipHead head)
    {
        if (line.StartsWith(Version))
        {
            // SIP/2.0 200 OK
            return line.Length > Version.Length + 1 && line[Version.Length] == (byte)' '
                && Utf8Parser.TryParse(line[(Version.Length + 1)..], out head.Status, out int digits) && digits == 3 && head.Status >= 100;
        }

        // INVITE sip:bob@example.com SIP/2.0
        int method = line.IndexOf((byte)' ');
        head.IsRequest = method > 0 && line.Length > method + 1 + Version.Length && line.EndsWith(Version) && line[^(Version.Length + 1)] == (byte)' ' && IsToken(line[..method]);
        return head.IsRequest;
    }

    /// <summary>Where the URI of a request stands.</summary>
    public static (int At, int End) RequestUri(ReadOnlySpan<byte> text)
    {
        int line = LineEnd(text, 0);
        return (text.IndexOf((byte)' ') + 1, line - Version.Length - 1);
    }

    /// <summary>The next header field; its value without the blanks around it, over all lines that it is folded into (section 7.3.1).</summary>
    public static bool TryReadField(ReadOnlySpan<byte> text, ref int at, out SipField field, out int valueAt, out int valueEnd)
    {
        field = SipField.Other;
        valueAt = valueEnd = 0;
        int end = LineEnd(text, at);
        if (end <= at) return false;
        int colon = text[at..end].IndexOf((byte)':');
        if (colon <= 0) return false;
        ReadOnlySpan<byte> name = text.Slice(at, colon).TrimEnd(" \t"u8);
        if (!IsToken(name)) return false;
        while (end + 2 < text.Length && text[end + 2] is (byte)' ' or (byte)'\t' && LineEnd(text, end + 2) is var more and > 0) end = more;
        field = FieldOf(name);
        valueAt = at + colon + 1;
        valueEnd = end;
        while (valueAt < valueEnd && IsBlank(text[valueAt])) valueAt++;
        while (valueEnd > valueAt && IsBlank(text[valueEnd - 1])) valueEnd--;
        at = end + 2;
        return true;
    }

    static SipField FieldOf(ReadOnlySpan<byte> name)
    {
        if (name.Length == 1)
        {
            return (name[0] | 0x20) switch
            {
                'v' => SipField.Via,
                'm' => SipField.Contact,
                'l' => SipField.ContentLength,
                'c' => SipField.ContentType,
                'i' => SipField.CallId,
                _ => SipField.Other,
            };
        }

        if (Is(name, "Via"u8)) return SipField.Via;
        if (Is(name, "Contact"u8)) return SipField.Contact;
        if (Is(name, "Route"u8) || Is(name, "Record-Route"u8) || Is(name, "Path"u8)) return SipField.Route;
        if (Is(name, "Content-Length"u8)) return SipField.ContentLength;
        if (Is(name, "Content-Type"u8)) return SipField.ContentType;
        if (Is(name, "Call-ID"u8)) return SipField.CallId;
        if (Is(name, "CSeq"u8)) return SipField.CSeq;
        return Is(name, "Expires"u8) ? SipField.Expires : SipField.Other;
    }

    static SipMethod MethodOf(ReadOnlySpan<byte> name)
    {
        // Methods are written in capitals and nothing else (section 7.1).
        if (name.SequenceEqual("INVITE"u8)) return SipMethod.Invite;
        if (name.SequenceEqual("BYE"u8)) return SipMethod.Bye;
        if (name.SequenceEqual("CANCEL"u8)) return SipMethod.Cancel;
        return name.SequenceEqual("REGISTER"u8) ? SipMethod.Register : SipMethod.Other;
    }

    /// <summary>The sent-by of a Via's first value, the topmost: <c>SIP/2.0/UDP 192.0.2.1:5060;branch=...</c></summary>
    public static bool TryReadVia(ReadOnlySpan<byte> text, int at, int end, out SipUri sentBy)
    {
        sentBy = default;
        for (int slash = 0; slash < 2; slash++)
        {
            int next = text[at..end].IndexOf((byte)'/');
            if (next < 0) return false;
            at += next + 1;
        }

        while (at < end && IsBlank(text[at])) at++;
        int transport = at;
        while (at < end && !IsBlank(text[at])) at++;
        if (!TryReadTransport(text[transport..at], ref sentBy.Protocol)) return false;
        while (at < end && IsBlank(text[at])) at++;
        int value = text[at..end].IndexOfAny((byte)',', (byte)';');
        sentBy.End = value < 0 ? end : at + value;
        return TryReadHost(text, at, sentBy.End, ref sentBy);
    }

    /// <summary>The next URI of the scheme sip in a value, from <paramref name="at"/> on, whose host is an IPv4 address. sips cannot be read on its way, and is left alone.</summary>
    public static bool TryFindUri(ReadOnlySpan<byte> text, int at, int end, out SipUri uri)
    {
        uri = default;
        byte before = (byte)' ';
        for (; at < end; before = text[at++])
        {
            if (text[at] == (byte)'"')
            {
                at = QuoteEnd(text, at, end);
                if (at >= end) return false;
                continue;
            }

            if (!(IsBlank(before) || before is (byte)'<' or (byte)',') || !Begins(text[at..end], "sip:"u8)) continue;
            bool isBracketed = before == (byte)'<';
            int length = isBracketed ? text[at..end].IndexOf((byte)'>') : text[at..end].IndexOfAny(s_bareUriEnds);
            if (TryReadUri(text, at, length < 0 ? end : at + length, out uri)) return true;
        }

        return false;
    }

    /// <summary>Reads one URI of the scheme sip, whose host is an IPv4 address.</summary>
    public static bool TryReadUri(ReadOnlySpan<byte> text, int at, int end, out SipUri uri)
    {
        const int scheme = 4;
        uri = new SipUri { End = end, Protocol = NaptProtocol.Udp };
        if (at < 0 || at + scheme > end || !Begins(text[at..end], "sip:"u8)) return false;
        at += scheme;
        int user = text[at..end].IndexOf((byte)'@');
        if (user >= 0) at += user + 1;
        int parameter = IndexOf(text[at..end], ";transport="u8);
        if (parameter >= 0)
        {
            ReadOnlySpan<byte> value = text[(at + parameter + ";transport=".Length)..end];
            int valueEnd = value.IndexOfAny((byte)';', (byte)'?');
            if (!TryReadTransport(valueEnd < 0 ? value : value[..valueEnd], ref uri.Protocol)) return false;
        }

        return TryReadHost(text, at, end, ref uri);
    }

    /// <summary>What a contact's own parameter <c>expires</c> says; it stands behind the URI. Less than 0 where it does not.</summary>
    public static int ExpiresOf(ReadOnlySpan<byte> text, in SipUri uri, int end)
    {
        ReadOnlySpan<byte> rest = text[uri.End..end];
        int value = rest.IndexOf((byte)','), parameter = IndexOf(value < 0 ? rest : rest[..value], ";expires="u8);
        return parameter >= 0 && Utf8Parser.TryParse(rest[(parameter + ";expires=".Length)..], out int seconds, out _) && seconds >= 0 ? seconds : -1;
    }

    static bool TryReadTransport(ReadOnlySpan<byte> name, ref NaptProtocol protocol)
    {
        if (Is(name, "udp"u8)) protocol = NaptProtocol.Udp;
        else if (Is(name, "tcp"u8)) protocol = NaptProtocol.Tcp;
        else return false;
        return true;
    }

    static bool TryReadHost(ReadOnlySpan<byte> text, int at, int end, ref SipUri uri)
    {
        uri.HostAt = at;
        if (!AddressText.TryRead(text[at..end], out uint address, out int length)) return false;
        uri.HostEnd = at + length;
        ushort port = DefaultPort;
        if (uri.HostEnd < end && text[uri.HostEnd] == (byte)':')
        {
            if (!Utf8Parser.TryParse(text[(uri.HostEnd + 1)..end], out port, out int digits) || port == 0) return false;
            uri.HostEnd += 1 + digits;
        }

        uri.Endpoint = new Endpoint(address, port);
        return uri.HostEnd == end || text[uri.HostEnd] is (byte)';' or (byte)'?' or (byte)'>' || IsBlank(text[uri.HostEnd]);
    }

    static bool TryReadNumber(ReadOnlySpan<byte> text, out int number) => Utf8Parser.TryParse(text, out number, out int digits) && digits == text.Length && number >= 0;

    static int QuoteEnd(ReadOnlySpan<byte> text, int at, int end)
    {
        for (at++; at < end && text[at] != (byte)'"'; at++)
            if (text[at] == (byte)'\\') at++;
        return at;
    }

    /// <summary>Where the line that begins here ends; less than 0 where its end is not there.</summary>
    static int LineEnd(ReadOnlySpan<byte> text, int at) => at <= text.Length && text[at..].IndexOf("\r\n"u8) is var end and >= 0 ? at + end : -1;

    static bool IsToken(ReadOnlySpan<byte> text) => !text.IsEmpty && !text.ContainsAnyExceptInRange((byte)'!', (byte)'~') && !text.ContainsAny(s_separators);

    static bool IsBlank(byte octet) => octet is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n';

    static bool Is(ReadOnlySpan<byte> text, ReadOnlySpan<byte> word) => Ascii.EqualsIgnoreCase(text, word);

    static bool Begins(ReadOnlySpan<byte> text, ReadOnlySpan<byte> word) => text.Length >= word.Length && Is(text[..word.Length], word);

    static int IndexOf(ReadOnlySpan<byte> text, ReadOnlySpan<byte> word)
    {
        for (int at = 0; at + word.Length <= text.Length; at++)
            if (Begins(text[at..], word)) return at;
        return -1;
    }

    static ulong Hash(ReadOnlySpan<byte> text)
    {
        ulong hash = (ulong)text.Length;
        foreach (byte octet in text) hash = Mix.Of(hash, octet);
        return hash;
    }
}
