using System.Buffers.Binary;
using System.Text;

namespace APlusP.Node.Names;

/// <summary>A record of an answer: its type, for how many seconds it holds, and where in the message its data stand.</summary>
readonly record struct DnsRecord(ushort Type, uint TimeToLive, int Data, int Length);

/// <summary>A question of the DNS and the records of its answer, RFC 1035 section 4: octets alone.</summary>
static class DnsMessage
{
    public const ushort TypeAaaa = 28, TypeSrv = 33;

    const int HeaderSize = 12, LongestName = 255, LongestLabel = 63;
    const ushort ClassInternet = 1, RecursionDesired = 0x0100, IsResponse = 0x8000, IsTruncated = 0x0200, CodeMask = 0xf;

    /// <summary>The question as it is sent.</summary>
    /// <exception cref="FormatException">The name is none.</exception>
    public static byte[] WriteQuestion(string name, ushort type, ushort id)
    {
        var message = new List<byte>(HeaderSize + name.Length + 6);
        Span<byte> header = stackalloc byte[HeaderSize];
        header.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(header, id);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], RecursionDesired);
        header[5] = 1;
        message.AddRange(header);
        foreach (string label in name.TrimEnd('.').Split('.'))
        {
            if (label.Length is 0 or > LongestLabel || name.Length > LongestName || !Ascii.IsValid(label)) throw new FormatException($"'{name}' is not a name of the DNS");
            message.Add((byte)label.Length);
            message.AddRange(Encoding.ASCII.GetBytes(label));
        }

        message.AddRange([0, 0, (byte)type, 0, (byte)ClassInternet]);
        return [.. message];
    }

    /// <summary>Reads an answer to a question.</summary>
    /// <param name="answer">What came back.</param>
    /// <param name="question">What was sent.</param>
    /// <param name="records">None where the name does not exist.</param>
    /// <param name="isCut">Whether there were more, which did not fit.</param>
    /// <returns>False for what is no answer to this question, says that the server cannot tell, or is damaged.</returns>
    public static bool TryReadAnswer(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> question, out IReadOnlyList<DnsRecord> records, out bool isCut)
    {
        (records, isCut) = ([], false);
        if (answer.Length < question.Length || !answer[..2].SequenceEqual(question[..2])) return false;
        ushort flags = BinaryPrimitives.ReadUInt16BigEndian(answer[2..]);
        if ((flags & IsResponse) == 0 || answer[5] != 1 || !answer[HeaderSize..question.Length].SequenceEqual(question[HeaderSize..])) return false;
        const int nameError = 3;
        if ((flags & CodeMask) is not (0 or nameError)) return false;
        isCut = (flags & IsTruncated) != 0;

        var found = new List<DnsRecord>();
        int at = question.Length;
        for (int left = BinaryPrimitives.ReadUInt16BigEndian(answer[6..]); left > 0; left--)
        {
            const int fixedPart = 10;
            if (!TryReadName(answer, ref at, out _) || at + fixedPart > answer.Length) return false;
            ReadOnlySpan<byte> record = answer[at..];
            int data = at + fixedPart, length = BinaryPrimitives.ReadUInt16BigEndian(record[8..]);
            at = data + length;
            if (at > answer.Length) return false;
            found.Add(new DnsRecord(BinaryPrimitives.ReadUInt16BigEndian(record), BinaryPrimitives.ReadUInt32BigEndian(record[4..]), data, length));
        }

        records = found;
        return true;
    }

    /// <summary>Reads a name, whose end may stand elsewhere before it (section 4.1.4); each jump leads further back, so that it ends.</summary>
    public static bool TryReadName(ReadOnlySpan<byte> message, ref int at, out string? name)
    {
        const int pointer = 0xc0;
        var text = new StringBuilder();
        int here = at, before = at;
        bool jumped = false;
        name = null;
        while (here < message.Length)
        {
            int length = message[here];
            if (length == 0)
            {
                if (!jumped) at = here + 1;
                name = text.ToString();
                return true;
            }

            if ((length & pointer) == pointer)
            {
                if (here + 1 >= message.Length) return false;
                int there = (length & ~pointer) << 8 | message[here + 1];
                if (there >= before) return false;
                if (!jumped) at = here + 2;
                jumped = true;
                here = before = there;
                continue;
            }

            if ((length & pointer) != 0 || here + 1 + length > message.Length || text.Length + length > LongestName) return false;
            if (text.Length > 0) text.Append('.');
            text.Append(Encoding.ASCII.GetString(message.Slice(here + 1, length)));
            here += 1 + length;
        }

        return false;
    }
}
