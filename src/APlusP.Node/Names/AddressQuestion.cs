using System.Net;
using APlusP.Core.Addresses;

namespace APlusP.Node.Names;

/// <summary>IPv6 addresses of a name, and for how long they hold.</summary>
sealed record NameAddresses(IReadOnlyList<IPAddress> Addresses, TimeSpan Holds);

/// <summary>A DNS question for AAAA records and its answer, RFC 3596: octets alone.</summary>
static class AddressQuestion
{
    /// <summary>Of a name that has none: less than its SOA may say (RFC 2308 section 5), and enough not to ask for each connection.</summary>
    static readonly TimeSpan s_none = TimeSpan.FromMinutes(1), s_longest = TimeSpan.FromHours(1);

    /// <inheritdoc cref="DnsMessage.WriteQuestion"/>
    public static byte[] Write(string name, ushort id) => DnsMessage.WriteQuestion(name, DnsMessage.TypeAaaa, id);

    /// <summary>Reads an answer. Of one that was cut short, what there is serves as well.</summary>
    public static bool TryRead(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> question, out NameAddresses found)
    {
        found = new NameAddresses([], s_none);
        if (!DnsMessage.TryReadAnswer(answer, question, out IReadOnlyList<DnsRecord> records, out _)) return false;
        var addresses = new List<IPAddress>();
        TimeSpan holds = s_longest;
        foreach (DnsRecord record in records)
        {
            // That of an alias counts too: it leads here no longer than that.
            if (TimeSpan.FromSeconds(record.TimeToLive) < holds) holds = TimeSpan.FromSeconds(record.TimeToLive);
            if (record.Type == DnsMessage.TypeAaaa && record.Length == IPv6Address.Size) addresses.Add(new IPAddress(answer.Slice(record.Data, record.Length)));
        }

        if (addresses.Count > 0) found = new NameAddresses(addresses, holds);
        return true;
    }
}
