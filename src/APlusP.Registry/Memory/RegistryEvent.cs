using System.Buffers.Binary;
using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Memory;

/// <summary>
/// One change, as it is remembered: who had which ports of which address from when until when. Never to whom a subscriber spoke (RFC 6888 section 4).
/// Its hash covers all of it and the hash of the event before, so that no event can be changed, added or taken out between two others unnoticed.
/// </summary>
/// <param name="Kind">
/// granted, renewed, left and moved (the softwire of before, and the one after it), grown, shrunk, released or expired; reserved or unreserved; port-given or port-taken, of service ports; named or
/// unnamed, of names of servers; issued or revoked, of credentials; forgotten, of events and leases that were older than the operator keeps.
/// </param>
/// <param name="Subject">The lease; or the credential, or the name.</param>
/// <param name="Subscriber">Whose.</param>
/// <param name="Softwire">Its IPv6 end, where one is known.</param>
/// <param name="Address">The IPv4 address, as a number.</param>
/// <param name="Ports">The ports that this change is about: of grown and shrunk those that came or went.</param>
/// <param name="Until">When they end, in ms since 1970.</param>
/// <param name="Actor">Who asked for it.</param>
sealed record RegistryEvent(string Kind, string Subject, string? Subscriber, string? Softwire, long? Address, string? Ports, long? Until, string Actor)
{
    public const string Columns = "seq, at, kind, subject, subscriber, softwire, address, ports, until, actor, hash";

    public static RegistryEvent Read(DbDataReader row) => new(
        row.GetString(2), row.GetString(3), row.Text(4), row.Text(5), row.Number(6), row.Text(7), row.Number(8), row.GetString(9));

    /// <summary>SHA-256 over the hash before and every field with its length.</summary>
    public byte[] Hash(ReadOnlySpan<byte> before, long seq, long at)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(before);
        Add(hash, seq);
        Add(hash, at);
        foreach (string? text in (ReadOnlySpan<string?>)[Kind, Subject, Subscriber, Softwire]) Add(hash, text);
        Add(hash, Address ?? -1);
        Add(hash, Ports);
        Add(hash, Until ?? -1);
        Add(hash, Actor);
        return hash.GetHashAndReset();
    }

    static void Add(IncrementalHash hash, long number)
    {
        Span<byte> octets = stackalloc byte[8];
        BinaryPrimitives.WriteInt64BigEndian(octets, number);
        hash.AppendData(octets);
    }

    static void Add(IncrementalHash hash, string? text)
    {
        Add(hash, text is null ? -1 : Encoding.UTF8.GetByteCount(text));
        if (text is not null) hash.AppendData(Encoding.UTF8.GetBytes(text));
    }
}
