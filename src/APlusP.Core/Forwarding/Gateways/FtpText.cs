using System.Buffers.Text;
using System.Text;
using APlusP.Core.Forwarding.Napt;

namespace APlusP.Core.Forwarding.Gateways;

/// <summary>How a line of an FTP control connection names an endpoint for data.</summary>
enum FtpForm : byte
{
    None,

    /// <summary><c>PORT 192,0,2,1,4,1</c>, RFC 959 section 4.1.2.</summary>
    Port,

    /// <summary><c>EPRT |1|192.0.2.1|1025|</c>, RFC 2428 section 2.</summary>
    Eprt,

    /// <summary><c>227 Entering Passive Mode (192,0,2,1,4,1)</c>, RFC 959 section 4.2 and RFC 1123 section 4.1.2.6.</summary>
    Passive,

    /// <summary><c>229 Entering Extended Passive Mode (|||1025|)</c>, RFC 2428 section 3.</summary>
    ExtendedPassive,
}

/// <summary>Reads and writes the lines of an FTP control connection that name endpoints.</summary>
static class FtpText
{
    /// <summary>Octets of the longest line that is looked at, its end included.</summary>
    public const int MaxLine = 128;

    static ReadOnlySpan<byte> PortCommand => "PORT "u8;

    static ReadOnlySpan<byte> EprtCommand => "EPRT "u8;

    /// <summary>Whether octets without an end of line may be the beginning of a line that names an endpoint.</summary>
    public static bool MayBecome(ReadOnlySpan<byte> text, bool fromServer)
    {
        if (text.IsEmpty || text.Length >= MaxLine) return false;
        return fromServer
            ? Begins(text, "227 "u8) || Begins(text, "229 "u8)
            : Begins(text, PortCommand) || Begins(text, EprtCommand);
    }

    static bool Begins(ReadOnlySpan<byte> text, ReadOnlySpan<byte> word)
    {
        int length = Math.Min(text.Length, word.Length);
        return Ascii.EqualsIgnoreCase(text[..length], word[..length]);
    }

    /// <summary>Finds the endpoint that a line names.</summary>
    /// <param name="line">Without its end.</param>
    /// <param name="fromServer">Whether it is a reply.</param>
    /// <param name="endpoint">The endpoint; of <see cref="FtpForm.ExtendedPassive"/> the port alone.</param>
    /// <param name="start">Where the endpoint's text begins.</param>
    /// <param name="length">Its octets.</param>
    public static FtpForm TryRead(ReadOnlySpan<byte> line, bool fromServer, out Endpoint endpoint, out int start, out int length)
    {
        endpoint = default;
        start = PortCommand.Length;
        length = 0;
        if (!fromServer)
        {
            if (Begins(line, PortCommand) && line.Length > start && TryReadSix(line[start..], out endpoint, out length)) return FtpForm.Port;
            return Begins(line, EprtCommand) && line.Length > start && TryReadExtended(line[start..], withAddress: true, out endpoint, out length) ? FtpForm.Eprt : FtpForm.None;
        }

        if (line.Length < 5) return FtpForm.None;
        if (Begins(line, "227 "u8))
        {
            // The numbers stand anywhere behind the code, most often in parentheses.
            for (start = 4; start < line.Length; start++)
                if (char.IsAsciiDigit((char)line[start]) && TryReadSix(line[start..], out endpoint, out length)) return FtpForm.Passive;
            return FtpForm.None;
        }

        if (!Begins(line, "229 "u8)) return FtpForm.None;
        start = line.IndexOf((byte)'(') + 1;
        return start > 0 && TryReadExtended(line[start..], withAddress: false, out endpoint, out length) ? FtpForm.ExtendedPassive : FtpForm.None;
    }

    /// <summary>Six numbers: h1,h2,h3,h4,p1,p2.</summary>
    static bool TryReadSix(ReadOnlySpan<byte> text, out Endpoint endpoint, out int length)
    {
        ulong value = 0;
        length = 0;
        endpoint = default;
        for (int i = 0; i < 6; i++)
        {
            if (i > 0 && (length >= text.Length || text[length++] != (byte)',')) return false;
            if (!Utf8Parser.TryParse(text[length..], out byte number, out int used)) return false;
            value = value << 8 | number;
            length += used;
        }

        endpoint = new Endpoint((uint)(value >> 16), (ushort)value);
        return true;
    }

    /// <summary>|1|address|port| or |||port|, with any delimiter.</summary>
    static bool TryReadExtended(ReadOnlySpan<byte> text, bool withAddress, out Endpoint endpoint, out int length)
    {
        endpoint = default;
        length = 0;
        if (text.Length < 5 || text[0] is < 33 or > 126 || char.IsAsciiDigit((char)text[0])) return false;
        byte delimiter = text[0];
        int at = 1;
        uint address = 0;
        if (withAddress)
        {
            // Family 1 is IPv4; 2, IPv6, is none of ours.
            if (text[at] != (byte)'1' || text[at + 1] != delimiter) return false;
            if (!AddressText.TryRead(text[(at + 2)..], out address, out int end) || at + 2 + end >= text.Length || text[at + 2 + end] != delimiter) return false;
            at += 2 + end + 1;
        }
        else
        {
            if (text[1] != delimiter || text[2] != delimiter) return false;
            at = 3;
        }

        if (!Utf8Parser.TryParse(text[at..], out ushort port, out int used)) return false;
        at += used;
        if (at >= text.Length || text[at] != delimiter) return false;
        length = at + 1;
        endpoint = new Endpoint(address, port);
        return true;
    }

    /// <summary>Writes an endpoint in the form of its line.</summary>
    public static void Write(FtpForm form, Endpoint endpoint, byte delimiter, ref OctetWriter to)
    {
        if (form is FtpForm.Port or FtpForm.Passive)
        {
            to.AddAddress(endpoint.Address, ","u8);
            to.Add(","u8);
            to.Add(endpoint.Port >> 8);
            to.Add(","u8);
            to.Add(endpoint.Port & 0xff);
            return;
        }

        ReadOnlySpan<byte> bar = [delimiter];
        to.Add(bar);
        if (form == FtpForm.Eprt) to.Add("1"u8);
        to.Add(bar);
        if (form == FtpForm.Eprt) to.AddAddress(endpoint.Address);
        to.Add(bar);
        to.Add(endpoint.Port);
        to.Add(bar);
    }
}
