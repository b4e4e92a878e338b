using System.Buffers.Binary;
using System.Text;

namespace APlusP.Node.Registry;

/// <summary>Where a service is, RFC 2782.</summary>
readonly record struct ServicePlace(ushort Priority, ushort Weight, ushort Port, string Host);

/// <summary>A DNS question for SRV records and its answer, RFC 1035 section 4 and RFC 2782: octets alone.</summary>
static class ServiceQuestion
{
    const int HeaderSize = 12, LongestName = 255, LongestLabel = 63;
    const ushort TypeSrv = 33, ClassInternet = 1, RecursionDesired = 0x0100, IsResponse = 0x8000, IsTruncated = 0x0200, CodeMask = 0xf;

    /// <summary>The question as it is sent.</summary>
    /// <exception cref="FormatException">The name is none.</exception>
    public static byte[] Write(string name, ushort id)
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

        message.AddRange([0, 0, (byte)TypeSrv, 0, (byte)ClassInternet]);
        return [.. message];
    }

    /// <summary>Reads an answer to a question.</summary>
    /// <param name="answer">What came back.</param>
    /// <param name="question">What was sent.</param>
    /// <param name="places">The best first; empty where the name has none.</param>
    /// <returns>False for what is no answer to this question, or a damaged one.</returns>
    public static bool TryRead(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> question, out IReadOnlyList<ServicePlace> places)
    {
        places = [];
        if (answer.Length < question.Length || !answer[..2].SequenceEqual(question[..2])) return false;
        ushort flags = BinaryPrimitives.ReadUInt16BigEndian(answer[2..]);
        if ((flags & IsResponse) == 0 || (flags & IsTruncated) != 0 || answer[5] != 1 || !answer[HeaderSize..question.Length].SequenceEqual(question[HeaderSize..])) return false;
        const int nameError = 3;
        if ((flags & CodeMask) is not (0 or nameError)) return false;

        var found = new List<ServicePlace>();
        int at = question.Length;
        for (int left = BinaryPrimitives.ReadUInt16BigEndian(answer[6..]); left > 0; left--)
        {
            const int fixedPart = 10, serviceFixed = 6;
            if (!TryReadName(answer, ref at, out _) || at + fixedPart > answer.Length) return false;
            ReadOnlySpan<byte> record = answer[at..];
            int data = at + fixedPart, length = BinaryPrimitives.ReadUInt16BigEndian(record[8..]);
            at = data + length;
            if (at > answer.Length) return false;
            if (BinaryPrimitives.ReadUInt16BigEndian(record) != TypeSrv) continue;
            int target = data + serviceFixed;
            if (length <= serviceFixed || !TryReadName(answer, ref target, out string? host)) return false;
            ReadOnlySpan<byte> service = answer[data..];

            // The target "." says that there is no such service here.
            if (host!.Length > 0) found.Add(new ServicePlace(BinaryPrimitives.ReadUInt16BigEndian(service), BinaryPrimitives.ReadUInt16BigEndian(service[2..]), BinaryPrimitives.ReadUInt16BigEndian(service[4..]), host));
        }

        places = [.. found.OrderBy(p => p.Priority).ThenByDescending(p => p.Weight)];
        return true;
    }

    /// <summary>Reads a name, whose end may stand elsewhere before it (RFC 1035 section 4.1.4); each jump leads further back, so that it ends.</summary>
    static bool TryReadName(ReadOnlySpan<byte> message, ref int at, out string? name)
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
