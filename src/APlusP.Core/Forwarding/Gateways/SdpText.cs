using System.Buffers.Text;
using APlusP.Core.Forwarding.Napt;

namespace APlusP.Core.Forwarding.Gateways;

/// <summary>
/// Writes the endpoints of a session description anew (SDP, RFC 8866): c= and o= where they have the host's address, the ports of its media, and those of RTCP where they are named (RFC 3605).
/// </summary>
static class SdpText
{
    /// <summary>Finds ports of ours for a medium and its control; 0 for the control is none.</summary>
    public interface IPorts
    {
        bool TryMap(Endpoint media, Endpoint control, bool hasControl, out ushort mediaPort, out ushort controlPort);
    }

    /// <summary>Writes a description anew; gives whether anything changed.</summary>
    /// <param name="sdp">The description.</param>
    /// <param name="own">The host's address.</param>
    /// <param name="shared">Ours in its place.</param>
    /// <param name="ports">Finds the ports.</param>
    /// <param name="to">Where it is written.</param>
    public static bool TryRewrite<T>(ReadOnlySpan<byte> sdp, uint own, uint shared, T ports, ref OctetWriter to)
        where T : IPorts
    {
        // Who offers candidates (ICE, RFC 8839) finds the way himself, and takes a changed address for a fault.
        if (sdp.IndexOf("\na=candidate:"u8) >= 0) return false;
        bool changed = false, sessionIsOwn = false, inMedia = false;
        ushort control = 0;
        bool controlIsNamed = false;
        for (int at = 0; at < sdp.Length;)
        {
            ReadOnlySpan<byte> line = Line(sdp[at..], out int next);
            if (line.StartsWith("m="u8))
            {
                NameControl(control, controlIsNamed, ref to);
                inMedia = true;
                Section(sdp[(at + next)..], own, out bool? mediaIsOwn, out Endpoint named, out controlIsNamed);
                changed |= TryWriteMedia(line, mediaIsOwn ?? sessionIsOwn, own, named, controlIsNamed, ports, ref to, out control);
            }
            else if (TryFindAddress(line, out uint address, out int addressAt, out int length))
            {
                if (!inMedia && line[0] == (byte)'c') sessionIsOwn = address == own;
                changed |= TryWriteAddress(line, address, addressAt, length, own, shared, ref to);
            }
            else if (inMedia && control != 0 && line.StartsWith("a=rtcp:"u8))
            {
                to.Add("a=rtcp:"u8);
                to.Add(control);
                ReadOnlySpan<byte> rest = line["a=rtcp:".Length..];
                int digits = rest.IndexOfAnyExceptInRange((byte)'0', (byte)'9');
                if (digits >= 0)
                {
                    rest = rest[digits..];
                    if (!TryFindLast(rest, out uint its, out int itsAt, out int itsLength) || !TryWriteAddress(rest, its, itsAt, itsLength, own, shared, ref to)) to.Add(rest);
                }
            }
            else
            {
                to.Add(line);
            }

            to.Add(sdp.Slice(at + line.Length, next - line.Length));
            at += next;
        }

        if (sdp.EndsWith("\n"u8)) NameControl(control, controlIsNamed, ref to);
        return changed;
    }

    /// <summary>At the end of a medium: RTCP is expected at the next port (RFC 3550 section 11), unless it says otherwise.</summary>
    static void NameControl(ushort control, bool isNamed, ref OctetWriter to)
    {
        if (control == 0 || isNamed) return;
        to.Add("a=rtcp:"u8);
        to.Add(control);
        to.Add("\r\n"u8);
    }

    /// <summary>m=audio 49170 RTP/AVP 0</summary>
    /// <param name="control">The port of its control where that must be named, else 0.</param>
    static bool TryWriteMedia<T>(ReadOnlySpan<byte> line, bool isOwn, uint own, Endpoint named, bool isNamed, T ports, ref OctetWriter to, out ushort control)
        where T : IPorts
    {
        control = 0;
        int portAt = line.IndexOf((byte)' ') + 1;
        ushort port = 0;
        int digits = 0;

        // Port 0 is a medium that is refused; several ports (49170/2) are several media in one line, and nobody's any more.
        bool isMedium = isOwn && portAt > 0 && Utf8Parser.TryParse(line[portAt..], out port, out digits) && port != 0 && line.Length > portAt + digits && line[portAt + digits] == (byte)' ';
        ReadOnlySpan<byte> rest = isMedium ? line[(portAt + digits)..] : default;
        if (!isMedium || rest.StartsWith(" TCP"u8))
        {
            to.Add(line);
            return false;
        }

        var media = new Endpoint(own, port);
        bool hasControl = rest.IndexOf("RTP/"u8) >= 0 && port < ushort.MaxValue;
        if (!isNamed) named = media with { Port = (ushort)(port + 1) };
        if (!ports.TryMap(media, named with { Address = own }, hasControl, out ushort mediaPort, out ushort controlPort))
        {
            to.Add(line);
            return false;
        }

        to.Add(line[..portAt]);
        to.Add(mediaPort);
        to.Add(rest);
        if (isNamed || controlPort != mediaPort + 1) control = controlPort;
        return true;
    }

    /// <summary>What the lines of a medium say of its address and its control, up to the next medium.</summary>
    static void Section(ReadOnlySpan<byte> sdp, uint own, out bool? isOwn, out Endpoint control, out bool controlIsNamed)
    {
        isOwn = null;
        control = default;
        controlIsNamed = false;
        while (!sdp.IsEmpty)
        {
            ReadOnlySpan<byte> line = Line(sdp, out int next);
            if (line.StartsWith("m="u8)) return;
            if (line.StartsWith("c="u8)) isOwn = TryFindAddress(line, out uint address, out _, out _) && address == own;
            if (line.StartsWith("a=rtcp:"u8) && Utf8Parser.TryParse(line["a=rtcp:".Length..], out ushort port, out _) && port != 0)
            {
                control = new Endpoint(own, port);
                controlIsNamed = true;
            }

            sdp = sdp[next..];
        }
    }

    /// <summary>c=IN IP4 192.0.2.1 and o=- 1 1 IN IP4 192.0.2.1</summary>
    static bool TryFindAddress(ReadOnlySpan<byte> line, out uint address, out int at, out int length)
    {
        address = 0;
        at = length = 0;
        return (line.StartsWith("c="u8) || line.StartsWith("o="u8)) && TryFindLast(line, out address, out at, out length);
    }

    static bool TryFindLast(ReadOnlySpan<byte> text, out uint address, out int at, out int length)
    {
        address = 0;
        length = 0;
        at = text.LastIndexOf("IN IP4 "u8) + "IN IP4 ".Length;
        return at >= "IN IP4 ".Length && AddressText.TryRead(text[at..], out address, out length);
    }

    static bool TryWriteAddress(ReadOnlySpan<byte> line, uint address, int at, int length, uint own, uint shared, ref OctetWriter to)
    {
        if (address != own)
        {
            to.Add(line);
            return false;
        }

        to.Add(line[..at]);
        to.AddAddress(shared);
        to.Add(line[(at + length)..]);
        return true;
    }

    /// <summary>The first line without its end, and where the next begins.</summary>
    static ReadOnlySpan<byte> Line(ReadOnlySpan<byte> text, out int next)
    {
        int end = text.IndexOf((byte)'\n');
        next = end < 0 ? text.Length : end + 1;
        return text[..next].TrimEnd("\r\n"u8);
    }
}
