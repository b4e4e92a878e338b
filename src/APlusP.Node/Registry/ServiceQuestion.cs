using System.Buffers.Binary;
using APlusP.Node.Names;

namespace APlusP.Node.Registry;

/// <summary>Where a service is, RFC 2782.</summary>
readonly record struct ServicePlace(ushort Priority, ushort Weight, ushort Port, string Host);

/// <summary>A DNS question for SRV records and its answer, RFC 2782: octets alone.</summary>
static class ServiceQuestion
{
    /// <inheritdoc cref="DnsMessage.WriteQuestion"/>
    public static byte[] Write(string name, ushort id) => DnsMessage.WriteQuestion(name, DnsMessage.TypeSrv, id);

    /// <summary>Reads an answer to a question.</summary>
    /// <param name="answer">What came back.</param>
    /// <param name="question">What was sent.</param>
    /// <param name="places">The best first; empty where the name has none.</param>
    /// <returns>False for what is no whole answer to this question, or a damaged one.</returns>
    public static bool TryRead(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> question, out IReadOnlyList<ServicePlace> places)
    {
        places = [];
        if (!DnsMessage.TryReadAnswer(answer, question, out IReadOnlyList<DnsRecord> records, out bool isCut) || isCut) return false;
        var found = new List<ServicePlace>();
        foreach (DnsRecord record in records.Where(r => r.Type == DnsMessage.TypeSrv))
        {
            const int fixedPart = 6;
            int target = record.Data + fixedPart;
            if (record.Length <= fixedPart || !DnsMessage.TryReadName(answer, ref target, out string? host)) return false;
            ReadOnlySpan<byte> service = answer[record.Data..];

            // The target "." says that there is no such service here.
            if (host!.Length > 0) found.Add(new ServicePlace(BinaryPrimitives.ReadUInt16BigEndian(service), BinaryPrimitives.ReadUInt16BigEndian(service[2..]), BinaryPrimitives.ReadUInt16BigEndian(service[4..]), host));
        }

        places = [.. found.OrderBy(p => p.Priority).ThenByDescending(p => p.Weight)];
        return true;
    }
}
