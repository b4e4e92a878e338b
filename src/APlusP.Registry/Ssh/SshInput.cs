using System.Globalization;
using System.Text;
using APlusP.Core;

namespace APlusP.Registry.Ssh;

/// <summary>What a SMAP sends through SSH, behind a forced command: lines on its standard input, or a file by scp, as the experiment's script sent it.</summary>
public static class SshInput
{
    /// <summary>No more is read: two lines are some 80 octets.</summary>
    public const int Longest = 4096;

    const byte Accepted = 0;

    /// <summary>Whether the client asked for <c>scp</c> to put a file here (<c>scp -t</c>, the protocol of scp before SFTP).</summary>
    public static bool IsScp(string? originalCommand) =>
        originalCommand?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [{ } program, .. string[] rest] && Path.GetFileName(program) == "scp" && rest.Any(r => r.StartsWith('-') && !r.StartsWith("--", StringComparison.Ordinal) && r.Contains('t'));

    /// <summary>All of the input.</summary>
    /// <exception cref="APlusPException">AP6010: more than there can be, or no text.</exception>
    public static string ReadLines(Stream input)
    {
        var octets = new byte[Longest + 1];
        int length = input.ReadAtLeast(octets, octets.Length, throwOnEndOfStream: false);
        if (length > Longest) throw new APlusPException(ErrorCodes.BadRequest, $"more than {Longest} octets came in; send the two lines CpeNAddrV6 and CpeNPortRange.");
        return Text(octets.AsSpan(0, length));
    }

    /// <summary>
    /// The file that scp sends, received as its other end: "C0644 80 name" and a newline, so many octets, a zero; each answered with a zero. The file is kept nowhere.
    /// </summary>
    /// <exception cref="APlusPException">AP6010: something else than one small file came.</exception>
    public static string ReceiveFile(Stream input, Stream output)
    {
        Answer(output);
        string header = ReadHeader(input);
        while (header.StartsWith('T'))
        {
            // Times of the file (scp -p), which nobody needs.
            Answer(output);
            header = ReadHeader(input);
        }

        string[] words = header.Split(' ', 3);
        if (words is not [['C', ..], var size, _] || !int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out int length) || length > Longest)
            throw new APlusPException(ErrorCodes.BadRequest, $"scp is to send one file of at most {Longest} octets, and announced '{new string([.. header.Take(80).Select(c => char.IsControl(c) ? '?' : c)])}'.");
        Answer(output);
        var content = new byte[length + 1];
        try
        {
            input.ReadExactly(content);
        }
        catch (EndOfStreamException error)
        {
            throw new APlusPException(ErrorCodes.BadRequest, $"scp announced {length} octets and sent fewer.", error);
        }

        return Text(content.AsSpan(0, length));
    }

    /// <summary>Tells scp that the file was taken: the last word of its protocol, for when that is true.</summary>
    public static void Answer(Stream output)
    {
        output.WriteByte(Accepted);
        output.Flush();
    }

    static string ReadHeader(Stream input)
    {
        var header = new StringBuilder();
        for (int octet = input.ReadByte(); octet != '\n'; octet = input.ReadByte())
        {
            if (octet < 0 || header.Length >= 512) throw new APlusPException(ErrorCodes.BadRequest, "scp sent no file.");
            header.Append((char)octet);
        }

        return header.ToString();
    }

    static string Text(ReadOnlySpan<byte> octets)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(octets);
        }
        catch (DecoderFallbackException error)
        {
            throw new APlusPException(ErrorCodes.BadRequest, "what came in is no text; send the two lines CpeNAddrV6 and CpeNPortRange.", error);
        }
    }
}
